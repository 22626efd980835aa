//! What can be deployed: the recommended settings in every language, and back in the scenario.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Arguments;
use crate::cli::export::{Language, written};
use crate::cli::{Failure, files};
use crate::policy::Settings as Policies;
use crate::report::Tuning;
use crate::scenario::Scenario;
use crate::tune::{Domain, Ended, Figure, Parameter, Setting, Task, Tuned};

/// The recommended settings, in every language.
const SETTINGS: [(&str, Language); 3] =
    [("settings.toml", Language::Toml), ("settings.flags", Language::Flags), ("settings.env", Language::Env)];

/// Makes sure that the settings can be written into `folder`, and over none of `inputs`.
///
/// # Errors
/// If something stands in the way.
pub(super) fn check(folder: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    for (name, _) in &SETTINGS {
        files::is_free(&folder.join(name))?;
        files::spares(inputs, &folder.join(name))?;
    }
    Ok(())
}

/// What is in force today, parameter by parameter.
pub(super) fn current(scenario: &Scenario, task: &Task) -> Vec<Option<String>> {
    let in_force = |parameter: &Parameter| {
        let value = scenario.in_force(task.variant, &parameter.path.parse().ok()?).filter(|value| !value.is_null())?;
        let span =
            value.as_str().filter(|_| matches!(parameter.domain, Domain::Duration { .. })).and_then(|text| text.parse().ok());
        // As the recommended one beside it is written.
        Some(span.map_or_else(|| value.to_string(), |span| Setting::Duration(span).to_string()))
    };
    task.space.parameters().iter().map(in_force).collect()
}

/// Writes the recommended settings, and says which files hold them now. Where nothing is recommended, the settings of an
/// earlier search are removed: they are not what this one found.
///
/// # Errors
/// If a file cannot be written, or the scenario cannot take the settings.
pub(super) fn write(
    arguments: &Arguments,
    scenario: &Scenario,
    tuning: &Tuning<'_>,
    folder: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let outcome = &tuning.tuned.outcome;
    let Some(choice) = outcome.choice else {
        if outcome.ended == Ended::NothingFeasible {
            remove(folder)?;
        }
        return Ok(Vec::new());
    };
    let sets = tuning.task.sets(outcome.point(choice));
    let chosen = scenario.candidate(tuning.task.variant, &sets)?;
    let mut made = settings_files(&chosen.policy, folder)?;
    if let Some(why) = doubt(tuning.tuned).filter(|_| arguments.write) {
        let _ = writeln!(std::io::stderr(), "note: {why}, so the scenario is left as it is");
    } else if arguments.write && !sets.is_empty() {
        let path = &arguments.scenario.scenario;
        let text = std::fs::read_to_string(path).map_err(|why| Failure::Write { path: path.clone(), why })?;
        let changed = crate::scenario::write_settings(&text, &scenario.variants[tuning.task.variant].of, &sets);
        files::write_whole(path, &changed.map_err(Failure::Input)?)?;
        made.push(path.clone());
    }
    Ok(made)
}

/// Why the settings are not for deployment, whatever was asked for.
fn doubt(tuned: &Tuned) -> Option<&'static str> {
    let breaks = |slacks: &[Option<Figure>]| slacks.iter().flatten().any(|slack| slack.is_below_zero());
    let loses = |gain: &[Option<Figure>]| gain.first().copied().flatten().is_some_and(Figure::is_below_zero);
    let held_out = || tuned.elsewhere.iter().filter(|one| one.held_out);
    if tuned.outcome.ended != Ended::Complete {
        return Some("the search was cut short");
    }
    if tuned.outcome.confirmation.as_ref().is_some_and(|confirmation| breaks(&confirmation.constraints)) {
        return Some("the settings break a constraint on fresh replications");
    }
    if held_out().any(|one| breaks(&one.constraints) || loses(&one.gain)) {
        return Some("the settings lose, or break a constraint, in what was held out");
    }
    None
}

fn remove(folder: &Path) -> Result<(), Failure> {
    for (name, _) in SETTINGS {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => return Err(Failure::Write { path, why }),
            _ => (),
        }
    }
    Ok(())
}

fn settings_files(policies: &Policies, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut made = Vec::new();
    for (name, language) in SETTINGS {
        let (text, lost) = written(policies, language);
        for sentence in lost {
            let _ = writeln!(std::io::stderr(), "lost in {name}: {sentence}"); // worth no failure where it is closed
        }
        let path = folder.join(name);
        files::write_whole(&path, &text)?;
        made.push(path);
    }
    Ok(made)
}

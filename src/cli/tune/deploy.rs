//! What can be deployed: the recommended settings in every language, and back in the scenario.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Arguments;
use crate::cli::export::{Language, written};
use crate::cli::{Failure, files};
use crate::policy::{Lost, Settings as Policies};
use crate::report::Tuning;
use crate::scenario::Scenario;
use crate::tune::{Domain, Doubt, Parameter, Setting, Task};

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
        remove(folder)?;
        return Ok(Vec::new());
    };
    let doubt = tuning.tuned.doubt(tuning.held_out, &tuning.task.tolerances());
    let doubt = doubt.map(|doubt| words(doubt, tuning.recorded));
    let sets = tuning.task.sets(outcome.point(choice));
    let chosen = scenario.candidate(tuning.task.variant, &sets)?;
    let mut made = settings_files(&chosen.policy, doubt, folder, arguments.quiet)?;
    if let Some(why) = doubt.filter(|_| arguments.write) {
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

/// Why the settings are not for deployment, whatever was asked for. `recorded` where the confirmation met the arrivals that it was
/// chosen by.
const fn words(doubt: Doubt, recorded: bool) -> &'static str {
    match doubt {
        Doubt::CutShort => "the search was cut short",
        Doubt::Untried => "the time was over before the settings were tried on all that was held out",
        Doubt::Breaks if recorded => "the settings break a constraint in the recording itself",
        Doubt::Breaks => "the settings break a constraint on fresh replications",
        Doubt::Worse if recorded => "today's settings are better in the recording itself",
        Doubt::Worse => "today's settings are better on fresh replications",
        Doubt::HeldOut => "what was held out speaks against the settings",
    }
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

fn settings_files(policies: &Policies, doubt: Option<&str>, folder: &Path, quiet: bool) -> Result<Vec<PathBuf>, Failure> {
    let mut made = Vec::new();
    for (name, language) in SETTINGS {
        let (text, lost) = written(policies, language);
        if !lost.is_empty() && !quiet {
            let _ = writeln!(std::io::stderr(), "note: {}", in_short(name, &lost)); // worth no failure where it is closed
        }
        let path = folder.join(name);
        let warning = doubt.map_or(String::new(), |why| format!("# Do not deploy as it is: {why}.\n"));
        let other = if reads_as(policies, language, &text) { "" } else { NOT_THE_SAME };
        files::write_whole(&path, &(warning + other + &head(language, &lost) + &text))?;
        made.push(path);
    }
    Ok(made)
}

/// First in a file that stands for other settings than were recommended.
const NOT_THE_SAME: &str =
    "# NOT the recommended settings: who reads this file has others, which were not tried. What differs stands below.\n";

/// Whether who reads `text` has these settings, and no others.
fn reads_as(policies: &Policies, language: Language, text: &str) -> bool {
    match language {
        Language::Toml => true, // it carries everything
        Language::Flags => Policies::from_flags(text, None).is_ok_and(|read| read == *policies),
        Language::Env => Policies::from_env(text).is_ok_and(|(read, _)| read == *policies),
    }
}

/// What a file cannot carry, in one line.
fn in_short(name: &str, lost: &[Lost]) -> String {
    /// Settings that are named.
    const NAMED: usize = 3;
    let names: Vec<&str> = lost.iter().take(NAMED).map(|lost| lost.setting.as_str()).collect();
    let (names, more) = (names.join(", "), if lost.len() > NAMED { ", ..." } else { "" });
    let many = if lost.len() == 1 { "setting has" } else { "settings have" };
    format!("{} {many} no name in {name} ({names}{more}): they are told in its head; settings.toml has everything", lost.len())
}

/// Comments before settings that a file cannot carry whole; nothing where it carries all.
fn head(language: Language, lost: &[Lost]) -> String {
    if lost.is_empty() {
        return String::new();
    }
    let about = match language {
        Language::Flags => "# The server's flags; take them without these comments: $(grep -v '^#' settings.flags)\n",
        Language::Env => "# The adapter's environment.\n",
        Language::Toml => "",
    };
    let queue = if language == Language::Env && lost.iter().any(|lost| lost.is_in("queue")) {
        "# The adapter that reads it has no queue and no name for one: what was recommended of `policy.queue` is not in this file.\n"
    } else {
        ""
    };
    let each: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let each = each.join("\n#   ");
    format!("{about}{queue}# Without a name here, or always set by who reads it (settings.toml has everything):\n#   {each}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_cannot_carry_is_told_in_one_line_and_in_its_head() {
        let mut policies = Policies::seed_adapter();
        policies.queue = Some(crate::policy::Queue::default());
        (policies.breaker, policies.finalise, policies.limiter) = (None, None, None);
        let (_, lost) = written(&policies, Language::Env);
        let line = in_short("settings.env", &lost);
        let names = format!("{}, {}, {}", lost[0].setting, lost[1].setting, lost[2].setting);
        assert!(lost.len() > 3 && line.contains(&format!("({names}, ...)")), "{line}");
        assert!(line.starts_with(&format!("{} settings have no name in settings.env", lost.len())), "{line}");
        let told = head(Language::Env, &lost);
        assert!(told.lines().all(|line| line.starts_with('#')) && told.contains("has no queue"), "{told}");
        assert!(lost.iter().all(|lost| told.contains(&lost.to_string())), "{told}");
        let queue_at = lost.iter().position(|lost| lost.is_in("queue")).unwrap();
        let others: Vec<Lost> = lost.iter().enumerate().filter(|(i, _)| *i != queue_at).map(|(_, lost)| lost.clone()).collect();
        assert!(!head(Language::Env, &others).contains("has no queue"));
        assert_eq!(head(Language::Flags, &[]), "");
    }

    #[test]
    fn the_files_read_back_with_their_heads() {
        let mut policies = Policies::seed_adapter();
        policies.queue = Some(crate::policy::Queue::default());
        let (text, lost) = written(&policies, Language::Env);
        let (read, _) = Policies::from_env(&(head(Language::Env, &lost) + &text)).unwrap();
        assert_eq!((read.limiter, read.queue), (policies.limiter, None));
        let mut policies = Policies::seed(crate::units::Count::new(10).unwrap());
        policies.breaker = Some(crate::policy::Breaker::default());
        let (text, lost) = written(&policies, Language::Flags);
        let read = Policies::from_flags(&(head(Language::Flags, &lost) + &text), None).unwrap();
        assert_eq!((read.queue, read.breaker), (policies.queue, None));
    }
}

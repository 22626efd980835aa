//! The world that a log is replayed in: a scenario, or a shipped preset where nobody names one.

use std::path::{Path, PathBuf};

use super::{Arguments, LOG};
use crate::cli::Failure;
use crate::cli::common::env_settings;
use crate::policy::Settings;
use crate::replay::{Classes, ClassesError, Clients, Survey, as_logged};
use crate::scenario::{Holds, Scenario, Warmup, holds, read_settings};
use crate::time::Span;
use crate::trace::OTHERS;

/// The preset that stands for a world that nobody names.
const PRESET: &str = "llama-3.1-8b-h100";
/// Classes of a log that become the preset's: more are one.
const CLASSES_MAX: usize = 32;
/// Their name then, and that of a log without classes.
const ALL: &str = "all";

/// A scenario whose arrivals are the log's.
pub(super) struct World {
    pub scenario: Scenario,
    pub classes: Classes,
    pub clients: Clients,
    /// What a person should be told.
    pub remarks: Vec<String>,
    /// Whether rows without a class may be there.
    pub some_have_no_class: bool,
    /// Whether the cohort is the whole log: no warm-up.
    pub counts_all: bool,
}

impl World {
    /// From when on requests are counted, after the first of them.
    pub fn warmup(&self) -> Span {
        match self.scenario.run.warmup {
            Warmup::Time(span) => span,
            Warmup::Mser5 => Span::ZERO, // `warm_up` leaves none
        }
    }
}

/// The scenario that is named, if one is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn load(arguments: &Arguments) -> Result<Option<Scenario>, Failure> {
    let load = |path: &PathBuf| Scenario::load(path, &arguments.sets);
    Ok(arguments.scenario.as_ref().map(load).transpose()?)
}

/// Builds it from the scenario, or from a preset.
///
/// # Errors
/// Settings that are wrong or do not go with the scenario, a log without a request, classes that the scenario lacks.
pub(super) fn build(
    arguments: &Arguments,
    scenario: Option<Scenario>,
    survey: &Survey,
    clients: Clients,
    seed: u64,
) -> Result<World, Failure> {
    if survey.replayed == 0 {
        return Err(Failure::Input(nothing(survey)));
    }
    may_run(survey)?;
    let mut remarks = survey.oddities();
    let mut scenario = scenario.map_or_else(|| preset(survey), Ok)?;
    let policies = arguments.policies.iter().map(|path| policy(path, &mut remarks)).collect::<Result<Vec<_>, _>>()?;
    scenario.run.seed = seed;
    let policies = distinct(&arguments.policies, policies, &mut remarks);
    let (asked, lasting) = (policies.len(), survey.lasting());
    scenario.replay(LOG, lasting, policies)?;
    if scenario.variants.len() < asked {
        remarks.push(format!("{} of the settings do the same as others here, and run once.", asked - scenario.variants.len()));
    }
    if clients == Clients::AsLogged {
        as_logged(&mut scenario);
    }
    warm_up(&mut scenario, lasting, &mut remarks);
    let names: Vec<&str> = scenario.variants[0].classes.iter().map(|class| class.name.as_str()).collect();
    let one = arguments.class.as_deref().or((arguments.scenario.is_none() && names == [ALL]).then_some(ALL));
    let classes = Classes::find(&survey.classes, &names, one).map_err(|error| refused(&error))?;
    let counts_all = scenario.run.warmup == Warmup::Time(Span::ZERO);
    let some_have_no_class = arguments.class.is_none();
    Ok(World { scenario, classes, clients, remarks, some_have_no_class, counts_all })
}

/// Makes sure that a log is not too long to be run.
///
/// # Errors
/// That it is, and where its time goes.
pub(in crate::cli) fn may_run(survey: &Survey) -> Result<(), Failure> {
    let help = "take a part of it: `--window FROM..TO`, or `plimsoll trace slice`";
    survey.too_long().map_or(Ok(()), |why| Err(Failure::Input(format!("{why}\n  = {help}"))))
}

fn nothing(survey: &Survey) -> String {
    let said = survey.accounts.sentences().join("; ");
    format!("{} has no request that could be replayed: {said}", survey.head.file)
}

fn refused(error: &ClassesError) -> Failure {
    let help = "  = give the scenario classes of these names, or put all rows into one with --class NAME";
    Failure::Input(format!("{error}\n{help}"))
}

/// The shipped preset, with the log's own classes.
fn preset(survey: &Survey) -> Result<Scenario, Failure> {
    let own = &survey.classes;
    let fits = !own.is_empty() && own.len() <= CLASSES_MAX && !own.iter().any(|name| name == OTHERS);
    let names = if fits { own.clone() } else { vec![ALL.to_owned()] };
    let class = |name: &String| format!("[[class]]\nname = {}\n", toml::Value::String(name.clone()));
    let text = format!(
        "schema = 1\n[upstream]\nkind = \"vllm\"\npreset = \"{PRESET}\"\n[arrival]\nprocess = \"constant\"\nrate = 1\n{}",
        names.iter().map(class).collect::<String>()
    );
    let mut scenario = Scenario::parse(PRESET, &text, &[])?;
    PRESET.clone_into(&mut scenario.name); // it is no file, whose ending would be cut off
    Ok(scenario)
}

/// A settings file, by the name of the file.
fn policy(path: &Path, remarks: &mut Vec<String>) -> Result<(String, Settings), Failure> {
    let name = path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.display().to_string());
    match holds(path) {
        Holds::Environment => {
            let (settings, lost) = env_settings(path)?;
            remarks.extend(lost);
            Ok((name, settings))
        }
        Holds::Settings | Holds::Scenario => read_settings(path).map(|settings| (name, settings)).map_err(|wrong| {
            let help = "  = --policy takes settings alone, as `plimsoll tune` and `plimsoll export --as toml` write them";
            Failure::Input(format!("--policy {}:\n{wrong}{help}", path.display()))
        }),
    }
}

/// Those that differ, each once, under names that differ: of files of one name the later ones are called by their paths.
fn distinct(paths: &[PathBuf], policies: Vec<(String, Settings)>, remarks: &mut Vec<String>) -> Vec<(String, Settings)> {
    let mut named: Vec<(String, Settings)> = Vec::new();
    for (path, (name, settings)) in paths.iter().zip(policies) {
        if let Some((same, _)) = named.iter().find(|(_, other)| *other == settings) {
            remarks.push(format!("The settings of `{}` are those of \"{same}\", and run once.", path.display()));
            continue;
        }
        let taken = named.iter().any(|(other, _)| *other == name);
        named.push((if taken { path.display().to_string() } else { name }, settings));
    }
    named
}

/// A recording is no stationary process: there is nothing to find a warm-up by.
fn warm_up(scenario: &mut Scenario, lasting: Span, remarks: &mut Vec<String>) {
    let why = match scenario.run.warmup {
        Warmup::Mser5 => "a recording is not stationary, so that no warm-up is looked for in it",
        Warmup::Time(span) if span >= lasting => "the scenario's warm-up is longer than the recording, and left out",
        Warmup::Time(Span::ZERO) => return,
        Warmup::Time(span) => {
            remarks.push(format!("The first {span} of the recording are replayed and counted on neither side (run.warmup)."));
            return;
        }
    };
    scenario.run.warmup = Warmup::Time(Span::ZERO);
    remarks.push(format!("Everything is counted from the first row on: {why}."));
}

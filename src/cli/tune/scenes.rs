//! The scenarios that settings are tuned for: the one that asks, others beside it, one for each trace.

use std::path::{Path, PathBuf};

use super::{Arguments, traces};
use crate::cli::Failure;
use crate::scenario::{Scenario, TuneSettings};
use crate::workload::Rows;

/// A scenario, not yet prepared.
#[derive(Debug)]
pub(super) struct Place {
    /// What people call it.
    pub name: String,
    pub scenario: Scenario,
    /// Whether nothing may be chosen by it.
    pub held_out: bool,
    /// The files that it is read from.
    pub inputs: Vec<PathBuf>,
    /// The recordings in it that were read already.
    pub given: Vec<(String, Rows)>,
}

/// All of them, the one that asks first; with traces, one of them takes its place.
///
/// # Errors
/// A file that cannot be read, a scenario that is wrong or cannot have a trace, a held-out name that is none.
pub(super) fn find(arguments: &Arguments, scenario: &Scenario, settings: &TuneSettings) -> Result<Vec<Place>, Failure> {
    let mut places = if settings.traces.is_empty() {
        vec![place(arguments, scenario.name.clone(), scenario.clone())]
    } else {
        traces::places(arguments, scenario, settings)?
    };
    once_each(arguments, settings)?;
    for name in &settings.also {
        let path = resolved(arguments, name, &arguments.also);
        let mut other = Scenario::load(&path, &[])?;
        other.run.seed = scenario.run.seed;
        let mut place = place(arguments, name.clone(), other);
        place.inputs.push(path);
        places.push(place);
    }
    hold_out(&mut places, settings)?;
    Ok(places)
}

pub(super) fn place(arguments: &Arguments, name: String, scenario: Scenario) -> Place {
    let inputs = arguments.scenario.inputs(&scenario);
    Place { name, scenario, held_out: false, inputs, given: Vec::new() }
}

/// Where a file lies that the scenario names, relative to itself, or that was typed.
pub(super) fn resolved(arguments: &Arguments, name: &str, typed: &[PathBuf]) -> PathBuf {
    if typed.iter().any(|path| path.display().to_string() == name) {
        return PathBuf::from(name);
    }
    arguments.scenario.scenario.parent().unwrap_or(Path::new("")).join(name)
}

/// Makes sure that no file is there twice: what is held out must not count under another name.
fn once_each(arguments: &Arguments, settings: &TuneSettings) -> Result<(), Failure> {
    let traces = settings.traces.iter().map(|name| (name, resolved(arguments, name, &arguments.traces)));
    let also = settings.also.iter().map(|name| (name, resolved(arguments, name, &arguments.also)));
    let own = std::iter::once(arguments.scenario.scenario.clone());
    let canonical = |path: PathBuf| std::fs::canonicalize(&path).unwrap_or(path);
    let mut seen: Vec<PathBuf> = own.map(canonical).collect();
    for (name, path) in traces.chain(also) {
        let path = canonical(path);
        if seen.contains(&path) {
            return Err(Failure::Input(format!("`{name}` is there twice\n  = name each scenario and trace once")));
        }
        seen.push(path);
    }
    Ok(())
}

/// Marks what is held out.
fn hold_out(places: &mut [Place], settings: &TuneSettings) -> Result<(), Failure> {
    let stretch = traces::stretch(settings); // is a place of its own already
    for name in settings.held_out().into_iter().filter(|name| name != traces::NONE && stretch != Some(name)) {
        match places.iter().position(|place| place.name == name) {
            Some(0) => {
                let help = "  = the search needs it: hold out another";
                return Err(Failure::Input(format!("`{name}` is the first, and cannot be held out\n{help}")));
            }
            Some(index) => places[index].held_out = true,
            None => return Err(Failure::Input(nothing_called(&name, places, settings))),
        }
    }
    Ok(())
}

/// What could be held out instead of `name`.
fn nothing_called(name: &str, places: &[Place], settings: &TuneSettings) -> String {
    let names: Vec<String> = places.iter().skip(1).map(|place| format!("`{}`", place.name)).collect();
    let known = match (&names[..], settings.traces.len()) {
        ([], 0) => {
            "there is nothing beside the scenario: name other scenarios (`--also`) or traces (`--trace`) first".to_owned()
        }
        ([], _) => format!("of one trace a stretch of time can be, such as `40m..50m`, or nothing (`{}`)", traces::NONE),
        (names, 1) => format!("{} can, or a stretch of the trace, such as `40m..50m`", names.join(", ")),
        (names, _) => format!("{} can", names.join(", ")),
    };
    format!("`{name}` cannot be held out: nothing is called that\n  = {known}")
}

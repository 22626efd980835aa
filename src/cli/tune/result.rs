//! The result of a search: what every command prints of a run, here of today's and the recommended settings, with the
//! search's own part beside it.

use serde::Serialize;

use super::search::Found;
use crate::cli::common::load_report;
use crate::cli::publish;
use crate::report::draw::{self, Drawn, Frame};
use crate::report::{ClassShare, Envelope, Tuning};
use crate::scenario::TuneSettings;
use crate::tune::Tuned;

/// Version of the result's shape.
const SCHEMA: &str = "plimsoll.tune/1";

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    run: Envelope,
    tune: Part<'a>,
}

#[derive(Serialize)]
struct Part<'a> {
    variant: &'a str,
    /// Names of the scenarios that it was made for, as the cases count them.
    scenes: &'a [String],
    settings: &'a TuneSettings,
    parameters: Vec<&'a str>,
    current: &'a [Option<String>],
    recommended: Option<Vec<String>>,
    /// Which of several futures the figures of the whole run, and the plots of both settings, are of.
    figures_of: Option<&'a str>,
    /// Who pays, by class, in that future.
    classes: Vec<ClassShare>,
    /// For each objective 1 where more is better. Where less is, -1: a search makes everything large, so that figures of it are
    /// negated.
    directions: Vec<f64>,
    #[serde(flatten)]
    tuned: &'a Tuned,
}

/// One JSON object.
pub(super) fn json(settings: &TuneSettings, tuning: &Tuning<'_>, found: &Found) -> String {
    let outcome = &found.tuned.outcome;
    let load = found.scenes[0].prepared.capacity.as_ref().map(load_report);
    let run = Envelope { schema: SCHEMA.to_owned(), ..Envelope::new(tuning.scenario, tuning.seed, load, &found.beside) };
    let tune = Part {
        variant: tuning.variant,
        scenes: tuning.scenes,
        settings,
        parameters: tuning.task.space.parameters().iter().map(|parameter| parameter.path.as_str()).collect(),
        current: tuning.current,
        directions: tuning.task.objectives.iter().map(|objective| objective.sign).collect(),
        figures_of: tuning.figures_of,
        classes: tuning.classes(),
        recommended: outcome.choice.map(|choice| tuning.task.sets(outcome.point(choice))),
        tuned: &found.tuned,
    };
    serde_json::to_string(&Report { run, tune }).expect("text, numbers and lists can be written")
}

/// The search's plots, then those of today's and the recommended settings beside each other.
pub(super) fn drawn(tuning: &Tuning<'_>, found: &Found) -> Drawn {
    let scene = &found.scenes[0];
    let mut drawn = draw::tuning(tuning);
    // A run that had to be broken off shows nothing that holds.
    if found.beside.variants.iter().all(|variant| variant.halted.is_none()) {
        let frame = publish::frame(&scene.scenario, &scene.prepared, &[]);
        let name = tuning.figures_of.map_or(frame.scenario.to_owned(), |future| format!("{}, {future} alone", frame.scenario));
        draw::beside(&found.beside, &Frame { scenario: &name, ..frame }, &mut drawn);
    }
    drawn
}

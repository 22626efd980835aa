//! From results to plots: pure functions that pick what is worth a picture out of a run, a search for load lines, or a tuning.
//!
//! What a result does not hold is not drawn: there is no picture of nothing, and [`Drawn::left_out`] says what is missing and
//! why. A plot that its own kind refuses (no finite figure at all) is left out the same way.

mod calibration;
mod capacity;
mod course;
mod fairness;
mod latency;
mod loads;
mod overlay;
mod rejection;
mod replay;
mod timeline;
mod tuning;
mod tuning_cases;
mod tuning_sets;

#[cfg(test)]
mod tests;

use super::format::{count, number};
use super::plot::{Estimate, Head, Plot, PlotError};
use crate::journal::summary::{LEVEL, Summary, VariantSummary};
use crate::stats::{Replicated, significant};

pub use calibration::calibration;
pub use capacity::capacity;
pub use overlay::{Look, overlay};
pub use replay::{Beside, replay};
pub use tuning::tuning;

/// Plots of values that a sweep gave: more of them tell nothing more.
const GROUPS_MAX: usize = 3;

/// What plots must know beside the figures.
#[derive(Clone, Debug, Default)]
pub struct Frame<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// The seed of all randomness.
    pub seed: u64,
    /// Load 1.0 in requests a second, and what it is the capacity of, where it was measured.
    pub capacity: Option<(f64, String)>,
    /// For each variant of the result, in its order.
    pub variants: Vec<Place>,
    /// For each class, in the scenario's order.
    pub slos: Vec<Slo>,
}

/// Where a variant stands among the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The variant's name without the sweep's value.
    pub of: String,
    /// The value that a sweep gave it.
    pub at: Option<Swept>,
}

/// A sweep's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Swept {
    /// Load, as a share of load 1.0.
    Load(f64),
    /// Requests a second of all arrivals.
    Rate(f64),
    /// Load or rate of a part of the arrivals, as its name says.
    Part(String),
    /// Anything else, as its name says.
    Other(String),
}

/// A class's objectives, in seconds.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Slo {
    /// Time to first token.
    pub ttft_s: Option<f64>,
    /// End to end.
    pub e2e_s: Option<f64>,
}

/// The plots of a result, the most telling first.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// The plots; their names are all different.
    pub plots: Vec<Plot>,
    /// What was left out and why, a sentence each.
    pub left_out: Vec<String>,
}

impl Drawn {
    fn add(&mut self, plot: Result<Plot, PlotError>) {
        match plot {
            Ok(plot) => self.plots.push(plot),
            Err(why) => self.left_out.push(format!("Left out: {why}.")),
        }
    }

    fn leave_out(&mut self, why: impl Into<String>) {
        self.left_out.push(why.into());
    }
}

/// What `summary` shows of two or more settings beside each other, for a result that is not about its figures: latencies, the
/// first replication over time, graduated rejection.
pub fn beside(summary: &Summary, frame: &Frame<'_>, drawn: &mut Drawn) {
    latency::draw(summary, frame, drawn);
    timeline::draw(summary, frame, drawn);
    rejection::draw(summary, frame, drawn);
}

/// The plots of a run.
#[must_use]
pub fn run(summary: &Summary, frame: &Frame<'_>) -> Drawn {
    let mut drawn = Drawn::default();
    loads::draw(summary, frame, &mut drawn);
    latency::draw(summary, frame, &mut drawn);
    timeline::draw(summary, frame, &mut drawn);
    fairness::draw(summary, frame, &mut drawn);
    rejection::draw(summary, frame, &mut drawn);
    drawn
}

/// Variants that met the same requests, with their names in a picture of their own.
struct Group<'a> {
    /// The sweep's value, in words; empty where there is none.
    at: String,
    /// Each with its place among all variants.
    variants: Vec<(&'a str, &'a VariantSummary)>,
}

impl Group<'_> {
    /// `, at 60 %`, or nothing.
    fn suffix(&self) -> String {
        if self.at.is_empty() { String::new() } else { format!(", {}", self.at) }
    }
}

impl Frame<'_> {
    fn place(&self, index: usize) -> &Place {
        const NOWHERE: &Place = &Place { of: String::new(), at: None };
        self.variants.get(index).unwrap_or(NOWHERE)
    }

    /// What a picture calls the variant.
    fn name<'a>(&'a self, index: usize, variant: &'a VariantSummary) -> &'a str {
        match self.place(index) {
            Place { at: Some(_), of } if !of.is_empty() => of,
            _ => &variant.name,
        }
    }

    /// The variants by the sweep's value, in order.
    fn groups<'a>(&'a self, summary: &'a Summary) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (index, variant) in summary.variants.iter().enumerate() {
            let at = self.place(index).at.as_ref().map_or(String::new(), Swept::words);
            let name = self.name(index, variant);
            match groups.iter_mut().find(|group| group.at == at) {
                Some(group) => group.variants.push((name, variant)),
                None => groups.push(Group { at, variants: vec![(name, variant)] }),
            }
        }
        groups
    }

    /// Seed and replications, for captions.
    fn caption(&self, replications: usize, what: &str) -> String {
        let many = if replications == 1 { "" } else { "s" };
        let run = format!("{}, seed {}, {} replication{many}.", self.scenario, self.seed, count(replications as u64));
        format!("{run} {what}").trim().to_owned()
    }
}

/// The first, one in the middle and the last: of many, those that differ most.
fn spread<T>(all: Vec<T>) -> Vec<T> {
    let count = all.len();
    if count <= GROUPS_MAX {
        return all;
    }
    let kept = [0, count / 2, count - 1];
    all.into_iter().enumerate().filter(|(i, _)| kept.contains(i)).map(|(_, one)| one).collect()
}

impl Swept {
    fn words(&self) -> String {
        match self {
            Self::Load(load) => format!("at {} % load", significant(100.0 * load, 6)),
            Self::Rate(rate) => format!("at {} requests/s", number(*rate)),
            Self::Part(name) | Self::Other(name) => format!("at {name}"),
        }
    }

    fn is_load(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

/// A mean with its interval, `scale` times.
fn estimate(figure: &Replicated, scale: f64) -> Estimate {
    let interval = figure.interval(LEVEL);
    let end = |of: fn(&crate::stats::Interval) -> f64| interval.as_ref().map_or(f64::NAN, |interval| scale * of(interval));
    Estimate { mean: scale * figure.mean, lo: end(|interval| interval.lo), hi: end(|interval| interval.hi) }
}

/// Requests offered a second of the measured time; `None` where there was none.
fn offered_rps(variant: &VariantSummary) -> Option<f64> {
    (variant.window_s > 0.0).then(|| variant.counts.offered as f64 / variant.window_s)
}

fn head(name: impl Into<String>, title: impl Into<String>, caption: String) -> Head {
    Head { name: name.into(), title: title.into(), caption }
}

//! A replayed log: what was recorded beside what every policy would have made of the same arrivals.

mod json;
mod text;
mod words;

use crate::journal::summary::{Counts, Summary, VariantSummary};
use crate::replay::{Clients, Course, Measured, Survey, Window};
use crate::time::Time;

pub use words::clock;

/// What the recorded side is called beside the variants.
pub const RECORDED: &str = "recorded";
/// Windows that are told of.
pub const WINDOWS: usize = 5;

/// Everything that is told of a replay.
#[derive(Debug)]
pub struct Replayed<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// Whether nobody named a scenario, so that a shipped preset stands for the world.
    pub assumed: bool,
    /// The seed.
    pub seed: u64,
    /// Who decides about patience and retries.
    pub clients: Clients,
    /// The class that all rows were put into, where somebody said so.
    pub class: Option<&'a str>,
    /// The scenario's first class, which rows without a class are of, where the scenario has others.
    pub first_class: Option<&'a str>,
    /// What there is in the log.
    pub survey: &'a Survey,
    /// What it says became of its requests, where it does.
    pub measured: Option<&'a Measured>,
    /// What every policy makes of them.
    pub summary: &'a Summary,
    /// Whether any class says what is good; else complete is.
    pub has_slo: bool,
    /// What may be drawn in the world.
    pub chances: &'a [&'static str],
    /// What a person should be told about the preparation.
    pub remarks: &'a [String],
    /// Where what became of the requests differs most.
    pub windows: &'a [Window],
}

/// What is compared over time: each variant's first replication; of one alone, with the log's own course, where it has one.
#[must_use]
pub fn courses(measured: Option<&Measured>, summary: &Summary) -> Vec<Course> {
    let recorded = measured.filter(|_| summary.variants.len() == 1).map(|measured| Course {
        name: RECORDED.to_owned(),
        offered: measured.offered.clone(),
        good: measured.good.clone(),
        answered: measured.answered.clone(),
        e2e_s: measured.e2e_s.clone(),
    });
    recorded.into_iter().chain(summary.variants.iter().filter_map(simulated)).collect()
}

fn simulated(variant: &VariantSummary) -> Option<Course> {
    let series = &variant.timeline.as_ref()?.series;
    Some(Course {
        name: variant.name.clone(),
        offered: series.offered.clone(),
        good: series.good.clone(),
        answered: series.answered.clone(),
        e2e_s: series.answered.iter().copied().zip(series.e2e_s.iter().copied()).collect(),
    })
}

/// The columns that a log can have too, as counts; what only one of the two can have is 0 in the other.
#[must_use]
pub fn columns(counts: &Counts) -> [(&'static str, u64); 9] {
    [
        ("good", counts.good),
        ("late", counts.late),
        ("degraded", counts.degraded),
        ("rejected", counts.rejected.iter().sum()),
        ("timed out", counts.timed_out),
        ("gave up", counts.gave_up),
        ("failed", counts.failed.iter().sum()),
        ("in flight", counts.in_flight),
        ("not said", 0),
    ]
}

/// The same of a log.
#[must_use]
pub fn recorded_columns(measured: &Measured) -> [(&'static str, u64); 9] {
    let of = &measured.outcomes;
    [
        ("good", of.good),
        ("late", of.late),
        ("degraded", 0),
        ("rejected", of.rejected),
        ("timed out", of.timed_out),
        ("gave up", of.gave_up),
        ("failed", of.failed),
        ("in flight", 0),
        ("not said", of.unknown),
    ]
}

impl Replayed<'_> {
    /// A time of the run on the log's own clock.
    fn at(&self, time: Time) -> String {
        let began = self.survey.began_unix_ns();
        let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        began.map_or_else(|| format!("{:.1} s", time.as_secs_f64()), |began| clock(began.saturating_add(nanos)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::summary::Context;
    use crate::journal::summary::fixtures::{full_class, tally};
    use crate::journal::summary::summarise;

    #[test]
    fn the_columns_add_up() {
        let context = Context { classes: vec!["a".to_owned()], ..Context::default() };
        let tallies = [tally(vec![full_class()], 1)];
        let summary = summarise(&[("base", &tallies)], &context);
        let counts = &summary.variants[0].counts;
        assert_eq!(columns(counts).iter().map(|(_, n)| n).sum::<u64>(), counts.offered);
    }
}

//! From tallies to the published figures: counts, metrics with their intervals, labels, recovery, paired differences.
//!
//! Replications go in one by one, in their own order, and can be dropped after that: what is kept of each is a few numbers, so
//! that memory does not grow with the length of the runs. Conservation (INV-1) and the integral of the number in system
//! (INV-10) are asserted for every replication that comes in.

mod abandoned;
mod bound;
mod counts;
mod detail;
mod groups;
mod label;
mod measure;
mod metered;
mod metrics;
mod paired;
mod recovery;
mod rejections;
mod warmup;

pub use abandoned::Abandoned;
pub use bound::{Bound, Relation};
pub use counts::{Counts, RunCounts};
pub use detail::{Timeline, curve};
pub use groups::{Group, groups};
pub use label::{Evidence, Label, label};
pub use measure::{Measure, MeasureKind, Placed};
pub use metered::{MeteredSummary, Multiplier};
pub use metrics::{LatencyMetric, Metrics, RunMetrics};
pub use paired::{ALL_PAIRS_MAX, LEVEL, Paired, PairedMetric, compare};
pub use recovery::{BACK, HOLD, Recovery, Spike, seconds_to_recover};
pub use rejections::{RejectionCurve, RejectionShare};
pub use warmup::{WarmUp, warm_up};

use super::{Digest, Halt, Tally};
use metered::MeteredRows;
use metrics::{MetricRows, RunRows};
use rejections::RejectionRows;

/// What a summary needs to know beside the tallies.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Names of the classes, as the scenario orders them.
    pub classes: Vec<String>,
    /// Load 1.0 in requests a second, if it was measured: sharpens the labels.
    pub capacity_rps: Option<f64>,
    /// Spikes to time the recovery from, in order of time; empty for none.
    pub spikes: Vec<Spike>,
    /// The class with the shortest answers of those that are never grounded, by index: who waits behind heavy calls.
    pub lightest: Option<usize>,
    /// Whether to keep what plots need besides the figures: distributions of latencies, the first replication's time series.
    pub detailed: bool,
}

/// All variants of one scenario.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Replications of each variant.
    pub replications: usize,
    /// The variants' digests, folded in order.
    pub digest: u64,
    /// The variants, the baseline first.
    pub variants: Vec<VariantSummary>,
    /// Their differences.
    pub paired: Vec<Paired>,
}

/// One variant over its replications.
#[derive(Clone, Debug)]
pub struct VariantSummary {
    /// Its name.
    pub name: String,
    /// The replications' digests, folded in order.
    pub digest: u64,
    /// Measured time, all replications together, seconds.
    pub window_s: f64,
    /// How it coped with its load.
    pub label: LabelSummary,
    /// Over all classes.
    pub counts: Counts,
    /// Known of the whole run only; `None` where nobody could look into gateway and upstream.
    pub run_counts: Option<RunCounts>,
    /// Over all classes.
    pub metrics: Metrics,
    /// Known of the whole run only.
    pub run_metrics: RunMetrics,
    /// By class, in the scenario's order.
    pub classes: Vec<ClassSummary>,
    /// From each spike.
    pub recovery: Vec<Recovery>,
    /// Abandoned calls over time, in the first replication; empty where there never were any.
    pub abandoned: Abandoned,
    /// What the policies in front of a metered API did; `None` where there are none.
    pub metered: Option<MeteredSummary>,
    /// The first replication over time, where [`Context::detailed`] asks for it.
    pub timeline: Option<Timeline>,
    /// How graduated rejection decided, where it is not off and [`Context::detailed`] asks for it.
    pub rejections: Option<RejectionCurve>,
    /// Why the first such replication was broken off: nothing here is valid then.
    pub halted: Option<Halt>,
}

impl VariantSummary {
    /// What only who looks into the upstream can say, in words.
    pub const FROM_INSIDE: &str = "wait for service, requests waiting, utilisation, tokens wasted, abandoned calls";

    /// Takes out what only who looks into the upstream can say ([`Self::FROM_INSIDE`]): of a real server's run it would be 0 and
    /// untrue.
    #[must_use]
    pub fn from_outside(mut self) -> Self {
        let classes = self.classes.iter_mut().map(|class| &mut class.metrics);
        for metrics in classes.chain([&mut self.metrics]) {
            metrics.wait = LatencyMetric::default();
            metrics.wait_probability = None;
            metrics.wasted_tokens = None;
            metrics.wasted_fraction = None;
        }
        self.run_metrics.queue_len = None;
        self.run_metrics.utilisation = None;
        self.run_counts = None;
        self.abandoned = Abandoned::default();
        self
    }
}

/// One class of one variant.
#[derive(Clone, Debug)]
pub struct ClassSummary {
    /// Its name.
    pub name: String,
    /// Its counts.
    pub counts: Counts,
    /// Its metrics.
    pub metrics: Metrics,
}

/// Labels of a variant's replications.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSummary {
    /// What was found of each replication, in order.
    pub each: Vec<(Label, Evidence)>,
}

impl LabelSummary {
    /// The label of the variant: the worst that at least half of the replications reach. `None` without replications.
    #[must_use]
    pub fn overall(&self) -> Option<Label> {
        let at_least = |label: Label| self.each.iter().filter(|(one, _)| *one >= label).count();
        Label::ALL.into_iter().rev().find(|label| !self.each.is_empty() && 2 * at_least(*label) >= self.each.len())
    }

    /// How many replications have `label`.
    #[must_use]
    pub fn count(&self, label: Label) -> usize {
        self.each.iter().filter(|(one, _)| *one == label).count()
    }

    /// Mean over replications of one part of the evidence; `None` where no replication has it.
    #[must_use]
    pub fn mean(&self, of: impl Fn(&Evidence) -> Option<f64>) -> Option<f64> {
        crate::stats::mean(&self.each.iter().filter_map(|(_, evidence)| of(evidence)).collect::<Vec<_>>())
    }
}

/// Gathers one variant, replication by replication.
#[derive(Debug)]
pub struct VariantBuilder<'a> {
    context: &'a Context,
    name: String,
    digest: Digest,
    window_s: f64,
    counts: Counts,
    run_counts: RunCounts,
    rows: MetricRows,
    run_rows: RunRows,
    classes: Vec<(Counts, MetricRows)>,
    label: LabelSummary,
    recovery: Vec<Recovery>,
    abandoned: Abandoned,
    metered: MeteredRows,
    timeline: Option<Timeline>,
    rejections: RejectionRows,
    halted: Option<Halt>,
}

impl<'a> VariantBuilder<'a> {
    /// A variant without replications.
    #[must_use]
    pub fn new(name: &str, context: &'a Context) -> Self {
        Self {
            context,
            name: name.to_owned(),
            digest: Digest::default(),
            window_s: 0.0,
            counts: Counts::default(),
            run_counts: RunCounts::default(),
            rows: MetricRows::default(),
            run_rows: RunRows::default(),
            classes: context.classes.iter().map(|_| Default::default()).collect(),
            label: LabelSummary::default(),
            recovery: context.spikes.iter().map(|spike| Recovery::new(*spike)).collect(),
            abandoned: Abandoned::default(),
            metered: MeteredRows::default(),
            timeline: None,
            rejections: RejectionRows::default(),
            halted: None,
        }
    }

    /// Adds the next replication. The order counts: replications are folded into the digest, and paired with other variants'.
    ///
    /// # Panics
    /// Where the tally breaks conservation (INV-1) or its integral (INV-10), or has other classes than the context.
    pub fn add(&mut self, tally: &Tally) {
        assert_eq!(tally.classes.len(), self.classes.len(), "a tally has the scenario's classes");
        let window = &tally.window;
        let window_s = (window.end - window.start).as_secs_f64();
        for (class, (counts, rows)) in tally.classes.iter().zip(&mut self.classes) {
            counts.add(class);
            self.counts.add(class);
            rows.add(std::slice::from_ref(class), window_s);
            rows.pool(class);
        }
        self.rows.add(&tally.classes, window_s);
        self.run_counts.add(tally);
        self.run_rows.add(tally);
        self.metered.add(tally, window_s);
        self.digest.fold(tally.digest);
        self.window_s += window_s;
        if self.label.each.is_empty() {
            self.abandoned = Abandoned::of(&tally.series, window.end);
            let course = tally.watched.as_ref().and_then(|watched| watched.course.clone());
            self.timeline = self.context.detailed.then(|| Timeline { window: *window, series: tally.series.clone(), course });
        }
        self.rejections.add(tally);
        self.halted = self.halted.or(tally.halted);
        self.label.each.push(label(&tally.series, window, self.context.capacity_rps));
        for (which, recovery) in self.recovery.iter_mut().enumerate() {
            recovery.add(&tally.series, window, &self.context.spikes, which);
        }
    }

    /// The figures.
    #[must_use]
    pub fn finish(mut self) -> VariantSummary {
        for (_, rows) in &self.classes {
            self.rows.pool_all(rows);
        }
        let classes = self.context.classes.iter().zip(self.classes);
        let detailed = self.context.detailed;
        VariantSummary {
            name: self.name,
            halted: self.halted,
            digest: self.digest.value(),
            window_s: self.window_s,
            label: self.label,
            counts: self.counts,
            run_counts: Some(self.run_counts),
            metrics: self.rows.finish(detailed),
            run_metrics: self.run_rows.finish(),
            classes: classes
                .map(|(name, (counts, rows))| ClassSummary { name: name.clone(), counts, metrics: rows.finish(detailed) })
                .collect(),
            recovery: self.recovery,
            abandoned: self.abandoned,
            metered: self.metered.finish(self.context.lightest),
            timeline: self.timeline,
            rejections: self.rejections.finish(),
        }
    }
}

/// Sums up all variants, the baseline first. Replication r of each variant met the same requests as replication r of any other.
#[must_use]
pub fn summarise(variants: &[(&str, &[Tally])], context: &Context) -> Summary {
    let summaries = variants.iter().map(|(name, tallies)| {
        let mut builder = VariantBuilder::new(name, context);
        tallies.iter().for_each(|tally| builder.add(tally));
        builder.finish()
    });
    Summary::of(summaries.collect())
}

impl Summary {
    /// Puts finished variants together, the baseline first.
    #[must_use]
    pub fn of(variants: Vec<VariantSummary>) -> Self {
        let mut digest = Digest::default();
        for variant in &variants {
            digest.fold(variant.digest);
        }
        let replications = variants.iter().map(|variant| variant.label.each.len()).max().unwrap_or(0);
        Self { replications, digest: digest.value(), paired: compare(&variants), variants }
    }

    /// The variant called `name`.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&VariantSummary> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

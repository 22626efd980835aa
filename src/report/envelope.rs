//! The machine-readable result: one JSON object, the same shape from every command.
//!
//! `{"schema","scenario","seed","replications","digest","variants":[...],"paired":[...]}`, with `load` before `variants` where
//! it was measured. Seeds and digests are strings (JSON readers keep 53 bits of a number); what is empty is null; times are
//! seconds; every `ci95` is a 95 % interval over replications, null with fewer than two. A command with more to say puts its
//! own part beside it:
//!
//! ```
//! # use plimsoll::report::Envelope;
//! #[derive(serde::Serialize)]
//! struct Tuned {
//!     #[serde(flatten)]
//!     envelope: Envelope,
//!     tune: Vec<String>,
//! }
//! ```

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::fairness::{self, Shares};
use super::metered::MeteredReport;
use crate::journal::summary::{
    ClassSummary, Counts, LEVEL, Label, LatencyMetric, Metrics, Paired, Recovery, RunCounts, RunMetrics, Summary,
    VariantSummary,
};
use crate::stats::{Interval, Replicated, significant};

/// Version of the shape; a change that breaks readers changes it.
pub const SCHEMA: &str = "plimsoll.run/1";

/// Significant digits of golden files (the platforms' mathematics agrees on these).
const GOLDEN_DIGITS: usize = 9;

/// One command's result.
#[derive(Clone, Debug, Serialize)]
pub struct Envelope {
    /// [`SCHEMA`].
    pub schema: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed, in decimal.
    pub seed: String,
    /// Replications of each variant.
    pub replications: usize,
    /// The variants' digests folded in order, 16 hexadecimal digits.
    pub digest: String,
    /// What load 1.0 stands for, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadReport>,
    /// The variants, the baseline first.
    pub variants: Vec<VariantReport>,
    /// Their differences, `b` minus `a`.
    pub paired: Vec<PairedReport>,
}

/// What load 1.0 stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Completions a second of the closed loop: load 1.0.
    pub capacity_rps: f64,
    /// Whose capacity: `upstream` or `slots`.
    pub of: String,
    /// Clients in that loop.
    pub clients: u32,
}

/// One variant.
#[derive(Clone, Debug, Serialize)]
pub struct VariantReport {
    /// Its name.
    pub name: String,
    /// The replications' digests folded in order, 16 hexadecimal digits.
    pub digest: String,
    /// How it coped with its load; null without replications.
    pub label: Option<Label>,
    /// Requests, summed over replications.
    pub counts: CountsReport,
    /// Over all classes.
    pub metrics: MetricsReport,
    /// What the policies in front of a metered API did; null where there are none.
    pub metered: Option<MeteredReport>,
    /// How long goodput took to come back after each spike; absent without spikes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recovery_s: Vec<RecoveryReport>,
    /// Jain's index over the classes' shares of good requests; null where fewer than two offered anything or none was good.
    pub fairness_jain: Option<f64>,
    /// By class.
    pub classes: Ordered<ClassReport>,
}

/// One class of a variant.
#[derive(Clone, Debug, Serialize)]
pub struct ClassReport {
    /// As for the variant; what is known of the whole run only is null.
    pub counts: CountsReport,
    /// As for the variant; what is known of the whole run only is null.
    pub metrics: MetricsReport,
    /// Its share of all requests offered.
    pub demand_share: Option<f64>,
    /// Its share of all good requests.
    pub goodput_share: Option<f64>,
}

/// A JSON object whose keys keep their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ordered<V>(pub Vec<(String, V)>);

impl<V: Serialize> Serialize for Ordered<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// What became of the requests: the eight columns after `offered` add up to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)] // as in `Counts` and `RunCounts`
pub struct CountsReport {
    pub offered: u64,
    pub good: u64,
    pub late: u64,
    pub degraded: u64,
    /// The reasons that occurred.
    pub rejected: Ordered<u64>,
    pub timed_out: u64,
    pub gave_up: u64,
    /// The causes that occurred.
    pub failed: Ordered<u64>,
    pub in_flight: u64,
    pub attempts: u64,
    pub retried: u64,
    pub policy_degraded: Option<u64>,
    pub abandoned_counted_max: Option<f64>,
    pub abandoned_true_max: Option<u32>,
}

impl CountsReport {
    fn new(counts: &Counts, run: Option<&RunCounts>) -> Self {
        Self {
            offered: counts.offered,
            good: counts.good,
            late: counts.late,
            degraded: counts.degraded,
            rejected: Ordered(counts.rejected_by_reason().map(|(reason, n)| (reason.name().to_owned(), n)).collect()),
            timed_out: counts.timed_out,
            gave_up: counts.gave_up,
            failed: Ordered(counts.failed_by_cause().map(|(cause, n)| (cause.name().to_owned(), n)).collect()),
            in_flight: counts.in_flight,
            attempts: counts.attempts,
            retried: counts.retried,
            policy_degraded: run.map(|run| run.policy_degraded),
            abandoned_counted_max: run.map(|run| run.abandoned_counted_max),
            abandoned_true_max: run.map(|run| run.abandoned_true_max),
        }
    }
}

/// A mean over replications.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: Option<f64>,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
}

/// A mean that is given without an interval.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlainMean {
    /// The mean.
    pub mean: Option<f64>,
}

/// A latency, seconds.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct LatencyReport {
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

/// A latency, seconds, with the interval of its mean.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct WaitReport {
    /// Mean and quantiles.
    #[serde(flatten)]
    pub latency: LatencyReport,
    /// Of the mean.
    pub ci95: Option<[f64; 2]>,
}

/// The metrics (formulas: [`crate::journal::summary::Metrics`]).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)] // as in `Metrics` and `RunMetrics`
pub struct MetricsReport {
    pub goodput_rps: Mean,
    pub goodput_fraction: Mean,
    pub ttft_s: LatencyReport,
    pub tpot_s: LatencyReport,
    pub itl_s: LatencyReport,
    pub e2e_s: LatencyReport,
    pub wait_s: WaitReport,
    pub queue_len: Option<Mean>,
    pub in_system: Option<Mean>,
    pub wait_probability: Mean,
    pub wasted_tokens: Mean,
    pub wasted_fraction: Mean,
    pub utilisation: Option<PlainMean>,
    pub blocked_fraction: Mean,
    pub abandon_fraction: Mean,
}

impl MetricsReport {
    fn new(metrics: &Metrics, run: Option<&RunMetrics>) -> Self {
        Self {
            goodput_rps: mean(metrics.goodput_rps.as_ref()),
            goodput_fraction: mean(metrics.goodput_fraction.as_ref()),
            ttft_s: latency(&metrics.ttft),
            tpot_s: latency(&metrics.tpot),
            itl_s: latency(&metrics.itl),
            e2e_s: latency(&metrics.e2e),
            wait_s: WaitReport { latency: latency(&metrics.wait), ci95: mean(metrics.wait.mean.as_ref()).ci95 },
            queue_len: run.map(|run| mean(run.queue_len.as_ref())),
            in_system: run.map(|run| mean(run.in_system.as_ref())),
            wait_probability: mean(metrics.wait_probability.as_ref()),
            wasted_tokens: mean(metrics.wasted_tokens.as_ref()),
            wasted_fraction: mean(metrics.wasted_fraction.as_ref()),
            utilisation: run.map(|run| PlainMean { mean: mean(run.utilisation.as_ref()).mean }),
            blocked_fraction: mean(metrics.blocked_fraction.as_ref()),
            abandon_fraction: mean(metrics.abandon_fraction.as_ref()),
        }
    }
}

/// Recovery from one spike.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct RecoveryReport {
    /// When the spike ended, seconds.
    pub spike_end_s: f64,
    /// Mean seconds until goodput was back; null unless every replication recovered.
    pub mean: Option<f64>,
    /// Replications that recovered.
    pub recovered: usize,
}

/// One difference, `b` minus `a`, on the same requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PairedReport {
    pub a: String,
    pub b: String,
    pub metric: String,
    pub difference: Option<f64>,
    pub ci95: Option<[f64; 2]>,
}

impl Envelope {
    /// The result of a run.
    #[must_use]
    pub fn new(scenario: &str, seed: u64, load: Option<LoadReport>, summary: &Summary) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            scenario: scenario.to_owned(),
            seed: seed.to_string(),
            replications: summary.replications,
            digest: digest_text(summary.digest),
            load,
            variants: summary.variants.iter().map(VariantReport::new).collect(),
            paired: summary.paired.iter().map(PairedReport::new).collect(),
        }
    }

    /// The object on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("maps have string keys and nothing here fails to serialise")
    }

    /// The object over several lines, figures rounded to nine significant digits: for golden files.
    #[must_use]
    pub fn golden(&self) -> String {
        let mut value = serde_json::to_value(self).expect("maps have string keys and nothing here fails to serialise");
        round(&mut value);
        serde_json::to_string_pretty(&value).expect("a value serialises")
    }
}

impl VariantReport {
    fn new(variant: &VariantSummary) -> Self {
        let shares = fairness::shares(variant);
        let classes = variant.classes.iter().zip(shares);
        let classes = classes.map(|(class, shares)| (class.name.clone(), ClassReport::new(class, shares)));
        Self {
            name: variant.name.clone(),
            digest: digest_text(variant.digest),
            label: variant.label.overall(),
            counts: CountsReport::new(&variant.counts, variant.run_counts.as_ref()),
            metrics: MetricsReport::new(&variant.metrics, Some(&variant.run_metrics)),
            metered: variant.metered.as_ref().map(MeteredReport::new),
            recovery_s: variant.recovery.iter().map(RecoveryReport::new).collect(),
            fairness_jain: fairness::jain(variant),
            classes: Ordered(classes.collect()),
        }
    }
}

impl ClassReport {
    fn new(class: &ClassSummary, shares: Shares) -> Self {
        Self {
            counts: CountsReport::new(&class.counts, None),
            metrics: MetricsReport::new(&class.metrics, None),
            demand_share: shares.demand,
            goodput_share: shares.goodput,
        }
    }
}

impl RecoveryReport {
    fn new(recovery: &Recovery) -> Self {
        Self { spike_end_s: recovery.spike.end.as_secs_f64(), mean: recovery.mean_s(), recovered: recovery.recovered() }
    }
}

impl PairedReport {
    fn new(paired: &Paired) -> Self {
        Self {
            a: paired.a.clone(),
            b: paired.b.clone(),
            metric: paired.metric.name().to_owned(),
            difference: paired.difference.map(|difference| difference.mean),
            ci95: paired.difference.and_then(|difference| difference.interval).map(ends),
        }
    }
}

/// A digest as people see it.
#[must_use]
pub fn digest_text(digest: u64) -> String {
    format!("{digest:016x}")
}

pub(super) fn mean(figure: Option<&Replicated>) -> Mean {
    Mean { mean: figure.map(|figure| figure.mean), ci95: figure.and_then(|figure| figure.interval(LEVEL)).map(ends) }
}

fn latency(metric: &LatencyMetric) -> LatencyReport {
    LatencyReport { mean: mean(metric.mean.as_ref()).mean, p50: metric.p50, p90: metric.p90, p99: metric.p99 }
}

const fn ends(interval: Interval) -> [f64; 2] {
    [interval.lo, interval.hi]
}

fn round(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) if number.is_f64() => {
            let exact = number.as_f64().expect("it is a float");
            *value = significant(exact, GOLDEN_DIGITS).into();
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(round),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(round),
        _ => {}
    }
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;

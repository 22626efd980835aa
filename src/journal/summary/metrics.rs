//! Metrics of a cohort over replications.
//!
//! Formulas (all over the cohort; sums over classes, or one class):
//!
//! | metric | in a replication | over replications |
//! |---|---|---|
//! | `goodput_rps` | good / length of the window | mean |
//! | `goodput_fraction` | good / offered | ratio of sums |
//! | `wait_probability` | waited / offered | ratio of sums |
//! | `blocked_fraction` | refused by the upstream's own bound / offered | ratio of sums |
//! | `abandon_fraction` | gave up / offered | ratio of sums |
//! | `wasted_tokens` | tokens computed for calls that came to nothing | mean |
//! | `wasted_fraction` | those / tokens computed | ratio of sums |
//! | `queue_len`, `in_system` | integral over the window / its length | mean |
//! | `utilisation` | busy share of the upstream over the window (metered API: billed / allowed by its token limit) | mean |
//! | latencies: mean | sum / count of completed requests | ratio of sums |
//! | latencies: quantiles | from the histogram of all replications together | one histogram |
//!
//! The interval of a quantile, and differences between quantiles, come from the replications' own quantiles.

use super::super::{ClassTally, Tally};
use crate::latency::Latency;
use crate::request::Reason;
use crate::stats::{Difference, Replicated};

/// One latency over replications, seconds.
#[derive(Clone, Debug, Default)]
pub struct LatencyMetric {
    /// Values (completed requests; gaps for ITL).
    pub count: u64,
    /// Mean; `None` without values.
    pub mean: Option<Replicated>,
    /// Median of all values.
    pub p50: Option<f64>,
    /// 90th percentile of all values.
    pub p90: Option<f64>,
    /// 99th percentile of all values.
    pub p99: Option<f64>,
    /// Its distribution, all values together: (seconds, share of the values that are at most as long), both rising, in steps
    /// of half a percent. Empty unless [`super::Context::detailed`] asks for it.
    pub curve: Vec<(f64, f64)>,
    p99_each: Vec<Option<f64>>,
}

impl LatencyMetric {
    /// The 99th percentile as a mean over the replications that have one.
    #[must_use]
    pub fn p99_replicated(&self) -> Option<Replicated> {
        Replicated::of_means(self.p99_each.iter().flatten().copied().collect())
    }

    /// How much larger the 99th percentile is than `base`'s: mean over the replications in which both have one.
    #[must_use]
    pub fn p99_minus(&self, base: &Self, level: f64) -> Option<Difference> {
        if self.p99_each.len() != base.p99_each.len() {
            return None;
        }
        let both = self.p99_each.iter().zip(&base.p99_each).filter_map(|(b, a)| Some((*b)? - (*a)?));
        let differences = Replicated::of_means(both.collect())?;
        Some(Difference { mean: differences.mean, interval: differences.interval(level) })
    }
}

/// All metrics of a cohort; `None` where there is nothing to compute one from.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Good requests a second of the window.
    pub goodput_rps: Option<Replicated>,
    /// Good over offered.
    pub goodput_fraction: Option<Replicated>,
    /// Time to first token.
    pub ttft: LatencyMetric,
    /// Time per output token after the first.
    pub tpot: LatencyMetric,
    /// Gaps between tokens.
    pub itl: LatencyMetric,
    /// End to end.
    pub e2e: LatencyMetric,
    /// Wait for service of served requests.
    pub wait: LatencyMetric,
    /// Share of requests that had to wait.
    pub wait_probability: Option<Replicated>,
    /// Tokens wasted in a replication.
    pub wasted_tokens: Option<Replicated>,
    /// Share of the computed tokens that were wasted.
    pub wasted_fraction: Option<Replicated>,
    /// Share refused by the upstream's own bound.
    pub blocked_fraction: Option<Replicated>,
    /// Share of requests whose client left.
    pub abandon_fraction: Option<Replicated>,
}

/// Metrics of a whole run that have no meaning by class.
#[derive(Clone, Debug, Default)]
pub struct RunMetrics {
    /// Mean number of waiting requests.
    pub queue_len: Option<Replicated>,
    /// Mean number of attempts in the system.
    pub in_system: Option<Replicated>,
    /// Mean busy share of the upstream.
    pub utilisation: Option<Replicated>,
}

/// What one latency leaves behind while replications come in.
#[derive(Debug, Default)]
struct LatencyRows {
    pooled: Latency,
    means: Vec<(f64, f64)>,
    p99_each: Vec<Option<f64>>,
}

impl LatencyRows {
    fn add<'a>(&mut self, parts: &(impl Iterator<Item = &'a Latency> + Clone)) {
        let sum_ns: u128 = parts.clone().map(|latency| latency.sum).sum();
        let count: u64 = parts.clone().map(Latency::count).sum();
        self.means.push((sum_ns as f64 / 1e9, count as f64));
        let mut alone = parts.clone().filter(|latency| latency.count() > 0);
        let p99 = match (alone.next(), alone.next()) {
            (None, _) => None,
            (Some(one), None) => one.quantile_s(0.99),
            (Some(_), Some(_)) => merged(parts.clone()).quantile_s(0.99),
        };
        self.p99_each.push(p99);
    }

    fn finish(self, detailed: bool) -> LatencyMetric {
        LatencyMetric {
            curve: if detailed { super::detail::curve(&self.pooled) } else { Vec::new() },
            count: self.pooled.count(),
            mean: Replicated::of_ratios(&self.means).map(|mean| mean.within(0.0, f64::INFINITY)),
            p50: self.pooled.quantile_s(0.5),
            p90: self.pooled.quantile_s(0.9),
            p99: self.pooled.quantile_s(0.99),
            p99_each: self.p99_each,
        }
    }
}

fn merged<'a>(parts: impl Iterator<Item = &'a Latency>) -> Latency {
    let mut all = Latency::new();
    parts.for_each(|latency| all.merge(latency));
    all
}

/// Gathers the metrics of a cohort, replication by replication.
#[derive(Debug, Default)]
pub(super) struct MetricRows {
    goodput_rps: Vec<f64>,
    good: Vec<(f64, f64)>,
    waited: Vec<(f64, f64)>,
    blocked: Vec<(f64, f64)>,
    abandoned: Vec<(f64, f64)>,
    wasted: Vec<(f64, f64)>,
    ttft: LatencyRows,
    tpot: LatencyRows,
    itl: LatencyRows,
    e2e: LatencyRows,
    wait: LatencyRows,
}

impl MetricRows {
    /// Adds one replication's classes, `window_s` long; their histograms are [pooled](Self::pool) apart.
    pub(super) fn add(&mut self, classes: &[ClassTally], window_s: f64) {
        let sum = |of: fn(&ClassTally) -> u64| classes.iter().map(of).sum::<u64>() as f64;
        let (offered, good) = (sum(|class| class.offered), sum(|class| class.good));
        if window_s > 0.0 {
            self.goodput_rps.push(good / window_s);
        }
        self.good.push((good, offered));
        self.waited.push((sum(|class| class.waited), offered));
        self.blocked.push((sum(|class| class.rejected[Reason::UpstreamFull as usize]), offered));
        self.abandoned.push((sum(|class| class.gave_up), offered));
        self.wasted.push((sum(|class| class.wasted_tokens), sum(|class| class.computed_tokens)));
        self.ttft.add(&classes.iter().map(|class| &class.ttft));
        self.tpot.add(&classes.iter().map(|class| &class.tpot));
        self.itl.add(&classes.iter().map(|class| &class.itl));
        self.e2e.add(&classes.iter().map(|class| &class.e2e));
        self.wait.add(&classes.iter().map(|class| &class.wait));
    }

    /// Adds one class's histograms of one replication.
    pub(super) fn pool(&mut self, class: &ClassTally) {
        let into = [&mut self.ttft, &mut self.tpot, &mut self.itl, &mut self.e2e, &mut self.wait];
        let from = [&class.ttft, &class.tpot, &class.itl, &class.e2e, &class.wait];
        for (rows, latency) in into.into_iter().zip(from) {
            rows.pooled.merge(latency);
        }
    }

    /// Adds all histograms of `class`: what is pooled over all classes is added up once, at the end.
    pub(super) fn pool_all(&mut self, class: &Self) {
        let into = [&mut self.ttft, &mut self.tpot, &mut self.itl, &mut self.e2e, &mut self.wait];
        let from = [&class.ttft, &class.tpot, &class.itl, &class.e2e, &class.wait];
        for (rows, other) in into.into_iter().zip(from) {
            rows.pooled.merge(&other.pooled);
        }
    }

    /// The metrics of all replications added, with the distributions of latencies where `detailed`.
    pub(super) fn finish(self, detailed: bool) -> Metrics {
        let share = |pairs: &[(f64, f64)]| Replicated::of_ratios(pairs).map(|share| share.within(0.0, 1.0));
        Metrics {
            goodput_rps: not_negative(self.goodput_rps),
            goodput_fraction: share(&self.good),
            ttft: self.ttft.finish(detailed),
            tpot: self.tpot.finish(detailed),
            itl: self.itl.finish(detailed),
            e2e: self.e2e.finish(detailed),
            wait: self.wait.finish(detailed),
            wait_probability: share(&self.waited),
            wasted_tokens: not_negative(self.wasted.iter().map(|(wasted, _)| *wasted).collect()),
            wasted_fraction: share(&self.wasted),
            blocked_fraction: share(&self.blocked),
            abandon_fraction: share(&self.abandoned),
        }
    }
}

/// Gathers what is known of whole runs only.
#[derive(Debug, Default)]
pub(super) struct RunRows {
    queue_len: Vec<f64>,
    in_system: Vec<f64>,
    utilisation: Vec<f64>,
}

impl RunRows {
    /// Adds one replication.
    pub(super) fn add(&mut self, tally: &Tally) {
        let window_ns = (tally.window.end - tally.window.start).as_nanos() as f64;
        if window_ns > 0.0 {
            self.queue_len.push(tally.queue_area as f64 / window_ns);
            self.in_system.push(tally.system_area as f64 / window_ns);
            self.utilisation.push(tally.utilisation);
        }
    }

    /// The metrics of all replications added.
    pub(super) fn finish(self) -> RunMetrics {
        // A metered API may bill more than its limit: debts of calls that used more than they had asked for.
        let most = if self.utilisation.iter().any(|share| *share > 1.0 + 1e-9) { f64::INFINITY } else { 1.0 };
        RunMetrics {
            queue_len: not_negative(self.queue_len),
            in_system: not_negative(self.in_system),
            utilisation: not_negative(self.utilisation).map(|share| share.within(0.0, most)),
        }
    }
}

fn not_negative(values: Vec<f64>) -> Option<Replicated> {
    Replicated::of_means(values).map(|mean| mean.within(0.0, f64::INFINITY))
}

//! Differences between variants that met the same requests, replication by replication.

use super::{Metrics, VariantSummary, groups};
use crate::stats::{Difference, Replicated};

/// Confidence level of every published interval.
pub const LEVEL: f64 = 0.95;

/// Up to this many variants every pair is compared, above it each with the first.
pub const ALL_PAIRS_MAX: usize = 6;

/// A metric that variants are compared by.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PairedMetric {
    /// Good requests a second.
    GoodputRps,
    /// Good over offered.
    GoodputFraction,
    /// Mean time to first token, seconds.
    TtftMean,
    /// 99th percentile of the time to first token, seconds.
    TtftP99,
    /// 99th percentile of the end-to-end latency, seconds.
    E2eP99,
    /// Tokens wasted in a replication.
    WastedTokens,
}

impl PairedMetric {
    /// Every metric, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::GoodputRps, Self::GoodputFraction, Self::TtftMean, Self::TtftP99, Self::E2eP99, Self::WastedTokens];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GoodputRps => "goodput_rps",
            Self::GoodputFraction => "goodput_fraction",
            Self::TtftMean => "ttft_s_mean",
            Self::TtftP99 => "ttft_s_p99",
            Self::E2eP99 => "e2e_s_p99",
            Self::WastedTokens => "wasted_tokens",
        }
    }

    /// How much larger the metric is in `b` than in `a`; `None` where either has nothing to compute it from.
    #[must_use]
    pub fn difference(self, a: &Metrics, b: &Metrics) -> Option<Difference> {
        let minus = |b: &Option<Replicated>, a: &Option<Replicated>| b.as_ref()?.minus(a.as_ref()?, LEVEL);
        match self {
            Self::GoodputRps => minus(&b.goodput_rps, &a.goodput_rps),
            Self::GoodputFraction => minus(&b.goodput_fraction, &a.goodput_fraction),
            Self::TtftMean => minus(&b.ttft.mean, &a.ttft.mean),
            Self::TtftP99 => b.ttft.p99_minus(&a.ttft, LEVEL),
            Self::E2eP99 => b.e2e.p99_minus(&a.e2e, LEVEL),
            Self::WastedTokens => minus(&b.wasted_tokens, &a.wasted_tokens),
        }
    }
}

/// One comparison: `b` minus `a`.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// The variant that is taken away.
    pub a: String,
    /// The variant that it is taken from.
    pub b: String,
    /// By which metric.
    pub metric: PairedMetric,
    /// How much larger the metric is in `b`.
    pub difference: Option<Difference>,
}

/// All comparisons, in the variants' order, inside each group of variants that met the same requests.
#[must_use]
pub fn compare(variants: &[VariantSummary]) -> Vec<Paired> {
    groups(variants).iter().flat_map(|(_, group)| compare_group(group)).collect()
}

fn compare_group(group: &[&VariantSummary]) -> Vec<Paired> {
    let bases = if group.len() <= ALL_PAIRS_MAX { group.len() } else { 1 };
    let pairs = (0..bases).flat_map(|a| (a + 1..group.len()).map(move |b| (group[a], group[b])));
    pairs.flat_map(|(a, b)| PairedMetric::ALL.map(|metric| one(a, b, metric))).collect()
}

fn one(a: &VariantSummary, b: &VariantSummary, metric: PairedMetric) -> Paired {
    let difference = metric.difference(&a.metrics, &b.metrics);
    Paired { a: a.name.clone(), b: b.name.clone(), metric, difference }
}

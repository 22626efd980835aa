//! A latency's distribution: a histogram of bounded size and the exact sum.

use hdrhistogram::Histogram;

use crate::time::Span;

/// A latency's histogram (three significant digits, nanoseconds) and its exact sum.
#[derive(Clone, Debug)]
pub struct Latency {
    /// How often which value, ns.
    pub histogram: Histogram<u64>,
    /// Exact sum, ns.
    pub sum: u128,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Longest latency kept apart, ns: 30 hours. Longer ones count as this.
    pub const MAX_NS: u64 = 108_000_000_000_000;

    /// No values yet.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_max(Self::MAX_NS, 3).expect("3 digits up to a constant maximum are in range");
        Self { histogram, sum: 0 }
    }

    /// One more value.
    pub fn record(&mut self, span: Span) {
        self.record_n(span, 1);
    }

    /// `times` more of the same value.
    pub fn record_n(&mut self, span: Span, times: u64) {
        self.histogram.saturating_record_n(span.as_nanos(), times);
        self.sum += u128::from(span.as_nanos()) * u128::from(times);
    }

    /// All values of `other` as well.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("every latency has the same bounds");
        self.sum += other.sum;
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Mean in seconds; `None` without values.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean_s(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum as f64 / self.count() as f64 / 1e9)
    }

    /// Quantile in seconds; `None` without values.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn quantile_s(&self, q: f64) -> Option<f64> {
        (self.count() > 0).then(|| self.histogram.value_at_quantile(q) as f64 / 1e9)
    }
}

//! TCP Vegas for concurrency (Netflix concurrency-limits, `VegasLimit`; after Brakmo and Peterson, "TCP Vegas", IEEE JSAC
//! 13:8, 1995).
//!
//! `queue = ceil(limit * (1 - shortest / actual))`. With `log` = the decimal digits of the limit after the first, at least
//! 1: a queue of at most `log` adds `beta` to the limit, one below `alpha` adds `log`, one above `beta` or a drop takes
//! `log` away. Nothing grows while less than half of the limit is in flight. About every `probe_multiplier * limit` calls
//! the shortest time is taken anew from one call.
//!
//! Netflix draws the probe's distance at random from 0.5 to 1 times that, so that many instances do not probe in step; an
//! engine draws nothing, so here it follows the multiples of the golden ratio through the same range.

use serde::{Deserialize, Serialize};

use super::super::settings::AdaptiveLimit;
use super::{between, whole};
use crate::rng::open01;
use crate::time::Span;
use crate::units::Count;

/// 2^64 over the golden ratio: its multiples, wrapped, fill the range evenly.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::policy) struct Vegas {
    max: u32,
    alpha: Option<u32>,
    beta: Option<u32>,
    smoothing: f64,
    probe_multiplier: f64,
    limit: f64,
    /// The shortest time, ns; 0 before the first call.
    shortest: u64,
    /// Calls since the last probe, and probes so far.
    since_probe: u64,
    probes: u64,
}

impl Vegas {
    pub(super) fn new(settings: &AdaptiveLimit, initial: u32) -> Self {
        let mut new = Self {
            max: u32::MAX,
            alpha: None,
            beta: None,
            smoothing: 1.0,
            probe_multiplier: 1.0,
            limit: f64::from(initial),
            shortest: 0,
            since_probe: 0,
            probes: 0,
        };
        new.reconfigure(settings);
        new
    }

    pub(super) fn reconfigure(&mut self, settings: &AdaptiveLimit) {
        if let AdaptiveLimit::Vegas { max, alpha, beta, smoothing, probe_multiplier } = settings {
            self.max = max.value();
            (self.alpha, self.beta) = (alpha.map(Count::value), beta.map(Count::value));
            (self.smoothing, self.probe_multiplier) = (smoothing.value(), f64::from(probe_multiplier.value()));
            self.limit = between(self.limit, 1, self.max);
        }
    }

    pub(super) fn limit(&self) -> u32 {
        whole(self.limit)
    }

    pub(super) fn sample(&mut self, rtt: Span, in_flight: u32, dropped: bool) {
        let rtt = rtt.as_nanos().max(1);
        self.since_probe += 1;
        if self.must_probe() {
            (self.since_probe, self.probes) = (0, self.probes + 1);
            self.shortest = rtt;
        } else if self.shortest == 0 || rtt < self.shortest {
            self.shortest = rtt;
        } else if let Some(limit) = self.wanted(rtt, in_flight, dropped) {
            let limit = between(limit, 1, self.max);
            self.limit = (1.0 - self.smoothing) * self.limit + self.smoothing * limit;
        }
    }

    fn must_probe(&self) -> bool {
        let share = 0.5 + 0.5 * open01((self.probes + 1).wrapping_mul(GOLDEN));
        share * self.probe_multiplier * self.limit <= self.since_probe as f64
    }

    /// The limit that a call speaks for, if for another.
    fn wanted(&self, rtt: u64, in_flight: u32, dropped: bool) -> Option<f64> {
        let log = log10(whole(self.limit));
        if dropped {
            return Some(self.limit - f64::from(log));
        }
        if f64::from(in_flight) * 2.0 < self.limit {
            return None;
        }
        let queue = libm::ceil(self.limit * (1.0 - self.shortest as f64 / rtt as f64));
        let (alpha, beta) = (self.alpha.unwrap_or(3 * log), self.beta.unwrap_or(6 * log));
        if queue <= f64::from(log) {
            Some(self.limit + f64::from(beta))
        } else if queue < f64::from(alpha) {
            Some(self.limit + f64::from(log))
        } else if queue > f64::from(beta) {
            Some(self.limit - f64::from(log))
        } else {
            None
        }
    }
}

/// The decimal logarithm's whole part, at least 1.
fn log10(limit: u32) -> u32 {
    limit.checked_ilog10().unwrap_or(0).max(1)
}

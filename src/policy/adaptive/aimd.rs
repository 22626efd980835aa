//! Additive increase, multiplicative decrease (Netflix concurrency-limits, `AIMDLimit`).
//!
//! A call that was dropped, or took longer than the timeout, leaves `floor(limit * backoff_ratio)`, at least one less;
//! another adds one, if at least half of the limit was in flight when it started.

use serde::{Deserialize, Serialize};

use super::super::settings::AdaptiveLimit;
use super::{between, whole};
use crate::time::Span;

/// The limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::policy) struct Aimd {
    min: u32,
    max: u32,
    backoff_ratio: f64,
    timeout: Span,
    limit: u32,
}

impl Aimd {
    pub(super) fn new(settings: &AdaptiveLimit, initial: u32) -> Self {
        let mut new = Self { min: 1, max: u32::MAX, backoff_ratio: 1.0, timeout: Span::FOREVER, limit: initial };
        new.reconfigure(settings);
        new
    }

    pub(super) fn reconfigure(&mut self, settings: &AdaptiveLimit) {
        if let AdaptiveLimit::Aimd { min, max, backoff_ratio, timeout } = settings {
            (self.min, self.max) = (min.value(), max.value());
            (self.backoff_ratio, self.timeout) = (backoff_ratio.value(), *timeout);
            self.set(self.limit);
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn sample(&mut self, rtt: Span, in_flight: u32, dropped: bool) {
        if dropped || rtt > self.timeout {
            self.set((self.limit - 1).min(whole(f64::from(self.limit) * self.backoff_ratio)));
        } else if u64::from(in_flight) * 2 >= u64::from(self.limit) {
            self.set(self.limit.saturating_add(1));
        }
    }

    fn set(&mut self, limit: u32) {
        self.limit = whole(between(f64::from(limit), self.min, self.max));
    }
}

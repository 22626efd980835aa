//! Gradient of the latest call's time against a long average (Netflix concurrency-limits, `Gradient2Limit`).
//!
//! `gradient = clamp(tolerance * long / short, 0.5, 1)`, `limit <- (1 - s) * limit + s * (limit * gradient + queue_size)`,
//! kept between its bounds. The long average is an exponential one over `long_window` calls; while it stands above twice
//! the latest time it is cut by a tenth with each call, so that it comes back soon after an overload. Less than half of the
//! limit in flight changes nothing.

use serde::{Deserialize, Serialize};

use super::super::settings::AdaptiveLimit;
use super::{between, whole};
use crate::time::Span;

/// Calls of which the long average is the arithmetic mean at first (Netflix).
const WARM_UP: u32 = 10;
/// The smallest gradient (Netflix): no call may take more than half.
const GRADIENT_MIN: f64 = 0.5;

/// The limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::policy) struct Gradient2 {
    min: u32,
    max: u32,
    smoothing: f64,
    queue_size: f64,
    tolerance: f64,
    count_drops: bool,
    limit: f64,
    long: Average,
}

impl Gradient2 {
    pub(super) fn new(settings: &AdaptiveLimit, initial: u32) -> Self {
        let mut new = Self {
            min: 1,
            max: u32::MAX,
            smoothing: 1.0,
            queue_size: 0.0,
            tolerance: 1.0,
            count_drops: false,
            limit: f64::from(initial),
            long: Average::new(1, WARM_UP),
        };
        new.reconfigure(settings);
        new
    }

    pub(super) fn reconfigure(&mut self, settings: &AdaptiveLimit) {
        if let AdaptiveLimit::Gradient2 { min, max, smoothing, queue_size, long_window, rtt_tolerance, count_drops } = settings
        {
            (self.min, self.max) = (min.value(), max.value());
            (self.smoothing, self.queue_size) = (smoothing.value(), f64::from(queue_size.value()));
            (self.tolerance, self.count_drops) = (rtt_tolerance.value(), *count_drops);
            self.long.window = long_window.value();
            self.limit = between(self.limit, self.min, self.max);
        }
    }

    pub(super) fn limit(&self) -> u32 {
        whole(self.limit)
    }

    pub(super) fn sample(&mut self, rtt: Span, in_flight: u32, dropped: bool) {
        if dropped && self.count_drops {
            return self.step(GRADIENT_MIN);
        }
        let short = rtt.as_nanos().max(1) as f64;
        let long = self.long.add(short);
        if long / short > 2.0 {
            self.long.value *= 0.9;
        }
        if f64::from(in_flight) >= self.limit / 2.0 {
            self.step((self.tolerance * long / short).clamp(GRADIENT_MIN, 1.0));
        }
    }

    fn step(&mut self, gradient: f64) {
        let wanted = self.limit * gradient + self.queue_size;
        let smoothed = self.limit * (1.0 - self.smoothing) + wanted * self.smoothing;
        self.limit = between(smoothed, self.min, self.max);
    }
}

/// An exponential average, with a factor of `2 / (window + 1)`, after an arithmetic mean of the first values (Netflix
/// concurrency-limits, `ExpAvgMeasurement`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Average {
    window: u32,
    warm_up: u32,
    count: u32,
    sum: f64,
    value: f64,
}

impl Average {
    pub(super) const fn new(window: u32, warm_up: u32) -> Self {
        Self { window, warm_up, count: 0, sum: 0.0, value: 0.0 }
    }

    /// One more value; the average with it.
    pub(super) fn add(&mut self, value: f64) -> f64 {
        if self.count < self.warm_up {
            self.count += 1;
            self.sum += value;
            self.value = self.sum / f64::from(self.count);
        } else {
            let factor = 2.0 / (f64::from(self.window) + 1.0);
            self.value = self.value * (1.0 - factor) + value * factor;
        }
        self.value
    }
}

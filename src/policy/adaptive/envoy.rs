//! Gradient of a window's times against the shortest time (Envoy, adaptive concurrency filter, `GradientController`).
//!
//! Every `update_interval`: `g = clamp(shortest * (1 + buffer) / sample, 0.5, 2)`, `limit <- trunc(limit * g + sqrt(limit * g))`,
//! kept between its bounds; `sample` is a quantile of the window's times. Now and then the limit goes down to its minimum,
//! and the same quantile of the next calls is the new shortest time; then the limit is what it was before. Five windows
//! in a row at the minimum bring that measurement forward. Calls that started before it, and dropped ones, count for nothing.
//!
//! Envoy's timers are looked at here when a call ends: the first to end after a window closes it. A window of more than
//! 1,024 calls keeps to the first of them. Envoy's random jitter of the measurements follows the multiples of the golden
//! ratio, since an engine draws nothing.

use serde::{Deserialize, Serialize};

use super::super::settings::AdaptiveLimit;
use super::{between, whole};
use crate::rng::open01;
use crate::time::{Span, Time};

/// Times kept of one window.
const SAMPLES_MAX: usize = 1_024;
/// Windows at the minimum that bring a measurement forward (Envoy).
const AT_MIN_MAX: u32 = 5;
/// 2^64 over the golden ratio: its multiples, wrapped, fill the range evenly.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::policy) struct EnvoyGradient {
    rules: Rules,
    limit: u32,
    /// The shortest time as measured, ns; 0 before the first measurement.
    measured: u64,
    /// While the shortest time is measured: the limit to go back to.
    measuring: Option<u32>,
    /// When the latest measurement began: calls from before it count for nothing.
    epoch: Time,
    next_measurement: Time,
    measurements: u64,
    window_end: Time,
    /// Times of this window or measurement, ns.
    samples: Vec<u64>,
    /// Windows in a row that left the limit at its minimum.
    at_min: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rules {
    min: u32,
    max: u32,
    update_interval: Span,
    measure_interval: Span,
    fixed: Option<u64>,
    requests: usize,
    jitter: f64,
    buffer: f64,
    quantile: f64,
}

impl Rules {
    fn of(settings: &AdaptiveLimit) -> Option<Self> {
        let AdaptiveLimit::EnvoyGradient {
            min,
            max,
            update_interval,
            min_rtt_interval,
            min_rtt,
            min_rtt_requests,
            jitter,
            buffer,
            quantile,
        } = settings
        else {
            return None;
        };
        Some(Self {
            min: min.value(),
            max: max.value(),
            update_interval: *update_interval,
            measure_interval: *min_rtt_interval,
            fixed: min_rtt.map(|span| span.as_nanos().max(1)),
            requests: usize::try_from(min_rtt_requests.value()).map_or(SAMPLES_MAX, |n| n.min(SAMPLES_MAX)),
            jitter: jitter.value(),
            buffer: buffer.value(),
            quantile: quantile.value(),
        })
    }

    fn bounded(&self, limit: u32) -> u32 {
        whole(between(f64::from(limit), self.min, self.max))
    }
}

impl EnvoyGradient {
    pub(super) fn new(settings: &AdaptiveLimit, initial: u32) -> Self {
        let rules = Rules::of(settings).expect("made for this algorithm's settings only");
        let initial = rules.bounded(initial);
        let measures = rules.fixed.is_none();
        Self {
            limit: if measures { rules.bounded(0) } else { initial },
            measuring: measures.then_some(initial),
            measured: 0,
            epoch: Time::ZERO,
            next_measurement: Time::FAR,
            measurements: 0,
            window_end: Time::ZERO,
            samples: Vec::with_capacity(SAMPLES_MAX),
            at_min: 0,
            rules,
        }
    }

    pub(super) fn reconfigure(&mut self, settings: &AdaptiveLimit) {
        self.rules = Rules::of(settings).expect("the same algorithm's settings only");
        if self.rules.fixed.is_some() {
            self.limit = self.measuring.take().unwrap_or(self.limit);
        } else if self.measured == 0 && self.measuring.is_none() {
            self.measure(self.epoch);
        }
        self.limit = self.rules.bounded(self.limit);
        self.measuring = self.measuring.map(|limit| self.rules.bounded(limit));
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn sample(&mut self, now: Time, rtt: Span, dropped: bool) {
        self.run_timers(now);
        let started = Time::from_nanos(now.as_nanos().saturating_sub(rtt.as_nanos()));
        if dropped || started < self.epoch || self.samples.len() == SAMPLES_MAX {
            return;
        }
        self.samples.push(rtt.as_nanos().max(1));
        if self.measuring.is_some() && self.samples.len() >= self.rules.requests {
            self.measured_by(now);
        }
    }

    /// What Envoy's timers would have done since the last call.
    fn run_timers(&mut self, now: Time) {
        if self.measuring.is_some() {
            return;
        }
        if self.rules.fixed.is_none() && now >= self.next_measurement {
            return self.measure(now);
        }
        if now < self.window_end {
            return;
        }
        self.window_end = now + self.rules.update_interval;
        if let Some(sample) = self.take_quantile() {
            let shortest = self.rules.fixed.unwrap_or(self.measured);
            let before = self.limit;
            self.limit = next_limit(before, shortest, sample, &self.rules);
            let stays_at_min = before == self.rules.min && self.limit == self.rules.min;
            self.at_min = if stays_at_min { self.at_min + 1 } else { 0 };
            if self.at_min >= AT_MIN_MAX && self.rules.fixed.is_none() {
                self.measure(now);
            }
        }
    }

    fn measure(&mut self, now: Time) {
        self.measuring = Some(self.limit);
        self.limit = self.rules.bounded(0);
        (self.epoch, self.at_min) = (now, 0);
        self.samples.clear();
    }

    fn measured_by(&mut self, now: Time) {
        self.measured = self.take_quantile().unwrap_or(self.measured);
        self.limit = self.measuring.take().unwrap_or(self.limit);
        self.measurements += 1;
        let jitter = self.rules.jitter * open01(self.measurements.wrapping_mul(GOLDEN));
        self.next_measurement = now + self.rules.measure_interval + self.rules.measure_interval.scaled(jitter);
        self.window_end = now + self.rules.update_interval;
    }

    /// The quantile of the times kept, by nearest rank, if there are any; they are forgotten.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to SAMPLES_MAX
    fn take_quantile(&mut self) -> Option<u64> {
        let rank = (libm::ceil(self.samples.len() as f64 * self.rules.quantile) as usize).max(1);
        let quantile = (!self.samples.is_empty()).then(|| *self.samples.select_nth_unstable(rank - 1).1);
        self.samples.clear();
        quantile
    }
}

/// The limit after a window whose times' quantile is `sample`.
fn next_limit(limit: u32, shortest: u64, sample: u64, rules: &Rules) -> u32 {
    let gradient = ((1.0 + rules.buffer) * shortest as f64 / sample as f64).clamp(0.5, 2.0);
    let wanted = f64::from(limit) * gradient;
    whole(between(wanted + libm::sqrt(wanted), rules.min, rules.max))
}

//! Throttling by the share of requests that the upstream accepts.
//!
//! - `sre` (Beyer and others, "Site Reliability Engineering", 2016, chapter 21): refuses with probability
//!   `max(0, (requests - k accepts) / (requests + 1))`, where every request that asks is counted, what is refused here
//!   included unless told otherwise.
//! - `envoy` (Envoy's admission control filter): `((n - successes / threshold) / (n + 1)) ^ (1 / aggression)`, at most a
//!   largest probability, and nothing below a rate; `n` counts results, so what is refused here never counts.
//!
//! The draw is the attempt's, mixed for this gate, so that several gates in a row refuse independently.

use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::contract::{Asked, Engine};
use super::settings::Throttle;
use super::{Mode, Saw, Verdict};
use crate::request::Reason;
use crate::rng::{mix, open01};
use crate::time::{Span, Time};

/// This gate's draw among those that an attempt's random bits stand for.
const DRAW: u64 = 1;

/// The gate: requests and accepts over its window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Throttling {
    settings: Option<Throttle>,
    counts: Buckets<2>,
    /// The probability at the latest question, with the sums that it comes from.
    latest: (u64, u64, f64),
}

impl Throttling {
    /// Nothing counted; without settings it is off.
    pub fn new(settings: Option<&Throttle>) -> Self {
        let mut gate = Self { settings: None, counts: Buckets::new(Span::ZERO), latest: (0, 0, 0.0) };
        gate.reconfigure(settings);
        gate
    }

    /// New settings; counts go on where rule and window are the same.
    pub fn reconfigure(&mut self, settings: Option<&Throttle>) {
        let new = settings.filter(|s| s.mode() != Mode::Off);
        let kind = |s: &Throttle| (matches!(s, Throttle::Sre { .. }), s.window());
        if new.map(kind) != self.settings.as_ref().map(kind) {
            self.counts = Buckets::new(new.map_or(Span::ZERO, Throttle::window));
        }
        self.settings = new.cloned();
    }

    /// An upstream call has ended: accepted, or refused for load or failed.
    pub fn record(&mut self, now: Time, accepted: bool) {
        match self.settings {
            Some(Throttle::Sre { .. }) => self.counts.add(now, [0, u32::from(accepted)]),
            Some(Throttle::Envoy { .. }) => self.counts.add(now, [1, u32::from(accepted)]),
            None => {}
        }
    }

    /// The probability of refusal as of `now`, with the requests and accepts that it comes from.
    fn probability(&mut self, now: Time) -> (u64, u64, f64) {
        let [requests, accepts] = self.counts.sums(now);
        let probability = match &self.settings {
            None => 0.0,
            Some(Throttle::Sre { k, .. }) => sre_probability(k.value(), requests, accepts),
            Some(Throttle::Envoy { threshold, aggression, rps_threshold, max_rejection_probability, .. }) => {
                let rate = requests as f64 / self.counts.seconds(now) as f64;
                if rate < rps_threshold.value() {
                    0.0
                } else {
                    envoy_probability(threshold.value(), aggression.value(), requests, accepts)
                        .min(max_rejection_probability.value())
                }
            }
        };
        (requests, accepts, probability)
    }
}

impl Throttle {
    const fn mode(&self) -> Mode {
        match self {
            Self::Sre { mode, .. } | Self::Envoy { mode, .. } => *mode,
        }
    }

    const fn window(&self) -> Span {
        match self {
            Self::Sre { window, .. } | Self::Envoy { window, .. } => *window,
        }
    }
}

/// `max(0, (requests - k accepts) / (requests + 1))`.
fn sre_probability(k: f64, requests: u64, accepts: u64) -> f64 {
    ((requests as f64 - k * accepts as f64) / (requests as f64 + 1.0)).max(0.0)
}

/// `((n - successes / threshold) / (n + 1)) ^ (1 / aggression)`, an aggression below 1 taken as 1 (as Envoy does).
fn envoy_probability(threshold: f64, aggression: f64, requests: u64, successes: u64) -> f64 {
    let expected = if successes == 0 { 0.0 } else { successes as f64 / threshold };
    let linear = ((requests as f64 - expected) / (requests as f64 + 1.0)).max(0.0);
    if aggression > 1.0 { libm::pow(linear, 1.0 / aggression) } else { linear }
}

fn draw(asked: &Asked) -> f64 {
    open01(mix(asked.draw, DRAW))
}

impl Engine for Throttling {
    type Hold = ();

    fn mode(&self) -> Mode {
        self.settings.as_ref().map_or(Mode::Off, Throttle::mode)
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        self.latest = self.probability(asked.now);
        let refuses = draw(asked) < self.latest.2;
        if let Some(Throttle::Sre { mode, count_rejected, .. }) = self.settings
            && (!refuses || count_rejected || mode == Mode::Observe)
        {
            self.counts.add(asked.now, [1, 0]);
        }
        if refuses { Verdict::Refuse(Reason::Throttled) } else { Verdict::Pass }
    }

    fn take(&mut self, _asked: &Asked) {}

    fn give_back(&mut self, (): ()) {}

    fn saw(&self, asked: &Asked) -> Saw {
        let (requests, accepts, probability) = self.latest;
        Saw::Throttle { requests, accepts, probability, draw: draw(asked) }
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;

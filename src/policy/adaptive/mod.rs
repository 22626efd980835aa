//! Concurrency limits that adapt to what calls' times say, in the place of a fixed one.
//!
//! Each is told of every call that ends: how long it took, how many were in flight when it started, and whether it was
//! dropped, and has a new limit at once. Sources: Netflix concurrency-limits (AIMD, Vegas, Gradient2) and Envoy's adaptive
//! concurrency filter.

mod aimd;
mod envoy;
mod gradient2;
#[cfg(test)]
mod vectors_tests;
mod vegas;

use serde::{Deserialize, Serialize};

use self::aimd::Aimd;
use self::envoy::EnvoyGradient;
use self::gradient2::Gradient2;
use self::vegas::Vegas;
use super::settings::AdaptiveLimit;
use crate::time::{Span, Time};

/// A limit that adapts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Adaptive {
    /// Additive increase, multiplicative decrease.
    Aimd(Aimd),
    /// TCP Vegas.
    Vegas(Vegas),
    /// Gradient of the latest time against a long average.
    Gradient2(Gradient2),
    /// Gradient of a window's times against the shortest time.
    EnvoyGradient(EnvoyGradient),
}

impl Adaptive {
    /// A limit that starts at `initial`, or at the nearest number between its bounds (Envoy's: after its first measurement
    /// of the shortest time).
    pub fn new(settings: &AdaptiveLimit, initial: u32) -> Self {
        match settings {
            AdaptiveLimit::Aimd { .. } => Self::Aimd(Aimd::new(settings, initial)),
            AdaptiveLimit::Vegas { .. } => Self::Vegas(Vegas::new(settings, initial)),
            AdaptiveLimit::Gradient2 { .. } => Self::Gradient2(Gradient2::new(settings, initial)),
            AdaptiveLimit::EnvoyGradient { .. } => Self::EnvoyGradient(EnvoyGradient::new(settings, initial)),
        }
    }

    /// New settings. The same algorithm goes on from its limit, kept between the new bounds, and from the times it has seen;
    /// another one starts at `initial`.
    pub fn reconfigure(&mut self, settings: &AdaptiveLimit, initial: u32) {
        match (self, settings) {
            (Self::Aimd(limit), AdaptiveLimit::Aimd { .. }) => limit.reconfigure(settings),
            (Self::Vegas(limit), AdaptiveLimit::Vegas { .. }) => limit.reconfigure(settings),
            (Self::Gradient2(limit), AdaptiveLimit::Gradient2 { .. }) => limit.reconfigure(settings),
            (Self::EnvoyGradient(limit), AdaptiveLimit::EnvoyGradient { .. }) => limit.reconfigure(settings),
            (limit, _) => *limit = Self::new(settings, initial),
        }
    }

    /// Calls that may be in flight at once, at least 1.
    pub fn limit(&self) -> u32 {
        match self {
            Self::Aimd(limit) => limit.limit(),
            Self::Vegas(limit) => limit.limit(),
            Self::Gradient2(limit) => limit.limit(),
            Self::EnvoyGradient(limit) => limit.limit(),
        }
    }

    /// A call ended: its time, how many were in flight when it started (itself included), whether it was dropped (timed out
    /// or refused for load).
    pub fn sample(&mut self, now: Time, rtt: Span, in_flight: u32, dropped: bool) {
        match self {
            Self::Aimd(limit) => limit.sample(rtt, in_flight, dropped),
            Self::Vegas(limit) => limit.sample(rtt, in_flight, dropped),
            Self::Gradient2(limit) => limit.sample(rtt, in_flight, dropped),
            Self::EnvoyGradient(limit) => limit.sample(now, rtt, dropped),
        }
    }
}

/// The whole part of a limit that is kept as a float: at least 0 and at most a setting's `u32`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(limit: f64) -> u32 {
    limit as u32
}

/// `n` between two bounds; the upper one wins where they cross.
fn between(n: f64, min: u32, max: u32) -> f64 {
    n.max(f64::from(min)).min(f64::from(max))
}

//! What the policies in front of a metered API did in one replication (seed 002, "Monitoring").

use std::ops::AddAssign;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::request::Profile;

/// How often the policies in front of a metered API acted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MeteredCounts {
    /// Calls whose `max_tokens` was lowered to fit the window.
    pub trims: u64,
    /// Answers that ran into a limit which a policy had lowered.
    pub truncated: u64,
    /// Starts through the heavy lane.
    pub lane_acquisitions: u64,
    /// Times that a breaker opened.
    pub circuit_opens: u64,
    /// Attempts sent without the proxy that they asked for.
    pub proxy_degradations: u64,
    /// Attempts finalised.
    pub finalised: u64,
    /// Attempts sent through the stack again.
    pub redispatched: u64,
    /// Calls that the upstream refused for their rate.
    pub upstream_429: u64,
}

impl AddAssign for MeteredCounts {
    fn add_assign(&mut self, other: Self) {
        self.trims += other.trims;
        self.truncated += other.truncated;
        self.lane_acquisitions += other.lane_acquisitions;
        self.circuit_opens += other.circuit_opens;
        self.proxy_degradations += other.proxy_degradations;
        self.finalised += other.finalised;
        self.redispatched += other.redispatched;
        self.upstream_429 += other.upstream_429;
    }
}

/// One replication, warm-up and drain included; tokens of good answers are the cohort's.
#[derive(Clone, Debug)]
pub struct Metered {
    /// Whether any such policy is set. Without, nothing here is reported.
    pub in_use: bool,
    /// Reservations as they were taken, tokens (three significant digits; larger than [`Metered::TOKENS_MAX`] count as that).
    pub reservations: Histogram<u64>,
    /// The largest of them, exact: a limit that is kept must not look broken by rounding.
    pub reservation_max: u64,
    /// How often which policy acted.
    pub counts: MeteredCounts,
    /// Multipliers at the end, by [`Profile::kind`].
    pub multipliers: [f64; Profile::KINDS],
    /// Multipliers at the beginning.
    pub priors: [f64; Profile::KINDS],
    /// The 90th percentile of actual usage over estimate of all calls of the kind, which no policy sees; `None` without calls.
    pub true_p90: [Option<f64>; Profile::KINDS],
    /// Multipliers at the end of each bin of [`super::Series`].
    pub multiplier_series: Vec<[f32; Profile::KINDS]>,
    /// Answer tokens of the cohort's good requests.
    pub good_tokens: u64,
}

impl Default for Metered {
    fn default() -> Self {
        Self {
            in_use: false,
            reservations: Self::no_reservations(),
            reservation_max: 0,
            counts: MeteredCounts::default(),
            multipliers: [0.0; Profile::KINDS],
            priors: [0.0; Profile::KINDS],
            true_p90: [None; Profile::KINDS],
            multiplier_series: Vec::new(),
            good_tokens: 0,
        }
    }
}

impl Metered {
    /// Largest reservation kept apart, tokens: above the largest limit that can be set.
    pub const TOKENS_MAX: u64 = 1 << 33;

    /// A histogram of reservations without any.
    #[must_use]
    pub fn no_reservations() -> Histogram<u64> {
        Histogram::new_with_max(Self::TOKENS_MAX, 3).expect("3 digits up to a constant maximum are in range")
    }

    /// One more reservation.
    pub fn reserve(&mut self, tokens: u64) {
        self.reservations.saturating_record(tokens);
        self.reservation_max = self.reservation_max.max(tokens);
    }
}

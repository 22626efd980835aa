//! The settings of every policy, as a scenario's `[policy]` section writes them. A section that is absent is off.
//!
//! Names and defaults are those of the systems they come from.

mod answers;
mod draws;
mod field;
mod metered;
mod overload;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::answers::{Heed, OnError, UpstreamErrors};
pub use self::field::{AdaptiveLimit, QueueGraduated, RateLimit, Signals, Throttle};
pub use self::metered::{
    Boundary, Breaker, CallTimeout, Excess, Exclusive, Finalise, FinaliseRule, HeavyLane, HoldRule, Limiter, P90, Prior, Ratio,
    Recovery, Redispatch, Refresh, StaggerScope, Timeouts, Trip, Window,
};
pub use self::overload::{
    At, Codel, Concurrency, Forget, Graduated, OnClientGone, OnTimeout, Order, Queue, Timeout, TimeoutFrom,
};
use self::overload::{half_life, lease, request_timeout, reset_interval, vllm_rejection_threshold};
use crate::units::{Count, Fraction};

/// All policies of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Graduated rejection by abandoned work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graduated: Option<Graduated>,
    /// Bounded request queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Fixed concurrency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Request timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// Token reservations in front of a metered API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limiter: Option<Limiter>,
    /// Heavy lane: needs `limiter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<HeavyLane>,
    /// Circuit breaker for each country and proxy mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// Timeouts by kind of call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<CallTimeout>,
    /// A last, short call before the SLA is missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalise: Option<Finalise>,
    /// What is done with the upstream's own refusals and failures. Default: they are passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_errors: Option<UpstreamErrors>,
    /// Throttling by the share of requests that the upstream accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// The gateway's own limit on requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// A gate on the server's own signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<Signals>,
}

/// What an engine does with its decisions.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: as if its section were absent.
    Off,
    /// Decide and count, but let through.
    Observe,
    /// Decide and carry out.
    #[default]
    Enforce,
}

impl Settings {
    /// The system of seeds 000 and 001 with its defaults, given the one setting that they do not default.
    #[must_use]
    pub fn seed(max_abandoned: Count) -> Self {
        Self {
            graduated: Some(Graduated {
                mode: Mode::Enforce,
                max_abandoned,
                vllm_rejection_threshold: vllm_rejection_threshold(),
                at: At::Dispatch,
                forget: Forget::Reset,
                reset_interval: reset_interval(),
                half_life: half_life(),
                lease: lease(),
            }),
            queue: Some(Queue::default()),
            concurrency: Some(Concurrency::default()),
            timeout: Some(Timeout {
                mode: Mode::Enforce,
                request_timeout: request_timeout(),
                timeout_from: TimeoutFrom::Dispatch,
                on_timeout: OnTimeout::Abandon,
                on_client_gone: OnClientGone::RunOn,
            }),
            ..Self::default()
        }
    }

    /// The adapter of seed 002 as printed, with the numbers of its configuration: what its code does, not what it was
    /// meant to do. Its client leaves no call behind.
    #[must_use]
    pub fn seed_adapter() -> Self {
        Self {
            concurrency: Some(Concurrency::default()),
            limiter: Some(Limiter {
                boundary: Boundary::Seed,
                settle: false,
                hold: HoldRule::WhileWaiting,
                unknown_learns: false,
                p90: P90::Seed,
                ratio: Ratio::Seed,
                learn_from_cut: true,
                ..Limiter::default()
            }),
            lane: Some(HeavyLane {
                min_remaining_tokens: Some(count(24_000)),
                exclusive: Exclusive::Seed,
                refresh: Refresh::OnReserve,
                ..HeavyLane::default()
            }),
            breaker: Some(Breaker {
                trip: Trip::Cumulative,
                recovery: Recovery::Close,
                restart_on_late_error: true,
                redispatch: Redispatch::Seed,
                ..Breaker::default()
            }),
            call_timeout: Some(CallTimeout::default()),
            finalise: Some(Finalise { rule: FinaliseRule::AfterTimeout, ..Finalise::default() }),
            ..Self::default()
        }
    }
}

fn fraction(value: f64) -> Fraction {
    Fraction::new(value).expect("a constant of this room inside 0 to 1")
}

fn count(value: u32) -> Count {
    Count::new(value).expect("a constant of this room above 0")
}

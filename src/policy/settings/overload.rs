//! Settings of the policies in front of a server of one's own (seeds 000 and 001). The six command-line flags of seed 001
//! keep their names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdaptiveLimit, Mode, QueueGraduated, count, fraction};
use crate::time::Span;
use crate::units::{Count, Fraction, Positive};

/// Graduated rejection (seed 000, stage 2): refuse at random as abandoned work fills its capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Graduated {
    /// Off, observe or enforce.
    #[serde(default)]
    pub mode: Mode,
    /// Capacity for abandoned work. No source gives a default, so it is required.
    pub max_abandoned: Count,
    /// Share of that capacity from which on attempts are refused at random; 1 is a hard stop. Default 0.7 (seeds 000, 001).
    #[serde(default = "vllm_rejection_threshold")]
    pub vllm_rejection_threshold: Fraction,
    /// Where the check stands.
    #[serde(default)]
    pub at: At,
    /// How abandoned work is forgotten.
    #[serde(default)]
    pub forget: Forget,
    /// With `forget = "reset"`: the count goes to zero when more than this has passed since the last reset. Default 300 s (seeds 000, 001).
    #[serde(default = "reset_interval")]
    pub reset_interval: Span,
    /// With `forget = "decay"`: time in which the count halves. Default 60 s (ours).
    #[serde(default = "half_life")]
    pub half_life: Span,
    /// With `forget = "gauge"`: an abandoned call whose end never comes is forgotten after this. Default 15 min (ours).
    #[serde(default = "lease")]
    pub lease: Span,
}

/// Where graduated rejection is evaluated.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// When the attempt arrives: cheaper for everybody.
    Arrival,
    /// When it leaves the queue (seed 000).
    #[default]
    Dispatch,
}

/// How the counter of abandoned work forgets.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forget {
    /// Never (seed 000 before stage 1): ends in permanent lockout.
    Never,
    /// To zero at intervals (seed 000, stage 1).
    #[default]
    Reset,
    /// Exponentially (seed 000, stage 3).
    Decay,
    /// When the abandoned call truly ends.
    Gauge,
}

/// Bounded queue in front of the concurrency limit (seed 001).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Off, observe or enforce.
    #[serde(default)]
    pub mode: Mode,
    /// Places. Default 50 (seed 001).
    #[serde(default = "max_queue_size")]
    pub max_queue_size: Count,
    /// Fullness at or above which attempts are refused. Default 0.8 (seed 001): places 41 to 50 of 50 are never reached.
    #[serde(default = "queue_rejection_threshold")]
    pub queue_rejection_threshold: Fraction,
    /// Bound on the estimated tokens (input and `max_tokens`) that wait, beside the bound on requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queue_tokens: Option<Count>,
    /// Who goes first.
    #[serde(default)]
    pub order: Order,
    /// With `order = "adaptive_lifo"`: newest first while the oldest has waited longer than this share of its deadline. Default 0.5 (ours).
    #[serde(default = "half")]
    pub adaptive_lifo_share: Fraction,
    /// With `order = "weighted_fair"`: each class's share of the tokens that start, against the others', by the class's
    /// position. Default 1 each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Positive>,
    /// Whether classes of higher priority go first. Not with `order = "weighted_fair"`. Default false.
    #[serde(default)]
    pub by_priority: bool,
    /// Drop from a standing queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codel: Option<Codel>,
    /// Refuse on arrival what could not be served before its deadline. Default false.
    #[serde(default)]
    pub deadline_aware: bool,
    /// Refuse at random as the queue fills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graduated: Option<QueueGraduated>,
}

/// Order of the queue.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first (seed 001).
    #[default]
    Fifo,
    /// Newest first.
    Lifo,
    /// Newest first while the queue is slow.
    AdaptiveLifo,
    /// Classes take turns, so that their tokens are as their weights (start-time fair queueing); oldest first in a class.
    WeightedFair,
}

/// Controlled delay: folly's variant of Nichols and Jacobson, "Controlling queue delay", ACM Queue 10:5, 2012.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Codel {
    /// Delay that the queue's minimum may stand at. Default: 5 % of the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Span>,
    /// Over which time the minimum is taken. Default: the smoothed mean service time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
}

/// Concurrency limit (seed 001): fixed, or adapted to what calls' times say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// Off, observe or enforce.
    #[serde(default)]
    pub mode: Mode,
    /// Calls in flight at once. Default 3 (seed 001).
    #[serde(default = "max_concurrent_requests")]
    pub max_concurrent_requests: Count,
    /// How the limit adapts. Default: it is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive: Option<AdaptiveLimit>,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { mode: Mode::Enforce, max_concurrent_requests: max_concurrent_requests(), adaptive: None }
    }
}

/// Request timeout (seed 001), and what becomes of calls whose client is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// Off, observe or enforce.
    #[serde(default)]
    pub mode: Mode,
    /// Longest time. Default 60 s (seed 001).
    #[serde(default = "request_timeout")]
    pub request_timeout: Span,
    /// From when it counts.
    #[serde(default)]
    pub timeout_from: TimeoutFrom,
    /// What becomes of the upstream call at the timeout.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// What becomes of the upstream call when the client leaves by itself.
    #[serde(default)]
    pub on_client_gone: OnClientGone,
}

/// From when the request timeout counts.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutFrom {
    /// From when the call starts (seed 001): waiting is not bounded.
    #[default]
    Dispatch,
    /// From when the attempt arrives.
    Arrival,
}

/// What becomes of an upstream call at its timeout.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// It is cancelled.
    #[default]
    Cancel,
    /// It runs on without its slot, as abandoned work (seed 000).
    Abandon,
}

/// What becomes of an upstream call whose client has left.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnClientGone {
    /// It is cancelled.
    #[default]
    Cancel,
    /// Nobody notices: it keeps its slot until it ends or times out (seed 000's blocking wrapper).
    RunOn,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            max_queue_size: max_queue_size(),
            queue_rejection_threshold: queue_rejection_threshold(),
            max_queue_tokens: None,
            order: Order::Fifo,
            adaptive_lifo_share: half(),
            weights: Vec::new(),
            by_priority: false,
            codel: None,
            deadline_aware: false,
            graduated: None,
        }
    }
}

pub(super) fn vllm_rejection_threshold() -> Fraction {
    fraction(0.7)
}

pub(super) fn reset_interval() -> Span {
    Span::from_secs(300)
}

pub(super) fn half_life() -> Span {
    Span::from_secs(60)
}

pub(super) fn lease() -> Span {
    Span::from_secs(900)
}

fn max_queue_size() -> Count {
    count(50)
}

fn queue_rejection_threshold() -> Fraction {
    fraction(0.8)
}

fn half() -> Fraction {
    fraction(0.5)
}

fn max_concurrent_requests() -> Count {
    count(3)
}

pub(super) fn request_timeout() -> Span {
    Span::from_secs(60)
}

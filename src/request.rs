//! The vocabulary: who asks (request, attempt, call, class) and how it ends (outcome, reason, cause).
//!
//! A *request* is what a user wants; each try at it is an *attempt*; each upstream call made for an attempt is a *call*. A
//! call may outlive its attempt (abandoned work), so the two have separate generational ids.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Time};

slotmap::new_key_type! {
    /// One try at a request. Given by the driver from a dense slab, so that it can index arrays.
    pub struct AttemptId;
    /// One upstream call. Given by the gateway.
    pub struct CallId;
}

/// The dense slab index in an id (several ids in a row may share it; no two alive at once do).
#[must_use]
#[allow(clippy::cast_possible_truncation)] // the low half is the index
pub fn slot_of<K: slotmap::Key>(id: K) -> u32 {
    id.data().as_ffi() as u32
}

/// A request's number: unique in a replication, the same under every policy.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// A class of requests, by its position in the scenario.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassId(pub u16);

impl ClassId {
    /// The position as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which prompts start alike: requests of one group share their first `tokens` tokens.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// The group's number, unique in the scenario.
    pub group: u32,
    /// Length of the shared prefix, tokens.
    pub tokens: u32,
}

/// A request with everything the *world* knows about it. Policies see a [`crate::policy::Attempt`] instead (INV-7).
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// Its class.
    pub class: ClassId,
    /// Who pays: 0 where the scenario has no tenants.
    pub tenant: u32,
    /// Intended first arrival.
    pub arrival: Time,
    /// Prompt length, tokens, at least 1.
    pub input_tokens: u32,
    /// What a gateway would estimate of `input_tokens`.
    pub input_estimate: u32,
    /// Answer length if nothing cuts it short, tokens, at least 1.
    pub output_tokens: u32,
    /// The client's own limit on the answer, tokens.
    pub max_tokens: u32,
    /// Service time at a plain station.
    pub service: Span,
    /// How long the request waits for service at a plain station; `None` = for ever.
    pub patience: Option<Span>,
    /// Shared beginning of the prompt.
    pub prefix: Option<Prefix>,
    /// Seed of later draws: admission and backoff of each attempt ([`crate::rng::mix`]).
    pub later: u64,
}

/// Why something in front of the upstream, or the upstream's own bound, refused an attempt.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Graduated rejection at 100 % of the abandoned-work capacity ("Server at full capacity").
    FullCapacity,
    /// Graduated rejection between its start and 100 % ("Server at high capacity").
    HighCapacity,
    /// The queue holds as many requests as it may.
    QueueFull,
    /// The queue holds as many tokens as it may.
    QueueTokens,
    /// CoDel dropped it from a standing queue.
    Codel,
    /// It could not have been served before its deadline.
    Deadline,
    /// The gateway is draining.
    Draining,
    /// The upstream's own bound refused it (503, or no place left at a station).
    UpstreamFull,
}

impl Reason {
    /// Every reason, in order of its discriminant.
    pub const ALL: [Self; 8] = [
        Self::FullCapacity,
        Self::HighCapacity,
        Self::QueueFull,
        Self::QueueTokens,
        Self::Codel,
        Self::Deadline,
        Self::Draining,
        Self::UpstreamFull,
    ];

    /// The name in reports, journals and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullCapacity => "full_capacity",
            Self::HighCapacity => "high_capacity",
            Self::QueueFull => "queue_full",
            Self::QueueTokens => "queue_tokens",
            Self::Codel => "codel",
            Self::Deadline => "deadline",
            Self::Draining => "draining",
            Self::UpstreamFull => "upstream_full",
        }
    }
}

/// How an upstream failed a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The upstream refused for load: 503, before any token.
    Overloaded,
    /// The request can never be served there (prompt longer than the model's context or the KV cache): 400.
    BadRequest,
    /// The upstream broke: 5xx.
    Server,
    /// The connection was reset or the stream cut.
    Connection,
    /// Nothing came for longer than the idle timeout.
    Idle,
}

impl Cause {
    /// Every cause, in order of its discriminant.
    pub const ALL: [Self; 5] = [Self::Overloaded, Self::BadRequest, Self::Server, Self::Connection, Self::Idle];

    /// The name in reports, journals and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::BadRequest => "bad_request",
            Self::Server => "server",
            Self::Connection => "connection",
            Self::Idle => "idle",
        }
    }
}

/// A refusal, as the client sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// HTTP status: 503 or 429 not admitted, 504 timed out; for the upstream's failures 503 overloaded, 400 bad request, 500
    /// server, 502 connection, 504 idle.
    pub status: u16,
    /// What it stands for.
    pub kind: RefusalKind,
    /// How long the client should wait before it tries again, where that can be computed.
    pub retry_after: Option<Span>,
}

/// What a refusal stands for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// Not admitted.
    Rejected(Reason),
    /// Ended at its deadline, waiting or running.
    TimedOut,
    /// The upstream's failure, passed on.
    Upstream(Cause),
}

/// How a *request* ended, by its last attempt. Exactly one of these columns holds each offered request (INV-1).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Complete, full length, within its SLO.
    Good,
    /// Complete, but its SLO was missed.
    Late,
    /// Complete, but cut short at a limit that a policy lowered.
    Degraded,
    /// Refused.
    Rejected(Reason),
    /// The gateway ended it.
    TimedOut,
    /// The client left.
    GaveUp,
    /// The upstream failed it.
    Failed(Cause),
}

//! What a gateway is told and what it answers: the two enums through which every driver speaks to the policies.

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::request::{
    AttemptId, CallId, Cause, ClassId, Country, Profile, ProxyMode, RateHeaders, Reason, Refusal, RequestId, Vantage,
};
use crate::time::{Span, Time};

/// An attempt as policies see it: estimates and the class, never the true lengths (INV-7).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id, from the driver's dense slab.
    pub id: AttemptId,
    /// Whose try it is: for the journal's reader; no engine may decide by it.
    pub request: RequestId,
    /// Its class.
    pub class: ClassId,
    /// Who pays; 0 where there are no tenants.
    pub tenant: u32,
    /// Wished route (upstream pool); 0 is the default route.
    pub route: u16,
    /// More is more urgent.
    pub priority: u8,
    /// 1 for the first try, as far as the gateway can know.
    pub number: u16,
    /// Estimated prompt length, tokens.
    pub input_estimate: u32,
    /// The client's limit on the answer, tokens.
    pub max_tokens: u32,
    /// When the answer is of no use any more, if the client said so.
    pub deadline: Option<Time>,
    /// Whether the answer is streamed.
    pub streaming: bool,
    /// What it asks of a metered API.
    pub profile: Profile,
    /// 64 random bits for probabilistic decisions.
    pub draw: u64,
}

impl Attempt {
    /// A first try of default class and profile, without a deadline, streamed, whose random bits are in the middle of their
    /// range; lengths in tokens.
    #[must_use]
    pub fn new(id: AttemptId, input_estimate: u32, max_tokens: u32) -> Self {
        Self {
            id,
            request: RequestId(0),
            class: ClassId(0),
            tenant: 0,
            route: 0,
            priority: 0,
            number: 1,
            input_estimate,
            max_tokens,
            deadline: None,
            streaming: true,
            profile: Profile::default(),
            draw: 1 << 63,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// An attempt arrives.
    Arrive(Attempt),
    /// The first byte of a call's answer has come.
    FirstByte {
        /// Which call.
        call: CallId,
    },
    /// The answer to a call says in its headers what is left of the provider's limits: told with its first byte, or before its
    /// end.
    Quota {
        /// Which call.
        call: CallId,
        /// What they say.
        limits: RateHeaders,
    },
    /// A call ended upstream.
    Ended {
        /// Which call.
        call: CallId,
        /// How.
        end: CallEnd,
    },
    /// The client of an attempt has left: the gateway says nothing more about the attempt.
    Gone {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The upstream's own signals.
    Hint(Hint),
    /// New settings, in force from now on; what is in flight keeps its old terms.
    Settings(Box<Settings>),
    /// Take no new attempt; finish what is in flight.
    Drain,
    /// The time of [`next_wakeup`](super::Gateway::next_wakeup) has come (or not: a spurious wake is a no-op).
    Wake,
}

/// How a call ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// Complete.
    Ok {
        /// Tokens used, if the upstream said.
        usage: Option<Usage>,
        /// Why the answer stopped.
        finish: Finish,
    },
    /// The upstream failed or refused it.
    Failed {
        /// How.
        cause: Cause,
        /// How long the upstream asks to wait.
        retry_after: Option<Span>,
    },
}

/// Tokens that a call used.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens.
    pub input: u32,
    /// Answer tokens.
    pub output: u32,
}

/// Why an answer stopped.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done.
    Stop,
    /// It ran into `max_tokens`.
    Length,
}

/// The upstream's own signals, as of when they were read.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hint {
    /// Requests in the running batch.
    pub running: u32,
    /// Requests waiting at the upstream.
    pub waiting: u32,
    /// Share of KV blocks in use, 0 to 1.
    pub kv_use: f64,
    /// Tokens left in a metered API's window, if it says so.
    pub remaining_tokens: Option<u64>,
}

/// Why a call is made.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// The attempt's first call.
    First,
    /// Another try, after a failure that the client has not seen.
    Redispatch,
    /// A last, short call before the SLA is missed.
    Finalise,
}

/// What to do.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Start a call.
    Start {
        /// For which attempt.
        attempt: AttemptId,
        /// The new call's id.
        call: CallId,
        /// Why.
        kind: CallKind,
        /// The limit on the answer to send upstream, tokens.
        max_tokens: u32,
        /// Where to.
        route: u16,
        /// The vantage policy to use, which may be less than the attempt asked for.
        vantage: Vantage,
        /// Tokens reserved for it; 0 without a limiter.
        reserved: u32,
    },
    /// Stop a call; the gateway has forgotten it, and no input about it is needed.
    Cancel {
        /// Which call.
        call: CallId,
    },
    /// Let a call run on without its client; its end is still wanted.
    Detach {
        /// Which call.
        call: CallId,
    },
    /// The first byte may go to the client: from here on there is no second call for this attempt.
    Relay {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The answer is complete and the attempt over.
    Complete {
        /// Which attempt.
        attempt: AttemptId,
        /// Whether the answer ran into a limit that a policy had lowered.
        degraded: bool,
    },
    /// Refuse the attempt before any byte of an answer; it is over.
    Answer {
        /// Which attempt.
        attempt: AttemptId,
        /// The refusal.
        refusal: Refusal,
    },
    /// End an answer that has begun; the attempt is over.
    Cut {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        refusal: Refusal,
    },
    /// A fact for metrics and journal; nothing to do.
    Note(Note),
}

/// What an engine saw and decided: one line of an attempt's story.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// About which attempt.
    pub attempt: AttemptId,
    /// What its engine looked at.
    pub saw: Saw,
    /// What came of it.
    pub verdict: Verdict,
    /// `false` where the engine only observes: the verdict was counted, not carried out.
    pub enforced: bool,
}

/// An engine's answer about one attempt.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on; the engine may have handed out something that must come back once.
    Pass,
    /// Stay with the gateway until something is given back.
    Wait,
    /// No.
    Refuse(Reason),
    /// The time is up.
    TimedOut,
}

/// The numbers behind a verdict, by engine.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "gate")]
pub enum Saw {
    /// Graduated rejection.
    Graduated {
        /// Abandoned calls as the policy counts them (whole, except with `decay`).
        counted: f64,
        /// Abandoned calls that really run.
        truly: u32,
        /// Capacity for abandoned work.
        max_abandoned: u32,
        /// Probability of refusal.
        probability: f64,
        /// The attempt's draw, 0 to 1: refused where it is below the probability.
        draw: f64,
    },
    /// The queue's bounds.
    Queue {
        /// Requests waiting.
        waiting: u32,
        /// From this many on it refuses.
        limit: u32,
        /// Tokens waiting.
        tokens: u64,
    },
    /// Deadline-aware admission.
    Deadline {
        /// Predicted wait.
        predicted: Span,
        /// What is left until the deadline, if there is one.
        left: Option<Span>,
    },
    /// CoDel.
    Codel {
        /// How long the attempt has waited.
        waited: Span,
        /// The target delay.
        target: Span,
        /// Whether the last interval's smallest delay stood above the target.
        overloaded: bool,
    },
    /// Token budget and heavy lane.
    Budget {
        /// Tokens left in the window.
        remaining: i64,
        /// Tokens of a whole window.
        budget: u64,
        /// Tokens to reserve.
        tokens: u64,
        /// Reservation over estimate.
        multiplier: f64,
        /// The limit on the answer that this is for.
        max_tokens: u32,
    },
    /// Heavy lane.
    Lane {
        /// Tokens left in the window.
        remaining: i64,
        /// Tokens of a whole window.
        budget: u64,
        /// Heavy calls that run.
        running: u32,
        /// Heavy attempts that wait.
        waiting: u32,
    },
    /// Circuit breaker.
    Breaker {
        /// Of which country.
        country: Country,
        /// Of which mode.
        proxy_mode: ProxyMode,
        /// Whether it is open.
        open: bool,
        /// The vantage policy that it leaves.
        vantage: Vantage,
    },
    /// A circuit breaker that has just opened by this attempt's call.
    Opened {
        /// Of which country.
        country: Country,
        /// Of which mode.
        proxy_mode: ProxyMode,
        /// No call goes through before then.
        until: Time,
    },
    /// Concurrency limit.
    Slots {
        /// Calls in flight.
        in_use: u32,
        /// Limit.
        limit: u32,
    },
    /// Request timeout.
    Timeout {
        /// How long since the clock started.
        waited: Span,
        /// The limit.
        limit: Span,
    },
    /// Throttling by the upstream's success rate.
    Throttle {
        /// Requests in the window.
        requests: u64,
        /// Those of them that the upstream accepted.
        accepts: u64,
        /// Probability of refusal.
        probability: f64,
        /// The attempt's draw for this gate, 0 to 1: refused where it is below the probability.
        draw: f64,
    },
    /// The gateway's own request rate limit.
    RateLimit {
        /// Requests that may come at once as of now.
        left: u32,
        /// How long until the next one may.
        wait: Span,
    },
    /// The server's own signals.
    Signals {
        /// How full the server is by its latest word; 1 is full.
        saturation: f64,
        /// How old that word is, if there is one.
        age: Option<Span>,
    },
    /// Graduated rejection by queue depth.
    QueueDepth {
        /// Requests waiting.
        waiting: u32,
        /// Probability of refusal.
        probability: f64,
        /// The attempt's draw for this gate, 0 to 1: refused where it is below the probability.
        draw: f64,
    },
}

/// Why a gateway wants to be woken.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WakeReason {
    /// An attempt in the queue reaches its deadline.
    QueueExpiry,
    /// A running call reaches its timeout.
    CallTimeout,
    /// The lease of an abandoned call runs out.
    AbandonedLease,
    /// A window's end, the lane's next chance, or the time that the upstream asked to wait.
    Budget,
}

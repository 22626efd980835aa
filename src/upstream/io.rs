//! What an upstream is told and what it answers, the same for every model of one.
//!
//! The contract, for [`Station`](super::Station) and [`Vllm`](super::Vllm) alike: `start` and `cancel` are told with a `now` that never runs
//! back; `next_event` says when the machine wants `advance`, and for what; `advance(now, kind)` does all that is due before
//! `now`, and what is due at `now` up to and including that kind; after any of the three, `poll` is called until it returns
//! `None`. An output's time is never later than `now`.

use serde::{Deserialize, Serialize};

use crate::request::{CallId, Cause, ClassId, Prefix};
use crate::time::{Span, Time};

/// A call as the upstream meets it, true lengths included.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id: generational, its slot index dense.
    pub id: CallId,
    /// Its class.
    pub class: ClassId,
    /// Prompt length, tokens, at least 1.
    pub input_tokens: u32,
    /// Tokens it will produce: the true length, already cut at `max_tokens`; at least 1.
    pub output_tokens: u32,
    /// Service time (plain station).
    pub service: Span,
    /// How long it waits for service (plain station); `None` = for ever.
    pub patience: Option<Span>,
    /// Shared beginning of the prompt.
    pub prefix: Option<Prefix>,
    /// Whether its inter-token gaps count (`false` outside the measured cohort).
    pub measured: bool,
}

/// Something that happened to a call upstream.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Which call.
    pub call: CallId,
    /// When it came out of the upstream.
    pub at: Time,
    /// What.
    pub kind: OutputKind,
}

/// What happened.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// Service began: a server took it, or it was scheduled for the first time. `at` is that time.
    Began,
    /// The first token was delivered (a station delivers it with the end, and says only `Done`).
    FirstToken,
    /// The answer is complete.
    Done(CallWork),
    /// It was refused or failed.
    Failed(Cause, CallWork),
    /// Its waiting patience ran out before service began (plain station).
    Reneged,
    /// A cancellation took effect; by now everyone else has forgotten the call.
    Cancelled(CallWork),
}

/// What the upstream spent on one call.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallWork {
    /// Prompt tokens computed for it (recomputation after preemption included, prefix cache hits not).
    pub prefill_tokens: u32,
    /// Answer tokens produced for it.
    pub decode_tokens: u32,
}

/// What an upstream wants to do next. The order is the priority at equal times: whoever arrives at the instant of a step
/// is in before it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// An output comes out.
    Completion,
    /// A step is formed.
    Step,
}

/// A look at an upstream.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gauges {
    /// Calls being served (running batch, busy servers).
    pub running: u32,
    /// Calls waiting.
    pub waiting: u32,
    /// Share of KV blocks in use, 0 to 1; 0 at a station.
    pub kv_use: f64,
}

/// Sums since the start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Time integral of the busy share, in seconds of one whole upstream (busy servers over servers; step in flight or not).
    pub busy_s: f64,
    /// Engine steps done.
    pub steps: u64,
    /// Prompt tokens computed.
    pub prefill_tokens: u64,
    /// Answer tokens produced.
    pub decode_tokens: u64,
    /// Preemptions.
    pub preemptions: u64,
    /// Prompt tokens found in the prefix cache.
    pub cached_tokens: u64,
}

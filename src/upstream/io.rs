//! What an upstream is told and what it answers, the same for every model of one.

use serde::{Deserialize, Serialize};

use crate::latency::Latency;
use crate::request::{CallId, Cause, ClassId, Prefix, Profile, RateHeaders};
use crate::rng::Streams;
use crate::time::{Span, Time};

/// What is protected, as the loop speaks to it.
///
/// The contract, which [`Vllm`](super::Vllm) keeps too: `start` and `cancel` are told with a `now` that never runs back;
/// `next_event` says when the machine wants `advance`, and for what; after any of the three, `poll` is called until it
/// returns `None`. An output's time is never later than `now`.
pub trait Upstream {
    /// Whether it bills tokens: then a call's [`CallWork`] is its usage, which only the upstream knows.
    const BILLS: bool = false;

    /// A call comes in.
    fn start(&mut self, now: Time, call: &Call);

    /// A call is wanted no more. A call that is not here is ignored.
    fn cancel(&mut self, now: Time, call: CallId);

    /// When [`Upstream::advance`] is wanted next, and for what.
    fn next_event(&self) -> Option<(Time, EventKind)>;

    /// Does all that is due before `now`, and what is due at `now` up to and including `kind`.
    fn advance(&mut self, now: Time, kind: EventKind);

    /// The next output, until there is none.
    fn poll(&mut self) -> Option<Output>;

    /// A look at it, as of the last `now` it was told.
    fn gauges(&self) -> Gauges;

    /// Sums up to `now`, which is not before anything it was told.
    fn totals(&mut self, now: Time) -> Totals;

    /// Inter-token gaps of the measured calls, by class; none where tokens have no times.
    fn gaps(&mut self) -> &[Latency] {
        &[]
    }

    /// Tokens left in a metered API's limit at `now`, which is not before anything it was told; `None` for the others.
    fn remaining_tokens(&self, _now: Time) -> Option<u64> {
        None
    }

    /// What a metered API's answers say in their headers at `now`, which is not before anything it was told; `None` where it
    /// has no limits, and for the others.
    fn rate_headers(&self, _now: Time) -> Option<RateHeaders> {
        None
    }
}

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
    /// What it asks of a metered API, with the vantage as the gateway sends it.
    pub profile: Profile,
    /// The limit on the answer as sent, tokens.
    pub max_tokens: u32,
    /// The prompt's length as it is estimated from outside, tokens.
    pub input_estimate: u32,
    /// What a metered API bills for it if nothing cuts its answer, tokens: prompt, search results and answer.
    pub usage_tokens: u32,
    /// The answer's length if nothing cuts it, tokens.
    pub uncut_tokens: u32,
    /// Seed of its draws inside the upstream ([`crate::rng::mix`]): the same under every policy, another for each try.
    pub draw: u64,
}

impl Call {
    /// A call with these lengths and nothing else to it, as a plain station or a vLLM server meets it.
    #[must_use]
    pub fn plain(id: CallId, class: ClassId, input_tokens: u32, output_tokens: u32) -> Self {
        Self {
            id,
            class,
            input_tokens,
            output_tokens,
            service: Span::ZERO,
            patience: None,
            prefix: None,
            measured: true,
            profile: Profile::default(),
            max_tokens: output_tokens,
            input_estimate: input_tokens,
            usage_tokens: input_tokens.saturating_add(output_tokens),
            uncut_tokens: output_tokens,
            draw: 0,
        }
    }

    /// What a metered API bills for its answer as sent: what the whole one would be billed, less what is cut from it. The
    /// answer's part is its length, everything else the prompt's side: prompt and search results.
    #[must_use]
    pub fn billed(&self) -> CallWork {
        let cut = self.uncut_tokens.saturating_sub(self.output_tokens);
        let billed = self.usage_tokens.saturating_sub(cut).max(1);
        let decode_tokens = self.output_tokens.min(billed);
        CallWork { prefill_tokens: billed - decode_tokens, decode_tokens }
    }
}

/// What a model needs to know of the run that it stands in.
#[derive(Copy, Clone, Debug)]
pub struct Setup<'a> {
    /// This run's speed against the model's own (1: as the model says; drawn from its `speed_sigma`).
    pub speed: f64,
    /// Where the replication's randomness comes from.
    pub streams: Streams,
    /// The classes' names, by position.
    pub classes: &'a [String],
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
    /// A token between the first and the last was delivered. Told only by a vLLM server that tells every token
    /// ([`Vllm::telling_every_token`](super::Vllm::telling_every_token)), which a simulation's does not.
    Token,
    /// The answer is complete.
    Done(CallWork),
    /// It was refused or failed.
    Failed {
        /// How.
        cause: Cause,
        /// What had been spent by then.
        work: CallWork,
        /// How long the upstream asks to wait before the next try.
        retry_after: Option<Span>,
    },
    /// Its waiting patience ran out before service began (plain station).
    Reneged,
    /// A cancellation took effect; by now everyone else has forgotten the call.
    Cancelled(CallWork),
}

/// What the upstream spent on one call.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallWork {
    /// Prompt tokens computed for it (recomputation after preemption included, prefix cache hits not); at a metered API
    /// those billed for the prompt's side, search results included.
    pub prefill_tokens: u32,
    /// Answer tokens produced for it; at a metered API those billed.
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

impl OutputKind {
    /// A failure before any work, without advice.
    #[must_use]
    pub fn failed(cause: Cause) -> Self {
        Self::Failed { cause, work: CallWork::default(), retry_after: None }
    }
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
    /// Time integral of the busy share, in seconds of one whole upstream (busy servers over servers; step in flight or not;
    /// at a metered API the time that its token limit takes to allow what it billed).
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

//! A vLLM server at step level: [`Vllm`] says how it works.

mod decide;
mod decoders;
mod gaps;
mod kv;
mod outbox;
mod seqs;
mod stretch;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::decoders::Decoders;
use self::gaps::up;
use self::kv::Kv;
use self::outbox::{News, Outbox};
use self::seqs::{Handle, List, Seqs, State};
use self::stretch::Stretch;
use super::model::{Cost, Host, VllmModel};
use super::{Call, CallWork, EventKind, Gauges, Output, OutputKind, Totals};
use crate::latency::Latency;
use crate::request::{CallId, Cause};
use crate::time::Time;

/// On its way to the scheduler.
#[derive(Copy, Clone, Debug)]
struct Item {
    /// When it is there, ps.
    ready: u64,
    /// The earliest decision that sees it, ps: less than a nanosecond before.
    visible: u64,
    seq: Handle,
    cancels: bool,
}

/// A step in flight.
#[derive(Copy, Clone, Debug)]
struct Flight {
    /// When it was decided, ps.
    decided: u64,
    /// Its cost, ps.
    cost: u64,
    prefill_tokens: u32,
}

/// A vLLM server: the V1 scheduler, the KV cache, and the host around the steps.
///
/// ```text
/// start --> host (request) --> delay_in --> waiting --> running: one step after another --> host (token) --> delay_out --> outputs
/// cancel -> host (cancel) ---> delay_in --^
/// ```
///
/// **Scheduling** (vLLM, `vllm/v1/core/sched/scheduler.py` and `v1/core/kv_cache_manager.py`). In every step the running sequences come
/// first, in order of admission: each decoding one gets one token, then the one partial prefill, always the last of the
/// running, gets what is left of `max_num_batched_tokens`. Then waiting ones are admitted in order while there are token
/// budget, sequences (`max_num_seqs`) and blocks for the *whole* of what they have to compute
/// (`scheduler_reserve_full_isl`, on by default); no watermark (its default is 0). A running sequence for which there is no
/// block preempts the last of the running (itself, if it is the last), which goes to the front of the waiting and later
/// computes prompt and answer so far again; in a step that preempted nobody is admitted, unless nobody runs any more.
/// A sequence with `c` computed tokens holds `ceil(c / block_size)` blocks. The last token of an answer is never computed.
///
/// **Host**. One resource serves jobs in order of arrival; `H` is when it is free. A request arriving at `t` is taken in at
/// `max(H, t) + request`, a cancellation at `max(H, t) + cancel`, and the scheduler can see either `delay_in` later. At the
/// end `E` of a step first the scheduler's job comes: at `D = max(E, H)` it sees what is there by `D` (to the nanosecond),
/// the next step is launched at `D + step` (the scheduler runs after every step, even the last), and its job is followed by
/// that of the ended step's `n` tokens: `H = D + step + n token`; they come out at `H + delay_out`. An idle engine decides
/// when something becomes visible at `R`: `D = max(R, H)`. A job of no length occupies nobody.
///
/// **Cancellation** takes effect at the first decision that sees it; a call that ends before still says `Cancelled`, when
/// its end would have come out. Its gaps do not count from the cancellation on.
///
/// **Refusals** come out `delay_out` after the request was taken in: `BadRequest` for a prompt that leaves no room for one
/// token in the context (or in the KV cache, where that is smaller: vLLM would not start); `Overloaded` where there are
/// `max_num_queued_reqs` calls inside (taken in, waiting or running as of the last decision), or `max_num_queued_tokens`
/// prompt tokens of calls inside without a first token. Both limits refuse when reached, as vLLM's do. An answer that does
/// not fit in the context is cut.
///
/// **Time** is kept in whole picoseconds (213 days in a `u64`) and comes out rounded up to nanoseconds. Completions come
/// before steps at the same nanosecond, and whoever arrives in the nanosecond of a step's end is in before the decision.
/// Steps between
/// which nothing changes are advanced in closed form.
#[derive(Debug)]
pub struct Vllm {
    model: VllmModel,
    cost: Cost,
    host: Host,
    context: u32,
    seqs: Seqs,
    waiting: List,
    running: List,
    kv: Kv,
    decoders: Decoders,
    /// The sequence in the middle of its prefill.
    partial: Option<u32>,
    /// Sequences whose prefill the step in flight completes.
    completing: Vec<u32>,
    inbox: VecDeque<Item>,
    outbox: Outbox,
    /// When the host is free, ps.
    host_free: u64,
    flight: Option<Flight>,
    /// When the latest step's tokens came out, ps.
    last_delivery: u64,
    /// End of the next step after which something changes (or when an idle engine decides), ps.
    next: Option<u64>,
    /// Steps that end before it.
    skips: u64,
    /// Calls taken in and not out of the engine, and the prompt tokens of those without a first token.
    inside: u32,
    queued_tokens: u64,
    admissions: u64,
    now: Time,
    one_by_one: bool,
    tells_tokens: bool,
    /// Whether the step in flight tells nothing of those that follow it: the latest one preempted, so that the next may admit
    /// again, or the speed has changed since.
    unlike_next: bool,
    busy: u128,
    totals: Totals,
    gaps: Vec<Latency>,
}

impl Vllm {
    /// An empty server, `speed` times as fast as the model says (every cost of step and host is divided by it and rounded
    /// to the picosecond); gaps are kept for `classes` classes.
    #[must_use]
    pub fn new(model: &VllmModel, speed: f64, classes: usize) -> Self {
        let blocks = model.usable_blocks();
        Self {
            cost: model.cost.at_speed(model.speed * speed),
            host: model.host.at_speed(model.speed * speed),
            context: model.context(),
            seqs: Seqs::default(),
            waiting: List::EMPTY,
            running: List::EMPTY,
            kv: Kv::new(blocks, model.block_size),
            decoders: Decoders::new(classes, model.block_size),
            partial: None,
            completing: Vec::new(),
            inbox: VecDeque::new(),
            outbox: Outbox::default(),
            host_free: 0,
            flight: None,
            last_delivery: 0,
            next: None,
            skips: 0,
            inside: 0,
            queued_tokens: 0,
            admissions: 0,
            now: Time::ZERO,
            one_by_one: false,
            tells_tokens: false,
            unlike_next: false,
            busy: 0,
            totals: Totals::default(),
            gaps: vec![Latency::new(); classes],
            model: model.clone(),
        }
    }

    /// The same server, with every step an event of its own: slower, and equal in all that comes out.
    #[must_use]
    pub fn stepping_one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// The same server, which tells of every token ([`OutputKind::Token`]) and so has to step one by one.
    #[must_use]
    pub fn telling_every_token(mut self) -> Self {
        self.tells_tokens = true;
        self.stepping_one_by_one()
    }

    /// From the next decision on `speed` times as fast as the model says, but for the delays on the way in and out, which stay
    /// as they are; the step in flight takes as long as it was going to.
    pub fn set_speed(&mut self, now: Time, speed: f64) {
        self.catch_up(now);
        let launch = self.host.step;
        let Host { delay_in, delay_out, .. } = self.host;
        self.cost = self.model.cost.at_speed(self.model.speed * speed);
        self.host = Host { delay_in, delay_out, ..self.model.host.at_speed(self.model.speed * speed) };
        if let Some(flight) = &mut self.flight {
            // Its end is kept: launched as before, as if it had been decided when the host's new work makes it so.
            let launched = flight.decided.saturating_add(launch);
            flight.decided = launched.saturating_sub(self.host.step);
            flight.cost -= (flight.decided + self.host.step - launched).min(flight.cost);
            self.unlike_next = true;
        }
        self.plan();
    }

    /// A call comes in.
    pub fn start(&mut self, now: Time, call: &Call) {
        self.catch_up(now);
        let taken_in = self.serve(now, self.host.request);
        let refusal = self.refusal(call);
        let output = call.output_tokens.min(self.context.saturating_sub(call.input_tokens)).max(1);
        let prefix_blocks = call.prefix.filter(|_| self.model.enable_prefix_caching);
        let prefix_blocks = prefix_blocks.map_or(0, |prefix| prefix.tokens.min(call.input_tokens) / self.kv.block_size);
        let seq = self.seqs.insert(call, output, prefix_blocks);
        if let Some(cause) = refusal {
            self.seqs[seq.index].state = State::Ended;
            self.outbox.refusal(up(taken_in.saturating_add(self.host.delay_out)), seq, cause);
            self.plan(); // the host's work may put off later steps
            return;
        }
        self.inside += 1;
        self.queued_tokens += u64::from(call.input_tokens);
        self.post(taken_in, seq, false);
    }

    /// Why a call is refused, if it is.
    fn refusal(&self, call: &Call) -> Option<Cause> {
        if call.input_tokens >= self.context {
            return Some(Cause::BadRequest);
        }
        self.is_full().then_some(Cause::Overloaded)
    }

    /// Whether a call that came in now would be refused for load.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let full = self.model.max_num_queued_reqs.is_some_and(|most| self.inside >= most);
        full || self.model.max_num_queued_tokens.is_some_and(|most| self.queued_tokens >= u64::from(most))
    }

    /// A call is wanted no more. No effect on a call that has come out.
    pub fn cancel(&mut self, now: Time, call: CallId) {
        self.catch_up(now);
        let Some(handle) = self.seqs.find(call) else { return };
        let seq = &mut self.seqs[handle.index];
        if seq.cancelled {
            return;
        }
        seq.cancelled = true;
        if seq.state == State::Decode {
            self.decoders.unmeasure(seq);
        }
        seq.measured = false;
        let taken_in = self.serve(now, self.host.cancel);
        self.post(taken_in, handle, true);
    }

    /// The host works on something that arrived at `now`; returns when it is done, ps.
    fn serve(&mut self, now: Time, work: u64) -> u64 {
        let done = self.host_free.max(ps(now)).saturating_add(work);
        if work > 0 {
            self.host_free = done;
        }
        done
    }

    fn post(&mut self, taken_in: u64, seq: Handle, cancels: bool) {
        let ready = taken_in.saturating_add(self.host.delay_in);
        let visible = up(ready).saturating_mul(1000).saturating_sub(999);
        self.inbox.push_back(Item { ready, visible, seq, cancels });
        self.plan();
    }

    /// When [`Vllm::advance`] is wanted next, and for what.
    #[must_use]
    pub fn next_event(&self) -> Option<(Time, EventKind)> {
        let completion = self.outbox.next().map(|at| (Time::from_nanos(at), EventKind::Completion));
        let step = self.next.map(|at| (Time::from_nanos(up(at)), EventKind::Step));
        completion.into_iter().chain(step).min().map(|(at, kind)| (at.max(self.now), kind))
    }

    /// Does all that is due before `now`, and what is due at `now` up to and including `kind`.
    pub fn advance(&mut self, now: Time, kind: EventKind) {
        self.now = self.now.max(now);
        match kind {
            EventKind::Completion => self.decide_before(start_of(now)),
            EventKind::Step => self.decide_before(ps(now).saturating_add(1)),
        }
    }

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        while let Some(entry) = self.outbox.pop(self.now.as_nanos()) {
            if !self.seqs.is_live(entry.seq) {
                continue;
            }
            let seq = &self.seqs[entry.seq.index];
            let (call, work) = (seq.call, seq.work());
            let Some(kind) = told(entry.news, seq.cancelled, work) else { continue };
            if !matches!(kind, OutputKind::Began | OutputKind::FirstToken | OutputKind::Token) {
                self.seqs.remove(entry.seq.index);
            }
            return Some(Output { call, at: Time::from_nanos(entry.at), kind });
        }
        None
    }

    /// A look at it, as of the last `now` it was told.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let unnoticed = if self.skips == 0 { 0 } else { self.stretch().ended_before(start_of(self.now), self.skips) };
        let blocks = u64::from(self.kv.in_use()) + self.decoders.need(unnoticed);
        Gauges { running: self.running.len, waiting: self.waiting.len, kv_use: blocks as f64 / f64::from(self.kv.total) }
    }

    /// Sums up to `now`: of steps that have ended, but for the busy time, which is exact.
    pub fn totals(&mut self, now: Time) -> Totals {
        self.catch_up(now);
        let flying = self.flight.map_or(0, |flight| {
            let launched = flight.decided.saturating_add(self.host.step);
            ps(now).saturating_sub(launched).min(flight.cost)
        });
        Totals { busy_s: (self.busy + u128::from(flying)) as f64 / 1e12, ..self.totals }
    }

    /// Inter-token gaps of the measured calls, by class.
    #[must_use]
    pub fn gaps(&self) -> &[Latency] {
        &self.gaps
    }

    /// Brings everything to just before what is due at `now`.
    fn catch_up(&mut self, now: Time) {
        self.now = self.now.max(now);
        let bound = start_of(now);
        self.decide_before(bound);
        if self.skips > 0 {
            let steps = self.stretch().ended_before(bound, self.skips);
            self.skip(steps);
            self.skips -= steps;
        }
    }

    fn decide_before(&mut self, bound: u64) {
        while let Some(at) = self.next.filter(|at| *at < bound) {
            self.skip(self.skips);
            self.decide(at);
            self.plan();
        }
    }

    /// The steps from the one in flight on, as long as nothing changes.
    fn stretch(&self) -> Stretch {
        let flight = self.flight.expect("only where a step is in flight");
        let end = flight.decided.saturating_add(self.host.step).saturating_add(flight.cost);
        Stretch {
            end,
            decided: end.max(self.host_free),
            host_step: self.host.step,
            host_out: self.host.token * u64::from(self.decoders.count),
            cost: flight.cost,
            growth: self.cost.tk * u64::from(self.decoders.count),
        }
    }

    /// Finds the next step after which something changes.
    fn plan(&mut self) {
        let Some(flight) = self.flight else {
            self.skips = 0;
            self.next = self.inbox.front().map(|item| item.ready);
            return;
        };
        let stretch = self.stretch();
        self.skips = 0;
        if flight.prefill_tokens == 0 && !self.unlike_next && !self.one_by_one {
            let finish = self.decoders.next_finish().expect("a step without prefill decodes");
            let most = self.decoders.steps_within(self.kv.unused(), finish - self.decoders.step);
            self.skips = self.inbox.front().map_or(most, |item| stretch.first_decision_at(item.visible, most));
        }
        self.next = Some(stretch.end(self.skips));
    }

    /// Advances over `steps` steps in which nothing changes.
    fn skip(&mut self, steps: u64) {
        if steps == 0 {
            return;
        }
        let stretch = self.stretch();
        let out = stretch.host_step + stretch.host_out + self.host.delay_out;
        gaps::record_stretch(&mut self.gaps, &self.decoders.measured, &stretch, steps, self.last_delivery, out);
        let decided = stretch.decided(steps);
        self.busy += stretch.busy(steps);
        self.totals.steps += steps;
        self.totals.decode_tokens += steps * u64::from(self.decoders.count);
        self.kv.take(u32::try_from(self.decoders.need(steps)).expect("no more blocks than are unused"));
        self.decoders.advance(steps);
        self.flight = Some(Flight { decided, cost: stretch.cost(steps), prefill_tokens: 0 });
        self.host_free = decided.saturating_add(stretch.host_step + stretch.host_out);
        self.last_delivery = self.host_free.saturating_add(self.host.delay_out);
    }
}

/// What is told of `news` about a call: of a cancelled one, only that it is out.
fn told(news: News, cancelled: bool, work: CallWork) -> Option<OutputKind> {
    match news {
        News::Began | News::FirstToken | News::Token if cancelled => None,
        News::Began => Some(OutputKind::Began),
        News::Token => Some(OutputKind::Token),
        News::FirstToken => Some(OutputKind::FirstToken),
        News::Done | News::Failed(_) if cancelled => Some(OutputKind::Cancelled(work)),
        News::Done => Some(OutputKind::Done(work)),
        News::Failed(cause) => Some(OutputKind::Failed { cause, work, retry_after: None }),
        News::Cancelled => Some(OutputKind::Cancelled(work)),
    }
}

/// A time in picoseconds, the unit of everything in here.
const fn ps(time: Time) -> u64 {
    time.as_nanos().saturating_mul(1000)
}

/// What is before this comes out before `now`: times are rounded up to the nanosecond.
const fn start_of(now: Time) -> u64 {
    ps(now).saturating_sub(999)
}

//! The way in: from arrival through the gates to the start of a call.
//!
//! ```text
//! arrival -> throttle, rate limit, signals -> graduated (at = "arrival") -> queue's bounds -> deadline -> breaker
//!    -> light: slot? lane free?  --wait--> queue -+
//!    -> heavy: lane?             --wait--> line  -+-> budget -> CoDel -> graduated (at = "dispatch") -> breaker -> call
//! ```
//! A gate at the exit that refuses the head lets the next one try at once. With `hold = "all_or_none"` (and always where
//! nobody holds anything) an attempt stays where it waits until there is budget for it too; with `"while_waiting"` it takes
//! its slot or lane first and waits for budget in a line of its own.

use super::attempts::{Held, Stage};
use super::breaker::Gate;
use super::budget::{Budget, Grant};
use super::contract::{Asked, Engine};
use super::gateway::{Gateway, Log};
use super::{Action, At, Attempt, Mode, Note, Refusal, RefusalKind, Verdict};
use crate::request::{AttemptId, Reason};
use crate::time::{Span, Time};

/// What the way in has found out about an attempt at this instant.
#[derive(Copy, Clone, Debug)]
pub(super) struct Known<'a> {
    /// What the gates are asked, where there are any.
    pub asked: Option<&'a Asked>,
    /// Whether the breaker has let it pass.
    pub cleared: bool,
}

impl Known<'_> {
    /// It has waited since.
    pub const NOTHING: Self = Self { asked: None, cleared: false };
}

impl Gateway {
    /// Leads a new attempt through the gates at the entrance: it starts, waits, or is refused.
    pub(super) fn admit(&mut self, now: Time, index: u32) {
        let asked = self.standing.somewhere().then(|| self.asked(now, index));
        let passed = asked.as_ref().filter(|_| self.standing.entrance).map_or(Ok(()), |asked| self.entrance(index, asked));
        if let Err(reason) = passed.and_then(|()| self.ask_breaker(now, index)) {
            return self.refuse(now, index, reason);
        }
        let known = Known { asked: asked.as_ref(), cleared: true };
        if self.may_wait() {
            self.admit_metered(now, index, known);
        } else {
            self.observe_lane(now, index);
            self.admit_unmetered(now, index, known);
        }
    }

    /// Where only a slot can make an attempt wait.
    fn admit_unmetered(&mut self, now: Time, index: u32, known: Known) {
        if self.meet_slots(index) {
            self.start(now, index, known, Grant::NONE);
        } else {
            self.park(index);
        }
    }

    /// Leads a heavy attempt to its lane and a light one to a slot, and either to the budget.
    fn admit_metered(&mut self, now: Time, index: u32, known: Known) {
        let need = self.need_as_left(index); // the breaker has just been asked
        let whole = (self.limiter.mode() == Mode::Enforce).then(|| self.limiter.tokens(&need));
        if whole.is_some_and(|tokens| self.limiter.is_too_large(&need, tokens)) {
            self.count_budget(now, index, Verdict::Refuse(Reason::OverBudget));
            return self.refuse(now, index, Reason::OverBudget);
        }
        let heavy = self.is_heavy(index);
        if !heavy {
            self.observe_lane(now, index);
            if !self.meet_slots(index) {
                return self.park(index);
            }
        }
        let first = if heavy { self.before_heavy(now, index) } else { self.before_light(now, index) };
        let answer = first.unwrap_or_else(|| self.first_grant(now, index, &need, whole));
        match answer {
            Budget::Granted(grant) if heavy => self.start_heavy(now, index, known, grant),
            Budget::Granted(grant) => self.start(now, index, known, grant),
            Budget::Never => self.refuse(now, index, Reason::OverBudget),
            Budget::Wait(until) | Budget::Held(until) => {
                self.count_wait(now, index, answer);
                if self.has_room(now, index) {
                    if heavy {
                        self.park_heavy(index);
                    } else {
                        self.park(index);
                    }
                    self.timers.gate_by(until);
                }
            }
        }
    }

    /// What lets a light attempt that arrives wait, before the budget is asked.
    #[inline]
    fn before_light(&self, now: Time, index: u32) -> Option<Budget> {
        if self.waiting.len() > 0 {
            return Some(Budget::Wait(Time::FAR));
        }
        self.lane_blocks_light(now, index).map(Budget::Held)
    }

    /// Whether a slot is free for the attempt, or nobody has to mind.
    #[inline]
    fn meet_slots(&mut self, index: u32) -> bool {
        let mode = self.slots.mode();
        mode == Mode::Off || self.ask_slots(index, mode)
    }

    fn ask_slots(&mut self, index: u32, mode: Mode) -> bool {
        let verdict = self.slots.verdict();
        let enforced = mode == Mode::Enforce;
        if verdict != Verdict::Pass {
            self.log.counters.verdict(verdict, enforced);
        }
        if self.log.notes {
            let attempt = self.attempts[index].attempt.id;
            self.log.note(Note { attempt, saw: self.slots.seen(), verdict, enforced });
        }
        verdict == Verdict::Pass || !enforced
    }

    /// Whether the queue's bound in tokens has room for an attempt that has to wait though a slot is free: refuses it where
    /// not.
    pub(super) fn has_room(&mut self, now: Time, index: u32) -> bool {
        if self.queue.mode() == Mode::Off {
            return true;
        }
        let asked = self.asked(now, index);
        if asked.must_wait {
            return true; // it has been asked
        }
        let id = self.attempts[index].attempt.id;
        let verdict = meet(&mut self.queue, id, &Asked { must_wait: true, ..asked }, &mut self.log);
        if let Err(reason) = pass(verdict) {
            self.refuse(now, index, reason);
        }
        verdict == Verdict::Pass
    }

    /// Starts as many as can. Nobody waits while a slot is free and nothing else is in the way.
    #[inline]
    pub(super) fn dispatch(&mut self, now: Time) {
        if self.waiting.len() + self.lane_line.len() + self.budget_line.len() > 0 {
            self.serve_lines(now);
        } else if self.standing.beside_slots {
            self.timers.clear_gate();
        }
    }

    #[inline(never)] // apart from what every input goes through
    fn serve_lines(&mut self, now: Time) {
        if !self.may_wait() {
            while self.slots.free() {
                let Some(index) = self.waiting.next(&self.attempts, now) else { return };
                self.unpark(index);
                self.start_next(now, index, Grant::NONE);
            }
            return;
        }
        let mut ask_again = Time::FAR;
        while self.serve_budget(now, &mut ask_again)
            || self.serve_lane(now, &mut ask_again)
            || self.serve_queue(now, &mut ask_again)
        {
            ask_again = Time::FAR;
        }
        self.timers.set_gate(ask_again);
    }

    /// Whether anything but a slot can make an attempt wait, or does since before the latest settings.
    #[inline]
    pub(super) fn may_wait(&self) -> bool {
        self.standing.beside_slots || self.lane_line.len() + self.budget_line.len() > 0
    }

    /// Starts the head of the queue, if it can: whether that has changed anything.
    fn serve_queue(&mut self, now: Time, ask_again: &mut Time) -> bool {
        if !self.slots.free() {
            return false;
        }
        let Some(index) = self.waiting.next(&self.attempts, now) else { return false };
        let blocked = self.lane_blocks_light(now, index);
        let answer = blocked.map_or_else(|| self.early_grant(now, index), Budget::Held);
        self.serve_head(now, index, answer, ask_again, |gateway, grant| gateway.start_next(now, index, grant))
    }

    /// Does what the answer to the head of a line says: takes it out and starts it, or refuses it, or leaves it there for
    /// later. Whether that has changed anything.
    pub(super) fn serve_head(
        &mut self,
        now: Time,
        index: u32,
        answer: Budget,
        ask_again: &mut Time,
        start: impl FnOnce(&mut Self, Grant),
    ) -> bool {
        match answer {
            Budget::Granted(grant) => {
                self.unpark(index);
                start(self, grant);
            }
            Budget::Never => {
                self.unpark(index);
                self.refuse(now, index, Reason::OverBudget);
            }
            Budget::Wait(until) | Budget::Held(until) => {
                *ask_again = (*ask_again).min(until);
                return false;
            }
        }
        true
    }

    fn start_next(&mut self, now: Time, index: u32, grant: Grant) {
        self.meet_slots(index);
        self.start(now, index, Known::NOTHING, grant);
    }

    /// Puts an attempt into the queue.
    pub(super) fn park(&mut self, index: u32) {
        let entry = &mut self.attempts[index];
        entry.stage = Stage::Queue(self.queue.place(tokens(&entry.attempt)));
        let due = entry.terms.waiting_due(entry.arrived);
        self.waiting.push(&mut self.attempts, index);
        self.timers.set_attempt(index, due);
    }

    /// Takes an attempt out of wherever it waits, for whatever reason. What it holds it keeps.
    pub(super) fn unpark(&mut self, index: u32) {
        self.timers.clear_attempt(index);
        match std::mem::replace(&mut self.attempts[index].stage, Stage::Moving) {
            Stage::Queue(place) => {
                self.waiting.unlink(&mut self.attempts, index);
                self.queue.give_back(place);
            }
            Stage::Lane(place) => {
                self.lane_line.unlink(&mut self.attempts, index);
                self.queue.give_back(place);
            }
            Stage::Budget => self.budget_line.unlink(&mut self.attempts, index),
            Stage::Moving | Stage::Later | Stage::Running(_) => {}
        }
    }

    /// The attempt is over: what it still holds goes back.
    #[inline]
    pub(super) fn forget(&mut self, index: u32) -> AttemptId {
        if self.attempts[index].held.is_something() {
            self.give_held_back(index);
        }
        self.attempts.remove(index)
    }

    #[inline(never)] // rare: what is held beside a call is held for a wait
    fn give_held_back(&mut self, index: u32) {
        let Held { slot, lane, kept } = std::mem::take(&mut self.attempts[index].held);
        if let Some(slot) = slot {
            self.slots.give_back(slot);
        }
        if let Some(slot) = kept {
            self.slots.give_back(slot);
        }
        if let Some(lane) = lane {
            self.lane.give_back(lane);
        }
    }

    /// Refuses an attempt that waits nowhere.
    pub(super) fn refuse(&mut self, now: Time, index: u32, reason: Reason) {
        let retry_after = self.retry_after(now, index, reason);
        let figures = (reason == Reason::OverBudget).then(|| self.budget_figures(now, index));
        let attempt = self.forget(index);
        let kind = RefusalKind::Rejected(reason);
        let refusal = Refusal { status: status(reason), kind, retry_after, figures };
        self.log.actions.push(Action::Answer { attempt, refusal });
    }

    fn entrance(&mut self, index: u32, asked: &Asked) -> Result<(), Reason> {
        let id = self.attempts[index].attempt.id;
        pass(meet(&mut self.throttle, id, asked, &mut self.log))?;
        if self.rate_limit.mode() != Mode::Off {
            pass(meet(&mut self.rate_limit, id, asked, &mut self.log))?;
            self.rate_limit.take(asked); // a request that passes uses it up
        }
        pass(meet(&mut self.signals, id, asked, &mut self.log))?;
        if self.graduated.stands_at(At::Arrival) {
            pass(meet(&mut self.graduated, id, asked, &mut self.log))?;
        }
        pass(meet(&mut self.queue, id, asked, &mut self.log))?;
        self.depth.depth(self.queue.waiting());
        pass(meet(&mut self.depth, id, asked, &mut self.log))?;
        pass(meet(&mut self.deadline, id, asked, &mut self.log))
    }

    /// The gates at the exit, before a slot or the lane is taken.
    pub(super) fn exit(&mut self, id: AttemptId, asked: &Asked) -> Result<(), Reason> {
        pass(meet(&mut self.codel, id, asked, &mut self.log))?;
        if self.graduated.stands_at(At::Dispatch) {
            pass(meet(&mut self.graduated, id, asked, &mut self.log))?;
        }
        Ok(())
    }

    pub(super) fn asked(&self, now: Time, index: u32) -> Asked {
        let entry = &self.attempts[index];
        let (attempt, arrived) = (&entry.attempt, entry.arrived);
        let heavy = self.is_heavy(index);
        let must_wait = if heavy { self.lane_line.len() > 0 } else { !self.slots.free() };
        let predicts = !heavy && must_wait && self.deadline.mode() != Mode::Off;
        let (deadline, budget) = entry.terms.bounds(arrived, attempt.deadline);
        Asked {
            now,
            arrived,
            deadline,
            budget,
            tokens: tokens(attempt),
            draw: attempt.draw,
            must_wait,
            predicted_wait: if predicts { self.predicted_wait(attempt) } else { Span::ZERO },
            service: self.service.mean(),
        }
    }

    /// Position x smoothed service time / slots; zero before the first sample.
    fn predicted_wait(&self, attempt: &Attempt) -> Span {
        let position = self.waiting.ahead(attempt).saturating_add(1);
        self.service_of(position).unwrap_or(Span::ZERO)
    }

    fn service_of(&self, calls: u32) -> Option<Span> {
        self.service.of(calls, self.slots.limit()?)
    }

    /// When a client refused for `reason` may hope again, where that can be computed: for the queue's bounds and `CoDel`,
    /// when those who wait now will have been served; for a deadline, when the predicted wait will have shrunk to what
    /// was left; for an open breaker, when its cooldown is over.
    fn retry_after(&mut self, now: Time, index: u32, reason: Reason) -> Option<Span> {
        match reason {
            Reason::FullCapacity | Reason::HighCapacity => self.graduated.retry_after(now, self.service.mean()),
            Reason::QueueFull | Reason::QueueTokens | Reason::Codel => self.service_of(self.queue.waiting()),
            Reason::Deadline => {
                let asked = self.asked(now, index);
                let left = asked.deadline - asked.now;
                Some(Span::from_nanos(asked.predicted_wait.as_nanos().saturating_sub(left.as_nanos())))
            }
            Reason::RateLimited => Some(self.rate_limit.retry_after(now)),
            Reason::ProxyCircuitOpen => match self.breaker.ask(now, self.proxy_key(index)) {
                Gate::Open { until } => Some(until - now),
                Gate::Closed | Gate::Probe => None,
            },
            _ => None,
        }
    }
}

/// Estimated input and `max_tokens` together.
pub(super) fn tokens(attempt: &Attempt) -> u64 {
    u64::from(attempt.input_estimate) + u64::from(attempt.max_tokens)
}

/// Asks a gate, counts and reports its answer, and says what is to be done: an engine that only observes lets everybody pass.
#[inline]
pub(super) fn meet<E: Engine>(engine: &mut E, attempt: AttemptId, asked: &Asked, log: &mut Log) -> Verdict {
    let mode = engine.mode();
    if mode == Mode::Off {
        return Verdict::Pass;
    }
    let verdict = engine.ask(asked);
    let enforced = mode == Mode::Enforce;
    if verdict != Verdict::Pass || log.notes {
        report(engine, attempt, asked, verdict, enforced, log);
    }
    if enforced { verdict } else { Verdict::Pass }
}

#[inline(never)] // apart from what every attempt goes through
fn report<E: Engine>(engine: &E, attempt: AttemptId, asked: &Asked, verdict: Verdict, enforced: bool, log: &mut Log) {
    log.counters.verdict(verdict, enforced);
    if log.notes {
        log.actions.push(Action::Note(Note { attempt, saw: engine.saw(asked), verdict, enforced }));
    }
}

/// A refusal as an error.
fn pass(verdict: Verdict) -> Result<(), Reason> {
    match verdict {
        Verdict::Refuse(reason) => Err(reason),
        Verdict::Pass | Verdict::Wait | Verdict::TimedOut => Ok(()),
    }
}

/// The HTTP status of a rejection.
const fn status(reason: Reason) -> u16 {
    match reason {
        Reason::OverBudget => 413,
        Reason::RateLimited | Reason::UpstreamRate => 429,
        _ => 503,
    }
}

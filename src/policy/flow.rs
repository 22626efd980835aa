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

use super::attempts::Stage;
use super::breaker::Gate;
use super::budget::{Budget, Grant};
use super::contract::{Asked, Engine};
use super::gateway::{Gateway, Log};
use super::{Action, At, Attempt, Mode, Note, Refusal, RefusalKind, Verdict};
use crate::request::{AttemptId, Reason};
use crate::time::{Span, Time};

impl Gateway {
    /// Leads a new attempt through the gates at the entrance: it starts, waits, or is refused.
    pub(super) fn admit(&mut self, now: Time, index: u32) {
        let asked = self.asked(now, index);
        let id = self.attempts[index].attempt.id;
        if let Err(reason) = self.entrance(id, &asked) {
            self.refuse(now, index, reason);
        } else if let Err(reason) = self.ask_breaker(now, index) {
            self.refuse(now, index, reason);
        } else if self.is_too_large(now, index) {
            self.count_budget(now, index, Verdict::Refuse(Reason::OverBudget));
            self.refuse(now, index, Reason::OverBudget);
        } else if self.is_heavy(index) {
            self.admit_heavy(now, index, &asked);
        } else {
            self.observe_lane(now, index);
            self.admit_light(now, index, &asked);
        }
    }

    fn admit_light(&mut self, now: Time, index: u32, asked: &Asked) {
        let id = self.attempts[index].attempt.id;
        if meet(&mut self.slots, id, asked, &mut self.log) == Verdict::Wait {
            self.park(asked, index);
        } else if self.may_wait() {
            let behind = self.waiting.oldest(&self.attempts).is_some();
            let answer = if behind { Budget::Wait(Time::FAR) } else { self.light_grant(now, index) };
            match answer {
                Budget::Granted(grant) => self.start(asked, index, grant),
                Budget::Never => self.refuse(now, index, Reason::OverBudget),
                Budget::Wait(until) | Budget::Held(until) => {
                    self.count_wait(now, index, answer);
                    if self.has_room(id, asked, now, index) {
                        self.park(asked, index);
                        self.timers.gate_by(until);
                    }
                }
            }
        } else {
            self.start(asked, index, Grant::NONE);
        }
    }

    /// Whether the queue's bound in tokens has room for an attempt that has to wait though a slot is free: refuses it where
    /// not.
    pub(super) fn has_room(&mut self, id: AttemptId, asked: &Asked, now: Time, index: u32) -> bool {
        if asked.must_wait {
            return true; // it has been asked
        }
        let verdict = meet(&mut self.queue, id, &Asked { must_wait: true, ..*asked }, &mut self.log);
        if let Err(reason) = pass(verdict) {
            self.refuse(now, index, reason);
        }
        verdict == Verdict::Pass
    }

    /// Starts as many as can. Nobody waits while a slot is free and nothing else is in the way.
    pub(super) fn dispatch(&mut self, now: Time) {
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
    pub(super) fn may_wait(&self) -> bool {
        self.limiter.mode() != Mode::Off
            || self.lane.mode() == Mode::Enforce
            || self.lane_line.len() + self.budget_line.len() > 0
    }

    /// Starts the head of the queue, if it can: whether that has changed anything.
    fn serve_queue(&mut self, now: Time, ask_again: &mut Time) -> bool {
        if !self.slots.free() {
            return false;
        }
        let Some(index) = self.waiting.next(&self.attempts, now) else { return false };
        let answer = self.light_grant(now, index);
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
        let asked = self.asked(now, index);
        meet(&mut self.slots, self.attempts[index].attempt.id, &asked, &mut self.log);
        self.start(&asked, index, grant);
    }

    /// Whether the lane and the budget let a light attempt start.
    fn light_grant(&mut self, now: Time, index: u32) -> Budget {
        if let Some(until) = self.lane_blocks_light(now, index) {
            return Budget::Held(until);
        }
        self.early_grant(now, index)
    }

    /// Puts an attempt into the queue.
    pub(super) fn park(&mut self, asked: &Asked, index: u32) {
        self.attempts[index].stage = Stage::Queue(self.queue.take(asked));
        self.waiting.push(&mut self.attempts, index);
        self.timers.set_attempt(index, self.attempts[index].terms.waiting_due(asked.arrived));
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
    pub(super) fn forget(&mut self, now: Time, index: u32) -> AttemptId {
        let held = &mut self.attempts[index].held;
        let (slots, lane) = ([held.slot.take(), held.kept.take()], held.lane.take());
        slots.into_iter().flatten().for_each(|slot| self.slots.give_back(slot));
        if let Some(lane) = lane {
            self.lane.give_back(now, lane);
        }
        self.attempts.remove(index)
    }

    /// Refuses an attempt that waits nowhere.
    pub(super) fn refuse(&mut self, now: Time, index: u32, reason: Reason) {
        let retry_after = self.retry_after(now, index, reason);
        let figures = (reason == Reason::OverBudget).then(|| self.budget_figures(now, index));
        let attempt = self.forget(now, index);
        let kind = RefusalKind::Rejected(reason);
        let refusal = Refusal { status: status(reason), kind, retry_after, figures };
        self.log.actions.push(Action::Answer { attempt, refusal });
    }

    fn entrance(&mut self, id: AttemptId, asked: &Asked) -> Result<(), Reason> {
        pass(meet(&mut self.throttle, id, asked, &mut self.log))?;
        pass(meet(&mut self.rate_limit, id, asked, &mut self.log))?;
        self.rate_limit.take(asked); // a request that passes uses it up
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
        let heavy = self.lane.mode() == Mode::Enforce && self.is_heavy(index);
        let must_wait = if heavy { self.lane_line.len() > 0 } else { !self.slots.free() };
        let predicts = !heavy && must_wait && self.deadline.mode() != Mode::Off;
        Asked {
            now,
            arrived,
            deadline: entry.terms.deadline(arrived, attempt.deadline),
            budget: entry.terms.budget(arrived, attempt.deadline),
            tokens: u64::from(attempt.input_estimate) + u64::from(attempt.max_tokens),
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

/// Asks a gate, counts and reports its answer, and says what is to be done: an engine that only observes lets everybody pass.
pub(super) fn meet<E: Engine>(engine: &mut E, attempt: AttemptId, asked: &Asked, log: &mut Log) -> Verdict {
    let mode = engine.mode();
    if mode == Mode::Off {
        return Verdict::Pass;
    }
    let verdict = engine.ask(asked);
    let enforced = mode == Mode::Enforce;
    log.counters.verdict(verdict, enforced);
    if log.notes {
        log.actions.push(Action::Note(Note { attempt, saw: engine.saw(asked), verdict, enforced }));
    }
    if enforced { verdict } else { Verdict::Pass }
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

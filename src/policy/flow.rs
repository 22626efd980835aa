//! The way in: from arrival through the gates to the start of a call.
//!
//! ```text
//! arrival -> graduated (at = "arrival") -> queue's bounds -> deadline -> slot? --wait--> queue
//!                                                                         |                |
//!                                                                         +----- pass <----+
//!                                                                                 |
//!                                                    CoDel -> graduated (at = "dispatch") -> call
//! ```
//! A gate at the exit that refuses the head lets the next one try at once.

use super::calls::{Call, Hold};
use super::contract::{Asked, Engine};
use super::gateway::{Gateway, Log};
use super::{Action, At, CallKind, Mode, Note, Refusal, RefusalKind, Verdict, WakeReason};
use crate::request::{AttemptId, Reason};
use crate::time::{Span, Time};

impl Gateway {
    /// Leads a new attempt through the gates at the entrance: it starts, waits, or is refused.
    pub(super) fn admit(&mut self, now: Time, index: u32) {
        let asked = self.asked(now, index);
        let id = self.attempts[index].attempt.id;
        if let Err(reason) = self.entrance(id, &asked) {
            self.refuse(now, index, reason);
        } else if meet(&mut self.slots, id, &asked, &mut self.log) == Verdict::Wait {
            self.park(&asked, index);
        } else {
            self.start(&asked, index);
        }
    }

    /// Starts as many as there are slots for. Nobody waits while a slot is free.
    pub(super) fn dispatch(&mut self, now: Time) {
        while self.slots.free() {
            let Some(index) = self.waiting.next(&self.attempts, now) else { return };
            self.unpark(index);
            let asked = self.asked(now, index);
            meet(&mut self.slots, self.attempts[index].attempt.id, &asked, &mut self.log);
            self.start(&asked, index);
        }
    }

    /// Takes an attempt out of the queue, for whatever reason.
    pub(super) fn unpark(&mut self, index: u32) {
        self.waiting.unlink(&mut self.attempts, index);
        self.timers.clear_attempt(index);
        let place = self.attempts[index].place.take().expect("whoever is linked holds a place");
        self.queue.give_back(place);
    }

    /// Refuses an attempt that holds nothing.
    pub(super) fn refuse(&mut self, now: Time, index: u32, reason: Reason) {
        let retry_after = self.retry_after(now, index, reason);
        let attempt = self.attempts.remove(index);
        let refusal = Refusal { status: 503, kind: RefusalKind::Rejected(reason), retry_after };
        self.log.actions.push(Action::Answer { attempt, refusal });
    }

    fn entrance(&mut self, id: AttemptId, asked: &Asked) -> Result<(), Reason> {
        if self.graduated.stands_at(At::Arrival) {
            pass(meet(&mut self.graduated, id, asked, &mut self.log))?;
        }
        pass(meet(&mut self.queue, id, asked, &mut self.log))?;
        pass(meet(&mut self.deadline, id, asked, &mut self.log))
    }

    fn exit(&mut self, id: AttemptId, asked: &Asked) -> Result<(), Reason> {
        pass(meet(&mut self.codel, id, asked, &mut self.log))?;
        if self.graduated.stands_at(At::Dispatch) {
            pass(meet(&mut self.graduated, id, asked, &mut self.log))?;
        }
        Ok(())
    }

    fn park(&mut self, asked: &Asked, index: u32) {
        self.attempts[index].place = Some(self.queue.take(asked));
        self.waiting.push(&mut self.attempts, index);
        self.timers.set_attempt(index, self.attempts[index].terms.waiting_due(asked.arrived));
    }

    /// Leads an attempt for which there is a slot through the gates at the exit, and starts its call.
    fn start(&mut self, asked: &Asked, index: u32) {
        let id = self.attempts[index].attempt.id;
        if let Err(reason) = self.exit(id, asked) {
            self.refuse(asked.now, index, reason);
            return;
        }
        let hold = Hold::Running(self.slots.take(asked));
        let entry = &mut self.attempts[index];
        let (arrived, started, terms) = (entry.arrived, asked.now, entry.terms);
        let call = self.calls.insert(Call { attempt: id, arrived, started, terms, hold });
        entry.call = call;
        self.timers.set_call(call, terms.call_due(arrived, started), WakeReason::CallTimeout);
        self.log.counters.started += 1;
        let (max_tokens, route, vantage) = (entry.attempt.max_tokens, entry.attempt.route, entry.attempt.profile.vantage);
        self.log.actions.push(Action::Start { attempt: id, call, kind: CallKind::First, max_tokens, route, vantage });
    }

    fn asked(&self, now: Time, index: u32) -> Asked {
        let entry = &self.attempts[index];
        let (attempt, arrived, must_wait) = (&entry.attempt, entry.arrived, !self.slots.free());
        let predicts = must_wait && self.deadline.mode() != Mode::Off;
        Asked {
            now,
            arrived,
            deadline: entry.terms.deadline(arrived, attempt.deadline),
            budget: entry.terms.budget(arrived, attempt.deadline),
            tokens: u64::from(attempt.input_estimate) + u64::from(attempt.max_tokens),
            draw: attempt.draw,
            must_wait,
            predicted_wait: if predicts { self.predicted_wait(attempt.priority) } else { Span::ZERO },
            service: self.service.mean(),
        }
    }

    /// Position x smoothed service time / slots; zero before the first sample.
    fn predicted_wait(&self, priority: u8) -> Span {
        let position = self.waiting.ahead(priority).saturating_add(1);
        self.service_of(position).unwrap_or(Span::ZERO)
    }

    fn service_of(&self, calls: u32) -> Option<Span> {
        self.service.of(calls, self.slots.limit()?)
    }

    /// When a client refused for `reason` may hope again, where that can be computed: for the queue's bounds and `CoDel`,
    /// when those who wait now will have been served; for a deadline, when the predicted wait will have shrunk to what
    /// was left.
    fn retry_after(&self, now: Time, index: u32, reason: Reason) -> Option<Span> {
        match reason {
            Reason::FullCapacity | Reason::HighCapacity => self.graduated.retry_after(now, self.service.mean()),
            Reason::QueueFull | Reason::QueueTokens | Reason::Codel => self.service_of(self.queue.waiting()),
            Reason::Deadline => {
                let asked = self.asked(now, index);
                let left = asked.deadline - asked.now;
                Some(Span::from_nanos(asked.predicted_wait.as_nanos().saturating_sub(left.as_nanos())))
            }
            _ => None,
        }
    }
}

/// Asks a gate, counts and reports its answer, and says what is to be done: an engine that only observes lets everybody pass.
fn meet<E: Engine>(engine: &mut E, attempt: AttemptId, asked: &Asked, log: &mut Log) -> Verdict {
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

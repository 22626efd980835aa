//! The ways out: answered, failed, timed out, client gone. Each gives back what was held, once.

use slotmap::Key;

use super::attempts::Entry;
use super::calls::{Call, Hold};
use super::contract::Engine;
use super::gateway::Gateway;
use super::timers::Due;
use super::{Action, CallEnd, Mode, Note, OnClientGone, OnTimeout, Refusal, RefusalKind, Saw, Verdict, WakeReason};
use crate::request::{AttemptId, CallId, Cause};
use crate::time::Time;

impl Gateway {
    /// Does what is due at or before `now`, in due order, as of when it was due. All that is due at one instant happens
    /// before the slots that it frees are given to others.
    pub(super) fn run_due(&mut self, now: Time) {
        while let Some((due, _)) = self.timers.next().filter(|(due, _)| *due <= now) {
            let due = due.max(self.now);
            while let Some((_, what)) = self.timers.pop_due(due) {
                match what {
                    Due::Attempt(index) => self.waited_too_long(due, index),
                    Due::Call(call) => self.call_due(due, call),
                }
            }
            self.now = due;
            self.dispatch(due);
        }
    }

    /// The first byte of a call's answer: from here on the attempt can only be completed or cut.
    pub(super) fn first_byte(&mut self, call: CallId) {
        let attempt = self.calls.get(call).map_or(AttemptId::null(), |call| call.attempt);
        let Some(index) = self.attempts.find(attempt) else {
            self.log.counters.stale += u64::from(!self.calls.contains_key(call));
            return; // or the call runs on without its client
        };
        if !std::mem::replace(&mut self.attempts[index].relayed, true) {
            self.log.actions.push(Action::Relay { attempt });
        }
    }

    /// A call has ended upstream.
    pub(super) fn ended(&mut self, now: Time, id: CallId, end: CallEnd) {
        let Some(call) = self.calls.remove(id) else {
            self.log.counters.stale += 1;
            return;
        };
        self.timers.clear_call(id);
        if let (Hold::Running(_), CallEnd::Ok { .. }) = (&call.hold, end) {
            self.service.record(now - call.started);
        }
        let attempt = call.attempt;
        self.give_back(call.hold);
        if let Some(index) = self.attempts.find(attempt) {
            self.conclude(index, end);
        }
        self.dispatch(now);
    }

    /// The client of an attempt has left.
    pub(super) fn gone(&mut self, now: Time, id: AttemptId) {
        let Some(index) = self.live(id) else { return };
        self.log.counters.gone += 1;
        if self.attempts[index].place.is_some() {
            self.unpark(index);
            self.attempts.remove(index);
            return;
        }
        let Entry { call, terms, .. } = self.attempts[index];
        self.attempts.remove(index);
        match terms.on_client_gone {
            OnClientGone::RunOn => self.calls[call].attempt = AttemptId::null(),
            OnClientGone::Cancel => {
                self.cancel(call);
                self.dispatch(now);
            }
        }
    }

    /// A waiting attempt has reached its timeout.
    fn waited_too_long(&mut self, now: Time, index: u32) {
        let entry = &self.attempts[index];
        let (id, terms, arrived) = (entry.attempt.id, entry.terms, entry.arrived);
        let enforced = terms.mode == Mode::Enforce;
        let saw = Saw::Timeout { waited: now - arrived, limit: terms.limit };
        self.time_up(id, saw, enforced);
        if enforced {
            self.unpark(index);
            self.answer_timeout(index);
        } else {
            self.attempts[index].terms.mode = Mode::Off; // counted: its call is not timed once more
        }
    }

    /// A call has reached its timeout, or the end of its lease as abandoned work.
    fn call_due(&mut self, now: Time, id: CallId) {
        let call = &mut self.calls[id];
        if let Hold::Abandoned(abandonment) = &mut call.hold {
            self.graduated.abandoned.lease_out(abandonment);
            return;
        }
        let Call { attempt, arrived, started, terms, .. } = *call;
        let saw = Saw::Timeout { waited: now - terms.clock_start(arrived, started), limit: terms.limit };
        let enforced = terms.mode == Mode::Enforce;
        self.time_up(attempt, saw, enforced);
        if !enforced {
            return;
        }
        self.service.record(now - started);
        match terms.on_timeout {
            OnTimeout::Cancel => self.cancel(id),
            OnTimeout::Abandon => self.abandon(now, id),
        }
        if let Some(index) = self.attempts.find(attempt) {
            self.answer_timeout(index);
        }
    }

    /// Counts and reports that a time is up.
    fn time_up(&mut self, attempt: AttemptId, saw: Saw, enforced: bool) {
        self.log.counters.verdict(Verdict::TimedOut, enforced);
        if self.log.notes && !attempt.is_null() {
            self.log.actions.push(Action::Note(Note { attempt, saw, verdict: Verdict::TimedOut, enforced }));
        }
    }

    fn answer_timeout(&mut self, index: u32) {
        self.log.counters.timed_out += 1;
        self.end(index, Refusal { status: 504, kind: RefusalKind::TimedOut, retry_after: None });
    }

    /// Ends a call upstream and forgets it.
    fn cancel(&mut self, id: CallId) {
        let call = self.calls.remove(id).expect("only calls of the table are cancelled");
        self.timers.clear_call(id);
        self.give_back(call.hold);
        self.log.actions.push(Action::Cancel { call: id });
    }

    /// Lets a call run on as abandoned work, without its slot.
    fn abandon(&mut self, now: Time, id: CallId) {
        let abandoned = &mut self.graduated.abandoned;
        let (abandonment, lease_end) = (abandoned.take(now), abandoned.lease_end(now));
        let call = &mut self.calls[id];
        call.attempt = AttemptId::null();
        let hold = std::mem::replace(&mut call.hold, Hold::Abandoned(abandonment));
        self.timers.set_call(id, lease_end.unwrap_or(Time::FAR), WakeReason::AbandonedLease);
        self.give_back(hold);
        self.log.counters.abandoned += 1;
        self.log.actions.push(Action::Detach { call: id });
    }

    fn give_back(&mut self, hold: Hold) {
        match hold {
            Hold::Running(slot) => self.slots.give_back(slot),
            Hold::Abandoned(abandonment) => self.graduated.abandoned.give_back(abandonment),
        }
    }

    /// Passes a call's end on to the client.
    fn conclude(&mut self, index: u32, end: CallEnd) {
        match end {
            CallEnd::Ok { .. } => {
                let attempt = self.attempts.remove(index);
                self.log.counters.completed += 1;
                self.log.actions.push(Action::Complete { attempt, degraded: false });
            }
            CallEnd::Failed { cause, retry_after } => {
                self.log.counters.failed += 1;
                self.end(index, Refusal { status: status(cause), kind: RefusalKind::Upstream(cause), retry_after });
            }
        }
    }

    /// Refuses an attempt that has no byte of an answer yet, and cuts one that has.
    fn end(&mut self, index: u32, refusal: Refusal) {
        let relayed = self.attempts[index].relayed;
        let attempt = self.attempts.remove(index);
        let action = if relayed { Action::Cut { attempt, refusal } } else { Action::Answer { attempt, refusal } };
        self.log.actions.push(action);
    }
}

/// The HTTP status under which an upstream's failure is passed on.
const fn status(cause: Cause) -> u16 {
    match cause {
        Cause::Overloaded => 503,
        Cause::BadRequest => 400,
        Cause::Server => 500,
        Cause::Connection | Cause::Proxy => 502,
        Cause::RateLimited => 429,
        Cause::Idle => 504,
    }
}

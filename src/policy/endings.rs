//! The ways out: answered, failed, timed out, client gone. Each gives back what was held, once.

use slotmap::Key;

use super::attempts::Stage;
use super::breaker::{CallResult, Moved, Permit};
use super::calls::{Call, Hold, Seat};
use super::contract::Engine;
use super::gateway::Gateway;
use super::limiter::Spent;
use super::timers::Due;
use super::{
    Action, Boundary, CallEnd, CallKind, FinaliseRule, Finish, Heed, Mode, Note, OnClientGone, OnTimeout, Refusal, RefusalKind,
    Saw, Usage, Verdict, WakeReason,
};
use crate::request::{AttemptId, CallId, Cause, RateHeaders};
use crate::time::Time;

impl Gateway {
    /// Does what is due at or before `now`, in due order, as of when it was due. All that is due at one instant happens
    /// before the slots that it frees are given to others.
    #[inline]
    pub(super) fn run_due(&mut self, now: Time) {
        while let Some(due) = self.timers.first().filter(|due| *due <= now) {
            self.run_all_due(due.max(self.now));
        }
    }

    #[inline(never)] // apart from what every input goes through
    fn run_all_due(&mut self, due: Time) {
        while let Some((_, what)) = self.timers.pop_due(due) {
            match what {
                Due::Attempt(index) => self.attempt_due(due, index),
                Due::Call(call) => self.call_due(due, call),
                Due::Gate => {} // to give out what there is now is what follows
            }
        }
        self.now = due;
        self.dispatch(due);
    }

    /// The first byte of a call's answer: from here on the attempt can only be completed or cut.
    pub(super) fn first_byte(&mut self, call: CallId) {
        let attempt = self.calls.get(call).map_or(AttemptId::null(), |call| call.attempt);
        let Some(index) = self.attempts.find(attempt) else {
            self.log.counters.stale += u64::from(self.calls.get(call).is_none());
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
        let Call { attempt, kind, lowered, started, draw, in_flight, hold, .. } = call;
        let mut opened = false;
        match hold {
            Hold::Abandoned(abandonment) => self.graduated.abandoned.give_back(abandonment),
            Hold::Running(mut seat) => {
                if let CallEnd::Ok { .. } = end {
                    self.service.record(now - started);
                }
                self.learn(now, started, in_flight, end);
                let metered = self.calls.metered(id);
                let (reservation, permit) = (metered.reservation.take(), metered.permit.take());
                if let Some(permit) = permit {
                    let result = self.result_of(end);
                    opened = self.tell_breaker(now, permit, result, started, draw);
                }
                if opened {
                    self.note_opening(now, attempt);
                    self.keep_slot(attempt, &mut seat, end);
                }
                if let Some(reservation) = reservation {
                    self.limiter.settle(now, reservation, self.spent(kind, lowered, end));
                }
                self.give_back(seat);
            }
        }
        self.refused_for_rate(now, id, end);
        if let Some(index) = self.attempts.find(attempt) {
            self.conclude(now, index, kind, lowered, end, opened);
        }
        self.dispatch(now);
    }

    /// The answer to a call has said what is left of the provider's limits.
    pub(super) fn told_limits(&mut self, now: Time, call: CallId, limits: &RateHeaders) {
        if self.calls.get(call).is_none() {
            self.log.counters.stale += 1;
            return;
        }
        self.limits = Some((call, *limits));
        if let Some(tokens) = limits.tokens.filter(|_| self.upstream_errors.rate_headers == Heed::Always) {
            self.limiter.told(now, tokens.remaining);
        }
    }

    /// What a 429 has said of the provider's limits corrects the limiter, where the settings say so.
    fn refused_for_rate(&mut self, now: Time, call: CallId, end: CallEnd) {
        let limits = self.limits.take_if(|(of, _)| *of == call).and_then(|(_, limits)| limits.tokens);
        if let (CallEnd::Failed { cause: Cause::RateLimited, .. }, Some(tokens)) = (end, limits)
            && self.upstream_errors.rate_headers != Heed::Never
        {
            self.limiter.told(now, tokens.remaining);
        }
    }

    /// What a call's end says about its proxy: that it gave no connection, that it worked, or nothing. The API's own failures
    /// are nothing to it, unless the settings say so.
    fn result_of(&self, end: CallEnd) -> CallResult {
        match end {
            CallEnd::Ok { .. } => CallResult::Ok,
            CallEnd::Failed { cause: Cause::Proxy | Cause::Connection, .. } => CallResult::Failed,
            CallEnd::Failed { cause: Cause::Server | Cause::Overloaded | Cause::Idle, .. } if self.breaker.counts_5xx() => {
                CallResult::Failed
            }
            CallEnd::Failed { .. } => CallResult::Ignored,
        }
    }

    /// What a call's end teaches the limits that adapt: a call that was refused for load or broke is a drop, a bad request
    /// says nothing.
    #[inline]
    fn learn(&mut self, now: Time, started: Time, in_flight: u32, end: CallEnd) {
        let accepted = match end {
            CallEnd::Ok { .. } => true,
            CallEnd::Failed { cause: Cause::BadRequest, .. } => return,
            CallEnd::Failed { .. } => false,
        };
        self.throttle.record(now, accepted);
        self.slots.sample(now, now - started, in_flight, !accepted);
    }

    /// The client of an attempt has left.
    pub(super) fn gone(&mut self, now: Time, id: AttemptId) {
        let Some(index) = self.live(id) else { return };
        self.log.counters.gone += 1;
        if let Stage::Running(call) = self.attempts[index].stage {
            let terms = self.attempts[index].terms;
            self.forget(index);
            match terms.on_client_gone {
                OnClientGone::RunOn => self.calls[call].attempt = AttemptId::null(),
                OnClientGone::Cancel => self.cancel(now, call),
            }
        } else {
            self.unpark(index);
            self.forget(index);
        }
        self.dispatch(now);
    }

    /// The timer of an attempt without a call: its timeout, or what it waits for.
    fn attempt_due(&mut self, now: Time, index: u32) {
        let entry = &self.attempts[index];
        let (expiry, timed) = (entry.terms.waiting_due(entry.arrived), entry.terms.mode != Mode::Off);
        if timed && expiry <= now && self.waited_too_long(now, index) {
            return;
        }
        let entry = &self.attempts[index];
        match entry.stage {
            Stage::Budget if entry.wake <= now && self.limiter.boundary() == Boundary::Seed => {
                self.wake_at_boundary(now, index);
            }
            Stage::Later if entry.wake <= now => self.try_again(now, index),
            Stage::Budget | Stage::Later => {
                let wake = if entry.wake > now { entry.wake } else { Time::FAR };
                let due = entry.terms.waiting_due(entry.arrived).min(wake);
                self.timers.set_attempt_for(index, due, WakeReason::Budget);
            }
            _ => self.timers.set_attempt(index, entry.terms.waiting_due(entry.arrived)),
        }
    }

    /// A waiting attempt has reached its timeout: whether that ends it.
    fn waited_too_long(&mut self, now: Time, index: u32) -> bool {
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
        enforced
    }

    /// A call has reached one of its times, or the end of its lease as abandoned work.
    fn call_due(&mut self, now: Time, id: CallId) {
        let call = &mut self.calls[id];
        if let Hold::Abandoned(abandonment) = &mut call.hold {
            self.graduated.abandoned.lease_out(abandonment);
            return;
        }
        let (attempt, clock_start) = (call.attempt, call.terms.clock_start(call.arrived, call.started));
        let mut enforced = false;
        while let Some((due, mode, own)) = self.calls[id].clocks.take_due(now) {
            let carried_out = mode == Mode::Enforce;
            enforced |= carried_out;
            self.time_up(attempt, Saw::Timeout { waited: now - clock_start, limit: due - clock_start }, carried_out);
            if let Some(index) = self.attempts.find(attempt).filter(|_| own && !carried_out) {
                self.attempts[index].terms.mode = Mode::Off; // counted: no later call is timed once more
            }
        }
        let clocks = &mut self.calls[id].clocks;
        if enforced {
            self.call_timed_out(now, id);
        } else if !(clocks.take_finalise(now) && self.finalise_early(now, id)) {
            let next = self.calls[id].clocks.next();
            self.timers.set_call(id, next, WakeReason::CallTimeout);
        }
    }

    fn call_timed_out(&mut self, now: Time, id: CallId) {
        let Call { attempt, started, terms, in_flight, .. } = self.calls[id];
        self.service.record(now - started);
        self.slots.sample(now, now - started, in_flight, true);
        let draw = self.calls[id].draw;
        if let Some(permit) = self.calls.metered(id).permit.take()
            && self.tell_breaker(now, permit, CallResult::TimedOut, started, draw)
        {
            self.note_opening(now, attempt);
        }
        if self.finalise_late(now, id) {
            return;
        }
        match terms.on_timeout {
            OnTimeout::Cancel => self.cancel(now, id),
            OnTimeout::Abandon => self.abandon(now, id),
        }
        if let Some(index) = self.attempts.find(attempt) {
            self.answer_timeout(index);
        }
    }

    /// Counts and reports that a time is up.
    fn time_up(&mut self, attempt: AttemptId, saw: Saw, enforced: bool) {
        self.log.counters.verdict(Verdict::TimedOut, enforced);
        if !attempt.is_null() {
            self.log.note(Note { attempt, saw, verdict: Verdict::TimedOut, enforced });
        }
    }

    fn answer_timeout(&mut self, index: u32) {
        self.log.counters.timed_out += 1;
        self.end(index, Refusal { status: 504, kind: RefusalKind::TimedOut, retry_after: None, figures: None });
    }

    /// Ends a call upstream and forgets it.
    pub(super) fn cancel(&mut self, now: Time, id: CallId) {
        let call = self.calls.remove(id).expect("only calls of the table are cancelled");
        self.timers.clear_call(id);
        match call.hold {
            Hold::Running(seat) => self.give_all_back(now, id, seat, call.started, call.draw),
            Hold::Abandoned(abandonment) => self.graduated.abandoned.give_back(abandonment),
        }
        self.log.actions.push(Action::Cancel { call: id });
    }

    /// Lets a call run on as abandoned work, without anything that it held.
    pub(super) fn abandon(&mut self, now: Time, id: CallId) {
        let abandoned = &mut self.graduated.abandoned;
        let (abandonment, lease_end) = (abandoned.take(now), abandoned.lease_end(now));
        let call = &mut self.calls[id];
        call.attempt = AttemptId::null();
        let (started, draw) = (call.started, call.draw);
        let hold = std::mem::replace(&mut call.hold, Hold::Abandoned(abandonment));
        self.timers.set_call(id, lease_end.unwrap_or(Time::FAR), WakeReason::AbandonedLease);
        if let Hold::Running(seat) = hold {
            self.give_all_back(now, id, seat, started, draw);
        }
        self.log.counters.abandoned += 1;
        self.log.actions.push(Action::Detach { call: id });
    }

    /// What a call held goes back whose end says nothing, the last taken first.
    fn give_all_back(&mut self, now: Time, id: CallId, seat: Seat, started: Time, draw: u64) {
        let metered = self.calls.metered(id);
        let (reservation, permit) = (metered.reservation.take(), metered.permit.take());
        if let Some(permit) = permit {
            self.tell_breaker(now, permit, CallResult::Ignored, started, draw);
        }
        if let Some(reservation) = reservation {
            self.limiter.settle(now, reservation, Spent::Unknown);
        }
        self.give_back(seat);
    }

    #[inline]
    fn give_back(&mut self, Seat { slot, lane }: Seat) {
        if let Some(lane) = lane {
            self.lane.give_back(lane);
        }
        if let Some(slot) = slot {
            self.slots.give_back(slot);
        }
    }

    /// A call's result for its proxy's breaker: whether that has opened it.
    fn tell_breaker(&mut self, now: Time, permit: Permit, result: CallResult, started: Time, draw: u64) -> bool {
        let opened = self.breaker.give_back(now, permit, result, now - started, draw) == Moved::Opened;
        self.log.counters.circuit_opens += u64::from(opened);
        opened
    }

    /// Reports that an attempt's call has opened the breaker of its proxy.
    fn note_opening(&mut self, now: Time, attempt: AttemptId) {
        if let Some(index) = self.attempts.find(attempt).filter(|_| self.log.notes) {
            let key = self.proxy_key(index);
            let until = self.breaker.opens_at(now, key);
            let saw = Saw::Opened { country: key.country, proxy_mode: key.mode, until };
            self.log.note(Note { attempt, saw, verdict: Verdict::Pass, enforced: self.breaker.mode() == Mode::Enforce });
        }
    }

    /// What a call has used of its reservation. A last call before the SLA teaches nothing; the seed's settles nothing.
    #[inline]
    fn spent(&self, kind: CallKind, lowered: bool, end: CallEnd) -> Spent {
        let CallEnd::Ok { usage: Some(Usage { input, output }), finish } = end else { return Spent::Unknown };
        let tokens = u64::from(input) + u64::from(output);
        let seeds = self.finalise.as_ref().is_some_and(|finalise| finalise.rule == FinaliseRule::AfterTimeout);
        match kind {
            CallKind::Finalise if seeds => Spent::Unknown,
            CallKind::Finalise => Spent::Untaught { tokens },
            CallKind::First | CallKind::Redispatch => Spent::Used { tokens, cut: lowered && finish == Finish::Length },
        }
    }

    /// Passes a call's end on to the client, or tries again.
    #[inline]
    fn conclude(&mut self, now: Time, index: u32, kind: CallKind, lowered: bool, end: CallEnd, opened: bool) {
        match end {
            CallEnd::Ok { finish, .. } => {
                let degraded = kind == CallKind::Finalise || lowered && finish == Finish::Length;
                let attempt = self.forget(index);
                self.log.counters.completed += 1;
                self.log.actions.push(Action::Complete { attempt, degraded });
            }
            CallEnd::Failed { cause, retry_after } => {
                let last = kind == CallKind::Finalise;
                if last || !self.second_try(now, index, cause, retry_after, opened) {
                    self.log.counters.failed += 1;
                    let kind = RefusalKind::Upstream(cause);
                    let refusal = Refusal { status: status(cause), kind, retry_after, figures: None };
                    self.end(index, refusal);
                }
            }
        }
    }

    /// Refuses an attempt that has no byte of an answer yet, and cuts one that has.
    fn end(&mut self, index: u32, refusal: Refusal) {
        let relayed = self.attempts[index].relayed;
        let attempt = self.forget(index);
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
        Cause::Idle => 504,
        Cause::RateLimited => 429,
    }
}

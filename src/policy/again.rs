//! Second calls for one attempt: after a failure that its client has not seen, and before its SLA is missed.
//!
//! After the first byte of an answer there is no second call.

use super::attempts::Stage;
use super::budget::Grant;
use super::calls::{Call, Hold, Seat};
use super::gateway::Gateway;
use super::{CallEnd, CallKind, FinaliseRule, Mode, OnError, OnTimeout, Redispatch, WakeReason};
use crate::request::{AttemptId, CallId, Cause, Vantage};
use crate::time::{Span, Time};

/// How long an attempt waits before it tries again where the upstream does not say.
const PAUSE: Span = Span::from_secs(1);

/// Longer than this nobody waits for an upstream, whatever it asks: its refusal is passed on.
const PAUSE_MAX: Span = Span::from_secs(600);

impl Gateway {
    /// Sends an attempt whose call has failed through the stack again, where the settings say so: whether they do. Once.
    pub(super) fn second_try(&mut self, now: Time, index: u32, cause: Cause, retry_after: Option<Span>, opened: bool) -> bool {
        let entry = &self.attempts[index];
        if entry.relayed || entry.again {
            return false;
        }
        let errors = self.upstream_errors;
        let what = match cause {
            _ if opened && self.breaker.redispatch() != Redispatch::Off => OnError::Redispatch,
            Cause::RateLimited => errors.on_429,
            Cause::Overloaded | Cause::Server | Cause::Connection | Cause::Idle => errors.on_5xx,
            Cause::BadRequest | Cause::Proxy => OnError::PassOn,
        };
        let pause = retry_after.unwrap_or(PAUSE);
        if what == OnError::PassOn || what == OnError::Wait && pause > PAUSE_MAX {
            return false;
        }
        self.attempts[index].again = true;
        self.log.counters.redispatched += 1;
        if what == OnError::Redispatch {
            self.attempts[index].stage = Stage::Moving;
            self.admit(now, index);
        } else {
            let entry = &mut self.attempts[index];
            entry.stage = Stage::Later;
            entry.wake = now + pause;
            let due = entry.wake.min(entry.terms.waiting_due(entry.arrived));
            self.timers.set_attempt_for(index, due, WakeReason::Budget);
        }
        true
    }

    /// The seed's second try keeps the slot of the first.
    pub(super) fn keep_slot(&mut self, attempt: AttemptId, seat: &mut Seat, end: CallEnd) {
        let Some(index) = self.attempts.find(attempt).filter(|_| self.breaker.redispatch() == Redispatch::Seed) else { return };
        let entry = &mut self.attempts[index];
        if !entry.again && !entry.relayed && matches!(end, CallEnd::Failed { .. }) {
            entry.held.kept = seat.slot.take();
        }
    }

    /// What the upstream asked to wait has passed.
    pub(super) fn try_again(&mut self, now: Time, index: u32) {
        self.attempts[index].stage = Stage::Moving;
        self.admit(now, index);
    }

    /// Replaces a call that runs by a last, short one with budget of its own, so that the SLA can be met: whether it could.
    /// Without budget the call runs on.
    pub(super) fn finalise_early(&mut self, now: Time, id: CallId) -> bool {
        let Some(index) = self.may_finalise(id, FinaliseRule::BeforeSla) else { return false };
        let Some(vantage) = self.vantage_left(now, index) else { return false };
        let Some(grant) = self.grant_now(now, index, self.last_limit(index)) else { return false };
        self.replace(now, id, index, (grant, vantage), false)
    }

    /// After a call timeout past the SLA (the seed): one more call on the old reservation. Whether it is made.
    pub(super) fn finalise_late(&mut self, now: Time, id: CallId) -> bool {
        let Some(index) = self.may_finalise(id, FinaliseRule::AfterTimeout) else { return false };
        let sla = self.finalise.as_ref().map_or(Span::FOREVER, |finalise| finalise.sla);
        if now - self.attempts[index].arrived <= sla {
            return false;
        }
        let (grant, vantage) = (Grant::unasked(self.last_limit(index)), self.attempts[index].vantage);
        self.replace(now, id, index, (grant, vantage), true)
    }

    /// The attempt of a call that may be followed by a last one.
    fn may_finalise(&mut self, id: CallId, rule: FinaliseRule) -> Option<u32> {
        let finalise = self.finalise.as_ref().filter(|finalise| finalise.rule == rule)?;
        let (mode, call) = (finalise.mode, &self.calls[id]);
        let index = self.attempts.find(call.attempt)?;
        if mode == Mode::Off || call.kind == CallKind::Finalise || self.attempts[index].relayed {
            return None;
        }
        Some(index)
    }

    fn last_limit(&self, index: u32) -> u32 {
        let limit = self.finalise.as_ref().map_or(u32::MAX, |finalise| finalise.finalise_max_tokens.value());
        self.attempts[index].attempt.max_tokens.min(limit)
    }

    /// Ends a call and starts a last one in its place, on its slot or in its lane; with `keeps` on its reservation too.
    /// Whether it is made: one that is only observed is counted.
    fn replace(&mut self, now: Time, id: CallId, index: u32, last: (Grant, Vantage), keeps: bool) -> bool {
        let enforced = self.finalise.as_ref().is_some_and(|finalise| finalise.mode == Mode::Enforce);
        self.log.counters.finalised.add(enforced);
        if !enforced {
            return false;
        }
        let (grant, vantage) = last;
        self.go_by(index, vantage);
        let Call { hold, terms, .. } = &mut self.calls[id];
        let on_timeout = terms.on_timeout;
        let Hold::Running(old) = hold else { unreachable!("an abandoned call has no attempt") };
        let seat = std::mem::take(old);
        let reservation = if keeps { self.calls.metered(id).reservation.take() } else { None };
        match on_timeout {
            OnTimeout::Abandon if keeps => self.abandon(now, id),
            _ => self.cancel(now, id),
        }
        let last = self.call(now, index, CallKind::Finalise, grant, seat);
        if reservation.is_some() {
            self.calls.metered(last).reservation = reservation; // nothing was granted beside it
        }
        true
    }
}

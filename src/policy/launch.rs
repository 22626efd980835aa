//! The start of a call: lane, breaker, and what the call holds until its end.

use super::attempts::{Entry, Stage};
use super::breaker::{Gate, ProxyKey};
use super::budget::{Budget, Grant};
use super::calls::{Call, Hold, Holds};
use super::contract::{Asked, Engine};
use super::gateway::Gateway;
use super::lane::{LaneAnswer, LaneView};
use super::limiter::Need;
use super::line::Line;
use super::timeout::Clocks;
use super::{Action, Boundary, CallKind, HoldRule, Mode, Note, Saw, Verdict, WakeReason};
use crate::request::{Profile, Reason, Vantage};
use crate::time::Time;

impl Gateway {
    /// Leads a heavy attempt to its lane.
    pub(super) fn admit_heavy(&mut self, now: Time, index: u32, asked: &Asked) {
        let answer = if self.lane_line.first().is_some() { Budget::Held(Time::FAR) } else { self.heavy_grant(now, index) };
        match answer {
            Budget::Granted(grant) => self.start_heavy(asked, index, grant),
            Budget::Never => self.refuse(now, index, Reason::OverBudget),
            Budget::Wait(until) | Budget::Held(until) => {
                self.count_wait(now, index, answer);
                let id = self.attempts[index].attempt.id;
                if self.has_room(id, asked, now, index) {
                    self.attempts[index].stage = Stage::Lane(self.queue.take(asked));
                    self.lane_line.push(&mut self.attempts, index);
                    self.timers.set_attempt(index, self.attempts[index].terms.waiting_due(asked.arrived));
                    self.timers.gate_by(until);
                }
            }
        }
    }

    /// Starts the oldest heavy attempt, if it can: whether that has changed anything.
    pub(super) fn serve_lane(&mut self, now: Time, ask_again: &mut Time) -> bool {
        let Some(index) = self.lane_line.first() else { return false };
        if self.lane.mode() != Mode::Enforce {
            return self.leave_lane(now, index); // the lane has been taken away
        }
        let answer = self.heavy_grant(now, index);
        self.serve_head(now, index, answer, ask_again, |gateway, grant| {
            let asked = gateway.asked(now, index);
            gateway.start_heavy(&asked, index, grant);
        })
    }

    /// Starts the oldest of those who hold a slot or the lane and wait for budget, if there is enough. At the seed's
    /// boundary each waits for itself.
    pub(super) fn serve_budget(&mut self, now: Time, ask_again: &mut Time) -> bool {
        let Some(index) = self.budget_line.first().filter(|_| self.limiter.boundary() == Boundary::Checked) else {
            return false;
        };
        let answer = self.grant(now, index);
        self.serve_head(now, index, answer, ask_again, |gateway, grant| gateway.launch(now, index, grant))
    }

    /// Leads a light attempt for which there is a slot through the gates at the exit.
    pub(super) fn start(&mut self, asked: &Asked, index: u32, grant: Grant) {
        if self.passes_exit(asked, index) {
            self.waiting.started(&self.attempts[index].attempt);
            if self.holds_while_waiting() {
                self.attempts[index].held.slot = Some(self.slots.seat());
                self.claim(asked.now, index);
            } else {
                self.launch(asked.now, index, grant);
            }
        }
    }

    fn start_heavy(&mut self, asked: &Asked, index: u32, grant: Grant) {
        if self.passes_exit(asked, index) {
            self.attempts[index].held.lane = Some(self.lane.take(asked.now));
            self.log.counters.lane_acquisitions += 1;
            if self.holds_while_waiting() {
                self.claim(asked.now, index);
            } else {
                self.launch(asked.now, index, grant);
            }
        }
    }

    /// The gates at the exit: refuses the attempt where one of them does.
    fn passes_exit(&mut self, asked: &Asked, index: u32) -> bool {
        let id = self.attempts[index].attempt.id;
        let passed = self.exit(id, asked);
        if let Err(reason) = passed {
            self.refuse(asked.now, index, reason);
        }
        passed.is_ok()
    }

    /// Whether those who wait for budget hold their slot or lane meanwhile.
    pub(super) fn holds_while_waiting(&self) -> bool {
        self.limiter.mode() == Mode::Enforce && self.limiter.hold() == HoldRule::WhileWaiting
    }

    /// Asks for budget for an attempt that holds its slot or lane: starts it, or puts it into the line.
    fn claim(&mut self, now: Time, index: u32) {
        let checked = self.limiter.boundary() == Boundary::Checked;
        let answer =
            if checked && self.budget_line.first().is_some() { Budget::Wait(Time::FAR) } else { self.grant(now, index) };
        match answer {
            Budget::Granted(grant) => self.launch(now, index, grant),
            Budget::Never => self.refuse(now, index, Reason::OverBudget),
            Budget::Wait(until) | Budget::Held(until) => {
                self.count_budget(now, index, Verdict::Wait);
                let need = self.need(now, index);
                let wanted = self.limiter.tokens(&need);
                let entry = &mut self.attempts[index];
                entry.stage = Stage::Budget;
                entry.wanted = wanted;
                let expiry = entry.terms.waiting_due(entry.arrived);
                self.budget_line.push(&mut self.attempts, index);
                if checked {
                    self.timers.set_attempt(index, expiry);
                    self.timers.gate_by(until);
                } else {
                    self.attempts[index].wake = until;
                    self.timers.set_attempt_for(index, expiry.min(until), WakeReason::Budget);
                }
            }
        }
    }

    /// New settings may have made those who wait for budget wait each for itself.
    pub(super) fn rearm_budget_line(&mut self, now: Time) {
        let own = self.limiter.boundary() == Boundary::Seed;
        let mut at = self.budget_line.first().filter(|_| own);
        while let Some(index) = at {
            let (expiry, wake) = (self.timers.attempt_due(index), self.limiter.next_window(now));
            self.attempts[index].wake = wake;
            self.timers.set_attempt_for(index, expiry.min(wake), WakeReason::Budget);
            at = Line::behind(&self.attempts, index);
        }
    }

    /// The seed's waiter wakes at its window's end: it restores the budget for itself and starts.
    pub(super) fn wake_at_boundary(&mut self, now: Time, index: u32) {
        let need = self.need(now, index);
        self.limiter.woken(now, &need);
        let tokens = self.attempts[index].wanted; // computed before the wait
        let max_tokens = self.attempts[index].attempt.max_tokens;
        self.unpark(index);
        self.launch(now, index, Grant { tokens: Some(tokens), max_tokens });
    }

    /// Counts what a lane that only observes would have said.
    pub(super) fn observe_lane(&mut self, now: Time, index: u32) {
        if self.lane.mode() == Mode::Observe && self.lane.is_heavy(self.attempts[index].attempt.profile) {
            let view = self.lane_view(now, index);
            if let LaneAnswer::Wait { .. } = self.lane.ask(now, &view) {
                self.log.counters.verdict(Verdict::Wait, false);
            }
        }
    }

    fn heavy_grant(&mut self, now: Time, index: u32) -> Budget {
        if self.lane.refreshes() {
            self.limiter.refresh(now);
        }
        // The seed's heavy job sleeps through to its next look, whatever happens meanwhile.
        let wake = self.attempts[index].wake;
        if !self.lane.refreshes() && wake > now && wake < Time::FAR {
            return Budget::Held(wake);
        }
        let view = self.lane_view(now, index);
        match self.lane.ask(now, &view) {
            LaneAnswer::Pass => self.early_grant(now, index),
            LaneAnswer::Wait { until } => {
                let until = until.unwrap_or(Time::FAR);
                self.attempts[index].wake = until;
                Budget::Held(until)
            }
        }
    }

    fn lane_view(&self, now: Time, index: u32) -> LaneView {
        LaneView {
            remaining: self.limiter.remaining(),
            budget: self.limiter.capacity(),
            light_running: self.slots.in_use(),
            heavy_waited: now - self.attempts[index].arrived,
            light_waited: self.waiting.oldest(&self.attempts).map(|arrived| now - arrived),
            next_window: self.limiter.next_window(now),
        }
    }

    /// Until when the lane keeps a light attempt from starting, if it does.
    pub(super) fn lane_blocks_light(&self, now: Time, index: u32) -> Option<Time> {
        if self.lane.mode() != Mode::Enforce {
            return None;
        }
        let heavy_waited = self.lane_line.first().map(|heavy| now - self.attempts[heavy].arrived);
        // The wait that a heavy attempt is shown too, whoever the queue's order lets go first: else, with the oldest at the
        // end of the queue, either side could hold back the other.
        let arrived = self.waiting.oldest(&self.attempts).unwrap_or(self.attempts[index].arrived);
        match self.lane.light(now, heavy_waited, now - arrived) {
            LaneAnswer::Pass => None,
            LaneAnswer::Wait { until } => Some(until.unwrap_or(Time::FAR)),
        }
    }

    /// Whether an attempt goes by the lane, with the vantage policy that it is left with.
    pub(super) fn is_heavy(&self, index: u32) -> bool {
        let Entry { vantage, attempt, .. } = &self.attempts[index];
        self.lane.mode() == Mode::Enforce && self.lane.is_heavy(Profile { vantage: *vantage, ..attempt.profile })
    }

    /// Moves an attempt from the lane's line to the queue.
    fn leave_lane(&mut self, now: Time, index: u32) -> bool {
        self.unpark(index);
        let asked = self.asked(now, index);
        self.park(&asked, index);
        true
    }

    /// The vantage policy that the breaker leaves the attempt, without counting anything.
    pub(super) fn vantage_now(&mut self, now: Time, index: u32) -> Vantage {
        let vantage = self.attempts[index].vantage;
        self.vantage_left(now, index).unwrap_or(vantage)
    }

    /// The same; `None` where no way is left.
    pub(super) fn vantage_left(&mut self, now: Time, index: u32) -> Option<Vantage> {
        let vantage = self.attempts[index].vantage;
        if !vantage.uses_proxy() || self.breaker.mode() != Mode::Enforce {
            return Some(vantage);
        }
        match self.breaker.ask(now, self.proxy_key(index)) {
            Gate::Open { .. } => self.breaker.degrade(vantage),
            Gate::Closed | Gate::Probe => Some(vantage),
        }
    }

    pub(super) fn proxy_key(&self, index: u32) -> ProxyKey {
        let Profile { country, proxy_mode, .. } = self.attempts[index].attempt.profile;
        ProxyKey { country, mode: proxy_mode }
    }

    /// The breaker's decision about an attempt that comes in or starts: pass, degrade or refuse.
    pub(super) fn ask_breaker(&mut self, now: Time, index: u32) -> Result<(), Reason> {
        let (mode, vantage) = (self.breaker.mode(), self.attempts[index].vantage);
        if mode == Mode::Off || !vantage.uses_proxy() {
            return Ok(());
        }
        let open = matches!(self.breaker.ask(now, self.proxy_key(index)), Gate::Open { .. });
        let left = if open { self.breaker.degrade(vantage) } else { Some(vantage) };
        let verdict = left.map_or(Verdict::Refuse(Reason::ProxyCircuitOpen), |_| Verdict::Pass);
        let enforced = mode == Mode::Enforce;
        self.log.counters.verdict(verdict, enforced);
        let ProxyKey { country, mode: proxy_mode } = self.proxy_key(index);
        let attempt = self.attempts[index].attempt.id;
        let saw = Saw::Breaker { country, proxy_mode, open, vantage: left.unwrap_or(vantage) };
        self.log.note(Note { attempt, saw, verdict, enforced });
        match left {
            None if enforced => Err(Reason::ProxyCircuitOpen),
            Some(left) if enforced => {
                self.go_by(index, left);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Leaves the attempt this vantage policy.
    pub(super) fn go_by(&mut self, index: u32, vantage: Vantage) {
        let before = std::mem::replace(&mut self.attempts[index].vantage, vantage);
        self.log.counters.proxy_degraded += u64::from(before != vantage);
    }

    /// Starts the call of an attempt that has passed everything.
    pub(super) fn launch(&mut self, now: Time, index: u32, grant: Grant) {
        // It was asked on the way in, and what it would have said is counted; but since then the attempt may have waited for
        // an hour.
        if self.breaker.mode() == Mode::Enforce
            && let Err(reason) = self.ask_breaker(now, index)
        {
            self.refuse(now, index, reason);
            return;
        }
        let entry = &mut self.attempts[index];
        let kind = if entry.again { CallKind::Redispatch } else { CallKind::First };
        let slot = entry.held.slot.take();
        let lane = entry.held.lane.take();
        let slot = if lane.is_some() { slot } else { slot.or_else(|| Some(self.slots.seat())) };
        if lane.is_none() {
            self.lane.started_light(now);
        }
        self.call(now, index, kind, grant, Holds { slot, lane, ..Holds::default() });
    }

    /// Starts a call with what it holds already.
    pub(super) fn call(&mut self, now: Time, index: u32, kind: CallKind, grant: Grant, mut holds: Holds) {
        let entry = &self.attempts[index];
        let (id, arrived, terms, draw) = (entry.attempt.id, entry.arrived, entry.terms, entry.attempt.draw);
        let (route, vantage) = (entry.attempt.route, entry.vantage);
        let max_tokens = entry.attempt.max_tokens.min(grant.max_tokens);
        let lowered = max_tokens < entry.attempt.max_tokens;
        let profile = Profile { vantage, ..entry.attempt.profile };
        let mut reserved = 0;
        if let Some(tokens) = grant.tokens {
            reserved = u32::try_from(tokens).unwrap_or(u32::MAX);
            let need = Need { class: profile.kind(), input_estimate: entry.attempt.input_estimate, max_tokens };
            if self.log.notes {
                self.note_budget(index, need, tokens, Verdict::Pass, self.limiter.mode() == Mode::Enforce);
            }
            self.log.counters.trims += u64::from(lowered && kind != CallKind::Finalise);
            holds.reservation = Some(self.limiter.take(now, &need, tokens));
        }
        if vantage.uses_proxy() && self.breaker.mode() != Mode::Off {
            holds.permit = Some(self.breaker.take(now, self.proxy_key(index)));
        }
        let clocks = self.clocks(now, arrived, kind, profile, &terms);
        let hold = Hold::Running(holds);
        let call = Call {
            attempt: id,
            kind,
            lowered,
            arrived,
            started: now,
            terms,
            clocks,
            draw,
            in_flight: self.slots.in_use(),
            hold,
        };
        let call = self.calls.insert(call);
        self.attempts[index].stage = Stage::Running(call);
        self.timers.set_call(call, clocks.next(), WakeReason::CallTimeout);
        self.log.counters.started += 1;
        self.log.actions.push(Action::Start { attempt: id, call, kind, max_tokens, route, vantage, reserved });
    }

    /// When the times of a call that starts now are up.
    fn clocks(&self, now: Time, arrived: Time, kind: CallKind, profile: Profile, terms: &super::timeout::Terms) -> Clocks {
        if kind == CallKind::Finalise {
            return Clocks::of_last_call(now, self.finalise.as_ref());
        }
        let mut clocks = Clocks::of(terms.mode, terms.call_due(arrived, now));
        clocks.bound_kind(now, self.call_timeout.as_ref(), profile);
        clocks.finalise_early(now, arrived, self.finalise.as_ref());
        clocks
    }
}

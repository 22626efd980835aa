//! The start of a call: lane, breaker, and what the call holds until its end.

use super::attempts::{Entry, Stage};
use super::breaker::{Gate, ProxyKey};
use super::budget::{Budget, Grant};
use super::calls::{Call, Hold, Seat};
use super::contract::Asked;
use super::flow::{Known, tokens};
use super::gateway::Gateway;
use super::lane::LaneView;
use super::limiter::Need;
use super::line::Line;
use super::timeout::Clocks;
use super::{Action, Boundary, CallKind, HoldRule, Mode, Note, Saw, Verdict, WakeReason};
use crate::request::{CallId, Profile, Reason, Vantage};
use crate::time::Time;

impl Gateway {
    /// What lets a heavy attempt that arrives wait, before the budget is asked.
    #[inline]
    pub(super) fn before_heavy(&mut self, now: Time, index: u32) -> Option<Budget> {
        if self.lane_line.len() > 0 {
            return Some(Budget::Held(Time::FAR));
        }
        self.lane_blocks_heavy(now, index).map(Budget::Held)
    }

    /// Puts an attempt into the line for the lane.
    pub(super) fn park_heavy(&mut self, index: u32) {
        let entry = &mut self.attempts[index];
        entry.stage = Stage::Lane(self.queue.place(tokens(&entry.attempt)));
        let due = entry.terms.waiting_due(entry.arrived);
        self.lane_line.push(&mut self.attempts, index);
        self.timers.set_attempt(index, due);
    }

    /// Starts the oldest heavy attempt, if it can: whether that has changed anything.
    pub(super) fn serve_lane(&mut self, now: Time, ask_again: &mut Time) -> bool {
        let Some(index) = self.lane_line.first() else { return false };
        if self.lane.mode() != Mode::Enforce {
            return self.leave_lane(index); // the lane has been taken away
        }
        let blocked = self.lane_blocks_heavy(now, index);
        let answer = blocked.map_or_else(|| self.early_grant(now, index), Budget::Held);
        self.serve_head(now, index, answer, ask_again, |gateway, grant| gateway.start_heavy(now, index, Known::NOTHING, grant))
    }

    /// Starts the oldest of those who hold a slot or the lane and wait for budget, if there is enough. At the seed's
    /// boundary each waits for itself.
    pub(super) fn serve_budget(&mut self, now: Time, ask_again: &mut Time) -> bool {
        let Some(index) = self.budget_line.first().filter(|_| self.limiter.boundary() == Boundary::Checked) else {
            return false;
        };
        let answer = self.grant(now, index);
        self.serve_head(now, index, answer, ask_again, |gateway, grant| gateway.launch(now, index, grant, false))
    }

    /// Leads a light attempt for which there is a slot through the gates at the exit; `asked`, if it is known.
    #[inline]
    pub(super) fn start(&mut self, now: Time, index: u32, known: Known, grant: Grant) {
        if self.standing.exit && !self.passes_exit(now, index, known.asked) {
            return;
        }
        self.waiting.started(&self.attempts[index].attempt);
        if self.holds_while_waiting() {
            self.attempts[index].held.slot = Some(self.slots.seat());
            self.claim(now, index);
        } else {
            self.launch(now, index, grant, known.cleared);
        }
    }

    pub(super) fn start_heavy(&mut self, now: Time, index: u32, known: Known, grant: Grant) {
        if self.standing.exit && !self.passes_exit(now, index, known.asked) {
            return;
        }
        self.attempts[index].held.lane = Some(self.lane.take(now));
        self.log.counters.lane_acquisitions += 1;
        if self.holds_while_waiting() {
            self.claim(now, index);
        } else {
            self.launch(now, index, grant, known.cleared);
        }
    }

    /// The gates at the exit: refuses the attempt where one of them does.
    #[inline(never)] // most stacks have no gate there
    fn passes_exit(&mut self, now: Time, index: u32, asked: Option<&Asked>) -> bool {
        let id = self.attempts[index].attempt.id;
        let asked = asked.map_or_else(|| self.asked(now, index), |asked| *asked);
        let passed = self.exit(id, &asked);
        if let Err(reason) = passed {
            self.refuse(now, index, reason);
        }
        passed.is_ok()
    }

    /// Whether those who wait for budget hold their slot or lane meanwhile.
    #[inline]
    pub(super) fn holds_while_waiting(&self) -> bool {
        self.limiter.mode() == Mode::Enforce && self.limiter.hold() == HoldRule::WhileWaiting
    }

    /// Asks for budget for an attempt that holds its slot or lane: starts it, or puts it into the line.
    #[inline(never)] // apart from what nearly every call goes through
    fn claim(&mut self, now: Time, index: u32) {
        let checked = self.limiter.boundary() == Boundary::Checked;
        let answer =
            if checked && self.budget_line.first().is_some() { Budget::Wait(Time::FAR) } else { self.grant(now, index) };
        match answer {
            Budget::Granted(grant) => self.launch(now, index, grant, false),
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
        self.limiter.woken(now);
        let tokens = self.attempts[index].wanted; // computed before the wait
        let max_tokens = self.attempts[index].attempt.max_tokens;
        self.unpark(index);
        self.launch(now, index, Grant { tokens: Some(tokens), max_tokens }, false);
    }

    /// Counts what a lane that only observes would have said.
    #[inline]
    pub(super) fn observe_lane(&mut self, now: Time, index: u32) {
        let observed = self.lane.mode() == Mode::Observe && self.lane.is_heavy(self.profile_left(index));
        if observed && self.lane_says(now, index).is_some() {
            self.log.counters.verdict(Verdict::Wait, false);
        }
    }

    /// Until when the lane keeps a heavy attempt from starting, if it does.
    fn lane_blocks_heavy(&mut self, now: Time, index: u32) -> Option<Time> {
        if self.lane.refreshes() {
            self.limiter.refresh(now);
        }
        // The seed's heavy job sleeps through to its next look, whatever happens meanwhile.
        let wake = self.attempts[index].wake;
        if !self.lane.refreshes() && wake > now && wake < Time::FAR {
            return Some(wake);
        }
        let until = self.lane_says(now, index)?;
        self.attempts[index].wake = until;
        Some(until)
    }

    /// The lane's own answer to a heavy attempt.
    fn lane_says(&self, now: Time, index: u32) -> Option<Time> {
        let view = LaneView {
            remaining: self.limiter.remaining(),
            budget: self.limiter.capacity(),
            light_running: self.slots.in_use(),
            heavy_waited: now - self.attempts[index].arrived,
            light_waited: self.waiting.oldest(&self.attempts).map(|arrived| now - arrived),
            next_window: self.limiter.next_window(now),
        };
        self.lane.blocks_heavy(now, &view)
    }

    /// Until when the lane keeps a light attempt from starting, if it does.
    #[inline]
    pub(super) fn lane_blocks_light(&self, now: Time, index: u32) -> Option<Time> {
        if self.lane.may_hold_light(self.lane_line.len() > 0) { self.lane_blocks(now, index) } else { None }
    }

    fn lane_blocks(&self, now: Time, index: u32) -> Option<Time> {
        let heavy_waited = self.lane_line.first().map(|heavy| now - self.attempts[heavy].arrived);
        // The wait that a heavy attempt is shown too, whoever the queue's order lets go first: else, with the oldest at the
        // end of the queue, either side could hold back the other.
        let arrived = self.waiting.oldest(&self.attempts).unwrap_or(self.attempts[index].arrived);
        self.lane.blocks_light(now, heavy_waited, now - arrived)
    }

    /// Whether an attempt goes by the lane, with the vantage policy that it is left with.
    #[inline]
    pub(super) fn is_heavy(&self, index: u32) -> bool {
        self.lane.mode() == Mode::Enforce && self.lane.is_heavy(self.profile_left(index))
    }

    /// What the attempt asks for, with the vantage policy that it is left with.
    fn profile_left(&self, index: u32) -> Profile {
        let Entry { vantage, attempt, .. } = &self.attempts[index];
        Profile { vantage: *vantage, ..attempt.profile }
    }

    /// Moves an attempt from the lane's line to the queue.
    fn leave_lane(&mut self, index: u32) -> bool {
        self.unpark(index);
        self.park(index);
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
    #[inline]
    pub(super) fn ask_breaker(&mut self, now: Time, index: u32) -> Result<(), Reason> {
        let mode = self.breaker.mode();
        if mode == Mode::Off || !self.attempts[index].vantage.uses_proxy() {
            return Ok(());
        }
        self.ask_its_breaker(now, index, mode)
    }

    #[inline(never)] // most attempts use no proxy
    fn ask_its_breaker(&mut self, now: Time, index: u32, mode: Mode) -> Result<(), Reason> {
        let vantage = self.attempts[index].vantage;
        let key = self.proxy_key(index);
        let open = matches!(self.breaker.ask(now, key), Gate::Open { .. });
        let left = if open { self.breaker.degrade(vantage) } else { Some(vantage) };
        let enforced = mode == Mode::Enforce;
        if self.log.notes {
            self.note_breaker(index, key, open, left, enforced);
        }
        let Some(left) = left else {
            self.log.counters.verdict(Verdict::Refuse(Reason::ProxyCircuitOpen), enforced);
            return if enforced { Err(Reason::ProxyCircuitOpen) } else { Ok(()) };
        };
        if enforced && open {
            self.go_by(index, left);
        }
        Ok(())
    }

    fn note_breaker(&mut self, index: u32, key: ProxyKey, open: bool, left: Option<Vantage>, enforced: bool) {
        let Entry { vantage, attempt, .. } = &self.attempts[index];
        let verdict = left.map_or(Verdict::Refuse(Reason::ProxyCircuitOpen), |_| Verdict::Pass);
        let saw = Saw::Breaker { country: key.country, proxy_mode: key.mode, open, vantage: left.unwrap_or(*vantage) };
        self.log.note(Note { attempt: attempt.id, saw, verdict, enforced });
    }

    /// Leaves the attempt this vantage policy.
    pub(super) fn go_by(&mut self, index: u32, vantage: Vantage) {
        let before = std::mem::replace(&mut self.attempts[index].vantage, vantage);
        self.log.counters.proxy_degraded += u64::from(before != vantage);
    }

    /// Starts the call of an attempt that has passed everything; `cleared`, if the breaker let it pass just now.
    pub(super) fn launch(&mut self, now: Time, index: u32, grant: Grant, cleared: bool) {
        // It was asked on the way in, and what it would have said is counted; but since then the attempt may have waited for
        // an hour. Else it would say the same once more, which only a reader of notes wants to hear.
        if (!cleared || self.log.notes)
            && self.breaker.mode() == Mode::Enforce
            && let Err(reason) = self.ask_breaker(now, index)
        {
            self.refuse(now, index, reason);
            return;
        }
        let entry = &mut self.attempts[index];
        let kind = if entry.again { CallKind::Redispatch } else { CallKind::First };
        let (slot, lane) = (entry.held.slot.take(), entry.held.lane.take());
        let slot = if lane.is_some() { slot } else { slot.or_else(|| Some(self.slots.seat())) };
        if lane.is_none() {
            self.lane.started_light(now);
        }
        self.call(now, index, kind, grant, Seat { slot, lane });
    }

    /// Starts a call on what it holds already.
    pub(super) fn call(&mut self, now: Time, index: u32, kind: CallKind, grant: Grant, seat: Seat) -> CallId {
        let Entry { attempt, arrived, terms, vantage, .. } = &self.attempts[index];
        let (id, route, vantage, asked_for) = (attempt.id, attempt.route, *vantage, attempt.max_tokens);
        let max_tokens = asked_for.min(grant.max_tokens);
        let profile = Profile { vantage, ..attempt.profile };
        let clocks = self.clocks(now, *arrived, kind, profile, terms);
        let call = self.calls.insert(Call {
            attempt: id,
            kind,
            lowered: max_tokens < asked_for,
            arrived: *arrived,
            started: now,
            terms: *terms,
            clocks,
            draw: attempt.draw,
            in_flight: self.slots.in_use(),
            hold: Hold::Running(seat),
        });
        let reserved = grant.tokens.map_or(0, |tokens| {
            self.log.counters.trims += u64::from(max_tokens < asked_for && kind != CallKind::Finalise);
            self.reserve(now, index, call, profile.kind(), max_tokens, tokens)
        });
        if vantage.uses_proxy() && self.breaker.mode() != Mode::Off {
            self.calls.metered(call).permit = Some(self.breaker.take(now, self.proxy_key(index)));
        }
        self.attempts[index].stage = Stage::Running(call);
        let due = clocks.next();
        if due != Time::FAR {
            self.timers.set_call(call, due, WakeReason::CallTimeout);
        }
        self.log.counters.started += 1;
        self.log.actions.push(Action::Start { attempt: id, call, kind, max_tokens, route, vantage, reserved });
        call
    }

    /// Takes the tokens that were granted to a call.
    fn reserve(&mut self, now: Time, index: u32, call: CallId, class: usize, max_tokens: u32, tokens: u64) -> u32 {
        let need = Need { class, input_estimate: self.attempts[index].attempt.input_estimate, max_tokens };
        if self.log.notes {
            self.note_budget(index, need, tokens, Verdict::Pass, self.limiter.mode() == Mode::Enforce);
        }
        self.calls.metered(call).reservation = Some(self.limiter.take(now, &need, tokens));
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// When the times of a call that starts now are up.
    #[inline]
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

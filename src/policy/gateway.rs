//! The stack of policies in front of one upstream.

use serde::{Deserialize, Serialize};

use super::attempts::{Attempts, Entry, Newness};
use super::breaker::Breaker;
use super::breaker_circuit::Phase;
use super::calls::Calls;
use super::codel::ControlledDelay;
use super::contract::Engine;
use super::counters::{Counters, Snapshot, Stats};
use super::deadline::DeadlineAdmission;
use super::graduated::GraduatedRejection;
use super::lane::Lane;
use super::limiter::Limiter;
use super::line::Line;
use super::queue::QueueBounds;
use super::queue_depth::QueueDepth;
use super::rate_limit::RequestRate;
use super::service::ServiceTime;
use super::signals::SignalGate;
use super::slots::Slots;
use super::throttle::Throttling;
use super::timeout::Terms;
use super::timers::Timers;
use super::waiting::Waiting;
use super::{Action, At, Attempt, CallTimeout, Finalise, Heed, Hint, Input, Mode, Note, Settings, UpstreamErrors, WakeReason};
use crate::fifo::Fifo;
use crate::request::{AttemptId, CallId, RateHeaders, Reason, slot_of};
use crate::time::Time;

/// The stack of policies in front of one upstream, as a machine without input or output of its own.
///
/// What the driver promises, and may rely on:
/// - Every call of [`handle`](Self::handle) brings a `now` that never runs back (INV-2, asserted). After each,
///   [`poll`](Self::poll) is called until it returns `None`.
/// - [`next_wakeup`](Self::next_wakeup) says when [`Input::Wake`] is wanted. Every `handle` first runs what is due at or
///   before its `now`, in due order and *as of when it was due*: waking late, early or too often changes no decision.
///   What is due at the same instant as an input comes first.
/// - The gateway is a pure function of its inputs: the same ones give the same actions (INV-8).
/// - An attempt that arrives ends exactly once: by `Complete`, `Answer` or `Cut`, or by the driver's own `Gone`, after which
///   the gateway says nothing more about it. Its id comes from a dense slab whose generations go up. An attempt that
///   arrives with an id that is not new is ignored; one that arrives in the slot of a live older one is taken for the
///   news that the older one's client has gone.
/// - A call that was started is awaited until its `Ended`, also when it was detached or its client left; after `Cancel` it
///   is forgotten. Inputs about ids that are over are ignored, and counted as stale.
/// - Nothing is allocated once the tables have grown to the largest number of attempts and calls at once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Gateway {
    pub(super) now: Time,
    pub(super) standing: Standing,
    pub(super) throttle: Throttling,
    pub(super) rate_limit: RequestRate,
    pub(super) signals: SignalGate,
    pub(super) graduated: GraduatedRejection,
    pub(super) depth: QueueDepth,
    pub(super) queue: QueueBounds,
    pub(super) deadline: DeadlineAdmission,
    pub(super) codel: ControlledDelay,
    pub(super) slots: Slots,
    pub(super) terms: Terms,
    pub(super) service: ServiceTime,
    pub(super) attempts: Attempts,
    pub(super) waiting: Waiting,
    pub(super) calls: Calls,
    pub(super) limiter: Limiter,
    pub(super) lane: Lane,
    pub(super) breaker: Breaker,
    pub(super) call_timeout: Option<CallTimeout>,
    pub(super) finalise: Option<Finalise>,
    pub(super) upstream_errors: UpstreamErrors,
    /// Heavy attempts that wait for the lane.
    pub(super) lane_line: Line,
    /// Attempts that hold a slot or the lane and wait for budget.
    pub(super) budget_line: Line,
    pub(super) timers: Timers,
    pub(super) log: Log,
    draining: bool,
    hint: Option<(Time, Hint)>,
    /// What the latest answer's headers said, and which call's they were.
    pub(super) limits: Option<(CallId, RateHeaders)>,
}

/// Where a gate stands that is not off, under the present settings: nobody else has to be asked.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Between arrival and breaker.
    pub entrance: bool,
    /// Before a slot or the lane is taken.
    pub exit: bool,
    /// Limiter, or lane that carries out what it says: whether anything but a slot can make an attempt wait.
    pub beside_slots: bool,
}

/// What comes out: actions, and the counters of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Log {
    /// What the driver has not polled yet.
    pub actions: Fifo<Action>,
    /// Whether facts are reported too.
    pub notes: bool,
    /// Sums since the start.
    pub counters: Counters,
}

impl Standing {
    /// Whether any gate stands at all that looks at an attempt by itself.
    pub const fn somewhere(self) -> bool {
        self.entrance || self.exit
    }
}

impl Log {
    /// Reports a fact, where somebody listens.
    pub fn note(&mut self, note: Note) {
        if self.notes {
            self.actions.push(Action::Note(note));
        }
    }
}

impl Gateway {
    /// A gateway with `settings`, at time zero.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let (now, queue) = (Time::ZERO, settings.queue.as_ref());
        let mut new = Self {
            now,
            standing: Standing::default(),
            throttle: Throttling::new(settings.throttle.as_ref()),
            rate_limit: RequestRate::new(settings.rate_limit.as_ref()),
            signals: SignalGate::new(settings.signals.as_ref()),
            graduated: GraduatedRejection::new(now, settings.graduated.as_ref()),
            depth: QueueDepth::new(queue),
            queue: QueueBounds::new(queue),
            deadline: DeadlineAdmission::new(queue),
            codel: ControlledDelay::new(now, queue),
            slots: Slots::new(settings.concurrency.as_ref()),
            terms: Terms::new(settings.timeout.as_ref()),
            service: ServiceTime::default(),
            attempts: Attempts::default(),
            waiting: Waiting::new(queue),
            calls: Calls::default(),
            limiter: Limiter::new(now, settings.limiter.as_ref()),
            lane: Lane::new(settings.lane.as_ref()),
            breaker: Breaker::new(settings.breaker.as_ref()),
            call_timeout: settings.call_timeout.clone(),
            finalise: settings.finalise.clone(),
            upstream_errors: settings.upstream_errors.unwrap_or(UpstreamErrors::ABSENT),
            lane_line: Line::default(),
            budget_line: Line::default(),
            timers: Timers::default(),
            log: Log::default(),
            draining: false,
            hint: None,
            limits: None,
        };
        new.standing = new.standing();
        new
    }

    /// Whether every gate's numbers are reported as [`Action::Note`]s (for a journal). Off at first. Decisions are the same.
    pub fn set_notes(&mut self, on: bool) {
        self.log.notes = on;
    }

    /// Tells the gateway what happened at `now`, after it has done what was due by then.
    ///
    /// # Panics
    /// If `now` is before an earlier one (INV-2).
    pub fn handle(&mut self, now: Time, input: Input) {
        assert!(now >= self.now, "INV-2: time ran back from {} to {now}", self.now);
        self.run_due(now);
        self.now = now;
        match input {
            Input::Arrive(attempt) => self.arrive(now, &attempt),
            Input::Quota { call, limits } => self.told_limits(now, call, &limits),
            Input::Ended { call, end } => self.ended(now, call, end),
            Input::FirstByte { call } => self.first_byte(call),
            Input::Gone { attempt } => self.gone(now, attempt),
            Input::Hint(hint) => {
                self.signals.hint(now, &hint);
                if let Some(left) = hint.remaining_tokens.filter(|_| self.upstream_errors.rate_headers == Heed::Always) {
                    self.limiter.told(now, left);
                }
                self.hint = Some((now, hint));
            }
            Input::Settings(settings) => self.reconfigure(now, &settings),
            Input::Drain => self.draining = true,
            Input::Wake => {}
        }
    }

    /// All that later decisions depend on, as JSON of this version's own: a gateway that is [restored](Self::restore) from it
    /// answers every further input as this one does. Wanted between two inputs, when all actions have been polled.
    ///
    /// # Panics
    /// Never: nothing in a gateway fails to be written.
    #[must_use]
    pub fn state(&self) -> String {
        serde_json::to_string(self).expect("numbers, names and lists of them")
    }

    /// The gateway whose [state](Self::state) this is.
    ///
    /// # Errors
    /// If it is none that this version has written.
    pub fn restore(state: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(state)
    }

    /// The next thing to do, until there is none.
    #[inline]
    pub fn poll(&mut self) -> Option<Action> {
        self.log.actions.pop()
    }

    /// When the gateway next wants [`Input::Wake`], and why.
    #[must_use]
    #[inline]
    pub fn next_wakeup(&self) -> Option<(Time, WakeReason)> {
        self.timers.next()
    }

    /// What waits and runs, as of the last input.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_at(self.now)
    }

    /// Everything that a health endpoint shows, as of `now` (from the last input on).
    #[must_use]
    pub fn stats(&self, now: Time) -> Stats {
        let metered = self.limiter.mode() != Mode::Off;
        Stats {
            now: self.snapshot_at(now),
            queue_tokens: self.queue.tokens(),
            slots: self.slots.limit(),
            capacity_used: self.graduated.capacity_used(now),
            rejection_threshold: self.graduated.threshold(),
            time_until_reset: self.graduated.abandoned.time_until_reset(now),
            service_time: self.service.mean(),
            budget_left: metered.then(|| self.limiter.remaining()),
            reserved: self.limiter.reservations(),
            lane_running: self.lane.running(),
            circuits_open: self.breaker.states().filter(|(_, phase)| *phase != Phase::Closed).count(),
            multipliers: metered.then(|| std::array::from_fn(|class| self.limiter.multiplier(class))),
            draining: self.draining,
            hint: self.hint,
            counters: self.log.counters,
        }
    }

    fn snapshot_at(&self, now: Time) -> Snapshot {
        let abandoned = &self.graduated.abandoned;
        let (abandoned_counted_max, abandoned_true_max) = abandoned.maxima();
        Snapshot {
            waiting: self.queue.waiting(),
            waiting_for_budget: self.budget_line.len(),
            in_flight: self.slots.in_use(),
            abandoned_counted: abandoned.counted(now),
            abandoned_true: abandoned.truly(),
            abandoned_counted_max,
            abandoned_true_max,
        }
    }

    fn arrive(&mut self, now: Time, attempt: &Attempt) {
        let Some(index) = self.take_in(now, attempt) else {
            self.log.counters.stale += 1;
            return;
        };
        self.log.counters.arrived += 1;
        if self.draining {
            self.log.counters.refusals[Reason::Draining as usize].add(true);
            self.refuse(now, index, Reason::Draining);
        } else {
            self.admit(now, index);
            if self.may_wait() {
                self.dispatch(now); // it may go before those who cannot start yet
            }
        }
    }

    /// Gives a new attempt its slot in the table; `None` where its id is not new.
    #[inline]
    fn take_in(&mut self, now: Time, attempt: &Attempt) -> Option<u32> {
        let index = match self.attempts.newness(attempt.id) {
            Newness::New(index) => index,
            Newness::Replaces(older) => {
                self.gone(now, older);
                slot_of(attempt.id)
            }
            Newness::Stale => return None,
        };
        self.attempts.insert(index, Entry::new(attempt, now, self.terms));
        Some(index)
    }

    #[inline(never)] // rare: apart from what every input goes through
    fn reconfigure(&mut self, now: Time, settings: &Settings) {
        let queue = settings.queue.as_ref();
        self.throttle.reconfigure(settings.throttle.as_ref());
        self.rate_limit.reconfigure(settings.rate_limit.as_ref());
        self.signals.reconfigure(settings.signals.as_ref());
        self.graduated.reconfigure(now, settings.graduated.as_ref());
        self.depth.reconfigure(queue);
        self.queue.reconfigure(queue);
        self.deadline = DeadlineAdmission::new(queue);
        self.codel.reconfigure(queue);
        self.slots.reconfigure(settings.concurrency.as_ref());
        self.terms = Terms::new(settings.timeout.as_ref());
        self.limiter.reconfigure(now, settings.limiter.as_ref());
        self.lane.reconfigure(settings.lane.as_ref());
        self.breaker.reconfigure(settings.breaker.as_ref());
        self.call_timeout.clone_from(&settings.call_timeout);
        self.finalise.clone_from(&settings.finalise);
        self.upstream_errors = settings.upstream_errors.unwrap_or(UpstreamErrors::ABSENT);
        self.waiting.reconfigure(&mut self.attempts, queue);
        self.standing = self.standing();
        self.rearm_budget_line(now);
        self.dispatch(now);
    }

    fn standing(&self) -> Standing {
        let entrance = [self.throttle.mode(), self.rate_limit.mode(), self.signals.mode(), self.depth.mode()];
        let queue = [self.queue.mode(), self.deadline.mode()];
        let stands = |modes: &[Mode]| modes.iter().any(|mode| *mode != Mode::Off);
        Standing {
            entrance: stands(&entrance) || stands(&queue) || self.graduated.stands_at(At::Arrival),
            exit: self.codel.mode() != Mode::Off || self.graduated.stands_at(At::Dispatch),
            beside_slots: self.limiter.mode() != Mode::Off || self.lane.mode() == Mode::Enforce,
        }
    }

    /// The slot of a live attempt by its id; a stale id is counted.
    pub(super) fn live(&mut self, id: AttemptId) -> Option<u32> {
        let index = self.attempts.find(id);
        self.log.counters.stale += u64::from(index.is_none());
        index
    }
}

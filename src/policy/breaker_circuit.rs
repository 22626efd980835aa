//! One key's circuit: closed, open or half open, and what moves it.
//!
//! Each move takes a new generation number, never used before by any circuit. A result counts only in the generation in
//! which its call started, so a late one cannot close, open or feed anything, with the one exception that
//! `restart_on_late_error` asks for.

use serde::{Deserialize, Serialize};

use super::breaker::{CallResult, Gate, Moved};
use super::breaker_window::{RateWindow, Sums, is_slow};
use super::settings::{Breaker, Recovery, Trip};
use crate::rng::open01;
use crate::time::{Span, Time};

/// The least time by which "more than" is later.
const TICK: Span = Span::from_nanos(1);

/// Where a circuit stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Calls go through and are counted.
    Closed,
    /// No call goes through until more than `cooldown` has passed.
    Open {
        /// When it opened, or when a late error opened it again.
        since: Time,
        /// For how long.
        cooldown: Span,
    },
    /// Probes go through.
    HalfOpen,
}

/// A probe that is out.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
struct Probe {
    number: u64,
    /// It is given up after this.
    until: Time,
}

/// The state of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Circuit {
    pub phase: Phase,
    pub generation: u64,
    /// When a result last counted, or the key became known.
    pub heard: Time,
    /// With `cumulative` and `consecutive`.
    errors: u32,
    /// With `rate`.
    window: RateWindow,
    /// Openings in a row that followed failed probes.
    reopened: u32,
    probes: Vec<Probe>,
    /// Of the probes of this half-open time.
    results: Sums,
}

/// What a call takes with it: in which generation it started, and as which probe.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub generation: u64,
    pub probe: Option<u64>,
}

/// Settings and the next number to give out, which every circuit shares.
pub(super) struct Shared<'a> {
    pub settings: &'a Breaker,
    pub numbers: &'a mut u64,
}

impl Shared<'_> {
    fn number(&mut self) -> u64 {
        *self.numbers += 1;
        *self.numbers
    }
}

impl Circuit {
    /// A closed circuit that has seen nothing.
    pub fn new(now: Time, shared: &mut Shared) -> Self {
        Self {
            phase: Phase::Closed,
            generation: shared.number(),
            heard: now,
            errors: 0,
            window: RateWindow::new(shared.settings),
            reopened: 0,
            probes: Vec::new(),
            results: Sums::default(),
        }
    }

    /// New settings of the same kind: a window of another shape starts empty, and another number of probes starts anew.
    pub fn reconfigure(&mut self, old: &Breaker, shared: &mut Shared) {
        let new = shared.settings;
        if (new.window_calls, new.window_time) != (old.window_calls, old.window_time) {
            self.window = RateWindow::new(new);
        }
        if self.phase == Phase::HalfOpen && new.probes != old.probes {
            self.half_open(shared);
        }
    }

    /// Whether nothing is known of the key any more.
    pub fn is_forgotten(&self, now: Time, settings: &Breaker) -> bool {
        self.phase == Phase::Closed && settings.idle_expiry.is_some_and(|expiry| now - self.heard > expiry)
    }

    /// As if it were new.
    pub fn forget(&mut self, now: Time, shared: &mut Shared) {
        self.close(shared);
        self.heard = now;
    }

    /// Whether it is open and its cooldown not over.
    pub fn is_open(&self, now: Time) -> bool {
        matches!(self.phase, Phase::Open { since, cooldown } if now - since <= cooldown)
    }

    /// What time alone does to it: after more than the cooldown it closes or goes half open.
    pub fn roll(&mut self, now: Time, shared: &mut Shared) -> Moved {
        if !matches!(self.phase, Phase::Open { .. }) || self.is_open(now) {
            return Moved::Nothing;
        }
        match shared.settings.recovery {
            Recovery::Close => {
                self.close(shared);
                Moved::Closed
            }
            Recovery::HalfOpen => {
                self.half_open(shared);
                Moved::HalfOpened
            }
        }
    }

    /// Whether a call may go through.
    pub fn gate(&mut self, now: Time, settings: &Breaker) -> Gate {
        let phase = self.phase;
        match phase {
            Phase::Closed => Gate::Closed,
            Phase::Open { since, cooldown } => Gate::Open { until: since + cooldown + TICK },
            Phase::HalfOpen if self.has_free_probe(now, settings) => Gate::Probe,
            Phase::HalfOpen => {
                // Without a probe out the last result would have decided: there is one.
                let first = self.probes.iter().map(|probe| probe.until).min().unwrap_or(now);
                Gate::Open { until: first + TICK }
            }
        }
    }

    /// A call goes through.
    pub fn take(&mut self, now: Time, shared: &mut Shared) -> Ticket {
        let mut probe = None;
        if self.phase == Phase::HalfOpen && self.has_free_probe(now, shared.settings) {
            let number = shared.number();
            self.probes.push(Probe { number, until: now + shared.settings.probe_lease });
            probe = Some(number);
        }
        Ticket { generation: self.generation, probe }
    }

    /// A call's result.
    pub fn give_back(
        &mut self,
        now: Time,
        ticket: &Ticket,
        result: CallResult,
        took: Span,
        draw: u64,
        shared: &mut Shared,
    ) -> Moved {
        let failed = result == CallResult::Failed;
        let (phase, is_late) = (self.phase, ticket.generation != self.generation);
        match phase {
            // A probe whose lease is over is not among those out, and says nothing.
            Phase::HalfOpen if !is_late && self.comes_back(now, ticket) && result != CallResult::Ignored => {
                self.heard = now;
                self.probed(now, failed, is_slow(shared.settings, took), draw, shared)
            }
            Phase::Closed if result != CallResult::Ignored && (!is_late || counts_late(failed, shared)) => {
                self.heard = now;
                if self.trips(now, failed, took, shared.settings) { self.open(now, draw, shared) } else { Moved::Nothing }
            }
            Phase::Open { .. } if counts_late(failed, shared) => {
                self.heard = now;
                self.open(now, draw, shared)
            }
            _ => Moved::Nothing,
        }
    }

    /// What its rate window holds.
    #[cfg(test)]
    pub fn window_sums(&mut self, now: Time) -> Sums {
        self.window.sums(now)
    }

    fn has_free_probe(&mut self, now: Time, settings: &Breaker) -> bool {
        self.probes.retain(|probe| now <= probe.until);
        self.results.calls + (self.probes.len() as u64) < u64::from(settings.probes.value())
    }

    /// Whether a call's probe was out; it no longer is.
    fn comes_back(&mut self, now: Time, ticket: &Ticket) -> bool {
        let index = self.probes.iter().position(|probe| Some(probe.number) == ticket.probe && now <= probe.until);
        index.map(|index| self.probes.swap_remove(index)).is_some()
    }

    /// Counts a result while closed: whether it opens.
    fn trips(&mut self, now: Time, failed: bool, took: Span, settings: &Breaker) -> bool {
        match settings.trip {
            Trip::Cumulative => self.errors = self.errors.saturating_add(u32::from(failed)),
            Trip::Consecutive => self.errors = if failed { self.errors.saturating_add(1) } else { 0 },
            Trip::Rate => {
                self.window.record(now, failed, is_slow(settings, took));
                return self.window.exceeds(now, settings);
            }
        }
        failed && self.errors >= settings.threshold.value()
    }

    /// Counts a probe's result; the last one decides by the rates of them all.
    fn probed(&mut self, now: Time, failed: bool, slow: bool, draw: u64, shared: &mut Shared) -> Moved {
        self.results.add(failed, slow);
        if self.results.calls < u64::from(shared.settings.probes.value()) {
            return Moved::Nothing;
        }
        if self.results.exceed(shared.settings) {
            self.reopened = self.reopened.saturating_add(1);
            return self.open(now, draw, shared);
        }
        self.close(shared);
        Moved::Closed
    }

    fn open(&mut self, now: Time, draw: u64, shared: &mut Shared) -> Moved {
        let cooldown = cooldown(shared.settings, self.reopened, draw);
        self.phase = Phase::Open { since: now, cooldown };
        self.generation = shared.number();
        self.window.clear();
        Moved::Opened
    }

    fn half_open(&mut self, shared: &mut Shared) {
        self.phase = Phase::HalfOpen;
        self.generation = shared.number();
        self.probes.clear();
        self.results = Sums::default();
    }

    fn close(&mut self, shared: &mut Shared) {
        self.phase = Phase::Closed;
        self.generation = shared.number();
        self.errors = 0;
        self.reopened = 0;
        self.window.clear();
    }
}

/// Whether an error of an earlier generation counts (seed 002, which has no generations).
fn counts_late(failed: bool, shared: &Shared) -> bool {
    failed && shared.settings.restart_on_late_error
}

/// `cooldown * factor ^ reopened`, longer by up to the jitter's share, and never longer than the longest (which a longer
/// cooldown raises).
fn cooldown(settings: &Breaker, reopened: u32, draw: u64) -> Span {
    let mut cooldown = settings.cooldown;
    let factor = settings.cooldown_factor.value();
    if reopened > 0 && (factor - 1.0).abs() > 0.0 {
        cooldown = cooldown.scaled(libm::pow(factor, f64::from(reopened)));
    }
    if settings.jitter.value() > 0.0 {
        cooldown = cooldown + cooldown.scaled(settings.jitter.value() * open01(draw));
    }
    cooldown.min(settings.cooldown_max.max(settings.cooldown))
}

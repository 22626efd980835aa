//! Concurrency (seed 001, `--max_concurrent_requests`): at most so many calls in flight at once, a fixed number or one that
//! adapts to how long calls take.
//!
//! An abandoned call has given its slot back (the seed's semaphore is released at the timeout), so what truly runs upstream
//! can be more than this.

use serde::{Deserialize, Serialize};

use super::adaptive::Adaptive;
use super::contract::{Asked, Engine};
use super::settings::Concurrency;
use super::{Mode, Saw, Verdict};
use crate::time::{Span, Time};

/// The slots. Calls are counted in every mode; only with `enforce` does anybody wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Slots {
    mode: Mode,
    limit: u32,
    in_use: u32,
    /// What moves the limit, if anything does.
    adaptive: Option<Box<Adaptive>>,
}

/// A slot that is in use.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Slot {} // not `Slot;`, which is written as nothing, and read back as no slot at all

impl Slots {
    /// Free slots; without settings there is no limit.
    pub fn new(settings: Option<&Concurrency>) -> Self {
        let mut slots = Self { mode: Mode::Off, limit: u32::MAX, in_use: 0, adaptive: None };
        slots.reconfigure(settings);
        slots
    }

    /// A new limit; calls above it run to their end.
    pub fn reconfigure(&mut self, settings: Option<&Concurrency>) {
        self.mode = settings.map_or(Mode::Off, |s| s.mode);
        self.limit = settings.map_or(u32::MAX, |s| s.max_concurrent_requests.value());
        let initial = self.limit;
        match (&mut self.adaptive, settings.and_then(|s| s.adaptive.as_ref())) {
            (Some(adaptive), Some(settings)) => adaptive.reconfigure(settings, initial),
            (adaptive, settings) => *adaptive = settings.map(|s| Box::new(Adaptive::new(s, initial))),
        }
        self.follow();
    }

    /// A call has ended after `took`; `in_flight` calls held a slot when it started, itself included. `dropped`: it timed
    /// out, broke, or was refused for load.
    #[inline]
    pub fn sample(&mut self, now: Time, took: Span, in_flight: u32, dropped: bool) {
        if self.adaptive.is_some() {
            self.adapt(now, took, in_flight, dropped);
        }
    }

    fn adapt(&mut self, now: Time, took: Span, in_flight: u32, dropped: bool) {
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.sample(now, took, in_flight, dropped);
            self.follow();
        }
    }

    fn follow(&mut self) {
        if let Some(adaptive) = &self.adaptive {
            self.limit = adaptive.limit();
        }
    }

    /// Whether an attempt could start now.
    pub fn free(&self) -> bool {
        self.mode != Mode::Enforce || self.in_use < self.limit
    }

    /// Calls that hold a slot.
    pub const fn in_use(&self) -> u32 {
        self.in_use
    }

    /// One more call in flight: the slot to give back at its end.
    pub fn seat(&mut self) -> Slot {
        self.in_use += 1;
        assert!(
            self.mode != Mode::Enforce || self.in_use <= self.limit,
            "INV-9: {} calls on {} slots",
            self.in_use,
            self.limit
        );
        Slot {}
    }

    /// Whether an attempt could start now, were the limit enforced.
    pub fn verdict(&self) -> Verdict {
        if self.in_use < self.limit { Verdict::Pass } else { Verdict::Wait }
    }

    /// The numbers behind [`verdict`](Self::verdict).
    pub const fn seen(&self) -> Saw {
        Saw::Slots { in_use: self.in_use, limit: self.limit }
    }

    /// The limit, where it is enforced.
    pub fn limit(&self) -> Option<u32> {
        (self.mode == Mode::Enforce).then_some(self.limit)
    }
}

impl Engine for Slots {
    type Hold = Slot;

    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&mut self, _asked: &Asked) -> Verdict {
        self.verdict()
    }

    fn take(&mut self, _asked: &Asked) -> Slot {
        self.seat()
    }

    fn give_back(&mut self, _slot: Slot) {
        self.in_use -= 1;
    }

    fn saw(&self, _asked: &Asked) -> Saw {
        self.seen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::asked_at;
    use crate::units::Count;

    fn concurrency(mode: Mode, limit: u32) -> Concurrency {
        Concurrency { mode, max_concurrent_requests: Count::new(limit).expect("not 0"), adaptive: None }
    }

    #[test]
    fn the_fourth_of_three_waits_until_one_comes_back() {
        let mut slots = Slots::new(Some(&concurrency(Mode::Enforce, 3)));
        let mut held: Vec<_> = (0..3).map(|_| slots.take(&asked_at(0))).collect();
        assert_eq!((slots.ask(&asked_at(0)), slots.free()), (Verdict::Wait, false));
        slots.give_back(held.pop().expect("three are held"));
        assert_eq!((slots.ask(&asked_at(0)), slots.free()), (Verdict::Pass, true));
    }

    #[test]
    fn observed_slots_count_and_let_through() {
        let mut slots = Slots::new(Some(&concurrency(Mode::Observe, 1)));
        let _held = [slots.take(&asked_at(0)), slots.take(&asked_at(0))];
        assert_eq!((slots.ask(&asked_at(0)), slots.free(), slots.in_use()), (Verdict::Wait, true, 2));
    }

    #[test]
    fn a_lowered_limit_lets_calls_run_out() {
        let mut slots = Slots::new(Some(&concurrency(Mode::Enforce, 3)));
        let held: Vec<_> = (0..3).map(|_| slots.take(&asked_at(0))).collect();
        slots.reconfigure(Some(&concurrency(Mode::Enforce, 2)));
        for (n, slot) in held.into_iter().enumerate() {
            assert_eq!(slots.free(), n == 2);
            slots.give_back(slot);
        }
    }
}

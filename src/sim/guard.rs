//! Runs that would never end, or that nobody waits for any more: broken off, and said to be not valid.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::journal::Halt;
use crate::time::Time;

/// Most attempts and calls under way at once. Where more pile up nothing bounds the system, and the run would only end when
/// the memory does: at a few hundred bytes each, this many take about a gigabyte.
pub const UNDER_WAY_MAX: usize = 2_000_000;

/// Most events at one instant. A client who is refused at once and asks again at once makes endlessly many; four arrivals of
/// each client of the largest closed loop are fewer.
pub const AT_ONCE_MAX: u32 = 4_000_000;

/// Events from one look at the flag to the next, a power of two: some milliseconds of work.
const LOOK_EVERY: u64 = 4_096;

/// Watches one run.
#[derive(Copy, Clone, Debug)]
pub struct Guard<'a> {
    now: Time,
    at_once: u32,
    /// Up from when on nobody waits for the run.
    stop: Option<&'a AtomicBool>,
}

impl<'a> Guard<'a> {
    /// Nothing has happened yet. Once `stop` is up the run is broken off.
    pub const fn new(stop: Option<&'a AtomicBool>) -> Self {
        Self { now: Time::ZERO, at_once: 0, stop }
    }

    /// Event number `turn` at `now`, after which so much is under way; why to break off, if so.
    pub fn watch(&mut self, turn: u64, now: Time, under_way: usize) -> Option<Halt> {
        if now > self.now {
            (self.now, self.at_once) = (now, 0);
        }
        self.at_once += 1;
        if turn.is_multiple_of(LOOK_EVERY) && self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Some(Halt::Interrupted(now));
        }
        if under_way > UNDER_WAY_MAX {
            return Some(Halt::Crowded(now));
        }
        (self.at_once > AT_ONCE_MAX).then_some(Halt::Standstill(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_goes_on_is_no_standstill() {
        let mut guard = Guard::new(None);
        for round in 0..3 {
            let now = Time::from_nanos(round);
            assert!((0..AT_ONCE_MAX).all(|_| guard.watch(1, now, 5).is_none()), "at {now}");
        }
        assert_eq!(guard.watch(1, Time::from_nanos(2), 5), Some(Halt::Standstill(Time::from_nanos(2))));
        assert_eq!(guard.watch(1, Time::from_nanos(3), UNDER_WAY_MAX), None);
        assert_eq!(guard.watch(1, Time::from_nanos(4), UNDER_WAY_MAX + 1), Some(Halt::Crowded(Time::from_nanos(4))));
    }

    #[test]
    fn a_run_that_nobody_waits_for_is_broken_off_soon() {
        let stop = AtomicBool::new(false);
        let mut guard = Guard::new(Some(&stop));
        let mut until = |turn: u64| guard.watch(turn, Time::from_nanos(turn), 5);
        assert!((1..=2 * LOOK_EVERY).all(|turn| until(turn).is_none()));
        stop.store(true, Ordering::Relaxed);
        let halted = (2 * LOOK_EVERY + 1..).find_map(&mut until);
        assert_eq!(halted, Some(Halt::Interrupted(Time::from_nanos(3 * LOOK_EVERY))));
    }
}

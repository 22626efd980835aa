//! Runs that would never end: broken off, and said to be not valid.

use crate::journal::Halt;
use crate::time::Time;

/// Most attempts and calls under way at once. Where more pile up nothing bounds the system, and the run would only end when
/// the memory does: at a few hundred bytes each, this many take about a gigabyte.
pub const UNDER_WAY_MAX: usize = 2_000_000;

/// Most events at one instant. A client who is refused at once and asks again at once makes endlessly many; four arrivals of
/// each client of the largest closed loop are fewer.
pub const AT_ONCE_MAX: u32 = 4_000_000;

/// Watches one run.
#[derive(Copy, Clone, Debug)]
pub struct Guard {
    now: Time,
    at_once: u32,
}

impl Guard {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Self { now: Time::ZERO, at_once: 0 }
    }

    /// An event at `now`, after which so much is under way; why to break off, if so.
    pub fn watch(&mut self, now: Time, under_way: usize) -> Option<Halt> {
        if now > self.now {
            *self = Self { now, at_once: 0 };
        }
        self.at_once += 1;
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
        let mut guard = Guard::new();
        for round in 0..3 {
            let now = Time::from_nanos(round);
            assert!((0..AT_ONCE_MAX).all(|_| guard.watch(now, 5).is_none()), "at {now}");
        }
        assert_eq!(guard.watch(Time::from_nanos(2), 5), Some(Halt::Standstill(Time::from_nanos(2))));
        assert_eq!(guard.watch(Time::from_nanos(3), UNDER_WAY_MAX), None);
        assert_eq!(guard.watch(Time::from_nanos(4), UNDER_WAY_MAX + 1), Some(Halt::Crowded(Time::from_nanos(4))));
    }
}

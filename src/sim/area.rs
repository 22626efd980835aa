//! Time integrals of a count, clipped to the measured window: exact, in integer nanoseconds.

use crate::journal::Window;
use crate::time::Time;

/// The integral of a count over the part of the window that has passed.
#[derive(Copy, Clone, Debug)]
pub struct Area {
    end: Time,
    /// Up to where the sum goes, inside the window.
    last: Time,
    count: u64,
    sum: u128,
}

impl Area {
    /// Zero so far.
    pub const fn over(window: Window) -> Self {
        Self { end: window.end, last: window.start, count: 0, sum: 0 }
    }

    /// The count goes up by one at `now`.
    pub fn up(&mut self, now: Time) {
        self.run_to(now);
        self.count += 1;
    }

    /// The count goes down by one at `now`.
    pub fn down(&mut self, now: Time) {
        self.run_to(now);
        self.count = self.count.checked_sub(1).expect("INV-5: what leaves has come before");
    }

    /// The integral up to `now`.
    pub fn sum(&mut self, now: Time) -> u128 {
        self.run_to(now);
        self.sum
    }

    fn run_to(&mut self, now: Time) {
        let now = now.min(self.end);
        if now > self.last {
            self.sum += u128::from(self.count) * u128::from((now - self.last).as_nanos());
            self.last = now;
        }
    }
}

/// The part of `from..to` inside the window, ns.
pub fn inside(window: Window, from: Time, to: Time) -> u128 {
    let (from, to) = (from.max(window.start), to.min(window.end));
    u128::from(to.as_nanos().saturating_sub(from.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_inside_the_window_counts() {
        let at = Time::from_nanos;
        let window = Window { start: at(10), end: at(20), drained: at(30) };
        let mut area = Area::over(window);
        area.up(at(5)); // inside from 10 on
        area.up(at(12));
        area.down(at(15));
        area.down(at(25));
        assert_eq!(area.sum(at(30)), 10 + 3);
        assert_eq!(inside(window, at(5), at(25)) + inside(window, at(12), at(15)), 13);
    }
}

//! Generic cell rate algorithm (ITU-T I.371), as a leaky bucket: taking fills it, it runs out evenly at the budget's rate,
//! and it never holds more than the burst. In any 60 s at most the budget and one burst are taken.
//!
//! The level is kept exactly, in 60-thousand-millionths of a token: a budget of `b` tokens a minute runs out at `b` of these
//! each nanosecond.
//!
//! **Giving back.** Tokens that were taken for nothing should leave the level where it would be without them. A bucket that
//! has run empty since has forgotten them; in general, taking `r` fewer at `t0` lowers the level at `t` by the smaller of
//! `r` and the lowest level in between (reflection at zero). A lower bound on that lowest level is what the level at `t0`
//! was, less all that has run out or was given back since; so much is given back at most. An overrun is charged whole.
//! Either way nothing happens once 60 s have passed, which are the window of a taking here.

use serde::{Deserialize, Serialize};

use super::MINUTE;
use crate::time::{Span, Time};

/// Units of the level in a token.
const UNIT: i128 = MINUTE.as_nanos() as i128;

/// The bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gcra {
    /// Tokens that run out in 60 s, which is units that run out in a nanosecond.
    budget: u64,
    burst: u64,
    /// Units in the bucket as of `as_of`.
    level: i128,
    as_of: Time,
    /// Units that have run out (as if it were never empty) or were given back, ever.
    gone: i128,
}

/// A taking.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    at: Time,
    /// The level after it, and what had gone until then.
    mark: Mark,
}

/// Units; not aligned as they would be, so that what holds a place stays short.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
#[repr(Rust, packed(8))]
struct Mark(i128);

impl Gcra {
    pub const fn new(now: Time, budget: u64, burst: u64) -> Self {
        Self { budget, burst, level: 0, as_of: now, gone: 0 }
    }

    pub const fn resize(&mut self, budget: u64, burst: u64) {
        self.budget = budget;
        self.burst = burst;
    }

    pub const fn burst(&self) -> u64 {
        self.burst
    }

    #[inline]
    pub fn refresh(&mut self, now: Time) {
        if now != self.as_of {
            self.run_out(now);
        }
    }

    #[inline(never)] // apart from the shorter way of a fixed window, as what takes and gives back
    fn run_out(&mut self, now: Time) {
        let out = i128::from(self.budget) * i128::from((now - self.as_of).as_nanos());
        self.level = (self.level - out).max(0);
        self.gone += out;
        self.as_of = now;
    }

    /// Whole tokens left.
    pub fn remaining(&self) -> i64 {
        let left = i128::from(self.burst) * UNIT - self.level;
        // Half a token is none, on either side of zero.
        i64::try_from(left.div_euclid(UNIT)).unwrap_or(i64::MIN)
    }

    /// Whether so many whole tokens are left.
    pub fn has(&self, tokens: i64) -> bool {
        (i128::from(self.burst) - i128::from(tokens)) * UNIT >= self.level
    }

    /// When `tokens` are left; as of the latest refresh where they are already, or can never be.
    pub fn when(&self, tokens: i64) -> Time {
        let level = (i128::from(self.burst) - i128::from(tokens)) * UNIT;
        let nanos = (self.level - level.max(0)).max(0).div_euclid(i128::from(self.budget.max(1)));
        let exact = nanos * i128::from(self.budget.max(1)) >= self.level - level.max(0);
        self.as_of + Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)) + Span::from_nanos(u64::from(!exact))
    }

    #[inline(never)]
    pub fn take(&mut self, now: Time, tokens: i64) -> Place {
        self.level += i128::from(tokens) * UNIT;
        Place { at: now, mark: Mark(self.level + self.gone) }
    }

    #[inline(never)]
    pub fn give_back(&mut self, now: Time, place: &Place, tokens: i64) {
        if now - place.at >= MINUTE {
            return;
        }
        self.refresh(now);
        let units = i128::from(tokens) * UNIT;
        if units < 0 {
            self.level -= units;
        } else {
            let Mark(mark) = place.mark;
            let lowest = (mark - self.gone).max(0);
            let back = units.min(lowest);
            self.level -= back;
            self.gone += back;
        }
    }
}

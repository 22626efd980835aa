//! Fixed windows: the whole budget comes back at once.
//!
//! `lazy_fixed` (seed 002) starts with the process, and starts anew at the first look at `now > start + 60 s`, from then.
//! `calendar` starts anew at each full minute. A correct fixed window still lets twice its budget through in some 60 s:
//! once before its end and once after.

use serde::{Deserialize, Serialize};

use super::super::settings::Window;
use super::MINUTE;
use crate::time::{Span, Time};

/// What is left of the present window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Fixed {
    window: Window,
    budget: i64,
    remaining: i64,
    /// The first instant of the next one.
    end: Time,
    /// Which window this is: tokens go back to the one that they came from.
    number: u32,
}

/// The window that tokens were taken from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place(u32);

impl Fixed {
    pub fn new(now: Time, window: Window, budget: u64) -> Self {
        let budget = budget.cast_signed();
        Self { window, budget, remaining: budget, end: end(window, now), number: 0 }
    }

    pub fn is(&self, window: Window) -> bool {
        self.window == window
    }

    /// What is taken stays taken.
    pub const fn resize(&mut self, budget: u64) {
        let budget = budget.cast_signed();
        self.remaining += budget - self.budget;
        self.budget = budget;
    }

    pub const fn budget(&self) -> u64 {
        self.budget.cast_unsigned()
    }

    pub const fn remaining(&self) -> i64 {
        self.remaining
    }

    /// The first instant of the next window.
    pub const fn end(&self) -> Time {
        self.end
    }

    #[inline]
    pub fn refresh(&mut self, now: Time) {
        if now >= self.end {
            self.restore(now);
        }
    }

    #[inline(never)] // once a window
    pub fn restore(&mut self, now: Time) {
        self.end = end(self.window, now);
        self.remaining = self.budget;
        self.number = self.number.wrapping_add(1);
    }

    pub const fn take(&mut self, tokens: i64) -> Place {
        self.remaining -= tokens;
        Place(self.number)
    }

    /// To the window that they came from, unless its time is over, seen or not.
    pub fn give_back(&mut self, now: Time, place: &Place, tokens: i64) {
        if place.0 == self.number && now < self.end {
            self.remaining += tokens;
        }
    }
}

/// Where a window ends that starts at `now`, with `calendar` the one that `now` lies in: the first instant of the next.
fn end(window: Window, now: Time) -> Time {
    let nanos = now.as_nanos();
    match window {
        Window::Calendar => Time::from_nanos(nanos - nanos % MINUTE.as_nanos()) + MINUTE,
        _ => now + MINUTE + Span::from_nanos(1), // the seed's check is `now > start + 60`
    }
}

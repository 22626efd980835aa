//! Budget windows: how the tokens of a budget are taken, given back, and come back by themselves.
//!
//! | kind | what comes back, and when |
//! |---|---|
//! | [`fixed`] `lazy_fixed` | everything, at the first look more than 60 s after the last time (seed 002) |
//! | [`fixed`] `calendar` | everything, at each full minute of the gateway's clock |
//! | [`sliding`] `sliding_log` | what was taken, 60 s after it was taken |
//! | [`gcra`] | a sixtieth of the budget each second, evenly, up to a burst |
//!
//! All four count in whole tokens and integer nanoseconds. [`Windows::refresh`] brings a window up to date; everything else
//! speaks as of the latest refresh. Only asking and taking refresh, so that a lazy window starts anew at a call, not when a
//! call ends. What was taken is named by a [`Ticket`], so that a difference goes back to the window
//! that it came from, or nowhere if that window is over.

mod fixed;
mod gcra;
mod sliding;

use serde::{Deserialize, Serialize};

use self::fixed::Fixed;
use self::gcra::Gcra;
use self::sliding::SlidingLog;
use super::settings::Window;
use crate::time::{Span, Time};

/// The length of every window.
pub(super) const MINUTE: Span = Span::from_secs(60);

/// A budget window of one of the four kinds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Windows {
    kind: Kind,
    /// Goes up when the kind changes: a ticket of another kind names nothing here.
    generation: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Kind {
    Fixed(Fixed),
    Sliding(SlidingLog),
    Gcra(Gcra),
}

/// Where tokens were taken from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    generation: u32,
    place: Place,
}

#[derive(Debug, Serialize, Deserialize)]
enum Place {
    Fixed(fixed::Place),
    Sliding(sliding::Place),
    Gcra(gcra::Place),
}

impl Windows {
    /// A whole window of `budget` tokens that starts at `now`; `burst` is the most that `gcra` gives at once.
    pub fn new(now: Time, window: Window, budget: u64, burst: u64) -> Self {
        Self { kind: Kind::new(now, window, budget, burst), generation: 0 }
    }

    /// A new budget. What is taken stays taken where the kind is the same, else the window starts whole.
    pub fn reconfigure(&mut self, now: Time, window: Window, budget: u64, burst: u64) {
        self.refresh(now);
        match (&mut self.kind, window) {
            (Kind::Fixed(fixed), Window::LazyFixed | Window::Calendar) if fixed.is(window) => fixed.resize(budget),
            (Kind::Sliding(log), Window::SlidingLog) => log.resize(budget),
            (Kind::Gcra(gcra), Window::Gcra) => gcra.resize(budget, burst),
            (kind, _) => {
                *kind = Kind::new(now, window, budget, burst);
                self.generation = self.generation.wrapping_add(1);
            }
        }
    }

    /// Lets come back what has come back by `now`.
    #[inline]
    pub fn refresh(&mut self, now: Time) {
        match &mut self.kind {
            Kind::Fixed(fixed) => fixed.refresh(now),
            Kind::Sliding(log) => log.refresh(now),
            Kind::Gcra(gcra) => gcra.refresh(now),
        }
    }

    /// Whether everything comes back at once, so that there is a boundary to speak of.
    pub const fn is_fixed(&self) -> bool {
        matches!(self.kind, Kind::Fixed(_))
    }

    /// Tokens left; below zero after overruns, or where somebody took without looking.
    pub fn remaining(&self) -> i64 {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.remaining(),
            Kind::Sliding(log) => log.remaining(),
            Kind::Gcra(gcra) => gcra.remaining(),
        }
    }

    /// Whether at least so many are left.
    #[inline]
    pub fn has(&self, tokens: i64) -> bool {
        match &self.kind {
            Kind::Fixed(fixed) => tokens <= fixed.remaining(),
            Kind::Sliding(log) => tokens <= log.remaining(),
            Kind::Gcra(gcra) => gcra.has(tokens),
        }
    }

    /// The most that can ever be left: the budget, with `gcra` the burst.
    #[inline]
    pub fn capacity(&self) -> u64 {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.budget(),
            Kind::Sliding(log) => log.budget(),
            Kind::Gcra(gcra) => gcra.burst(),
        }
    }

    /// When something next comes back; `now` where all is back, or where a fixed window's end has passed unseen.
    pub fn next(&self, now: Time) -> Time {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.end().max(now),
            Kind::Sliding(log) => log.next().unwrap_or(now).max(now),
            Kind::Gcra(gcra) => gcra.when(gcra.remaining().saturating_add(1)).max(now),
        }
    }

    /// When `tokens` are left if nobody takes any meanwhile. They are not yet, and not more than the capacity.
    pub fn when(&self, tokens: i64) -> Time {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.end(),
            Kind::Sliding(log) => log.when(tokens),
            Kind::Gcra(gcra) => gcra.when(tokens),
        }
    }

    /// Takes tokens, whether or not they are left.
    #[inline]
    pub fn take(&mut self, now: Time, tokens: i64) -> Ticket {
        self.refresh(now);
        let place = match &mut self.kind {
            Kind::Fixed(fixed) => Place::Fixed(fixed.take(tokens)),
            Kind::Sliding(log) => Place::Sliding(log.take(now, tokens)),
            Kind::Gcra(gcra) => Place::Gcra(gcra.take(now, tokens)),
        };
        Ticket { generation: self.generation, place }
    }

    /// Fewer tokens (or, below zero, more) were used than the ticket's taking took.
    pub fn give_back(&mut self, now: Time, ticket: &Ticket, tokens: i64) {
        if ticket.generation != self.generation || tokens == 0 {
            return;
        }
        match (&mut self.kind, &ticket.place) {
            (Kind::Fixed(fixed), Place::Fixed(place)) => fixed.give_back(now, place, tokens),
            (Kind::Sliding(log), Place::Sliding(place)) => log.give_back(now, place, tokens),
            (Kind::Gcra(gcra), Place::Gcra(place)) => gcra.give_back(now, place, tokens),
            _ => unreachable!("the kind changes with the generation only"),
        }
    }

    /// Makes a fixed window whole as of `now`, whatever was taken from it (seed 002: every waiter, for itself). The other
    /// kinds have no boundary to do so at.
    pub fn restore(&mut self, now: Time) {
        match &mut self.kind {
            Kind::Fixed(fixed) => fixed.restore(now),
            Kind::Sliding(_) | Kind::Gcra(_) => self.refresh(now),
        }
    }
}

impl Kind {
    fn new(now: Time, window: Window, budget: u64, burst: u64) -> Self {
        match window {
            Window::LazyFixed | Window::Calendar => Self::Fixed(Fixed::new(now, window, budget)),
            Window::SlidingLog => Self::Sliding(SlidingLog::new(budget)),
            Window::Gcra => Self::Gcra(Gcra::new(now, budget, burst)),
        }
    }
}

#[cfg(test)]
mod tests;

//! Token reservation limiter (seed 002, section 1): tokens are taken out of a window's budget before a call, and settled
//! against its usage after it.
//!
//! - budget = `floor(tpm_limit x (1 - headroom))`;
//! - reservation = `floor((input estimate + max_tokens) x multiplier of the class)`; it fits while not above what is left;
//! - it does not fit: `max_tokens` is trimmed to `floor(left / multiplier - input estimate)` if trimming is on and that is
//!   at least `min_output` (and the reservation computed again); else it waits for the window.
//!
//! A reservation that not even a whole window could hold is trimmed like any other where that helps, else refused at once.
//! With `boundary = "seed"` it is not: whoever waits there wakes at the window's end, makes the window whole for itself and
//! takes its reservation without a look at what is left ([`Limiter::woken`]).
//!
//! With `excess = "at_end"` only the estimate is taken from the window when a call starts: what is reserved beyond it is held
//! back from everybody while the call runs, and what was used of it is taken from the window in which the call ends. A
//! provider bills in that order: the estimate at admission, the rest when it knows. Counted from the start instead, the
//! excess of a call that runs for longer than a window is forgotten before it is billed.
//!
//! Under `enforce` with `boundary = "checked"` what is taken fits (INV-9). Afterwards the remainder can still fall below
//! zero, by the overrun of a call that used more than its reservation, which is charged to the window that it came from.

use serde::{Deserialize, Serialize};

use super::Mode;
use super::multipliers::Multipliers;
use super::settings::{self, Boundary, Excess, HoldRule, Ratio};
use super::windows::{Ticket, Windows};
use crate::time::{Span, Time};

/// More than any window holds, and so few that sums of them stay far from overflowing.
const TOKENS_MAX: u64 = 1 << 40;

/// Default burst of `gcra`: one part in this many of the budget.
const BURST_DIVISOR: u64 = 6;

/// The limiter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Limiter {
    mode: Mode,
    rules: Rules,
    budget: u64,
    /// Tokens of the limit that are left alone.
    headroom: u64,
    windows: Windows,
    multipliers: Multipliers,
    /// Tokens of the reservations that are not settled.
    reserved: u64,
    /// Those of them that no window has: held back until their calls end.
    held: u64,
}

/// The settings that are only looked up.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
struct Rules {
    boundary: Boundary,
    hold: HoldRule,
    jitter: Option<Span>,
    auto_trim: bool,
    min_output: u32,
    settle: bool,
    excess: Excess,
    ratio: Ratio,
    learn_from_cut: bool,
}

/// What a call asks for.
#[derive(Copy, Clone, Debug)]
pub(super) struct Need {
    /// Its class, by [`Profile::kind`](crate::request::Profile::kind).
    pub class: usize,
    /// Estimated input, tokens.
    pub input_estimate: u32,
    /// Limit on its answer, tokens.
    pub max_tokens: u32,
}

impl Need {
    /// The estimate of its usage before any multiplier.
    fn estimate(&self) -> u64 {
        u64::from(self.input_estimate) + u64::from(self.max_tokens)
    }
}

/// What the limiter offers a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Its reservation fits.
    Fits {
        /// The reservation.
        tokens: u64,
    },
    /// It fits with a smaller limit on its answer.
    Trim {
        /// The reservation with that limit.
        tokens: u64,
        /// The limit.
        max_tokens: u32,
    },
    /// It may fit later.
    Wait {
        /// When, if nobody else takes or gives back meanwhile.
        until: Time,
    },
    /// Not even a whole window holds it.
    Never {
        /// The reservation.
        tokens: u64,
        /// What a whole window holds.
        budget: u64,
    },
}

/// Tokens that were taken: settled exactly once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reservation {
    tokens: u64,
    class: usize,
    /// Input estimate and limit on the answer together, as reserved.
    estimate: u64,
    /// With `excess = "at_end"`: those beyond the estimate, which were taken from no window.
    held: Option<u64>,
    /// Where they were taken from; nowhere while the limiter was off.
    ticket: Option<Ticket>,
}

#[cfg(test)]
impl Reservation {
    /// How many.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// What became of a call that held a reservation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// It ended without usage: the reservation is kept.
    Unknown,
    /// It used tokens.
    Used {
        /// How many, input and output.
        tokens: u64,
        /// Whether its answer ran into a limit that trimming had lowered.
        cut: bool,
    },
    /// It used tokens in a way that teaches nothing (finalisation).
    Untaught {
        /// How many, input and output.
        tokens: u64,
    },
}

impl Limiter {
    /// A whole window that starts at `now`; without settings the limiter is off.
    pub fn new(now: Time, settings: Option<&settings::Limiter>) -> Self {
        let default = settings::Limiter::default();
        let used = settings.unwrap_or(&default);
        let (budget, burst) = budget_and_burst(used);
        Self {
            mode: settings.map_or(Mode::Off, |s| s.mode),
            rules: Rules::of(used),
            budget,
            headroom: u64::from(used.tpm_limit.value()).saturating_sub(budget),
            windows: Windows::new(now, used.window, budget, burst),
            multipliers: Multipliers::new(used),
            reserved: 0,
            held: 0,
        }
    }

    /// New settings. What the classes have taught is kept, and what is taken stays taken where the window's kind is the same.
    pub fn reconfigure(&mut self, now: Time, settings: Option<&settings::Limiter>) {
        self.mode = settings.map_or(Mode::Off, |s| s.mode);
        if let Some(settings) = settings {
            let (budget, burst) = budget_and_burst(settings);
            self.rules = Rules::of(settings);
            self.budget = budget;
            self.headroom = u64::from(settings.tpm_limit.value()).saturating_sub(budget);
            self.windows.reconfigure(now, settings.window, budget, burst);
            self.multipliers.reconfigure(settings);
        }
    }

    /// What the gateway does with the answers.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What an attempt holds while it waits for budget.
    pub const fn hold(&self) -> HoldRule {
        self.rules.hold
    }

    /// What waiters do at a window's end: checked where the window's kind has no end, or where nobody waits on its own.
    pub const fn boundary(&self) -> Boundary {
        match self.rules.hold {
            HoldRule::WhileWaiting if self.windows.is_fixed() => self.rules.boundary,
            _ => Boundary::Checked,
        }
    }

    /// Over how long waiters spread after a window's end, each by its own draw.
    pub const fn jitter(&self) -> Option<Span> {
        self.rules.jitter
    }

    /// Decides and takes nothing. The window may roll over.
    #[inline]
    pub fn ask(&mut self, now: Time, need: &Need) -> Offer {
        if self.mode == Mode::Off {
            return Offer::Fits { tokens: 0 };
        }
        self.windows.refresh(now);
        self.multipliers.forget(now, need.class);
        let tokens = self.tokens(need);
        if self.fits(tokens) { Offer::Fits { tokens } } else { self.less(now, need, tokens) }
    }

    /// What is offered to a call whose whole reservation of `tokens` does not fit.
    #[inline(never)] // apart from what every call goes through
    fn less(&self, now: Time, need: &Need, tokens: u64) -> Offer {
        let left = self.remaining();
        if let Some(max_tokens) = self.trimmed(need, left) {
            return Offer::Trim { tokens: self.tokens(&Need { max_tokens, ..*need }), max_tokens };
        }
        let capacity = self.windows.capacity();
        match self.least(need, tokens) {
            _ if self.boundary() == Boundary::Seed => Offer::Wait { until: self.windows.next(now) },
            least if least <= signed(capacity) => Offer::Wait { until: self.when(least) },
            _ => Offer::Never { tokens, budget: capacity },
        }
    }

    /// Whether the whole reservation of a call, `tokens` by its multiplier as it is now, fits as it is: what
    /// [`ask`](Self::ask) would say, for most calls at less cost. Else ask.
    #[inline]
    pub fn fits_whole(&mut self, now: Time, tokens: u64) -> bool {
        self.windows.refresh(now);
        !self.multipliers.forgets() && self.fits(tokens)
    }

    /// Whether not even a whole window could hold it, whose whole reservation is `tokens`, as far as trimming goes. Looks at
    /// nothing that moves.
    #[inline]
    pub fn is_too_large(&self, need: &Need, tokens: u64) -> bool {
        tokens > self.windows.capacity() && self.is_too_large_trimmed(need, tokens)
    }

    #[inline(never)] // what fits untrimmed, as nearly all does, needs no closer look
    fn is_too_large_trimmed(&self, need: &Need, tokens: u64) -> bool {
        self.boundary() == Boundary::Checked && self.least(need, tokens) > signed(self.windows.capacity())
    }

    /// The reservation of `need`, untrimmed, by the multiplier as it is now.
    #[inline]
    pub fn tokens(&self, need: &Need) -> u64 {
        floor(need.estimate() as f64 * self.multiplier(need.class))
    }

    /// Takes `tokens` for `need` (with its `max_tokens` as trimmed): what [`ask`](Self::ask) offered at the same instant, or
    /// with `boundary = "seed"` what it waited for until it was [`woken`](Self::woken), or in observe mode anything.
    pub fn take(&mut self, now: Time, need: &Need, tokens: u64) -> Reservation {
        let tokens = tokens.min(TOKENS_MAX);
        let estimate = need.estimate();
        let late = self.rules.excess == Excess::AtEnd && self.mode != Mode::Off;
        let held = late.then(|| tokens.saturating_sub(estimate));
        let at_start = tokens - held.unwrap_or(0);
        self.reserved += tokens;
        self.held += held.unwrap_or(0);
        let ticket = (self.mode != Mode::Off).then(|| self.windows.take(now, signed(at_start)));
        assert!(
            self.mode != Mode::Enforce || self.fits(0) || self.boundary() == Boundary::Seed,
            "INV-9: {tokens} tokens taken leave {}",
            self.remaining()
        );
        Reservation { tokens, class: need.class, estimate, held, ticket }
    }

    /// With `boundary = "seed"` only: a waiter wakes at its window's end and makes the window whole for itself. Then it takes
    /// its reservation without a look at what is left: the [`tokens`](Self::tokens) of before the wait.
    pub fn woken(&mut self, now: Time) {
        self.windows.restore(now);
    }

    /// A call that held a reservation has ended.
    #[allow(clippy::needless_pass_by_value)] // a reservation comes back once
    pub fn settle(&mut self, now: Time, reservation: Reservation, spent: Spent) {
        self.reserved -= reservation.tokens;
        let Some(ticket) = &reservation.ticket else { return };
        let used = match spent {
            Spent::Unknown => None,
            Spent::Used { tokens, .. } | Spent::Untaught { tokens } => Some(tokens),
        };
        let left_over = match reservation.held {
            None => used.map_or(0, |used| signed(reservation.tokens) - signed(used)),
            Some(held) => self.settle_excess(now, reservation.tokens - held, held, used),
        };
        if self.rules.settle {
            self.windows.give_back(now, ticket, left_over);
        }
        if let Spent::Used { tokens, cut } = spent
            && (!cut || self.rules.learn_from_cut)
        {
            let ratio = tokens as f64 / self.divisor(&reservation);
            self.multipliers.learn(now, reservation.class, ratio);
        }
    }

    /// With `excess = "at_end"`: what is used beyond what was taken `at_start` counts from now on, all that was held where
    /// nobody says. What is left over of the former.
    #[inline(never)] // few settle so
    fn settle_excess(&mut self, now: Time, at_start: u64, held: u64, used: Option<u64>) -> i64 {
        self.held -= held;
        self.charge(now, used.map_or(held, |used| used.saturating_sub(at_start)));
        used.map_or(0, |used| signed(at_start.saturating_sub(used)))
    }

    /// Tokens that count from now on: what a call that has ended used beyond its estimate.
    #[inline(never)] // few settle so
    fn charge(&mut self, now: Time, tokens: u64) {
        if tokens > 0 {
            self.windows.take(now, signed(tokens));
        }
    }

    /// Whether `tokens` more fit beside what is held back for the ends of running calls.
    #[inline]
    fn fits(&self, tokens: u64) -> bool {
        self.windows.has(signed(tokens).saturating_add(self.held()))
    }

    fn held(&self) -> i64 {
        i64::try_from(self.held).unwrap_or(i64::MAX)
    }

    /// When `least` tokens are left if nobody takes any and no call ends meanwhile. They are not yet.
    fn when(&self, least: i64) -> Time {
        let wanted = least.saturating_add(self.held());
        if wanted > signed(self.windows.capacity()) { Time::FAR } else { self.windows.when(wanted) }
    }

    /// The provider says that so many tokens are `left` of its limit. Where that is less, the headroom left alone, than is
    /// believed here, what is missing was taken by somebody else, or billed beyond what was reserved: it counts as taken now.
    pub fn told(&mut self, now: Time, left: u64) {
        if self.mode != Mode::Off {
            self.windows.refresh(now);
            let missing = self.remaining() - (signed(left) - signed(self.headroom));
            self.charge(now, u64::try_from(missing).unwrap_or(0));
        }
    }

    /// What a lane that refreshes calls: lets come back what has come back by `now`.
    pub fn refresh(&mut self, now: Time) {
        self.windows.refresh(now);
    }

    /// What is left as the policy sees it, as of the latest look that refreshed.
    pub fn remaining(&self) -> i64 {
        self.windows.remaining().saturating_sub(self.held())
    }

    /// Tokens a window: `floor(tpm_limit x (1 - headroom))`.
    #[cfg(test)]
    pub const fn budget(&self) -> u64 {
        self.budget
    }

    /// The most that can be left at once: the budget, with `window = "gcra"` the burst.
    pub fn capacity(&self) -> u64 {
        self.windows.capacity()
    }

    /// When budget next comes back; `now` where all is back, or where a fixed window's end has passed unseen.
    pub fn next_window(&self, now: Time) -> Time {
        self.windows.next(now)
    }

    /// The multiplier of a class.
    pub const fn multiplier(&self, class: usize) -> f64 {
        self.multipliers.of(class)
    }

    /// Tokens that are reserved and not settled.
    pub const fn reservations(&self) -> u64 {
        self.reserved
    }

    /// The limit on the answer with which `need` fits into `left` tokens, if trimming may go that far.
    fn trimmed(&self, need: &Need, left: i64) -> Option<u32> {
        let room = self.room(need, left);
        // Below the call's own limit, as the untrimmed reservation does not fit; `min_output` is at least 1.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (self.rules.auto_trim && room >= f64::from(self.rules.min_output)).then_some(room as u32)
    }

    /// Output tokens for which `left` has room after the input.
    fn room(&self, need: &Need, left: i64) -> f64 {
        left as f64 / self.multiplier(need.class) - f64::from(need.input_estimate)
    }

    /// The smallest remainder with which [`ask`](Self::ask) no longer answers wait; the whole reservation is `tokens`.
    fn least(&self, need: &Need, tokens: u64) -> i64 {
        let (whole, min_output) = (signed(tokens), f64::from(self.rules.min_output));
        if !self.rules.auto_trim {
            return whole;
        }
        let trimmed = (f64::from(need.input_estimate) + min_output) * self.multiplier(need.class);
        let mut least = signed(floor(libm::ceil(trimmed)));
        while least < whole && self.room(need, least) < min_output {
            least += 1; // division may round down where multiplication rounded up
        }
        least.min(whole)
    }

    /// What the usage is divided by to learn a multiplier.
    fn divisor(&self, reservation: &Reservation) -> f64 {
        match self.rules.ratio {
            Ratio::Seed => reservation.tokens as f64 / self.multiplier(reservation.class),
            Ratio::Base => reservation.estimate as f64,
            Ratio::Reservation => reservation.tokens as f64,
        }
    }
}

impl Rules {
    const fn of(settings: &settings::Limiter) -> Self {
        Self {
            boundary: settings.boundary,
            hold: settings.hold,
            jitter: settings.jitter,
            auto_trim: settings.auto_trim,
            min_output: settings.min_output.value(),
            settle: settings.settle,
            excess: settings.excess,
            ratio: settings.ratio,
            learn_from_cut: settings.learn_from_cut,
        }
    }
}

fn budget_and_burst(settings: &settings::Limiter) -> (u64, u64) {
    let budget = floor(f64::from(settings.tpm_limit.value()) * (1.0 - settings.headroom.value()));
    (budget, settings.burst.map_or((budget / BURST_DIVISOR).max(1), |burst| u64::from(burst.value())))
}

/// Whole tokens in `tokens`, at most [`TOKENS_MAX`].
#[allow(clippy::cast_possible_truncation)] // `as` saturates, and what is no number is 0
fn floor(tokens: f64) -> u64 {
    (tokens as i64).max(0).cast_unsigned().min(TOKENS_MAX) // to a signed number there is an instruction
}

fn signed(tokens: u64) -> i64 {
    tokens.min(TOKENS_MAX).cast_signed()
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;

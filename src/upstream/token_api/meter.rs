//! One limit of a provider: so many tokens, or requests, a minute. Integers throughout, so that what fits is exact.
//!
//! The level is kept in parts of a token of which a minute's nanoseconds make a whole one: then a limit of `n` a minute fills
//! `n` such parts a nanosecond, without a remainder.
//!
//! | kind | a call of `n` fits | what comes back, when |
//! |---|---|---|
//! | continuous | level >= n | limit/60 a second, up to `burst` minutes' limits |
//! | quantised | level >= min(n, share), n <= limit | a quantum's share at each quantum's beginning, up to one share |
//! | calendar | level >= n | the whole limit at each minute's beginning |
//! | `reserve_and_settle` | as continuous | as continuous, and what calls did not use when they end |
//!
//! Sources: the provider's own words on quanta (`OpenAI`, "Rate limits", section on quantised limits); requests a minute kept
//! over 1 or 10 s, tokens a minute reset each minute (Azure `OpenAI`, "quotas and limits"); token buckets whose output part is
//! taken from `max_tokens` first and settled at the end (Anthropic, "Rate limits").

use super::settings::LimiterSettings;
use crate::time::{Span, Time};

/// Parts of a token, and nanoseconds of a minute.
const MINUTE: i128 = 60_000_000_000;
const MINUTE_NS: u64 = 60_000_000_000;
const QUANTUM_DEFAULT: Span = Span::from_secs(1);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Continuous,
    Quantised { quantum: u64 },
    Calendar { phase: u64 },
}

/// What is left of one limit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    kind: Kind,
    /// A minute.
    limit: u32,
    /// Most that is ever left, in parts.
    capacity: i128,
    /// What is left, in parts; below zero where calls used more than they had taken.
    level: i128,
    /// As of when.
    at: u64,
}

impl Meter {
    /// A full one.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // saturates
    pub fn new(limit: u32, settings: LimiterSettings) -> Self {
        let minute = i128::from(limit) * MINUTE;
        let (kind, capacity) = match settings {
            LimiterSettings::Continuous { burst } | LimiterSettings::ReserveAndSettle { burst } => {
                let capacity = burst.map_or(minute, |burst| libm::round(burst.value() * f64::from(limit)) as i128 * MINUTE);
                (Kind::Continuous, capacity.max(MINUTE))
            }
            LimiterSettings::Quantised { quantum } => {
                let quantum = quantum.unwrap_or(QUANTUM_DEFAULT).as_nanos().max(1);
                (Kind::Quantised { quantum }, i128::from(limit) * i128::from(quantum))
            }
            LimiterSettings::Calendar { phase } => {
                (Kind::Calendar { phase: phase.unwrap_or_default().as_nanos() % MINUTE_NS }, minute)
            }
        };
        Self { kind, limit, capacity, level: capacity, at: 0 }
    }

    /// What it allows a minute.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Puts in what has come back by `now`, which is not before the last one.
    pub fn refill(&mut self, now: Time) {
        let (now, before) = (now.as_nanos(), self.at);
        debug_assert!(now >= before, "INV-2");
        let back = match self.kind {
            Kind::Continuous => i128::from(self.limit) * i128::from(now - before),
            Kind::Quantised { quantum } => i128::from(now / quantum - before / quantum).saturating_mul(self.capacity),
            Kind::Calendar { phase } => {
                let minute = |at: u64| (u128::from(at) + u128::from(phase)) / u128::from(MINUTE_NS);
                if minute(now) > minute(before) { self.capacity - self.level } else { 0 }
            }
        };
        self.level = self.capacity.min(self.level.saturating_add(back));
        self.at = now;
    }

    /// Whether `amount` fits now.
    #[must_use]
    pub fn fits(&self, amount: u64) -> bool {
        self.can_fit(amount) && self.level >= self.needed(amount)
    }

    /// Whether `amount` fits into a full one: else no waiting helps.
    #[must_use]
    pub fn can_fit(&self, amount: u64) -> bool {
        match self.kind {
            Kind::Quantised { .. } => amount <= u64::from(self.limit),
            Kind::Continuous | Kind::Calendar { .. } => parts(amount) <= self.capacity,
        }
    }

    /// Takes `amount` out.
    pub fn take(&mut self, amount: u64) {
        self.level -= parts(amount);
    }

    /// Puts `amount` back.
    pub fn give(&mut self, amount: u64) {
        self.level = self.capacity.min(self.level + parts(amount));
    }

    /// Whole tokens left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        u64::try_from(self.level.max(0) / MINUTE).unwrap_or(u64::MAX)
    }

    /// How long until `amount` fits, if nothing else is taken; [`Span::FOREVER`] where it never does.
    #[must_use]
    pub fn wait(&self, amount: u64) -> Span {
        if self.can_fit(amount) { self.until(self.needed(amount)) } else { Span::FOREVER }
    }

    /// How long until it is full again, if nothing is taken.
    #[must_use]
    pub fn reset(&self) -> Span {
        self.until(self.capacity)
    }

    fn needed(&self, amount: u64) -> i128 {
        match self.kind {
            Kind::Quantised { .. } => parts(amount).min(self.capacity),
            Kind::Continuous | Kind::Calendar { .. } => parts(amount),
        }
    }

    /// How long until the level is `wanted`, at most the capacity.
    fn until(&self, wanted: i128) -> Span {
        let missing = wanted - self.level;
        if missing <= 0 {
            return Span::ZERO;
        }
        let nanos = match self.kind {
            Kind::Continuous => ceil_div(missing, i128::from(self.limit)),
            Kind::Quantised { quantum } => {
                let quanta = ceil_div(missing, self.capacity);
                (i128::from(self.at / quantum) + quanta) * i128::from(quantum) - i128::from(self.at)
            }
            Kind::Calendar { phase } => i128::from(MINUTE_NS - (self.at % MINUTE_NS + phase) % MINUTE_NS),
        };
        u64::try_from(nanos).map_or(Span::FOREVER, Span::from_nanos)
    }
}

fn parts(amount: u64) -> i128 {
    i128::from(amount) * MINUTE
}

/// Of positive numbers.
const fn ceil_div(a: i128, b: i128) -> i128 {
    (a + b - 1) / b
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;

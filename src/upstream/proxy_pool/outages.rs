//! An alternating renewal process: up for a while, down for a while, and so on, up at first. In the long run it is up for
//! `mean up / (mean up + mean down)` of the time, whatever the distributions (W. Feller, *An Introduction to Probability
//! Theory and Its Applications* II, Wiley 1971, chapter XI; S. Ross, *Stochastic Processes*, theorem 3.4.4).
//!
//! One owner draws from the process's own stream in sequence, one period after the other: when somebody looks changes nothing.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::dist::SpanDist;
use crate::time::{Span, Time};

/// No period is shorter, so that a run's periods can be counted.
const SHORTEST: Span = Span::from_millis(1);

/// Ups and downs.
#[derive(Clone, Debug)]
pub struct Outages {
    up: SpanDist,
    down: SpanDist,
    rng: ChaCha8Rng,
    is_up: bool,
    /// When that changes.
    until: Time,
    /// Periods before the present one.
    number: u64,
}

impl Outages {
    /// A process that draws from `rng`. One whose down times are a fixed zero never goes down.
    #[must_use]
    pub fn new(up: SpanDist, down: SpanDist, rng: ChaCha8Rng) -> Self {
        let never = matches!(down, SpanDist::Fixed { value: Span::ZERO });
        let mut outages = Self { up, down, rng, is_up: true, until: Time::FAR, number: 0 };
        if !never {
            outages.until = Time::ZERO + outages.period();
        }
        outages
    }

    /// Whether it is up at `now`, which is not before the last one asked for.
    pub fn is_up(&mut self, now: Time) -> bool {
        while self.until <= now && self.until < Time::FAR {
            self.is_up = !self.is_up;
            self.number += 1;
            let period = self.period();
            self.until += period;
        }
        self.is_up
    }

    /// The number of the present period, from 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    fn period(&mut self) -> Span {
        let dist = if self.is_up { &self.up } else { &self.down };
        Span::from_secs_f64(dist.sample(self.rng.next_u64())).max(SHORTEST)
    }
}

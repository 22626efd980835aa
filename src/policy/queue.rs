//! The queue's bounds (seed 001): how many requests, and how many tokens, may wait.
//!
//! Fullness = waiting / `max_queue_size`; at or above `queue_rejection_threshold` an arrival is refused, whether or not it
//! could start at once (the seed's queue manager looks at nothing else; an empty queue has fullness 0). So of 50 places at
//! 0.8, places 41 to 50 are never reached. The bound in tokens (ours) is asked only of those who must wait.

use serde::{Deserialize, Serialize};

use super::contract::{Asked, Engine};
use super::settings::Queue;
use super::{Mode, Saw, Verdict};
use crate::request::Reason;

/// The bounds, and what waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct QueueBounds {
    mode: Mode,
    /// The smallest number waiting whose fullness is at or above the threshold.
    limit: u32,
    tokens_max: u64,
    waiting: u32,
    tokens: u64,
}

/// A place in the queue.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    tokens: u64,
}

impl QueueBounds {
    /// An empty queue; without settings it has no bounds.
    pub fn new(settings: Option<&Queue>) -> Self {
        let mut bounds = Self { mode: Mode::Off, limit: u32::MAX, tokens_max: u64::MAX, waiting: 0, tokens: 0 };
        bounds.reconfigure(settings);
        bounds
    }

    /// New bounds; nobody who waits is turned out.
    pub fn reconfigure(&mut self, settings: Option<&Queue>) {
        self.mode = settings.map_or(Mode::Off, |s| s.mode);
        if let Some(settings) = settings {
            self.limit = limit(settings.max_queue_size.value(), settings.queue_rejection_threshold.value());
            self.tokens_max = settings.max_queue_tokens.map_or(u64::MAX, |count| u64::from(count.value()));
        }
    }

    /// One more who waits, with what it may use.
    pub fn place(&mut self, tokens: u64) -> Place {
        self.waiting += 1;
        self.tokens += tokens;
        Place { tokens }
    }

    /// Requests that wait.
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Tokens that wait.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// The smallest `n` with `n / size >= threshold`, exactly as the seed compares them: by the quotient in floating point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to `size`
fn limit(size: u32, threshold: f64) -> u32 {
    let full = |n: u32| f64::from(n) / f64::from(size) >= threshold;
    let mut n = libm::ceil(f64::from(size) * threshold) as u32;
    while n > 0 && full(n - 1) {
        n -= 1;
    }
    while !full(n) {
        n += 1;
    }
    n
}

impl Engine for QueueBounds {
    type Hold = Place;

    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        if self.waiting >= self.limit {
            Verdict::Refuse(Reason::QueueFull)
        } else if asked.must_wait && self.tokens.saturating_add(asked.tokens) > self.tokens_max {
            Verdict::Refuse(Reason::QueueTokens)
        } else {
            Verdict::Pass
        }
    }

    fn take(&mut self, asked: &Asked) -> Place {
        self.place(asked.tokens)
    }

    fn give_back(&mut self, place: Place) {
        self.waiting -= 1;
        self.tokens -= place.tokens;
    }

    fn saw(&self, _asked: &Asked) -> Saw {
        Saw::Queue { waiting: self.waiting, limit: self.limit, tokens: self.tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::asked_at;
    use crate::units::{Count, Fraction};

    #[test]
    fn places_41_to_50_of_the_seeds_queue_are_never_reached() {
        let mut bounds = QueueBounds::new(Some(&Queue::default()));
        let mut places = Vec::new();
        while bounds.ask(&asked_at(0)) == Verdict::Pass {
            places.push(bounds.take(&asked_at(0)));
        }
        assert_eq!(places.len(), 40);
        assert_eq!(bounds.ask(&asked_at(0)), Verdict::Refuse(Reason::QueueFull));
        for place in places {
            bounds.give_back(place);
        }
        assert_eq!((bounds.waiting(), bounds.tokens()), (0, 0));
    }

    #[test]
    fn the_limit_is_the_seeds_comparison_for_every_threshold() {
        for size in 1..=64 {
            for hundredth in 0..=100 {
                let threshold = f64::from(hundredth) / 100.0;
                let refused = (0..=size).find(|n| f64::from(*n) / f64::from(size) >= threshold);
                assert_eq!(Some(limit(size, threshold)), refused, "{size} at {threshold}");
            }
        }
        assert_eq!(limit(u32::MAX, 1.0), u32::MAX);
    }

    #[test]
    fn tokens_bound_those_who_wait() {
        let settings = Queue {
            max_queue_tokens: Count::new(250),
            queue_rejection_threshold: Fraction::new(1.0).expect("in range"),
            ..Queue::default()
        };
        let mut bounds = QueueBounds::new(Some(&settings));
        let _places = [bounds.take(&asked_at(0)), bounds.take(&asked_at(0))];
        assert_eq!(bounds.ask(&asked_at(0)), Verdict::Refuse(Reason::QueueTokens));
        assert_eq!(bounds.ask(&Asked { tokens: 50, ..asked_at(0) }), Verdict::Pass);
        assert_eq!(bounds.ask(&Asked { must_wait: false, ..asked_at(0) }), Verdict::Pass);
    }

    #[test]
    fn a_shrunk_queue_turns_nobody_out() {
        let mut bounds = QueueBounds::new(Some(&Queue::default()));
        let places: Vec<_> = (0..10).map(|_| bounds.take(&asked_at(0))).collect();
        bounds.reconfigure(Some(&Queue { max_queue_size: Count::new(5).expect("not 0"), ..Queue::default() }));
        assert_eq!(bounds.waiting(), 10);
        assert_eq!(bounds.ask(&asked_at(0)), Verdict::Refuse(Reason::QueueFull));
        places.into_iter().take(7).for_each(|place| bounds.give_back(place));
        assert_eq!(bounds.ask(&asked_at(0)), Verdict::Pass);
    }
}

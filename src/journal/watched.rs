//! What only pictures show of a replication: a look inside gateway and upstream over time, and how graduated rejection decided.
//! Kept only where somebody draws, in a size that does not grow with the run.

use crate::time::Span;

/// What was seen of one replication.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The run over time, where it was asked for.
    pub course: Option<Course>,
    /// The decisions of graduated rejection, where it is not off.
    pub rejections: Option<Rejections>,
}

/// A run over time, in the bins of its [`Series`](super::Series).
#[derive(Clone, Debug)]
pub struct Course {
    /// One for each bin.
    pub moments: Vec<Moment>,
    /// The percentiles are over the answers of this long before the end of a bin, and at most [`Course::ANSWERS_MAX`] of them.
    pub window: Span,
    /// Whether the upstream has a KV cache.
    pub has_kv: bool,
}

impl Course {
    /// Answers that a percentile is over at most: the latest.
    pub const ANSWERS_MAX: usize = 1_000;
}

/// One bin: what came and went in it, and what stood at its end.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// Attempts that came to the gateway.
    pub attempts: u32,
    /// Calls that it started.
    pub started: u32,
    /// Attempts that it refused.
    pub rejected: u32,
    /// Attempts that wait in the gateway, for a slot, the lane or token budget.
    pub waiting: u32,
    /// Calls that hold a slot.
    pub in_use: u32,
    /// The slots that there are, where that is enforced.
    pub limit: Option<u32>,
    /// Tokens left in the limiter's window, unless it is off; what is overdrawn is below 0.
    pub budget_left: Option<i64>,
    /// Calls that the upstream serves.
    pub running: u32,
    /// Calls that wait there.
    pub queued: u32,
    /// Share of its KV blocks in use.
    pub kv_use: f64,
    /// 99th percentile of the time to first token (of an answer in one piece: its end) of the latest answers, seconds; of
    /// fewer than a hundred the longest. `None` without answers.
    pub ttft_p99_s: Option<f64>,
    /// The same of the time to the last byte.
    pub e2e_p99_s: Option<f64>,
}

/// What graduated rejection saw and decided, by the share of its capacity that was used.
#[derive(Clone, Debug)]
pub struct Rejections {
    /// Share of the capacity from which on it refuses.
    pub start: f64,
    /// Abandoned calls that make its capacity.
    pub max_abandoned: u32,
    /// [`Rejections::STEPS`] to the whole capacity; the last one holds all beyond.
    pub bins: Vec<RejectionBin>,
}

/// Decisions at about the same share of capacity.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct RejectionBin {
    /// Attempts that came to the gate.
    pub attempts: u64,
    /// Those of them that it refused, or would have where it only observes.
    pub refused: u64,
    /// Sum of the shares that it saw.
    pub used: f64,
}

impl Rejections {
    /// Bins to the whole capacity: 5 % each, around its multiples.
    pub const STEPS: u32 = 20;
    /// All bins: up to one and a half times the capacity.
    pub const BINS: usize = 31;

    /// No decisions yet.
    #[must_use]
    pub fn new(start: f64, max_abandoned: u32) -> Self {
        Self { start, max_abandoned, bins: vec![RejectionBin::default(); Self::BINS] }
    }

    /// One decision, taken at `counted` abandoned calls (not below 0).
    pub fn decide(&mut self, counted: f64, refused: bool) {
        let used = counted / f64::from(self.max_abandoned);
        let bin = &mut self.bins[Self::bin(used)];
        bin.attempts += 1;
        bin.refused += u64::from(refused);
        bin.used += used;
    }

    /// The nearest bin; but what is not full does not stand among the full, where everything is refused.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    fn bin(used: f64) -> usize {
        let nearest = libm::round(used * f64::from(Self::STEPS)) as usize;
        let most = if used < 1.0 { Self::STEPS as usize - 1 } else { Self::BINS - 1 };
        nearest.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_and_the_nearly_full_stand_apart() {
        let bins = [0.0, 0.024, 0.026, 0.7, 0.85, 0.999, 1.0, 1.2, 9.0].map(Rejections::bin);
        assert_eq!(bins, [0, 0, 1, 14, 17, 19, 20, 24, 30]);
    }

    #[test]
    fn every_decision_counts_once() {
        let mut rejections = Rejections::new(0.7, 20);
        for (counted, refused) in [(17.0, true), (17.0, false), (17.2, false), (20.0, true)] {
            rejections.decide(counted, refused);
        }
        let bin = rejections.bins[17];
        assert_eq!((bin.attempts, bin.refused), (3, 1));
        assert!((bin.used - (0.85 + 0.85 + 0.86)).abs() < 1e-12);
        assert_eq!(rejections.bins.iter().map(|bin| bin.attempts).sum::<u64>(), 4);
    }
}

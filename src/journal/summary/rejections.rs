//! How often graduated rejection refused, by the share of its capacity that was used: over replications, with intervals.

use super::super::{RejectionBin, Rejections, Tally};
use crate::stats::Replicated;

/// Fewer attempts than this, over all replications, say nothing about a probability.
const ATTEMPTS_MIN: u64 = 20;

/// What was measured, with what the settings say.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectionCurve {
    /// Share of the capacity from which on it refuses.
    pub start: f64,
    /// Abandoned calls that make its capacity.
    pub max_abandoned: u32,
    /// By rising share of the capacity used, where there were attempts enough.
    pub shares: Vec<RejectionShare>,
}

/// What became of the attempts that found about the same share used.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectionShare {
    /// Mean share of the capacity that they found used.
    pub used: f64,
    /// How many they were.
    pub attempts: u64,
    /// Share of them that was refused.
    pub refused: Replicated,
}

/// Gathers replications.
#[derive(Debug, Default)]
pub(super) struct RejectionRows {
    each: Vec<Rejections>,
}

impl RejectionRows {
    /// Adds one replication.
    pub(super) fn add(&mut self, tally: &Tally) {
        self.each.extend(tally.watched.as_ref().and_then(|watched| watched.rejections.clone()));
    }

    /// The curve; `None` where nothing was watched.
    pub(super) fn finish(&self) -> Option<RejectionCurve> {
        let Rejections { start, max_abandoned, .. } = *self.each.first()?;
        let shares = (0..Rejections::BINS).filter_map(|bin| share(self.each.iter().map(|one| one.bins[bin])));
        Some(RejectionCurve { start, max_abandoned, shares: shares.collect() })
    }
}

fn share(bins: impl Iterator<Item = RejectionBin> + Clone) -> Option<RejectionShare> {
    let attempts: u64 = bins.clone().map(|bin| bin.attempts).sum();
    if attempts < ATTEMPTS_MIN {
        return None;
    }
    let used = bins.clone().map(|bin| bin.used).sum::<f64>() / attempts as f64;
    let pairs: Vec<(f64, f64)> = bins.map(|bin| (bin.refused as f64, bin.attempts as f64)).collect();
    Some(RejectionShare { used, attempts, refused: Replicated::of_ratios(&pairs)?.within(0.0, 1.0) })
}

#[cfg(test)]
mod tests {
    use super::super::super::Watched;
    use super::super::fixtures::{class, tally};
    use super::*;

    fn watched(decisions: &[(f64, bool, u32)]) -> Tally {
        let mut rejections = Rejections::new(0.7, 10);
        for (counted, refused, times) in decisions {
            (0..*times).for_each(|_| rejections.decide(*counted, *refused));
        }
        let watched = Some(Box::new(Watched { course: None, rejections: Some(rejections) }));
        Tally { watched, ..tally(vec![class(10, 5, 100)], 1) }
    }

    #[test]
    fn shares_are_of_all_replications_and_need_attempts_enough() {
        let mut rows = RejectionRows::default();
        assert_eq!(rows.finish(), None);
        rows.add(&watched(&[(8.0, true, 10), (8.0, false, 20), (9.0, true, 19)]));
        rows.add(&watched(&[(8.0, true, 10), (10.0, true, 50)]));
        let curve = rows.finish().unwrap();
        let seen: Vec<(f64, u64, f64)> = curve.shares.iter().map(|one| (one.used, one.attempts, one.refused.mean)).collect();
        assert_eq!(seen.len(), 2, "nineteen are not enough: {seen:?}");
        assert!((seen[0].0 - 0.8).abs() < 1e-12 && (seen[0].1, seen[0].2) == (40, 0.5), "{seen:?}");
        assert_eq!(seen[1], (1.0, 50, 1.0));
        assert!(curve.shares[0].refused.interval(0.95).is_some());
    }
}

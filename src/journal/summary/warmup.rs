//! Where the warm-up of a stationary run ends, from its own series (MSER-5, see [`crate::stats::mser5`]).

use super::super::Series;
use crate::stats::mser5;
use crate::time::{Span, Time};

/// What MSER-5 says about a run without warm-up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// How long it lasts.
    pub lasting: Span,
    /// Whether an end was found in the first half of the run; where not, the run is too short or never settles.
    pub settled: bool,
}

/// The warm-up of a run whose arrivals end at `end`: MSER-5 over the backlog, averaged over replications bin by bin (as
/// Welch's procedure does: Law 2015, section 9.5.1). All `series` have bins of one length. `None` where the run has fewer than
/// five bins. Meant for stationary load only: an overload's transient is what is measured, and is never cut.
#[must_use]
pub fn warm_up(series: &[&Series], end: Time) -> Option<WarmUp> {
    let first = series.first()?;
    let bins = usize::try_from(end.as_nanos() / first.bin.as_nanos().max(1)).unwrap_or(usize::MAX);
    let bins = series.iter().map(|one| one.backlog.len()).fold(bins, usize::min);
    let backlog: Vec<f64> = (0..bins)
        .map(|bin| series.iter().map(|one| u64::from(one.backlog[bin])).sum::<u64>() as f64 / series.len() as f64)
        .collect();
    let found = mser5(&backlog)?;
    Some(WarmUp { lasting: first.bin * found.delete as u64, settled: found.settled })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(full_after: usize, settles: bool) -> Series {
        let mut series = Series::over(Time::ZERO + Span::from_secs(1_000));
        for (bin, open) in series.backlog.iter_mut().enumerate() {
            let level = if settles { bin.min(full_after) } else { bin };
            *open = u32::try_from(10 * level + bin % 3).unwrap();
        }
        series
    }

    #[test]
    fn a_backlog_that_fills_up_ends_the_warm_up() {
        let (one, other) = (filling(60, true), filling(80, true));
        let found = warm_up(&[&one, &other], Time::ZERO + Span::from_secs(900)).unwrap();
        assert!(found.settled && (70..=80).contains(&(found.lasting.as_nanos() / 1_000_000_000)), "{found:?}");
    }

    #[test]
    fn one_that_keeps_growing_is_not_settled() {
        assert!(!warm_up(&[&filling(0, false)], Time::FAR).unwrap().settled);
        assert_eq!(warm_up(&[], Time::FAR), None);
        assert_eq!(warm_up(&[&filling(0, true)], Time::ZERO), None);
    }
}

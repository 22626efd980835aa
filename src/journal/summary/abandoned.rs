//! Abandoned calls over time, in a few columns: what a policy counts against what really runs.

use super::super::Series;
use crate::time::{Span, Time};

/// Highest numbers in columns of equal length, from time zero on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Abandoned {
    /// Length of a column.
    pub column: Span,
    /// What the policy counted at most in each column.
    pub counted: Vec<f64>,
    /// How many really ran at most in each column.
    pub truly: Vec<u32>,
}

impl Abandoned {
    /// Most columns: they stand in a line of text.
    pub const COLUMNS_MAX: usize = 80;
    /// No more than this is shown: in a longer stretch the resets, minutes apart, would run into each other.
    pub const SPAN_MAX: Span = Span::from_secs(3_600);

    /// The beginning of a run whose arrivals end at `end`; empty where nothing was abandoned in the whole run.
    #[must_use]
    pub fn of(series: &Series, end: Time) -> Self {
        let any = series.abandoned_true.iter().any(|n| *n > 0) || series.abandoned_counted.iter().any(|n| *n > 0.0);
        let bins = series.index(end.min(Time::ZERO + Self::SPAN_MAX)).max(1);
        if !any {
            return Self::default();
        }
        let per_column = bins.div_ceil(Self::COLUMNS_MAX);
        let truly = series.abandoned_true[..bins].chunks(per_column);
        let counted = series.abandoned_counted[..bins].chunks(per_column);
        Self {
            column: Span::from_nanos(series.bin.as_nanos() * per_column as u64),
            counted: counted.map(|bins| bins.iter().copied().fold(0.0, f64::max)).collect(),
            truly: truly.map(|bins| bins.iter().copied().max().unwrap_or(0)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_the_highest_of_their_bins() {
        let at = |secs| Time::ZERO + Span::from_secs(secs);
        let mut series = Series::over(at(1_000)); // bins of a second
        assert_eq!(Abandoned::of(&series, at(800)), Abandoned::default());
        (series.abandoned_counted[15], series.abandoned_true[19], series.abandoned_true[20]) = (2.5, 3, 1);
        let shown = Abandoned::of(&series, at(800));
        assert_eq!((shown.column, shown.counted.len(), shown.truly.len()), (Span::from_secs(10), 80, 80));
        assert_eq!((shown.counted[1], shown.truly[1], shown.truly[2], shown.truly[3]), (2.5, 3, 1, 0));
    }

    #[test]
    fn of_a_long_run_only_the_beginning_is_shown() {
        let at = |secs| Time::ZERO + Span::from_secs(secs);
        let mut series = Series::over(at(100_000)); // bins of 100 s
        series.abandoned_true[700] = 5;
        let shown = Abandoned::of(&series, at(90_000));
        assert_eq!((shown.column, shown.truly.as_slice()), (Span::from_secs(100), [0; 36].as_slice()));
    }
}

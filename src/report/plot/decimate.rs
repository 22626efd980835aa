//! Long series, thinned to what can be seen: per column of pixels the first, least, greatest and last point.
//!
//! Unlike every n-th point, that keeps each peak; M4 of U. Jugel et al., "M4: a visualization-oriented time series data
//! aggregation", PVLDB 7 (2014), draws the same pixels as the whole series.

/// Points of a series above which it is thinned.
pub(super) const POINTS_MAX: usize = 2_000;

/// The indices of `points` that stay, in order; `column` says in which column of pixels a point lies.
pub(super) fn decimated(points: &[(f64, f64)], column: impl Fn(f64) -> i64) -> Vec<usize> {
    if points.len() <= POINTS_MAX {
        return (0..points.len()).collect();
    }
    let mut kept = Vec::new();
    let mut start = 0;
    for end in 1..=points.len() {
        if end < points.len() && column(points[end].0) == column(points[start].0) {
            continue;
        }
        let by_height = |a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1);
        let extremes = [(start..end).min_by(by_height), (start..end).max_by(by_height)];
        let mut four: Vec<usize> = extremes.into_iter().flatten().chain([start, end - 1]).collect();
        four.sort_unstable();
        four.dedup();
        kept.extend(four);
        start = end;
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[allow(clippy::cast_possible_truncation)]
    fn column(x: f64) -> i64 {
        (x / 100.0).floor() as i64
    }

    #[test]
    fn short_series_stay_whole() {
        let points: Vec<(f64, f64)> = (0..POINTS_MAX).map(|i| (i as f64, 0.0)).collect();
        assert_eq!(decimated(&points, column).len(), POINTS_MAX);
    }

    proptest! {
        #[test]
        fn no_peak_is_lost(heights in prop::collection::vec(-1e3..1e3_f64, 2_500..4_000)) {
            let points: Vec<(f64, f64)> = heights.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect();
            let kept = decimated(&points, column);
            prop_assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(kept.len() <= 4 * points.len().div_ceil(100));
            for (chunk, piece) in points.chunks(100).enumerate() {
                let shown: Vec<f64> =
                    kept.iter().filter(|i| **i / 100 == chunk).map(|i| points[*i].1).collect();
                let most = |all: &[f64]| all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
                let whole: Vec<f64> = piece.iter().map(|(_, y)| *y).collect();
                prop_assert_eq!((most(&shown), least(&shown)), (most(&whole), least(&whole)));
            }
        }
    }
}

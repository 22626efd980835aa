//! What plots need besides the published figures: kept only where somebody draws, so that a search over thousands of runs
//! pays nothing for it.

use super::super::{Course, Series, Window};
use crate::latency::Latency;

/// Steps of a distribution: half a percent each.
const STEPS: u64 = 200;

/// One replication over time.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What of it counts.
    pub window: Window,
    /// What happened when.
    pub series: Series,
    /// The same from inside gateway and upstream, where it was watched.
    pub course: Option<Course>,
}

/// The distribution of `latency` in at most 200 points: the values at which its share first reaches each step.
#[must_use]
pub fn curve(latency: &Latency) -> Vec<(f64, f64)> {
    let all = latency.count();
    let mut points = Vec::new();
    let (mut seen, mut wanted) = (0, 1);
    for (top_ns, count) in latency.cells() {
        seen += count;
        // In whole numbers: seen / all >= wanted / STEPS.
        if u128::from(seen) * u128::from(STEPS) >= u128::from(wanted) * u128::from(all) {
            points.push((top_ns as f64 / 1e9, seen as f64 / all as f64));
            wanted = u64::try_from(u128::from(seen) * u128::from(STEPS) / u128::from(all)).unwrap_or(STEPS) + 1;
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn a_curve_rises_to_one_in_few_points() {
        let mut latency = Latency::new();
        assert_eq!(curve(&latency), []);
        (1..=10_000).for_each(|ms| latency.record(Span::from_millis(ms)));
        let points = curve(&latency);
        assert!(points.len() == 200 && points.windows(2).all(|two| two[0] < two[1]), "{points:?}");
        assert!((points[99].1 - 0.5).abs() < 0.002 && (points[99].0 - 5.0).abs() < 0.02, "{:?}", points[99]);
        assert!((points[199].1 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_value_is_one_step() {
        let mut latency = Latency::new();
        latency.record_n(Span::from_secs(2), 7);
        let points = curve(&latency);
        assert!(matches!(points[..], [(at, share)] if (at - 2.0).abs() < 0.002 && share >= 1.0), "{points:?}");
    }
}

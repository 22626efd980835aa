//! Trend of a short, noisy series that may hold outliers.
//!
//! P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968), 1379-1389: the slope is the
//! median slope of all pairs, so that less than 29 % of wild points cannot move it far; M. G. Kendall, "A new measure of rank
//! correlation", Biometrika 30 (1938), 81-93: how steadily the series goes one way.

use super::median;

/// Where a series is going.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Trend {
    /// Median slope of all pairs of points.
    pub slope: f64,
    /// Kendall's tau-a: 1 where every later point is higher, -1 where every later point is lower, near 0 without a trend.
    pub tau: f64,
}

/// The trend of points (x, y) in rising order of x; `None` with fewer than two. Takes n^2 / 2 steps: meant for tens of points.
#[must_use]
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    let mut order = 0i64;
    for (i, (x0, y0)) in points.iter().enumerate() {
        for (x1, y1) in &points[i + 1..] {
            slopes.push((y1 - y0) / (x1 - x0));
            order += i64::from(y1 > y0) - i64::from(y1 < y0);
        }
    }
    Some(Trend { slope: median(&slopes)?, tau: order as f64 / slopes.len() as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_make_a_trend_nor_hide_one() {
        let mut rising: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), 3.0 * f64::from(i))).collect();
        assert_eq!(trend(&rising), Some(Trend { slope: 3.0, tau: 1.0 }));
        rising[4].1 = 1e6;
        let found = trend(&rising).unwrap();
        assert!((found.slope - 3.0).abs() < 1e-12 && found.tau > 0.7, "{found:?}");
        let flat: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), f64::from(u8::from(i == 9)))).collect();
        assert!(trend(&flat).unwrap().slope.abs() < 1e-12);
        assert_eq!(trend(&[(0.0, 1.0)]), None);
    }
}

//! Where the warm-up ends: MSER-5.
//!
//! K. P. White, "An effective truncation heuristic for bias reduction in simulation output", Simulation 69:6 (1997),
//! 323-334; K. P. White, M. J. Cobb, S. C. Spratt, "A comparison of five steady-state truncation heuristics for simulation",
//! Proc. Winter Simulation Conference 2000, 755-760 (batches of five). With z(1..k) the means of batches of five
//! observations, the warm-up is the d that minimises
//!
//! ```text
//! MSER(d) = sum over i > d of (z(i) - mean of z(d+1..k))^2 / (k - d)^2
//! ```
//!
//! over d up to k/2. A minimum at that very bound means that no end was found: the run is too short, or never settles.

/// Observations in a batch (White, Cobb and Spratt 2000).
pub const MSER_BATCH: usize = 5;

/// What to leave out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Observations to leave out at the beginning.
    pub delete: usize,
    /// Whether the minimum lies before the bound at half the series; where not, the run is too short to say.
    pub settled: bool,
}

/// MSER over single observations; `None` without any.
#[must_use]
pub fn mser(series: &[f64]) -> Option<Truncation> {
    if series.is_empty() {
        return None;
    }
    let bound = series.len() / 2;
    let mut best = (f64::INFINITY, 0);
    // From the end on, mean and squared distance of the rest grow by one observation (Welford, Technometrics 4, 1962).
    let (mut rest, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for (d, x) in series.iter().enumerate().rev() {
        rest += 1.0;
        let off = x - mean;
        mean += off / rest;
        squares += off * (x - mean);
        let mser = squares / (rest * rest);
        // Of equal ones the smallest d: nothing is left out without gain.
        if d <= bound && mser <= best.0 {
            best = (mser, d);
        }
    }
    Some(Truncation { delete: best.1, settled: best.1 < bound || bound == 0 })
}

/// MSER-5: MSER over the means of batches of five; what is left of the last batch takes no part. `None` with fewer than five
/// observations.
#[must_use]
pub fn mser5(series: &[f64]) -> Option<Truncation> {
    let batches: Vec<f64> = series.chunks_exact(MSER_BATCH).filter_map(super::mean).collect();
    mser(&batches).map(|found| Truncation { delete: found.delete * MSER_BATCH, ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alternates around `level`, so that a batch of five is off by a fifth of `swing`.
    fn around(level: f64, swing: f64, n: usize) -> impl Iterator<Item = f64> {
        (0..n).map(move |i| if i % 2 == 0 { level + swing } else { level - swing })
    }

    #[test]
    fn a_transient_is_cut_where_it_ends() {
        let series: Vec<f64> = (0..50).map(|i| 100.0 - 2.0 * f64::from(i)).chain(around(0.0, 1.0, 450)).collect();
        let found = mser5(&series).unwrap();
        assert!(found.settled && (40..=50).contains(&found.delete), "{found:?}");
    }

    #[test]
    fn a_minimum_by_hand() {
        // MSER(0) = 75/16, MSER(1) = 0, MSER(2) = 0: the smallest d of the equal ones.
        assert_eq!(mser(&[10.0, 0.0, 0.0, 0.0]), Some(Truncation { delete: 1, settled: true }));
        assert_eq!(mser(&[]), None);
        assert_eq!(mser5(&[1.0; 4]), None);
    }

    #[test]
    fn a_flat_series_keeps_everything_and_a_growing_one_is_not_settled() {
        assert_eq!(mser5(&[3.0; 100]), Some(Truncation { delete: 0, settled: true }));
        let growing: Vec<f64> = (0..100).map(f64::from).collect();
        let found = mser5(&growing).unwrap();
        assert!(!found.settled && found.delete == 50, "{found:?}");
    }

    #[test]
    fn the_one_pass_agrees_with_the_formula() {
        let series: Vec<f64> = (0..60).map(|i| f64::from(i * 7 % 13) + 40.0 / f64::from(i + 1)).collect();
        let formula = |d: usize| {
            let rest = &series[d..];
            let mean = rest.iter().sum::<f64>() / rest.len() as f64;
            rest.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (rest.len() as f64).powi(2)
        };
        let best = (0..=30).min_by(|a, b| formula(*a).total_cmp(&formula(*b))).unwrap();
        assert_eq!(mser(&series).unwrap().delete, best);
    }
}

//! A figure estimated from independent replications, with its interval at any level, and the difference of two such.
//!
//! A *mean* figure (goodput, queue length) has one value in each replication. A *ratio* figure (share of good requests,
//! mean wait) has a numerator and a denominator in each; it is estimated by the ratio of the sums, which weighs every
//! request alike, and its variance by linearisation (Cochran 1977, eq. 6.13): replication r stands for
//! `R + (y_r - R x_r) / mean(x)`. The mean of those values is R itself, so that means and ratios, and differences of either
//! between variants that met the same requests, all take the same t-interval (Law 2015, sections 9.4 and 10.2).

use super::{Interval, Sum, mean, student_t, variance};

/// A figure over replications.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicated {
    /// The estimate.
    pub mean: f64,
    values: Vec<f64>,
    bounds: (f64, f64),
}

/// How much larger one figure is than another, over the replications that both have.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Difference {
    /// The estimate.
    pub mean: f64,
    /// Its interval; `None` with fewer than two replications.
    pub interval: Option<Interval>,
}

impl Replicated {
    /// A mean figure: one value in each replication; `None` without any.
    #[must_use]
    pub fn of_means(values: Vec<f64>) -> Option<Self> {
        let mean = mean(&values)?;
        Some(Self { mean, values, bounds: (f64::NEG_INFINITY, f64::INFINITY) })
    }

    /// A ratio figure: (numerator, denominator at least 0) in each replication; `None` where the denominators sum to 0.
    #[must_use]
    pub fn of_ratios(pairs: &[(f64, f64)]) -> Option<Self> {
        let above = pairs.iter().map(|(y, _)| *y).collect::<Sum>().value();
        let below = pairs.iter().map(|(_, x)| *x).collect::<Sum>().value();
        if below <= 0.0 {
            return None;
        }
        let ratio = above / below;
        let size = below / pairs.len() as f64;
        let values = pairs.iter().map(|(y, x)| ratio + (y - ratio * x) / size).collect();
        Some(Self { mean: ratio, values, bounds: (f64::NEG_INFINITY, f64::INFINITY) })
    }

    /// The same figure, known to lie between `lo` and `hi`: its intervals stop there.
    #[must_use]
    pub fn within(self, lo: f64, hi: f64) -> Self {
        Self { bounds: (lo, hi), ..self }
    }

    /// How many replications.
    #[must_use]
    pub fn replications(&self) -> usize {
        self.values.len()
    }

    /// The t-interval at confidence `level` (inside 0 to 1); `None` with fewer than two replications. Replications that all
    /// agree give an interval of width 0.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let (lo, hi) = self.bounds;
        Some(t_interval(self.mean, &self.values, level)?.clamped(lo, hi))
    }

    /// How much larger this figure is than `base`, replication by replication, with its interval at `level`. Both must come
    /// from the same number of replications, of which each met the same requests; `None` where they do not.
    #[must_use]
    pub fn minus(&self, base: &Self, level: f64) -> Option<Difference> {
        if self.values.len() != base.values.len() {
            return None;
        }
        let differences: Vec<f64> = self.values.iter().zip(&base.values).map(|(b, a)| b - a).collect();
        let mean = self.mean - base.mean;
        Some(Difference { mean, interval: t_interval(mean, &differences, level) })
    }
}

fn t_interval(mean: f64, values: &[f64], level: f64) -> Option<Interval> {
    let variance = variance(values)?;
    let n = values.len();
    Some(Interval::around(mean, student_t(level, n - 1) * (variance / n as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn uniform(rng: &mut ChaCha8Rng) -> f64 {
        (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A sum of twelve uniforms: mean 6, variance 1, close to normal.
    fn nearly_normal(rng: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| uniform(rng)).sum()
    }

    /// How often 4,000 intervals at `level` hold the truth.
    fn coverage(level: f64, truth: f64, mut draw: impl FnMut() -> Replicated) -> f64 {
        let held = (0..4_000).filter(|_| draw().interval(level).unwrap().holds(truth)).count();
        held as f64 / 4_000.0
    }

    #[test]
    fn t_intervals_cover_the_truth_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (level, n) in [(0.5, 3), (0.95, 5), (0.95, 20), (0.99, 10)] {
            let covered =
                coverage(level, 6.0, || Replicated::of_means((0..n).map(|_| nearly_normal(&mut rng)).collect()).unwrap());
            // Four standard errors of the share itself.
            let slack = 4.0 * (level * (1.0 - level) / 4_000.0f64).sqrt();
            assert!((covered - level).abs() < slack, "level {level}, {n} replications: {covered}");
        }
    }

    #[test]
    fn ratio_intervals_cover_the_truth_where_sizes_vary() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let covered = coverage(0.95, 0.25, || {
            let pairs: Vec<(f64, f64)> = (0..20)
                .map(|_| {
                    let size = 50.0 + 100.0 * uniform(&mut rng);
                    (0.25 * size + 10.0 * (nearly_normal(&mut rng) - 6.0), size)
                })
                .collect();
            Replicated::of_ratios(&pairs).unwrap()
        });
        assert!((covered - 0.95).abs() < 0.02, "{covered}");
    }

    #[test]
    fn an_interval_by_hand() {
        // Mean 3, s^2 = 2.5, n = 5: 3 give or take 2.776445 * sqrt(0.5).
        let interval = Replicated::of_means(vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap().interval(0.95).unwrap();
        assert!((interval.half_width() - 1.963_243_161_3).abs() < 1e-9, "{interval:?}");
    }

    #[test]
    fn one_replication_has_no_interval_and_equal_ones_a_point() {
        assert_eq!(Replicated::of_means(vec![]), None);
        assert_eq!(Replicated::of_ratios(&[(0.0, 0.0)]), None);
        assert_eq!(Replicated::of_means(vec![7.0]).unwrap().interval(0.95), None);
        let same = Replicated::of_means(vec![0.1; 3]).unwrap().interval(0.95).unwrap();
        assert_eq!(same.half_width().to_bits(), 0.0f64.to_bits());
    }

    #[test]
    fn pairing_takes_out_what_both_share() {
        let noise = [10.0, -20.0, 35.0, 5.0];
        let a = Replicated::of_means(noise.to_vec()).unwrap();
        let b = Replicated::of_means(noise.iter().zip([1.0, 1.1, 0.9, 1.0]).map(|(x, d)| x + d).collect()).unwrap();
        let difference = b.minus(&a, 0.95).unwrap();
        assert!((difference.mean - 1.0).abs() < 1e-12);
        assert!(difference.interval.unwrap().half_width() < 0.14);
        assert_eq!(a.minus(&Replicated::of_means(vec![1.0]).unwrap(), 0.95), None);
    }

    proptest! {
        /// The replications' values average to the ratio of the sums, whatever their sizes.
        #[test]
        fn a_ratio_is_the_mean_of_its_values(pairs in prop::collection::vec((0.0..100.0f64, 0.1..100.0f64), 1..12)) {
            let figure = Replicated::of_ratios(&pairs).unwrap();
            let centre = mean(&figure.values).unwrap();
            prop_assert!((centre - figure.mean).abs() <= 1e-9 * figure.mean.abs().max(1.0));
        }

        /// A clamped interval lies within its bounds.
        #[test]
        fn shares_stay_shares(pairs in prop::collection::vec((0.0..1.0f64, 1.0..2.0f64), 2..6), level in 0.5..0.999f64) {
            let interval = Replicated::of_ratios(&pairs).unwrap().within(0.0, 1.0).interval(level).unwrap();
            prop_assert!(0.0 <= interval.lo && interval.lo <= interval.hi && interval.hi <= 1.0);
        }
    }
}

//! Intervals: Student's t for means over replications, Wilson's for a share of independent trials.
//!
//! Student, "The probable error of a mean", Biometrika 6 (1908), 1-25. E. B. Wilson, "Probable inference, the law of
//! succession, and statistical inference", JASA 22 (1927), 209-212; why his and not Wald's: L. D. Brown et al.,
//! "Interval estimation for a binomial proportion", Statistical Science 16 (2001), 101-133.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// A closed interval.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// `centre` give or take `half`.
    #[must_use]
    pub fn around(centre: f64, half: f64) -> Self {
        Self { lo: centre - half, hi: centre + half }
    }

    /// Whether `x` lies inside, ends included.
    #[must_use]
    pub fn holds(&self, x: f64) -> bool {
        self.lo <= x && x <= self.hi
    }

    /// Half its width.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        (self.hi - self.lo) / 2.0
    }

    /// The part of it between `lo` and `hi`, for a figure that cannot lie outside: the coverage stays what it was.
    #[must_use]
    pub fn clamped(self, lo: f64, hi: f64) -> Self {
        Self { lo: self.lo.clamp(lo, hi), hi: self.hi.clamp(lo, hi) }
    }
}

/// The two-sided critical value of Student's t at confidence `level` (inside 0 to 1) with `freedom` (at least 1) degrees.
///
/// # Panics
/// Where `level` or `freedom` are out of range.
#[must_use]
pub fn student_t(level: f64, freedom: usize) -> f64 {
    assert!(level > 0.0 && level < 1.0, "a confidence level lies between 0 and 1, not {level}");
    let t = StudentsT::new(0.0, 1.0, freedom as f64).expect("degrees of freedom are at least 1");
    t.inverse_cdf(f64::midpoint(1.0, level))
}

/// Wilson's score interval for `successes` among `trials` independent trials at confidence `level` (inside 0 to 1); `None`
/// without trials. Requests under overload are not independent: between replications use [`super::Replicated`].
#[must_use]
pub fn wilson(successes: u64, trials: u64, level: f64) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, level));
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let z2 = z * z / n;
    let half = z * ((p * (1.0 - p) + z2 / 4.0) / n).sqrt();
    Some(Interval::around((p + z2 / 2.0) / (1.0 + z2), half / (1.0 + z2)).clamped(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_the_published_ones() {
        for (level, freedom, value) in [
            (0.95, 1, 12.706_204_736_174_7),
            (0.95, 9, 2.262_157_162_798_205),
            (0.95, 29, 2.045_229_642_132_703),
            (0.99, 4, 4.604_094_871_415_897),
            (0.999, 19, 3.883_405_852_592_082),
        ] {
            assert!((student_t(level, freedom) - value).abs() < 1e-9 * value, "{level} {freedom}");
        }
    }

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (successes, trials, lo, hi) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let interval = wilson(successes, trials, 0.95).unwrap();
            assert!((interval.lo - lo).abs() < 6e-5 && (interval.hi - hi).abs() < 6e-5, "{interval:?}");
        }
        assert_eq!(wilson(0, 0, 0.95), None);
    }
}

//! Sums of floating numbers that lose nothing worth having: compensated, and in the order given.
//!
//! A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54 (1974), 39-51: the
//! improved Kahan-Babuska sum. T. F. Chan et al., "Algorithms for computing the sample variance",
//! The American Statistician 37 (1983), 242-247: the corrected two-pass variance.

/// A compensated sum.
#[derive(Copy, Clone, Debug, Default)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds `x`.
    pub fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        self.lost += if self.sum.abs() >= x.abs() { (self.sum - sum) + x } else { (x - sum) + self.sum };
        self.sum = sum;
    }

    /// The sum so far.
    #[must_use]
    pub fn value(self) -> f64 {
        self.sum + self.lost
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut sum = Self::default();
        numbers.into_iter().for_each(|x| sum.add(x));
        sum
    }
}

/// Mean; `None` without numbers.
#[must_use]
pub fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().copied().collect::<Sum>().value() / numbers.len() as f64)
}

/// Unbiased sample variance; `None` with fewer than two numbers. Never negative, and exactly 0 where all are the same.
#[must_use]
pub fn variance(numbers: &[f64]) -> Option<f64> {
    if numbers.len() < 2 {
        return None;
    }
    // Where all are equal, the rounded mean may differ from them in its last bit.
    if numbers.iter().all(|x| x.to_bits() == numbers[0].to_bits()) {
        return Some(0.0);
    }
    let mean = mean(numbers)?;
    let n = numbers.len() as f64;
    let squares = numbers.iter().map(|x| (x - mean) * (x - mean)).collect::<Sum>().value();
    let off = numbers.iter().map(|x| x - mean).collect::<Sum>().value();
    Some(((squares - off * off / n) / (n - 1.0)).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_what_naive_addition_loses() {
        let numbers = [1.0, 1e100, 1.0, -1e100];
        assert_eq!(numbers.iter().sum::<f64>().to_bits(), 0.0f64.to_bits());
        assert_eq!(numbers.into_iter().collect::<Sum>().value().to_bits(), 2.0f64.to_bits());
    }

    #[test]
    fn variance_survives_a_large_offset() {
        let numbers = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
        assert_eq!(variance(&numbers), Some(30.0));
        assert_eq!(variance(&[0.1, 0.1, 0.1]), Some(0.0));
        assert_eq!(variance(&[1.0]), None);
        assert_eq!(mean(&[]), None);
    }
}

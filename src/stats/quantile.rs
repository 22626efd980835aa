//! Quantiles of small samples.
//!
//! R. J. Hyndman, Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50 (1996), 361-365:
//! definition 7 (linear between order statistics), the default of R and `NumPy`. Distributions of latencies are not kept as
//! samples: see [`crate::latency::Latency`].

/// The `q`-quantile (0 to 1, else clamped) by definition 7; `None` without numbers. `numbers` need no order and hold no NaN.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the length
pub fn quantile(numbers: &[f64], q: f64) -> Option<f64> {
    let mut numbers = numbers.to_vec();
    let place = q.clamp(0.0, 1.0) * numbers.len().checked_sub(1)? as f64;
    // Two order statistics next to each other: no need to sort the rest.
    let (_, below, larger) = numbers.select_nth_unstable_by(place.floor() as usize, f64::total_cmp);
    let above = larger.iter().copied().min_by(f64::total_cmp).unwrap_or(*below);
    Some(*below + (place - place.floor()) * (above - *below))
}

/// The median; `None` without numbers.
#[must_use]
pub fn median(numbers: &[f64]) -> Option<f64> {
    quantile(numbers, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_order_statistics() {
        let numbers = [15.0, 20.0, 50.0, 35.0, 40.0];
        assert_eq!(quantile(&numbers, 0.4), Some(29.0)); // R: quantile(c(15,20,35,40,50), 0.4)
        assert_eq!(quantile(&numbers, 0.0), Some(15.0));
        assert_eq!(quantile(&numbers, 1.0), Some(50.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[]), None);
    }
}

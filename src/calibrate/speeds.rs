//! Equally likely speeds of a machine, and quantiles over what was simulated at them.

use crate::dist::standard_normal;
use crate::stats::quantile;

/// The middle of the `i`-th of `parts` equally likely parts of the standard normal distribution.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
pub fn middle_of(i: u32, parts: u32) -> f64 {
    let share = (f64::from(i) + 0.5) / f64::from(parts);
    standard_normal((share * 18_446_744_073_709_551_616.0) as u64)
}

/// The `q`-quantile of values that stand for the middles of equally likely parts: the i-th of n, from 0, is the (i + 1/2) / n
/// quantile (definition 5 of Hyndman and Fan, see [`quantile`]). Beyond the outermost middles it is theirs.
#[must_use]
pub fn of_parts(values: &[f64], q: f64) -> Option<f64> {
    let n = values.len() as f64;
    quantile(values, if n > 1.0 { (q * n - 0.5) / (n - 1.0) } else { 0.5 })
}

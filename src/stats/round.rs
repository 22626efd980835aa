//! Rounding to significant digits, for files that must be the same on every platform.

/// `x` with `digits` significant decimal digits (at least 1), as the nearest number that a decimal text of that many
/// digits reads back as. Zero, infinities and NaN stay what they are.
#[must_use]
pub fn significant(x: f64, digits: usize) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    // Through decimal text, which rounds correctly; scaling by a power of ten would itself round.
    format!("{x:.*e}", digits.max(1) - 1).parse().expect("a finite number's own text is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_beyond_the_last_significant_one_go() {
        for (x, rounded) in [
            (1.234_567_890_123, 1.234_567_89),
            (-9.999_999_999_9, -10.0),
            (123_456_789_012.0, 123_456_789_000.0),
            (1.0e-300, 1.0e-300),
            (0.0, 0.0),
        ] {
            assert_eq!(significant(x, 9).to_bits(), f64::to_bits(rounded), "{x}");
        }
        assert!(significant(f64::NAN, 9).is_nan() && significant(f64::INFINITY, 9).is_infinite());
    }
}

//! Simulated time: integer nanoseconds, so that no run depends on rounding.
//!
//! [`Time`] is a point on a run's clock, [`Span`] a length of time. A person writes spans as `"300s"`, `"5m"` or `"1.5ms"`.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// Units a span may be written in, from the longest, with their length in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400 * NANOS_PER_SEC),
    ("h", 3_600 * NANOS_PER_SEC),
    ("m", 60 * NANOS_PER_SEC),
    ("s", NANOS_PER_SEC),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// What [`split_quantity`] takes, for the published schema.
pub(crate) const QUANTITY_PATTERN: &str = r"^\s*\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*(ns|us|ms|s|m|h|d)\s*$";

/// A point in time, in nanoseconds since the run's start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// The run's start.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens: "never".
    pub const FAR: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // for people and statistics, never for decisions
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SEC as f64
    }

    /// How long after `earlier` this is; zero where it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Time {
    type Output = Self;
    /// Saturates at [`Time::FAR`].
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Time> for Time {
    type Output = Span;
    /// The same as [`Time::since`].
    fn sub(self, earlier: Self) -> Span {
        self.since(earlier)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s", self.as_secs_f64())
    }
}

/// A length of time in nanoseconds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than any run.
    pub const FOREVER: Self = Self(u64::MAX);

    /// A span of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * NANOS_PER_SEC)
    }

    /// The nearest whole number of nanoseconds to `secs`; negative and NaN become zero, too much becomes [`Span::FOREVER`].
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn from_secs_f64(secs: f64) -> Self {
        let nanos = secs * NANOS_PER_SEC as f64;
        // From 2^52 on there is nothing to round. `as` saturates, and NaN is 0; to a signed number it takes fewer steps.
        Self(if nanos < (1u64 << 52) as f64 { ((nanos + 0.5) as i64).max(0) as u64 } else { nanos as u64 })
    }

    /// Length in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Length in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SEC as f64
    }

    /// This span times a factor of at least zero, rounded to the nanosecond.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self::from_secs_f64(self.as_secs_f64() * factor)
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Self;
    fn mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

/// Why a text is not a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write a number and a unit (ns, us, ms, s, m, h, d), like \"300s\", \"5m\" or \"1.5ms\"")]
pub struct NotASpan(pub String);

/// Splits `"1.5ms"` into its number and the length of its unit in nanoseconds.
pub(crate) fn split_quantity(text: &str) -> Option<(f64, u64)> {
    let text = text.trim();
    let cut = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E')?;
    let number: f64 = text[..cut].trim().parse().ok()?;
    let unit = UNITS.iter().find(|(name, _)| *name == &text[cut..])?.1;
    (number.is_finite() && number.is_sign_positive()).then_some((number, unit))
}

/// A span that is written as a whole number of its unit, to the nanosecond.
fn whole_number(text: &str) -> Option<Span> {
    let text = text.trim();
    let cut = text.find(|c: char| !c.is_ascii_digit())?;
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == &text[cut..])?;
    text[..cut].parse::<u64>().ok()?.checked_mul(*unit).map(Span)
}

impl FromStr for Span {
    type Err = NotASpan;

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        if let Some(exact) = whole_number(text) {
            return Ok(exact); // floats hold whole nanoseconds up to 104 days only
        }
        let (number, unit) = split_quantity(text).ok_or_else(|| NotASpan(text.to_owned()))?;
        let nanos = libm::round(number * unit as f64);
        if nanos < u64::MAX as f64 { Ok(Self(nanos as u64)) } else { Err(NotASpan(text.to_owned())) }
    }
}

impl fmt::Display for Span {
    /// Exact: the longest unit of which this is a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let (name, length) = UNITS.iter().skip(1).find(|(_, length)| self.0.is_multiple_of(*length)).unwrap_or(&UNITS[6]);
        write!(f, "{}{name}", self.0 / length)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = QuotedQuantity::deserialize(deserializer)?.0;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A string where a person may forget the quotes and the unit: a bare number gets its own message.
pub(crate) struct QuotedQuantity(pub String);

impl<'de> Deserialize<'de> for QuotedQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = QuotedQuantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes with its unit, like \"300s\", \"5m\" or \"1.5ms\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<QuotedQuantity, E> {
                Ok(QuotedQuantity(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "plimsoll-duration",
            "description": "A number and a unit: ns, us, ms, s, m, h or d.",
            "pattern": QUANTITY_PATTERN,
            "examples": ["300s", "5m", "1.5ms"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        assert_eq!("300s".parse(), Ok(Span::from_secs(300)));
        assert_eq!("5m".parse(), Ok(Span::from_secs(300)));
        assert_eq!("1.5ms".parse(), Ok(Span::from_nanos(1_500_000)));
        for bad in ["", "5", "5 minutes", "-1s", "s", "1e400s", "nans", "1e30d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn what_is_printed_reads_back_exactly() {
        for nanos in [0, 1, 999, 1_000, 1_500_000, 60_000_000_000, 61_000_000_000, (1 << 53) + 1, u64::MAX / 2, u64::MAX] {
            let span = Span::from_nanos(nanos);
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(Time::FAR + Span::from_secs(1), Time::FAR);
        assert_eq!(Time::ZERO - Time::from_nanos(5), Span::ZERO);
    }
}

//! A setting (one value of one parameter) and a point (a value for each parameter): what a candidate is.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// One value of one parameter. Ordered totally, floats by their bits in IEEE 754's total order, so that equal candidates are
/// found without hashing floats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Setting {
    /// A number.
    Real(f64),
    /// A whole number.
    Integer(i64),
    /// A length of time.
    Duration(Span),
    /// One of several names.
    Text(String),
    /// On or off.
    Bool(bool),
}

impl Setting {
    /// The value on a number line: itself, or seconds; `None` for names, and for on and off.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Real(x) => Some(*x),
            Self::Integer(i) => Some(*i as f64),
            Self::Duration(span) => Some(span.as_secs_f64()),
            Self::Text(_) | Self::Bool(_) => None,
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Real(_) => 0,
            Self::Integer(_) => 1,
            Self::Duration(_) => 2,
            Self::Text(_) => 3,
            Self::Bool(_) => 4,
        }
    }
}

impl Ord for Setting {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Setting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Setting {}

impl fmt::Display for Setting {
    /// As TOML writes it: durations and names in quotes, a real always with its point or exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(x) => write!(f, "{x:?}"),
            Self::Integer(i) => write!(f, "{i}"),
            Self::Duration(span) => write!(f, "\"{}\"", short(*span)),
            Self::Text(text) => f.write_str(&toml::Value::String(text.clone()).to_string()),
            Self::Bool(on) => write!(f, "{on}"),
        }
    }
}

/// `57.16ms` for what is `57160us` exactly, but `90s` and `5m` as they are: in the longest of seconds, milliseconds and so on
/// where more than three digits would stand there otherwise.
fn short(span: Span) -> String {
    const PLACES: [(&str, u32); 3] = [("s", 9), ("ms", 6), ("us", 3)];
    let whole = span.to_string();
    if whole.chars().filter(char::is_ascii_digit).count() <= 3 {
        return whole;
    }
    let nanos = span.as_nanos();
    let Some((unit, places)) = PLACES.into_iter().find(|(_, places)| nanos >= 10u64.pow(*places)) else { return whole };
    let (above, below) = (nanos / 10u64.pow(places), nanos % 10u64.pow(places));
    let digits = format!("{below:0width$}", width = places as usize);
    let text = format!("{above}.{digits}").trim_end_matches('0').trim_end_matches('.').to_owned() + unit;
    // What is shown is what is deployed.
    if text.parse() == Ok(span) { text } else { whole }
}

/// A candidate: one setting for each parameter of a space, in the space's order; `None` where the parameter's condition does
/// not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Point(pub Vec<Option<Setting>>);

impl Point {
    /// The setting of parameter number `parameter`; `None` where it is inactive or there is no such parameter.
    #[must_use]
    pub fn setting(&self, parameter: usize) -> Option<&Setting> {
        self.0.get(parameter)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_as_toml() {
        for (setting, text) in [
            (Setting::Real(0.6), "0.6"),
            (Setting::Real(2.0), "2.0"),
            (Setting::Integer(-3), "-3"),
            (Setting::Duration(Span::from_secs(300)), "\"5m\""),
            (Setting::Text("all_or_none".into()), "\"all_or_none\""),
            (Setting::Text("a \"b\"".into()), "'a \"b\"'"),
            (Setting::Bool(true), "true"),
        ] {
            assert_eq!(setting.to_string(), text);
            let read: toml::Table = format!("x = {setting}").parse().unwrap();
            assert!(read.contains_key("x"));
        }
    }

    #[test]
    fn durations_read_as_a_person_writes_them() {
        let shown = |nanos: u64| Setting::Duration(Span::from_nanos(nanos)).to_string();
        assert_eq!(shown(57_160_000), "\"57.16ms\"");
        assert_eq!(shown(1_500_000_000), "\"1.5s\"");
        assert_eq!(shown(90_000_000_000), "\"90s\"");
        assert_eq!(shown(1_234_567), "\"1.234567ms\"");
        assert_eq!(shown(86_399_000_000_000), "\"86399s\"");
        for nanos in [1, 999, 1_001, 57_160_000, 123_456_789_012, 3_600_000_000_000, 3_600_000_000_001] {
            let text = shown(nanos);
            assert_eq!(text.trim_matches('"').parse(), Ok(Span::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn points_are_ordered_by_bits() {
        let point = |x: f64| Point(vec![Some(Setting::Real(x)), None]);
        assert_eq!(point(f64::NAN), point(f64::NAN));
        assert_ne!(point(0.0), point(-0.0));
        assert!(point(1.0) < point(2.0));
        assert!(Setting::Real(9.0) < Setting::Integer(1));
    }

    #[test]
    fn a_point_survives_its_own_json() {
        let point = Point(vec![
            Some(Setting::Real(0.1 + 0.2)),
            None,
            Some(Setting::Duration(Span::from_nanos(1_500))),
            Some(Setting::Text("x".into())),
        ]);
        let text = serde_json::to_string(&point).unwrap();
        assert_eq!(serde_json::from_str::<Point>(&text).unwrap(), point);
    }
}

//! What stands in one place of a row, whatever the file's shape.

use std::borrow::Cow;

use serde_json::{Map as Object, Value};

use super::error::{About, RowProblem, excerpt, excerpt_of};
use super::map::TimeKind;
use super::number::{date_ns, decimal_ns, float_ns, tokens};
use super::record::Key;

/// One value of a row.
#[derive(Copy, Clone, Debug)]
pub(super) enum Cell<'a> {
    /// Nothing is there.
    Missing,
    /// Text.
    Text(&'a [u8]),
    /// A JSON value that is not text.
    Json(&'a Value),
}

/// A row whose values are found by number, as its reader has numbered the columns of the map.
pub(super) trait Cells {
    /// The value of column `at`.
    fn cell(&self, at: usize) -> Cell<'_>;
}

impl<'a> Cell<'a> {
    /// Text, unless it only says that there is none.
    pub fn of_text(text: &'a [u8]) -> Self {
        match text {
            b"" | b"-" | b"null" | b"NULL" | b"None" | b"none" | b"\\N" => Self::Missing,
            _ => Self::Text(text),
        }
    }

    /// A JSON value.
    pub fn of_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Missing,
            Value::String(text) => Self::of_text(text.trim().as_bytes()),
            _ => Self::Json(value),
        }
    }

    /// What stands at `path` in an object: under the key of that name, else inside of others: `usage.prompt_tokens`.
    pub fn at_path(object: &'a Object<String, Value>, path: &str) -> Self {
        find(object, path).map_or(Self::Missing, Self::of_json)
    }

    /// Whether nothing is there.
    pub const fn is_missing(self) -> bool {
        matches!(self, Self::Missing)
    }

    /// What a person is shown of it.
    pub fn shown(self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Text(text) => excerpt_of(text),
            Self::Json(value) => excerpt(&value.to_string()),
        }
    }

    /// As a number of tokens.
    pub fn tokens(self) -> Option<u32> {
        match self {
            Self::Text(text) => tokens(text),
            Self::Json(Value::Number(number)) => match number.as_u64() {
                Some(whole) => u32::try_from(whole).ok(),
                None => number.as_f64().and_then(whole_float),
            },
            Self::Missing | Self::Json(_) => None,
        }
    }

    /// As a time or a length of time, nanoseconds.
    pub fn nanos(self, kind: TimeKind) -> Option<i64> {
        let unit = kind.unit_ns();
        match self {
            Self::Text(text) if kind == TimeKind::Iso8601 => date_ns(text),
            Self::Text(text) => decimal_ns(text, unit),
            Self::Json(Value::Number(number)) if kind != TimeKind::Iso8601 => match number.as_i64() {
                Some(whole) => whole.checked_mul(unit),
                None => float_ns(number.as_f64()?, unit),
            },
            Self::Missing | Self::Json(_) => None,
        }
    }

    /// As a name.
    pub fn name(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Missing => None,
            Self::Text(text) => Some(String::from_utf8_lossy(text)),
            Self::Json(value) => Some(Cow::Owned(value.to_string())),
        }
    }

    /// As a key.
    pub fn key(self) -> Option<Key> {
        match self {
            Self::Missing => None,
            Self::Text(text) => Key::of(text),
            Self::Json(value) => Key::of(value.to_string().as_bytes()),
        }
    }

    /// As yes or no.
    pub fn flag(self) -> Option<bool> {
        match self {
            Self::Missing => Some(false),
            Self::Json(Value::Bool(flag)) => Some(*flag),
            Self::Text(text) if text.eq_ignore_ascii_case(b"true") || text == b"1" => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case(b"false") || text == b"0" => Some(false),
            Self::Text(_) | Self::Json(_) => None,
        }
    }

    /// What is wrong with it where something else was expected.
    pub fn wrong(self, column: &str, about: About, expected: &'static str) -> RowProblem {
        RowProblem::Value { column: Cow::Owned(column.to_owned()), text: self.shown(), expected, about }
    }
}

/// A whole number that a tool has written as a float.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked by the way back
fn whole_float(number: f64) -> Option<u32> {
    let whole = number as u32;
    (f64::from(whole).to_bits() == number.to_bits()).then_some(whole)
}

fn find<'a>(object: &'a Object<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| find(object.get(&path[..dot])?.as_object()?, &path[dot + 1..]))
}

/// What a time of this kind should look like.
pub(super) const fn time_expected(kind: TimeKind) -> &'static str {
    match kind {
        TimeKind::Seconds => "seconds, at least 0, like 12.25",
        TimeKind::Millis => "milliseconds, at least 0, like 12250",
        TimeKind::Micros => "microseconds, at least 0, like 12250000",
        TimeKind::Nanos => "nanoseconds, at least 0, like 12250000000",
        TimeKind::UnixSeconds => "seconds since 1970, like 1715299200.25",
        TimeKind::UnixMillis => "milliseconds since 1970, like 1715299200250",
        TimeKind::UnixMicros => "microseconds since 1970, like 1715299200250000",
        TimeKind::UnixNanos => "nanoseconds since 1970, like 1715299200250000000",
        TimeKind::Iso8601 => "a date and time, like 2024-05-10T00:00:00.25Z",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_by_key_and_by_path() {
        let Value::Object(object) = serde_json::json!({"a.b": 1, "a": {"b": 2, "c": {"d": "3"}, "e.f": 4}}) else {
            panic!("an object")
        };
        let tokens = |path: &str| Cell::at_path(&object, path).tokens();
        assert_eq!([tokens("a.b"), tokens("a.c.d"), tokens("a.e.f"), tokens("a.x")], [Some(1), Some(3), Some(4), None]);
    }

    #[test]
    fn json_numbers_and_text_read_alike() {
        let tokens = |value: Value| Cell::of_json(&value).tokens();
        assert_eq!(tokens(serde_json::json!(12)), Some(12));
        assert_eq!(tokens(serde_json::json!(12.0)), Some(12));
        assert_eq!(tokens(serde_json::json!("12")), Some(12));
        for wrong in [serde_json::json!(-1), serde_json::json!(2.5), serde_json::json!(1e99), serde_json::json!([1])] {
            assert_eq!(tokens(wrong), None);
        }
        let value = serde_json::json!(1_715_299_200.25);
        assert_eq!(Cell::of_json(&value).nanos(TimeKind::UnixSeconds), Some(1_715_299_200_250_000_000));
        let value = serde_json::json!("1715299200250");
        assert_eq!(Cell::of_json(&value).nanos(TimeKind::UnixMillis), Some(1_715_299_200_250_000_000));
        let value = serde_json::json!(i64::MAX);
        assert_eq!(Cell::of_json(&value).nanos(TimeKind::UnixMillis), None);
    }

    #[test]
    fn words_for_nothing_are_nothing() {
        for text in ["", "-", "null", "None", "\\N"] {
            assert!(Cell::of_text(text.as_bytes()).is_missing(), "{text}");
        }
        assert!(!Cell::of_text(b"0").is_missing());
    }
}

//! Figures as people read them: three significant digits, units stated, thousands apart. Widths count characters.

use crate::stats::Interval;

/// Characters in a line of a report.
pub const WIDTH: usize = 100;

/// What stands where there is no figure.
pub const NONE: &str = "-";

/// `12,345,678`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with about three significant digits: `0.123`, `12.3`, `1,235`, `1.23e6`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and not negative there; `as` saturates
pub fn number(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        return NONE.to_owned();
    }
    // Each bound is where the next form would round to a digit more.
    let text = match size {
        _ if size < 0.0005 && size > 0.0 => return format!("{x:.1e}"),
        _ if size < 0.9995 => format!("{size:.3}"),
        _ if size < 9.995 => format!("{size:.2}"),
        _ if size < 99.95 => format!("{size:.1}"),
        _ if size < 999_999.5 => count(size.round() as u64),
        _ => format!("{size:.2e}"),
    };
    if x < 0.0 { format!("-{text}") } else { text }
}

/// A length of time: `1.23 s`, `45.6 ms`, `789 us`.
#[must_use]
pub fn duration(secs: f64) -> String {
    let size = secs.abs();
    let (scale, unit) = match size {
        _ if size >= 0.9995 || size <= 0.0 => (1.0, "s"),
        _ if size >= 0.000_999_5 => (1e3, "ms"),
        _ => (1e6, "us"),
    };
    if size <= 0.0 { "0 s".to_owned() } else { format!("{} {unit}", number(secs * scale)) }
}

/// A length of time that may be long: `9.19 days`, `3.00 h`, `4.50 min`, and shorter ones as [`duration`] has them.
#[must_use]
pub fn long(secs: f64) -> String {
    match secs {
        _ if secs >= 172_800.0 => format!("{} days", number(secs / 86_400.0)),
        _ if secs >= 7_200.0 => format!("{} h", number(secs / 3_600.0)),
        _ if secs >= 120.0 => format!("{} min", number(secs / 60.0)),
        _ => duration(secs),
    }
}

/// A share in percent: `61.2 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", tenths(100.0 * share))
}

/// A difference of shares in percentage points: `+3.4 points`.
#[must_use]
pub fn points(difference: f64) -> String {
    let text = hundredths(100.0 * difference);
    format!("{}{text} points", if text.starts_with('-') { "" } else { "+" })
}

/// One digit after the point, two below 1, without a negative zero: for differences, the small ones of which count.
#[must_use]
pub fn hundredths(x: f64) -> String {
    if x.abs() >= 0.995 {
        return tenths(x);
    }
    let text = format!("{x:.2}");
    if text == "-0.00" { "0.00".to_owned() } else { text }
}

/// One digit after the point, without a negative zero.
#[must_use]
pub fn tenths(x: f64) -> String {
    let text = format!("{x:.1}");
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

/// Whether an interval is worth a word: where all replications agree exactly it only repeats the mean.
#[must_use]
pub fn says_something(interval: &Interval) -> bool {
    interval.hi > interval.lo
}

/// Two ends in the same form: `60.8 to 61.6`.
#[must_use]
pub fn range(interval: Interval, scale: f64, form: impl Fn(f64) -> String) -> String {
    format!("{} to {}", form(scale * interval.lo), form(scale * interval.hi))
}

/// Characters, not bytes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().count()
}

/// `text` in exactly `columns` characters, to the left; cut with an ellipsis where it is longer.
#[must_use]
pub fn left(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return format!("{text:columns$}");
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// `text` in at least `columns` characters, to the right.
#[must_use]
pub fn right(text: &str, columns: usize) -> String {
    format!("{text:>columns$}")
}

/// Breaks a paragraph into lines of at most [`WIDTH`] characters; further lines begin with two spaces.
#[must_use]
pub fn wrap(paragraph: &str) -> String {
    let mut lines = vec![String::new()];
    for word in paragraph.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.trim().is_empty() {
            line.push_str(word);
        } else if width(line) + 1 + width(word) <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!([0, 7, 999, 1_000, 1_234_567].map(count), ["0", "7", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.000_012_3, 0.123_45, 0.999_6, 1.234, 9.996, 45.67, 99.96, 1_234.5, -2.5, 1.5e9].map(number),
            ["0.000", "1.2e-5", "0.123", "1.00", "1.23", "10.0", "45.7", "100", "1,235", "-2.50", "1.50e9"]
        );
        assert_eq!(
            [0.0, 1.234, 0.0456, 0.000_789, 0.999_6, 0.000_999_6, 75.0, 1_234.0].map(duration),
            ["0 s", "1.23 s", "45.6 ms", "789 us", "1.00 s", "1.00 ms", "75.0 s", "1,234 s"]
        );
        assert_eq!([0.0, 0.6123, 1.0].map(percent), ["0.0 %", "61.2 %", "100.0 %"]);
        assert_eq!([0.034, -0.034, -0.000_01].map(points), ["+3.4 points", "-3.4 points", "+0.00 points"]);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(left("größe", 7), "größe  ");
        assert_eq!(left("warteschlange", 6), "warte…");
        assert_eq!(right("1.2 s", 7), "  1.2 s");
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_lost(words in prop::collection::vec("[a-zä,.]{1,30}", 0..80)) {
            let wrapped = wrap(&words.join(" "));
            prop_assert!(wrapped.lines().all(|line| width(line) <= WIDTH), "{}", wrapped);
            prop_assert_eq!(wrapped.split_whitespace().collect::<Vec<_>>(), words);
        }
    }
}

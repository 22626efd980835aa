//! Numbers and times as logs write them, read from bytes without allocating.

/// A whole number.
#[must_use]
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None; // 19 digits always fit
    }
    text.iter().try_fold(0u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// A number of tokens: whole, although some tools write `12.0`.
#[must_use]
pub(super) fn tokens(text: &[u8]) -> Option<u32> {
    let digits = match text.iter().position(|byte| *byte == b'.') {
        Some(point) if text[point + 1..].iter().all(|byte| *byte == b'0') => &text[..point],
        _ => text,
    };
    u32::try_from(whole(digits)?).ok()
}

/// A decimal number of units of `unit_ns` nanoseconds (1 to 10^9), in nanoseconds; what is finer than that is cut off.
#[must_use]
pub(super) fn decimal_ns(text: &[u8], unit_ns: i64) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (before, after) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    if before.is_empty() && after.is_empty() {
        return None;
    }
    let units = if before.is_empty() { Some(0) } else { whole(before) };
    match (units, fraction(after, unit_ns)) {
        (Some(units), Some(part)) => {
            let nanos = i64::try_from(units).ok()?.checked_mul(unit_ns)?.checked_add(part)?;
            Some(if negative { -nanos } else { nanos })
        }
        _ => float_ns(str::from_utf8(text).ok()?.parse().ok()?, unit_ns),
    }
}

/// The digits after a point, in nanoseconds.
fn fraction(digits: &[u8], unit_ns: i64) -> Option<i64> {
    let mut unit = unit_ns;
    let mut nanos = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        unit /= 10;
        nanos += i64::from(byte - b'0') * unit;
    }
    Some(nanos)
}

/// A float in units of `unit_ns` nanoseconds, in nanoseconds; `None` where it is not finite or too large.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // both parts are in range
pub(super) fn float_ns(units: f64, unit_ns: i64) -> Option<i64> {
    let whole = libm::trunc(units);
    let fits = whole.abs() < 9.2e18 / unit_ns as f64; // false for NaN too
    if !fits {
        return None;
    }
    // Apart, so that the whole part of a time since 1970 does not take the digits of the other.
    let part = libm::round((units - whole) * unit_ns as f64) as i64;
    (whole as i64).checked_mul(unit_ns)?.checked_add(part)
}

/// A date and time of day, in nanoseconds since 1970: `2024-05-10T00:00:00Z`, `2024-05-10 00:00:00.009930+00:00`,
/// `2023-11-16 18:17:03.9799600` (any number of digits after the point; no zone: UTC).
#[must_use]
pub(super) fn date_ns(text: &[u8]) -> Option<i64> {
    if text.len() < 19 || text[4] != b'-' || text[7] != b'-' || text[13] != b':' || text[16] != b':' {
        return None;
    }
    if !matches!(text[10], b' ' | b'T' | b't') {
        return None;
    }
    let part = |from: usize, to: usize| whole(&text[from..to]).and_then(|number| i64::try_from(number).ok());
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    // A leap second is the first one of the next minute, as on most servers.
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = &text[19..];
    let mut nanos = 0;
    if let [b'.' | b',', digits @ ..] = rest {
        let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        nanos = fraction(&digits[..end], 1_000_000_000)?;
        rest = &digits[end..];
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone_seconds(rest)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// How far a zone is ahead of UTC, seconds.
fn zone_seconds(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let (sign, digits) = match text {
        b"" | b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [a, b] => (whole(&[*a, *b])?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (whole(&[*a, *b])?, whole(&[*c, *d])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::try_from(hours * 3_600 + minutes * 60).unwrap_or(0))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from March 1 of year 0 to 1970-01-01.
const MARCH_1_OF_YEAR_0: i64 = 719_468;

/// Days from 1970-01-01 to a date of the Gregorian calendar (the years counted from March, so that a leap day comes last).
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 153 days are five months from March, or from August, on.
    let in_year = (153 * month + 2) / 5 + day - 1;
    365 * year + leap_days + in_year - MARCH_1_OF_YEAR_0
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;

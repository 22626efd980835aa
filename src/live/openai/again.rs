//! When to come back: `Retry-After`, and what `OpenAI` sends beside it for who can count in parts of a second.

use hyper::header::{HeaderMap, HeaderName, RETRY_AFTER};

use crate::time::Span;

/// Milliseconds; `OpenAI`'s own clients heed it before `Retry-After`.
const MILLISECONDS: HeaderName = HeaderName::from_static("retry-after-ms");
/// Longest wait that is believed: a day, seconds.
const LONGEST_S: f64 = 86_400.0;

/// How long to wait, as headers say: `retry-after-ms`, or `Retry-After` in seconds (a date is not read).
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let number = |name: &HeaderName| {
        let said: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        (said >= 0.0 && said.is_finite()).then_some(said)
    };
    let seconds = number(&MILLISECONDS).map(|ms| ms / 1000.0).or_else(|| number(&RETRY_AFTER))?;
    Some(Span::from_secs_f64(seconds.min(LONGEST_S)))
}

/// Seconds for a `Retry-After` header, which has no parts of seconds: rounded up, so that nobody comes back too early.
#[must_use]
pub const fn whole_seconds(span: Span) -> u64 {
    span.as_nanos().div_ceil(1_000_000_000)
}

/// Says it both ways, in milliseconds rounded up too.
pub fn say_retry_after(headers: &mut HeaderMap, wait: Span) {
    headers.insert(RETRY_AFTER, whole_seconds(wait).into());
    headers.insert(MILLISECONDS, wait.as_nanos().div_ceil(1_000_000).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &[(&'static str, &'static str)]) -> Option<Span> {
        retry_after(&list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("ASCII"))).collect())
    }

    #[test]
    fn seconds_and_milliseconds_are_read_and_bounded() {
        assert_eq!(read(&[("retry-after", " 7 ")]), Some(Span::from_secs(7)));
        assert_eq!(read(&[("retry-after", "7"), ("retry-after-ms", "1500")]), Some(Span::from_millis(1500)));
        assert_eq!(read(&[("retry-after", "7"), ("retry-after-ms", "soon")]), Some(Span::from_secs(7)));
        assert_eq!(read(&[("retry-after", "99999999999999999")]), Some(Span::from_secs(86_400)));
        for none in ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-1", "NaN", "inf", ""] {
            assert_eq!(read(&[("retry-after", none)]), None, "{none}");
        }
    }

    #[test]
    fn what_is_said_is_read_to_the_millisecond_and_never_early() {
        let mut headers = HeaderMap::new();
        say_retry_after(&mut headers, Span::from_nanos(300_000_001));
        assert_eq!((headers[RETRY_AFTER].as_bytes(), headers[MILLISECONDS].as_bytes()), (&b"1"[..], &b"301"[..]));
        assert_eq!(retry_after(&headers), Some(Span::from_millis(301)));
    }
}

//! Which try of its request a client says that this is.

use hyper::header::HeaderMap;

/// Where clients say it, and what the number counts: retries so far, or attempts.
const HEADERS: [(&str, Counts); 3] = [
    // The SDKs of OpenAI and Anthropic, and all that Stainless makes.
    ("x-stainless-retry-count", Counts::Retries),
    // Envoy, in front of us.
    ("x-envoy-attempt-count", Counts::Attempts),
    // The SDKs of AWS: `attempt=2; max=3`.
    ("amz-sdk-request", Counts::Named),
];

#[derive(Copy, Clone)]
enum Counts {
    Retries,
    Attempts,
    Named,
}

/// The attempt's number: 1 for the first try, and where nothing is said.
#[must_use]
pub fn attempt_number(headers: &HeaderMap) -> u16 {
    let said = HEADERS.iter().find_map(|(name, counts)| {
        let text = headers.get(*name)?.to_str().ok()?.trim();
        let number = |text: &str| text.parse::<u16>().ok();
        match counts {
            Counts::Retries => Some(number(text)?.saturating_add(1)),
            Counts::Attempts => number(text),
            Counts::Named => text.split(';').find_map(|part| number(part.trim().strip_prefix("attempt=")?)),
        }
    });
    said.unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn each_header_in_its_own_count() {
        let number = |name: &'static str, value: &'static str| {
            attempt_number(&[(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect())
        };
        assert_eq!(number("x-stainless-retry-count", "2"), 3);
        assert_eq!(number("x-stainless-retry-count", "0"), 1);
        assert_eq!(number("x-envoy-attempt-count", "2"), 2);
        assert_eq!(number("x-envoy-attempt-count", "0"), 1);
        assert_eq!(number("amz-sdk-request", "attempt=2; max=3"), 2);
        assert_eq!(number("x-stainless-retry-count", "65535"), u16::MAX);
        assert_eq!(number("x-stainless-retry-count", "many"), 1);
        assert_eq!(attempt_number(&HeaderMap::new()), 1);
    }
}

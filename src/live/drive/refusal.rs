//! What an error on the wire is to the client that gets it.

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;

use crate::live::openai::{ApiError, Code, cause_of};
use crate::request::{Cause, Reason, Refusal, RefusalKind};
use crate::time::Span;

/// The refusal behind an answer with status `status`, or behind an error event in a stream, whose own status is then taken. A
/// gateway of ours says its reason in the error's code; of any other server the status is all that is known.
#[must_use]
pub fn refusal(status: u16, headers: Option<&HeaderMap>, error: Option<&ApiError>) -> Refusal {
    let own = error.and_then(|error| match &error.code {
        Some(Code::Word(word)) => kind_of(word),
        _ => None,
    });
    let status = if status == 200 { error.and_then(ApiError::status).unwrap_or(500) } else { status };
    let kind = own.unwrap_or_else(|| RefusalKind::Upstream(cause_of(status)));
    Refusal { status, kind, retry_after: headers.and_then(retry_after), figures: None }
}

/// A connection that broke, or from which nothing came any more.
#[must_use]
pub(super) fn broken(cause: Cause) -> Refusal {
    let status = if cause == Cause::Idle { 504 } else { 502 };
    Refusal { status, kind: RefusalKind::Upstream(cause), retry_after: None, figures: None }
}

fn kind_of(word: &str) -> Option<RefusalKind> {
    if word == "timed_out" {
        return Some(RefusalKind::TimedOut);
    }
    let reason = Reason::ALL.into_iter().find(|reason| reason.name() == word).map(RefusalKind::Rejected);
    let cause = || Cause::ALL.into_iter().find(|cause| cause.name() == word).map(RefusalKind::Upstream);
    reason.or_else(cause)
}

/// Seconds, as all servers that are met here write it; a date is not understood.
fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(|seconds: u32| Span::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_own_word_comes_before_the_status() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "3".parse().expect("a header"));
        for reason in Reason::ALL {
            let kind = RefusalKind::Rejected(reason);
            let said = Refusal { status: 503, kind, retry_after: Some(Span::from_secs(3)), figures: None };
            let error = ApiError::read(&ApiError::of_refusal(&said).body()).expect("an error");
            // Two causes and reasons share a name: both are refusals for load.
            assert_eq!(refusal(503, Some(&headers), Some(&error)), said);
        }
        let error = ApiError::read(br#"{"error":{"message":"x","code":503}}"#).expect("an error");
        assert_eq!(refusal(200, None, Some(&error)).kind, RefusalKind::Upstream(Cause::Overloaded));
        assert_eq!(refusal(200, None, Some(&error)).status, 503);
        assert_eq!(refusal(429, None, None).kind, RefusalKind::Upstream(Cause::RateLimited));
        let quiet = ApiError::read(br#"{"error":"oh"}"#).expect("an error");
        assert_eq!(refusal(200, None, Some(&quiet)).kind, RefusalKind::Upstream(Cause::Server));
    }
}

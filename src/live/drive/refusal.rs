//! What a refused or broken attempt means to the client that made it.

use crate::live::openai::{ApiError, Code, cause_of};
use crate::request::{Cause, Reason, Refusal, RefusalKind};
use crate::time::Span;

/// An attempt that was answered with an error: by a gateway of ours, whose codes say which of its reasons it was, or by the
/// server.
pub(super) fn refused(status: u16, error: Option<&ApiError>, retry_after: Option<Span>) -> Refusal {
    // An error inside a stream stands under a status that was sent before it.
    let status = if status < 400 { error.and_then(ApiError::status).unwrap_or(500) } else { status };
    let kind = error.and_then(of_code).unwrap_or_else(|| RefusalKind::Upstream(cause_of(status)));
    Refusal { status, kind, retry_after, figures: None }
}

/// An attempt that was not answered.
pub(super) const fn failed(cause: Cause) -> Refusal {
    let status = if matches!(cause, Cause::Idle) { 504 } else { 502 };
    Refusal { status, kind: RefusalKind::Upstream(cause), retry_after: None, figures: None }
}

/// Which of a gateway's refusals a code names.
fn of_code(error: &ApiError) -> Option<RefusalKind> {
    let Some(Code::Word(word)) = &error.code else { return None };
    let reason = Reason::ALL.into_iter().find(|reason| reason.name() == word).map(RefusalKind::Rejected);
    let cause = || Cause::ALL.into_iter().find(|cause| cause.name() == word).map(RefusalKind::Upstream);
    reason.or_else(|| (word == "timed_out").then_some(RefusalKind::TimedOut)).or_else(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> RefusalKind {
        refused(status, ApiError::read(body.as_bytes()).as_ref(), None).kind
    }

    #[test]
    fn a_gateways_reasons_come_back_and_a_servers_are_causes() {
        for reason in Reason::ALL {
            let refusal = Refusal { status: 503, kind: RefusalKind::Rejected(reason), retry_after: None, figures: None };
            let body = ApiError::of_refusal(&refusal).body();
            assert_eq!(refused(503, ApiError::read(&body).as_ref(), None).kind, refusal.kind);
        }
        assert_eq!(kind(504, r#"{"error":{"code":"timed_out"}}"#), RefusalKind::TimedOut);
        assert_eq!(kind(504, r#"{"error":{"code":"idle"}}"#), RefusalKind::Upstream(Cause::Idle));
        assert_eq!(kind(503, r#"{"error":{"code":503}}"#), RefusalKind::Upstream(Cause::Overloaded));
        assert_eq!(kind(429, "slow down"), RefusalKind::Upstream(Cause::RateLimited));
        assert_eq!(kind(500, "<html>"), RefusalKind::Upstream(Cause::Server));
    }

    #[test]
    fn an_error_inside_a_stream_has_the_status_of_its_code() {
        let error = ApiError::read(br#"{"error":{"message":"full","code":503}}"#);
        let refusal = refused(200, error.as_ref(), None);
        assert_eq!((refusal.status, refusal.kind), (503, RefusalKind::Upstream(Cause::Overloaded)));
    }
}

//! The error shape, `{"error": {"message", "type", "param", "code"}}`: written from a refusal, read from a body or an event.
//!
//! OpenAI's `code` is a word or null, vLLM's the HTTP status as a number; other servers send the status as text, or the whole
//! error as one text. All of them are read.

use serde::Serialize;
use serde_json::Value;

use super::again::whole_seconds;
use crate::request::{Cause, Figures, Reason, Refusal, RefusalKind};
use crate::time::Span;

/// An error as it is said to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiError {
    /// For people.
    pub message: String,
    /// The kind, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which part of the request is wrong, if one is.
    pub param: Option<String>,
    /// For programs.
    pub code: Option<Code>,
}

/// An error's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Code {
    /// An HTTP status, as vLLM writes it.
    Status(u16),
    /// A word, as OpenAI writes it.
    Word(String),
}

impl ApiError {
    /// An error with OpenAI's word for the kind that belongs to an HTTP status.
    #[must_use]
    pub fn new(status: u16, code: Code, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: kind_of(status).to_owned(), param: None, code: Some(code) }
    }

    /// What a gateway says of its refusal: in words, with the reason's name as the code.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal) -> Self {
        let code = match refusal.kind {
            RefusalKind::Rejected(reason) => reason.name(),
            RefusalKind::TimedOut => "timed_out",
            RefusalKind::Upstream(cause) => cause.name(),
        };
        Self::new(refusal.status, Code::Word(code.to_owned()), refusal_words(refusal))
    }

    /// The whole body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a ApiError,
        }
        serde_json::to_vec(&Envelope { error: self }).expect("texts and numbers can be written")
    }

    /// The error in a body, if it holds one: the shape above, an error that is one text, or vLLM's older shape without the
    /// outer object.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        match value.get("error") {
            Some(error) => Self::of_value(error),
            None => value.get("object").filter(|object| *object == "error").and_then(|_| Self::of_value(&value)),
        }
    }

    /// The error that stands for `error` in a body; `None` for null.
    pub(super) fn of_value(error: &Value) -> Option<Self> {
        let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
        match error {
            Value::Null => None,
            Value::Object(_) => Some(Self {
                message: text("message").unwrap_or_default(),
                kind: text("type").unwrap_or_default(),
                param: text("param"),
                code: error.get("code").and_then(Code::of_value),
            }),
            Value::String(message) => Some(Self { message: message.clone(), kind: String::new(), param: None, code: None }),
            other => Some(Self { message: other.to_string(), kind: String::new(), param: None, code: None }),
        }
    }

    /// The HTTP status that it stands for, by its code or else its kind, if either says so.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let by_code = match &self.code {
            Some(Code::Status(status)) => Some(*status),
            Some(Code::Word(word)) => status_of_word(word),
            None => None,
        };
        by_code.or_else(|| status_of_word(&self.kind))
    }

    /// How a call failed that was answered so inside a stream, where no status line can say it: an error that does not say
    /// more is the server's.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.status().map_or(Cause::Server, cause_of)
    }
}

impl Code {
    fn of_value(value: &Value) -> Option<Self> {
        let status = |number: u64| u16::try_from(number).ok().filter(|status| (100..600).contains(status));
        match value {
            Value::Number(number) => number.as_u64().and_then(status).map(Self::Status),
            Value::String(text) => {
                Some(text.parse().ok().and_then(status).map_or_else(|| Self::Word(text.clone()), Self::Status))
            }
            _ => None,
        }
    }
}

/// How an upstream failed a call that it answered with this HTTP status.
#[must_use]
pub const fn cause_of(status: u16) -> Cause {
    match status {
        429 => Cause::RateLimited,
        503 => Cause::Overloaded,
        400..=499 => Cause::BadRequest,
        _ => Cause::Server,
    }
}

/// OpenAI's kinds by status (its Python SDK and API reference, "Error codes").
const fn kind_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "authentication_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The status that a code or a kind in words stands for: OpenAI's, and the names of Python's HTTP errors that vLLM writes.
fn status_of_word(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_request_error" | "BadRequestError" | "context_length_exceeded" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "not_found_error" | "NotFoundError" | "model_not_found" => 404,
        "rate_limit_error" | "rate_limit_exceeded" | "RateLimitError" | "insufficient_quota" => 429,
        "server_error" | "internal_server_error" | "InternalServerError" => 500,
        "overloaded_error" | "service_unavailable" | "ServiceUnavailableError" => 503,
        _ => return None,
    })
}

/// A refusal in words for the client.
#[must_use]
pub fn refusal_words(refusal: &Refusal) -> String {
    let what = match refusal.kind {
        RefusalKind::Rejected(reason) => reason_words(reason),
        RefusalKind::TimedOut => "The request ran out of time",
        RefusalKind::Upstream(cause) => cause_words(cause),
    };
    let figures =
        |figures: Figures| format!(": it needs {} tokens, and there are never more than {}", figures.needs, figures.limit);
    let retry = |after: Span| format!("; try again in {} s", whole_seconds(after));
    format!("{what}{}{}", refusal.figures.map(figures).unwrap_or_default(), refusal.retry_after.map(retry).unwrap_or_default())
}

/// The first two are seed 000's own words.
const fn reason_words(reason: Reason) -> &'static str {
    match reason {
        Reason::FullCapacity => "Server at full capacity",
        Reason::HighCapacity => "Server at high capacity",
        Reason::QueueFull => "The queue is full",
        Reason::QueueTokens => "The queue holds as many tokens as it may",
        Reason::Codel => "The queue is overloaded",
        Reason::Deadline => "The request could not be served before its deadline",
        Reason::Draining => "The server is shutting down",
        Reason::UpstreamFull => "The model server is at capacity",
        Reason::UpstreamRate => "The model server's rate limit is reached",
        Reason::OverBudget => "The request is larger than the token budget",
        Reason::ProxyCircuitOpen => "No proxy that this request allows is available",
        Reason::Throttled => "Throttled while the model server refuses requests",
        Reason::RateLimited => "Too many requests",
        Reason::Saturated => "The model server is saturated",
    }
}

const fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Overloaded => "The model server is overloaded",
        Cause::BadRequest => "The model server cannot serve this request",
        Cause::Server => "The model server failed",
        Cause::Connection => "The connection to the model server broke",
        Cause::Idle => "The model server stopped answering",
        Cause::RateLimited => "The model server's rate limit is reached",
        Cause::Proxy => "The proxy to the model server could not be reached",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_why_and_when() {
        let refusal = Refusal {
            status: 503,
            kind: RefusalKind::Rejected(Reason::HighCapacity),
            retry_after: Some(Span::from_millis(2001)),
            figures: None,
        };
        let body = String::from_utf8(ApiError::of_refusal(&refusal).body()).expect("JSON is UTF-8");
        let expected = r#"{"error":{"message":"Server at high capacity; try again in 3 s","type":"server_error","param":null,"code":"high_capacity"}}"#;
        assert_eq!(body, expected);
        let refusal = Refusal {
            status: 413,
            kind: RefusalKind::Rejected(Reason::OverBudget),
            retry_after: None,
            figures: Some(Figures { needs: 9, limit: 5 }),
        };
        let error = ApiError::of_refusal(&refusal);
        assert_eq!(error.kind, "invalid_request_error");
        assert!(error.message.ends_with("it needs 9 tokens, and there are never more than 5"), "{}", error.message);
    }

    #[test]
    fn every_servers_shape_is_read() {
        for (body, message, status) in [
            (r#"{"error":{"message":"full","type":"x","param":null,"code":503}}"#, "full", Some(503)),
            (r#"{"error":{"message":"full","code":"429"}}"#, "full", Some(429)),
            (r#"{"error":{"message":"slow","type":"rate_limit_error","code":"slow_down"}}"#, "slow", Some(429)),
            (r#"{"object":"error","message":"old","type":"NotFoundError","param":null,"code":404}"#, "old", Some(404)),
            (r#"{"error":"just a text"}"#, "just a text", None),
            (r#"{"error":{"code":true}}"#, "", None),
            (r#"{"error":[1]}"#, "[1]", None),
        ] {
            let error = ApiError::read(body.as_bytes()).expect(body);
            assert_eq!((error.message.as_str(), error.status()), (message, status), "{body}");
        }
        for body in ["", "nothing", "{}", r#"{"error":null}"#, r#"{"object":"list"}"#, "[]"] {
            assert_eq!(ApiError::read(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for code in [Code::Status(503), Code::Word("queue_full".to_owned())] {
            let error = ApiError { param: Some("model".to_owned()), ..ApiError::new(404, code, "a \"quoted\" word") };
            assert_eq!(ApiError::read(&error.body()), Some(error));
        }
    }

    #[test]
    fn an_error_that_says_nothing_is_the_servers() {
        assert_eq!(ApiError::read(b"{\"error\":{}}").expect("an error").cause(), Cause::Server);
        assert_eq!([400, 404, 429, 500, 502, 503, 504].map(cause_of), {
            use Cause::{BadRequest, Overloaded, RateLimited, Server};
            [BadRequest, BadRequest, RateLimited, Server, Server, Overloaded, Server]
        });
    }
}

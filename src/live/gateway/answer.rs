//! What goes back to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};

use super::relay::Relay;
use crate::live::http::Leased;
use crate::live::openai::{ApiError, Code, say_retry_after};
use crate::policy::Refusal;

/// The body of an answer.
#[derive(Debug)]
pub enum Answer {
    /// All of it, until it is sent.
    Whole(Option<Bytes>),
    /// An upstream's answer to an attempt, as it comes.
    Relay(Box<Relay>),
    /// An upstream's answer to what no policy decides about.
    Passing(Leased),
}

/// Why an answer ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The upstream's connection broke.
    #[error("the upstream broke off: {0}")]
    Upstream(#[from] hyper::Error),
    /// The policies cut it, or its upstream did.
    #[error("cut: {0}")]
    Cut(String),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relay(relay) => relay.poll_bytes(cx).map(|next| next.map(|bytes| bytes.map(Frame::data))),
            Self::Passing(body) => Pin::new(body).poll_frame(cx).map_err(Broken::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Relay(_) => false,
            Self::Passing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relay(_) => SizeHint::default(),
            Self::Passing(body) => body.size_hint(),
        }
    }
}

/// A whole answer of our own.
#[must_use]
pub fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Answer> {
    let bytes: Bytes = body.into();
    let mut response = Response::new(Answer::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An error of our own.
#[must_use]
pub fn error(status: StatusCode, code: &str, message: impl Into<String>) -> Response<Answer> {
    let error = ApiError::new(status.as_u16(), Code::Word(code.to_owned()), message);
    whole(status, "application/json", error.body())
}

/// A refusal, in the words of the interface; of an upstream's own with what the upstream said.
#[must_use]
pub fn refusal(refusal: &Refusal, said: Option<(Parts, Bytes)>) -> Response<Answer> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match said {
        Some((head, body)) => {
            let own = if head.status.is_success() { status } else { head.status };
            let mut response = Response::from_parts(head, Answer::Whole(Some(body).filter(|body| !body.is_empty())));
            *response.status_mut() = own;
            response.headers_mut().remove(header::CONTENT_LENGTH);
            end_to_end(response.headers_mut());
            response
        }
        None => whole(status, "application/json", ApiError::of_refusal(refusal).body()),
    };
    if let Some(after) = refusal.retry_after {
        say_retry_after(response.headers_mut(), after);
    }
    response
}

/// Headers that are about one connection and not about what passes over it (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Leaves only headers that may pass on.
pub fn end_to_end(headers: &mut HeaderMap) {
    if let Some(named) = headers.get(header::CONNECTION) {
        let text = named.to_str().unwrap_or_default().to_owned();
        for name in text.split(',').filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()) {
            headers.remove(name);
        }
    }
    // Most heads have none: looking at the names is cheaper than asking for each.
    let found = |headers: &HeaderMap| headers.keys().find(|name| HOP_BY_HOP.contains(name)).cloned();
    while let Some(name) = found(headers) {
        headers.remove(name);
    }
}

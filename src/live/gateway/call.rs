//! One call upstream, until its answer begins: what the policies want to know of it is found out before the client sees a byte.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use hyper::{Request, Response};
use tokio::time::timeout;

use super::stream::{Reading, Stream};
use crate::live::http::{Leased, Payload, Pool, PoolTerms, SendError};
use crate::live::openai::{ApiError, Stop, WholeAnswer, cause_of, retry_after};
use crate::policy::{CallEnd, Finish};
use crate::request::{Cause, RateHeader, RateHeaders};
use crate::time::Span;

/// How a call is made.
#[derive(Debug)]
pub struct Asking {
    /// By which connections.
    pub pool: Arc<Pool>,
    /// How they are made.
    pub terms: PoolTerms,
    /// How its answer is read, if it streams.
    pub reading: Reading,
    /// Longest wait for the answer to begin.
    pub first_byte: Option<Duration>,
    /// Largest answer that is kept until it is whole, bytes.
    pub whole_max: usize,
}

/// What came of it.
#[derive(Debug)]
pub enum Opened {
    /// An answer that has begun.
    Stream {
        /// Its head.
        head: Parts,
        /// The rest.
        stream: Box<Stream>,
    },
    /// A whole answer.
    Whole {
        /// Its head.
        head: Parts,
        /// All of it.
        body: Bytes,
        /// How it ended.
        end: CallEnd,
    },
    /// None.
    Failed {
        /// How.
        end: CallEnd,
        /// What the upstream said, if it said something.
        said: Option<(Parts, Bytes)>,
        /// The same for people.
        why: String,
    },
}

impl Opened {
    /// What the answer's headers say of the provider's limits.
    #[must_use]
    pub fn limits(&self) -> Option<RateHeaders> {
        match self {
            Self::Stream { head, .. } | Self::Whole { head, .. } | Self::Failed { said: Some((head, _)), .. } => {
                rate_headers(&head.headers)
            }
            Self::Failed { said: None, .. } => None,
        }
    }

    fn failed(cause: Cause, why: impl Into<String>) -> Self {
        Self::Failed { end: CallEnd::Failed { cause, retry_after: None }, said: None, why: why.into() }
    }
}

/// Largest body of a refusal that is read, bytes.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

impl Asking {
    /// Makes the call.
    pub async fn open(self, request: Request<Payload>) -> Opened {
        let Some(limit) = self.first_byte else { return self.ask(request).await };
        let late = |_| Opened::failed(Cause::Idle, format!("no answer within {} s", limit.as_secs_f64()));
        timeout(limit, self.ask(request)).await.unwrap_or_else(late)
    }

    async fn ask(self, request: Request<Payload>) -> Opened {
        match self.pool.send(request, self.terms).await {
            Err(why @ (SendError::Connect { .. } | SendError::Lost { .. })) => {
                Opened::failed(Cause::Connection, why.to_string())
            }
            Ok(response) if response.status().is_success() => self.read(response).await,
            Ok(response) => refused(response, self.reading.idle).await,
        }
    }

    async fn read(self, response: Response<Leased>) -> Opened {
        let (head, body) = response.into_parts();
        let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if kind.starts_with(b"text/event-stream") {
            return begin(head, Stream::new(body, self.reading)).await;
        }
        let raw = Reading { events: false, ..self.reading };
        if !kind.starts_with(b"application/json") || body.size_hint().lower() > self.whole_max as u64 {
            return begin(head, Stream::new(body, raw)).await;
        }
        match collect(body, self.whole_max, self.reading.idle).await {
            Ok(Collected::Whole(bytes)) => whole(head, bytes),
            Ok(Collected::TooMuch(bytes, rest)) => {
                let mut stream = Stream::new(rest, raw);
                stream.put_back(bytes);
                Opened::Stream { head, stream: Box::new(stream) }
            }
            Err(cause) => Opened::failed(cause, "the answer broke off"),
        }
    }
}

async fn begin(head: Parts, mut stream: Stream) -> Opened {
    match std::future::poll_fn(|cx| stream.poll_begin(cx)).await {
        None => Opened::Stream { head, stream: Box::new(stream) },
        Some(end) => {
            let said = stream.error().map(|error| (without_length(head), error.body().into()));
            let why =
                stream.error().map_or_else(|| "the stream ended without an answer".to_owned(), |error| error.message.clone());
            Opened::Failed { end, said, why }
        }
    }
}

/// A head for a body of our own, in JSON.
fn without_length(mut head: Parts) -> Parts {
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head
}

fn whole(head: Parts, body: Bytes) -> Opened {
    let ok = |usage, finish| CallEnd::Ok { usage, finish };
    let end = match WholeAnswer::read(&body) {
        WholeAnswer::Ok { usage, finish } => match finish.map_or(Some(Finish::Stop), Stop::finish) {
            Some(finish) => ok(usage, finish),
            None => return Opened::failed(Cause::Overloaded, "the server gave the request up"),
        },
        WholeAnswer::Error(error) => {
            let end = CallEnd::Failed { cause: error.cause(), retry_after: None };
            return Opened::Failed { end, why: error.message.clone(), said: Some((without_length(head), body)) };
        }
        WholeAnswer::Unknown => ok(None, Finish::Stop),
    };
    Opened::Whole { head, body, end }
}

async fn refused(response: Response<Leased>, idle: Duration) -> Opened {
    let (head, body) = response.into_parts();
    let end = CallEnd::Failed { cause: cause_of(head.status.as_u16()), retry_after: retry_after(&head.headers) };
    let body = match collect(body, REFUSAL_BYTES_MAX, idle).await {
        Ok(Collected::Whole(bytes)) => bytes,
        Ok(Collected::TooMuch(..)) | Err(_) => Bytes::new(),
    };
    let message = ApiError::read(&body).map_or_else(String::new, |error| format!(": {}", error.message));
    let why = format!("the upstream answered {}{message}", head.status);
    Opened::Failed { end, said: Some((head, body)), why }
}

/// What was read of a body.
pub enum Collected<B> {
    /// All.
    Whole(Bytes),
    /// More than may be kept, and where the rest comes from.
    TooMuch(Bytes, B),
}

/// Reads a body to its end, up to `max` bytes; no pause in it may be longer than `idle`.
///
/// # Errors
/// How it broke off.
pub async fn collect<B>(mut body: B, max: usize, idle: Duration) -> Result<Collected<B>, Cause>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx));
        match timeout(idle, frame).await {
            Err(_) => return Err(Cause::Idle),
            Ok(None) => return Ok(Collected::Whole(first.unwrap_or_else(|| all.freeze()))),
            Ok(Some(Err(_))) => return Err(Cause::Connection),
            Ok(Some(Ok(frame))) => {
                let Ok(bytes) = frame.into_data() else { continue };
                // Most bodies come in one piece, which need not be copied.
                if first.is_none() && all.is_empty() {
                    first = Some(bytes);
                } else {
                    all.extend_from_slice(&first.take().unwrap_or_default());
                    all.extend_from_slice(&bytes);
                }
            }
        }
        let read = first.as_ref().map_or(all.len(), Bytes::len);
        if read > max {
            return Ok(Collected::TooMuch(first.unwrap_or_else(|| all.freeze()), body));
        }
    }
}

/// OpenAI's `x-ratelimit-{limit,remaining,reset}-{tokens,requests}`.
#[must_use]
pub fn rate_headers(headers: &HeaderMap) -> Option<RateHeaders> {
    const FIRST: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
    const SECOND: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
    let text = |what: &str, of: &str| headers.get(format!("x-ratelimit-{what}-{of}"))?.to_str().ok();
    let one = |of: &str| {
        let remaining = text("remaining", of)?.trim().parse().ok()?;
        let limit = text("limit", of).and_then(|limit| limit.trim().parse().ok()).unwrap_or(0);
        let reset = text("reset", of).and_then(go_duration).unwrap_or(Span::ZERO);
        Some(RateHeader { limit, remaining, reset })
    };
    if !headers.contains_key(FIRST) && !headers.contains_key(SECOND) {
        return None; // nearly every server
    }
    let limits = RateHeaders { tokens: one("tokens"), requests: one("requests") };
    (limits.tokens.is_some() || limits.requests.is_some()).then_some(limits)
}

/// `6m0s`, `1.5s`, `12ms` as Go writes them, and plain seconds.
fn go_duration(text: &str) -> Option<Span> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds >= 0.0 && seconds.is_finite()).then(|| Span::from_secs_f64(seconds));
    }
    let mut rest = text.trim();
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        sum += number
            * match &rest[digits..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(Span::from_secs_f64(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_provider_says_what_is_left() {
        let said = rate_headers(&headers(&[
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "1200"),
            ("x-ratelimit-reset-tokens", "1m12.5s"),
        ]));
        let tokens = RateHeader { limit: 30_000, remaining: 1_200, reset: Span::from_millis(72_500) };
        assert_eq!(said, Some(RateHeaders { tokens: Some(tokens), requests: None }));
        assert_eq!(rate_headers(&headers(&[("retry-after", "7")])), None);
    }

    #[test]
    fn no_text_is_a_duration_by_mistake() {
        for (text, span) in [("6m0s", Some(360_000)), ("12ms", Some(12)), ("2", Some(2_000)), ("1h1s", Some(3_601_000))] {
            assert_eq!(go_duration(text), span.map(Span::from_millis), "{text}");
        }
        for text in ["", "x", "5q", "s", "1.2.3s", "-1", "NaN", "inf"] {
            assert!(go_duration(text).is_none_or(|span| span == Span::ZERO), "{text}");
        }
    }
}

//! One attempt over HTTP: sent, read to its end, and told of as it goes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{HeaderMap, Request as HttpRequest, Response};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::refusal::{broken, refusal};
use super::wire::{DEADLINE_HEADER, INPUT_ESTIMATE_HEADER, MAX_TOKENS_HEADER, Wire};
use crate::live::clock::Clock;
use crate::live::emulate::{CLASS_HEADER, PREFIX_HEADER};
use crate::live::http::{Leased, Payload, Pool, PoolTerms};
use crate::live::openai::{ApiError, Event, Frame, Frames};
use crate::policy::Usage;
use crate::request::{AttemptId, Cause, Refusal, Request};
use crate::time::Time;

/// Something that was seen of an attempt.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Seen {
    /// Of which attempt.
    pub attempt: AttemptId,
    /// When it was seen.
    pub at: Time,
    /// What.
    pub kind: SeenKind,
}

/// What was seen.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum SeenKind {
    /// It is written and goes out now.
    Sent,
    /// A token has come.
    Token,
    /// It is over.
    Ended(Ended),
}

/// How an attempt ended.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Ended {
    /// The answer is complete.
    Complete {
        /// Its length, tokens: by its usage, else by its chunks.
        output_tokens: u32,
        /// Whether it is shorter than what was asked for: a gateway lowered its limit.
        degraded: bool,
    },
    /// It was refused, or it failed.
    Refused(Refusal),
}

/// What all attempts have in common.
#[derive(Debug)]
pub(super) struct Way {
    pub pool: Arc<Pool>,
    pub terms: PoolTerms,
    pub wire: Wire,
    /// The classes' names, as headers' values.
    pub classes: Vec<HeaderValue>,
    pub idle: Duration,
    pub clock: Clock,
    pub seen: mpsc::UnboundedSender<Seen>,
}

/// An attempt to be made.
#[derive(Copy, Clone, Debug)]
pub(super) struct Trial {
    pub attempt: AttemptId,
    pub number: u16,
    pub deadline: Option<Time>,
    pub request: Request,
}

impl Way {
    /// Makes an attempt. Dropped before its end it closes its connection: its client has left.
    pub async fn make(self: Arc<Self>, trial: Trial) {
        let request = self.written(&trial);
        self.tell(&trial, SeenKind::Sent);
        let ended = match timeout(self.idle, self.pool.send(request, self.terms)).await {
            Err(_) => Ended::Refused(broken(Cause::Idle)),
            Ok(Err(_)) => Ended::Refused(broken(Cause::Connection)),
            Ok(Ok(response)) => self.read(&trial, response).await.unwrap_or_else(Ended::Refused),
        };
        self.tell(&trial, SeenKind::Ended(ended));
    }

    fn tell(&self, trial: &Trial, kind: SeenKind) {
        // Nobody listens any more where the run has ended.
        let _ = self.seen.send(Seen { attempt: trial.attempt, at: self.clock.now(), kind });
    }

    fn written(&self, trial: &Trial) -> HttpRequest<Payload> {
        let target = self.pool.target();
        let mut request = HttpRequest::new(Payload::whole(self.wire.body(&trial.request)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = format!("{}/v1/completions", target.base).parse().expect("a target's base is part of a URL");
        let headers = request.headers_mut();
        headers.insert(HOST, target.host_header());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(MAX_TOKENS_HEADER, trial.request.max_tokens.into());
        headers.insert(INPUT_ESTIMATE_HEADER, trial.request.input_estimate.into());
        headers.insert("x-stainless-retry-count", trial.number.saturating_sub(1).into());
        if let Some(class) = self.classes.get(trial.request.class.index()) {
            headers.insert(CLASS_HEADER, class.clone());
        }
        if let Some(deadline) = trial.deadline {
            let left = deadline.since(self.clock.now()).as_nanos() / 1_000_000;
            headers.insert(DEADLINE_HEADER, left.into());
        }
        if let Some(prefix) = trial.request.prefix {
            let value = HeaderValue::try_from(format!("{}:{}", prefix.group, prefix.tokens));
            headers.insert(PREFIX_HEADER, value.expect("digits make a header"));
        }
        request
    }

    async fn read(&self, trial: &Trial, response: Response<Leased>) -> Result<Ended, Refusal> {
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            return Err(self.refused(head.status.as_u16(), &head.headers, body).await);
        }
        let mut stream = Answer::new(Wire::length(&trial.request));
        loop {
            let frame = timeout(self.idle, body.frame()).await.map_err(|_| broken(Cause::Idle))?;
            let Some(frame) = frame else { return stream.end() };
            let bytes = frame.map_err(|_| broken(Cause::Connection))?.into_data().unwrap_or_default();
            let tokens = stream.take(&bytes, &head.headers)?;
            (0..tokens).for_each(|_| self.tell(trial, SeenKind::Token));
        }
    }

    async fn refused(&self, status: u16, headers: &HeaderMap, body: Leased) -> Refusal {
        const BODY_MAX: usize = 1 << 20;
        let collected = timeout(self.idle, http_body_util::Limited::new(body, BODY_MAX).collect()).await;
        let bytes = collected.ok().and_then(Result::ok).map_or_else(Bytes::new, http_body_util::Collected::to_bytes);
        refusal(status, Some(headers), ApiError::read(&bytes).as_ref())
    }
}

/// A stream as far as it has been read.
struct Answer {
    frames: Frames,
    /// The length asked for.
    length: u32,
    tokens: u32,
    usage: Option<Usage>,
    complete: bool,
    done: bool,
}

impl Answer {
    const fn new(length: u32) -> Self {
        Self { frames: Frames::new(Frames::LIMIT), length, tokens: 0, usage: None, complete: false, done: false }
    }

    /// Reads what has come; the tokens in it.
    fn take(&mut self, mut bytes: &[u8], headers: &HeaderMap) -> Result<u32, Refusal> {
        let before = self.tokens;
        loop {
            let event = match self.frames.next(&mut bytes) {
                Ok(Frame::Event(data)) => Event::read(data),
                Ok(Frame::More) => return Ok(self.tokens - before),
                Err(_) => return Err(broken(Cause::Server)),
            };
            match event {
                Event::Chunk(chunk) => {
                    self.tokens += u32::from(chunk.token);
                    self.usage = chunk.usage.or(self.usage);
                    match chunk.finish.map(crate::live::openai::Stop::finish) {
                        Some(Some(_)) => self.complete = true,
                        Some(None) => return Err(broken(Cause::Server)), // given up by a server that is shutting down
                        None => {}
                    }
                }
                Event::Error(error) => return Err(refusal(200, Some(headers), Some(&error))),
                Event::Done => self.done = true,
                Event::Unknown => {}
            }
        }
    }

    /// The stream is at its end: complete where it said so.
    fn end(&self) -> Result<Ended, Refusal> {
        if !self.done {
            return Err(broken(Cause::Connection));
        }
        if !self.complete {
            return Err(broken(Cause::Server));
        }
        let output_tokens = self.usage.map_or(self.tokens, |usage| usage.output);
        Ok(Ended::Complete { output_tokens, degraded: output_tokens < self.length })
    }
}

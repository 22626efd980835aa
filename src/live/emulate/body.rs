//! The body of an answer: whole, or a stream that hands out a token when the model does.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};

use super::machine::{InModel, NewsKind};
use super::server::LoadGuard;
use crate::live::openai::{ApiError, Code, DONE, Stop, Writer};
use crate::request::Cause;

/// The text of every token.
pub(super) const TOKEN: &str = " token";

/// The connection is to break off here.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection is broken off on request")]
pub struct BrokenOff;

/// An answer's body.
#[derive(Debug)]
pub enum Answer {
    /// All of it, or nothing any more.
    Whole(Option<Bytes>),
    /// As it comes.
    Stream(Box<TokenStream>),
}

impl Answer {
    /// A whole body.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll(context).map(|part| part.map(|part| part.map(Frame::data))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Where a stream goes wrong, if it does.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Break {
    #[default]
    Never,
    /// The connection breaks off after so many tokens.
    Reset(u32),
    /// Nothing more comes after so many tokens.
    Hang(u32),
}

/// A stream of tokens.
#[derive(Debug)]
pub struct TokenStream {
    call: InModel,
    writer: Writer,
    /// The chunk of a token in the middle: they are all alike.
    token: Bytes,
    include_usage: bool,
    stop: Stop,
    fault: Break,
    sent: u32,
    /// What was said before the connection is to break off has gone out.
    flushed: bool,
    over: bool,
    _load: LoadGuard,
}

impl TokenStream {
    pub(super) fn new(call: InModel, writer: Writer, include_usage: bool, stop: Stop, fault: Break, load: LoadGuard) -> Self {
        let token = writer.token(TOKEN, None);
        Self { call, writer, token, include_usage, stop, fault, sent: 0, flushed: false, over: false, _load: load }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if self.over {
            return Poll::Ready(None);
        }
        match self.fault {
            Break::Reset(after) if self.sent >= after => {
                if std::mem::replace(&mut self.flushed, true) {
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
                // What is told last goes out only where there is a pause behind it.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Break::Hang(after) if self.sent >= after => {
                // The model goes on, and its news are thrown away; nobody else wakes this task.
                while let Poll::Ready(Some(_)) = self.call.poll_next(context) {}
                return Poll::Pending;
            }
            _ => {}
        }
        let Poll::Ready(news) = self.call.poll_next(context) else { return Poll::Pending };
        let Some(news) = news else {
            self.over = true;
            return Poll::Ready(None);
        };
        let part = match news.kind {
            NewsKind::Token if self.sent > 0 => self.token.clone(),
            NewsKind::Token => joined(&[&self.writer.role(), &self.token]),
            NewsKind::Last(usage) => {
                self.over = true;
                let role = if self.sent == 0 { self.writer.role() } else { Bytes::new() };
                let usage = if self.include_usage { self.writer.usage(usage) } else { Bytes::new() };
                joined(&[&role, &self.writer.token(TOKEN, Some(self.stop)), &usage, DONE])
            }
            NewsKind::Refused(cause) => {
                self.over = true;
                in_band(&refusal(cause))
            }
        };
        self.sent += 1;
        Poll::Ready(Some(Ok(part)))
    }
}

fn joined(parts: &[&[u8]]) -> Bytes {
    let mut all = BytesMut::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        all.put_slice(part);
    }
    all.freeze()
}

/// An error where the status line has said 200 already: as vLLM does it, one event and the end of the stream.
pub(super) fn in_band(error: &ApiError) -> Bytes {
    joined(&[b"data: ", &error.body(), b"\n\n", DONE])
}

/// What the server says of its model's refusal, in vLLM's manner: the code is the status.
pub(super) fn refusal(cause: Cause) -> ApiError {
    match cause {
        Cause::BadRequest => error(400, "BadRequestError", "The prompt does not fit into the model's context".to_owned()),
        _ => error(503, "ServiceUnavailableError", "The server is at capacity: too many requests are queued".to_owned()),
    }
}

/// An error in vLLM's manner.
pub(super) fn error(status: u16, kind: &str, message: String) -> ApiError {
    ApiError { message, kind: kind.to_owned(), param: None, code: Some(Code::Status(status)) }
}

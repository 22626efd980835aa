//! An answer that streams, read as it passes: where it stands, what it used, and how it ended.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::live::http::Leased;
use crate::live::openai::{ApiError, Event, Frame, Frames, Stop};
use crate::policy::{CallEnd, Finish, Usage};
use crate::request::Cause;

/// How a stream is read.
#[derive(Copy, Clone, Debug)]
pub struct Reading {
    /// Whether it is a stream of events; else its bytes say nothing.
    pub events: bool,
    /// Whether the chunk that carries only the usage is ours, and not for the client.
    pub strip_usage: bool,
    /// Longest silence once the answer has begun.
    pub idle: Duration,
}

/// A piece of a stream.
#[derive(Debug)]
pub enum Piece {
    /// Bytes for the client.
    Data(Bytes),
    /// The end.
    End(CallEnd),
}

/// A stream and what has been read of it.
#[derive(Debug)]
pub struct Stream {
    body: Option<Leased>,
    reading: Reading,
    frames: Frames,
    /// Read and not yet passed on.
    ready: VecDeque<Bytes>,
    /// The beginning of an event: the client gets whole ones, so that one of ours may follow at any time.
    tail: BytesMut,
    begun: bool,
    error: Option<ApiError>,
    stop: Option<Stop>,
    usage: Option<Usage>,
    done: bool,
    end: Option<CallEnd>,
    latest: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(body: Leased, reading: Reading) -> Self {
        Self {
            body: Some(body),
            reading,
            frames: Frames::new(Frames::LIMIT),
            ready: VecDeque::new(),
            tail: BytesMut::new(),
            begun: false,
            error: None,
            stop: None,
            usage: None,
            done: false,
            end: None,
            latest: Instant::now(),
            timer: None,
        }
    }

    /// Puts bytes that were read already before all others.
    pub fn put_back(&mut self, bytes: Bytes) {
        self.begun = true;
        self.ready.push_front(bytes);
    }

    /// Reads until the answer has begun or ended: until its first token, not the role with which a chat opens.
    pub fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Option<CallEnd>> {
        while !self.begun && self.end.is_none() {
            std::task::ready!(self.poll_read(cx));
        }
        self.latest = Instant::now();
        Poll::Ready(if self.begun { None } else { self.end })
    }

    /// The error that the stream told of itself.
    #[must_use]
    pub const fn error(&self) -> Option<&ApiError> {
        self.error.as_ref()
    }

    /// The next piece; nothing comes after an end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Piece::Data(bytes));
            }
            if let Some(end) = self.end {
                return Poll::Ready(Piece::End(end));
            }
            if self.poll_read(cx).is_pending() {
                if self.poll_idle(cx).is_pending() {
                    return Poll::Pending;
                }
                self.fail(Cause::Idle);
            }
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = |latest: Instant| latest + self.reading.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due(self.latest))));
        // It is set anew only when it goes off: that is cheaper than with every piece.
        while timer.as_mut().poll(cx).is_ready() {
            if due(self.latest) <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due(self.latest));
        }
        Poll::Pending
    }

    /// Reads once.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        self.latest = Instant::now();
        match frame {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    self.read(bytes);
                }
            }
            Some(Err(_)) if self.done => self.complete(),
            Some(Err(_)) => self.fail(Cause::Connection),
            None => self.at_end(),
        }
        Poll::Ready(())
    }

    fn read(&mut self, bytes: Bytes) {
        if !self.reading.events {
            self.begun = true;
            self.ready.push_back(bytes);
            return;
        }
        let mut rest: &[u8] = &bytes;
        // Up to where the bytes are passed on, or dropped; and where the present event began.
        let (mut passed, mut event) = (0, 0);
        loop {
            match self.frames.next(&mut rest) {
                Err(_) => return self.fail(Cause::Server),
                Ok(Frame::More) => break,
                Ok(Frame::Event(data)) => {
                    let said = Event::read(data);
                    let end = bytes.len() - rest.len();
                    let drop = self.reading.strip_usage && matches!(&said, Event::Chunk(chunk) if chunk.is_usage_only());
                    self.hear(said);
                    if drop {
                        self.pass(&bytes, passed..event);
                        self.tail.clear();
                        passed = end;
                    }
                    event = end;
                }
            }
        }
        self.pass(&bytes, passed..event);
        self.tail.extend_from_slice(&bytes[event..]);
        if self.error.is_some() {
            let cause = self.error.as_ref().map_or(Cause::Server, ApiError::cause);
            self.fail(cause);
        } else if self.done {
            self.complete();
        }
    }

    /// Lets bytes go on to the client, after what was kept of the same event.
    fn pass(&mut self, bytes: &Bytes, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        if self.tail.is_empty() {
            self.ready.push_back(bytes.slice(range));
        } else {
            self.tail.extend_from_slice(&bytes[range]);
            self.ready.push_back(self.tail.split().freeze());
        }
    }

    fn hear(&mut self, said: Event) {
        match said {
            Event::Chunk(chunk) => {
                self.begun |= chunk.token;
                self.stop = chunk.finish.or(self.stop);
                self.usage = chunk.usage.or(self.usage);
            }
            Event::Error(error) => self.error = self.error.take().or(Some(error)),
            Event::Done => self.done = true,
            Event::Unknown => {}
        }
    }

    /// The bytes are at their end: complete where the stream said so, or said at least why it stops.
    fn at_end(&mut self) {
        self.body = None;
        if !self.reading.events || self.done || self.stop.is_some() {
            self.complete();
        } else {
            self.fail(Cause::Connection);
        }
    }

    fn complete(&mut self) {
        let finish = match self.stop {
            None => Some(Finish::Stop),
            Some(stop) => stop.finish(),
        };
        match finish {
            // An answer without a token is one all the same, if nothing went wrong: an empty completion, an embedding.
            Some(finish) => self.end = self.end.or(Some(CallEnd::Ok { usage: self.usage, finish })),
            None if self.begun => self.fail(Cause::Server),
            None => self.fail(Cause::Overloaded), // vLLM that shuts down takes requests and gives them up at once
        }
        self.begun |= matches!(self.end, Some(CallEnd::Ok { .. }));
        if !self.tail.is_empty() {
            self.ready.push_back(self.tail.split().freeze());
        }
        if let Some(body) = self.body.take() {
            body.read_out(); // its last bytes are on the way, and then its connection is free
        }
    }

    fn fail(&mut self, cause: Cause) {
        self.body = None; // closes its connection
        self.end = self.end.or(Some(CallEnd::Failed { cause, retry_after: None }));
    }
}

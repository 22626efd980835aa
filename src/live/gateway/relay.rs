//! An answer that flows to the client.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::answer::Broken;
use super::exchange::{Exchange, Flowing};
use super::meter::Outcome;
use super::post::Mail;
use super::stream::Piece;
use crate::live::openai::{ApiError, DONE, refusal_words};
use crate::policy::Refusal;

/// The rest of an attempt whose answer has begun.
#[derive(Debug)]
pub struct Relay {
    exchange: Exchange,
    /// Whether it is a stream of events, in which an error can be told.
    events: bool,
    /// The stream has told its client an error itself.
    told: bool,
    finished: bool,
}

impl Relay {
    /// What flows in `exchange`.
    #[must_use]
    pub const fn new(exchange: Exchange, events: bool) -> Self {
        Self { exchange, events, told: false, finished: false }
    }

    /// The next bytes; an error is a connection that must be closed, because nothing else can say that something is missing.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if self.finished {
                return Poll::Ready(None);
            }
            match std::task::ready!(self.exchange.poll_flow(cx)) {
                Flowing::Piece(Piece::Data(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Flowing::Piece(Piece::End(end)) => self.told = self.exchange.flow_ended(end),
                Flowing::Mail(Mail::Complete) => {
                    self.exchange.is_over(Outcome::Completed);
                    self.finished = true;
                }
                Flowing::Mail(Mail::Cut(refusal) | Mail::Answer(refusal)) => {
                    self.exchange.is_refused(&refusal, true);
                    self.finished = true;
                    return Poll::Ready(self.last_word(&refusal));
                }
                Flowing::Mail(Mail::Relay | Mail::Start(_)) => {} // after the first byte there is no second call
            }
        }
    }

    fn last_word(&self, refusal: &Refusal) -> Option<Result<Bytes, Broken>> {
        if self.told {
            return None;
        }
        if !self.events {
            return Some(Err(Broken::Cut(refusal_words(refusal))));
        }
        let mut event = b"data: ".to_vec();
        event.extend_from_slice(&ApiError::of_refusal(refusal).body());
        event.extend_from_slice(b"\n\n");
        event.extend_from_slice(DONE);
        Some(Ok(event.into()))
    }
}

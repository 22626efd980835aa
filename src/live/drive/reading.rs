//! One answer, as it comes: a stream's events with their times, or a whole body.

use super::line::Word;
use super::refusal::{failed, refused};
use crate::live::openai::{Event, Frame, Frames, Stop, WholeAnswer};
use crate::policy::{Finish, Usage};
use crate::request::{Cause, Refusal};
use crate::time::Time;

/// What was seen of an attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    /// When it was sent.
    pub sent: Option<Time>,
    /// When the head of an answer came.
    pub headers: Option<Time>,
    /// When each token of a stream came.
    pub chunks: Vec<Time>,
    /// When the answer was complete.
    pub done: Option<Time>,
    /// When the attempt was over.
    pub end: Time,
    /// HTTP status.
    pub status: Option<u16>,
    /// What the server says it used.
    pub usage: Option<Usage>,
    /// What went wrong, in words.
    pub error: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// The answer is complete.
    Complete {
        /// Its length, tokens.
        output_tokens: u32,
        /// Whether it was cut at a limit below the one that was asked for.
        degraded: bool,
    },
    /// It was refused or it failed.
    Lost {
        /// How.
        refusal: Refusal,
        /// The records' word for it.
        word: Word,
    },
    /// Its client has left.
    Left,
}

impl End {
    pub(super) const fn failed(cause: Cause, word: Word) -> Self {
        Self::Lost { refusal: failed(cause), word }
    }

    pub(super) const fn refused(refusal: Refusal) -> Self {
        Self::Lost { refusal, word: Word::HttpError }
    }
}

/// Reads a stream.
#[derive(Debug)]
pub(super) struct Reading {
    frames: Frames,
    /// The length that was asked for, tokens.
    asked: u32,
    finish: Option<Stop>,
}

impl Reading {
    pub fn new(asked: u32) -> Self {
        Self { frames: Frames::new(Frames::LIMIT), asked, finish: None }
    }

    /// Takes bytes that came at `now`; how the attempt ended, if it has.
    pub fn take(&mut self, mut bytes: &[u8], now: Time, trail: &mut Trail) -> Option<End> {
        loop {
            let data = match self.frames.next(&mut bytes) {
                Ok(Frame::Event(data)) => data,
                Ok(Frame::More) => return None,
                Err(long) => {
                    trail.error = Some(long.to_string());
                    return Some(End::failed(Cause::Server, Word::Exc));
                }
            };
            match Event::read(data) {
                Event::Chunk(chunk) => {
                    if chunk.token {
                        trail.chunks.push(now);
                    }
                    trail.usage = chunk.usage.or(trail.usage);
                    self.finish = chunk.finish.or(self.finish);
                }
                Event::Error(error) => {
                    trail.error = Some(error.message.clone());
                    return Some(End::refused(refused(200, Some(&error), None)));
                }
                Event::Done => return Some(self.close(now, trail)),
                Event::Unknown => {}
            }
        }
    }

    /// The stream is over at `now`, by its last event or without one.
    pub fn close(&self, now: Time, trail: &mut Trail) -> End {
        match self.finish.map(Stop::finish) {
            Some(Some(finish)) => complete(now, finish, self.asked, trail),
            Some(None) => {
                trail.error = Some("the server gave the request up".to_owned());
                End::failed(Cause::Server, Word::Eof)
            }
            None => {
                trail.error = Some("the stream ended before the answer".to_owned());
                End::failed(Cause::Connection, Word::Eof)
            }
        }
    }
}

/// A whole answer that came at `now`.
pub(super) fn whole(body: &[u8], status: u16, now: Time, asked: u32, trail: &mut Trail) -> End {
    match WholeAnswer::read(body) {
        WholeAnswer::Ok { usage, finish } => {
            trail.usage = usage;
            match finish.map_or(Some(Finish::Stop), Stop::finish) {
                Some(finish) => complete(now, finish, asked, trail),
                None => End::failed(Cause::Server, Word::Eof),
            }
        }
        WholeAnswer::Error(error) => {
            trail.error = Some(error.message.clone());
            End::refused(refused(status, Some(&error), None))
        }
        WholeAnswer::Unknown => {
            trail.error = Some("the answer is none of this interface".to_owned());
            End::failed(Cause::Server, Word::Exc)
        }
    }
}

fn complete(now: Time, finish: Finish, asked: u32, trail: &mut Trail) -> End {
    trail.done = Some(now);
    let seen = u32::try_from(trail.chunks.len()).unwrap_or(u32::MAX);
    let output_tokens = trail.usage.map_or(seen, |usage| usage.output);
    if output_tokens == 0 {
        trail.error = Some("an answer without tokens".to_owned());
        return End::failed(Cause::Server, Word::Eof);
    }
    End::Complete { output_tokens, degraded: finish == Finish::Length && output_tokens < asked }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RefusalKind;

    const fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    /// Each piece comes a millisecond after the one before it.
    fn read(asked: u32, pieces: &[&str]) -> (Option<End>, Trail) {
        let (mut reading, mut trail) = (Reading::new(asked), Trail::default());
        for (now, piece) in pieces.iter().enumerate() {
            if let Some(end) = reading.take(piece.as_bytes(), at(now as u64 + 1), &mut trail) {
                return (Some(end), trail);
            }
        }
        (None, trail)
    }

    const TOKEN: &str = "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":null}]}\n\n";
    const LAST: &str = "data: {\"choices\":[{\"text\":\"x\",\"finish_reason\":\"length\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    #[test]
    fn tokens_are_timed_and_the_length_is_the_usages() {
        let (end, trail) = read(2, &[TOKEN, LAST, USAGE, DONE]);
        assert_eq!(end, Some(End::Complete { output_tokens: 2, degraded: false }));
        assert_eq!((trail.chunks, trail.done), (vec![at(1), at(2)], Some(at(4))));
        let (end, trail) = read(2, &[&[TOKEN, LAST, DONE].concat()]);
        assert_eq!((end, trail.chunks.len()), (Some(End::Complete { output_tokens: 2, degraded: false }), 2));
        let (end, _) = read(9, &[TOKEN, LAST, USAGE, DONE]);
        assert_eq!(end, Some(End::Complete { output_tokens: 2, degraded: true }));
    }

    #[test]
    fn a_role_is_no_first_token() {
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        assert_eq!(read(2, &[role]).1.chunks, []);
    }

    #[test]
    fn an_error_under_status_200_is_a_refusal() {
        let (end, trail) = read(2, &["data: {\"error\":{\"message\":\"full\",\"code\":503}}\n\n", DONE]);
        let Some(End::Lost { refusal, word }) = end else { panic!("not lost") };
        assert_eq!((refusal.kind, word), (RefusalKind::Upstream(Cause::Overloaded), Word::HttpError));
        assert_eq!(trail.error.as_deref(), Some("full"));
    }

    #[test]
    fn an_answer_that_was_given_up_or_cut_is_none() {
        let abort = "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"abort\"}]}\n\n";
        assert_eq!(read(2, &[abort, DONE]).0, Some(End::failed(Cause::Server, Word::Eof)));
        assert_eq!(read(2, &[DONE]).0, Some(End::failed(Cause::Connection, Word::Eof)));
        let (reading, mut trail) = (Reading::new(2), Trail::default());
        assert_eq!(reading.close(at(1), &mut trail), End::failed(Cause::Connection, Word::Eof));
    }

    #[test]
    fn whole_answers_are_read_too() {
        let mut trail = Trail::default();
        let body = br#"{"choices":[{"text":"a","finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":5}}"#;
        assert_eq!(whole(body, 200, at(1), 5, &mut trail), End::Complete { output_tokens: 5, degraded: false });
        assert!(matches!(whole(b"{\"error\":\"no\"}", 200, at(1), 5, &mut trail), End::Lost { .. }));
        assert!(matches!(whole(b"<html>", 200, at(1), 5, &mut trail), End::Lost { .. }));
    }
}

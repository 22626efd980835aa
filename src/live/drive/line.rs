//! One attempt on disk: a line of JSON that `plimsoll replay` and `plimsoll trace stats` read as the driver's own format.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::files;
use crate::policy::Usage;
use crate::request::Outcome;
use crate::time::Time;

/// An attempt, times in seconds since the step began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The request's number: the same for all its attempts.
    pub i: u64,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// The request's class.
    pub class: String,
    /// Who pays, from 1; absent where the scenario has no tenants.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub tenant: u32,
    /// The request's intended arrival.
    #[serde(with = "seconds")]
    pub arrival: Time,
    /// When this attempt was meant to be sent: for the first that is the arrival.
    #[serde(with = "seconds")]
    pub sched: Time,
    /// When it was sent; absent where the run ended before.
    #[serde(with = "maybe_seconds", default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Time>,
    /// When the head of an answer came.
    #[serde(with = "maybe_seconds", default, skip_serializing_if = "Option::is_none")]
    pub headers_at: Option<Time>,
    /// When each token of a stream came.
    pub chunks: Vec<Stamp>,
    /// When the answer was complete.
    #[serde(with = "maybe_seconds", default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Time>,
    /// When the attempt was over.
    #[serde(with = "seconds")]
    pub end: Time,
    /// Prompt length, tokens.
    pub prompt: u32,
    /// Length of the answer that was asked for, tokens.
    pub max_tokens: u32,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// What the server says it used.
    pub usage: Option<UsageLine>,
    /// How the attempt ended.
    pub outcome: Word,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How the request ended; only with its last attempt, and absent where it was not over at the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<Outcome>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_nobody(tenant: &u32) -> bool {
    *tenant == 0
}

/// How an attempt ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Complete.
    Ok,
    /// The client left before the first token.
    TtftTimeout,
    /// The client left later.
    Timeout,
    /// Refused, by the status or inside the stream.
    HttpError,
    /// The connection failed, what came could not be read, or the run ended.
    Exc,
    /// The stream ended before the answer did.
    Eof,
}

/// What the server says it used.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLine {
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl From<Usage> for UsageLine {
    fn from(usage: Usage) -> Self {
        Self { prompt_tokens: usage.input, completion_tokens: usage.output }
    }
}

/// A time in a list.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(#[serde(with = "seconds")] pub Time);

impl Line {
    /// Tokens of the answer: what the server counts, or what was seen.
    #[must_use]
    pub fn output_tokens(&self) -> u32 {
        let seen = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.usage.map_or(seen, |usage| usage.completion_tokens)
    }
}

/// Seconds with all nine digits: up to a hundred days they are exact in a double.
mod seconds {
    use super::{Deserialize, Deserializer, Serializer, Time, time_of};

    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
    pub fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        time_of(f64::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("not a time since the step's start"))
    }
}

mod maybe_seconds {
    use super::{Deserialize, Deserializer, Serializer, Time, time_of};

    #[allow(clippy::ref_option)] // as serde calls it
    pub fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_f64(time.as_secs_f64()),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        let Some(seconds) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
        time_of(seconds).map(Some).ok_or_else(|| serde::de::Error::custom("not a time since the step's start"))
    }
}

/// The nearest nanosecond.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
fn time_of(seconds: f64) -> Option<Time> {
    let nanos = libm::round(seconds * 1e9);
    (0.0..9.0e18).contains(&nanos).then(|| Time::from_nanos(nanos as u64))
}

/// Writes them as a whole file, one line each.
///
/// # Errors
/// If it cannot be written; then there is no new file.
pub fn write_lines<T: Serialize>(path: &Path, lines: &[T]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line).map_err(io::Error::other)?;
        bytes.push(b'\n');
    }
    files::write_whole(path, &bytes)
}

/// Reads them back.
///
/// # Errors
/// If the file cannot be read, or a line of it is none.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    // No run's records come near this: 4 GiB.
    let file = BufReader::new(File::open(path)?.take(4 << 30));
    let read = |(number, text): (usize, io::Result<String>)| {
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {why}", number + 1));
        serde_json::from_str(&text?).map_err(bad)
    };
    file.lines().enumerate().map(read).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::request::Reason;
    use crate::trace::{Ended, Options, Trace, open_bytes};

    pub const fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    /// A complete answer of three tokens to a request that came at `arrival` milliseconds.
    pub fn line(i: u64, arrival: u64) -> Line {
        let stamp = |after: u64| Stamp(at(arrival + after));
        Line {
            i,
            attempt: 1,
            class: "chat".to_owned(),
            tenant: 0,
            arrival: at(arrival),
            sched: at(arrival),
            send: Some(at(arrival + 1)),
            headers_at: Some(at(arrival + 90)),
            chunks: vec![stamp(100), stamp(120), stamp(150)],
            done: Some(at(arrival + 150)),
            end: at(arrival + 151),
            prompt: 20,
            max_tokens: 3,
            status: Some(200),
            usage: Some(UsageLine { prompt_tokens: 20, completion_tokens: 3 }),
            outcome: Word::Ok,
            error: None,
            column: Some(Outcome::Good),
        }
    }

    #[test]
    fn lines_come_back_to_the_nanosecond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let odd = Time::from_nanos(8_000_123_456_789_123);
        let refused = Line {
            sched: odd,
            end: odd,
            send: None,
            chunks: Vec::new(),
            outcome: Word::HttpError,
            error: Some("full".to_owned()),
            column: Some(Outcome::Rejected(Reason::QueueFull)),
            ..line(1 << 41, 3)
        };
        let lines = [line(0, 7), refused, Line { column: None, tenant: 5, ..line(2, 9) }];
        write_lines(&path, &lines).unwrap();
        assert_eq!(read_lines::<Line>(&path).unwrap(), lines);
        std::fs::write(&path, "{\"i\": 1}\n").unwrap();
        assert!(read_lines::<Line>(&path).unwrap_err().to_string().starts_with("line 1: missing field"));
    }

    /// What other commands read a run with.
    #[test]
    fn the_readers_of_logs_know_the_format() {
        let left = Line { outcome: Word::TtftTimeout, chunks: Vec::new(), usage: None, ..line(1, 50) };
        let text: String = [line(0, 7), left].iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        let bytes = std::io::Cursor::new(text.into_bytes());
        let trace = Trace::read(&mut *open_bytes(bytes, "step.jsonl", &Options::default()).unwrap()).unwrap();
        assert_eq!((trace.rows, trace.fates.lost(), trace.records.len()), (2, 0, 2));
        let [first, second] = &trace.records[..] else { panic!("two records") };
        assert_eq!((first.lengths(), first.arrival, first.ended), (Some((20, 3)), at(7), Some(Ended::Complete)));
        assert_eq!(
            (first.attempt, first.class.map(|class| trace.classes[class.index()].clone())),
            (Some(1), Some("chat".into()))
        );
        assert_eq!((second.ended, second.output_tokens), (Some(Ended::FirstTokenTimeout), Some(3)));
    }
}

//! Request records with the time of every token: the load driver's JSON Lines, one object a request, seconds since the run's
//! start (`sched`, `send`, `chunks`, `end`, `prompt`, `max_tokens`, `usage.completion_tokens`, `outcome`).
//!
//! [`crate::trace`] reads the same file into its canonical record, which keeps the first and the last token's time only; here
//! each one counts, because they say who was decoding when.

use std::io::BufRead;

use serde::Deserialize;

use super::error::LogError;
use super::lines;

/// What became of one request, times in seconds since the run's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// Intended arrival.
    pub arrival_s: f64,
    /// When it was really sent.
    pub sent_s: f64,
    /// When each piece of the stream came, in order.
    pub chunks_s: Vec<f64>,
    /// When the client was done with it.
    pub end_s: f64,
    /// Prompt length, tokens, at least 1.
    pub prompt: u32,
    /// Answer length, tokens, at least 1: as long as it became, or where it did not become complete as long as was asked for.
    pub output: u32,
    /// How it ended.
    pub fate: Fate,
}

/// How a request ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Complete.
    Complete,
    /// Its client left without a first token.
    NoFirstToken,
    /// Anything else: left later, refused, cut, broken.
    Lost,
}

/// Lengths that are believed, tokens.
const TOKENS_MAX: u32 = 1 << 24;

impl Served {
    /// Whether the answer is complete and every token has its own time.
    #[must_use]
    pub fn has_all_times(&self) -> bool {
        self.fate == Fate::Complete && self.chunks_s.len() as u64 == u64::from(self.output)
    }

    /// First token's and last token's time of a complete answer.
    #[must_use]
    pub fn ends_s(&self) -> Option<(f64, f64)> {
        if self.fate != Fate::Complete {
            return None;
        }
        Some((*self.chunks_s.first()?, *self.chunks_s.last()?))
    }
}

/// Those who were alone from when they were sent to their first token, in order of sending.
#[must_use]
pub(super) fn lone(served: &[Served]) -> Vec<&Served> {
    let mut order: Vec<&Served> = served.iter().collect();
    order.sort_by(|a, b| a.sent_s.total_cmp(&b.sent_s));
    let (mut alone, mut busy_until) = (Vec::new(), f64::NEG_INFINITY);
    for (at, one) in order.iter().enumerate() {
        let next_s = order.get(at + 1).map_or(f64::INFINITY, |next| next.sent_s);
        if one.ends_s().is_some_and(|(first, _)| busy_until < one.sent_s && first < next_s) {
            alone.push(*one);
        }
        busy_until = busy_until.max(one.end_s);
    }
    alone
}

#[derive(Deserialize)]
struct Line {
    sched: f64,
    send: Option<f64>,
    chunks: Option<Vec<f64>>,
    end: f64,
    prompt: u32,
    max_tokens: u32,
    usage: Option<Usage>,
    outcome: String,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: Option<u32>,
}

/// Reads request records, in order of arrival; `file` is the name that errors give.
///
/// # Errors
/// A line that is not such a record, with its number and what is wrong; a file that cannot be read on.
pub fn read_served(text: &mut dyn BufRead, file: &str) -> Result<Vec<Served>, LogError> {
    let mut all: Vec<Served> = Vec::new();
    lines::each(text, file, |_, line| {
        if !line.is_empty() {
            let read: Line = serde_json::from_slice(line).map_err(|error| format!("not a request record ({error})"))?;
            all.push(record(read)?);
        }
        Ok(())
    })?;
    all.sort_by(|a, b| a.arrival_s.total_cmp(&b.arrival_s));
    Ok(all)
}

fn record(line: Line) -> Result<Served, String> {
    let chunks_s = line.chunks.unwrap_or_default();
    let times = [line.sched, line.end, line.send.unwrap_or(line.sched)];
    let fits = |time: &f64| (0.0..1e9).contains(time);
    if !times.iter().chain(&chunks_s).all(fits) || !chunks_s.is_sorted() {
        return Err("times must be seconds of at least 0, those of `chunks` in order".to_owned());
    }
    let fate = match line.outcome.as_str() {
        "ok" => Fate::Complete,
        "ttft_timeout" => Fate::NoFirstToken,
        "timeout" | "http_error" | "eof" | "exc" => Fate::Lost,
        other => return Err(format!("`outcome` is `{other}`: expected ok, ttft_timeout, timeout, http_error, exc or eof")),
    };
    let counted = line.usage.and_then(|usage| usage.completion_tokens);
    let came = counted.map_or(chunks_s.len(), |tokens| tokens as usize);
    let output = if fate == Fate::Complete { u32::try_from(came).unwrap_or(u32::MAX) } else { line.max_tokens };
    for (name, tokens) in [("prompt", line.prompt), ("answer", output)] {
        if !(1..=TOKENS_MAX).contains(&tokens) {
            return Err(format!("a {name} of {tokens} tokens: expected 1 to {TOKENS_MAX}"));
        }
    }
    Ok(Served {
        arrival_s: line.sched,
        sent_s: line.send.unwrap_or(line.sched),
        chunks_s,
        end_s: line.end,
        prompt: line.prompt,
        output,
        fate,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUN: &str = r#"{"i": 1, "sched": 22.9, "prompt": 170, "max_tokens": 124, "status": 200, "outcome": "ttft_timeout", "chunks": [], "usage": null, "send": 22.95, "end": 30.98}
{"i": 0, "sched": 0.03, "prompt": 478, "max_tokens": 55, "outcome": "ok", "chunks": [0.12, 0.13, 0.15], "usage": {"completion_tokens": 3}, "send": 0.04, "end": 1.1}
"#;

    fn read(text: &[u8]) -> Result<Vec<Served>, LogError> {
        read_served(&mut &text[..], "run.jsonl")
    }

    #[test]
    fn records_come_in_order_of_arrival_with_every_tokens_time() {
        let [first, left] = &read(RUN.as_bytes()).unwrap()[..] else { panic!("two records") };
        assert_eq!((first.arrival_s, first.sent_s, first.prompt, first.output), (0.03, 0.04, 478, 3));
        assert!(first.has_all_times() && first.ends_s() == Some((0.12, 0.15)));
        assert_eq!((left.fate, left.output, left.ends_s()), (Fate::NoFirstToken, 124, None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let said = |from: &str, to: &str| read(RUN.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(said("0.12, 0.13", "0.13, 0.12").contains("run.jsonl, line 2: times must be seconds"));
        assert!(said("\"sched\": 22.9", "\"sched\": -1").contains("line 1: times must be seconds"));
        assert!(said("\"ok\"", "\"fine\"").contains("line 2: `outcome` is `fine`"));
        assert!(said("\"prompt\": 170", "\"prompt\": 0").contains("line 1: a prompt of 0 tokens"));
        assert!(said("\"sched\": 22.9, ", "").contains("missing field `sched`"));
    }

    proptest! {
        #[test]
        fn any_bytes_read_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}

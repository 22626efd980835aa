//! The load driver's own records: JSON Lines, one object for each request, times in seconds since the run's start.
//!
//! Fields: `sched` (intended arrival), `send`, `chunks` (when each piece of the stream came), `end`, `prompt` and `max_tokens`
//! (tokens), `status`, `usage.completion_tokens`, and `outcome`: `ok`, `ttft_timeout`, `timeout`, `http_error`, `exc` or
//! `eof`; where they are there, `class` and `attempt` (from 1) too; others are ignored. The driver asks the server to generate all `max_tokens` (`ignore_eos`), so that is the length
//! of an answer that did not become complete. A record that was never sent has no `send`: its `sched` stands in.

use serde_json::Value;

use super::Format;
use super::objects::{Fields, ObjectLines};
use crate::time::Time;
use crate::trace::cell::time_expected;
use crate::trace::clock::{Clock, not_before};
use crate::trace::error::{About, RowProblem, TraceError, excerpt};
use crate::trace::map::{Field, TimeKind};
use crate::trace::names::Names;
use crate::trace::number::float_ns;
use crate::trace::reader::{Dropped, Head, Reader, Row};
use crate::trace::record::{Ended, Key, Record};
use crate::trace::source::Source;

/// The keys that tell of it.
pub(super) const SIGNATURE: &[&str] = &["sched", "prompt", "max_tokens", "outcome"];

/// The load driver's own records.
pub(super) struct Driver {
    lines: ObjectLines,
    head: Head,
    names: Names,
    clock: Clock,
}

impl Driver {
    pub fn new(source: Source, recognised_by: String) -> Self {
        let head = Head::new(&source.file, Format::Driver, recognised_by);
        Self { lines: ObjectLines::new(source), head, names: Names::default(), clock: Clock::new(false) }
    }
}

impl Reader for Driver {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        let Some((row, found)) = self.lines.next()? else { return Ok(None) };
        let read = found.and_then(|fields| record(row, &fields, &mut self.clock, &mut self.names));
        Ok(Some(read.map_or_else(|problem| Row::Dropped(Dropped { row, problem }), Row::Record)))
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn names(&self) -> &Names {
        &self.names
    }
}

fn record(row: u64, fields: &Fields, clock: &mut Clock, names: &mut Names) -> Result<Record, RowProblem> {
    let arrival = seconds(fields, "sched")?.ok_or_else(|| missing("sched", About::Time))?;
    let asked = tokens(fields, "max_tokens")?;
    let chunks = chunks(fields)?;
    let counted = fields.get("usage").and_then(|usage| usage.get("completion_tokens")).and_then(Value::as_u64);
    let received = u32::try_from(counted.unwrap_or(chunks.len() as u64));
    let received = received.map_err(|_| wrong("usage", &fields["usage"], "completion_tokens below 2^32", About::Tokens))?;
    let ended = ended(fields)?;
    let complete = ended == Ended::Complete && received > 0;
    let mut record = Record {
        row,
        sent: Some(seconds(fields, "send")?.unwrap_or(arrival)),
        first_byte: chunks.first().copied(),
        last_byte: chunks.last().copied(),
        end: Some(seconds(fields, "end")?.ok_or_else(|| missing("end", About::Time))?),
        input_tokens: Some(tokens(fields, "prompt")?),
        output_tokens: Some(if complete { received } else { asked }),
        received_tokens: Some(received),
        request: fields.get("i").and_then(|id| Key::of(id.to_string().as_bytes())),
        chunks,
        status: status(fields)?,
        class: fields.get("class").and_then(Value::as_str).and_then(|name| names.classes.id(name)),
        attempt: fields.get("attempt").and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok()),
        ended: Some(ended),
        ..Record::default()
    };
    if record.output_tokens == Some(0) {
        return Err(RowProblem::EmptyAnswer);
    }
    record.settle_lengths(|field| if field == Field::Input { "prompt".into() } else { "max_tokens".into() })?;
    for (at, column) in [(record.sent, "send"), (record.first_byte, "chunks"), (record.end, "end")] {
        let nanos = |time: Time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        at.map(|at| not_before(nanos(arrival), nanos(at), column)).transpose()?;
    }
    record.arrival = clock.arrival(i64::try_from(arrival.as_nanos()).unwrap_or(i64::MAX))?;
    Ok(record)
}

fn missing(column: &'static str, about: About) -> RowProblem {
    RowProblem::Missing { column: column.into(), about }
}

fn ended(fields: &Fields) -> Result<Ended, RowProblem> {
    let value = fields.get("outcome").ok_or_else(|| missing("outcome", About::Other))?;
    match value.as_str() {
        Some("ok") => Ok(Ended::Complete),
        Some("ttft_timeout") => Ok(Ended::FirstTokenTimeout),
        Some("timeout") => Ok(Ended::TotalTimeout),
        Some("http_error") => Ok(status(fields)?.filter(|status| *status >= 400).map_or(Ended::Failed, Ended::of_status)),
        Some("eof") => Ok(Ended::Cut),
        Some("exc") => Ok(Ended::Broken),
        _ => Err(wrong("outcome", value, "ok, ttft_timeout, timeout, http_error, exc or eof", About::Other)),
    }
}

fn status(fields: &Fields) -> Result<Option<u16>, RowProblem> {
    let Some(value) = present(fields, "status") else { return Ok(None) };
    let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
    status.map(Some).ok_or_else(|| wrong("status", value, "an HTTP status, like 200", About::Other))
}

fn chunks(fields: &Fields) -> Result<Box<[Time]>, RowProblem> {
    const EXPECTED: &str = "a list of times in seconds, in order";
    let Some(value) = present(fields, "chunks") else { return Ok(Box::default()) };
    let listed = value.as_array().ok_or_else(|| wrong("chunks", value, EXPECTED, About::Time))?;
    let times: Option<Box<[Time]>> = listed.iter().map(|chunk| chunk.as_f64().and_then(time)).collect();
    times.filter(|times| times.is_sorted()).ok_or_else(|| wrong("chunks", value, EXPECTED, About::Time))
}

/// A field that is there and not null.
fn present<'a>(fields: &'a Fields, column: &str) -> Option<&'a Value> {
    fields.get(column).filter(|value| !value.is_null())
}

fn seconds(fields: &Fields, column: &'static str) -> Result<Option<Time>, RowProblem> {
    let Some(value) = present(fields, column) else { return Ok(None) };
    let at = value.as_f64().and_then(time);
    at.map(Some).ok_or_else(|| wrong(column, value, time_expected(TimeKind::Seconds), About::Time))
}

fn tokens(fields: &Fields, column: &'static str) -> Result<u32, RowProblem> {
    let value = fields.get(column).ok_or_else(|| missing(column, About::Tokens))?;
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| wrong(column, value, "a whole number of tokens, at least 0 and below 2^32", About::Tokens))
}

fn wrong(column: &'static str, value: &Value, expected: &'static str, about: About) -> RowProblem {
    RowProblem::Value { column: column.into(), text: excerpt(&value.to_string()), expected, about }
}

/// A time of at least zero that the clock can show.
fn time(secs: f64) -> Option<Time> {
    let nanos = float_ns(secs, 1_000_000_000).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Time::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::trace::{Options, Trace, open_bytes};

    /// Three lines of a measured run (vLLM 0.32 on CPU, 1.5 times its capacity, clients leaving after 8 s), shortened.
    const RUN: &str = r#"{"i": 0, "sched": 0.033815, "prompt": 478, "max_tokens": 55, "status": 200, "outcome": "ok", "chunks": [0.124898, 0.136562, 0.150013], "usage": {"prompt_tokens": 478, "total_tokens": 533, "completion_tokens": 55}, "send": 0.036232, "headers_at": 0.03945, "done": 1.105311, "end": 1.105531}
{"i": 179, "sched": 22.971548, "prompt": 170, "max_tokens": 124, "status": 200, "outcome": "ttft_timeout", "chunks": [], "usage": null, "send": 22.973728, "headers_at": 22.982008, "end": 30.988659}
{"i": 43, "sched": 3.317707, "prompt": 265, "max_tokens": 125, "status": null, "outcome": "exc", "chunks": [], "end": 7.580678}
"#;

    fn parse_all(text: &[u8]) -> Result<Trace, TraceError> {
        Trace::read(&mut *open_bytes(Cursor::new(text.to_vec()), "run.jsonl", &Options::default())?)
    }

    #[test]
    fn a_measured_run_reads_into_records() {
        let trace = parse_all(RUN.as_bytes()).unwrap();
        assert_eq!((trace.rows, trace.out_of_order, trace.head.format), (3, 1, Format::Driver));
        let [first, broken, left] = &trace.records[..] else { panic!("three records") };
        assert_eq!((first.arrival.as_nanos(), first.lengths()), (33_815_000, Some((478, 55))));
        assert_eq!(first.sent.map(Time::as_nanos), Some(36_232_000));
        assert_eq!(first.first_byte.map(Time::as_nanos), Some(124_898_000));
        assert_eq!(first.last_byte.map(Time::as_nanos), Some(150_013_000));
        assert_eq!(first.chunks.len(), 3);
        assert_eq!((first.received_tokens, first.status, first.ended), (Some(55), Some(200), Some(Ended::Complete)));
        assert_eq!((left.output_tokens, left.ended), (Some(124), Some(Ended::FirstTokenTimeout)));
        assert_eq!((broken.sent, broken.status, broken.ended), (Some(broken.arrival), None, Some(Ended::Broken)));
    }

    /// The rows of a measured run, outcomes as its README counts them.
    #[test]
    fn the_recorded_overload_run_reads_whole() {
        let run = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/runs/vllm_cpu_16m_overload.jsonl.zst");
        let trace = crate::trace::read(&run).unwrap();
        let left = trace.records.iter().filter(|record| record.ended == Some(Ended::FirstTokenTimeout)).count();
        assert_eq!((trace.rows, trace.fates.lost(), left), (783, 0, 267));
        // A piece of the stream may hold more than one token, and none holds less.
        let received = |record: &Record| record.received_tokens.map_or(0, |tokens| tokens as usize);
        let mut complete = trace.records.iter().filter(|record| record.is_complete());
        assert!(complete.all(|record| (1..=received(record)).contains(&record.chunks.len())));
    }

    #[test]
    fn marks_blank_lines_and_windows_line_ends_change_nothing() {
        let windows = format!("\u{FEFF}{}\r\n", RUN.replace('\n', "\r\n"));
        assert_eq!(parse_all(windows.as_bytes()), parse_all(RUN.as_bytes()));
    }

    #[test]
    fn each_mistake_says_where_it_is_and_what_would_be_right() {
        let said = |from: &str, to: &str| parse_all(RUN.replace(from, to).as_bytes()).unwrap_err().to_string();
        for (said, expected) in [
            (said(r#""sched": 22.971548, "#, ""), "run.jsonl, line 2: there is no `sched`"),
            (said("22.971548", "-1"), "run.jsonl, line 2: `sched` is `-1`: expected seconds, at least 0, like 12.25"),
            (
                said(r#""prompt": 170"#, r#""prompt": "many""#),
                "run.jsonl, line 2: `prompt` is `\"many\"`: expected a whole number of tokens, at least 0 and below 2^32",
            ),
            (
                said("exc", "odd"),
                "run.jsonl, line 3: `outcome` is `\"odd\"`: expected ok, ttft_timeout, timeout, http_error, exc or eof",
            ),
            (
                said("0.136562, 0.150013", "0.15, 0.14"),
                "run.jsonl, line 1: `chunks` is `[0.124898,0.15,0.14]`: expected a list of times in seconds, in order",
            ),
        ] {
            assert_eq!(said, expected);
        }
        let cut = parse_all(format!("{RUN}{{\"sched\": 1, ").as_bytes()).unwrap_err();
        assert!(matches!(cut, TraceError::Row { line: 4, problem: RowProblem::Json { .. }, .. }), "{cut}");
        assert!(matches!(parse_all(b"\n\n"), Err(TraceError::Empty { .. })));
        let text = parse_all(&[RUN.as_bytes(), b"{\"a\": \"\xFF\"}\n"].concat()).unwrap_err();
        assert!(matches!(text, TraceError::Row { problem: RowProblem::NotUtf8 { .. }, .. }), "{text}");
    }

    proptest! {
        /// Whatever the bytes, an answer and no panic.
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..900, byte: u8) {
            let _ = parse_all(&bytes);
            let mut damaged = RUN.as_bytes().to_vec();
            let at = at % damaged.len();
            damaged[at] = byte;
            if let Ok(trace) = parse_all(&damaged) {
                prop_assert_eq!(trace.rows, trace.records.len() as u64 + trace.fates.lost());
            }
        }
    }
}

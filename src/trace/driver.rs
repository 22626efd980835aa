//! The load driver's own records: JSON Lines, one object for each request, times in seconds since the run's start.
//!
//! Fields: `sched` (intended arrival), `send`, `chunks` (when each piece of the stream came), `end`, `prompt` and `max_tokens`
//! (tokens), `status`, `usage.completion_tokens`, and `outcome`: `ok`, `ttft_timeout`, `timeout`, `http_error`, `exc` or
//! `eof`; others are ignored. The driver asks the server to generate all `max_tokens` (`ignore_eos`), so that is the length
//! of an answer that did not become complete. A record that was never sent has no `send`: its `sched` stands in.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::csv::time;
use super::error::{RowProblem, TraceError, excerpt};
use super::record::{Ended, Measured, Record, Trace};
use crate::time::Time;

type Fields = Map<String, Value>;

pub(super) fn read(text: &mut dyn BufRead, file: &str) -> Result<Trace, TraceError> {
    let mut trace = Trace::default();
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let failed = |error: std::io::Error| TraceError::Read { file: file.to_owned(), line, reason: error.to_string() };
        if text.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            break;
        }
        line += 1;
        let at_line = |problem| TraceError::Row { file: file.to_owned(), line, problem };
        if let Some(record) = parse(&bytes).map_err(at_line)? {
            trace.take(line, record);
        }
    }
    if trace.rows == 0 { Err(TraceError::Empty { file: file.to_owned() }) } else { Ok(trace.sorted()) }
}

/// One line's record; `None` for a blank line.
fn parse(bytes: &[u8]) -> Result<Option<Record>, RowProblem> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let not_utf8 = |_| RowProblem::NotUtf8 { text: excerpt(&String::from_utf8_lossy(bytes)) };
    let text = str::from_utf8(bytes).map_err(not_utf8)?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let not_json =
        |error: serde_json::Error| RowProblem::Json { column: error.column(), reason: error.to_string(), text: excerpt(text) };
    record(&serde_json::from_str::<Fields>(text).map_err(not_json)?).map(Some)
}

fn record(fields: &Fields) -> Result<Record, RowProblem> {
    let arrival = seconds(fields, "sched")?.ok_or(RowProblem::Missing { column: "sched" })?;
    let asked = tokens(fields, "max_tokens")?;
    let measured = measured(fields, arrival)?;
    let complete = measured.ended == Ended::Complete && measured.tokens > 0;
    Ok(Record {
        arrival,
        input_tokens: tokens(fields, "prompt")?,
        output_tokens: if complete { measured.tokens } else { asked },
        class: None,
        measured: Some(measured),
    })
}

fn measured(fields: &Fields, arrival: Time) -> Result<Measured, RowProblem> {
    let chunks = chunks(fields)?;
    let counted = fields.get("usage").and_then(|usage| usage.get("completion_tokens")).and_then(Value::as_u64);
    let tokens = u32::try_from(counted.unwrap_or(chunks.len() as u64));
    let sent = seconds(fields, "send")?.unwrap_or(arrival);
    Ok(Measured {
        sent,
        first_token: chunks.first().copied(),
        last_token: chunks.last().copied(),
        end: seconds(fields, "end")?.ok_or(RowProblem::Missing { column: "end" })?,
        tokens: tokens.map_err(|_| wrong("usage", &fields["usage"], "completion_tokens below 2^32"))?,
        status: status(fields)?,
        ended: ended(fields)?,
    })
}

fn ended(fields: &Fields) -> Result<Ended, RowProblem> {
    let value = fields.get("outcome").ok_or(RowProblem::Missing { column: "outcome" })?;
    match value.as_str() {
        Some("ok") => Ok(Ended::Complete),
        Some("ttft_timeout") => Ok(Ended::FirstTokenTimeout),
        Some("timeout") => Ok(Ended::TotalTimeout),
        Some("http_error") => Ok(Ended::Refused),
        Some("eof") => Ok(Ended::Cut),
        Some("exc") => Ok(Ended::Broken),
        _ => Err(wrong("outcome", value, "ok, ttft_timeout, timeout, http_error, exc or eof")),
    }
}

fn status(fields: &Fields) -> Result<Option<u16>, RowProblem> {
    let Some(value) = present(fields, "status") else { return Ok(None) };
    let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
    status.map(Some).ok_or_else(|| wrong("status", value, "an HTTP status, like 200"))
}

fn chunks(fields: &Fields) -> Result<Vec<Time>, RowProblem> {
    const EXPECTED: &str = "a list of times in seconds, in order";
    let Some(value) = present(fields, "chunks") else { return Ok(Vec::new()) };
    let listed = value.as_array().ok_or_else(|| wrong("chunks", value, EXPECTED))?;
    let times: Option<Vec<Time>> = listed.iter().map(|chunk| chunk.as_f64().and_then(time)).collect();
    times.filter(|times| times.is_sorted()).ok_or_else(|| wrong("chunks", value, EXPECTED))
}

/// A field that is there and not null.
fn present<'a>(fields: &'a Fields, column: &str) -> Option<&'a Value> {
    fields.get(column).filter(|value| !value.is_null())
}

fn seconds(fields: &Fields, column: &'static str) -> Result<Option<Time>, RowProblem> {
    let Some(value) = present(fields, column) else { return Ok(None) };
    let at = value.as_f64().and_then(time);
    at.map(Some).ok_or_else(|| wrong(column, value, "seconds, at least 0, like 12.25"))
}

fn tokens(fields: &Fields, column: &'static str) -> Result<u32, RowProblem> {
    let value = fields.get(column).ok_or(RowProblem::Missing { column })?;
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| wrong(column, value, "a whole number of tokens, at least 0 and below 2^32"))
}

fn wrong(column: &'static str, value: &Value, expected: &'static str) -> RowProblem {
    RowProblem::Value { column, text: excerpt(&value.to_string()), expected }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Three lines of a measured run (vLLM 0.32 on CPU, 1.5 times its capacity, clients leaving after 8 s), shortened.
    const RUN: &str = r#"{"i": 0, "sched": 0.033815, "prompt": 478, "max_tokens": 55, "status": 200, "outcome": "ok", "chunks": [0.124898, 0.136562, 0.150013], "usage": {"prompt_tokens": 478, "total_tokens": 533, "completion_tokens": 55}, "send": 0.036232, "headers_at": 0.03945, "done": 1.105311, "end": 1.105531}
{"i": 179, "sched": 22.971548, "prompt": 170, "max_tokens": 124, "status": 200, "outcome": "ttft_timeout", "chunks": [], "usage": null, "send": 22.973728, "headers_at": 22.982008, "end": 30.988659}
{"i": 43, "sched": 3.317707, "prompt": 265, "max_tokens": 125, "status": null, "outcome": "exc", "chunks": [], "end": 7.580678}
"#;

    fn parse_all(text: &[u8]) -> Result<Trace, TraceError> {
        read(&mut &text[..], "run.jsonl")
    }

    #[test]
    fn a_measured_run_reads_into_records() {
        let trace = parse_all(RUN.as_bytes()).unwrap();
        assert_eq!((trace.rows, trace.out_of_order), (3, 1));
        let [first, broken, left] = &trace.records[..] else { panic!("three records") };
        assert_eq!((first.arrival.as_nanos(), first.input_tokens, first.output_tokens), (33_815_000, 478, 55));
        let measured = first.measured.as_ref().unwrap();
        assert_eq!(measured.sent.as_nanos(), 36_232_000);
        assert_eq!(measured.first_token.map(Time::as_nanos), Some(124_898_000));
        assert_eq!(measured.last_token.map(Time::as_nanos), Some(150_013_000));
        assert_eq!((measured.tokens, measured.status, measured.ended), (55, Some(200), Ended::Complete));
        assert_eq!((left.output_tokens, left.measured.as_ref().unwrap().ended), (124, Ended::FirstTokenTimeout));
        let measured = broken.measured.as_ref().unwrap();
        assert_eq!((measured.sent, measured.status, measured.ended), (broken.arrival, None, Ended::Broken));
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
        let cut = parse_all(br#"{"sched": 1, "#).unwrap_err();
        assert!(matches!(cut, TraceError::Row { line: 1, problem: RowProblem::Json { .. }, .. }), "{cut}");
        assert!(matches!(parse_all(b"\n\n"), Err(TraceError::Empty { .. })));
        let text = parse_all(b"{\"a\": \"\xFF\"}\n").unwrap_err();
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
                prop_assert_eq!(trace.rows, (trace.records.len() + trace.dropped.len()) as u64);
            }
        }
    }
}

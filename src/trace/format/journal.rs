//! Plimsoll's own journal (`simulate --journal`): one record for each request, its tries folded into it.
//!
//! Of the events only those are read that a record is made of: the run's head, a request, its attempts' arrivals and relays,
//! and its end. Rows come in the order in which requests end; those that never do come last. Of several runs in one journal the first
//! is read.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use super::Format;
use super::objects::{Fields, ObjectLines};
use crate::rng::mix;
use crate::time::Time;
use crate::trace::error::{About, RowProblem, Seconds, TraceError, excerpt};
use crate::trace::names::Names;
use crate::trace::reader::{Dropped, Head, Reader, Row};
use crate::trace::record::{Ended, Key, Record};
use crate::trace::source::Source;

/// The keys that tell of it.
pub(super) const SIGNATURE: &[&str] = &["t", "run"];

/// Tokens in a block of a shared prefix: vLLM's default.
const BLOCK_TOKENS: u32 = 16;
/// Most requests in flight that are remembered.
const OPEN_MAX: usize = 1 << 20;
const ONE_RUN: &str = "the journal holds several runs: only the first was read";

#[derive(Deserialize)]
struct RunHead {
    variant: String,
    replication: u32,
    classes: Vec<String>,
}

#[derive(Deserialize)]
struct Request {
    id: u64,
    class: usize,
    tenant: u32,
    arrival: u64,
    input_tokens: u32,
    output_tokens: u32,
    prefix: Option<Prefix>,
}

#[derive(Deserialize)]
struct Prefix {
    group: u32,
    tokens: u32,
}

#[derive(Copy, Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    idx: u32,
    version: u32,
}

#[derive(Deserialize)]
struct Arrival {
    id: Id,
    request: u64,
}

#[derive(Deserialize)]
struct Relay {
    attempt: Id,
}

#[derive(Deserialize)]
struct Finish {
    request: u64,
    outcome: Value,
}

/// A journal.
pub(super) struct Journal {
    lines: ObjectLines,
    head: Head,
    names: Names,
    classes: Vec<String>,
    open: BTreeMap<u64, Open>,
    attempts: BTreeMap<Id, u64>,
    ready: VecDeque<Row>,
    runs: u32,
    any: bool,
    over: bool,
    /// Time of the latest line that was in order, nanoseconds.
    latest: u64,
}

/// A request that has not ended.
struct Open {
    record: Record,
    attempts: Vec<Id>,
}

impl Journal {
    pub fn new(source: Source, recognised_by: String) -> Self {
        let mut head = Head::new(&source.file, Format::Journal, recognised_by);
        head.block_tokens = Some(BLOCK_TOKENS);
        head.notes.push("one record for each request: retries are folded in".to_owned());
        Self {
            lines: ObjectLines::new(source),
            head,
            names: Names::default(),
            classes: Vec::new(),
            open: BTreeMap::new(),
            attempts: BTreeMap::new(),
            ready: VecDeque::new(),
            runs: 0,
            any: false,
            over: false,
            latest: 0,
        }
    }

    fn event(&mut self, row: u64, mut event: Fields) -> Result<(), RowProblem> {
        let t = event.get("t").and_then(Value::as_u64).ok_or_else(|| missing("t"))?;
        if let Some(head) = event.remove("run") {
            self.latest = t; // each run begins anew
            self.run(parsed("run", &head)?);
            return Ok(());
        }
        in_order(self.latest, t)?;
        self.latest = t;
        let t = Time::from_nanos(t);
        if let Some(request) = event.remove("request") {
            self.request(t, row, &parsed("request", &request)?)?;
        } else if let Some(arrival) = event.get("in").and_then(|input| input.get("arrive")) {
            self.arrive(t, &parsed("in", arrival)?);
        } else if let Some(relay) = event.get("out").and_then(|action| action.get("relay")) {
            self.relay(t, &parsed("out", relay)?);
        } else if let Some(finish) = event.remove("finish") {
            self.finish(t, &parsed("finish", &finish)?)?;
        } else if event.contains_key("end") {
            self.close();
        }
        Ok(())
    }

    fn run(&mut self, head: RunHead) {
        self.runs += 1;
        if self.runs > 1 {
            self.head.notes.push(ONE_RUN.to_owned());
            return self.close();
        }
        self.head.recognised_by =
            format!("{}, of variant {}, replication {}", self.head.recognised_by, head.variant, head.replication);
        self.classes = head.classes;
    }

    fn request(&mut self, t: Time, row: u64, request: &Request) -> Result<(), RowProblem> {
        in_order(request.arrival, t.as_nanos())?;
        let class = self.classes.get(request.class).ok_or_else(|| missing("class"))?;
        let mut record = Record {
            row,
            arrival: Time::from_nanos(request.arrival),
            input_tokens: Some(request.input_tokens),
            output_tokens: Some(request.output_tokens),
            class: self.names.classes.id(class),
            request: Key::of(&request.id.to_le_bytes()),
            prefix: request.prefix.as_ref().map(blocks).unwrap_or_default(),
            ..Record::default()
        };
        if request.tenant > 0 {
            record.tenant = self.names.tenants.id(&format!("tenant-{}", request.tenant));
        }
        record.settle_lengths(|field| field.name().into())?;
        if self.open.len() >= OPEN_MAX
            && let Some((_, oldest)) = self.open.pop_first()
        {
            self.give(oldest);
        }
        if let Some(replaced) = self.open.insert(request.id, Open { record, attempts: Vec::new() }) {
            self.give(replaced);
        }
        Ok(())
    }

    fn arrive(&mut self, t: Time, arrival: &Arrival) {
        let Some(open) = self.open.get_mut(&arrival.request) else { return };
        open.record.sent.get_or_insert(t.max(open.record.arrival));
        open.attempts.push(arrival.id);
        self.attempts.insert(arrival.id, arrival.request);
    }

    fn relay(&mut self, t: Time, relay: &Relay) {
        let request = self.attempts.get(&relay.attempt);
        if let Some(open) = request.and_then(|request| self.open.get_mut(request)) {
            open.record.first_byte = Some(t);
        }
    }

    fn finish(&mut self, t: Time, finish: &Finish) -> Result<(), RowProblem> {
        let ended = ended(&finish.outcome)?;
        let Some(mut open) = self.open.remove(&finish.request) else { return Ok(()) };
        open.record.end = Some(t);
        open.record.ended = Some(ended);
        open.record.last_byte = (ended == Ended::Complete).then_some(t);
        self.give(open);
        Ok(())
    }

    fn give(&mut self, open: Open) {
        for attempt in &open.attempts {
            self.attempts.remove(attempt);
        }
        self.ready.push_back(Row::Record(open.record));
    }

    /// The run is over: what is open stays in flight.
    fn close(&mut self) {
        while let Some((_, open)) = self.open.pop_first() {
            self.give(open);
        }
        self.over = self.runs > 1;
    }
}

/// How a request ended, by its column in the journal.
fn ended(outcome: &Value) -> Result<Ended, RowProblem> {
    let name = match outcome {
        Value::String(name) => Some(name.as_str()),
        Value::Object(object) => object.keys().next().map(String::as_str),
        _ => None,
    };
    Ok(match name {
        Some("good" | "late" | "degraded") => Ended::Complete,
        Some("rejected") => Ended::Refused,
        Some("timed_out") => Ended::TimedOut,
        Some("gave_up") => Ended::Left,
        Some("failed") => Ended::Failed,
        _ => return Err(wrong("outcome", outcome, "good, late, degraded, rejected, timed_out, gave_up or failed")),
    })
}

/// The blocks of a shared prefix: those of one group are the same as far as they go.
fn blocks(prefix: &Prefix) -> Box<[u64]> {
    (0..u64::from(prefix.tokens / BLOCK_TOKENS).min(65_536)).map(|block| mix(u64::from(prefix.group), block)).collect()
}

pub(super) fn parsed<T: serde::de::DeserializeOwned>(column: &'static str, value: &Value) -> Result<T, RowProblem> {
    let shown = || excerpt(&value.to_string());
    T::deserialize(value).map_err(|_| RowProblem::Value {
        column: column.into(),
        text: shown(),
        expected: "what `--journal` writes",
        about: About::Other,
    })
}

/// Refuses a line whose time lies before what it follows: an earlier line, or the arrival that it tells of.
pub(super) fn in_order(earlier: u64, t: u64) -> Result<(), RowProblem> {
    let Some(early) = earlier.checked_sub(t).filter(|early| *early > 0) else { return Ok(()) };
    Err(RowProblem::Backwards { column: "t", secs: Seconds { nanos: i64::try_from(early).unwrap_or(i64::MAX) } })
}

pub(super) fn missing(column: &'static str) -> RowProblem {
    RowProblem::Missing { column: column.into(), about: About::Other }
}

fn wrong(column: &'static str, value: &Value, expected: &'static str) -> RowProblem {
    RowProblem::Value { column: column.into(), text: excerpt(&value.to_string()), expected, about: About::Other }
}

impl Reader for Journal {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        while self.ready.is_empty() && !self.over {
            let Some((row, found)) = self.lines.next()? else {
                self.close();
                self.over = true;
                break;
            };
            if let Err(problem) = found.and_then(|event| self.event(row, event)) {
                self.ready.push_back(Row::Dropped(Dropped { row, problem }));
            }
        }
        let row = self.ready.pop_front();
        if row.is_none() && !self.any {
            self.any = true;
            return Err(TraceError::Empty { file: self.head.file.clone() });
        }
        self.any = true;
        Ok(row)
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn names(&self) -> &Names {
        &self.names
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;

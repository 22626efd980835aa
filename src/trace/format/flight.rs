//! The segments of a gateway's flight recorder (`serve --journal`): one record for each attempt that it was told of.
//!
//! A gateway knows estimates: a prompt is as long as it took it for, until the upstream says what was used. How long an answer became is
//! known where the upstream said it; of an attempt that got none it is unknown. What was in flight when the segment began arrived before
//! it, and is left out. Times are since the gateway's start. Segments behind each other, as `zstd -dc` puts them, are one log.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use super::Format;
use super::journal::{Id, in_order, missing, parsed};
use super::objects::{Fields, ObjectLines};
use crate::time::Time;
use crate::trace::error::{RowProblem, TraceError};
use crate::trace::names::Names;
use crate::trace::reader::{Dropped, Head, Reader, Row};
use crate::trace::record::{Ended, Record};
use crate::trace::source::Source;

/// The keys that tell of it.
pub(super) const SIGNATURE: &[&str] = &["t", "segment"];

/// Most attempts in flight that are remembered.
const OPEN_MAX: usize = 1 << 20;
const MISSED: &str = "between segments the recorder missed some of what happened: attempts that fell into it are not here";

#[derive(Deserialize)]
struct SegmentHead {
    missed: u64,
    classes: Vec<String>,
}

#[derive(Deserialize)]
struct Arrival {
    id: Id,
    class: usize,
    tenant: u32,
    number: u16,
    input_estimate: u32,
}

#[derive(Deserialize)]
struct Start {
    attempt: Id,
    call: Id,
}

#[derive(Deserialize)]
struct CallEnded {
    call: Id,
    end: Value,
}

#[derive(Deserialize)]
struct Usage {
    input: u32,
    output: u32,
}

#[derive(Deserialize)]
struct Of {
    attempt: Id,
}

#[derive(Deserialize)]
struct Refused {
    attempt: Id,
    refusal: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    status: u16,
    kind: Value,
}

/// Segments.
pub(super) struct Flight {
    lines: ObjectLines,
    head: Head,
    names: Names,
    classes: Vec<String>,
    open: BTreeMap<Id, Record>,
    calls: BTreeMap<Id, Id>,
    ready: VecDeque<Row>,
    any: bool,
    over: bool,
    /// Time of the latest line that was in order, nanoseconds.
    latest: u64,
}

impl Flight {
    pub fn new(source: Source, recognised_by: String) -> Self {
        let mut head = Head::new(&source.file, Format::Journal, recognised_by);
        head.notes
            .push("a gateway's flight recorder: one record for each attempt, prompts as long as it took them for".to_owned());
        Self {
            lines: ObjectLines::new(source),
            head,
            names: Names::default(),
            classes: Vec::new(),
            open: BTreeMap::new(),
            calls: BTreeMap::new(),
            ready: VecDeque::new(),
            any: false,
            over: false,
            latest: 0,
        }
    }

    fn event(&mut self, row: u64, mut event: Fields) -> Result<(), RowProblem> {
        let t = event.get("t").and_then(Value::as_u64).ok_or_else(|| missing("t"))?;
        in_order(self.latest, t)?;
        self.latest = t;
        let t = Time::from_nanos(t);
        if let Some(head) = event.remove("segment") {
            self.segment(parsed("segment", &head)?);
        } else if let Some(Value::Object(input)) = event.get("in") {
            if let Some(arrival) = input.get("arrive") {
                self.arrive(t, row, &parsed("in", arrival)?)?;
            } else if let Some(ended) = input.get("ended") {
                self.call_ended(&parsed("in", ended)?);
            } else if let Some(gone) = input.get("gone") {
                self.over(parsed::<Of>("in", gone)?.attempt, t, Ended::Left, Some(499));
            }
        } else if let Some(Value::Object(action)) = event.get("out") {
            self.action(t, action)?;
        }
        Ok(())
    }

    fn segment(&mut self, head: SegmentHead) {
        if head.missed > 0 && !self.head.notes.iter().any(|note| note == MISSED) {
            self.head.notes.push(MISSED.to_owned());
        }
        self.classes = head.classes;
    }

    fn arrive(&mut self, t: Time, row: u64, arrival: &Arrival) -> Result<(), RowProblem> {
        let class = self.classes.get(arrival.class).ok_or_else(|| missing("class"))?;
        let tenant = if arrival.tenant > 0 { self.names.tenants.id(&format!("tenant-{}", arrival.tenant)) } else { None };
        let record = Record {
            row,
            arrival: t,
            sent: Some(t),
            input_tokens: Some(arrival.input_estimate),
            class: self.names.classes.id(class),
            tenant,
            attempt: Some(arrival.number),
            ..Record::default()
        };
        if self.open.len() >= OPEN_MAX
            && let Some((_, oldest)) = self.open.pop_first()
        {
            self.give(oldest);
        }
        if let Some(replaced) = self.open.insert(arrival.id, record) {
            self.give(replaced);
        }
        Ok(())
    }

    fn action(&mut self, t: Time, action: &serde_json::Map<String, Value>) -> Result<(), RowProblem> {
        if let Some(start) = action.get("start") {
            let Start { attempt, call } = parsed("out", start)?;
            self.calls.insert(call, attempt);
        } else if let Some(relay) = action.get("relay") {
            let Of { attempt } = parsed("out", relay)?;
            if let Some(record) = self.open.get_mut(&attempt) {
                record.first_byte = Some(t);
            }
        } else if let Some(complete) = action.get("complete") {
            self.over(parsed::<Of>("out", complete)?.attempt, t, Ended::Complete, Some(200));
        } else if let Some(refused) = action.get("answer").or_else(|| action.get("cut")) {
            let Refused { attempt, refusal } = parsed("out", refused)?;
            self.over(attempt, t, ended(&refusal.kind), Some(refusal.status));
        }
        Ok(())
    }

    /// What a call used is its attempt's, as far as the upstream says it.
    fn call_ended(&mut self, ended: &CallEnded) {
        let Some(attempt) = self.calls.remove(&ended.call) else { return };
        let usage = ended.end.get("ok").and_then(|ok| ok.get("usage")).and_then(|usage| Usage::deserialize(usage).ok());
        if let (Some(record), Some(usage)) = (self.open.get_mut(&attempt), usage) {
            record.input_tokens = Some(usage.input);
            record.output_tokens = Some(usage.output);
        }
    }

    fn over(&mut self, attempt: Id, t: Time, ended: Ended, status: Option<u16>) {
        let Some(mut record) = self.open.remove(&attempt) else { return };
        record.end = Some(t);
        record.last_byte = (ended == Ended::Complete).then_some(t);
        (record.ended, record.status) = (Some(ended), status);
        self.give(record);
    }

    /// One that is not over has no lengths yet, and stays out.
    fn give(&mut self, mut record: Record) {
        let row = record.row;
        let settled = record.settle_lengths(|field| field.name().into());
        self.ready.push_back(settled.map_or_else(|problem| Row::Dropped(Dropped { row, problem }), |()| Row::Record(record)));
    }

    fn close(&mut self) {
        while let Some((_, record)) = self.open.pop_first() {
            self.give(record);
        }
        self.over = true;
    }
}

/// How an attempt ended, by the kind of its refusal: what the upstream refused for load or rate was refused, as in any other log.
fn ended(kind: &Value) -> Ended {
    let upstream = kind.get("upstream").and_then(Value::as_str);
    match (kind.as_str(), upstream) {
        (Some("timed_out"), _) => Ended::TimedOut,
        (_, Some("overloaded" | "rate_limited")) => Ended::Refused,
        (_, Some("connection" | "proxy")) => Ended::Broken,
        (_, Some(_)) => Ended::Failed,
        _ => Ended::Refused,
    }
}

impl Reader for Flight {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        while self.ready.is_empty() && !self.over {
            let Some((row, found)) = self.lines.next()? else {
                self.close();
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
#[path = "flight_tests.rs"]
mod tests;

//! From the values of a row to a record, by a map: the one place where rows of all tables and objects become records.

use std::borrow::Cow;

use serde_json::Value;

use super::cell::{Cell, Cells, time_expected};
use super::clock::{Clock, not_before};
use super::error::{About, RowProblem, TraceError};
use super::map::{Field, Map, TimeKind};
use super::names::Names;
use super::reader::{Dropped, Head, Row};
use super::record::{Ended, Key, Record};
use super::sessions::Sessions;

pub(super) const TOKENS: &str = "a whole number of tokens, at least 0 and below 2^32";
const STATUS: &str = "an HTTP status like 200, or success, failure, timeout, cancelled, rejected";

/// What an answer of 0 tokens means where the row does not say that it failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum EmptyAnswer {
    /// Nothing that could be replayed.
    Drops,
    /// That the request failed in the source.
    Failed,
}

/// One column to look at.
#[derive(Clone, Debug)]
struct Step {
    field: Field,
    column: String,
    kind: TimeKind,
    at: usize,
}

/// Makes records from rows.
pub(super) struct Assembler {
    pub head: Head,
    pub names: Names,
    steps: Vec<Step>,
    clock: Clock,
    sessions: Sessions,
    empty_answer: EmptyAnswer,
}

/// What is known of a row while its columns are looked at. Times are in the log's own nanoseconds.
#[derive(Default)]
struct Draft {
    seen: u32,
    arrival: Option<i64>,
    sent: Option<i64>,
    first_byte: Option<i64>,
    last_byte: Option<i64>,
    end: Option<i64>,
    duration: Option<i64>,
    ttft: Option<i64>,
    failed: bool,
    turn: Turn,
    record: Record,
}

/// What a log says of a request's place in a conversation.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Unsaid,
    First,
    After(Option<Key>),
}

impl Assembler {
    /// An assembler for a map whose columns are numbered in its order, but for those that are `None` in `places`.
    ///
    /// # Errors
    /// If the map mixes times since 1970 with times since the log's own zero, or does not say when requests arrive.
    pub fn new(head: Head, map: &Map, places: &[Option<usize>], empty_answer: EmptyAnswer) -> Result<Self, TraceError> {
        let found = map.columns.iter().zip(places);
        let steps: Vec<Step> = found
            .filter_map(|(mapped, at)| {
                let (field, column, kind) = (mapped.field, mapped.column.clone(), mapped.kind);
                at.map(|at| Step { field, column, kind, at })
            })
            .collect();
        let has = |field: Field| steps.iter().any(|step| step.field == field);
        let dated = has(Field::Arrival) || (has(Field::End) && has(Field::Duration));
        if !dated {
            let why = "the map does not say when requests arrive: it needs `arrival`, or `end` and `duration`";
            return Err(TraceError::Map(format!("{}: {why}", head.file)));
        }
        let mut times = steps.iter().filter(|step| step.field.is_time());
        let wall = times.next().is_some_and(|step| step.kind.is_wall());
        if let Some(other) = times.find(|step| step.kind.is_wall() != wall) {
            let why = format!("`{}` is of another clock than `{}`", other.field.name(), steps[0].field.name());
            let help = "all times must be since 1970 (unix_*, iso8601), or all since the log's own zero";
            return Err(TraceError::Map(format!("{}: {why}: {help}", head.file)));
        }
        Ok(Self { head, names: Names::default(), steps, clock: Clock::new(wall), sessions: Sessions::default(), empty_answer })
    }

    /// The row that these values make.
    pub fn row(&mut self, row: u64, cells: &impl Cells) -> Row {
        match self.record(row, cells) {
            Ok(record) => {
                self.head.origin = self.clock.origin();
                Row::Record(record)
            }
            Err(problem) => Row::Dropped(Dropped { row, problem }),
        }
    }

    fn record(&mut self, row: u64, cells: &impl Cells) -> Result<Record, RowProblem> {
        let mut draft = Draft { record: Record { row, ..Record::default() }, ..Draft::default() };
        for step in &self.steps {
            let bit = 1 << (step.field as u32);
            if draft.seen & bit == 0 {
                let cell = cells.cell(step.at);
                if !cell.is_missing() {
                    draft.seen |= bit;
                    draft.take(step, cell, &mut self.names)?;
                }
            }
        }
        let missing = || RowProblem::Missing { column: column(&self.steps, Field::Arrival), about: About::Time };
        let arrival = draft.arrives().ok_or_else(missing)?;
        draft.settle_end();
        draft.settle_lengths(self.empty_answer, |field| column(&self.steps, field))?;
        draft.settle_times(arrival, &mut self.clock)?;
        let before = if let Turn::After(before) = draft.turn { before } else { None };
        if let Some(own) = draft.record.request.filter(|_| draft.turn != Turn::Unsaid) {
            draft.record.session = Some(self.sessions.of(own, before));
        }
        Ok(draft.record)
    }
}

/// The first column that is mapped to a field, for messages.
fn column(steps: &[Step], field: Field) -> Cow<'static, str> {
    let step = steps.iter().find(|step| step.field == field);
    step.map_or(Cow::Borrowed(field.name()), |step| Cow::Owned(step.column.clone()))
}

impl Draft {
    fn take(&mut self, step: &Step, cell: Cell<'_>, names: &mut Names) -> Result<(), RowProblem> {
        let record = &mut self.record;
        match step.field {
            Field::Arrival => self.arrival = Some(time(step, cell)?),
            Field::Sent => self.sent = Some(time(step, cell)?),
            Field::FirstByte => self.first_byte = Some(time(step, cell)?),
            Field::LastByte => self.last_byte = Some(time(step, cell)?),
            Field::End => self.end = Some(time(step, cell)?),
            Field::Duration => self.duration = Some(time(step, cell)?),
            Field::Ttft => self.ttft = Some(time(step, cell)?),
            Field::Input => record.input_tokens = Some(tokens(step, cell)?),
            Field::Output => record.output_tokens = Some(tokens(step, cell)?),
            Field::Class => record.class = cell.name().and_then(|name| names.classes.id(&name)),
            Field::Tenant => record.tenant = cell.name().and_then(|name| names.tenants.id(&name)),
            Field::Session => record.session = cell.key(),
            Field::Request => record.request = cell.key(),
            Field::Parent => self.turn = if cell.shown() == "-1" { Turn::First } else { Turn::After(cell.key()) },
            Field::Status => status(step, cell, record)?,
            Field::Error => match cell.tokens().and_then(http_error) {
                Some(status) => (record.status, record.ended) = (Some(status), Some(Ended::of_status(status))),
                None => self.failed = !matches!(cell, Cell::Json(Value::Bool(false))),
            },
            Field::Flags => super::format::envoy::flags(cell, record),
            Field::CacheHit => {
                if cell.flag().ok_or_else(|| cell.wrong(&step.column, About::Other, "true or false"))? {
                    return Err(RowProblem::CacheHit);
                }
            }
            Field::Images => record.images = tokens(step, cell)?,
            Field::Attempt => {
                let number = cell.tokens().and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
                let wrong = || cell.wrong(&step.column, About::Other, "the number of a try, from 1");
                record.attempt = Some(number.ok_or_else(wrong)?);
            }
            Field::Blocks => record.prefix = blocks(step, cell)?,
        }
        Ok(())
    }

    fn settle_end(&mut self) {
        if self.failed && self.record.ended.is_none_or(|ended| ended == Ended::Complete) {
            self.record.ended = Some(Ended::Failed);
        }
    }

    /// A request that failed may have no lengths: they are then unknown. One that did not must have both. Of an answer that was
    /// cut these logs count what came, which is not how long it would have been; a request that was turned away got nothing, so
    /// that a length there is one that was asked for.
    fn settle_lengths(
        &mut self,
        empty_answer: EmptyAnswer,
        column: impl Fn(Field) -> Cow<'static, str>,
    ) -> Result<(), RowProblem> {
        let record = &mut self.record;
        if empty_answer == EmptyAnswer::Failed && record.output_tokens == Some(0) && record.ended.is_none() {
            record.ended = Some(Ended::Failed);
        }
        let is_cut = record.ended.is_some_and(|ended| !matches!(ended, Ended::Complete | Ended::Refused));
        if let Some(came) = record.output_tokens.filter(|_| is_cut) {
            record.received_tokens = Some(came).filter(|came| *came > 0);
            record.output_tokens = None;
        }
        record.settle_lengths(column)
    }

    /// When it arrived: as the log says, or its end less its duration.
    fn arrives(&self) -> Option<i64> {
        let from_end = || self.end.zip(self.duration).and_then(|(end, lasting)| end.checked_sub(lasting));
        self.arrival.or_else(from_end)
    }

    fn settle_times(&mut self, arrival: i64, clock: &mut Clock) -> Result<(), RowProblem> {
        let after = |lasting: Option<i64>| lasting.and_then(|lasting| arrival.checked_add(lasting));
        // A later time of 0 is how tables without nulls write "not recorded".
        let recorded = |at: Option<i64>| at.filter(|at| *at != 0);
        // All of the row is looked at before its arrival moves the clock.
        let later = |at: Option<i64>, name| at.map(|at| not_before(arrival, at, name)).transpose();
        let first = later(recorded(self.first_byte).or_else(|| after(self.ttft)), "first_byte")?;
        let last = later(recorded(self.last_byte), "last_byte")?;
        let end = later(recorded(self.end).or_else(|| after(self.duration)), "end")?;
        let sent = later(self.sent.filter(|sent| *sent != 0 || arrival == 0), "sent")?;
        // A long answer whose first token comes with its end was not streamed: nobody saw a first token.
        let first = first.filter(|first| Some(*first) != end || self.record.output_tokens == Some(1));
        let record = &mut self.record;
        record.arrival = clock.arrival(arrival)?;
        record.first_byte = first.map(|at| clock.at(at));
        record.last_byte = last.map(|at| clock.at(at));
        record.end = end.map(|at| clock.at(at));
        record.sent = sent.map(|at| clock.at(at));
        // Spans and tables of latencies tell of errors alone: what has an end and none was complete.
        record.ended = record.ended.or_else(|| record.last_byte.or(record.end).map(|_| Ended::Complete));
        Ok(())
    }
}

impl Record {
    /// Decides about unknown and empty lengths; `column` names a field's column.
    pub(super) fn settle_lengths(&mut self, column: impl Fn(Field) -> Cow<'static, str>) -> Result<(), RowProblem> {
        let missing = |field: Field| RowProblem::Missing { column: column(field), about: About::Tokens };
        let may_be_unknown = self.ended.is_some_and(|ended| ended != Ended::Complete);
        match self.input_tokens {
            None | Some(0) if may_be_unknown => self.input_tokens = None,
            None => return Err(missing(Field::Input)),
            Some(0) => return Err(RowProblem::EmptyPrompt),
            Some(_) => {}
        }
        match self.output_tokens {
            None | Some(0) if may_be_unknown => self.output_tokens = None,
            None => return Err(missing(Field::Output)),
            Some(0) => return Err(RowProblem::EmptyAnswer),
            Some(_) => {}
        }
        Ok(())
    }
}

fn time(step: &Step, cell: Cell<'_>) -> Result<i64, RowProblem> {
    let nanos = cell.nanos(step.kind).filter(|nanos| step.kind.is_wall() || *nanos >= 0);
    nanos.ok_or_else(|| cell.wrong(&step.column, About::Time, time_expected(step.kind)))
}

fn tokens(step: &Step, cell: Cell<'_>) -> Result<u32, RowProblem> {
    cell.tokens().ok_or_else(|| cell.wrong(&step.column, About::Tokens, TOKENS))
}

/// A number that is the status of an error.
fn http_error(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// A status by number, or by word.
fn status(step: &Step, cell: Cell<'_>, record: &mut Record) -> Result<(), RowProblem> {
    let wrong = || cell.wrong(&step.column, About::Other, STATUS);
    if let Some(number) = cell.tokens() {
        let status = u16::try_from(number).ok().filter(|status| *status < 1000).ok_or_else(wrong)?;
        record.status = Some(status);
        record.ended = Some(Ended::of_status(status));
    } else {
        let said = cell.name().and_then(|word| ended(&word.to_ascii_lowercase())).ok_or_else(wrong)?;
        // An error's own status says more than "failure".
        let known = record.ended.filter(|known| said == Ended::Failed && *known != Ended::Complete);
        record.ended = known.or(Some(said));
    }
    Ok(())
}

/// How a request ended, in the words that logs use.
fn ended(word: &str) -> Option<Ended> {
    Some(match word {
        "ok" | "success" | "succeeded" | "complete" | "completed" | "done" | "finished" => Ended::Complete,
        "failure" | "failed" | "fail" | "error" => Ended::Failed,
        "timeout" | "timed_out" | "timedout" => Ended::TimedOut,
        "cancelled" | "canceled" | "aborted" | "abort" | "left" => Ended::Left,
        "rejected" | "refused" | "rate_limited" | "throttled" => Ended::Refused,
        _ => return None,
    })
}

fn blocks(step: &Step, cell: Cell<'_>) -> Result<Box<[u64]>, RowProblem> {
    let wrong = || cell.wrong(&step.column, About::Other, "a list of block hashes");
    let Cell::Json(Value::Array(list)) = cell else { return Err(wrong()) };
    let block = |value: &Value| match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned)),
        Value::String(text) => Key::of(text.as_bytes()).map(Key::bits),
        _ => None,
    };
    list.iter().map(block).collect::<Option<Box<[u64]>>>().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::trace::{Options, Row, open_bytes};

    #[test]
    fn what_came_of_an_answer_that_was_cut_is_not_its_length() {
        let text = "time,input_tokens,output_tokens,status\n1,10,800,200\n2,10,20,499\n3,10,20,504\n4,10,0,500\n5,10,64,429\n";
        let mut reader = open_bytes(Cursor::new(text), "log.csv", &Options::default()).unwrap();
        let mut lengths = Vec::new();
        while let Some(Row::Record(record)) = reader.next().unwrap() {
            lengths.push((record.output_tokens, record.received_tokens));
        }
        // What a refused request has for an answer can only be what it asked for.
        assert_eq!(lengths, [(Some(800), None), (None, Some(20)), (None, Some(20)), (None, None), (Some(64), None)]);
    }
}

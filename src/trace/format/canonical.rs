//! Plimsoll's own table, as `plimsoll trace convert` writes it: everything that a record holds, read back without loss.

use std::borrow::Cow;
use std::io;

use super::table::header;
use crate::time::Time;
use crate::trace::clock::{Clock, not_before};
use crate::trace::error::{About, RowProblem, TraceError, broken_off, excerpt, excerpt_of};
use crate::trace::names::Names;
use crate::trace::reader::{Dropped, Head, Reader, Row};
use crate::trace::record::{Ended, Key, Record};
use crate::trace::rows::Rows;
use crate::trace::source::Source;

use super::Format;

/// What a column of the table holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::trace) enum Column {
    Row,
    Arrival,
    Sent,
    FirstByte,
    LastByte,
    End,
    Input,
    Output,
    Received,
    Class,
    Tenant,
    Session,
    Request,
    Attempt,
    Status,
    Ended,
    Images,
    Blocks,
    Chunks,
}

/// The columns, in order.
pub(in crate::trace) const COLUMNS: [Column; 19] = [
    Column::Arrival,
    Column::Input,
    Column::Output,
    Column::Class,
    Column::Tenant,
    Column::Session,
    Column::Request,
    Column::Attempt,
    Column::Status,
    Column::Ended,
    Column::Sent,
    Column::FirstByte,
    Column::LastByte,
    Column::End,
    Column::Received,
    Column::Images,
    Column::Row,
    Column::Blocks,
    Column::Chunks,
];

/// By what the table is told from others.
pub(in crate::trace) const SIGNATURES: [&[&str]; 2] = [
    &["arrival_unix_ns", "input_tokens", "output_tokens", "ended", "source_row"],
    &["arrival_ns", "input_tokens", "output_tokens", "ended", "source_row"],
];

const BLOCKS: &str = "prefix_blocks";

impl Column {
    /// Its name.
    pub fn header(self, wall: bool, block_tokens: Option<u32>) -> Cow<'static, str> {
        let time = |wall_name, name| Cow::Borrowed(if wall { wall_name } else { name });
        match self {
            Self::Arrival => time("arrival_unix_ns", "arrival_ns"),
            Self::Sent => time("sent_unix_ns", "sent_ns"),
            Self::FirstByte => time("first_byte_unix_ns", "first_byte_ns"),
            Self::LastByte => time("last_byte_unix_ns", "last_byte_ns"),
            Self::End => time("end_unix_ns", "end_ns"),
            Self::Chunks => time("chunks_unix_ns", "chunks_ns"),
            Self::Blocks => block_tokens.map_or(Cow::Borrowed(BLOCKS), |tokens| Cow::Owned(format!("{BLOCKS}_{tokens}"))),
            Self::Row => Cow::Borrowed("source_row"),
            Self::Input => Cow::Borrowed("input_tokens"),
            Self::Output => Cow::Borrowed("output_tokens"),
            Self::Received => Cow::Borrowed("received_tokens"),
            Self::Class => Cow::Borrowed("class"),
            Self::Tenant => Cow::Borrowed("tenant"),
            Self::Session => Cow::Borrowed("session"),
            Self::Request => Cow::Borrowed("request"),
            Self::Attempt => Cow::Borrowed("attempt"),
            Self::Status => Cow::Borrowed("status"),
            Self::Ended => Cow::Borrowed("ended"),
            Self::Images => Cow::Borrowed("images"),
        }
    }
}

/// Reads the table.
pub(in crate::trace) struct Canonical {
    rows: Rows,
    head: Head,
    names: Names,
    clock: Clock,
    columns: Vec<Column>,
    done: bool,
    any: bool,
}

impl Canonical {
    pub fn new(source: Source, recognised_by: String) -> Result<Self, TraceError> {
        let file = source.file.clone();
        let mut rows = Rows::after(source.bytes, source.passed);
        let failed = |error: io::Error| TraceError::Read { file: file.clone(), line: 0, reason: broken_off(&error) };
        let Some((line, header)) = header(&mut rows).map_err(failed)? else { return Err(TraceError::Empty { file }) };
        let mut head = Head::new(&file, Format::Canonical, recognised_by);
        let wall = header.iter().any(|name| name == "arrival_unix_ns");
        head.block_tokens = header.iter().find_map(|name| name.strip_prefix(BLOCKS)?.strip_prefix('_')?.parse().ok());
        let known = |name: &String| COLUMNS.into_iter().find(|column| column.header(wall, head.block_tokens) == name.as_str());
        let columns = header.iter().map(|name| known(name).ok_or(name)).collect::<Result<Vec<_>, _>>();
        let columns = columns.map_err(|name| TraceError::OtherFormat {
            file: file.clone(),
            claimed: Format::Canonical.name(),
            why: format!("it has a column `{}`, which that table has not", excerpt(name)),
        })?;
        if let Some(column) = [Column::Arrival, Column::Input, Column::Output].iter().find(|column| !columns.contains(column)) {
            let column = column.header(wall, None).into_owned();
            return Err(TraceError::MissingColumn { file, line, column, header });
        }
        Ok(Self { rows, head, names: Names::default(), clock: Clock::new(wall), columns, done: false, any: false })
    }

    fn row(&mut self) -> io::Result<Option<Row>> {
        let Some(at) = self.rows.next()? else { return Ok(None) };
        let dropped =
            |problem: RowProblem| Some(Row::Dropped(Dropped { row: at.line, problem: problem.of_lines(at.line, at.last) }));
        let (found, expected) = (self.rows.fields(), self.columns.len());
        if at.too_long {
            return Ok(dropped(RowProblem::TooLong));
        }
        if found != expected {
            return Ok(dropped(RowProblem::Width { found: found as u64, expected: expected as u64 }));
        }
        Ok(match self.record(at.line) {
            Ok(record) => {
                self.head.origin = self.clock.origin();
                Some(Row::Record(record))
            }
            Err(problem) => dropped(problem),
        })
    }

    fn record(&mut self, line: u64) -> Result<Record, RowProblem> {
        let mut record = Record { row: line, ..Record::default() };
        let place = self.columns.iter().position(|column| *column == Column::Arrival).expect("it was looked for");
        let text = self.rows.field(place);
        let arrival = number(text).ok_or_else(|| wrong(Column::Arrival, text))?;
        record.arrival = self.clock.arrival(arrival)?;
        for (place, column) in self.columns.iter().enumerate() {
            let text = self.rows.field(place);
            if !text.is_empty() {
                column.follows(arrival, text)?;
                take(*column, text, &mut record, &self.clock, &mut self.names).ok_or_else(|| wrong(*column, text))?;
            }
        }
        Ok(record)
    }
}

impl Column {
    /// Refuses a time before the row's arrival; what is no time, or no number, is judged elsewhere.
    fn follows(self, arrival: i64, text: &[u8]) -> Result<(), RowProblem> {
        let name = match self {
            Self::Sent => "sent",
            Self::FirstByte => "first_byte",
            Self::LastByte => "last_byte",
            Self::End => "end",
            Self::Chunks => "chunks",
            _ => return Ok(()),
        };
        words(text).filter_map(number).try_for_each(|at| not_before(arrival, at, name).map(drop))
    }
}

fn wrong(column: Column, text: &[u8]) -> RowProblem {
    let (about, expected) = match column {
        Column::Arrival | Column::Sent | Column::FirstByte | Column::LastByte | Column::End | Column::Chunks => {
            (About::Time, "whole nanoseconds")
        }
        Column::Input | Column::Output | Column::Received => {
            (About::Tokens, "a whole number of tokens, at least 1 and below 2^32")
        }
        Column::Session | Column::Request | Column::Blocks => (About::Other, "hexadecimal numbers of at most 16 digits"),
        Column::Ended => (About::Other, "how a request ended, like complete or refused"),
        _ => (About::Other, "a whole number"),
    };
    RowProblem::Value { column: column.header(false, None), text: excerpt_of(text), expected, about }
}

/// Takes a field; `None` if it is not what it should be.
fn take(column: Column, text: &[u8], record: &mut Record, clock: &Clock, names: &mut Names) -> Option<()> {
    let time = || number::<i64>(text).map(|nanos| clock.at(nanos));
    let tokens = || number::<u32>(text).filter(|tokens| *tokens > 0);
    match column {
        Column::Arrival => {}
        Column::Row => record.row = number(text)?,
        Column::Sent => record.sent = Some(time()?),
        Column::FirstByte => record.first_byte = Some(time()?),
        Column::LastByte => record.last_byte = Some(time()?),
        Column::End => record.end = Some(time()?),
        Column::Input => record.input_tokens = Some(tokens()?),
        Column::Output => record.output_tokens = Some(tokens()?),
        Column::Received => record.received_tokens = Some(number(text)?),
        Column::Class => record.class = names.classes.id(&String::from_utf8_lossy(text)),
        Column::Tenant => record.tenant = names.tenants.id(&String::from_utf8_lossy(text)),
        Column::Session => record.session = Some(Key::from_bits(hex(text)?)?),
        Column::Request => record.request = Some(Key::from_bits(hex(text)?)?),
        Column::Attempt => record.attempt = Some(number(text)?),
        Column::Status => record.status = Some(number(text)?),
        Column::Images => record.images = number(text)?,
        Column::Ended => record.ended = Some(Ended::ALL.into_iter().find(|ended| ended.name().as_bytes() == text)?),
        Column::Blocks => record.prefix = words(text).map(hex).collect::<Option<_>>()?,
        Column::Chunks => {
            let time = |word| number::<i64>(word).map(|nanos| clock.at(nanos));
            record.chunks = words(text).map(time).collect::<Option<Box<[Time]>>>()?;
        }
    }
    Some(())
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn hex(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b' ')
}

impl Reader for Canonical {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        if self.done {
            return Ok(None);
        }
        let read = self.row();
        let file = &self.head.file;
        let failed = |error: io::Error| TraceError::Read {
            file: file.clone(),
            line: self.rows.line().saturating_sub(1),
            reason: broken_off(&error),
        };
        let read = read.map_err(failed);
        self.done = !matches!(read, Ok(Some(_)));
        if matches!(read, Ok(None)) && !self.any {
            return Err(TraceError::Empty { file: file.clone() });
        }
        self.any = true;
        read
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn names(&self) -> &Names {
        &self.names
    }
}

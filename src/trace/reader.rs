//! What every reader of a log does: one row at a time, on demand, in memory that does not grow with the file.

use std::collections::BTreeMap;
use std::fmt;

use super::error::{DropReason, RowProblem, TraceError};
use super::format::{Format, Map, Preset};
use super::names::Names;
use super::record::Record;
use crate::time::{Span, Time};

/// A log that is being read. Rows come in the file's order, which need not be that of arrival.
pub trait Reader {
    /// The next row; `None` at the end, and from then on.
    ///
    /// # Errors
    /// [`TraceError`] where the file as a whole cannot be used, or not further: it is cut off, it is of another format, it has
    /// no row at all. After an error nothing more comes. What is wrong with one row alone drops that row.
    fn next(&mut self) -> Result<Option<Row>, TraceError>;

    /// What is known of the file. Its origin is known once the first record has come; the rest from the start.
    fn head(&self) -> &Head;

    /// The names met so far.
    fn names(&self) -> &Names;
}

impl<R: Reader + ?Sized> Reader for Box<R> {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        (**self).next()
    }

    fn head(&self) -> &Head {
        (**self).head()
    }

    fn names(&self) -> &Names {
        (**self).names()
    }
}

/// One row of a log: rows read = records + rows dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A request.
    Record(Record),
    /// A row that was left out.
    Dropped(Dropped),
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where it stands, as [`Record::row`].
    pub row: u64,
    /// Why.
    pub problem: RowProblem,
}

/// What is known of a log as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The file, as named in messages.
    pub file: String,
    /// What it is.
    pub format: Format,
    /// By what that was recognised, in words: `the columns TIMESTAMP, ContextTokens, GeneratedTokens`.
    pub recognised_by: String,
    /// Where time zero is.
    pub origin: Origin,
    /// Tokens in a block of [`Record::prefix`]; `None` where there are none.
    pub block_tokens: Option<u32>,
    /// What a person must know before trusting the rows: choices that the reader had to make.
    pub notes: Vec<String>,
}

impl Head {
    /// The head of a file of which nothing else is known yet.
    pub(super) fn new(file: &str, format: Format, recognised_by: String) -> Self {
        let file = file.to_owned();
        Self { file, format, recognised_by, origin: Origin::default(), block_tokens: None, notes: Vec::new() }
    }
}

/// Where the time zero of a recording is.
///
/// A log with wall-clock times begins one year before its first row ([`Origin::LEAD`]): rows that stand further down and
/// arrived earlier (an access log is written at the *end* of a request) then still have times. A row more than a year away
/// from the one before it is dropped as damaged, so that nothing else is cut off. [`Trace`](super::Trace), which knows all rows,
/// moves the origin to the earliest arrival. A log with times of its own keeps its own zero.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Time zero, in nanoseconds since 1970-01-01T00:00:00Z; `None` where the log does not say when it was taken.
    pub unix_ns: Option<i64>,
}

impl Origin {
    /// How long before the first row a wall-clock recording begins.
    pub const LEAD: Span = Span::from_secs(366 * 86_400);

    /// The wall-clock time of `time`, in nanoseconds since 1970; `None` where the log has none.
    #[must_use]
    pub fn unix_ns_at(self, time: Time) -> Option<i64> {
        self.unix_ns.map(|zero| zero.saturating_add_unsigned(time.as_nanos()))
    }
}

/// How to read a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// What it is; `None` to find out.
    pub format: Option<Format>,
    /// Which columns hold what, for [`Format::Csv`] and [`Format::Jsonl`], or where other names are used than a format's own.
    pub map: Option<Map>,
    /// A named map.
    pub preset: Option<Preset>,
    /// Seed of what is drawn, where the file holds distributions and not requests.
    pub seed: u64,
}

/// Rows by fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Rows that became records.
    pub records: u64,
    /// Rows that were left out, by reason.
    pub dropped: BTreeMap<DropReason, Lost>,
}

/// The rows that were left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// The first of them, as an example.
    pub first: Dropped,
}

impl Fates {
    /// Counts a row.
    pub fn count(&mut self, row: &Row) {
        match row {
            Row::Record(_) => self.records += 1,
            Row::Dropped(dropped) => self.lose(dropped),
        }
    }

    /// Counts a row that was left out.
    pub fn lose(&mut self, dropped: &Dropped) {
        let lost = self.dropped.entry(dropped.problem.reason());
        lost.or_insert_with(|| Lost { count: 0, first: dropped.clone() }).count += 1;
    }

    /// Rows that were left out.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.values().map(|lost| lost.count).sum()
    }

    /// Rows read: records and rows left out.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.records + self.lost()
    }
}

impl fmt::Display for Fates {
    /// `12 rows = 10 records + 2 dropped (1 without a prompt length, for example line 7: ...)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows = {} records + {} dropped", self.rows(), self.records, self.lost())?;
        for (number, (reason, lost)) in self.dropped.iter().enumerate() {
            let before = if number == 0 { " (" } else { "; " };
            write!(f, "{before}{} {}, first in line {}", lost.count, reason.name(), lost.first.row)?;
        }
        if self.dropped.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

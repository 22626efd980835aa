//! A log, looked through once before anything is run.

use super::log::Log;
use crate::time::{Span, Time};
use crate::trace::flow::Accounts;
use crate::trace::{Head, Record, TraceError};

/// What there is in a log.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What it is.
    pub head: Head,
    /// Names of its classes, by position.
    pub classes: Vec<String>,
    /// What became of every row.
    pub accounts: Accounts,
    /// Requests that are replayed.
    pub replayed: u64,
    /// Requests that come out of the flow without a length, and are not replayed.
    pub without_lengths: u64,
    /// Arrival of the first request that is replayed, and of the last.
    pub span: Option<(Time, Time)>,
    /// Requests that say how they ended, of those replayed.
    pub ended: u64,
    /// Requests that became complete and say when, of those replayed.
    pub timed: u64,
    /// Requests that say when their first token came, of those.
    pub first_tokens: u64,
    /// The longest prompt and answer together, tokens.
    pub longest: u64,
}

impl Survey {
    /// Looks a log through.
    ///
    /// # Errors
    /// As [`Flow::open`](crate::trace::flow::Flow::open) and [`Flow::next`](crate::trace::flow::Flow::next).
    pub fn of(log: &Log) -> Result<Self, TraceError> {
        let mut rows = log.open()?;
        let mut survey = Self::new(rows.head().clone());
        while let Some(record) = rows.next()? {
            survey.take(&record);
        }
        survey.head = rows.head().clone();
        survey.classes = rows.names().classes.all().to_vec();
        survey.accounts = rows.accounts();
        Ok(survey)
    }

    fn new(head: Head) -> Self {
        Self {
            head,
            classes: Vec::new(),
            accounts: Accounts::default(),
            replayed: 0,
            without_lengths: 0,
            span: None,
            ended: 0,
            timed: 0,
            first_tokens: 0,
            longest: 0,
        }
    }

    fn take(&mut self, record: &Record) {
        let Some((input, output)) = record.lengths() else {
            self.without_lengths += 1;
            return;
        };
        self.replayed += 1;
        let (first, _) = self.span.unwrap_or((record.arrival, record.arrival));
        self.span = Some((first, record.arrival));
        self.ended += u64::from(record.ended.is_some());
        let timed = record.is_complete() && record.last_byte.or(record.end).is_some();
        self.timed += u64::from(timed);
        self.first_tokens += u64::from(timed && record.first_byte.is_some());
        self.longest = self.longest.max(u64::from(input) + u64::from(output));
    }

    /// From the first arrival to just behind the last, in whole milliseconds.
    #[must_use]
    pub fn lasting(&self) -> Span {
        let (first, last) = self.span.unwrap_or_default();
        Span::from_millis(last.since(first).as_nanos() / 1_000_000 + 1)
    }

    /// The wall-clock time of the first arrival, nanoseconds since 1970; `None` where the log has none.
    #[must_use]
    pub fn began_unix_ns(&self) -> Option<i64> {
        self.head.origin.unix_ns_at(self.span?.0)
    }
}

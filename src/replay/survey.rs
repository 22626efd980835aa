//! A log, looked through once before anything is run.

use super::clients::Clients;
use super::log::Log;
use crate::time::{Span, Time};
use crate::trace::{Fates, Head, Record, Row, TraceError};

/// What there is in a log.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What it is.
    pub head: Head,
    /// Names of its classes, by position.
    pub classes: Vec<String>,
    /// Names of its tenants.
    pub tenants: usize,
    /// Rows read, by fate.
    pub fates: Fates,
    /// Rows that stood behind one of later arrival, put in order.
    pub out_of_order: u64,
    /// Those of them that stood too far behind to be put in order: they arrive late.
    pub overflow: u64,
    /// Records that are replayed.
    pub replayed: u64,
    /// Records left out for want of a length.
    pub without_lengths: u64,
    /// Records left out because the log calls them a second try or a later one.
    pub later_tries: u64,
    /// Arrival of the first record that is replayed, and of the last.
    pub span: Option<(Time, Time)>,
    /// Records that say how they ended, of those replayed.
    pub ended: u64,
    /// Records that became complete and say when, of those replayed.
    pub timed: u64,
    /// Records that say when their first token came, of those.
    pub first_tokens: u64,
    /// The longest prompt and answer together, tokens.
    pub longest: u64,
}

impl Survey {
    /// Looks a log through.
    ///
    /// # Errors
    /// As [`trace::open`](crate::trace::open) and [`Reader::next`](crate::trace::Reader::next).
    pub fn of(log: &Log, clients: Clients) -> Result<Self, TraceError> {
        let mut rows = log.ordered()?;
        let mut survey = Self::new(rows.head().clone());
        while let Some(row) = rows.next()? {
            survey.fates.count(&row);
            if let Row::Record(record) = &row {
                survey.take(record, clients);
            }
        }
        survey.head = rows.head().clone();
        survey.classes = rows.names().classes.all().to_vec();
        survey.tenants = rows.names().tenants.all().len();
        (survey.out_of_order, survey.overflow) = (rows.out_of_order, rows.overflow);
        Ok(survey)
    }

    fn new(head: Head) -> Self {
        Self {
            head,
            classes: Vec::new(),
            tenants: 0,
            fates: Fates::default(),
            out_of_order: 0,
            overflow: 0,
            replayed: 0,
            without_lengths: 0,
            later_tries: 0,
            span: None,
            ended: 0,
            timed: 0,
            first_tokens: 0,
            longest: 0,
        }
    }

    fn take(&mut self, record: &Record, clients: Clients) {
        if !clients.replays(record) {
            self.later_tries += 1;
            return;
        }
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

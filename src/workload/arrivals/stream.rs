//! A recording that is read while it is replayed, so that its length costs no memory.

use std::fmt;

use super::Arrival;
use crate::time::{Span, Time};
use crate::workload::recorded::Stream;
use crate::workload::source::Recorded;

/// A recording under way.
pub struct Streamed {
    rows: Box<dyn Iterator<Item = Recorded>>,
    /// The row handed out last and the one before it: the source has always one arrival in hand and one ahead.
    latest: [Recorded; 2],
    next: u64,
    at: Time,
    end: Time,
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("next", &self.next).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Streamed {
    /// At its first row; what comes at or after `end` is left out.
    pub fn new(stream: &Stream, end: Span) -> Self {
        Self { rows: stream.open(), latest: [Recorded::default(); 2], next: 0, at: Time::ZERO, end: Time::ZERO + end }
    }

    /// The next row's arrival; its number is the row's position. A row that stands behind a later one arrives with it: time
    /// does not run back.
    pub fn next(&mut self) -> Option<Arrival> {
        let row = self.rows.next().filter(|row| row.at < self.end)?;
        let number = self.next;
        self.at = self.at.max(row.at);
        self.latest[usize::from(number % 2 == 1)] = row;
        self.next += 1;
        Some(Arrival { at: self.at, number })
    }

    /// The row behind arrival `number`, which is the latest or the one before it.
    pub fn row(&self, number: u64) -> &Recorded {
        debug_assert!(number + 2 >= self.next && number < self.next, "only two rows are kept");
        &self.latest[usize::from(number % 2 == 1)]
    }
}

//! Recorded arrivals, row by row.

use std::sync::Arc;

use super::Arrival;
use crate::time::{Span, Time};
use crate::workload::source::Recorded;

/// A recorded list, in order of time.
#[derive(Debug)]
pub struct List {
    rows: Arc<[Recorded]>,
    next: usize,
    end: Time,
}

impl List {
    /// At its first row; rows at or after `end` are left out.
    #[must_use]
    pub fn new(rows: Arc<[Recorded]>, end: Span) -> Self {
        Self { rows, next: 0, end: Time::ZERO + end }
    }

    /// The next row's arrival; its number is the row's position.
    pub fn next(&mut self) -> Option<Arrival> {
        let row = self.rows.get(self.next).filter(|row| row.at < self.end)?;
        let number = self.next as u64;
        self.next += 1;
        Some(Arrival { at: row.at, number })
    }

    /// The row behind arrival `number`.
    #[must_use]
    pub fn row(&self, number: u64) -> &Recorded {
        &self.rows[usize::try_from(number).expect("a row's position")]
    }
}

//! A trace as a whole, in memory: what was recorded, in order of intended arrival.

use super::error::{About, RowProblem, TraceError};
use super::reader::{Dropped, Fates, Head, Reader, Row};
use super::record::Record;
use crate::time::{Span, Time};

/// A trace whose every record has both lengths, in order of intended arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// One for each row that was kept; those of equal arrival in the file's order. [`Record::lengths`] is never `None`.
    pub records: Vec<Record>,
    /// Names of the classes, in order of first mention; empty where the file names none.
    pub classes: Vec<String>,
    /// What is known of the file; its origin is where time zero is here: of a log with wall-clock times the earliest arrival.
    pub head: Head,
    /// Rows read: records and dropped rows together.
    pub rows: u64,
    /// Rows that were left out, by reason.
    pub fates: Fates,
    /// Rows that stood behind a row of later arrival in the file.
    pub out_of_order: u64,
}

impl Trace {
    /// Reads a log to its end. Every row counts: one that is damaged is an error, one that only has nothing to replay is
    /// dropped and counted.
    ///
    /// # Errors
    /// As [`Reader::next`], and [`TraceError::Row`].
    pub fn read(reader: &mut dyn Reader) -> Result<Self, TraceError> {
        let (mut records, mut fates) = (Vec::new(), Fates::default());
        while let Some(row) = reader.next()? {
            match row {
                Row::Record(record) if record.lengths().is_some() => {
                    fates.records += 1;
                    records.push(record);
                }
                // It failed, else the row had been dropped.
                Row::Record(record) => {
                    let column = if record.input_tokens.is_none() { "prompt length" } else { "answer length" };
                    let problem = RowProblem::Missing { column: column.into(), about: About::Tokens };
                    fates.lose(&Dropped { row: record.row, problem });
                }
                Row::Dropped(Dropped { row, problem }) if !problem.reason().is_benign() => {
                    return Err(TraceError::Row { file: reader.head().file.clone(), line: row, problem });
                }
                Row::Dropped(dropped) => fates.lose(&dropped),
            }
        }
        let (head, classes) = (reader.head().clone(), reader.names().classes.all().to_vec());
        let trace = Self { rows: fates.rows(), records, classes, head, fates, out_of_order: 0 };
        Ok(trace.sorted().zeroed_at_first())
    }

    /// Puts the records in order of arrival.
    fn sorted(mut self) -> Self {
        let mut latest = Time::ZERO;
        for record in &self.records {
            self.out_of_order += u64::from(record.arrival < latest);
            latest = latest.max(record.arrival);
        }
        if self.out_of_order > 0 {
            self.records.sort_by_key(|record| record.arrival);
        }
        self
    }

    /// Moves the origin of a wall-clock recording to its first arrival.
    fn zeroed_at_first(mut self) -> Self {
        let (Some(zero), Some(first)) = (self.head.origin.unix_ns, self.records.first()) else { return self };
        let lead = first.arrival - Time::ZERO;
        self.head.origin.unix_ns = Some(zero.saturating_add_unsigned(lead.as_nanos()));
        for record in &mut self.records {
            record.shift_earlier(lead);
        }
        self
    }
}

impl Record {
    /// Moves every time of the record `lead` back, at most to zero.
    pub fn shift_earlier(&mut self, lead: Span) {
        let back = |time: &mut Time| {
            let since = (*time - Time::ZERO).as_nanos().saturating_sub(lead.as_nanos());
            *time = Time::from_nanos(since);
        };
        back(&mut self.arrival);
        for time in [&mut self.sent, &mut self.first_byte, &mut self.last_byte, &mut self.end].into_iter().flatten() {
            back(time);
        }
        self.chunks.iter_mut().for_each(back);
    }
}

#[cfg(test)]
#[path = "whole_tests.rs"]
mod tests;

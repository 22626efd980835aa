//! A log's first row, held until the next one bears it out: nothing comes before it that a damaged time could be held against.

use std::collections::VecDeque;

use super::clock::YEAR_NS;
use super::error::{RowProblem, TraceError};
use super::names::Names;
use super::reader::{Dropped, Head, Reader, Row};
use super::record::Record;

/// Rows that are read ahead for the second record; with more of them between, the first one stands.
const AHEAD_MAX: usize = 1_000;

/// What a reader says next.
type Said = Result<Option<Row>, TraceError>;

/// A reader that withdraws a first record whose time is damaged.
///
/// A row more than a year away from the one before it is dropped, and the one after that is taken if it agrees with it. So
/// a second record that is more than a year away from the first agrees with one other row at least, and the first with none.
pub(super) struct First {
    from: Box<dyn Reader>,
    /// What was read ahead, in order.
    ahead: VecDeque<Said>,
    begun: bool,
}

impl First {
    pub fn new(from: Box<dyn Reader>) -> Self {
        Self { from, ahead: VecDeque::new(), begun: false }
    }

    /// A record's time, nanoseconds since 1970, or since the log's own zero.
    fn nanos(&self, record: &Record) -> i128 {
        i128::from(self.from.head().origin.unix_ns.unwrap_or(0)) + i128::from(record.arrival.as_nanos())
    }

    /// Reads up to the second record.
    fn begin(&mut self) {
        let mut first: Option<(usize, i128)> = None;
        while self.ahead.len() < AHEAD_MAX {
            let said = self.from.next();
            let goes_on = matches!(said, Ok(Some(_)));
            let record = if let Ok(Some(Row::Record(record))) = &said { Some(self.nanos(record)) } else { None };
            self.ahead.push_back(said);
            match (record, first) {
                (Some(at), None) => first = Some((self.ahead.len() - 1, at)),
                (Some(at), Some((place, before))) => return self.judge(place, before - at),
                (None, _) if !goes_on => return,
                (None, _) => {}
            }
        }
    }

    /// Drops the record at `place` if it is too far `away` from the next, nanoseconds.
    fn judge(&mut self, place: usize, away: i128) {
        const DAY_NS: i128 = 86_400_000_000_000;
        if away.unsigned_abs() <= u128::from(YEAR_NS) {
            return;
        }
        if let Ok(Some(row)) = &mut self.ahead[place]
            && let Row::Record(record) = row
        {
            let days = i64::try_from(away / DAY_NS).unwrap_or(i64::MAX);
            *row = Row::Dropped(Dropped { row: record.row, problem: RowProblem::FarFromNext { days } });
        }
    }
}

impl Reader for First {
    fn next(&mut self) -> Said {
        if !self.begun {
            self.begun = true;
            self.begin();
        }
        self.ahead.pop_front().unwrap_or_else(|| self.from.next())
    }

    fn head(&self) -> &Head {
        self.from.head()
    }

    fn names(&self) -> &Names {
        self.from.names()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::trace::{DropReason, Fates, Options, Record, Row, open_bytes};

    fn read(times: &[&str]) -> (Vec<Record>, Fates) {
        let rows: Vec<String> = times.iter().map(|time| format!("{time},10,20")).collect();
        let text = format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{}\n", rows.join("\n"));
        let mut reader = open_bytes(Cursor::new(text), "log.csv", &Options::default()).unwrap();
        let (mut records, mut fates) = (Vec::new(), Fates::default());
        while let Some(row) = reader.next().unwrap() {
            fates.count(&row);
            if let Row::Record(record) = row {
                records.push(record);
            }
        }
        (records, fates)
    }

    #[test]
    fn a_first_row_that_the_next_ones_deny_is_dropped_and_the_log_stays() {
        for damaged in ["1970-01-02 00:00:00.0000000", "2037-01-01 00:00:00.0000000"] {
            let good = [
                "2025-05-01 00:00:01.0000000",
                "2025-05-01 00:00:02.0000000",
                "2025-05-01 00:00:03.0000000",
                "2025-05-01 00:00:04.0000000",
            ];
            let (records, fates) = read(&[&[damaged], &good[..]].concat());
            // The first, and the one that denied it before anything bore it out.
            let lost = &fates.dropped[&DropReason::TimeJump];
            assert_eq!((lost.count, lost.first.row), (2, 2), "{damaged}");
            assert!(lost.first.problem.to_string().contains("from the rows after it"), "{}", lost.first.problem);
            assert_eq!(records.iter().map(|record| record.row).collect::<Vec<_>>(), [4, 5, 6], "{damaged}");
            let lasting = records[2].arrival - records[0].arrival;
            assert_eq!(lasting, crate::time::Span::from_secs(2), "{damaged}");
        }
    }

    #[test]
    fn a_first_row_that_nothing_denies_stands() {
        assert_eq!(read(&["2025-05-01 00:00:01.0000000"]).0.len(), 1);
        let (records, fates) =
            read(&["2025-05-01 00:00:01.0000000", "1970-01-02 00:00:00.0000000", "2025-05-01 00:00:02.0000000"]);
        assert_eq!((records.len(), fates.dropped[&DropReason::TimeJump].first.row), (2, 3));
    }
}

//! Records in order of arrival, inside a bounded window: an access log is written at the *end* of each request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::VecDeque;

use crate::time::{Span, Time};
use crate::trace::{Head, Names, Reader, Record, Row, TraceError};

/// How far back a row may stand behind later ones.
pub(super) const WINDOW: Span = Span::from_secs(600);
/// Most rows that are held back at once: at some 200 bytes each a few hundred MiB.
const HELD_MAX: usize = 1 << 20;

/// A reader whose records come in order of arrival, those of equal arrival in the file's order.
pub(super) struct Ordered {
    reader: Box<dyn Reader>,
    held: BinaryHeap<Reverse<Held>>,
    dropped: VecDeque<Row>,
    latest: Time,
    given: Time,
    number: u64,
    ended: bool,
    /// Rows that stood behind one of later arrival.
    pub out_of_order: u64,
    /// Those of them that stood too far behind, and were moved to the time of the row before them.
    pub overflow: u64,
}

struct Held {
    key: (Time, u64),
    record: Record,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl Ordered {
    pub fn new(reader: Box<dyn Reader>) -> Self {
        Self {
            reader,
            held: BinaryHeap::new(),
            dropped: VecDeque::new(),
            latest: Time::ZERO,
            given: Time::ZERO,
            number: 0,
            ended: false,
            out_of_order: 0,
            overflow: 0,
        }
    }

    pub fn head(&self) -> &Head {
        self.reader.head()
    }

    pub fn names(&self) -> &Names {
        self.reader.names()
    }

    /// The next row: records in order, rows that were dropped as they are met.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn next(&mut self) -> Result<Option<Row>, TraceError> {
        loop {
            if let Some(row) = self.dropped.pop_front() {
                return Ok(Some(row));
            }
            if self.is_due() {
                return Ok(self.held.pop().map(|Reverse(held)| Row::Record(self.give(held))));
            }
            if self.ended {
                return Ok(None);
            }
            match self.reader.next()? {
                Some(Row::Record(record)) => self.hold(record),
                Some(dropped) => self.dropped.push_back(dropped),
                None => self.ended = true,
            }
        }
    }

    /// Whether nothing that is still to come may go before the earliest that is held.
    fn is_due(&self) -> bool {
        let Some(Reverse(first)) = self.held.peek() else { return false };
        self.ended || self.held.len() >= HELD_MAX || first.key.0 + WINDOW <= self.latest
    }

    fn hold(&mut self, record: Record) {
        self.out_of_order += u64::from(record.arrival < self.latest);
        self.latest = self.latest.max(record.arrival);
        self.number += 1;
        self.held.push(Reverse(Held { key: (record.arrival, self.number), record }));
    }

    fn give(&mut self, held: Held) -> Record {
        let mut record = held.record;
        if record.arrival < self.given {
            self.overflow += 1;
            record.arrival = self.given;
        }
        self.given = record.arrival;
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Options, open_bytes};

    fn arrivals(text: String) -> (Vec<u64>, u64, u64) {
        let reader = open_bytes(std::io::Cursor::new(text.into_bytes()), "a.csv", &Options::default()).unwrap();
        let mut ordered = Ordered::new(reader);
        let mut seen = Vec::new();
        while let Some(Row::Record(record)) = ordered.next().unwrap() {
            seen.push(record.arrival.as_nanos() / 1_000_000_000);
        }
        (seen, ordered.out_of_order, ordered.overflow)
    }

    #[test]
    fn rows_inside_the_window_are_put_in_order() {
        let text = "time,input_tokens,output_tokens\n5,1,1\n3,1,1\n400,1,1\n4,1,1\n900,1,1\n".to_owned();
        assert_eq!(arrivals(text), (vec![3, 4, 5, 400, 900], 2, 0));
    }

    #[test]
    fn a_row_too_far_behind_arrives_late_and_is_counted() {
        let text = "time,input_tokens,output_tokens\n5,1,1\n700,1,1\n2,1,1\n1500,1,1\n".to_owned();
        assert_eq!(arrivals(text), (vec![5, 5, 700, 1500], 1, 1));
    }
}

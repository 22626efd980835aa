//! Stable sorting inside a window: access logs are written at the end of a request, so that rows stand behind later ones.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::PathBuf;

use super::super::error::TraceError;
use super::super::reader::Reader;
use super::super::record::Record;
use super::accounts::Accounts;
use super::external::External;
use super::{HELD_MAX, Stage};
use crate::time::{Span, Time};

/// Records in order of arrival, those of equal arrival in the file's order.
pub(super) struct Ordered<S> {
    from: S,
    window: Span,
    external: Option<External>,
    /// Records that came in order, with their number: a log in order never touches the heap.
    in_order: VecDeque<(u64, Record)>,
    late: BinaryHeap<Reverse<(Time, u64, usize)>>,
    /// The records of `late`, and the places there that are free.
    slots: Vec<Record>,
    free: Vec<usize>,
    number: u64,
    latest: Time,
    given: Time,
    overflow: u64,
    done: bool,
}

impl<S: Stage> Ordered<S> {
    pub fn new(from: S, window: Span, sort_in: Option<PathBuf>) -> Self {
        Self {
            from,
            window,
            external: sort_in.map(External::new),
            in_order: VecDeque::new(),
            late: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            number: 0,
            latest: Time::ZERO,
            given: Time::ZERO,
            overflow: 0,
            done: false,
        }
    }

    fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    /// Arrival of the first record, and whether it came late.
    fn first(&self) -> Option<(Time, bool)> {
        let in_order = self.in_order.front().map(|(number, record)| (record.arrival, *number));
        let late = self.late.peek().map(|Reverse((arrival, number, _))| (*arrival, *number));
        match (in_order, late) {
            (Some(one), Some(other)) if other < one => Some((other.0, true)),
            (Some((arrival, _)), _) => Some((arrival, false)),
            (None, late) => late.map(|(arrival, _)| (arrival, true)),
        }
    }

    fn give(&mut self, late: bool) -> Option<Record> {
        if !late {
            return self.in_order.pop_front().map(|(_, record)| record);
        }
        let Reverse((_, _, slot)) = self.late.pop()?;
        self.free.push(slot);
        Some(std::mem::take(&mut self.slots[slot]))
    }

    fn place(&mut self, record: Record) {
        if record.arrival < self.given {
            self.overflow += 1;
            return;
        }
        self.number += 1;
        self.latest = self.latest.max(record.arrival);
        if self.in_order.back().is_none_or(|(_, back)| back.arrival <= record.arrival) {
            self.in_order.push_back((self.number, record));
            return;
        }
        let key = (record.arrival, self.number);
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(record);
        } else {
            self.slots[slot] = record;
        }
        self.late.push(Reverse((key.0, key.1, slot)));
    }
}

impl<S: Stage> Stage for Ordered<S> {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        if let Some(external) = &mut self.external {
            return external.pull(&mut self.from);
        }
        loop {
            if let Some((arrival, late)) = self.first() {
                if self.done || arrival + self.window < self.latest || self.len() >= HELD_MAX {
                    self.given = arrival;
                    return Ok(self.give(late));
                }
            } else if self.done {
                return Ok(None);
            }
            match self.from.pull()? {
                Some(record) => self.place(record),
                None => self.done = true,
            }
        }
    }

    fn account(&self, accounts: &mut Accounts) {
        self.from.account(accounts);
        accounts.overflow += self.overflow;
    }

    fn held(&self) -> u64 {
        self.from.held() + self.len() as u64 + self.external.as_ref().map_or(0, External::held)
    }

    fn reader(&self) -> &dyn Reader {
        self.from.reader()
    }
}

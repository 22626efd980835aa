//! More or less load of the same shape, and faster or slower time.
//!
//! Less: requests are thinned, by session where the log has them, else one by one; each is kept with the same probability. More:
//! the log is laid over itself, each copy a little later (up to [`SHIFT_MAX`], but by no more than [`SHIFT_SHARE`] of the time since
//! the first arrival, so that a short log is denser from its beginning to its end and hardly longer). The load's course over
//! minutes and hours stays, and copies do not fall on the same instant; a rest below a whole copy is thinned. Copies are other
//! people: they share neither sessions nor prefix blocks with the original.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::super::error::TraceError;
use super::super::reader::Reader;
use super::super::record::Record;
use super::accounts::Accounts;
use super::{HELD_MAX, Stage};
use crate::rng::{mix, open01};
use crate::time::{Span, Time};

/// Most that a copy comes later.
const SHIFT_MAX: Span = Span::from_secs(60);
/// The same, as a share of the time since the first arrival.
const SHIFT_SHARE: f64 = 0.01;

/// How much load, and how fast.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub rate: f64,
    pub time: f64,
    pub seed: u64,
}

/// One time-shifted copy.
struct Delayed {
    /// Of the most that it may come later, 0 to 1.
    late: f64,
    /// Share of the requests that it has.
    kept: f64,
    records: VecDeque<Record>,
}

/// Records at another rate and speed.
pub(super) struct Scaled<S> {
    from: S,
    scale: Scale,
    copies: Vec<Delayed>,
    /// The first arrival of each copy that has one waiting, and the copy.
    firsts: BinaryHeap<Reverse<(Time, usize)>>,
    /// Records that wait in copies.
    waiting: usize,
    /// The first arrival of all.
    began: Option<Time>,
    /// The next of the original, which comes when no copy comes before it.
    next: Option<Record>,
    done: bool,
    number: u64,
    first: Option<Time>,
    thinned: u64,
    copied: u64,
}

impl<S: Stage> Scaled<S> {
    pub fn new(from: S, scale: Scale) -> Self {
        let copies = copies(scale);
        Self {
            from,
            scale,
            copies,
            firsts: BinaryHeap::new(),
            waiting: 0,
            began: None,
            next: None,
            done: false,
            number: 0,
            first: None,
            thinned: 0,
            copied: 0,
        }
    }

    /// Whether a record is among the share `kept` of all, in copy number `copy`.
    fn keeps(&self, record: &Record, copy: u64, kept: f64) -> bool {
        let whose = record.session.map_or(self.number, |session| mix(session.bits(), 0));
        kept >= 1.0 || open01(mix(self.scale.seed ^ SALT ^ (copy << 48), whose)) < kept
    }

    /// The next of the original that is kept; its copies are put aside.
    fn original(&mut self) -> Result<Option<Record>, TraceError> {
        while let Some(record) = self.from.pull()? {
            self.number += 1;
            let since = record.arrival.since(*self.began.get_or_insert(record.arrival));
            let most = SHIFT_MAX.min(since.scaled(SHIFT_SHARE));
            for copy in 0..self.copies.len() {
                if self.keeps(&record, copy as u64 + 1, self.copies[copy].kept) {
                    self.copy(&record, copy, most)?;
                }
            }
            if self.keeps(&record, 0, self.scale.rate) {
                return Ok(Some(record));
            }
            self.thinned += 1;
        }
        Ok(None)
    }

    /// Puts a copy of a record aside, at most `most` later.
    fn copy(&mut self, record: &Record, copy: usize, most: Span) -> Result<(), TraceError> {
        if self.waiting >= HELD_MAX {
            let rate = self.scale.rate;
            return Err(TraceError::Rule(format!(
                "--rate-scale {rate}: of its copies, which come up to {SHIFT_MAX} later, more than {HELD_MAX} requests wait at once: \
                 use a smaller factor"
            )));
        }
        let delayed = &mut self.copies[copy];
        let mut record = record.clone();
        record.shift_later(most.scaled(delayed.late));
        record.become_copy(copy as u64 + 1);
        if delayed.records.is_empty() {
            self.firsts.push(Reverse((record.arrival, copy)));
        }
        delayed.records.push_back(record);
        self.waiting += 1;
        self.copied += 1;
        Ok(())
    }

    /// The first record of all copies.
    fn earliest(&mut self) -> Option<Record> {
        let Reverse((_, copy)) = self.firsts.pop()?;
        let records = &mut self.copies[copy].records;
        let record = records.pop_front()?;
        self.firsts.extend(records.front().map(|next| Reverse((next.arrival, copy))));
        self.waiting -= 1;
        Some(record)
    }

    fn merged(&mut self) -> Result<Option<Record>, TraceError> {
        if self.copies.is_empty() {
            return self.original();
        }
        if self.next.is_none() && !self.done {
            self.next = self.original()?;
            self.done = self.next.is_none();
        }
        let copy_is_next = match (self.firsts.peek(), &self.next) {
            (Some(Reverse((at, _))), Some(next)) => *at < next.arrival,
            (first, None) => first.is_some(),
            (None, Some(_)) => false,
        };
        Ok(if copy_is_next { self.earliest() } else { self.next.take() })
    }

    /// Where a record stands on the scaled clock.
    fn timed(&mut self, mut record: Record) -> Record {
        let first = *self.first.get_or_insert(record.arrival);
        let since = record.arrival - first;
        let scaled = since.scaled(self.scale.time);
        if scaled > since {
            record.shift_later(Span::from_nanos(scaled.as_nanos() - since.as_nanos()));
        } else {
            record.shift_earlier(Span::from_nanos(since.as_nanos() - scaled.as_nanos()));
        }
        record
    }
}

/// Apart from what else the seed is for.
const SALT: u64 = 0x0073_6361_6C65;

fn copies(scale: Scale) -> Vec<Delayed> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // above 0, and `as` saturates
    let whole = (scale.rate.ceil() as u64).saturating_sub(1);
    let copy = |number: u64| {
        let late = open01(mix(scale.seed ^ SALT, number));
        Delayed { late, kept: (scale.rate - number as f64).min(1.0), records: VecDeque::new() }
    };
    (1..=whole).map(copy).collect()
}

impl<S: Stage> Stage for Scaled<S> {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        let record = self.merged()?;
        let is_timed = self.scale.time.to_bits() != 1.0f64.to_bits();
        Ok(if is_timed { record.map(|record| self.timed(record)) } else { record })
    }

    fn account(&self, accounts: &mut Accounts) {
        self.from.account(accounts);
        accounts.thinned += self.thinned;
        accounts.copied += self.copied;
    }

    fn held(&self) -> u64 {
        self.from.held() + self.waiting as u64 + u64::from(self.next.is_some())
    }

    fn reader(&self) -> &dyn Reader {
        self.from.reader()
    }
}

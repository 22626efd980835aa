//! Sliding log: what was taken comes back 60 s after it was taken, so in no 60 s is more than the budget taken.
//!
//! The log is a ring of fixed capacity, exact until it is full. Then neighbours that lie within [`MERGE_WITHIN`] of each
//! other become one entry, which comes back when the *latest* of them would have: late by at most so much (30 ms), never
//! early. Nearly half of the ring is free again after that, so one taking costs a few steps however many there are.

use serde::{Deserialize, Serialize};

use super::MINUTE;
use crate::time::{Span, Time};

/// Entries of the ring.
pub(super) const CAPACITY: usize = 8_192;

/// How far apart the takings in one merged entry may lie.
pub(super) const MERGE_WITHIN: Span = Span::from_nanos(4 * MINUTE.as_nanos() / CAPACITY as u64);

/// The log of the latest 60 s.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct SlidingLog {
    budget: i64,
    /// Sum over the entries.
    taken: i64,
    entries: Box<[Entry; CAPACITY]>,
    /// Place of the oldest entry.
    head: usize,
    len: usize,
    /// When the oldest entry comes back: [`Time::FAR`] without one.
    due: Time,
    /// How many entries have come back: the oldest one's number, where numbers go up with each new entry.
    back: u64,
}

/// The log as it is written out: what is in it, the oldest first.
#[derive(Serialize, Deserialize)]
struct Stored {
    budget: i64,
    taken: i64,
    entries: Vec<Entry>,
    due: Time,
    back: u64,
}

impl From<SlidingLog> for Stored {
    fn from(log: SlidingLog) -> Self {
        let entries = (0..log.len).map(|n| *log.entry(n)).collect();
        Self { budget: log.budget, taken: log.taken, entries, due: log.due, back: log.back }
    }
}

impl From<Stored> for SlidingLog {
    fn from(Stored { budget, taken, entries, due, back }: Stored) -> Self {
        let len = entries.len().min(CAPACITY);
        let mut log = Self { budget, taken, len, due, back, ..Self::new(0) };
        log.entries[..len].copy_from_slice(&entries[..len]);
        log
    }
}

/// Tokens that come back together. No two entries share an instant.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
struct Entry {
    /// When the first of them were taken.
    first: Time,
    /// When the last of them were: 60 s after this they come back.
    last: Time,
    tokens: i64,
}

/// When tokens were taken, which names their entry, and the number that it had, where it stands unless entries have merged.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    at: Time,
    number: u64,
}

impl SlidingLog {
    pub fn new(budget: u64) -> Self {
        let entries = vec![Entry::default(); CAPACITY].into_boxed_slice().try_into().expect("as many as its type says");
        Self { budget: budget.cast_signed(), taken: 0, entries, head: 0, len: 0, due: Time::FAR, back: 0 }
    }

    pub const fn resize(&mut self, budget: u64) {
        self.budget = budget.cast_signed();
    }

    pub const fn budget(&self) -> u64 {
        self.budget.cast_unsigned()
    }

    pub const fn remaining(&self) -> i64 {
        self.budget - self.taken
    }

    #[inline]
    pub fn refresh(&mut self, now: Time) {
        if now >= self.due {
            self.come_back(now);
        }
    }

    #[inline(never)] // apart from the look whether anything does
    fn come_back(&mut self, now: Time) {
        while self.due <= now && self.len > 0 {
            self.taken -= self.entry(0).tokens;
            self.head = (self.head + 1) % CAPACITY;
            self.len -= 1;
            self.back += 1;
            self.due = self.oldest_due();
        }
    }

    fn oldest_due(&self) -> Time {
        if self.len > 0 { self.entry(0).last + MINUTE } else { Time::FAR }
    }

    /// When the oldest entry comes back.
    pub fn next(&self) -> Option<Time> {
        (self.len > 0).then_some(self.due)
    }

    /// When `tokens` are left: they are not yet, and not more than the budget.
    pub fn when(&self, tokens: i64) -> Time {
        let mut left = self.remaining();
        for n in 0..self.len {
            left += self.entry(n).tokens;
            if left >= tokens {
                return self.entry(n).last + MINUTE;
            }
        }
        Time::FAR
    }

    #[inline(never)] // apart from the shorter way of a fixed window
    pub fn take(&mut self, now: Time, tokens: i64) -> Place {
        self.taken += tokens;
        if self.len > 0 && self.entry(self.len - 1).last == now {
            self.entry_mut(self.len - 1).tokens += tokens;
            return self.newest(now);
        }
        if self.len == CAPACITY {
            self.merge();
        }
        self.len += 1;
        *self.entry_mut(self.len - 1) = Entry { first: now, last: now, tokens };
        self.due = self.due.min(now + MINUTE);
        self.newest(now)
    }

    fn newest(&self, at: Time) -> Place {
        Place { at, number: self.back + self.len as u64 - 1 }
    }

    /// To the entry that holds them, unless it has come back.
    #[inline(never)]
    pub fn give_back(&mut self, now: Time, place: &Place, tokens: i64) {
        self.refresh(now);
        if let Some(n) = self.find(place) {
            self.entry_mut(n).tokens -= tokens;
            self.taken -= tokens;
        }
    }

    /// Where the entry of a taking stands now, if it has not come back.
    fn find(&self, place: &Place) -> Option<usize> {
        let holds = |n: usize| n < self.len && (self.entry(n).first..=self.entry(n).last).contains(&place.at);
        let unmerged = usize::try_from(place.number.wrapping_sub(self.back)).ok().filter(|n| holds(*n));
        unmerged.or_else(|| Some(self.search(place.at)).filter(|n| holds(*n)))
    }

    /// The first entry that does not end before `at`.
    fn search(&self, at: Time) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.entry(middle).last < at { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn entry(&self, n: usize) -> &Entry {
        &self.entries[(self.head + n) % CAPACITY]
    }

    fn entry_mut(&mut self, n: usize) -> &mut Entry {
        &mut self.entries[(self.head + n) % CAPACITY]
    }

    /// Makes neighbours one. Of what is left, each entry and the next but one begin more than [`MERGE_WITHIN`] apart, and
    /// all begin within 60 s and one [`MERGE_WITHIN`]: at most half the capacity and a few.
    #[inline(never)] // rare
    fn merge(&mut self) {
        let mut kept = 0;
        for n in 1..self.len {
            let next = *self.entry(n);
            let last = self.entry_mut(kept);
            if next.last - last.first <= MERGE_WITHIN {
                last.last = next.last;
                last.tokens += next.tokens;
            } else {
                kept += 1;
                *self.entry_mut(kept) = next;
            }
        }
        self.len = kept + 1;
        self.due = self.oldest_due();
    }
}

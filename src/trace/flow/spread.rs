//! Takes arrivals off their grid: those of one tick are spread evenly at random until the next.

use std::collections::VecDeque;

use super::super::error::TraceError;
use super::super::reader::Reader;
use super::super::record::Record;
use super::accounts::{Accounts, Spread};
use super::grid::GridFinder;
use super::{HELD_MAX, Stage};
use crate::rng::mix;
use crate::time::Span;

/// Records by which a grid is told.
const SAMPLE: usize = 4_096;

/// Records whose arrivals are no longer on a grid.
pub(super) struct OffGrid<S> {
    from: S,
    wanted: bool,
    seed: u64,
    /// What was read ahead.
    ahead: VecDeque<Record>,
    /// How many of those are placed and can go.
    placed: usize,
    /// Whether the sample has been read.
    known: bool,
    /// The grid's step, if there is one.
    grid: Option<Span>,
    done: bool,
    number: u64,
    moved: u64,
}

impl<S: Stage> OffGrid<S> {
    pub fn new(from: S, wanted: bool, seed: u64) -> Self {
        let ahead = VecDeque::new();
        Self { from, wanted, seed, ahead, placed: 0, known: false, grid: None, done: false, number: 0, moved: 0 }
    }

    fn read_one(&mut self) -> Result<(), TraceError> {
        match self.from.pull()? {
            Some(record) => self.ahead.push_back(record),
            None => self.done = true,
        }
        Ok(())
    }

    fn find(&mut self) -> Result<Option<Span>, TraceError> {
        while self.ahead.len() < SAMPLE && !self.done {
            self.read_one()?;
        }
        let mut finder = GridFinder::default();
        self.ahead.iter().for_each(|record| finder.arrive(record.arrival));
        Ok(finder.grid().map(|grid| grid.step))
    }

    /// Spreads the requests of the first tick until the next, at most one step.
    fn spread(&mut self, step: Span) -> Result<(), TraceError> {
        let Some(tick) = self.ahead.front().map(|record| record.arrival) else { return Ok(()) };
        let mut known = 0;
        let next = loop {
            while known < self.ahead.len() && self.ahead[known].arrival == tick {
                known += 1;
            }
            match self.ahead.get(known) {
                Some(record) => break Some(record.arrival),
                None if self.done || known >= HELD_MAX => break None,
                None => self.read_one()?,
            }
        };
        let room = next.map_or(step, |next| (next - tick).min(step)).as_nanos().max(1);
        let mut offsets: Vec<u64> = (0..known as u64).map(|n| scaled(mix(self.seed ^ SALT, self.number + n), room)).collect();
        offsets.sort_unstable();
        for (record, offset) in self.ahead.iter_mut().zip(&offsets) {
            record.shift_later(Span::from_nanos(*offset));
        }
        self.number += known as u64;
        self.moved += offsets.iter().filter(|offset| **offset > 0).count() as u64;
        self.placed = known;
        Ok(())
    }
}

/// Apart from what else the seed is for.
const SALT: u64 = 0x6772_6964;

/// A number below `room` from 64 random bits.
fn scaled(bits: u64, room: u64) -> u64 {
    u64::try_from((u128::from(bits) * u128::from(room)) >> 64).expect("less than `room`")
}

impl<S: Stage> Stage for OffGrid<S> {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        if !self.known {
            self.grid = self.find()?;
            self.known = true;
        }
        let Some(step) = self.grid.filter(|_| self.wanted) else {
            let ahead = self.ahead.pop_front();
            return if ahead.is_some() || self.done { Ok(ahead) } else { self.from.pull() };
        };
        if self.placed == 0 {
            if self.ahead.is_empty() && !self.done {
                self.read_one()?;
            }
            self.spread(step)?;
        }
        self.placed = self.placed.saturating_sub(1);
        Ok(self.ahead.pop_front())
    }

    fn account(&self, accounts: &mut Accounts) {
        self.from.account(accounts);
        accounts.spread = self.grid.map(|step| Spread { step, moved: self.moved });
    }

    fn held(&self) -> u64 {
        self.from.held() + self.ahead.len() as u64
    }

    fn reader(&self) -> &dyn Reader {
        self.from.reader()
    }
}

//! The attempts that the gateway knows, in the slots of the driver's own slab.
//!
//! An [`AttemptId`] is a dense slot index with a generation, so that finding an attempt is an array read. In a slot,
//! generations only go up: an id that is not newer than the last one seen there is stale.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};
use slotmap::Key;

use super::Attempt;
use super::lane::LaneHold;
use super::queue::Place;
use super::slots::Slot as Seat;
use super::timeout::Terms;
use crate::request::{AttemptId, CallId, Vantage, slot_of};
use crate::time::Time;

/// No slot: the end of a list.
pub(super) const NIL: u32 = u32::MAX;

/// Slots that an id may name. A slab of live attempts is far smaller; a damaged journal may not ask for all memory.
const SLOTS_MAX: u32 = 1 << 24;

/// A live attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// As it arrived.
    pub attempt: Attempt,
    /// When.
    pub arrived: Time,
    /// Its timeout's terms, for as long as it lives.
    pub terms: Terms,
    /// Where it is.
    pub stage: Stage,
    /// What it holds without a call of its own.
    pub held: Held,
    /// The vantage policy to use: what it asked for, or less.
    pub vantage: Vantage,
    /// Whether the client has bytes of an answer.
    pub relayed: bool,
    /// Whether it has been sent through the stack again.
    pub again: bool,
    /// The reservation that it waits for at the seed's boundary.
    pub wanted: u64,
    /// Before this its budget is not asked for once more.
    pub not_before: Time,
    /// When what it waits for alone may be there.
    pub wake: Time,
    /// Its neighbours in the queue, its list there, and its number among all who ever waited.
    pub link: Link,
}

/// Where an attempt is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Between two places, inside one step of the gateway.
    Moving,
    /// In the queue for a slot.
    Queue(Place),
    /// In the line for the heavy lane.
    Lane(Place),
    /// In the line for token budget, with its slot or lane held.
    Budget,
    /// Out until the upstream may be asked again.
    Later,
    /// This call runs for it.
    Running(CallId),
}

/// What an attempt holds beside a call: given back with the attempt at the latest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Held {
    /// A slot, while it waits for budget.
    pub slot: Option<Seat>,
    /// The lane, while it waits for budget.
    pub lane: Option<LaneHold>,
    /// The slot of its first call, which the seed's second try keeps.
    pub kept: Option<Seat>,
}

impl Held {
    /// Whether it is anything at all.
    pub const fn is_something(&self) -> bool {
        self.slot.is_some() || self.lane.is_some() || self.kept.is_some()
    }
}

/// An attempt's position in the queue.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    /// Slot of the next older one.
    pub older: u32,
    /// Slot of the next newer one.
    pub newer: u32,
    /// Which list.
    pub list: u8,
    /// Order of parking.
    pub sequence: u64,
}

impl Entry {
    /// An attempt that has just arrived.
    #[inline]
    pub fn new(attempt: &Attempt, arrived: Time, terms: Terms) -> Self {
        Self {
            attempt: *attempt,
            arrived,
            terms,
            stage: Stage::Moving,
            held: Held::default(),
            vantage: attempt.profile.vantage,
            relayed: false,
            again: false,
            wanted: 0,
            not_before: Time::ZERO,
            wake: Time::FAR,
            link: Link::NONE,
        }
    }
}

impl Link {
    /// In no list.
    pub const NONE: Self = Self { older: NIL, newer: NIL, list: 0, sequence: 0 };
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Slot {
    last: AttemptId,
    entry: Option<Entry>,
}

/// What an arriving id is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Newness {
    /// New, in a free slot.
    New(u32),
    /// New, in the slot of one that the driver has dropped without saying so.
    Replaces(AttemptId),
    /// Seen before, older than what was seen, null, or beyond any slab.
    Stale,
}

/// The table.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Attempts {
    slots: Vec<Slot>,
}

impl Attempts {
    /// What `id` is, if it arrives now. Makes room for it.
    #[inline]
    pub fn newness(&mut self, id: AttemptId) -> Newness {
        let index = slot_of(id);
        if id.is_null() || index >= SLOTS_MAX {
            return Newness::Stale;
        }
        if index as usize >= self.slots.len() {
            self.slots.resize_with(index as usize + 1, Slot::default);
        }
        let slot = &self.slots[index as usize];
        match &slot.entry {
            _ if !slot.last.is_null() && !is_newer(id, slot.last) => Newness::Stale,
            Some(entry) => Newness::Replaces(entry.attempt.id),
            None => Newness::New(index),
        }
    }

    /// Puts a new attempt into its slot.
    #[inline]
    pub fn insert(&mut self, index: u32, entry: Entry) {
        let slot = &mut self.slots[index as usize];
        slot.last = entry.attempt.id;
        slot.entry = Some(entry);
    }

    /// The slot of a live attempt.
    #[inline]
    pub fn find(&self, id: AttemptId) -> Option<u32> {
        let index = slot_of(id);
        let entry = self.slots.get(index as usize)?.entry.as_ref()?;
        (entry.attempt.id == id).then_some(index)
    }

    /// The attempt is over: its id.
    #[inline]
    pub fn remove(&mut self, index: u32) -> AttemptId {
        let slot = &mut self.slots[index as usize];
        slot.entry = None;
        slot.last
    }
}

/// Whether `id`'s generation is after `last`'s. Generations wrap, so the comparison does too.
fn is_newer(id: AttemptId, last: AttemptId) -> bool {
    let generation = |id: AttemptId| id.data().as_ffi() >> 32;
    let ahead = generation(id).wrapping_sub(generation(last)) & u64::from(u32::MAX);
    ahead != 0 && ahead < 1 << 31
}

impl Index<u32> for Attempts {
    type Output = Entry;

    #[inline]
    fn index(&self, index: u32) -> &Entry {
        self.slots[index as usize].entry.as_ref().expect("only slots of live attempts are handed out")
    }
}

impl IndexMut<u32> for Attempts {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Entry {
        self.slots[index as usize].entry.as_mut().expect("only slots of live attempts are handed out")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use slotmap::KeyData;

    use super::*;

    /// An id by slot and generation.
    pub fn id(slot: u32, generation: u32) -> AttemptId {
        KeyData::from_ffi(u64::from(generation) << 32 | u64::from(slot)).into()
    }

    /// An attempt that neither waits nor runs.
    pub fn entry(id: AttemptId, arrived: Time) -> Entry {
        Entry::new(&Attempt::new(id, 50, 50), arrived, Terms::new(None))
    }

    #[test]
    fn stale_ids_are_known_for_what_they_are() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.newness(AttemptId::null()), Newness::Stale);
        assert_eq!(attempts.newness(id(SLOTS_MAX, 1)), Newness::Stale);
        assert_eq!(attempts.newness(id(5, 3)), Newness::New(5));
        attempts.insert(5, entry(id(5, 3), Time::ZERO));
        assert_eq!(attempts.newness(id(5, 3)), Newness::Stale, "doubled");
        assert_eq!(attempts.newness(id(5, 1)), Newness::Stale, "older");
        assert_eq!(attempts.newness(id(5, 5)), Newness::Replaces(id(5, 3)));
        assert_eq!((attempts.find(id(5, 3)), attempts.find(id(5, 5)), attempts.find(id(9, 3))), (Some(5), None, None));
        attempts.remove(5);
        assert_eq!(attempts.newness(id(5, 3)), Newness::Stale, "over");
        assert_eq!(attempts.newness(id(5, 5)), Newness::New(5));
    }

    #[test]
    fn generations_wrap() {
        assert!(is_newer(id(1, 1), id(1, u32::MAX)) && !is_newer(id(1, u32::MAX), id(1, 1)));
    }
}

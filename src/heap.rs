//! An indexed binary heap: the earliest of many deadlines, each of which can be moved or taken out.
//!
//! Entries are named by a small dense index (a slab slot, a machine's number), so finding one again is an array read and
//! never a hash. The key is packed by the caller into one `u128`, for example `time << 64 | priority << 56 | sequence`.

use serde::{Deserialize, Serialize};

const ABSENT: u32 = u32::MAX;

/// A min-heap of `(key, slot)` with at most one entry for each slot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IndexedHeap {
    entries: Vec<(u128, u32)>,
    place: Vec<u32>,
}

impl IndexedHeap {
    /// An empty heap.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), place: Vec::new() }
    }

    /// How many entries there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The smallest key and its slot.
    #[must_use]
    #[inline]
    pub fn first(&self) -> Option<(u128, u32)> {
        self.entries.first().copied()
    }

    /// The key of `slot`, if it has an entry.
    #[must_use]
    pub fn key(&self, slot: u32) -> Option<u128> {
        match self.place.get(slot as usize) {
            Some(&at) if at != ABSENT => Some(self.entries[at as usize].0),
            _ => None,
        }
    }

    /// Puts `slot` in at `key`, or moves it there.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // slots are u32, so there are never more entries
    pub fn set(&mut self, slot: u32, key: u128) {
        let index = slot as usize;
        if index >= self.place.len() {
            self.grow(index);
        }
        let at = self.place[index] as usize;
        if let Some((old, _)) = self.entries.get_mut(at) {
            let old = std::mem::replace(old, key);
            // One that stands alone has nowhere to go.
            if self.entries.len() > 1 {
                self.sift(at, key, old);
            }
            return;
        }
        let last = self.entries.len();
        self.place[index] = last as u32;
        self.entries.push((key, slot));
        if last > 0 {
            self.rise(last);
        }
    }

    #[cold]
    fn grow(&mut self, index: usize) {
        self.place.resize(index + 1, ABSENT);
    }

    fn sift(&mut self, at: usize, key: u128, old: u128) {
        if key < old {
            self.rise(at);
        } else if key > old {
            self.sink(at);
        }
    }

    /// Takes `slot` out; whether it was in.
    #[inline]
    pub fn remove(&mut self, slot: u32) -> bool {
        let at = self.place.get(slot as usize).copied().unwrap_or(ABSENT);
        if at == ABSENT {
            return false;
        }
        self.remove_at(at as usize);
        true
    }

    /// Takes out and returns the entry with the smallest key.
    #[inline]
    pub fn pop(&mut self) -> Option<(u128, u32)> {
        let (key, slot) = self.first()?;
        if self.entries.len() == 1 {
            self.entries.clear();
            self.place[slot as usize] = ABSENT;
        } else {
            self.remove_at(0);
        }
        Some((key, slot))
    }

    fn remove_at(&mut self, at: usize) {
        let (_, slot) = self.entries.swap_remove(at);
        self.place[slot as usize] = ABSENT;
        if at < self.entries.len() {
            // The last entry now stands here; it may belong above or below.
            self.rise(at);
            self.sink(self.place[self.entries[at].1 as usize] as usize);
        }
    }

    fn rise(&mut self, mut at: usize) {
        let entry = self.entries[at];
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.entries[parent].0 <= entry.0 {
                break;
            }
            self.put(at, self.entries[parent]);
            at = parent;
        }
        self.put(at, entry);
    }

    fn sink(&mut self, mut at: usize) {
        let entry = self.entries[at];
        loop {
            let mut child = 2 * at + 1;
            if child >= self.entries.len() {
                break;
            }
            if child + 1 < self.entries.len() && self.entries[child + 1].0 < self.entries[child].0 {
                child += 1;
            }
            if self.entries[child].0 >= entry.0 {
                break;
            }
            self.put(at, self.entries[child]);
            at = child;
        }
        self.put(at, entry);
    }

    #[allow(clippy::cast_possible_truncation)] // slots are u32, so there are never more entries
    fn put(&mut self, at: usize, entry: (u128, u32)) {
        self.entries[at] = entry;
        self.place[entry.1 as usize] = at as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the plain model, a sorted map: same minimum after every operation.
        #[test]
        fn agrees_with_a_sorted_map(ops in prop::collection::vec((0u8..3, 0u32..24, 0u128..50), 1..400)) {
            let mut heap = IndexedHeap::new();
            let mut model: BTreeMap<u32, u128> = BTreeMap::new();
            for (step, (op, slot, key)) in ops.into_iter().enumerate() {
                let key = key << 64 | step as u128; // unique, as callers' keys are
                match op {
                    0 => { heap.set(slot, key); model.insert(slot, key); }
                    1 => prop_assert_eq!(heap.remove(slot), model.remove(&slot).is_some()),
                    _ => {
                        let least = model.iter().map(|(s, k)| (*k, *s)).min();
                        prop_assert_eq!(heap.pop(), least);
                        if let Some((_, s)) = least { model.remove(&s); }
                    }
                }
                prop_assert_eq!(heap.first(), model.iter().map(|(s, k)| (*k, *s)).min());
                prop_assert_eq!(heap.len(), model.len());
                for slot in 0..24 { prop_assert_eq!(heap.key(slot), model.get(&slot).copied()); }
            }
        }
    }
}

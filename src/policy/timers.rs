//! Every deadline of the gateway.
//!
//! Keyed by (time, sequence), so that what is due at the same time happens in the order in which it was set. An attempt
//! that waits has at most one timer, and a call has at most one.
//!
//! Most timeouts are as long as the one that was set before them, so that they come in the order in which they are due: a
//! list in that order takes them at its end, and gives them up anywhere, in a few steps. What would have to go far into the
//! list stands in a heap beside it.

use serde::{Deserialize, Serialize};

use super::WakeReason;
use crate::heap::IndexedHeap;
use crate::request::{CallId, slot_of};
use crate::time::Time;

/// Whose time has come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The waiting attempt in this slot reaches its timeout, or what it waits for.
    Attempt(u32),
    /// A running call reaches its timeout, or an abandoned one the end of its lease.
    Call(CallId),
    /// Budget or lane may let somebody through.
    Gate,
}

/// The timers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Timers {
    /// The gate's own at place 0, attempts at even places from 2 on, calls at odd ones.
    list: Ordered,
    /// The same, for those that are not in the list.
    heap: IndexedHeap,
    /// The call behind each odd place.
    calls: Vec<CallId>,
    sequence: u64,
    /// The smallest key of either, and its place.
    earliest: Option<(u128, u32)>,
}

/// Place of the gate's own timer.
const GATE: u32 = 0;

/// Place of the attempt in slot 0.
const ATTEMPTS: u32 = 2;

/// Bits of a key's low half that say why: below the sequence, so that they order nothing.
const REASON_BITS: u32 = 2;

impl Timers {
    /// Sets the timer of the waiting attempt in slot `attempt`; nothing is due at [`Time::FAR`].
    pub fn set_attempt(&mut self, attempt: u32, due: Time) {
        self.set_attempt_for(attempt, due, WakeReason::QueueExpiry);
    }

    /// The same with another reason than the end of its patience.
    pub fn set_attempt_for(&mut self, attempt: u32, due: Time, reason: WakeReason) {
        self.set(attempt * 2 + ATTEMPTS, due, reason);
    }

    /// When budget or lane may let somebody through.
    pub fn set_gate(&mut self, due: Time) {
        self.set(GATE, due, WakeReason::Budget);
    }

    /// Neither may.
    #[inline]
    pub fn clear_gate(&mut self) {
        self.remove(GATE);
    }

    /// The same, where it is not to happen earlier anyway.
    pub fn gate_by(&mut self, due: Time) {
        if self.key(GATE).is_none_or(|key| due < time_of(key)) && due != Time::FAR {
            self.set_gate(due);
        }
    }

    /// Sets the timer of a call.
    pub fn set_call(&mut self, call: CallId, due: Time, reason: WakeReason) {
        let slot = slot_of(call);
        if due == Time::FAR {
            self.remove(slot * 2 + 1);
            return;
        }
        if slot as usize >= self.calls.len() {
            self.calls.resize(slot as usize + 1, CallId::default());
        }
        self.calls[slot as usize] = call;
        self.set(slot * 2 + 1, due, reason);
    }

    /// When the timer of the attempt in slot `attempt` is due; [`Time::FAR`] without one.
    pub fn attempt_due(&self, attempt: u32) -> Time {
        self.key(attempt * 2 + ATTEMPTS).map_or(Time::FAR, time_of)
    }

    /// The attempt in slot `attempt` has nothing to wait for any more.
    pub fn clear_attempt(&mut self, attempt: u32) {
        self.remove(attempt * 2 + ATTEMPTS);
    }

    /// The call has nothing to wait for any more.
    #[inline]
    pub fn clear_call(&mut self, call: CallId) {
        self.remove(slot_of(call) * 2 + 1);
    }

    /// The earliest time.
    #[inline]
    pub fn first(&self) -> Option<Time> {
        self.earliest.map(|(key, _)| time_of(key))
    }

    /// The earliest time, and what for.
    pub fn next(&self) -> Option<(Time, WakeReason)> {
        self.earliest.map(|(key, _)| (time_of(key), reason_of(key)))
    }

    /// Takes out what is due at or before `now`, the earliest first.
    pub fn pop_due(&mut self, now: Time) -> Option<(Time, Due)> {
        let (key, place) = self.earliest.filter(|(key, _)| time_of(*key) <= now)?;
        self.remove(place);
        let due = match place {
            GATE => Due::Gate,
            _ if place % 2 == 0 => Due::Attempt((place - ATTEMPTS) / 2),
            _ => Due::Call(self.calls[(place / 2) as usize]),
        };
        Some((time_of(key), due))
    }

    fn key(&self, place: u32) -> Option<u128> {
        self.list.key(place).or_else(|| self.heap.key(place))
    }

    #[inline]
    fn remove(&mut self, place: u32) {
        if self.list.has(place) || !self.heap.is_empty() {
            self.take_out(place);
        }
    }

    fn take_out(&mut self, place: u32) {
        if self.list.remove(place) || self.heap.remove(place) {
            self.earliest = match (self.list.first(), self.heap.first()) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }

    fn set(&mut self, place: u32, due: Time, reason: WakeReason) {
        self.remove(place);
        if due == Time::FAR {
            return;
        }
        self.sequence += 1;
        let key = u128::from(due.as_nanos()) << 64 | u128::from(self.sequence << REASON_BITS | reason as u64);
        if !self.list.put(place, key) {
            self.heap.set(place, key);
        }
        if self.earliest.is_none_or(|(earliest, _)| key < earliest) {
            self.earliest = Some((key, place));
        }
    }
}

/// Keys in order, linked through a table of places.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ordered {
    nodes: Vec<Node>,
    first: u32,
    last: u32,
}

#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
struct Node {
    /// 0 where the place is not in the list.
    key: u128,
    before: u32,
    after: u32,
}

/// No place: the end of the list.
const NIL: u32 = u32::MAX;

/// How far from its end the list takes a key.
const STEPS: u32 = 8;

const OUT: Node = Node { key: 0, before: NIL, after: NIL };

impl Default for Ordered {
    fn default() -> Self {
        Self { nodes: Vec::new(), first: NIL, last: NIL }
    }
}

impl Ordered {
    #[inline]
    fn first(&self) -> Option<(u128, u32)> {
        self.nodes.get(self.first as usize).map(|node| (node.key, self.first))
    }

    fn key(&self, place: u32) -> Option<u128> {
        self.nodes.get(place as usize).map(|node| node.key).filter(|key| *key != 0)
    }

    #[inline]
    fn has(&self, place: u32) -> bool {
        self.nodes.get(place as usize).is_some_and(|node| node.key != 0)
    }

    /// Puts in a place that is not there, unless it belongs too far from the end: whether it did.
    fn put(&mut self, place: u32, key: u128) -> bool {
        let (mut before, mut after) = (self.last, NIL);
        for _ in 0..STEPS {
            if before == NIL || self.nodes[before as usize].key < key {
                self.link(place, Node { key, before, after });
                return true;
            }
            (before, after) = (self.nodes[before as usize].before, before);
        }
        false
    }

    fn link(&mut self, place: u32, node: Node) {
        if place as usize >= self.nodes.len() {
            self.nodes.resize(place as usize + 1, OUT);
        }
        self.nodes[place as usize] = node;
        self.join(node.before, place);
        self.join(place, node.after);
    }

    /// Whether the place was there.
    #[inline]
    fn remove(&mut self, place: u32) -> bool {
        if !self.has(place) {
            return false;
        }
        let node = &mut self.nodes[place as usize];
        let Node { before, after, .. } = std::mem::replace(node, OUT);
        self.join(before, after);
        true
    }

    /// Makes two neighbours.
    #[inline]
    fn join(&mut self, before: u32, after: u32) {
        match before {
            NIL => self.first = after,
            _ => self.nodes[before as usize].after = after,
        }
        match after {
            NIL => self.last = before,
            _ => self.nodes[after as usize].before = before,
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // the high half
fn time_of(key: u128) -> Time {
    Time::from_nanos((key >> 64) as u64)
}

fn reason_of(key: u128) -> WakeReason {
    match key & ((1 << REASON_BITS) - 1) {
        0 => WakeReason::QueueExpiry,
        1 => WakeReason::CallTimeout,
        2 => WakeReason::AbandonedLease,
        _ => WakeReason::Budget,
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    #[test]
    fn equal_times_come_out_as_they_were_set() {
        let mut ids: SlotMap<CallId, ()> = SlotMap::with_key();
        let (a, b) = (ids.insert(()), ids.insert(()));
        let (one, two) = (Time::from_nanos(1), Time::from_nanos(2));
        let mut timers = Timers::default();
        timers.set_call(b, two, WakeReason::AbandonedLease);
        timers.set_attempt(7, two);
        timers.set_call(a, one, WakeReason::CallTimeout);
        assert_eq!(timers.next(), Some((one, WakeReason::CallTimeout)));
        assert_eq!(timers.pop_due(two), Some((one, Due::Call(a))));
        assert_eq!(timers.next(), Some((two, WakeReason::AbandonedLease)));
        assert_eq!(timers.pop_due(one), None);
        assert_eq!(timers.pop_due(two), Some((two, Due::Call(b))));
        assert_eq!(timers.next(), Some((two, WakeReason::QueueExpiry)));
        assert_eq!(timers.pop_due(two), Some((two, Due::Attempt(7))));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn never_is_not_a_time_to_wait_for() {
        let mut timers = Timers::default();
        timers.set_attempt(1, Time::from_nanos(5));
        timers.set_attempt(1, Time::FAR);
        assert_eq!(timers.next(), None);
    }

    /// Against the heap alone, with keys that go to either.
    #[test]
    fn list_and_heap_together_are_in_order() {
        let (mut timers, mut model) = (Timers::default(), IndexedHeap::default());
        let (mut in_list, mut in_heap) = (0, 0);
        for step in 0..5_000u64 {
            let draw = crate::rng::mix(11, step);
            let place = u32::try_from(draw % 60).expect("small");
            match draw >> 60 {
                0..4 => {
                    timers.clear_attempt(place);
                    model.remove(place);
                }
                4 => {
                    let now = timers.first().unwrap_or(Time::ZERO);
                    let popped = model.pop().map(|(key, place)| (time_of(key), Due::Attempt(place)));
                    assert_eq!(timers.pop_due(now), popped, "step {step}");
                }
                _ => {
                    let due = step + 20 + (draw >> 8) % 80 * u64::from(draw.is_multiple_of(2));
                    timers.set_attempt(place, Time::from_nanos(due));
                    model.set(place, u128::from(due) << 64 | u128::from(step));
                }
            }
            assert_eq!(timers.first(), model.first().map(|(key, _)| time_of(key)), "step {step}");
            in_list += usize::from(timers.list.first().is_some());
            in_heap += usize::from(!timers.heap.is_empty());
        }
        assert!(in_list > 1_000 && in_heap > 1_000, "both are used: {in_list}, {in_heap}");
    }
}

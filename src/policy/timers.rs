//! Every deadline of the gateway, in one heap.
//!
//! Keyed by (time, sequence), so that what is due at the same time happens in the order in which it was set. An attempt
//! that waits has at most one timer, and a call has at most one.

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
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    /// The gate's own at place 0, attempts at even places from 2 on, calls at odd ones.
    heap: IndexedHeap,
    /// The call behind each odd place.
    calls: Vec<CallId>,
    sequence: u64,
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

    /// The same, where it is not to happen earlier anyway.
    pub fn gate_by(&mut self, due: Time) {
        if self.heap.key(GATE).is_none_or(|key| due < time_of(key)) && due != Time::FAR {
            self.set_gate(due);
        }
    }

    /// Sets the timer of a call.
    pub fn set_call(&mut self, call: CallId, due: Time, reason: WakeReason) {
        let slot = slot_of(call);
        if due == Time::FAR {
            self.heap.remove(slot * 2 + 1);
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
        self.heap.key(attempt * 2 + ATTEMPTS).map_or(Time::FAR, time_of)
    }

    /// The attempt in slot `attempt` has nothing to wait for any more.
    pub fn clear_attempt(&mut self, attempt: u32) {
        self.heap.remove(attempt * 2 + ATTEMPTS);
    }

    /// The call has nothing to wait for any more.
    pub fn clear_call(&mut self, call: CallId) {
        self.heap.remove(slot_of(call) * 2 + 1);
    }

    /// The earliest time, and what for.
    pub fn next(&self) -> Option<(Time, WakeReason)> {
        self.heap.first().map(|(key, _)| (time_of(key), reason_of(key)))
    }

    /// Takes out what is due at or before `now`, the earliest first.
    pub fn pop_due(&mut self, now: Time) -> Option<(Time, Due)> {
        let (key, place) = self.heap.first().filter(|(key, _)| time_of(*key) <= now)?;
        self.heap.pop();
        let due = match place {
            GATE => Due::Gate,
            _ if place % 2 == 0 => Due::Attempt((place - ATTEMPTS) / 2),
            _ => Due::Call(self.calls[(place / 2) as usize]),
        };
        Some((time_of(key), due))
    }

    fn set(&mut self, place: u32, due: Time, reason: WakeReason) {
        if due == Time::FAR {
            self.heap.remove(place);
            return;
        }
        self.sequence += 1;
        self.heap.set(place, u128::from(due.as_nanos()) << 64 | u128::from(self.sequence << REASON_BITS | reason as u64));
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
}

//! The calls that the gateway has started and whose end it awaits.
//!
//! A call may outlive its attempt: its client has left and nobody noticed (it keeps its slot), or it was abandoned at its
//! timeout (its slot is back, and it is counted as abandoned work).
//!
//! What only a metered stack hands out stands in a table of its own beside the calls, written and read in place: a call
//! without it pays nothing for it.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};
use slotmap::{Key, KeyData};

use super::CallKind;
use super::abandoned::Abandonment;
use super::breaker::Permit;
use super::lane::LaneHold;
use super::limiter::Reservation;
use super::slots::Slot;
use super::timeout::{Clocks, Terms};
use crate::request::{AttemptId, CallId, slot_of};
use crate::time::Time;

/// A call upstream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    /// For which attempt; null once its client has left.
    pub attempt: AttemptId,
    /// Why it was made.
    pub kind: CallKind,
    /// Whether its limit on the answer is lower than what the attempt asked for.
    pub lowered: bool,
    /// When the attempt arrived.
    pub arrived: Time,
    /// When the call started.
    pub started: Time,
    /// Its attempt's terms.
    pub terms: Terms,
    /// When its times are up.
    pub clocks: Clocks,
    /// 64 random bits.
    pub draw: u64,
    /// Calls that held a slot when it started, itself included.
    pub in_flight: u32,
    /// What it holds.
    pub hold: Hold,
}

/// What a call holds, to be given back exactly once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Hold {
    /// It runs.
    Running(Seat),
    /// A place in the count of abandoned work.
    Abandoned(Abandonment),
}

/// On what a call runs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Seat {
    /// A slot, unless it is heavy.
    pub slot: Option<Slot>,
    /// The heavy lane.
    pub lane: Option<LaneHold>,
}

/// What a running call holds of a metered upstream.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Metered {
    /// Tokens of the window's budget.
    pub reservation: Option<Reservation>,
    /// The breaker's leave to use a proxy.
    pub permit: Option<Permit>,
}

/// The table.
///
/// Ids are given as `slotmap::SlotMap` gives them. It is none, because the order of its free slots is lost where it is written
/// out and read back, and a gateway that goes on from a snapshot must give the same ids as the one it was taken from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Calls {
    /// By slot, from 1 on.
    rows: Vec<Row>,
    /// Slots without a call, the next one to use last.
    free: Vec<u32>,
    /// By the slot in a call's id.
    metered: Vec<Metered>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    /// Odd while a call is in it; goes up by one with each change.
    version: u32,
    call: Option<Call>,
}

impl Calls {
    /// One more call, which holds nothing metered yet.
    #[inline]
    pub fn insert(&mut self, call: Call) -> CallId {
        if let Some(number) = self.free.pop() {
            let slot = &mut self.rows[number as usize - 1];
            slot.version |= 1;
            slot.call = Some(call);
            return id_of(number, slot.version);
        }
        self.rows.push(Row { version: 1, call: Some(call) });
        let number = u32::try_from(self.rows.len()).expect("fewer calls at once than 2^32");
        self.metered.resize_with(number as usize + 1, Metered::default);
        id_of(number, 1)
    }

    /// The call is over. What it holds of a metered upstream is still to be taken out.
    #[inline]
    pub fn remove(&mut self, id: CallId) -> Option<Call> {
        let slot = self.slot(id)?;
        slot.version = slot.version.wrapping_add(1);
        let call = slot.call.take();
        self.free.push(slot_of(id));
        call
    }

    /// A call, unless it is over.
    #[inline]
    pub fn get(&self, id: CallId) -> Option<&Call> {
        let slot = self.rows.get((slot_of(id) as usize).checked_sub(1)?)?;
        slot.call.as_ref().filter(|_| slot.version == version_of(id))
    }

    /// The slot of a call that is not over.
    #[inline]
    fn slot(&mut self, id: CallId) -> Option<&mut Row> {
        let slot = self.rows.get_mut((slot_of(id) as usize).checked_sub(1)?)?;
        (slot.call.is_some() && slot.version == version_of(id)).then_some(slot)
    }

    /// What a call holds of a metered upstream.
    #[inline]
    pub fn metered(&mut self, id: CallId) -> &mut Metered {
        &mut self.metered[slot_of(id) as usize]
    }
}

impl Index<CallId> for Calls {
    type Output = Call;

    #[inline]
    fn index(&self, id: CallId) -> &Call {
        self.get(id).expect("only calls that are not over are looked up by index")
    }
}

impl IndexMut<CallId> for Calls {
    #[inline]
    fn index_mut(&mut self, id: CallId) -> &mut Call {
        self.slot(id).and_then(|slot| slot.call.as_mut()).expect("only calls that are not over are looked up by index")
    }
}

fn id_of(number: u32, version: u32) -> CallId {
    KeyData::from_ffi(u64::from(version) << 32 | u64::from(number)).into()
}

#[allow(clippy::cast_possible_truncation)] // the high half
fn version_of(id: CallId) -> u32 {
    (id.data().as_ffi() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    fn call(number: u64) -> Call {
        Call {
            attempt: AttemptId::default(),
            kind: CallKind::First,
            lowered: false,
            arrived: Time::ZERO,
            started: Time::ZERO,
            terms: Terms::new(None),
            clocks: Clocks::of(crate::policy::Mode::Off, Time::FAR),
            draw: number,
            in_flight: 1,
            hold: Hold::Running(Seat::default()),
        }
    }

    #[test]
    fn ids_are_those_of_a_slot_map() {
        let (mut calls, mut model) = (Calls::default(), SlotMap::<CallId, u64>::with_key());
        let mut ids = Vec::new();
        for step in 0..5_000u64 {
            let draw = crate::rng::mix(5, step);
            if draw % 5 < 3 || ids.is_empty() {
                let (ours, theirs) = (calls.insert(call(step)), model.insert(step));
                assert_eq!(ours, theirs, "step {step}");
                ids.push(ours);
            } else {
                let id = ids[usize::try_from(draw >> 8).expect("64 bits") % ids.len()];
                assert_eq!(calls.get(id).map(|call| call.draw), model.get(id).copied(), "step {step}");
                assert_eq!(calls.remove(id).map(|call| call.draw), model.remove(id), "step {step}");
            }
        }
        assert!(ids.iter().any(|id| calls.get(*id).is_none()) && ids.iter().any(|id| calls.get(*id).is_some()));
        assert!(calls.get(CallId::default()).is_none());
    }
}

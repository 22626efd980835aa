//! The calls that the gateway has started and whose end it awaits.
//!
//! A call may outlive its attempt: its client has left and nobody noticed (it keeps its slot), or it was abandoned at its
//! timeout (its slot is back, and it is counted as abandoned work).
//!
//! What only a metered stack hands out stands in a table of its own beside the calls, written and read in place: a call
//! without it pays nothing for it.

use std::ops::{Index, IndexMut};

use slotmap::SlotMap;

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
#[derive(Debug)]
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
#[derive(Debug)]
pub(super) enum Hold {
    /// It runs.
    Running(Seat),
    /// A place in the count of abandoned work.
    Abandoned(Abandonment),
}

/// On what a call runs.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// A slot, unless it is heavy.
    pub slot: Option<Slot>,
    /// The heavy lane.
    pub lane: Option<LaneHold>,
}

/// What a running call holds of a metered upstream.
#[derive(Debug, Default)]
pub(super) struct Metered {
    /// Tokens of the window's budget.
    pub reservation: Option<Reservation>,
    /// The breaker's leave to use a proxy.
    pub permit: Option<Permit>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: SlotMap<CallId, Call>,
    /// By the slot in a call's id.
    metered: Vec<Metered>,
}

impl Calls {
    /// One more call, which holds nothing metered yet.
    #[inline]
    pub fn insert(&mut self, call: Call) -> CallId {
        let id = self.calls.insert(call);
        let slot = slot_of(id) as usize;
        if slot >= self.metered.len() {
            self.metered.resize_with(slot + 1, Metered::default);
        }
        id
    }

    /// The call is over. What it holds of a metered upstream is still to be taken out.
    #[inline]
    pub fn remove(&mut self, id: CallId) -> Option<Call> {
        self.calls.remove(id)
    }

    /// A call, unless it is over.
    #[inline]
    pub fn get(&self, id: CallId) -> Option<&Call> {
        self.calls.get(id)
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
        &self.calls[id]
    }
}

impl IndexMut<CallId> for Calls {
    #[inline]
    fn index_mut(&mut self, id: CallId) -> &mut Call {
        &mut self.calls[id]
    }
}

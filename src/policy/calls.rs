//! The calls that the gateway has started and whose end it awaits.
//!
//! A call may outlive its attempt: its client has left and nobody noticed (it keeps its slot), or it was abandoned at its
//! timeout (its slot is back, and it is counted as abandoned work).

use slotmap::SlotMap;

use super::CallKind;
use super::abandoned::Abandonment;
use super::breaker::Permit;
use super::lane::LaneHold;
use super::limiter::Reservation;
use super::slots::Slot;
use super::timeout::{Clocks, Terms};
use crate::request::{AttemptId, CallId};
use crate::time::Time;

/// The table.
pub(super) type Calls = SlotMap<CallId, Call>;

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
    Running(Holds),
    /// A place in the count of abandoned work.
    Abandoned(Abandonment),
}

impl Hold {
    /// The breaker's leave, to be given back now; none where there is none any more.
    pub fn permit(&mut self) -> Option<Permit> {
        match self {
            Self::Running(holds) => holds.permit.take(),
            Self::Abandoned(_) => None,
        }
    }
}

/// What a running call holds.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// A slot, unless it is heavy.
    pub slot: Option<Slot>,
    /// The heavy lane.
    pub lane: Option<LaneHold>,
    /// Tokens of the window's budget.
    pub reservation: Option<Reservation>,
    /// The breaker's leave to use a proxy.
    pub permit: Option<Permit>,
}

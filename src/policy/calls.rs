//! The calls that the gateway has started and whose end it awaits.
//!
//! A call may outlive its attempt: its client has left and nobody noticed (it keeps its slot), or it was abandoned at its
//! timeout (its slot is back, and it is counted as abandoned work).

use slotmap::SlotMap;

use super::abandoned::Abandonment;
use super::slots::Slot;
use super::timeout::Terms;
use crate::request::{AttemptId, CallId};
use crate::time::Time;

/// The table.
pub(super) type Calls = SlotMap<CallId, Call>;

/// A call upstream.
#[derive(Debug)]
pub(super) struct Call {
    /// For which attempt; null once its client has left.
    pub attempt: AttemptId,
    /// When the attempt arrived.
    pub arrived: Time,
    /// When the call started.
    pub started: Time,
    /// Its attempt's terms.
    pub terms: Terms,
    /// What it holds.
    pub hold: Hold,
}

/// What a call holds, to be given back exactly once.
#[derive(Debug)]
pub(super) enum Hold {
    /// A slot: it runs.
    Running(Slot),
    /// A place in the count of abandoned work.
    Abandoned(Abandonment),
}

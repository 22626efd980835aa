//! A plain service station: c servers, k places, any service distribution, waiting patience.

use super::{Call, EventKind, Gauges, Output, StationSettings, Totals};
use crate::request::CallId;
use crate::time::Time;

/// The station.
#[derive(Debug)]
pub struct Station;

impl Station {
    /// An empty station.
    #[must_use]
    pub fn new(_settings: &StationSettings) -> Self {
        Self
    }

    /// A call comes in.
    pub fn start(&mut self, _now: Time, _call: &Call) {}

    /// A call is wanted no more.
    pub fn cancel(&mut self, _now: Time, _call: CallId) {}

    /// When [`Station::advance`] is wanted next.
    #[must_use]
    pub fn next_event(&self) -> Option<(Time, EventKind)> {
        None
    }

    /// Does all that is due (a station has no steps, so `kind` changes nothing).
    pub fn advance(&mut self, _now: Time, _kind: EventKind) {}

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// A look at it as of `now`.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges::default()
    }

    /// Sums up to `now`.
    #[must_use]
    pub fn totals(&mut self, _now: Time) -> Totals {
        Totals::default()
    }
}

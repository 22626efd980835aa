//! How a step stands while it runs, for those who watch.

use crate::latency::Latency;
use crate::request::Outcome;
use crate::time::{Span, Time};

/// What has come of a step so far, its warm-up included.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Time since the step began.
    pub now: Time,
    /// Requests that have arrived.
    pub offered: u64,
    /// Attempts under way.
    pub in_flight: usize,
    /// Good requests.
    pub good: u64,
    /// Requests that were refused.
    pub rejected: u64,
    /// Requests that are over in another way.
    pub other: u64,
    /// Time to first token of the answers so far, from the intended arrival.
    pub ttft: Latency,
    /// How late attempts were sent.
    pub lag: Latency,
}

impl Standing {
    /// A request is over.
    pub(super) fn finish(&mut self, outcome: Outcome, ttft: Option<Span>) {
        match outcome {
            Outcome::Good => self.good += 1,
            Outcome::Rejected(_) => self.rejected += 1,
            _ => self.other += 1,
        }
        if let (Some(ttft), Outcome::Good | Outcome::Late | Outcome::Degraded) = (ttft, outcome) {
            self.ttft.record(ttft);
        }
    }
}

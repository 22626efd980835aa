//! What the stack counts, and how it looks from outside (seed 000, "Enhanced metrics"; seed 001, "Phase 4.2").

use serde::{Deserialize, Serialize};

use super::{Hint, Verdict};
use crate::request::Reason;
use crate::time::{Span, Time};

/// A look at what waits and runs: cheap enough for every event.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Attempts waiting in the queue or for the heavy lane.
    pub waiting: u32,
    /// Attempts that hold a slot or the lane and wait for token budget.
    pub waiting_for_budget: u32,
    /// Calls in flight that hold a slot.
    pub in_flight: u32,
    /// Abandoned calls as the policy counts them.
    pub abandoned_counted: f64,
    /// Abandoned calls that really still run.
    pub abandoned_true: u32,
    /// Largest value that `abandoned_counted` has had.
    pub abandoned_counted_max: f64,
    /// Largest value that `abandoned_true` has had.
    pub abandoned_true_max: u32,
}

/// How often an engine decided so: carried out, and only observed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Decisions that were carried out.
    pub enforced: u64,
    /// Decisions of an engine that only observes: what it would have done.
    pub observed: u64,
}

impl Counted {
    pub(super) fn add(&mut self, enforced: bool) {
        *(if enforced { &mut self.enforced } else { &mut self.observed }) += 1;
    }
}

/// Sums since the start.
///
/// `arrived` = `completed` + `failed` + `gone` + `timed_out` + enforced refusals + attempts that wait or run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Attempts taken in.
    pub arrived: u64,
    /// Calls started.
    pub started: u64,
    /// Attempts answered in full.
    pub completed: u64,
    /// Attempts whose upstream failure was passed on.
    pub failed: u64,
    /// Attempts whose client left.
    pub gone: u64,
    /// Attempts ended at their timeout.
    pub timed_out: u64,
    /// Calls left running at their timeout.
    pub abandoned: u64,
    /// Inputs about ids that are over or were never given: doubled, late, or wrong.
    pub stale: u64,
    /// Decisions that an attempt has to wait.
    pub waits: Counted,
    /// Decisions that an attempt's or a call's time is up (calls whose client has left included).
    pub timeouts: Counted,
    /// Calls sent with a lower limit on the answer than was asked for, to fit the budget.
    pub trims: u64,
    /// Times that the heavy lane was taken.
    pub lane_acquisitions: u64,
    /// Openings of proxy breakers.
    pub circuit_opens: u64,
    /// Attempts sent with a lesser vantage policy than they asked for.
    pub proxy_degraded: u64,
    /// Last calls before the SLA is missed.
    pub finalised: Counted,
    /// Attempts sent through the stack again after a failure.
    pub redispatched: u64,
    /// Refusals, by [`Reason`].
    pub refusals: [Counted; Reason::ALL.len()],
}

impl Counters {
    /// Refusals for `reason`.
    #[must_use]
    pub const fn refused(&self, reason: Reason) -> Counted {
        self.refusals[reason as usize]
    }

    pub(super) fn verdict(&mut self, verdict: Verdict, enforced: bool) {
        match verdict {
            Verdict::Pass => {}
            Verdict::Wait => self.waits.add(enforced),
            Verdict::Refuse(reason) => self.refusals[reason as usize].add(enforced),
            Verdict::TimedOut => self.timeouts.add(enforced),
        }
    }
}

/// The engine that gives a reason, as metrics name it.
#[must_use]
pub const fn engine_of(reason: Reason) -> &'static str {
    match reason {
        Reason::FullCapacity | Reason::HighCapacity => "graduated",
        Reason::QueueFull | Reason::QueueTokens => "queue",
        Reason::Codel => "codel",
        Reason::Deadline => "deadline",
        Reason::Draining => "gateway",
        Reason::UpstreamFull | Reason::UpstreamRate => "upstream",
        Reason::OverBudget => "limiter",
        Reason::ProxyCircuitOpen => "breaker",
        Reason::Throttled => "throttle",
        Reason::RateLimited => "rate_limit",
        Reason::Saturated => "signals",
    }
}

/// The stack's statistics, as the health endpoint shows them. To look changes nothing: no reset happens by it.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// What waits and runs.
    pub now: Snapshot,
    /// Estimated tokens that wait.
    pub queue_tokens: u64,
    /// The enforced concurrency limit.
    pub slots: Option<u32>,
    /// Counted abandoned work over its capacity, unless graduated rejection is off.
    pub capacity_used: Option<f64>,
    /// Where graduated rejection begins, unless it is off.
    pub rejection_threshold: Option<f64>,
    /// `max(0, last reset + interval - now)`, with `forget = "reset"`.
    pub time_until_reset: Option<Span>,
    /// Smoothed mean service time, once a call has ended.
    pub service_time: Option<Span>,
    /// Tokens left in the limiter's window, unless it is off.
    pub budget_left: Option<i64>,
    /// Tokens reserved for calls that run.
    pub reserved: u64,
    /// Heavy calls that run in the lane.
    pub lane_running: u32,
    /// Proxies whose circuit is not closed.
    pub circuits_open: usize,
    /// Reservation over estimate by class of call (grounded or not x vantage policy), unless the limiter is off.
    pub multipliers: Option<[f64; 8]>,
    /// Whether arrivals are refused.
    pub draining: bool,
    /// The upstream's latest signals and when they came.
    pub hint: Option<(Time, Hint)>,
    /// Sums since the start.
    pub counters: Counters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted_by_reason_and_mode() {
        let mut counters = Counters::default();
        counters.verdict(Verdict::Pass, true);
        counters.verdict(Verdict::Refuse(Reason::Codel), true);
        counters.verdict(Verdict::Refuse(Reason::Codel), false);
        counters.verdict(Verdict::Refuse(Reason::QueueFull), false);
        counters.verdict(Verdict::Wait, true);
        assert_eq!(counters.refused(Reason::Codel), Counted { enforced: 1, observed: 1 });
        assert_eq!(counters.refused(Reason::QueueFull), Counted { enforced: 0, observed: 1 });
        assert_eq!(counters.refused(Reason::Deadline), Counted::default());
        assert_eq!((counters.waits.enforced, counters.timeouts.enforced), (1, 0));
    }
}

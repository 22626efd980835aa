//! Controlled delay: drops from a standing queue (folly's `Codel`, after Nichols and Jacobson, "Controlling queue delay",
//! ACM Queue 10:5, 2012).
//!
//! Per interval the minimum delay is kept, over everyone who leaves the queue (an attempt that starts at once has waited
//! nothing). The first to leave after the interval's end closes it: the queue is overloaded if that minimum stood above
//! the target. While it is, whoever has waited more than twice the target is dropped, except the first after a reset.
//!
//! The field's 5 ms and 100 ms are for microservices. Defaults here: the target is 5 % of what the attempt may take (its
//! timeout or its client's deadline, whichever is shorter; where neither bounds it, nothing is dropped), the interval one
//! smoothed mean service time (before the first sample, nothing is dropped).

use serde::{Deserialize, Serialize};

use super::contract::{Asked, Engine};
use super::settings::{Codel, Queue};
use super::{Mode, Saw, Verdict};
use crate::request::Reason;
use crate::time::{Span, Time};

/// Share of the deadline that the minimum delay may stand at by default: one part in this many.
const TARGET_DIVISOR: u64 = 20;

/// The gate at the queue's exit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ControlledDelay {
    mode: Mode,
    target: Option<Span>,
    interval: Option<Span>,
    interval_end: Time,
    delay_min: Span,
    /// Whether the next delay starts the minimum anew.
    fresh: bool,
    overloaded: bool,
}

impl ControlledDelay {
    /// The gate; without a `codel` section in the queue's settings it is off.
    pub fn new(now: Time, settings: Option<&Queue>) -> Self {
        let mut gate = Self {
            mode: Mode::Off,
            target: None,
            interval: None,
            interval_end: now,
            delay_min: Span::ZERO,
            fresh: true,
            overloaded: false,
        };
        gate.reconfigure(settings);
        gate
    }

    /// New target and interval, from the next interval on; what was seen of the queue is kept.
    pub fn reconfigure(&mut self, settings: Option<&Queue>) {
        let codel = settings.and_then(|s| s.codel.as_ref());
        self.mode = if codel.is_some() { settings.map_or(Mode::Off, |s| s.mode) } else { Mode::Off };
        (self.target, self.interval) = codel.map_or((None, None), |Codel { target, interval }| (*target, *interval));
    }

    fn target(&self, asked: &Asked) -> Span {
        self.target.unwrap_or_else(|| {
            if asked.budget == Span::FOREVER {
                Span::FOREVER
            } else {
                Span::from_nanos(asked.budget.as_nanos() / TARGET_DIVISOR)
            }
        })
    }
}

impl Engine for ControlledDelay {
    type Hold = ();

    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        let (target, delay) = (self.target(asked), asked.now - asked.arrived);
        let Some(interval) = self.interval.or(asked.service) else { return Verdict::Pass };
        if asked.now > self.interval_end && !self.fresh {
            self.interval_end = asked.now + interval;
            self.overloaded = self.delay_min > target;
            self.fresh = true;
        }
        if self.fresh {
            self.fresh = false;
            self.delay_min = delay;
            return Verdict::Pass;
        }
        self.delay_min = self.delay_min.min(delay);
        if self.overloaded && delay > target * 2 { Verdict::Refuse(Reason::Codel) } else { Verdict::Pass }
    }

    fn take(&mut self, _asked: &Asked) {}

    fn give_back(&mut self, (): ()) {}

    fn saw(&self, asked: &Asked) -> Saw {
        Saw::Codel { waited: asked.now - asked.arrived, target: self.target(asked), overloaded: self.overloaded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::asked_at;

    const DROP: Verdict = Verdict::Refuse(Reason::Codel);

    fn gate(target: Option<u64>, interval: Option<u64>) -> ControlledDelay {
        let codel = Codel { target: target.map(Span::from_millis), interval: interval.map(Span::from_millis) };
        ControlledDelay::new(Time::ZERO, Some(&Queue { codel: Some(codel), ..Queue::default() }))
    }

    fn leaves(now_ms: u64, waited_ms: u64) -> Asked {
        let now = Time::ZERO + Span::from_millis(now_ms);
        Asked { now, arrived: Time::ZERO + Span::from_millis(now_ms - waited_ms), ..asked_at(0) }
    }

    /// Target 5 ms, interval 100 ms, by hand.
    #[test]
    fn a_standing_queue_is_shed_above_twice_the_target() {
        let mut gate = gate(Some(5), Some(100));
        assert_eq!(gate.ask(&leaves(110, 100)), Verdict::Pass, "the first delay ever");
        assert_eq!(gate.ask(&leaves(200, 50)), Verdict::Pass, "first after the interval: minimum 100 > 5, overloaded");
        assert_eq!(gate.ask(&leaves(200, 50)), DROP);
        assert_eq!(gate.ask(&leaves(200, 10)), Verdict::Pass, "twice the target is not above it");
        assert_eq!(gate.ask(&leaves(300, 11)), DROP, "the interval ends after 300, not at it");
        assert_eq!(gate.ask(&leaves(301, 2)), Verdict::Pass);
        assert_eq!(gate.ask(&leaves(390, 20)), DROP, "minimum 10 > 5: the next interval is overloaded too");
        assert_eq!(gate.ask(&leaves(402, 90)), Verdict::Pass, "minimum 2: no standing queue");
        assert_eq!(gate.ask(&leaves(403, 90)), Verdict::Pass);
    }

    #[test]
    fn defaults_come_from_the_deadline_and_the_service_time() {
        let mut gate = gate(None, None);
        let bounded =
            |now, waited| Asked { budget: Span::from_secs(10), service: Some(Span::from_millis(100)), ..leaves(now, waited) };
        assert_eq!(gate.target(&bounded(0, 0)), Span::from_millis(500));
        assert_eq!(gate.ask(&leaves(2_000, 2_000)), Verdict::Pass, "no interval yet, so nothing was seen");
        assert_eq!(gate.ask(&bounded(2_000, 2_000)), Verdict::Pass);
        assert_eq!(gate.ask(&bounded(2_001, 2_000)), Verdict::Pass);
        assert_eq!(gate.ask(&bounded(2_002, 1_001)), DROP);
        let unbounded = Asked { budget: Span::FOREVER, ..bounded(2_003, 2_000) };
        assert_eq!(gate.ask(&unbounded), Verdict::Pass, "nothing bounds it: no target");
    }
}

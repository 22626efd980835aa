//! Counts of a cohort, summed over replications; conservation is asserted here, on every run.

use super::super::{ClassTally, Tally};
use crate::request::{Cause, Reason};

/// What became of the requests offered, and how many attempts they took. Sums over replications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub offered: u64,
    /// Complete, full length, within SLO.
    pub good: u64,
    /// Complete, SLO missed.
    pub late: u64,
    /// Complete, cut short by a policy.
    pub degraded: u64,
    /// Refused, by [`Reason`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Ended by the gateway.
    pub timed_out: u64,
    /// Left by the client.
    pub gave_up: u64,
    /// Failed upstream, by [`Cause`].
    pub failed: [u64; Cause::ALL.len()],
    /// Not over at the end of the run.
    pub in_flight: u64,
    /// Attempts made for these requests.
    pub attempts: u64,
    /// Requests with more than one attempt.
    pub retried: u64,
}

impl Counts {
    /// Adds one class's cohort of one replication.
    ///
    /// # Panics
    /// Where its columns do not add up to what was offered (INV-1): a defect of the simulator, never of its input.
    pub fn add(&mut self, class: &ClassTally) {
        assert!(
            class.accounted() == class.offered,
            "INV-1 (conservation): {} requests were offered and {} are accounted for: {:?}",
            class.offered,
            class.accounted(),
            Self::of(class)
        );
        self.merge(&Self::of(class));
    }

    fn of(class: &ClassTally) -> Self {
        Self {
            offered: class.offered,
            good: class.good,
            late: class.late,
            degraded: class.degraded,
            rejected: class.rejected,
            timed_out: class.timed_out,
            gave_up: class.gave_up,
            failed: class.failed,
            in_flight: class.in_flight,
            attempts: class.attempts,
            retried: class.retried,
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.offered += other.offered;
        self.good += other.good;
        self.late += other.late;
        self.degraded += other.degraded;
        self.rejected.iter_mut().zip(other.rejected).for_each(|(sum, n)| *sum += n);
        self.timed_out += other.timed_out;
        self.gave_up += other.gave_up;
        self.failed.iter_mut().zip(other.failed).for_each(|(sum, n)| *sum += n);
        self.in_flight += other.in_flight;
        self.attempts += other.attempts;
        self.retried += other.retried;
    }

    /// Complete answers of any kind.
    #[must_use]
    pub const fn completed(&self) -> u64 {
        self.good + self.late + self.degraded
    }

    /// Refused for any reason.
    #[must_use]
    pub fn rejected_in_all(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Failed for any cause.
    #[must_use]
    pub fn failed_in_all(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// The reasons that occurred, with how often.
    pub fn rejected_by_reason(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason, self.rejected[reason as usize])).filter(|(_, n)| *n > 0)
    }

    /// The causes that occurred, with how often.
    pub fn failed_by_cause(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().map(|cause| (cause, self.failed[cause as usize])).filter(|(_, n)| *n > 0)
    }

    /// `n` as a share of what was offered; `None` where nothing was.
    #[must_use]
    pub fn share(&self, n: u64) -> Option<f64> {
        (self.offered > 0).then(|| n as f64 / self.offered as f64)
    }
}

/// What is counted for a whole run and not by class. Over replications: the maxima of the maxima, the sums of the rest.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct RunCounts {
    /// Attempts that a policy sent another way than they asked.
    pub policy_degraded: u64,
    /// Most abandoned calls that the policy counted at once.
    pub abandoned_counted_max: f64,
    /// Most abandoned calls that really ran at once.
    pub abandoned_true_max: u32,
    /// Preemptions.
    pub preemptions: u64,
    /// Turns of the event loop.
    pub events: u64,
}

impl RunCounts {
    /// Adds one replication.
    ///
    /// # Panics
    /// Where the integral of the number in system is not the summed residence (INV-10): a defect of the simulator.
    pub fn add(&mut self, tally: &Tally) {
        assert!(
            tally.system_area == tally.residence,
            "INV-10 (integral of the number in system): {} ns, but the attempts stayed {} ns",
            tally.system_area,
            tally.residence
        );
        self.policy_degraded += tally.policy_degraded;
        self.abandoned_counted_max = self.abandoned_counted_max.max(tally.abandoned_counted_max);
        self.abandoned_true_max = self.abandoned_true_max.max(tally.abandoned_true_max);
        self.preemptions += tally.preemptions;
        self.events += tally.events;
    }
}

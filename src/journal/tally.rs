//! What one replication counts while it runs: flat in the number of requests.

use super::{Metered, Watched};
use crate::latency::Latency;
use crate::request::{Cause, Outcome, Reason};
use crate::time::{Span, Time};
use crate::workload::Finished;

/// One replication of one variant.
#[derive(Clone, Debug)]
pub struct Tally {
    /// When the cohort arrived and when the run stopped.
    pub window: Window,
    /// Classes, as the scenario orders them. The cohort only: intended first arrival in [`Window::start`], [`Window::end`).
    pub classes: Vec<ClassTally>,
    /// What happened when, summed over classes.
    pub series: Series,
    /// Rolling digest over (time, event, id) of every external event.
    pub digest: u64,
    /// External events, as the digest folds them: arrivals, attempts sent and over, calls started, begun and ended, first
    /// tokens, clients leaving.
    pub events: u64,
    /// Turns of the event loop: arrivals, completions, timeouts, and engine steps that change something.
    pub turns: u64,
    /// Integral of the requests that wait (in the gateway or upstream) inside the window, request-nanoseconds.
    pub queue_area: u128,
    /// Integral of the attempts inside the system (sent and not over) inside the window, attempt-nanoseconds.
    pub system_area: u128,
    /// The same from the attempts' own times: equal to `system_area` on every run (INV-10).
    pub residence: u128,
    /// Mean busy share of the upstream over the window.
    pub utilisation: f64,
    /// Most abandoned calls that the policy counted at once.
    pub abandoned_counted_max: f64,
    /// Most abandoned calls that really ran at once.
    pub abandoned_true_max: u32,
    /// Attempts that a policy sent another way than they asked (proxy degradation).
    pub policy_degraded: u64,
    /// What the policies in front of a metered API did.
    pub metered: Metered,
    /// Preemptions.
    pub preemptions: u64,
    /// What only plots show, where somebody draws.
    pub watched: Option<Box<Watched>>,
    /// Why the run was broken off, if it was; such a run is not valid.
    pub halted: Option<Halt>,
}

/// Why a run was broken off, and when in simulated time.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Too much was under way at once, at this time.
    Crowded(Time),
    /// Too much happened at this instant.
    Standstill(Time),
    /// It would have ended, and nobody waited for it any more.
    Interrupted(Time),
}

/// The times that bound what is measured.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// End of the warm-up.
    pub start: Time,
    /// End of the arrivals that count.
    pub end: Time,
    /// End of the run, after the drain.
    pub drained: Time,
}

impl Window {
    /// Whether a request that wanted to arrive at `arrival` counts.
    #[must_use]
    pub fn holds(&self, arrival: Time) -> bool {
        self.start <= arrival && arrival < self.end
    }
}

/// Counts and latencies of one class's cohort.
#[derive(Clone, Debug)]
pub struct ClassTally {
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
    /// Requests whose last attempt had to wait for service, over by the end of the run.
    pub waited: u64,
    /// Tokens computed upstream for calls that came to nothing: cancelled, abandoned, failed, or recomputed.
    pub wasted_tokens: u64,
    /// Tokens computed upstream for this class's cohort in all.
    pub computed_tokens: u64,
    /// First token minus intended first arrival, over completed requests; for an answer in one piece its end. Complete from
    /// [`ClassTally::close`] on.
    pub ttft: Latency,
    /// Whether any answer had a first token before its end: until then `e2e` holds what `ttft` would.
    pub apart: bool,
    /// (e2e - ttft) / (output - 1), over completed and streamed requests with more than one output token.
    pub tpot: Latency,
    /// Every gap between two tokens of one answer, pooled.
    pub itl: Latency,
    /// Last byte minus intended first arrival, over completed requests.
    pub e2e: Latency,
    /// Begin of service minus the attempt's arrival, over completed requests (their last attempt).
    pub wait: Latency,
}

impl Default for ClassTally {
    fn default() -> Self {
        Self {
            offered: 0,
            good: 0,
            late: 0,
            degraded: 0,
            rejected: [0; Reason::ALL.len()],
            timed_out: 0,
            gave_up: 0,
            failed: [0; Cause::ALL.len()],
            in_flight: 0,
            attempts: 0,
            retried: 0,
            waited: 0,
            wasted_tokens: 0,
            computed_tokens: 0,
            ttft: Latency::new(),
            apart: false,
            tpot: Latency::new(),
            itl: Latency::new(),
            e2e: Latency::new(),
            wait: Latency::new(),
        }
    }
}

impl ClassTally {
    /// A request of the cohort is over.
    pub fn finish(&mut self, finished: &Finished) {
        match finished.outcome {
            Outcome::Good => self.good += 1,
            Outcome::Late => self.late += 1,
            Outcome::Degraded => self.degraded += 1,
            Outcome::Rejected(reason) => self.rejected[reason as usize] += 1,
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::GaveUp => self.gave_up += 1,
            Outcome::Failed(cause) => self.failed[cause as usize] += 1,
        }
        self.attempts += u64::from(finished.attempts);
        self.retried += u64::from(finished.attempts > 1);
        if matches!(finished.outcome, Outcome::Good | Outcome::Late | Outcome::Degraded) {
            self.latencies(finished);
        }
    }

    fn latencies(&mut self, finished: &Finished) {
        let e2e = finished.at - finished.arrival;
        if let Some(first) = finished.first_token {
            self.streamed(first - finished.arrival, e2e, finished.output_tokens);
        } else if self.apart {
            self.ttft.record(e2e); // of an answer that came in one piece nobody saw the tokens' times
        }
        self.e2e.record(e2e);
    }

    fn streamed(&mut self, ttft: Span, e2e: Span, output_tokens: u32) {
        if !self.apart {
            self.apart = true;
            self.ttft.merge(&self.e2e); // all answers so far came in one piece
        }
        self.ttft.record(ttft);
        if output_tokens > 1 {
            self.tpot.record(Span::from_nanos((e2e.as_nanos() - ttft.as_nanos()) / u64::from(output_tokens - 1)));
        }
    }

    /// The run is over.
    pub fn close(&mut self) {
        if !self.apart {
            self.ttft.merge(&self.e2e);
        }
    }

    /// Complete answers of any kind.
    #[must_use]
    pub const fn completed(&self) -> u64 {
        self.good + self.late + self.degraded
    }

    /// All eight columns together: equal to `offered` on every run (INV-1).
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.completed()
            + self.rejected.iter().sum::<u64>()
            + self.timed_out
            + self.gave_up
            + self.failed.iter().sum::<u64>()
            + self.in_flight
    }
}

/// What happened when, in at most [`Series::BINS_MAX`] bins of equal length from time zero to the end of the run.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Length of a bin.
    pub bin: Span,
    /// Requests by intended first arrival, outside the cohort too.
    pub offered: Vec<u32>,
    /// Of those, the good ones.
    pub good: Vec<u32>,
    /// Complete answers, by when they were complete.
    pub completed: Vec<u32>,
    /// Requests that were not over at the end of the bin.
    pub backlog: Vec<u32>,
    /// Requests by intended first arrival that got a complete answer, good or not, by the end of the run.
    pub answered: Vec<u32>,
    /// Sum of the end-to-end latency of the complete answers, by intended first arrival, seconds.
    pub e2e_s: Vec<f64>,
    /// Abandoned calls that the policy counts at the end of the bin.
    pub abandoned_counted: Vec<f64>,
    /// Abandoned calls that really run at the end of the bin.
    pub abandoned_true: Vec<u32>,
}

impl Series {
    /// Most bins.
    pub const BINS_MAX: u64 = 1_000;

    /// Empty bins over a run that ends at `end`: whole milliseconds each.
    #[must_use]
    pub fn over(end: Time) -> Self {
        let bin = Span::from_millis(end.as_nanos().div_ceil(Self::BINS_MAX * 1_000_000).max(1));
        let bins = usize::try_from(end.as_nanos().div_ceil(bin.as_nanos())).expect("at most BINS_MAX") + 1;
        Self {
            bin,
            offered: vec![0; bins],
            good: vec![0; bins],
            completed: vec![0; bins],
            backlog: vec![0; bins],
            answered: vec![0; bins],
            e2e_s: vec![0.0; bins],
            abandoned_counted: vec![0.0; bins],
            abandoned_true: vec![0; bins],
        }
    }

    /// The bin that `at` falls in.
    #[must_use]
    pub fn index(&self, at: Time) -> usize {
        usize::try_from(at.as_nanos() / self.bin.as_nanos()).map_or(usize::MAX, |index| index).min(self.offered.len() - 1)
    }
}

/// A rolling digest over external events: order, time, kind and id all count.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// Folds one event in.
    pub const fn event(&mut self, at: Time, kind: u8, id: u64) {
        // Three odd multipliers (from SplitMix64's family) keep time, kind and id apart; the rotation keeps order.
        let word =
            at.as_nanos().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ id.wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ (kind as u64) << 56;
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x94D0_49BB_1331_11EB);
    }

    /// The digest so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Folds another digest in, in order.
    pub const fn fold(&mut self, other: u64) {
        self.event(Time::ZERO, 0xFF, other);
    }
}

//! What the log itself says became of its requests, in the columns and over the time of a run that replays it.

use super::log::Replay;
use super::survey::Survey;
use crate::latency::Latency;
use crate::time::{Span, Time};
use crate::trace::{Ended, Record, TraceError};
use crate::workload::{SloSettings, Took};

/// Bins that a rolling percentile looks back, as in a simulated run's course.
const ROLLING_BINS: usize = 25;

/// Requests by what became of them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// All.
    pub offered: u64,
    /// Complete, within what the scenario calls good; or complete, where the log has no times to judge by or the class no SLO.
    pub good: u64,
    /// Complete, later than that.
    pub late: u64,
    /// Refused.
    pub rejected: u64,
    /// Ended by a gateway.
    pub timed_out: u64,
    /// Left by the client.
    pub gave_up: u64,
    /// Failed otherwise.
    pub failed: u64,
    /// Of which the log does not say.
    pub unknown: u64,
}

impl Outcomes {
    /// The share of the good among those of which the log says what became of them; `None` where it says it of none.
    #[must_use]
    pub fn good_share(&self) -> Option<f64> {
        let said = self.offered - self.unknown;
        (said > 0).then(|| self.good as f64 / said as f64)
    }
}

/// What was recorded.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Over all classes.
    pub outcomes: Outcomes,
    /// Completes that have an SLO and no time to judge it by: counted as good.
    pub unjudged: u64,
    /// First token minus arrival, of complete answers.
    pub ttft: Latency,
    /// Last byte minus arrival, of the same.
    pub e2e: Latency,
    /// Length of a bin.
    pub bin: Span,
    /// By intended arrival.
    pub offered: Vec<u32>,
    /// Of those, the good ones.
    pub good: Vec<u32>,
    /// Of those, the refused ones.
    pub rejected: Vec<u32>,
    /// Of those, the complete ones.
    pub answered: Vec<u32>,
    /// Of those with a time, their number and the sum of their end-to-end latencies, seconds.
    pub e2e_s: Vec<(u32, f64)>,
    /// 99th percentile of the end-to-end latency of answers that came in the bins just before, seconds; not a number without.
    pub e2e_p99_s: Vec<f64>,
}

impl Measured {
    /// Reads the log again, into `bins` bins of `bin` from its first arrival on. Outcomes and latencies are of those that arrive
    /// `warmup` after it or later, as in a run.
    ///
    /// # Errors
    /// As [`Survey::of`].
    pub fn of(
        replay: &Replay,
        slos: &[Option<SloSettings>],
        (bin, bins): (Span, usize),
        warmup: Span,
    ) -> Result<Self, TraceError> {
        let mut measured = Self::new(bin, bins.max(1));
        let cohort = replay.first + warmup;
        let mut ends: Vec<Option<Box<Latency>>> = vec![None; bins.max(1)];
        let mut rows = replay.log.open()?;
        while let Some(record) = rows.next()? {
            if record.lengths().is_some() {
                let slo = slos.get(usize::from(replay.classes.of(record.class))).copied().flatten().unwrap_or_default();
                let times = (replay.first, cohort);
                measured.take(&record, times, slo, &mut ends);
            }
        }
        measured.e2e_p99_s = rolling(&ends);
        Ok(measured)
    }

    /// Whether there is anything to measure.
    #[must_use]
    pub const fn worth_it(survey: &Survey) -> bool {
        survey.ended > 0
    }

    fn new(bin: Span, bins: usize) -> Self {
        Self {
            outcomes: Outcomes::default(),
            unjudged: 0,
            ttft: Latency::new(),
            e2e: Latency::new(),
            bin,
            offered: vec![0; bins],
            good: vec![0; bins],
            rejected: vec![0; bins],
            answered: vec![0; bins],
            e2e_s: vec![(0, 0.0); bins],
            e2e_p99_s: Vec::new(),
        }
    }

    fn bin_of(&self, since: Span) -> usize {
        let index = since.as_nanos() / self.bin.as_nanos().max(1);
        usize::try_from(index).unwrap_or(usize::MAX).min(self.offered.len() - 1)
    }

    /// One more request; its place in time is counted from `first`, and it is of the cohort from `cohort` on.
    fn take(&mut self, record: &Record, (first, cohort): (Time, Time), slo: SloSettings, ends: &mut [Option<Box<Latency>>]) {
        let at = self.bin_of(record.arrival.since(first));
        let one = u64::from(record.arrival >= cohort);
        self.outcomes.offered += one;
        self.offered[at] += 1;
        match record.ended {
            Some(Ended::Complete) => self.complete(record, (first, cohort), slo, at, ends),
            Some(Ended::Refused) => {
                self.outcomes.rejected += one;
                self.rejected[at] += 1;
            }
            Some(Ended::TimedOut) => self.outcomes.timed_out += one,
            Some(Ended::FirstTokenTimeout | Ended::TotalTimeout | Ended::Left) => self.outcomes.gave_up += one,
            Some(Ended::Cut | Ended::Broken | Ended::Failed) => self.outcomes.failed += one,
            None => self.outcomes.unknown += one,
        }
    }

    fn complete(
        &mut self,
        record: &Record,
        (first, cohort): (Time, Time),
        slo: SloSettings,
        at: usize,
        ends: &mut [Option<Box<Latency>>],
    ) {
        let is_counted = record.arrival >= cohort;
        self.answered[at] += 1;
        let took = took(record);
        if let Some(e2e) = took.e2e {
            self.e2e_s[at].0 += 1;
            self.e2e_s[at].1 += e2e.as_secs_f64();
            let came = self.bin_of((record.arrival + e2e).since(first));
            ends[came].get_or_insert_default().record(e2e);
        }
        let met = slo.met(took);
        self.good[at] += u32::from(met != Some(false));
        if is_counted {
            took.e2e.into_iter().for_each(|e2e| self.e2e.record(e2e));
            took.ttft.into_iter().for_each(|ttft| self.ttft.record(ttft));
            self.unjudged += u64::from(met.is_none());
            *if met == Some(false) { &mut self.outcomes.late } else { &mut self.outcomes.good } += 1;
        }
    }
}

/// How long a complete answer took. One of a single token has its first token at its end.
fn took(record: &Record) -> Took {
    let since = |time: Time| time.since(record.arrival);
    let output_tokens = record.output_tokens.unwrap_or(1);
    let e2e = record.last_byte.or(record.end).map(since);
    let ttft = record.first_byte.map(since).or(e2e.filter(|_| output_tokens == 1));
    Took { ttft, e2e, output_tokens }
}

/// The 99th percentile over each bin and those just before it.
fn rolling(ends: &[Option<Box<Latency>>]) -> Vec<f64> {
    let one = |last: usize| {
        let mut all = Latency::new();
        for latency in ends[last.saturating_sub(ROLLING_BINS - 1)..=last].iter().flatten() {
            all.merge(latency);
        }
        all.quantile_s(0.99).unwrap_or(f64::NAN)
    };
    (0..ends.len()).map(one).collect()
}

#[cfg(test)]
#[path = "measured_tests.rs"]
mod tests;

//! What a person must know of a log before trusting it, counted while it passes, in memory that does not grow with it.

mod arrivals;
mod course;
mod lengths;
mod summary;
mod tenants;

use std::collections::BTreeMap;

pub use arrivals::{Gaps, Rate};
pub use course::{Bin, Course};
pub use lengths::{LENGTHS, Lengths};
pub use summary::{Peak, Quantiles, Share, Summary, Tokens};

use self::lengths::ByClass;
use self::tenants::Tenants;
use super::record::{Ended, Record};
use crate::latency::Latency;
use crate::time::{Span, Time};

/// Counts the requests of a log, in order of arrival.
#[derive(Clone, Debug)]
pub struct Stats {
    requests: u64,
    ends: Option<(Time, Time)>,
    gaps: Gaps,
    rates: [Rate; 3],
    course: Course,
    classes: ByClass,
    tenants: Tenants,
    /// How requests ended; `None` where the log does not say.
    outcomes: BTreeMap<Option<Ended>, u64>,
    statuses: BTreeMap<u16, u64>,
    ttft: Latency,
    e2e: Latency,
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requests: 0,
            ends: None,
            gaps: Gaps::default(),
            rates: [1, 10, 60].map(|secs| Rate::new(Span::from_secs(secs))),
            course: Course::default(),
            classes: ByClass::default(),
            tenants: Tenants::default(),
            outcomes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            ttft: Latency::new(),
            e2e: Latency::new(),
        }
    }

    /// One more request, which arrived not before the one before.
    pub fn count(&mut self, record: &Record) {
        let at = record.arrival;
        let (first, _) = self.ends.unwrap_or((at, at));
        self.ends = Some((first, at));
        self.requests += 1;
        self.gaps.arrive(at);
        self.rates.iter_mut().for_each(|rate| rate.arrive(at - first));
        self.course.arrive(at - first);
        self.classes.count(record);
        self.tenants.count(record);
        *self.outcomes.entry(record.ended).or_default() += 1;
        if let Some(status) = record.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        if record.is_complete() {
            if let Some(first_byte) = record.first_byte {
                self.ttft.record(first_byte - at);
            }
            if let Some(last) = record.last_byte.or(record.end) {
                self.e2e.record(last - at);
            }
        }
    }

    /// The course of the rate, for drawing.
    #[must_use]
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// The lengths of all requests, for drawing.
    #[must_use]
    pub fn lengths(&self) -> &Lengths {
        self.classes.all()
    }
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;

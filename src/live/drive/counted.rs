//! Counts a driven run as the simulator counts a simulated one.

use slotmap::SecondaryMap;

use super::attempt::{Seen, SeenKind};
use super::driver::{Driven, Watcher};
use crate::journal::{Tally, Window};
use crate::request::{AttemptId, Request};
use crate::sim::Observed;
use crate::time::Time;
use crate::workload::Finished;

/// Counts so far.
pub struct Counted {
    observed: Observed,
    under_way: SecondaryMap<AttemptId, Times>,
}

/// What is remembered of an attempt under way.
#[derive(Copy, Clone, Debug)]
struct Times {
    sent: Time,
    token: Option<Time>,
}

impl Counted {
    /// Nothing yet.
    #[must_use]
    pub fn new(window: Window, classes: usize) -> Self {
        Self { observed: Observed::new(window, classes), under_way: SecondaryMap::new() }
    }

    /// What it comes to.
    #[must_use]
    pub fn tally(self, driven: &Driven) -> Tally {
        self.observed.end(&driven.client, driven.at)
    }

    fn over(&mut self, now: Time, attempt: AttemptId) {
        if let Some(times) = self.under_way.remove(attempt) {
            self.observed.over(now, times.sent);
        }
    }
}

impl Watcher for Counted {
    fn arrived(&mut self, now: Time, request: &Request) {
        self.observed.arrive(now, request);
    }

    fn seen(&mut self, request: &Request, seen: &Seen) {
        match seen.kind {
            SeenKind::Sent => {
                self.observed.send(seen.at);
                self.under_way.insert(seen.attempt, Times { sent: seen.at, token: None });
            }
            SeenKind::Token => {
                let Some(times) = self.under_way.get_mut(seen.attempt) else { return };
                if let Some(before) = times.token.replace(seen.at) {
                    self.observed.gap(request, seen.at - before);
                }
            }
            SeenKind::Ended(_) => self.over(seen.at, seen.attempt),
        }
    }

    fn left(&mut self, now: Time, _request: &Request, attempt: AttemptId) {
        self.over(now, attempt);
    }

    fn finished(&mut self, now: Time, _request: &Request, finished: &Finished) {
        self.observed.finish(now, finished);
    }
}

//! A run that was not simulated, written down as a simulated one is: a [`Tally`] of what its driver saw.

use super::area::{Area, inside};
use super::metered::MeteredRecord;
use super::record::Record;
use crate::journal::{Tally, Window};
use crate::latency::Latency;
use crate::policy::{Gateway, Settings};
use crate::request::{CallId, Request};
use crate::time::{Span, Time};
use crate::upstream::{Call, EventKind, Gauges, Output, Totals, Upstream};
use crate::workload::{Client, Finished};

/// What was seen so far of a run from outside.
///
/// All that clients see is in the tally: columns, latencies, gaps, attempts, the course over time. What only a simulator knows
/// is 0 there: when service began, the work that an upstream did, and what a gateway's policies counted.
pub struct Observed {
    window: Window,
    record: Record,
    upstream: Unseen,
    /// Decides nothing: a record samples one.
    gateway: Gateway,
    system: Area,
    residence: u128,
}

impl Observed {
    /// Nothing yet; times are since the run's start and never run back.
    #[must_use]
    pub fn new(window: Window, classes: usize) -> Self {
        let settings = Settings::default();
        let gateway = Gateway::new(&settings);
        let metered = MeteredRecord::new(&settings, &gateway, false);
        Self {
            window,
            record: Record::new(window, classes, metered),
            upstream: Unseen { gaps: vec![Latency::new(); classes] },
            gateway,
            system: Area::over(window),
            residence: 0,
        }
    }

    fn pass(&mut self, now: Time) {
        self.record.pass(now, &mut self.upstream, &self.gateway);
    }

    /// A request arrives for the first time, at `now`: at its intended arrival or later.
    pub fn arrive(&mut self, now: Time, request: &Request) {
        self.pass(now);
        self.record.arrive(request);
    }

    /// An attempt goes out at `now`.
    pub fn send(&mut self, now: Time) {
        self.system.up(now);
    }

    /// An attempt that went out at `sent` is over, whoever ended it.
    pub fn over(&mut self, now: Time, sent: Time) {
        self.system.down(now);
        self.residence += inside(self.window, sent, now);
    }

    /// Two tokens of an answer came so far apart; of requests whose intended arrival lies in the window only.
    pub fn gap(&mut self, request: &Request, gap: Span) {
        if self.window.holds(request.arrival) {
            self.upstream.gaps[request.class.index()].record(gap);
        }
    }

    /// A request is over.
    pub fn finish(&mut self, now: Time, finished: &Finished) {
        self.pass(now);
        self.record.finish(finished, None, false);
    }

    /// The run is over at `end`, every attempt with it; what `client` still holds is in flight.
    #[must_use]
    pub fn end(mut self, client: &Client, end: Time) -> Tally {
        self.pass(Time::FAR);
        let stats = self.gateway.stats(end);
        let mut tally = self.record.finish_run(client, &mut self.upstream, &stats, end);
        tally.system_area = self.system.sum(end);
        tally.residence = self.residence;
        tally
    }
}

/// An upstream of which nothing is known but the gaps that its clients saw.
struct Unseen {
    gaps: Vec<Latency>,
}

impl Upstream for Unseen {
    fn start(&mut self, _now: Time, _call: &Call) {}

    fn cancel(&mut self, _now: Time, _call: CallId) {}

    fn next_event(&self) -> Option<(Time, EventKind)> {
        None
    }

    fn advance(&mut self, _now: Time, _kind: EventKind) {}

    fn poll(&mut self) -> Option<Output> {
        None
    }

    fn gauges(&self) -> Gauges {
        Gauges::default()
    }

    fn totals(&mut self, _now: Time) -> Totals {
        Totals::default()
    }

    fn gaps(&mut self) -> &[Latency] {
        &self.gaps
    }
}

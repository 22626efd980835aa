//! What a replication writes down while it runs, until it is a [`Tally`].

use super::metered::MeteredRecord;
use super::watch::Watch;
use crate::journal::{ClassTally, Series, Tally, Window};
use crate::policy::{Gateway, Settings, Stats};
use crate::request::{ClassId, Outcome, Request};
use crate::time::{Span, Time};
use crate::upstream::{CallWork, Upstream};
use crate::workload::{Client, Finished};

/// The columns of a [`Series`] that requests write, side by side: a request that is over writes several at once.
#[derive(Copy, Clone, Debug, Default)]
struct Bin {
    offered: u32,
    good: u32,
    completed: u32,
    answered: u32,
    e2e_s: f64,
}

/// Counts so far.
#[derive(Debug)]
pub struct Record {
    window: Window,
    classes: Vec<ClassTally>,
    /// What is written at the end of a bin; the rest of it follows from `bins`.
    series: Series,
    bins: Vec<Bin>,
    /// Requests that have arrived and are not over.
    open: u32,
    /// The first bin whose end has not passed, and that end.
    bin: usize,
    bin_end: Time,
    /// The upstream's busy time at the window's start and end, once they have passed.
    busy_s: [Option<f64>; 2],
    /// The next of the two to pass, or never.
    mark: Time,
    /// When there is something to sample next: at `mark` or `bin_end`.
    sample_at: Time,
    /// Of a metered API.
    pub metered: MeteredRecord,
    /// For those who draw.
    pub watch: Watch,
}

impl Record {
    /// Nothing yet.
    pub fn new(window: Window, classes: usize, metered: MeteredRecord) -> Self {
        let series = Series::over(window.drained);
        let bin_end = Time::ZERO + series.bin;
        let bins = vec![Bin::default(); series.offered.len()];
        let classes = (0..classes).map(|_| ClassTally::default()).collect();
        Self {
            window,
            classes,
            series,
            bins,
            open: 0,
            bin: 0,
            bin_end,
            busy_s: [None; 2],
            mark: window.start,
            sample_at: window.start.min(bin_end),
            metered,
            watch: Watch::default(),
        }
    }

    /// From now on somebody watches, through the run as well if so wanted; nothing has happened yet.
    pub fn be_watched(&mut self, settings: &Settings, through: bool, has_kv: bool) {
        self.watch = Watch::new(settings, through.then_some(self.series.bin), has_kv);
    }

    /// Time goes on to `at`: samples whatever lies on the way. Whether it has; the upstream may then have something to say.
    #[inline]
    pub fn pass(&mut self, at: Time, upstream: &mut impl Upstream, gateway: &Gateway) -> bool {
        let samples = self.sample_at <= at;
        if samples {
            self.sample(at, upstream, gateway);
        }
        samples
    }

    #[cold]
    fn sample(&mut self, at: Time, upstream: &mut impl Upstream, gateway: &Gateway) {
        while self.mark <= at && self.busy_s[1].is_none() {
            let slot = usize::from(self.busy_s[0].is_some());
            self.busy_s[slot] = Some(upstream.totals(self.mark).busy_s);
            self.mark = if slot == 0 { self.window.end } else { Time::FAR };
        }
        while self.bin_end <= at && self.bin + 1 < self.series.backlog.len() {
            self.series.backlog[self.bin] = self.open;
            let stats = gateway.stats(self.bin_end);
            self.metered.sample(&stats);
            self.watch.sample(self.bin_end, &stats, upstream);
            let snapshot = stats.now;
            self.series.abandoned_counted[self.bin] = snapshot.abandoned_counted;
            self.series.abandoned_true[self.bin] = snapshot.abandoned_true;
            self.bin += 1;
            self.bin_end += self.series.bin;
        }
        self.sample_at = self.mark.min(self.bin_end);
    }

    /// A request arrives for the first time.
    #[inline]
    pub fn arrive(&mut self, request: &Request) {
        self.open += 1;
        self.metered.arrive(request);
        self.bins[self.bin].offered += 1; // it arrives now
        if self.window.holds(request.arrival) {
            self.classes[request.class.index()].offered += 1;
        }
    }

    /// A request is over; `wait` is its last attempt's wait for service, if service began.
    pub fn finish(&mut self, finished: &Finished, wait: Option<Span>, waited: bool) {
        self.open -= 1;
        self.trace(finished);
        if !self.window.holds(finished.arrival) {
            return;
        }
        let class = &mut self.classes[finished.class.index()];
        class.finish(finished);
        class.waited += u64::from(waited);
        if finished.outcome == Outcome::Good {
            self.metered.good(finished.output_tokens);
        }
        if let (Some(wait), Outcome::Good | Outcome::Late | Outcome::Degraded) = (wait, finished.outcome) {
            class.wait.record(wait);
        }
    }

    fn trace(&mut self, finished: &Finished) {
        let complete = matches!(finished.outcome, Outcome::Good | Outcome::Late | Outcome::Degraded);
        if complete {
            let arrived = self.bin_of(finished.arrival);
            let arrived = &mut self.bins[arrived];
            arrived.good += u32::from(finished.outcome == Outcome::Good);
            arrived.answered += 1;
            arrived.e2e_s += (finished.at - finished.arrival).as_secs_f64();
            self.bins[self.bin].completed += 1; // it is over now
            self.watch.answered(finished);
        }
    }

    /// The bin that a time not after now falls in: mostly the present one, which takes no division.
    #[inline]
    fn bin_of(&self, at: Time) -> usize {
        if at + self.series.bin >= self.bin_end { self.bin } else { self.series.index(at) }
    }

    /// A call of the cohort has ended after this much work. All of it is wasted where nobody got the answer; otherwise
    /// what was computed twice is.
    pub fn spent(&mut self, class: ClassId, input_tokens: u32, work: CallWork, complete: bool) {
        let class = &mut self.classes[class.index()];
        let computed = u64::from(work.prefill_tokens) + u64::from(work.decode_tokens);
        class.computed_tokens += computed;
        let again = u64::from(work.prefill_tokens.saturating_sub(input_tokens));
        class.wasted_tokens += if complete { again } else { computed };
        class.prefill_tokens += u64::from(work.prefill_tokens);
        class.wasted_prefill_tokens += if complete { again } else { u64::from(work.prefill_tokens) };
    }

    fn fill_columns(&mut self) {
        let Self { series, bins, .. } = self;
        series.offered = bins.iter().map(|bin| bin.offered).collect();
        series.good = bins.iter().map(|bin| bin.good).collect();
        series.completed = bins.iter().map(|bin| bin.completed).collect();
        series.answered = bins.iter().map(|bin| bin.answered).collect();
        series.e2e_s = bins.iter().map(|bin| bin.e2e_s).collect();
    }

    /// The run is over at `end`: what the clients still hold is in flight.
    pub fn finish_run(mut self, client: &Client, upstream: &mut impl Upstream, stats: &Stats, end: Time) -> Tally {
        self.series.backlog[self.bin..].fill(self.open);
        self.watch.sample(end, stats, upstream);
        self.fill_columns();
        for (class, arrival, attempts) in client.unfinished() {
            if self.window.holds(arrival) {
                let class = &mut self.classes[class.index()];
                class.in_flight += 1;
                class.attempts += u64::from(attempts);
                class.retried += u64::from(attempts > 1);
            }
        }
        for (class, gaps) in self.classes.iter_mut().zip(upstream.gaps()) {
            class.itl.merge(gaps);
        }
        self.classes.iter_mut().for_each(ClassTally::close);
        for (index, class) in self.classes.iter().enumerate() {
            let (offered, accounted) = (class.offered, class.accounted());
            assert_eq!(offered, accounted, "INV-1: class {index} offered {offered} requests but accounts for {accounted}");
        }
        let measured_s = (self.window.end - self.window.start).as_secs_f64();
        let busy = self.busy_s[1].unwrap_or_default() - self.busy_s[0].unwrap_or_default();
        Tally {
            window: self.window,
            classes: self.classes,
            series: self.series,
            digest: 0,
            events: 0,
            turns: 0,
            queue_area: 0,
            system_area: 0,
            residence: 0,
            utilisation: if measured_s > 0.0 { busy / measured_s } else { 0.0 },
            abandoned_counted_max: 0.0,
            abandoned_true_max: 0,
            policy_degraded: stats.counters.proxy_degraded,
            metered: self.metered.finish(stats),
            watched: self.watch.finish(),
            preemptions: upstream.totals(end).preemptions,
            halted: None,
        }
    }
}

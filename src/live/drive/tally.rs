//! From the attempts of a step to the figures of a replication: the same tally as the simulator's.

use std::collections::BTreeMap;

use super::line::{Line, Stamp};
use super::load::Load;
use crate::journal::{ClassTally, Digest, Metered, Series, Tally, Window};
use crate::request::{AttemptId, ClassId, Outcome, RequestId};
use crate::time::Time;
use crate::workload::Finished;

/// The tally of a step's attempts. What only the server knows (its queue, its work) is 0 in it: a summary of live runs leaves
/// those figures out. The digest is of the requests: number, arrival, lengths.
#[must_use]
pub fn tally(load: &Load, lines: &[Line]) -> Tally {
    let requests = by_request(lines);
    let window = load.window;
    let mut book = Book::new(load);
    for attempts in requests.values() {
        book.request(load, attempts);
    }
    let area = lines.iter().map(|line| inside(window, line.sched, line.end)).sum();
    let Book { mut classes, series, .. } = book;
    classes.iter_mut().for_each(ClassTally::close);
    Tally {
        window,
        classes,
        series,
        digest: digest(&requests),
        events: lines.len() as u64,
        turns: 0,
        queue_area: 0,
        system_area: area,
        residence: area,
        utilisation: 0.0,
        abandoned_counted_max: 0.0,
        abandoned_true_max: 0,
        policy_degraded: 0,
        metered: Metered::default(),
        preemptions: 0,
        watched: None,
        halted: None,
    }
}

/// The attempts of each request, in order.
fn by_request(lines: &[Line]) -> BTreeMap<u64, Vec<&Line>> {
    let mut requests: BTreeMap<u64, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        requests.entry(line.i).or_default().push(line);
    }
    for attempts in requests.values_mut() {
        attempts.sort_by_key(|line| line.attempt);
    }
    requests
}

fn digest(requests: &BTreeMap<u64, Vec<&Line>>) -> u64 {
    let mut digest = Digest::default();
    for (id, attempts) in requests {
        let line = attempts[0]; // no request without one
        digest.event(line.arrival, 0, *id);
        digest.event(line.arrival, 1, u64::from(line.prompt) << 32 | u64::from(line.max_tokens));
    }
    digest.value()
}

fn inside(window: Window, from: Time, to: Time) -> u128 {
    let (from, to) = (from.max(window.start), to.min(window.end));
    if to > from { u128::from((to - from).as_nanos()) } else { 0 }
}

struct Book {
    classes: Vec<ClassTally>,
    series: Series,
}

impl Book {
    fn new(load: &Load) -> Self {
        let classes = load.workload.classes.iter().map(|_| ClassTally::default()).collect();
        Self { classes, series: Series::over(load.window.drained) }
    }

    fn request(&mut self, load: &Load, attempts: &[&Line]) {
        let (first, last) = (attempts[0], attempts[attempts.len() - 1]);
        let Some(class) = load.workload.classes.iter().position(|class| class.name == first.class) else { return };
        let finished = finished(class, last);
        self.trace(first.arrival, finished.as_ref());
        if !load.window.holds(first.arrival) {
            return;
        }
        let class = &mut self.classes[class];
        class.offered += 1;
        let Some(finished) = finished else {
            class.in_flight += 1;
            class.attempts += u64::from(last.attempt);
            class.retried += u64::from(last.attempt > 1);
            return;
        };
        class.finish(&finished);
        if is_complete(finished.outcome) {
            last.chunks.windows(2).for_each(|pair| class.itl.record(pair[1].0 - pair[0].0));
        }
    }

    fn trace(&mut self, arrival: Time, finished: Option<&Finished>) {
        let series = &mut self.series;
        let arrived = series.index(arrival);
        series.offered[arrived] += 1;
        let over = finished.map_or(series.backlog.len(), |finished| series.index(finished.at));
        // At the end of the bin in which it is over it is over.
        series.backlog[arrived..over.max(arrived)].iter_mut().for_each(|open| *open += 1);
        let Some(finished) = finished.filter(|finished| is_complete(finished.outcome)) else { return };
        series.good[arrived] += u32::from(finished.outcome == Outcome::Good);
        series.answered[arrived] += 1;
        series.e2e_s[arrived] += (finished.at - finished.arrival).as_secs_f64();
        series.completed[over] += 1;
    }
}

const fn is_complete(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Good | Outcome::Late | Outcome::Degraded)
}

/// How a request ended, by its last attempt; `None` where it did not.
fn finished(class: usize, last: &Line) -> Option<Finished> {
    let outcome = last.column?;
    Some(Finished {
        request: RequestId(last.i),
        class: ClassId(u16::try_from(class).ok()?),
        arrival: last.arrival,
        attempt: AttemptId::default(),
        outcome,
        attempts: last.attempt,
        at: last.done.unwrap_or(last.end).max(last.arrival),
        sent: last.send.unwrap_or(last.sched),
        first_token: last.chunks.first().map(|Stamp(at)| *at),
        output_tokens: if is_complete(outcome) { last.output_tokens() } else { 0 },
        retry_denied: false,
    })
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;

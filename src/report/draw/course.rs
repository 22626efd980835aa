//! The rows of a time series that show a run from inside gateway and upstream.

use super::timeline::{Bins, bound, row, trace};
use crate::journal::{Course, Moment, Series};
use crate::report::plot::{Row, Trace};
use crate::stats::significant;

/// The line of the attempts that the gateway refuses.
pub(super) const REJECTED: &str = "rejected";

/// What comes to the gateway and what it lets in: attempts where clients try again, and refusals where there are any.
pub(super) fn requests(course: &Course, series: &Series, bins: &Bins) -> Vec<Trace> {
    let counts = |of: fn(&Moment) -> u32| course.moments.iter().map(of).collect::<Vec<u32>>();
    let all = |counts: &[u32]| counts.iter().map(|n| u64::from(*n)).sum::<u64>();
    let (attempts, rejected) = (counts(|at| at.attempts), counts(|at| at.rejected));
    let mut traces = Vec::new();
    if all(&attempts) > all(&series.offered) {
        traces.push(trace("with retries", 4, bins.rates(&attempts)));
    }
    traces.push(trace("admitted", 2, bins.rates(&counts(|at| at.started))));
    if all(&rejected) > 0 {
        traces.push(trace(REJECTED, 1, bins.rates(&rejected)));
    }
    traces
}

/// What waits and runs, and what it is bounded by; rows of nothing are left out.
pub(super) fn rows(course: &Course, bins: &Bins) -> Vec<Row> {
    let look = Inside { course, bins };
    [look.waiting(), look.under_way(), look.budget(), look.kv()].into_iter().flatten().collect()
}

struct Inside<'a> {
    course: &'a Course,
    bins: &'a Bins,
}

impl Inside<'_> {
    fn values(&self, of: impl Fn(&Moment) -> f64) -> Vec<f64> {
        self.course.moments.iter().map(of).collect()
    }

    fn highest(&self, of: impl Fn(&Moment) -> f64) -> Vec<f64> {
        self.bins.highest(&self.values(of))
    }

    fn any(&self, is: impl Fn(&Moment) -> bool) -> bool {
        self.course.moments.iter().any(is)
    }

    fn waiting(&self) -> Option<Row> {
        let mut traces = Vec::new();
        if self.any(|at| at.waiting > 0) {
            traces.push(trace("in the gateway", 0, self.highest(|at| f64::from(at.waiting))));
        }
        if self.any(|at| at.queued > 0) {
            traces.push(trace("upstream", 4, self.highest(|at| f64::from(at.queued))));
        }
        named("Waiting", traces)
    }

    /// The slots are the gateway's, and abandoned calls have left theirs: more can run than hold one.
    fn under_way(&self) -> Option<Row> {
        let mut traces = Vec::new();
        if self.any(|at| at.limit.is_some()) {
            traces.push(trace("hold a slot", 0, self.highest(|at| f64::from(at.in_use))));
            traces.push(bound("limit", self.highest(|at| at.limit.map_or(f64::NAN, f64::from))));
        }
        if self.any(|at| at.running > 0) {
            traces.push(trace("run upstream", 4, self.highest(|at| f64::from(at.running))));
        }
        named("Under way", traces)
    }

    fn budget(&self) -> Option<Row> {
        let left = self.bins.lowest(&self.values(|at| at.budget_left.map_or(f64::NAN, |left| left as f64)));
        let is_set = left.iter().any(|left| left.is_finite());
        is_set.then(|| row("Token budget left in the window", "tokens", vec![trace("left", 0, left)]))
    }

    fn kv(&self) -> Option<Row> {
        let uses = self.course.has_kv;
        uses.then(|| row("KV cache in use", "%", vec![trace("in use", 0, self.highest(|at| at.kv_use))]))
    }
}

/// A row of calls, unless there is nothing in it; a line alone has its name in the title.
fn named(title: &str, traces: Vec<Trace>) -> Option<Row> {
    match &traces[..] {
        [] => None,
        [one] => Some(row(&format!("{title}: {}", one.name), "calls", traces)),
        _ => Some(row(title, "calls", traces)),
    }
}

/// Rolling percentiles of the answers; where none was streamed, of their ends alone.
pub(super) fn percentiles(course: &Course, bins: &Bins) -> Option<Row> {
    let values =
        |of: fn(&Moment) -> Option<f64>| -> Vec<f64> { course.moments.iter().map(|at| of(at).unwrap_or(f64::NAN)).collect() };
    let (ttft, e2e) = (values(|at| at.ttft_p99_s), values(|at| at.e2e_p99_s));
    let streamed = course.moments.iter().any(|at| at.ttft_p99_s != at.e2e_p99_s);
    let mut traces = vec![trace("end to end", 4, bins.highest(&e2e))];
    if streamed {
        traces.insert(0, trace("time to first token", 0, bins.highest(&ttft)));
    }
    let title = format!("p99 of the answers of the last {} s", significant(course.window.as_secs_f64(), 3));
    e2e.iter().any(|p99| p99.is_finite()).then(|| row(&title, "s", traces))
}

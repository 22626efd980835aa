//! Whether a run was stable, saturated or collapsing: a statement about the load, never about the model.
//!
//! The measured window is cut into at most [`SLICES_MAX`] slices; the *late part* is its last quarter (longer where that
//! holds fewer than [`LATE_OFFERED_MIN`] requests), the *late half* its last half. What counts is how the run ends: a spike
//! that is over and digested by then leaves no mark, one that is not does. From the slices come four shares:
//!
//! - **lost** (rate deficit): requests offered in the late part that never got a complete answer, over those offered. What
//!   is still in flight when the run is cut off is not lost, up to what a healthy server has in flight then: what came within
//!   [`IN_FLIGHT_EXCUSED`] times the *base latency* (smallest mean latency of a mostly answered slice, warm-up included) before the
//!   cut (Little's law), which is at the drain's end: after a long drain that is nothing.
//! - **piling up** (backlog slope): median slope of the backlog over the late half, over its offered rate.
//! - **latency slope** (latency trend): median slope of the mean end-to-end latency by arrival over the late half, seconds a
//!   second. A queue that grows at load rho shows rho - 1.
//! - **useful**: good requests of the late part, over the smaller of those offered in it and those that the server could
//!   complete in that time. What it can complete is its measured capacity where known, else the highest rate of completions
//!   that it showed over any stretch of slices with at least [`SHOWN_COMPLETED_MIN`] completions.
//!
//! *Growing*: piling up at least [`PILING_UP`], steadily (Kendall's tau at least [`STEADY`]), by more than a random walk would
//! (the square root of arrivals and departures together), to a backlog beyond what the base latency explains (as above), and
//! not with a level latency: where nearly all requests of the late half were answered, the latency slope is at least half of
//! [`PILING_UP`]. So a short run that only fills up is not growing. (A bounded queue that is still filling through the whole
//! late half cannot be told from one without a bound: such a run is too short to say.)
//!
//! | label | rule |
//! |---|---|
//! | stable | not growing, and lost below [`LOST`] (or fewer than [`LOST_MIN`] requests): what is offered is served |
//! | saturated | lost at least [`LOST`], not growing, and useful at least [`USEFUL`]: the excess is shed, the server's work is of use |
//! | collapsing | growing (nothing bounds backlog and latency), or lost at least [`LOST`] and useful below [`USEFUL`] |
//!
//! A run with late answers only, none lost and no growth is stable: its SLO is out of reach, its server is not overloaded.
//! The thresholds are this project's choice. Of 200 random queues (M/M/1) at 90 % load, seen for 540 requests each, 7 are
//! blamed wrongly; seen for 2,700 each, none (a test counts them). The label of a variant is by majority of replications.

use super::super::{Series, Window};
use crate::stats::{Trend, trend};
use crate::time::Time;

/// Most slices of the window.
pub const SLICES_MAX: usize = 20;
/// The late part holds at least this many offered requests, where the window does.
pub const LATE_OFFERED_MIN: f64 = 40.0;
/// Requests in flight that are not lost, in base latencies times offered rate.
pub const IN_FLIGHT_EXCUSED: f64 = 3.0;
/// Share of the offered requests from which on a loss is an overload.
pub const LOST: f64 = 0.05;
/// Fewest lost requests that are an overload.
pub const LOST_MIN: f64 = 5.0;
/// Share of the offered requests that pile up from which on a backlog grows.
pub const PILING_UP: f64 = 0.05;
/// Kendall's tau from which on a trend is steady.
pub const STEADY: f64 = 0.6;
/// Useful share below which an overloaded server's work is mostly wasted.
pub const USEFUL: f64 = 0.5;
/// Completions that a stretch needs before its rate counts as shown.
pub const SHOWN_COMPLETED_MIN: f64 = 50.0;

/// Share of a slice's requests that must have been answered for its mean latency to be that of the slice.
const MOSTLY_ANSWERED: f64 = 0.9;
/// Fewest points of a trend.
const TREND_POINTS_MIN: usize = 5;

/// How a run coped with its load.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// What is offered is served.
    Stable,
    /// More is offered than served; the excess is shed and the server's work is of use.
    Saturated,
    /// Backlog and latency grow without bound, or most of the server's work is of no use.
    Collapsing,
}

impl Label {
    /// Every label, the best first.
    pub const ALL: [Self; 3] = [Self::Stable, Self::Saturated, Self::Collapsing];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Saturated => "saturated",
            Self::Collapsing => "collapsing",
        }
    }
}

/// The shares behind a label (see the module).
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Rate deficit.
    pub lost: f64,
    /// Backlog slope over offered rate.
    pub piling_up: f64,
    /// Latency trend, seconds a second; `None` where too few requests of the late half were answered to say.
    pub latency_slope: Option<f64>,
    /// Good work against what was offered and possible; `None` where nothing was offered.
    pub useful: Option<f64>,
    /// Whether backlog and latency grow without bound.
    pub growing: bool,
}

/// Labels one replication. `capacity_rps`: requests a second that the server can complete, if measured.
#[must_use]
pub fn label(series: &Series, window: &Window, capacity_rps: Option<f64>) -> (Label, Evidence) {
    let slices = Slices::cut(series, window);
    let late = slices.late();
    if late.is_empty() {
        return (Label::Stable, Evidence::default());
    }
    let (lost, lost_requests) = slices.lost(late);
    let (growth, latency_slope) = slices.growth();
    let useful = slices.useful(late, capacity_rps);
    let evidence = Evidence { lost, piling_up: growth.share, latency_slope, useful, growing: growth.growing };
    let losing = lost >= LOST && lost_requests >= LOST_MIN;
    let label = if growth.growing || losing && useful.is_some_and(|share| share < USEFUL) {
        Label::Collapsing
    } else if losing {
        Label::Saturated
    } else {
        Label::Stable
    };
    (label, evidence)
}

/// Sums over some bins in a row.
#[derive(Copy, Clone, Debug, Default)]
struct Slice {
    secs: f64,
    offered: f64,
    good: f64,
    answered: f64,
    completed: f64,
    e2e_s: f64,
    /// At the slice's end.
    backlog: f64,
    /// Middle of the slice, seconds.
    mid: f64,
}

impl Slice {
    fn over(series: &Series, from: usize, to: usize) -> Self {
        let count = |bins: &[u32]| bins[from..to].iter().map(|n| f64::from(*n)).sum::<f64>();
        let bin = series.bin.as_secs_f64();
        Self {
            secs: bin * (to - from) as f64,
            offered: count(&series.offered),
            good: count(&series.good),
            answered: count(&series.answered),
            completed: count(&series.completed),
            e2e_s: series.e2e_s[from..to].iter().sum(),
            backlog: f64::from(series.backlog[to - 1]),
            mid: bin * f64::midpoint(from as f64, to as f64),
        }
    }

    fn latency(&self) -> Option<f64> {
        (self.answered > 0.0).then(|| self.e2e_s / self.answered)
    }

    fn mostly_answered(&self) -> bool {
        self.answered > 0.0 && self.answered >= MOSTLY_ANSWERED * self.offered
    }
}

/// Whether the backlog grows, and by which share of what is offered.
#[derive(Copy, Clone, Debug, Default)]
struct Growth {
    share: f64,
    growing: bool,
}

/// A run cut up.
#[derive(Debug)]
struct Slices {
    /// From the run's start to the window's end.
    all: Vec<Slice>,
    /// Of those, the window's first.
    start: usize,
    /// Smallest mean latency of a slice, seconds; 0 where nothing was ever answered.
    base_latency: f64,
    /// Not over when the run was cut off.
    unfinished: f64,
    /// From the window's end to the cut, seconds.
    drain_s: f64,
}

impl Slices {
    fn cut(series: &Series, window: &Window) -> Self {
        let bin_of = |at: Time| usize::try_from(at.as_nanos() / series.bin.as_nanos().max(1)).unwrap_or(usize::MAX);
        let end = bin_of(window.end).min(series.offered.len());
        let start = bin_of(window.start).min(end);
        let bins = (end - start).div_ceil(SLICES_MAX).max(1);
        // From the window's end back, so that every slice but the very first is full.
        let mut cuts: Vec<usize> = (0..=end).rev().step_by(bins).collect();
        if cuts.last() != Some(&0) {
            cuts.push(0);
        }
        cuts.reverse();
        let all: Vec<Slice> = cuts.windows(2).map(|cut| Slice::over(series, cut[0], cut[1])).collect();
        let start = cuts.iter().take_while(|cut| **cut < start).count().min(all.len());
        let base_latency = base_latency(&all);
        let unfinished = series.backlog.last().map_or(0.0, |left| f64::from(*left));
        let drain_s = window.drained.since(window.end).as_secs_f64();
        Self { all, start, base_latency, unfinished, drain_s }
    }

    fn window(&self) -> &[Slice] {
        &self.all[self.start..]
    }

    /// The last quarter of the window, or as much as holds enough requests.
    fn late(&self) -> &[Slice] {
        let window = self.window();
        let mut from = window.len() - window.len().div_ceil(4);
        while from > 0 && sum(&window[from..], |slice| slice.offered) < LATE_OFFERED_MIN {
            from -= 1;
        }
        &window[from..]
    }

    fn lost(&self, late: &[Slice]) -> (f64, f64) {
        let offered = sum(late, |slice| slice.offered);
        if offered <= 0.0 {
            return (0.0, 0.0);
        }
        let rate = offered / sum(late, |slice| slice.secs);
        let excused = self.unfinished.min((IN_FLIGHT_EXCUSED * self.base_latency - self.drain_s).max(0.0) * rate);
        let lost = (offered - sum(late, |slice| slice.answered) - excused).max(0.0);
        (lost / offered, lost)
    }

    fn growth(&self) -> (Growth, Option<f64>) {
        let window = self.window();
        let half = &window[window.len() / 2..];
        let secs = sum(half, |slice| slice.secs);
        let rate = sum(half, |slice| slice.offered) / secs;
        let backlog: Vec<(f64, f64)> = half.iter().map(|slice| (slice.mid, slice.backlog)).collect();
        let known: Vec<(f64, f64)> = half
            .iter()
            .filter(|slice| slice.mostly_answered())
            .filter_map(|slice| Some((slice.mid, slice.latency()?)))
            .collect();
        let latency_slope = enough(&known).map(|latency| latency.slope);
        let (Some(backlog), Some(last)) = (enough(&backlog), half.last()) else { return (Growth::default(), latency_slope) };
        let share = if rate > 0.0 { backlog.slope / rate } else { 0.0 };
        let growing = share >= PILING_UP
            && backlog.tau >= STEADY
            && backlog.slope * secs > (2.0 * rate * secs).sqrt()
            && last.backlog > IN_FLIGHT_EXCUSED * self.base_latency * rate
            && latency_slope.is_none_or(|slope| slope >= PILING_UP / 2.0);
        (Growth { share, growing }, latency_slope)
    }

    fn useful(&self, late: &[Slice], capacity_rps: Option<f64>) -> Option<f64> {
        let could = capacity_rps.unwrap_or_else(|| self.shown_rate()) * sum(late, |slice| slice.secs);
        let offered = sum(late, |slice| slice.offered);
        let good = sum(late, |slice| slice.good);
        let most = offered.min(could);
        // A server that never completed anything is of no use.
        (offered > 0.0).then(|| if most > 0.0 { good / most } else { 0.0 })
    }

    /// Highest rate of completions over a stretch that holds enough of them; over everything where none does.
    fn shown_rate(&self) -> f64 {
        let stretch_rate = |from: usize| {
            let (mut completed, mut secs) = (0.0, 0.0);
            for slice in &self.all[from..] {
                completed += slice.completed;
                secs += slice.secs;
                if completed >= SHOWN_COMPLETED_MIN {
                    return Some(completed / secs);
                }
            }
            None
        };
        let best = (0..self.all.len()).filter_map(stretch_rate).fold(0.0, f64::max);
        if best > 0.0 { best } else { sum(&self.all, |slice| slice.completed) / sum(&self.all, |slice| slice.secs) }
    }
}

/// Where some slices were mostly answered, of those: a run that is cut off answers only the quick ones of its end.
fn base_latency(all: &[Slice]) -> f64 {
    let least = |of: &dyn Fn(&Slice) -> bool| {
        let latencies = all.iter().filter(|slice| of(slice)).filter_map(Slice::latency);
        latencies.reduce(f64::min)
    };
    least(&Slice::mostly_answered).or_else(|| least(&|_| true)).unwrap_or(0.0)
}

fn sum(slices: &[Slice], of: impl Fn(&Slice) -> f64) -> f64 {
    slices.iter().map(of).sum()
}

fn enough(points: &[(f64, f64)]) -> Option<Trend> {
    if points.len() < TREND_POINTS_MIN { None } else { trend(points) }
}

#[cfg(test)]
#[path = "label_tests.rs"]
mod tests;

//! How long after a spike goodput is back: the measure of metastability (N. Bronson, A. Aghayev, A. Charapko, T. Zhu,
//! "Metastable failures in distributed systems", `HotOS` 2021: a system that stays bad after its trigger is gone).
//!
//! Goodput is *back* at the first bin after the spike's end from which on, for [`HOLD`], the running share of good requests
//! among those offered stays at [`BACK`] of its level before the first spike or above. A run that ends sooner has not shown
//! it, and counts as not recovered.

use super::super::{Series, Window};
use crate::time::{Span, Time};

/// Share of the level before the spike that counts as back.
pub const BACK: f64 = 0.95;
/// For how long it must stay there.
pub const HOLD: Span = Span::from_secs(30);
/// Requests from which on a running share counts.
const OFFERED_MIN: u64 = 20;

/// A stretch of raised load.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Spike {
    /// Its begin.
    pub start: Time,
    /// Its end.
    pub end: Time,
}

/// Recovery from one spike over all replications.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// From which spike.
    pub spike: Spike,
    /// Seconds until goodput was back, by replication; `None` = not by the end of the run, or by the next spike.
    pub seconds: Vec<Option<f64>>,
    /// What the load's rise and fall left behind, by replication: the share of good requests before the first spike, less
    /// that in the second half of the time between this one and the next, or the end. `None` where nobody came in either.
    pub lasting: Vec<Option<f64>>,
    /// From this spike to the next one, or to the end: seconds in which to recover.
    pub left_s: f64,
}

impl Recovery {
    /// Without replications.
    #[must_use]
    pub const fn new(spike: Spike) -> Self {
        Self { spike, seconds: Vec::new(), lasting: Vec::new(), left_s: 0.0 }
    }

    /// Adds a replication; this is the recovery from `spikes[which]`.
    pub fn add(&mut self, series: &Series, window: &Window, spikes: &[Spike], which: usize) {
        let until = until(window, spikes, which);
        self.left_s = if until > self.spike.end { (until - self.spike.end).as_secs_f64() } else { 0.0 };
        self.seconds.push(seconds_to_recover(series, window, spikes, which));
        self.lasting.push(lasting(series, window, spikes, which));
    }

    /// How many replications recovered.
    #[must_use]
    pub fn recovered(&self) -> usize {
        self.seconds.iter().flatten().count()
    }

    /// Mean seconds; `None` unless every replication recovered (a mean over the lucky ones would flatter).
    #[must_use]
    pub fn mean_s(&self) -> Option<f64> {
        let all: Option<Vec<f64>> = self.seconds.iter().copied().collect();
        crate::stats::mean(&all?)
    }

    /// Mean seconds where a replication that did not recover counts all the time it had: a floor, for comparing settings.
    #[must_use]
    pub fn mean_at_least_s(&self) -> Option<f64> {
        let each: Vec<f64> = self.seconds.iter().map(|seconds| seconds.unwrap_or(self.left_s)).collect();
        crate::stats::mean(&each)
    }

    /// Mean share of requests that are no longer good at the old load: hysteresis. `None` unless every replication shows it.
    #[must_use]
    pub fn hysteresis(&self) -> Option<f64> {
        let all: Option<Vec<f64>> = self.lasting.iter().copied().collect();
        crate::stats::mean(&all?)
    }
}

/// Seconds from the end of `spikes[which]` until goodput was back; `None` where it was not, or where nothing good or nothing
/// at all was there before the first spike. `spikes` in order of time.
#[must_use]
pub fn seconds_to_recover(series: &Series, window: &Window, spikes: &[Spike], which: usize) -> Option<f64> {
    let level = BACK * before(series, window, spikes)?;
    if level <= 0.0 {
        return None;
    }
    let end = spikes[which].end;
    let hold = usize::try_from(HOLD.as_nanos().div_ceil(series.bin.as_nanos().max(1))).unwrap_or(usize::MAX);
    // The first bin that lies after the spike as a whole.
    let from = usize::try_from(end.as_nanos().div_ceil(series.bin.as_nanos().max(1))).unwrap_or(usize::MAX);
    let last = bin(series, until(window, spikes, which)).min(series.offered.len()).checked_sub(hold)?;
    let back = (from..=last).find(|start| holds(series, *start, hold, level))?;
    Some((series.bin.as_secs_f64() * back as f64 - end.as_secs_f64()).max(0.0))
}

/// The share of good requests before the first spike. A spike at the very begin of the window leaves the warm-up to compare with.
fn before(series: &Series, window: &Window, spikes: &[Spike]) -> Option<f64> {
    let first = bin(series, spikes.first()?.start);
    share(series, bin(series, window.start)..first).or_else(|| share(series, 0..first))
}

/// How much smaller the share of good requests is long after a spike than before the first.
fn lasting(series: &Series, window: &Window, spikes: &[Spike], which: usize) -> Option<f64> {
    let (end, until) = (spikes[which].end, until(window, spikes, which));
    let middle = Time::from_nanos(u64::midpoint(end.as_nanos(), until.as_nanos()));
    let after = share(series, bin(series, middle)..bin(series, until))?;
    Some(before(series, window, spikes)? - after)
}

/// When the time to recover from a spike is over.
fn until(window: &Window, spikes: &[Spike], which: usize) -> Time {
    spikes.get(which + 1).map_or(window.end, |next| next.start.min(window.end))
}

fn bin(series: &Series, at: Time) -> usize {
    usize::try_from(at.as_nanos() / series.bin.as_nanos().max(1)).unwrap_or(usize::MAX)
}

/// Whether the running share from bin `start` on stays at `level` or above for `bins` bins.
fn holds(series: &Series, start: usize, bins: usize, level: f64) -> bool {
    let (mut offered, mut good) = (0, 0);
    for at in start..start + bins {
        offered += u64::from(series.offered[at]);
        good += u64::from(series.good[at]);
        if offered >= OFFERED_MIN && (good as f64) < level * offered as f64 {
            return false;
        }
    }
    // Nobody came at first: nothing is back yet.
    series.offered[start] > 0 && good as f64 >= level * offered as f64
}

fn share(series: &Series, bins: std::ops::Range<usize>) -> Option<f64> {
    let of = |counts: &[u32]| counts.get(bins.clone()).map_or(0, |counts| counts.iter().map(|n| u64::from(*n)).sum::<u64>());
    let offered = of(&series.offered);
    (offered > 0).then(|| of(&series.good) as f64 / offered as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    /// Ten requests a second for 600 s, in bins of a second; of those that come in second t, `good(t)` are good.
    fn series(good: impl Fn(u64) -> u32) -> Series {
        let mut series = Series::over(at(1_000));
        for second in 0..600 {
            let bin = series.index(at(second));
            series.offered[bin] += 10;
            series.good[bin] += good(second);
        }
        series
    }

    const SPIKES: [Spike; 1] = [Spike { start: Time::from_nanos(100_000_000_000), end: Time::from_nanos(160_000_000_000) }];

    fn window() -> Window {
        Window { start: at(0), end: at(600), drained: at(1_000) }
    }

    #[test]
    fn the_time_until_goodput_is_back() {
        let back = series(|t| if (100..200).contains(&t) { 1 } else { 10 });
        assert_eq!(seconds_to_recover(&back, &window(), &SPIKES, 0), Some(40.0));
        let unharmed = series(|_| 9);
        assert_eq!(seconds_to_recover(&unharmed, &window(), &SPIKES, 0), Some(0.0));
    }

    #[test]
    fn a_flash_of_good_requests_is_not_recovery() {
        let flash = series(|t| if (100..200).contains(&t) || (215..400).contains(&t) { 1 } else { 10 });
        assert_eq!(seconds_to_recover(&flash, &window(), &SPIKES, 0), Some(240.0));
    }

    #[test]
    fn a_storm_never_recovers_and_a_run_that_ends_too_soon_has_not_shown_it() {
        let storm = series(|t| if t < 100 { 10 } else { 1 });
        assert_eq!(seconds_to_recover(&storm, &window(), &SPIKES, 0), None);
        let late = series(|t| if (100..580).contains(&t) { 1 } else { 10 });
        assert_eq!(seconds_to_recover(&late, &window(), &SPIKES, 0), None);
        assert_eq!(seconds_to_recover(&series(|_| 0), &window(), &SPIKES, 0), None, "nothing was good before");
    }

    #[test]
    fn each_spike_has_until_the_next_one() {
        let spikes = [SPIKES[0], Spike { start: at(300), end: at(310) }];
        let bad = series(|t| if (100..320).contains(&t) { 0 } else { 10 });
        assert_eq!(seconds_to_recover(&bad, &window(), &spikes, 0), None);
        assert_eq!(seconds_to_recover(&bad, &window(), &spikes, 1), Some(10.0));
    }

    #[test]
    fn a_mean_over_the_lucky_ones_is_not_given() {
        let recovery =
            |seconds: &[Option<f64>]| Recovery { seconds: seconds.to_vec(), left_s: 440.0, ..Recovery::new(SPIKES[0]) };
        assert_eq!(recovery(&[Some(10.0), Some(20.0)]).mean_s(), Some(15.0));
        let mixed = recovery(&[Some(10.0), None]);
        assert_eq!((mixed.mean_s(), mixed.recovered()), (None, 1));
        assert_eq!(mixed.mean_at_least_s(), Some(225.0), "the other had 440 s and was not back");
    }

    #[test]
    fn hysteresis_is_what_stays_lost_at_the_old_load() {
        let mut recovery = Recovery::new(SPIKES[0]);
        recovery.add(&series(|t| if t < 160 { 10 } else { 4 }), &window(), &SPIKES, 0);
        recovery.add(&series(|t| if (160..380).contains(&t) { 4 } else { 10 }), &window(), &SPIKES, 0);
        assert_eq!((recovery.lasting.as_slice(), recovery.left_s), (&[Some(0.6), Some(0.0)][..], 440.0));
        assert_eq!(recovery.hysteresis(), Some(0.3));
    }
}

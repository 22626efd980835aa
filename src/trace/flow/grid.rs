//! Whether arrivals sit on a grid: many requests at few distinct times, a constant step apart.
//!
//! Collectors that write a batch every few seconds, and clocks of whole seconds, leave such logs. Replayed raw, a grid is a
//! train of bursts that no client ever sent.

use crate::time::{Span, Time};

/// Finest step that counts as a grid: clocks of milliseconds are fine enough.
const STEP_MIN: Span = Span::from_millis(1);
/// Coarsest step that counts: jobs do start together at whole half-minutes, and spreading them would take a real overload away.
const STEP_MAX: Span = Span::from_secs(10);
/// Least share of requests that arrive at the very time of the one before.
const TOGETHER_MIN: f64 = 0.05;
/// Least share of the times between neighbours that are a multiple of the step.
const FITTING_MIN: f64 = 0.95;
/// A multiple, give or take this share of a step: collectors' ticks jitter (Mooncake's 3 s by a millisecond).
const SLACK: f64 = 0.01;
/// Fewer distinct times say nothing.
const TIMES_MIN: usize = 8;
/// Distances between neighbours that are looked at.
const DISTANCES_MAX: usize = 4_096;

/// A grid of arrivals.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Grid {
    /// From one tick to the next.
    pub step: Span,
    /// Share of requests that arrive at the very time of the one before.
    pub together: f64,
}

/// Looks for a grid in arrivals in order; memory is bounded.
#[derive(Clone, Debug, Default)]
pub struct GridFinder {
    latest: Option<Time>,
    arrivals: u64,
    together: u64,
    distances: Vec<u64>,
}

impl GridFinder {
    /// One more arrival, not before the one before.
    pub fn arrive(&mut self, at: Time) {
        self.arrivals += 1;
        match self.latest.replace(at) {
            Some(before) if before == at => self.together += 1,
            Some(before) if self.distances.len() < DISTANCES_MAX => self.distances.push((at - before).as_nanos()),
            _ => {}
        }
    }

    /// The grid, if there is one.
    #[must_use]
    pub fn grid(&self) -> Option<Grid> {
        if self.distances.len() + 1 < TIMES_MIN {
            return None;
        }
        let together = self.together as f64 / self.arrivals as f64;
        if together < TOGETHER_MIN {
            return None;
        }
        let mut sorted = self.distances.clone();
        sorted.sort_unstable();
        // The step is among the distances wherever neighbouring ticks both have a request; the median is the surest of them.
        let candidates = [sorted.len() / 2, sorted.len() / 10, 0].map(|at| sorted[at]);
        let step = candidates.into_iter().find(|step| {
            let counts = (STEP_MIN.as_nanos()..=STEP_MAX.as_nanos()).contains(step);
            counts && fits(&sorted, *step)
        })?;
        Some(Grid { step: Span::from_nanos(step), together })
    }
}

fn fits(distances: &[u64], step: u64) -> bool {
    let slack = step as f64 * SLACK;
    let near = distances.iter().filter(|distance| {
        let rest = **distance % step;
        **distance + step / 2 >= step && rest.min(step - rest) as f64 <= slack
    });
    near.count() as f64 >= FITTING_MIN * distances.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::mix;

    fn grid(arrivals: impl IntoIterator<Item = u64>) -> Option<Span> {
        let mut finder = GridFinder::default();
        arrivals.into_iter().for_each(|ns| finder.arrive(Time::from_nanos(ns)));
        finder.grid().map(|grid| grid.step)
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn ticks_that_jitter_and_ticks_without_requests_are_a_grid() {
        let jittering =
            (0..3_000).map(|n| n / 10).filter(|tick| tick % 7 > 0).map(|tick| (tick * 3_000 + mix(1, tick) % 2) * MS);
        let step = grid(jittering).unwrap();
        assert!(step >= Span::from_millis(2_999) && step <= Span::from_millis(3_001), "{step}");
    }

    #[test]
    fn whole_seconds_are_a_grid_where_requests_share_them() {
        let mut at = 0;
        let busy = (0..500).map(|n| {
            at += mix(2, n) % 3;
            at * 1_000 * MS
        });
        assert_eq!(grid(busy), Some(Span::from_secs(1)));
        let rare = (0..500).map(|n| n * 7_000 * MS + mix(3, n) % 2 * 1_000 * MS);
        assert_eq!(grid(rare), None);
    }

    #[test]
    fn jobs_that_start_together_every_half_minute_stay_together() {
        assert_eq!(grid((0..500).map(|n| n / 20 * 30_000 * MS)), None);
        assert!(grid((0..500).map(|n| n / 20 * 10_000 * MS)).is_some());
    }

    #[test]
    fn real_arrivals_are_none_however_bursty() {
        let mut at = 0;
        let bursty = (0..4_000u64).map(|n| {
            at += if n % 50 == 0 { mix(4, n) % 10_000_000_000 } else { mix(4, n) % 1_000_000 };
            at
        });
        assert_eq!(grid(bursty), None);
        // Pairs sent at once, at any time.
        let mut at = 0;
        let pairs = (0..4_000u64).map(|n| {
            at += if n % 2 == 0 { mix(5, n) % 100_000_000 } else { 0 };
            at
        });
        assert_eq!(grid(pairs), None);
        assert_eq!(grid([]), None);
    }
}

//! The rate window of a circuit breaker: how many of the latest calls failed and how many were slow (resilience4j's
//! `FixedSizeSlidingWindowMetrics` and `SlidingTimeWindowMetrics`).

use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::settings::Breaker;
use crate::time::{Span, Time};

/// Results of calls, counted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    /// All.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that took too long, failed or not.
    pub slow: u64,
}

impl Sums {
    /// One more result.
    pub fn add(&mut self, failed: bool, slow: bool) {
        self.calls += 1;
        self.failed += u64::from(failed);
        self.slow += u64::from(slow);
    }

    /// Whether failures or slow calls reach their rate: at least so large a share, and at least one call.
    pub fn exceed(&self, settings: &Breaker) -> bool {
        let reaches = |part: u64, rate: f64| part > 0 && part as f64 / self.calls as f64 >= rate;
        reaches(self.failed, settings.failure_rate.value()) || reaches(self.slow, settings.slow_rate.value())
    }
}

/// The latest calls, by number or by time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum RateWindow {
    /// The latest `len` calls, as a ring that grows up to that length once.
    Calls {
        /// Length.
        len: usize,
        /// Whether each failed and was slow.
        ring: Vec<(bool, bool)>,
        /// Where the next one goes, once the ring is full.
        next: usize,
        /// Over the ring.
        sums: Sums,
    },
    /// The calls of the latest seconds.
    Time(Buckets<3>),
}

impl RateWindow {
    /// An empty window.
    pub fn new(settings: &Breaker) -> Self {
        if let Some(time) = settings.window_time {
            return Self::Time(Buckets::new(time));
        }
        let len = usize::try_from(settings.window_calls.value()).expect("32 bits fit");
        Self::Calls { len, ring: Vec::new(), next: 0, sums: Sums::default() }
    }

    /// One more result.
    pub fn record(&mut self, now: Time, failed: bool, slow: bool) {
        match self {
            Self::Time(buckets) => buckets.add(now, [1, u32::from(failed), u32::from(slow)]),
            Self::Calls { len, ring, next, sums } => {
                if ring.len() < *len {
                    ring.push((failed, slow));
                } else {
                    let (was_failed, was_slow) = std::mem::replace(&mut ring[*next], (failed, slow));
                    sums.calls -= 1;
                    sums.failed -= u64::from(was_failed);
                    sums.slow -= u64::from(was_slow);
                    *next = if *next + 1 == *len { 0 } else { *next + 1 };
                }
                sums.add(failed, slow);
            }
        }
    }

    /// Whether the breaker opens by what the window holds: no rate is defined below the minimum of calls, which a window
    /// of fewer calls lowers to its own length.
    pub fn exceeds(&mut self, now: Time, settings: &Breaker) -> bool {
        let sums = self.sums(now);
        let minimum = match self {
            Self::Calls { .. } => settings.minimum_calls.min(settings.window_calls),
            Self::Time(_) => settings.minimum_calls,
        };
        sums.calls >= u64::from(minimum.value()) && sums.exceed(settings)
    }

    /// What it holds.
    pub fn sums(&mut self, now: Time) -> Sums {
        match self {
            Self::Calls { sums, .. } => *sums,
            Self::Time(buckets) => {
                let [calls, failed, slow] = buckets.sums(now);
                Sums { calls, failed, slow }
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        match self {
            Self::Calls { ring, next, sums, .. } => {
                ring.clear();
                (*next, *sums) = (0, Sums::default());
            }
            Self::Time(buckets) => buckets.clear(),
        }
    }
}

/// Whether a call was slow: strictly longer than the setting.
pub(super) fn is_slow(settings: &Breaker, took: Span) -> bool {
    settings.slow_call.is_some_and(|slow| took > slow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Count;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ring_holds_the_latest_calls(len in 1usize..12, results in prop::collection::vec(any::<(bool, bool)>(), 1..60)) {
            let window_calls = Count::new(u32::try_from(len).expect("small")).expect("above 0");
            let mut window = RateWindow::new(&Breaker { window_calls, ..Breaker::default() });
            for (n, (failed, slow)) in results.iter().enumerate() {
                window.record(Time::ZERO, *failed, *slow);
                let latest = &results[(n + 1).saturating_sub(len)..=n];
                let mut naive = Sums::default();
                for (failed, slow) in latest {
                    naive.add(*failed, *slow);
                }
                prop_assert_eq!(window.sums(Time::ZERO), naive);
            }
            window.clear();
            prop_assert_eq!(window.sums(Time::ZERO), Sums::default());
        }
    }

    /// A minimum above the window could never be reached.
    #[test]
    fn a_short_window_lowers_the_minimum() {
        let settings = Breaker { window_calls: Count::new(3).expect("above 0"), ..Breaker::default() };
        let mut window = RateWindow::new(&settings);
        for (n, exceeds) in [(1, false), (2, false), (3, true)] {
            window.record(Time::ZERO, true, false);
            assert_eq!(window.exceeds(Time::ZERO, &settings), exceeds, "{n} failures");
        }
    }
}

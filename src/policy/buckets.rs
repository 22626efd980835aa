//! Sums over a sliding window of time, kept by buckets of whole seconds (as resilience4j's `SlidingTimeWindowMetrics` and
//! Envoy's admission control do): a window of `n` seconds is the running second and the `n - 1` before it.

use serde::{Deserialize, Serialize};

use super::state::{array, rows};
use crate::time::{Span, Time};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// Buckets of one window; a longer window has buckets of several seconds.
const BUCKETS_MAX: u64 = 3_600;

/// `N` sums over the latest time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Buckets<const N: usize> {
    /// Length of a bucket, s.
    width_s: u64,
    #[serde(with = "rows")]
    ring: Vec<[u32; N]>,
    /// The latest bucket's number, counted from the run's start, its place in the ring, and when it ends, ns.
    newest: u64,
    place: usize,
    end_ns: u64,
    /// The first bucket's number since the sums were last zero.
    oldest: u64,
    #[serde(with = "array")]
    sums: [u64; N],
}

impl<const N: usize> Buckets<N> {
    /// Nothing counted; `window` is rounded up to whole seconds.
    pub fn new(window: Span) -> Self {
        let window_s = window.as_nanos().div_ceil(NANOS_PER_SEC).max(1);
        let width_s = window_s.div_ceil(BUCKETS_MAX);
        let len = window_s.div_ceil(width_s);
        let len = usize::try_from(len).expect("at most BUCKETS_MAX");
        let end_ns = width_s * NANOS_PER_SEC;
        Self { width_s, ring: vec![[0; N]; len], newest: 0, place: 0, end_ns, oldest: 0, sums: [0; N] }
    }

    /// Adds to each sum.
    pub fn add(&mut self, now: Time, amounts: [u32; N]) {
        self.advance(now);
        if self.sums == [0; N] {
            self.oldest = self.newest;
        }
        for ((slot, sum), amount) in self.ring[self.place].iter_mut().zip(&mut self.sums).zip(amounts) {
            *slot = slot.saturating_add(amount);
            *sum += u64::from(amount);
        }
    }

    /// The sums as of `now`.
    pub fn sums(&mut self, now: Time) -> [u64; N] {
        self.advance(now);
        self.sums
    }

    /// For how many seconds something has been counted: from 1 up to the window's length.
    pub fn seconds(&mut self, now: Time) -> u64 {
        self.advance(now);
        (self.newest - self.oldest + 1).min(self.ring.len() as u64) * self.width_s
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ring.fill([0; N]);
        self.sums = [0; N];
        self.oldest = self.newest;
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number % self.ring.len() as u64).expect("below a length")
    }

    /// Empties the buckets that have left the window.
    #[inline]
    fn advance(&mut self, now: Time) {
        if now.as_nanos() >= self.end_ns {
            self.advance_to(now.as_nanos() / (self.width_s * NANOS_PER_SEC));
        }
    }

    /// Bucket `number`, which is not the latest, becomes it.
    fn advance_to(&mut self, number: u64) {
        self.end_ns = (number + 1).saturating_mul(self.width_s * NANOS_PER_SEC);
        self.place = self.index(number);
        if number - self.newest >= self.ring.len() as u64 {
            self.newest = number;
            self.clear();
            return;
        }
        for gone in self.newest + 1..=number {
            let index = self.index(gone);
            for (sum, slot) in self.sums.iter_mut().zip(std::mem::replace(&mut self.ring[index], [0; N])) {
                *sum -= u64::from(slot);
            }
        }
        self.newest = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at_ms(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn a_second_leaves_whole() {
        let mut window = Buckets::<1>::new(Span::from_millis(2_500)); // 3 s
        window.add(at_ms(900), [5]);
        window.add(at_ms(1_000), [7]);
        assert_eq!((window.sums(at_ms(2_999)), window.seconds(at_ms(2_999))), ([12], 3));
        assert_eq!(window.sums(at_ms(3_000)), [7], "second 0 has left");
        assert_eq!(window.sums(at_ms(4_000)), [0]);
        window.add(at_ms(100_000), [1]);
        assert_eq!((window.sums(at_ms(100_000)), window.seconds(at_ms(100_000))), ([1], 1));
    }

    #[test]
    fn a_long_window_has_wider_buckets() {
        let mut window = Buckets::<1>::new(Span::from_secs(7_200));
        assert_eq!((window.width_s, window.ring.len()), (2, 3_600));
        window.add(at_ms(0), [1]);
        assert_eq!(window.sums(Time::ZERO + Span::from_secs(7_199)), [1]);
        assert_eq!(window.sums(Time::ZERO + Span::from_secs(7_200)), [0]);
        assert_eq!(Buckets::<1>::new(Span::FOREVER).ring.len(), 3_600);
        assert_eq!(Buckets::<1>::new(Span::ZERO).ring.len(), 1);
    }

    proptest! {
        /// Against a list of everything that was counted.
        #[test]
        fn sums_are_those_of_a_naive_log(secs in 1u64..20, steps in prop::collection::vec((0u64..5_000, 0u32..4), 1..200)) {
            let mut window = Buckets::<1>::new(Span::from_secs(secs));
            let (mut now_ms, mut log) = (0, Vec::new());
            for (gap_ms, amount) in steps {
                now_ms += gap_ms;
                window.add(at_ms(now_ms), [amount]);
                log.push((now_ms / 1_000, u64::from(amount)));
                let naive: u64 = log.iter().filter(|(s, _)| s + secs > now_ms / 1_000).map(|(_, n)| n).sum();
                prop_assert_eq!(window.sums(at_ms(now_ms)), [naive]);
            }
        }
    }
}

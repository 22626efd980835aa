//! Smoothed service time: how long a call lately held its slot.
//!
//! Exponential smoothing with weight 1/8 for the newest sample, TCP's smoothed round-trip time (RFC 6298, section 2.3), in
//! integer nanoseconds. Samples are calls that came to an answer or to their timeout: failures and departures say how long
//! it took to fail or to leave, not to serve.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The smoothed mean, once a call has ended.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ServiceTime {
    smoothed: Option<Span>,
}

impl ServiceTime {
    /// One more call held its slot for `sample`.
    pub fn record(&mut self, sample: Span) {
        let new = sample.as_nanos();
        self.smoothed = Some(match self.smoothed.map(Span::as_nanos) {
            None => sample,
            Some(old) => Span::from_nanos(old - old / 8 + new / 8),
        });
    }

    /// The mean.
    pub const fn mean(self) -> Option<Span> {
        self.smoothed
    }

    /// In what time `calls` calls are served on `slots` slots.
    pub fn of(self, calls: u32, slots: u32) -> Option<Span> {
        let nanos = u128::from(self.smoothed?.as_nanos()) * u128::from(calls) / u128::from(slots.max(1));
        Some(Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_is_the_mean_and_later_ones_move_it_by_an_eighth() {
        let mut service = ServiceTime::default();
        assert_eq!(service.of(3, 1), None);
        service.record(Span::from_secs(8));
        service.record(Span::from_secs(16));
        assert_eq!(service.mean(), Some(Span::from_secs(9)));
        assert_eq!(service.of(4, 3), Some(Span::from_secs(12)));
        assert_eq!(service.of(0, 3), Some(Span::ZERO));
    }

    #[test]
    fn extremes_saturate() {
        let mut service = ServiceTime::default();
        service.record(Span::FOREVER);
        service.record(Span::FOREVER);
        assert_eq!(service.of(u32::MAX, 1), Some(Span::FOREVER));
    }
}

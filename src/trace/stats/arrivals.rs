//! How arrivals are spaced: gaps between neighbours, and counts in windows of one length.

use crate::time::{Span, Time};

/// Gaps between neighbouring arrivals: their mean and spread by Welford's recurrence ("Note on a method for calculating
/// corrected sums of squares and products", Technometrics 4(3), 1962).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gaps {
    latest: Option<Time>,
    count: u64,
    mean_s: f64,
    squares: f64,
    /// The longest, and the arrival that it began with.
    longest: Option<(Span, Time)>,
}

impl Gaps {
    /// One more arrival, not before the one before.
    pub fn arrive(&mut self, at: Time) {
        let Some(before) = self.latest.replace(at) else { return };
        self.count += 1;
        if self.longest.is_none_or(|(longest, _)| at - before > longest) {
            self.longest = Some((at - before, before));
        }
        let gap = (at - before).as_secs_f64();
        let off = gap - self.mean_s;
        self.mean_s += off / self.count as f64;
        self.squares += off * (gap - self.mean_s);
    }

    /// The longest, and the arrival that it began with; the first of equal ones. `None` of fewer than two arrivals.
    #[must_use]
    pub const fn longest(&self) -> Option<(Span, Time)> {
        self.longest
    }

    /// Coefficient of variation: standard deviation over mean; 1 for Poisson arrivals. `None` where all came at once, or fewer
    /// than three.
    #[must_use]
    pub fn cv(&self) -> Option<f64> {
        let variance = self.squares / (self.count.max(2) - 1) as f64;
        (self.count >= 2 && self.mean_s > 0.0).then(|| variance.sqrt() / self.mean_s)
    }
}

/// Arrivals in windows of one length, laid end to end from the first arrival on.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The windows' length.
    pub window: Span,
    current: u64,
    count: u64,
    most: u64,
    most_at: u64,
    /// Over the windows that are past: their number is `current`.
    sum: f64,
    squares: f64,
}

impl Rate {
    pub(super) fn new(window: Span) -> Self {
        Self { window, current: 0, count: 0, most: 0, most_at: 0, sum: 0.0, squares: 0.0 }
    }

    pub(super) fn arrive(&mut self, since: Span) {
        let window = since.as_nanos() / self.window.as_nanos();
        if window != self.current {
            let count = self.count as f64;
            self.sum += count;
            self.squares += count * count;
            (self.current, self.count) = (window, 0);
        }
        self.count += 1;
        if self.count > self.most {
            (self.most, self.most_at) = (self.count, window);
        }
    }

    /// Most arrivals in a window, and when that began, since the first arrival.
    #[must_use]
    pub fn peak(&self) -> (u64, Span) {
        (self.most, self.window * self.most_at)
    }

    /// Index of dispersion of counts: their variance over their mean; 1 for Poisson arrivals (Gusella, "Characterizing the
    /// variability of arrival processes with indexes of dispersion", IEEE JSAC 9(2), 1991). Without the last window, which the
    /// log's end cuts; `None` where fewer than two are whole.
    #[must_use]
    pub fn dispersion(&self) -> Option<f64> {
        let windows = self.current as f64;
        let mean = self.sum / windows;
        let variance = (self.squares - windows * mean * mean) / (windows - 1.0);
        (self.current >= 2 && mean > 0.0).then_some(variance / mean)
    }
}

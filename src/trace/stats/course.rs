//! The course of the rate over a log, however long it is, in a bounded number of bins.

use crate::time::Span;

/// Most bins: when there are more, neighbours are joined.
const BINS_MAX: usize = 1_024;

/// Arrivals in one piece of the log.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Arrivals.
    pub count: u64,
    /// Most arrivals in one of its seconds.
    pub peak: u64,
}

/// Arrivals over time, in bins of equal length: a power of two of seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    bins: Vec<Bin>,
    secs: u64,
    second: u64,
    in_second: u64,
}

impl Default for Course {
    fn default() -> Self {
        Self { bins: Vec::new(), secs: 1, second: 0, in_second: 0 }
    }
}

impl Course {
    pub(super) fn arrive(&mut self, since: Span) {
        let second = since.as_nanos() / 1_000_000_000;
        if second != self.second {
            (self.second, self.in_second) = (second, 0);
        }
        self.in_second += 1;
        while second / self.secs >= BINS_MAX as u64 {
            self.join();
        }
        let bin = usize::try_from(second / self.secs).expect("below BINS_MAX");
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, Bin::default());
        }
        self.bins[bin].count += 1;
        self.bins[bin].peak = self.bins[bin].peak.max(self.in_second);
    }

    fn join(&mut self) {
        let joined = |pair: &[Bin]| Bin {
            count: pair.iter().map(|bin| bin.count).sum(),
            peak: pair.iter().map(|bin| bin.peak).max().unwrap_or(0),
        };
        self.bins = self.bins.chunks(2).map(joined).collect();
        self.secs *= 2;
    }

    /// The bins' length.
    #[must_use]
    pub fn length(&self) -> Span {
        Span::from_secs(self.secs)
    }

    /// The bins, from the first arrival on.
    #[must_use]
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }
}

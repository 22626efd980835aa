//! How late attempts were sent, and whether so late that the run says more of the driver than of the server.

use crate::latency::Latency;
use crate::time::Span;

use super::line::Line;

/// Sent minus meant to be sent, over all attempts that were sent.
#[derive(Clone, Debug, Default)]
pub struct Lag {
    /// The distribution.
    pub of: Latency,
}

/// Whether a run's lag is small enough.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LagVerdict {
    /// 99th percentile, seconds; 0 where nothing was sent.
    pub p99_s: f64,
    /// What it may be, seconds.
    pub limit_s: f64,
}

impl Lag {
    /// The 99th percentile may always be this, seconds.
    pub const ALWAYS_S: f64 = 0.010;
    /// Or this share of the median time to first token.
    pub const SHARE: f64 = 0.01;

    /// Of these attempts.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let mut lag = Self::default();
        for line in lines {
            if let Some(sent) = line.send {
                lag.of.record(if sent > line.sched { sent - line.sched } else { Span::ZERO });
            }
        }
        lag
    }

    /// Whether it is small against a median time to first token.
    #[must_use]
    pub fn judge(&self, ttft_p50_s: Option<f64>) -> LagVerdict {
        let limit_s = ttft_p50_s.map_or(Self::ALWAYS_S, |ttft| (ttft * Self::SHARE).max(Self::ALWAYS_S));
        LagVerdict { p99_s: self.of.quantile_s(0.99).unwrap_or(0.0), limit_s }
    }
}

impl LagVerdict {
    /// Whether the run is valid.
    #[must_use]
    pub fn holds(self) -> bool {
        self.p99_s <= self.limit_s
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::{at, line};
    use super::*;

    #[test]
    fn late_sending_makes_a_run_invalid_unless_answers_take_much_longer() {
        let mut lines: Vec<Line> = (0..200).map(|i| line(i, 10 * i)).collect();
        assert!(Lag::of(&lines).judge(Some(0.1)).holds());
        for line in lines.iter_mut().take(5) {
            line.send = Some(line.sched + Span::from_millis(30));
        }
        let lag = Lag::of(&lines);
        assert!(!lag.judge(Some(0.1)).holds() && !lag.judge(None).holds());
        assert!(lag.judge(Some(4.0)).holds()); // 40 ms
        lines[0].send = None;
        assert_eq!(Lag::of(&lines).of.count(), 199);
        lines[1].send = Some(at(0));
        assert_eq!(Lag::of(&lines[1..2]).of.quantile_s(1.0), Some(0.0)); // never before it was due
    }
}

//! How a step stands, in one line.

use crate::live::drive::Standing;
use crate::report::format::{NONE, count, duration};
use crate::time::Time;

/// How far a step is, seconds.
pub(super) fn seconds_of(standing: &Standing) -> f64 {
    standing.now.since(Time::ZERO).as_secs_f64()
}

/// `step 2 of 4, tuned: 120 offered, 9 in flight, 80 good, 31 rejected, TTFT p50 120 ms p99 1.2 s, lag p99 1 ms`
pub(super) fn standing(step: usize, steps: usize, variant: &str, standing: &Standing) -> String {
    let quantile = |of: &crate::latency::Latency, q| of.quantile_s(q).map_or(NONE.to_owned(), duration);
    let Standing { offered, in_flight, good, rejected, ttft, lag, .. } = standing;
    format!(
        "step {} of {steps}, {variant}: {} offered, {} in flight, {} good, {} rejected, TTFT p50 {} p99 {}, lag p99 {}",
        step + 1,
        count(*offered),
        count(*in_flight as u64),
        count(*good),
        count(*rejected),
        quantile(ttft, 0.5),
        quantile(ttft, 0.99),
        quantile(lag, 0.99),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn a_line_says_what_matters() {
        let mut standing = Standing { offered: 1_200, in_flight: 9, good: 80, rejected: 31, ..Standing::default() };
        assert!(super::standing(1, 4, "tuned", &standing).ends_with("TTFT p50 - p99 -, lag p99 -"));
        standing.ttft.record(Span::from_millis(120));
        standing.lag.record(Span::from_millis(1));
        let line = super::standing(1, 4, "tuned", &standing);
        assert!(
            line.starts_with("step 2 of 4, tuned: 1,200 offered, 9 in flight, 80 good, 31 rejected, TTFT p50 12"),
            "{line}"
        );
    }
}

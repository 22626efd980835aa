//! Tallies made by hand, for tests of everything that reads a summary.

use super::super::{ClassTally, Metered, MeteredCounts, Series, Tally, Window};
use crate::request::{Cause, Profile, Reason};
use crate::time::{Span, Time};

/// A class of `offered` requests of which `good` are good, the rest refused by a full queue; latencies of about `ttft_ms`.
pub(crate) fn class(offered: u64, good: u64, ttft_ms: u64) -> ClassTally {
    let mut class = ClassTally { offered, good, attempts: offered, waited: good / 2, ..ClassTally::default() };
    class.rejected[Reason::QueueFull as usize] = offered - good;
    class.wasted_tokens = 10 * (offered - good);
    class.computed_tokens = 100 * offered;
    for i in 0..good {
        let ttft = Span::from_millis(ttft_ms + i % 100);
        class.ttft.record(ttft);
        class.e2e.record(ttft + Span::from_secs(4));
        class.tpot.record(Span::from_millis(20));
        class.itl.record_n(Span::from_millis(20), 200);
        class.wait.record(Span::from_millis(i % 100));
    }
    class
}

/// A class with something in every column.
pub(crate) fn full_class() -> ClassTally {
    let mut class = class(1_000, 400, 500);
    class.rejected[Reason::QueueFull as usize] = 100;
    class.rejected[Reason::UpstreamFull as usize] = 50;
    class.late = 90;
    class.degraded = 60;
    class.timed_out = 110;
    class.gave_up = 120;
    class.failed[Cause::Overloaded as usize] = 30;
    class.failed[Cause::Connection as usize] = 20;
    class.in_flight = 20;
    class.attempts = 1_700;
    class.retried = 350;
    class
}

/// A replication of 100 s with these classes, whose series is as even as its counts allow.
pub(crate) fn tally(classes: Vec<ClassTally>, digest: u64) -> Tally {
    let at = |secs| Time::ZERO + Span::from_secs(secs);
    let mut series = Series::over(at(100));
    let spread = |bins: &mut [u32], n: u64| (0..n).for_each(|i| bins[usize::try_from(1_000 * i / n).unwrap()] += 1);
    let sum = |of: fn(&ClassTally) -> u64| classes.iter().map(of).sum::<u64>();
    spread(&mut series.offered, sum(|class| class.offered));
    spread(&mut series.good, sum(|class| class.good));
    spread(&mut series.answered, sum(ClassTally::completed));
    spread(&mut series.completed, sum(ClassTally::completed));
    series.e2e_s.iter_mut().zip(&series.answered).for_each(|(sum, n)| *sum = 4.0 * f64::from(*n));
    Tally {
        window: Window { start: at(0), end: at(100), drained: at(100) },
        classes,
        series,
        digest,
        events: 10_000,
        turns: 4_000,
        queue_area: 250_000_000_000,
        system_area: 900_000_000_000,
        residence: 900_000_000_000,
        utilisation: 0.75,
        abandoned_counted_max: 3.5,
        abandoned_true_max: 9,
        policy_degraded: 2,
        metered: Metered::default(),
        preemptions: 1,
        watched: None,
        halted: None,
    }
}

/// The seed's adapter at work: 999 reservations, `unit` tenths of a thousand tokens apart; light calls as their prior says,
/// heavy ones learned from bin 500 on.
#[allow(clippy::cast_possible_truncation)] // a few digits
pub(crate) fn metered(unit: u64) -> Metered {
    let priors = [1.2, 1.3, 1.3, 1.1, 2.5, 2.5, 2.5, 2.0];
    let mut multipliers = priors;
    multipliers[4] = 3.5;
    let mut true_p90 = [None; Profile::KINDS];
    (true_p90[3], true_p90[4]) = (Some(0.9), Some(4.0));
    let mut metered = Metered {
        in_use: true,
        counts: MeteredCounts {
            trims: 12,
            truncated: 3,
            lane_acquisitions: 31,
            circuit_opens: 4,
            proxy_degradations: 5,
            finalised: 9,
            redispatched: 2,
            upstream_429: 7,
        },
        multipliers,
        priors,
        true_p90,
        multiplier_series: (0..1_001).map(|bin| if bin < 500 { priors } else { multipliers }.map(|m| m as f32)).collect(),
        good_tokens: 10_000,
        ..Metered::default()
    };
    (1..1_000).for_each(|i| metered.reserve(i * unit / 10));
    metered
}

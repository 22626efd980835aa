//! The request rate against governor's own tests, and against its bound in any window.

use super::*;
use crate::policy::testing::asked_at;
use crate::rng::mix;
use crate::units::Count;
use proptest::prelude::*;

/// `[gcra]`: two a second; ms, and whether the request comes through. Provenance: published (governor 0.10.4).
const TWO_PER_SECOND: [(u64, bool); 6] = [(0, true), (1, true), (2, false), (1_002, true), (1_003, true), (1_004, false)];

fn count(n: u32) -> Count {
    Count::new(n).expect("above 0")
}

fn limit(requests: u32, per: Span, burst: Option<u32>) -> RequestRate {
    RequestRate::new(Some(&RateLimit { mode: Mode::Enforce, requests: count(requests), per, burst: burst.map(count) }))
}

fn asked_ns(nanos: u64) -> Asked {
    Asked { now: Time::from_nanos(nanos), ..asked_at(0) }
}

/// Whether a request comes through, taken if so.
fn comes(limit: &mut RequestRate, nanos: u64) -> bool {
    let passes = limit.ask(&asked_ns(nanos)) == Verdict::Pass;
    if passes {
        limit.take(&asked_ns(nanos));
    }
    passes
}

/// Provenance of the rest: published (the same): "5 admitted at once, the 6th refused; 2 s later exactly 5", which are two
/// rows, and `check_n of 15, 7 or 6: never possible (capacity 5)`, which are three.
#[test]
fn every_row_of_the_table_is_met() {
    let mut rows = 0;
    let mut two = limit(2, Span::from_secs(1), None);
    for (ms, expected) in TWO_PER_SECOND {
        assert_eq!(comes(&mut two, ms * 1_000_000), expected, "{ms} ms");
        rows += 1;
    }
    let mut five = limit(5, Span::from_secs(1), None);
    for nanos in [0, 2_000_000_000] {
        assert_eq!((0..10).filter(|_| comes(&mut five, nanos)).count(), 5, "at {nanos} ns");
        rows += 1;
    }
    for n in [15, 7, 6] {
        assert_eq!(five.fit(Time::from_nanos(4_000_000_000), n), Cells::Never);
        rows += 1;
    }
    assert_eq!(five.fit(Time::from_nanos(4_000_000_000), 5), Cells::Fit);
    assert_eq!(rows, 11);
}

/// Three a second: the interval is no whole number of nanoseconds, and is kept exact all the same.
#[test]
fn the_interval_is_exact() {
    let mut three = limit(3, Span::from_secs(1), Some(1));
    assert!(comes(&mut three, 0));
    assert_eq!(three.retry_after(Time::ZERO), Span::from_nanos(333_333_334));
    assert!(!comes(&mut three, 333_333_333) && comes(&mut three, 333_333_334));
    let mut greedy = limit(3, Span::from_secs(1), Some(1));
    let mut nanos = 0;
    for _ in 0..3_000 {
        assert!(comes(&mut greedy, nanos));
        nanos += greedy.retry_after(Time::from_nanos(nanos)).as_nanos();
    }
    // The 3,001st at 1,000 s, but for what was lost by coming on the first whole nanosecond of each third.
    assert!((1_000_000_000_000..1_000_000_004_000).contains(&nanos), "{nanos}");
}

#[test]
fn a_mere_observer_uses_up_only_what_it_would_have_let_through() {
    let settings = RateLimit { mode: Mode::Observe, requests: count(1), per: Span::from_secs(10), burst: None };
    let mut limit = RequestRate::new(Some(&settings));
    for _ in 0..5 {
        limit.take(&asked_ns(0));
    }
    assert_eq!(limit.ask(&asked_at(9)), Verdict::Refuse(Reason::RateLimited));
    assert_eq!(limit.ask(&asked_at(10)), Verdict::Pass);
}

#[test]
fn what_it_saw() {
    let mut limit = limit(60, Span::from_secs(60), Some(4));
    let saw = |limit: &RequestRate, nanos| limit.saw(&asked_ns(nanos));
    assert_eq!(saw(&limit, 0), Saw::RateLimit { left: 4, wait: Span::ZERO });
    (0..4).for_each(|_| assert!(comes(&mut limit, 0)));
    assert_eq!(saw(&limit, 0), Saw::RateLimit { left: 0, wait: Span::from_secs(1) });
    assert_eq!(saw(&limit, 1_500_000_000), Saw::RateLimit { left: 1, wait: Span::ZERO });
    assert_eq!(saw(&limit, 60_000_000_000), Saw::RateLimit { left: 4, wait: Span::ZERO });
}

#[test]
fn a_new_rate_keeps_what_was_used() {
    let mut limit = limit(1, Span::from_secs(10), None);
    assert!(comes(&mut limit, 0));
    limit.reconfigure(Some(&RateLimit {
        mode: Mode::Enforce,
        requests: count(10),
        per: Span::from_secs(10),
        burst: Some(count(1)),
    }));
    assert!(!comes(&mut limit, 9_999_999_999) && comes(&mut limit, 10_000_000_000));
    limit.reconfigure(None);
    assert_eq!(limit.ask(&asked_ns(10_000_000_000)), Verdict::Pass);
}

proptest! {
    /// In any window at most the burst and what the rate gives in its length.
    #[test]
    fn no_window_holds_more_than_burst_and_rate(
        requests in 1u32..20,
        per_ms in 1u64..5_000,
        burst in 1u32..10,
        gaps in prop::collection::vec(0u64..400_000_000, 1..150),
    ) {
        let mut limit = limit(requests, Span::from_millis(per_ms), Some(burst));
        let (mut now, mut through) = (0, Vec::new());
        for gap in gaps {
            now += gap;
            if comes(&mut limit, now) {
                through.push(now);
            } else {
                let wait = limit.retry_after(Time::from_nanos(now)).as_nanos();
                prop_assert!(wait > 0);
                let mut early = limit.clone();
                prop_assert!(!comes(&mut early, now + wait - 1) && comes(&mut early, now + wait));
            }
        }
        for (first, start) in through.iter().enumerate() {
            for (last, end) in through.iter().enumerate().skip(first) {
                let allowed = u128::from(burst) + u128::from(end - start) * u128::from(requests) / (u128::from(per_ms) * 1_000_000);
                prop_assert!((last - first + 1) as u128 <= allowed, "{} in {} ns", last - first + 1, end - start);
            }
        }
    }
}

#[test]
fn a_million_questions() {
    let mut limit = limit(u32::MAX, Span::from_secs(1), Some(7));
    let mut now = 0;
    for n in 0..1_000_000 {
        now += mix(3, n) >> (20 + n % 44);
        now = now.min(u64::MAX / 2);
        comes(&mut limit, now);
        assert!(limit.left(Time::from_nanos(now)) <= 7);
    }
}

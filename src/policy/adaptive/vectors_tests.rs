//! The adaptive limits against runs of the projects they come from. Each table says where its values come from; a test
//! counts the rows.

use super::gradient2::Average;
use super::*;
use proptest::prelude::*;

/// `[gradient2_calm]`: the limit after each call of 10 ms with the whole limit in flight.
/// Provenance: run (Netflix concurrency-limits, commit 78a74b9, defaults).
const GRADIENT2_CALM: [u32; 30] =
    [20, 21, 22, 23, 24, 24, 25, 26, 27, 28, 28, 29, 30, 31, 32, 32, 33, 34, 35, 36, 36, 37, 38, 39, 40, 40, 41, 42, 43, 44];

/// `[gradient2_step]`: minimum 1, from 50 on; 20 calls of 10 ms, 20 of 100 ms, 20 of 10 ms.
/// Provenance: run (the same).
const GRADIENT2_STEP: [[u32; 20]; 3] = [
    [50, 51, 52, 53, 54, 54, 55, 56, 57, 58, 58, 59, 60, 61, 62, 62, 63, 64, 65, 66],
    [60, 54, 50, 46, 42, 38, 35, 32, 30, 28, 26, 24, 22, 21, 19, 18, 17, 16, 15, 15],
    [15, 16, 17, 18, 19, 19, 20, 21, 22, 23, 23, 24, 25, 26, 27, 27, 28, 29, 30, 31],
];

/// `[aimd]`: from 20 on, minimum 1; the tenth call of each ten is dropped. Provenance: run (Netflix concurrency-limits).
const AIMD: [[u32; 10]; 3] = [
    [21, 22, 23, 24, 25, 26, 27, 28, 29, 26],
    [27, 28, 29, 30, 31, 32, 33, 34, 35, 31],
    [32, 33, 34, 35, 36, 37, 38, 39, 40, 36],
];

/// `[aimd]`, drops only, from 9 on. Provenance: run (the same).
const AIMD_DROPS: [u32; 9] = [8, 7, 6, 5, 4, 3, 2, 1, 1];

/// `[vegas]`: time in ms, and the limit after it: alpha 3, beta 6, from 10 on, at most 20, shortest 10 ms, 10 in flight.
/// Provenance: run (Netflix concurrency-limits).
const VEGAS: [(u64, u32); 7] = [(10, 16), (11, 16), (12, 11), (13, 10), (25, 10), (30, 9), (50, 9)];

/// `[vegas]`, default functions, from 100 on. Provenance: run (the same).
const VEGAS_DEFAULT: [(u64, u32); 4] = [(10, 112), (11, 100), (12, 98), (50, 98)];

/// `[envoy_gradient]`: limit, shortest and sample times, next limit.
/// Provenance: formula, `clamp(trunc(L g + sqrt(L g)), 3, 1000)`, `g = clamp(1.25 shortest / sample, 0.5, 2)`.
const ENVOY: [(u32, f64, f64, u32); 8] = [
    (7, 5.0, 4.0, 14),
    (3, 5.0, 4.0, 6),
    (100, 5.0, 5.0, 136),
    (100, 5.0, 6.25, 110),
    (100, 5.0, 10.0, 70),
    (100, 5.0, 50.0, 57),
    (1_000, 5.0, 1.0, 1_000),
    (7, 5.0, 10.0, 6),
];

/// `[envoy_gradient]`: the limit window by window, shortest 5 and sample 4. Provenance: formula (the same).
const ENVOY_GROWTH: [u32; 11] = [3, 6, 12, 23, 41, 72, 123, 206, 339, 552, 891];

/// Settings as a scenario writes them, so that the defaults are a scenario's too.
fn settings(json: &str) -> AdaptiveLimit {
    serde_json::from_str(json).expect("well formed")
}

fn adaptive(json: &str, initial: u32) -> Adaptive {
    Adaptive::new(&settings(json), initial)
}

fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

/// A call of a limit that looks at no clock, with the whole limit in flight.
fn full(limit: &mut Adaptive, rtt: Span, dropped: bool) -> u32 {
    limit.sample(Time::ZERO, rtt, limit.limit(), dropped);
    limit.limit()
}

fn gradient2_rows() -> usize {
    let mut calm = adaptive(r#"{"algorithm": "gradient2"}"#, 20);
    for (n, expected) in GRADIENT2_CALM.into_iter().enumerate() {
        assert_eq!(full(&mut calm, ms(10), false), expected, "calm, call {n}");
    }
    let mut step = adaptive(r#"{"algorithm": "gradient2", "min": 1}"#, 50);
    for (expected, rtt) in GRADIENT2_STEP.into_iter().zip([10, 100, 10]) {
        for (n, expected) in expected.into_iter().enumerate() {
            assert_eq!(full(&mut step, ms(rtt), false), expected, "step to {rtt} ms, call {n}");
        }
    }
    GRADIENT2_CALM.len() + GRADIENT2_STEP.as_flattened().len()
}

/// `[gradient2_app_limited]`: with less than half of the limit in flight it stays where it is. Provenance: run (the same).
fn gradient2_app_limited_rows() -> usize {
    let mut limit = adaptive(r#"{"algorithm": "gradient2"}"#, 20);
    for _ in 0..1_000 {
        limit.sample(Time::ZERO, ms(10), limit.limit() / 2 - 1, false);
        assert_eq!(limit.limit(), 20);
    }
    1
}

fn aimd_rows() -> usize {
    let mut limit = adaptive(r#"{"algorithm": "aimd", "min": 1}"#, 20);
    for (n, expected) in AIMD.as_flattened().iter().enumerate() {
        assert_eq!(full(&mut limit, ms(10), n % 10 == 9), *expected, "call {n}");
    }
    let mut falling = adaptive(r#"{"algorithm": "aimd", "min": 1}"#, 9);
    for expected in AIMD_DROPS {
        assert_eq!(full(&mut falling, ms(10), true), expected);
    }
    // "rtt == timeout grows, rtt > timeout shrinks"
    let mut slow = adaptive(r#"{"algorithm": "aimd", "min": 1, "timeout": "5s"}"#, 20);
    assert_eq!(full(&mut slow, Span::from_secs(5), false), 21);
    assert_eq!(full(&mut slow, Span::from_nanos(5_000_000_001), false), 18);
    AIMD.as_flattened().len() + AIMD_DROPS.len() + 2
}

fn vegas_rows() -> usize {
    for (rtt, expected) in VEGAS {
        let mut limit = adaptive(r#"{"algorithm": "vegas", "alpha": 3, "beta": 6, "max": 20}"#, 10);
        limit.sample(Time::ZERO, ms(10), 10, false); // the shortest time
        limit.sample(Time::ZERO, ms(rtt), 10, false);
        assert_eq!(limit.limit(), expected, "{rtt} ms");
    }
    for (rtt, expected) in VEGAS_DEFAULT {
        let mut limit = adaptive(r#"{"algorithm": "vegas"}"#, 100);
        limit.sample(Time::ZERO, ms(10), 100, false);
        limit.sample(Time::ZERO, ms(rtt), 100, false);
        assert_eq!(limit.limit(), expected, "{rtt} ms from 100 on");
    }
    VEGAS.len() + VEGAS_DEFAULT.len()
}

/// `[ewma]`: window 100, warm-up 10; 10 to 19, then 100. Provenance: published (Netflix concurrency-limits' own test).
fn ewma_rows() -> usize {
    let mut average = Average::new(100, 10);
    let after_10 = (10..20).map(|n| average.add(f64::from(n))).last().expect("ten values");
    assert!((after_10 - 14.5).abs() < 1e-12, "{after_10}");
    let after_100 = average.add(100.0);
    assert!((after_100 - 16.19).abs() < 0.005, "{after_100}");
    2
}

/// A limit whose shortest time is known, as its machine has it after one window with one call.
fn envoy_next(limit: u32, shortest_ms: f64, sample_ms: f64) -> u32 {
    let shortest = Span::from_nanos(Span::from_secs_f64(shortest_ms / 1e3).as_nanos());
    let mut limit = adaptive(&format!(r#"{{"algorithm": "envoy_gradient", "min_rtt": "{shortest}"}}"#), limit);
    limit.sample(Time::ZERO + ms(1_000), Span::from_secs_f64(sample_ms / 1e3), 1, false);
    limit.sample(Time::ZERO + ms(1_100), ms(1), 1, false);
    limit.limit()
}

fn envoy_rows() -> usize {
    for (limit, shortest, sample, expected) in ENVOY {
        assert_eq!(envoy_next(limit, shortest, sample), expected, "{limit} at {sample} against {shortest}");
    }
    let mut growing = adaptive(r#"{"algorithm": "envoy_gradient", "min_rtt": "5ms"}"#, 3);
    for (n, expected) in ENVOY_GROWTH.into_iter().enumerate() {
        growing.sample(Time::ZERO + ms(1_000 + 100 * n as u64), ms(4), 1, false);
        assert_eq!(growing.limit(), expected, "window {n}");
    }
    ENVOY.len() + ENVOY_GROWTH.len()
}

#[test]
fn every_row_of_the_tables_is_met() {
    assert_eq!(gradient2_rows(), 90);
    assert_eq!(gradient2_app_limited_rows(), 1);
    assert_eq!(aimd_rows(), 41);
    assert_eq!(vegas_rows(), 11);
    assert_eq!(ewma_rows(), 2);
    assert_eq!(envoy_rows(), 19);
}

/// The measurement of the shortest time: two calls at the minimum, then the limit from before it, then a window.
#[test]
fn envoys_shortest_time_is_measured_at_the_minimum() {
    let json = r#"{"algorithm": "envoy_gradient", "min_rtt_requests": 2, "min_rtt_interval": "10s", "jitter": 0}"#;
    let mut limit = adaptive(json, 40);
    let at = |at_ms| Time::ZERO + ms(at_ms);
    assert_eq!(limit.limit(), 3);
    limit.sample(at(500), ms(100), 3, false);
    limit.sample(at(500), ms(1), 3, true); // dropped: no time of the server's
    assert_eq!(limit.limit(), 3);
    limit.sample(at(600), ms(120), 3, false);
    assert_eq!(limit.limit(), 40, "measured: 100 ms, the lower median of 100 and 120");
    limit.sample(at(650), ms(250), 40, false);
    limit.sample(at(700), ms(1), 40, false);
    assert_eq!(limit.limit(), 24, "g = 125 / 250: 20 + sqrt 20");
    limit.sample(at(10_599), ms(250), 40, false);
    let before = limit.limit();
    limit.sample(at(10_600), ms(250), 40, false);
    assert_eq!(limit.limit(), 3, "10 s after the measurement the next one");
    limit.sample(at(10_700), ms(101), 3, false); // started before it
    limit.sample(at(10_700), ms(100), 3, false);
    assert_eq!(limit.limit(), 3);
    limit.sample(at(10_701), ms(100), 3, false);
    assert_eq!(limit.limit(), before);
}

/// Five windows at the minimum say that the shortest time may be wrong.
#[test]
fn envoy_measures_again_when_it_stays_at_the_minimum() {
    let json = r#"{"algorithm": "envoy_gradient", "min_rtt_requests": 1}"#;
    let mut limit = adaptive(json, 3);
    limit.sample(Time::ZERO + ms(10), ms(1), 3, false); // 1 ms, far too short
    for window in 1..=6 {
        limit.sample(Time::ZERO + ms(10 + 1_000 * window), ms(500), 3, false);
        assert_eq!(limit.limit(), 3, "window {window}");
    }
    // It measured anew: 500 ms are the shortest time now, and calls of that length let the limit grow.
    for window in 7..=9 {
        limit.sample(Time::ZERO + ms(10 + 1_000 * window), ms(500), 3, false);
    }
    assert!(limit.limit() > 3, "{}", limit.limit());
}

#[test]
fn gradient2_can_count_drops() {
    let mut counting = adaptive(r#"{"algorithm": "gradient2", "min": 1, "count_drops": true}"#, 50);
    let mut published = adaptive(r#"{"algorithm": "gradient2", "min": 1}"#, 50);
    assert_eq!(full(&mut counting, ms(10), true), 45, "50 x 0.8 + (25 + 4) x 0.2");
    assert_eq!(full(&mut published, ms(10), true), 50, "a quick refusal lets it grow");
}

/// Netflix's probe: the shortest time is forgotten once in 15 to 30 times the limit of calls.
#[test]
fn vegas_takes_a_new_shortest_time_now_and_then() {
    let mut limit = adaptive(r#"{"algorithm": "vegas", "max": 20}"#, 10);
    limit.sample(Time::ZERO, ms(1), 10, false);
    let calls = (1..100).find(|_| full(&mut limit, ms(100), false) == 7).expect("it falls to its knees");
    assert!(calls < 10, "{calls}");
    let recovered = (1..=30 * 20).find(|_| full(&mut limit, ms(100), false) > 10);
    assert!(recovered.is_some(), "100 ms were never taken for the shortest time");
}

#[test]
fn new_settings_keep_what_was_learned() {
    let mut limit = adaptive(r#"{"algorithm": "aimd", "min": 1}"#, 50);
    limit.reconfigure(&settings(r#"{"algorithm": "aimd", "min": 1, "max": 40}"#), 3);
    assert_eq!(limit.limit(), 40);
    limit.reconfigure(&settings(r#"{"algorithm": "vegas"}"#), 3);
    assert_eq!(limit.limit(), 3);
    let mut envoy = adaptive(r#"{"algorithm": "envoy_gradient"}"#, 30);
    envoy.reconfigure(&settings(r#"{"algorithm": "envoy_gradient", "min_rtt": "5ms"}"#), 3);
    assert_eq!(envoy.limit(), 30, "nothing is left to measure");
    envoy.reconfigure(&settings(r#"{"algorithm": "envoy_gradient"}"#), 3);
    assert_eq!(envoy.limit(), 3, "measures");
}

const EVERY: [&str; 5] = [
    r#"{"algorithm": "aimd", "min": 2, "max": 60}"#,
    r#"{"algorithm": "vegas", "max": 60, "smoothing": 0.3}"#,
    r#"{"algorithm": "gradient2", "min": 2, "max": 60, "count_drops": true}"#,
    r#"{"algorithm": "gradient2", "min": 2, "max": 60}"#,
    r#"{"algorithm": "envoy_gradient", "min": 2, "max": 60, "min_rtt_requests": 5, "min_rtt_interval": "2s"}"#,
];

proptest! {
    #[test]
    fn the_limit_stays_between_its_bounds(
        which in 0..EVERY.len(),
        initial in 0u32..100,
        calls in prop::collection::vec((0u64..3_000, 0u64..20_000_000_000, 0u32..100, any::<bool>()), 1..300),
    ) {
        let mut limit = adaptive(EVERY[which], initial);
        let mut now = Time::ZERO;
        for (gap_ms, rtt, in_flight, dropped) in calls {
            now += ms(gap_ms);
            limit.sample(now, Span::from_nanos(rtt), in_flight, dropped);
            prop_assert!((1..=60).contains(&limit.limit()), "{}", limit.limit());
        }
    }
}

#[test]
fn a_million_calls() {
    use crate::rng::mix;
    for (which, json) in EVERY.iter().enumerate() {
        let mut limit = adaptive(json, 10);
        let mut now = Time::ZERO;
        for n in 0..200_000 {
            let bits = mix(which as u64, n);
            now += Span::from_nanos(bits >> 38);
            let in_flight = u32::try_from(bits & 127).expect("small");
            limit.sample(now, Span::from_nanos(mix(bits, 1) >> (30 + bits % 34)), in_flight, bits.is_multiple_of(17));
            assert!((1..=60).contains(&limit.limit()), "{}", limit.limit());
        }
    }
}

//! Throttling against its formulas, and over time.

use super::*;
use crate::policy::testing::asked_at;
use proptest::prelude::*;

/// `[sre_throttle]`: k, requests, accepts, probability.
/// Provenance: formula, `max(0, (requests - k accepts) / (requests + 1))`.
const SRE: [(f64, u64, u64, f64); 7] = [
    (2.0, 0, 0, 0.0),
    (2.0, 1, 0, 0.5),
    (2.0, 100, 50, 0.0),
    (2.0, 101, 50, 0.0098),
    (2.0, 100, 0, 0.9901),
    (1.1, 100, 90, 0.0099),
    (1.1, 100, 91, 0.0),
];

/// `[envoy_admission]`: threshold, aggression, successes of 100, probability.
/// Provenance: formula, `((n - successes / threshold) / (n + 1)) ^ (1 / aggression)`.
const ENVOY: [(f64, f64, u64, f64); 7] = [
    (1.0, 1.0, 100, 0.0),
    (1.0, 1.0, 95, 0.0495),
    (1.0, 1.0, 75, 0.2475),
    (1.0, 2.0, 95, 0.2225),
    (1.0, 2.0, 75, 0.4975),
    (0.95, 1.0, 95, 0.0),
    (0.95, 1.0, 90, 0.0521),
];

const REFUSED: Verdict = Verdict::Refuse(Reason::Throttled);

fn gate(json: &str) -> Throttling {
    Throttling::new(Some(&serde_json::from_str(json).expect("well formed")))
}

/// What the gate sees of an attempt, and what it answers.
fn ask(gate: &mut Throttling, secs: u64, draw: u64) -> (u64, u64, f64, Verdict) {
    let asked = Asked { draw, ..asked_at(secs) };
    let verdict = gate.ask(&asked);
    let Saw::Throttle { requests, accepts, probability, draw } = gate.saw(&asked) else { panic!("another gate") };
    assert_eq!(verdict == REFUSED, draw < probability);
    (requests, accepts, probability, verdict)
}

#[test]
fn every_row_of_the_tables_is_met() {
    for (k, requests, accepts, expected) in SRE {
        let mut gate = gate(&format!(r#"{{"rule": "sre", "k": {k}}}"#));
        gate.counts.add(Time::ZERO, [u32::try_from(requests).expect("small"), u32::try_from(accepts).expect("small")]);
        let (saw_requests, saw_accepts, probability, _) = ask(&mut gate, 0, 0);
        assert_eq!((saw_requests, saw_accepts), (requests, accepts));
        assert!((probability - expected).abs() < 5e-5, "{k}, {accepts} of {requests}: {probability}, not {expected}");
    }
    for (threshold, aggression, successes, expected) in ENVOY {
        let mut gate = gate(&format!(r#"{{"rule": "envoy", "threshold": {threshold}, "aggression": {aggression}}}"#));
        (0..100).for_each(|n| gate.record(Time::ZERO, n < successes));
        let (requests, accepts, probability, _) = ask(&mut gate, 0, 0);
        assert_eq!((requests, accepts), (100, successes));
        assert!((probability - expected).abs() < 5e-5, "{threshold}, {aggression}, {successes}: {probability}, not {expected}");
    }
    assert_eq!((SRE.len(), ENVOY.len()), (7, 7));
}

/// Whether a refusal counts as a request is what separates the two rules.
#[test]
fn refusals_count_or_not() {
    for (json, counted) in [
        (r#"{"rule": "sre"}"#, 101),
        (r#"{"rule": "sre", "count_rejected": false}"#, 100),
        (r#"{"rule": "sre", "count_rejected": false, "mode": "observe"}"#, 101),
        (r#"{"rule": "envoy"}"#, 100),
    ] {
        let mut gate = gate(json);
        for _ in 0..100 {
            if json.contains("envoy") {
                gate.record(Time::ZERO, false);
            } else {
                gate.counts.add(Time::ZERO, [1, 0]);
            }
        }
        let refused = (0..100).find(|draw| draw_of(*draw) < 0.5).expect("half of them are");
        assert_eq!(ask(&mut gate, 0, refused).3, REFUSED, "{json}");
        assert_eq!(gate.counts.sums(Time::ZERO)[0], counted, "{json}");
    }
}

fn draw_of(bits: u64) -> f64 {
    draw(&Asked { draw: bits, ..asked_at(0) })
}

#[test]
fn envoys_bounds_hold() {
    let mut failing = gate(r#"{"rule": "envoy"}"#);
    (0..100).for_each(|_| failing.record(Time::ZERO, false));
    assert!((ask(&mut failing, 0, 0).2 - 0.8).abs() < 1e-12, "the largest probability");
    let mut slow = gate(r#"{"rule": "envoy", "rps_threshold": 10}"#);
    (0..99).for_each(|_| slow.record(Time::ZERO, false));
    assert!(ask(&mut slow, 8, 0).2 > 0.0, "99 in 9 s are 11 a second");
    assert!(ask(&mut slow, 9, 0).2 <= 0.0, "9.9 a second");
    // A threshold of nothing: only a server that never succeeds is refused.
    assert_eq!((envoy_probability(0.0, 1.0, 10, 1), envoy_probability(0.0, 1.0, 9, 0)), (0.0, 0.9));
}

#[test]
fn the_window_forgets() {
    let mut gate = gate(r#"{"rule": "sre", "window": "10s"}"#);
    gate.counts.add(Time::ZERO, [50, 0]);
    assert_eq!(ask(&mut gate, 9, 0).0, 50);
    assert_eq!(ask(&mut gate, 10, 0).0, 1, "only the request of second 9");
}

#[test]
fn new_settings_keep_the_counts_of_the_same_rule_and_window() {
    let settings = |json: &str| serde_json::from_str::<Throttle>(json).expect("well formed");
    let mut gate = gate(r#"{"rule": "sre"}"#);
    gate.counts.add(Time::ZERO, [5, 3]);
    gate.reconfigure(Some(&settings(r#"{"rule": "sre", "k": 1.5}"#)));
    assert_eq!(gate.counts.sums(Time::ZERO), [5, 3]);
    gate.reconfigure(Some(&settings(r#"{"rule": "sre", "window": "1s"}"#)));
    assert_eq!(gate.counts.sums(Time::ZERO), [0, 0]);
    gate.reconfigure(None);
    assert_eq!((gate.mode(), gate.ask(&asked_at(0))), (Mode::Off, Verdict::Pass));
}

proptest! {
    /// With an upstream that accepts `capacity` of the requests it gets in each second, about `k` times that come through.
    #[test]
    fn what_comes_through_settles_near_k_times_what_is_accepted(capacity in 5u64..20, seed in any::<u64>()) {
        let mut gate = gate(r#"{"rule": "sre", "window": "20s"}"#);
        let mut through = 0;
        for second in 0..200 {
            let mut accepted = 0;
            for n in 0..100 {
                if ask(&mut gate, second, mix(seed, second * 100 + n)).3 == Verdict::Pass {
                    through += u64::from(second >= 100);
                    let accepts = accepted < capacity;
                    accepted += u64::from(accepts);
                    gate.record(asked_at(second).now, accepts);
                }
            }
        }
        let ratio = through as f64 / (100.0 * capacity as f64);
        prop_assert!((1.6..2.4).contains(&ratio), "{ratio}");
    }
}

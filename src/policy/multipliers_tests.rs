//! The 90th percentile by either rule, and what is remembered of whom.

use proptest::prelude::*;

use super::*;
use crate::units::{Count, Positive};

/// Grounded, `ALS_ONLY`: prior 2.5.
const HEAVY: usize = 4;
/// Ungrounded, `NONE`: prior 1.1.
const LIGHT: usize = 3;

fn count(value: u32) -> Count {
    Count::new(value).expect("not 0")
}

fn positive(value: f64) -> Positive {
    Positive::new(value).expect("above 0")
}

fn at(secs: u64) -> Time {
    Time::ZERO + Span::from_secs(secs)
}

#[test]
#[allow(clippy::float_cmp)] // constants come back as they went in
fn the_seeds_table_of_priors() {
    let multipliers = Multipliers::new(&Limiter::default());
    let expected = [1.2, 1.3, 1.3, 1.1, 2.5, 2.5, 2.5, 2.0];
    for (class, prior) in expected.into_iter().enumerate() {
        assert_eq!((multipliers.of(class), multipliers.prior(class), multipliers.is_known(class)), (prior, prior, true));
    }
}

/// The conformance table `quantile_p90`: values 1 to `n`, in whatever order they came.
#[test]
#[allow(clippy::float_cmp)]
fn p90_of_one_to_n_by_either_rule() {
    for (rule, n, expected) in
        [(P90::Seed, 20, 19.0), (P90::NearestRank, 20, 18.0), (P90::Seed, 10, 10.0), (P90::NearestRank, 10, 9.0)]
    {
        let mut multipliers = Multipliers::new(&Limiter { p90: rule, ..Limiter::default() });
        for step in 0..n {
            multipliers.learn(at(0), HEAVY, f64::from(1 + step * 7 % n)); // 7 has no factor of 10 or 20
        }
        assert_eq!(multipliers.of(HEAVY), expected, "{rule:?} of {n}");
        assert_eq!(multipliers.of(LIGHT), 1.1, "another class has seen nothing");
    }
}

#[test]
#[allow(clippy::float_cmp)]
fn the_fifth_ratio_is_the_first_that_changes_anything() {
    let mut multipliers = Multipliers::new(&Limiter::default());
    for _ in 0..4 {
        multipliers.learn(at(0), HEAVY, 7.0);
        assert_eq!(multipliers.of(HEAVY), 2.5);
    }
    multipliers.learn(at(0), HEAVY, 7.0);
    assert_eq!(multipliers.of(HEAVY), 7.0);
}

#[test]
#[allow(clippy::float_cmp)]
fn bounds_hold_before_and_after_learning_and_a_contradiction_does_not_panic() {
    let settings = Limiter {
        multiplier_min: Some(positive(1.15)),
        multiplier_max: Some(positive(2.0)),
        min_samples: count(1),
        ..Limiter::default()
    };
    let mut multipliers = Multipliers::new(&settings);
    assert_eq!((multipliers.of(LIGHT), multipliers.of(HEAVY), multipliers.prior(HEAVY)), (1.15, 2.0, 2.0));
    multipliers.learn(at(0), LIGHT, 0.3);
    multipliers.learn(at(0), HEAVY, 20.0);
    assert_eq!((multipliers.of(LIGHT), multipliers.of(HEAVY)), (1.15, 2.0));
    multipliers.reconfigure(&Limiter { multiplier_min: Some(positive(3.0)), ..settings });
    assert_eq!(multipliers.of(HEAVY), 2.0);
}

#[test]
#[allow(clippy::float_cmp)]
fn a_class_without_a_prior_learns_unless_it_is_the_seeds() {
    for (unknown_learns, expected) in [(true, 4.0), (false, 1.5)] {
        let mut multipliers =
            Multipliers::new(&Limiter { priors: Vec::new(), unknown_learns, min_samples: count(1), ..Limiter::default() });
        assert_eq!((multipliers.of(HEAVY), multipliers.is_known(HEAVY)), (1.5, false));
        multipliers.learn(at(0), HEAVY, 4.0);
        assert_eq!(multipliers.of(HEAVY), expected);
    }
}

#[test]
#[allow(clippy::float_cmp)]
fn what_is_too_old_is_forgotten_down_to_the_prior() {
    let mut multipliers = Multipliers::new(&Limiter { max_age: Some(Span::from_secs(100)), ..Limiter::default() });
    for secs in 0..6 {
        multipliers.learn(at(secs), HEAVY, 10.0 - secs as f64);
    }
    assert_eq!(multipliers.of(HEAVY), 10.0, "the largest of six");
    multipliers.forget(at(100), HEAVY);
    assert_eq!(multipliers.of(HEAVY), 10.0, "100 s old is not older than 100 s");
    multipliers.forget(at(101), HEAVY);
    assert_eq!(multipliers.of(HEAVY), 9.0, "the largest of five");
    multipliers.forget(at(102), HEAVY);
    assert_eq!(multipliers.of(HEAVY), 2.5, "four are too few");
}

#[test]
#[allow(clippy::float_cmp)]
fn new_settings_judge_what_was_learned_anew_and_forget_none_of_it() {
    let mut multipliers = Multipliers::new(&Limiter::default());
    for ratio in 1..=10 {
        multipliers.learn(at(0), HEAVY, f64::from(ratio));
    }
    assert_eq!(multipliers.of(HEAVY), 9.0);
    multipliers.reconfigure(&Limiter { p90: P90::Seed, ..Limiter::default() });
    assert_eq!(multipliers.of(HEAVY), 10.0);
    multipliers.reconfigure(&Limiter { min_samples: count(11), ..Limiter::default() });
    assert_eq!(multipliers.of(HEAVY), 2.5);
    multipliers.reconfigure(&Limiter { samples: count(5), ..Limiter::default() });
    assert_eq!(multipliers.of(HEAVY), 10.0, "the largest of 6 to 10");
}

#[test]
#[allow(clippy::float_cmp)]
fn what_is_no_ratio_teaches_nothing() {
    let mut multipliers = Multipliers::new(&Limiter { min_samples: count(1), ..Limiter::default() });
    for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        multipliers.learn(at(0), HEAVY, nonsense);
        assert_eq!(multipliers.of(HEAVY), 2.5);
    }
}

proptest! {
    /// Against the seed's own lines: append, drop the first above 20, sort, take number `int(len * 0.9)`.
    #[test]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::float_cmp)]
    fn the_seeds_update_literally(ratios in prop::collection::vec(0u16..300, 1..80)) {
        let mut multipliers = Multipliers::new(&Limiter { p90: P90::Seed, ..Limiter::default() });
        let (mut history, mut expected) = (Vec::new(), 2.5);
        for ratio in ratios {
            let ratio = f64::from(ratio) / 8.0;
            multipliers.learn(at(0), HEAVY, ratio);
            history.push(ratio);
            if history.len() > 20 {
                history.remove(0);
            }
            if history.len() >= 5 {
                let mut sorted = history.clone();
                sorted.sort_by(f64::total_cmp);
                expected = sorted[(sorted.len() as f64 * 0.9) as usize];
            }
            prop_assert_eq!(multipliers.of(HEAVY), expected);
        }
    }

    /// Nearest rank: the smallest value that at least nine tenths are not above.
    #[test]
    #[allow(clippy::float_cmp)]
    fn nearest_rank_by_its_definition(ratios in prop::collection::vec(0u16..50, 5..=20)) {
        let mut multipliers = Multipliers::new(&Limiter::default());
        for ratio in &ratios {
            multipliers.learn(at(0), HEAVY, f64::from(*ratio));
        }
        let enough = |x: u16| 10 * ratios.iter().filter(|ratio| **ratio <= x).count() >= 9 * ratios.len();
        let expected = (0..50).find(|x| enough(*x)).expect("all are below 50");
        prop_assert_eq!(multipliers.of(HEAVY), f64::from(expected));
    }
}

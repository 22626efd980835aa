//! Tallies made by hand: what is summed, what is averaged, what is left out.

use super::super::fixtures::{full_class, metered, tally};
use super::super::{Context, summarise};
use super::*;

fn with(metered: Metered, digest: u64) -> Tally {
    Tally { metered, ..tally(vec![full_class()], digest) }
}

fn summary(runs: &[Tally]) -> Option<MeteredSummary> {
    let context = Context { classes: vec!["search".into()], ..Context::default() };
    summarise(&[("seed", runs)], &context).variants.remove(0).metered
}

#[test]
fn without_such_a_policy_there_is_nothing() {
    assert!(summary(&[tally(vec![full_class()], 1)]).is_none());
    assert!(summary(&[]).is_none());
}

#[test]
fn counts_are_summed_and_reservations_pooled() {
    let other = Metered { counts: MeteredCounts { trims: 100, upstream_429: 1_000, ..metered(1).counts }, ..metered(2_000) };
    let both = summary(&[with(metered(1_000), 1), with(other, 2)]).unwrap();
    let counts = both.counts;
    assert_eq!((counts.trims, counts.upstream_429, counts.truncated, counts.lane_acquisitions), (112, 1_007, 6, 62));
    assert_eq!((counts.circuit_opens, counts.proxy_degradations, counts.finalised, counts.redispatched), (8, 10, 18, 4));
    // 100 to 99,900 and 200 to 199,800 tokens: 999 each.
    assert_eq!((both.reservations.len(), both.reservations.min()), (1_998, 100));
    assert_eq!((both.reservation_max, both.reservation_quantile(1.0)), (199_800, Some(199_800)));
    let median = both.reservations.value_at_quantile(0.5);
    assert!((66_500..=66_800).contains(&median), "{median}");
}

#[test]
fn tokens_an_hour_have_an_interval_over_replications() {
    let more = Metered { good_tokens: 30_000, ..metered(1) };
    let both = summary(&[with(metered(1), 1), with(more, 2)]).unwrap().good_tokens_per_hour.unwrap();
    // 10,000 and 30,000 tokens in 100 s each.
    assert!((both.mean - 720_000.0).abs() < 1e-6);
    assert!(both.interval(0.95).is_some_and(|interval| interval.lo >= 0.0 && interval.hi > 1_080_000.0));
}

#[test]
fn multipliers_are_averaged_and_those_of_kinds_without_calls_left_out() {
    let mut other = metered(1);
    (other.multipliers[4], other.true_p90[4]) = (4.5, None);
    let both = summary(&[with(metered(1), 1), with(other, 2)]).unwrap();
    let kinds: Vec<&str> = both.multipliers.iter().map(|one| one.kind.as_str()).collect();
    let figures: Vec<[Option<f64>; 3]> = both.multipliers.iter().map(|one| [one.prior, one.learned, one.true_p90]).collect();
    assert_eq!(kinds, ["ungrounded NONE", "grounded ALS_ONLY"]);
    assert_eq!(figures, [[1.1, 1.1, 0.9], [2.5, 4.0, 4.0]].map(|row| row.map(Some)));
}

#[test]
fn multipliers_over_time_are_those_at_the_end_of_a_column() {
    let one = summary(&[with(metered(1), 1)]).unwrap();
    let grounded = &one.multipliers[1].over_time;
    // 1,000 bins of 0.1 s in columns of 16: 2.5 until bin 500, 3.5 from there on.
    assert_eq!((one.column, grounded.len()), (Span::from_millis(1_600), 63));
    assert_eq!((grounded[30], grounded[31], grounded[62]), (2.5, 3.5, 3.5));
}

#[test]
fn the_error_is_taken_in_each_replication() {
    // |1.1 - 0.9| / 0.9 and |3.5 - 4| / 4 in one; in the other |4.5 - 4| / 4 instead, which a mean of multipliers would hide.
    let mut other = metered(1);
    other.multipliers[4] = 4.5;
    let (light, heavy) = (0.2 / 0.9, 0.125);
    let one = summary(&[with(metered(1), 1)]).unwrap().multiplier_error.unwrap();
    let both = summary(&[with(metered(1), 1), with(other, 2)]).unwrap().multiplier_error.unwrap();
    assert!((one - f64::midpoint(light, heavy)).abs() < 1e-12 && (both - one).abs() < 1e-12, "{one} {both}");
}

#[test]
fn without_a_limiter_only_the_truth_is_known() {
    let zeros = [0.0; Profile::KINDS];
    let series = vec![[0.0; Profile::KINDS]; 1_001];
    let idle = Metered { priors: zeros, multipliers: zeros, multiplier_series: series, ..metered(1) };
    let found = summary(&[with(idle, 1)]).unwrap();
    assert_eq!((found.multiplier_error, found.multipliers.len()), (None, 2));
    assert!(found.multipliers.iter().all(|one| (one.prior, one.learned) == (None, None) && one.over_time.is_empty()));
    assert_eq!(found.multipliers[1].true_p90, Some(4.0));
}

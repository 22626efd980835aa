//! Figures by hand from tallies by hand.

use super::fixtures::{class, full_class, tally};
use super::*;
use crate::request::{Cause, Reason};
use crate::time::{Span, Time};
use Label::{Collapsing, Saturated, Stable};

fn context() -> Context {
    Context { classes: vec!["chat".into()], ..Context::default() }
}

fn runs(good: [u64; 3]) -> Vec<Tally> {
    good.iter().zip(1..).map(|(good, digest)| tally(vec![class(1_000, *good, 200)], digest)).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-9), "{found}, not {expected}");
}

#[test]
fn counts_are_summed_and_their_columns_add_up() {
    let tallies = [tally(vec![full_class()], 1), tally(vec![full_class()], 2)];
    let summary = summarise(&[("only", &tallies)], &context());
    let counts = &summary.variants[0].counts;
    assert_eq!((counts.offered, counts.good, counts.late, counts.degraded), (2_000, 800, 180, 120));
    assert_eq!((counts.attempts, counts.retried, counts.completed()), (3_400, 700, 1_100));
    assert_eq!(counts.rejected_by_reason().collect::<Vec<_>>(), [(Reason::QueueFull, 200), (Reason::UpstreamFull, 100)]);
    assert_eq!(counts.failed_by_cause().collect::<Vec<_>>(), [(Cause::Overloaded, 60), (Cause::Connection, 40)]);
    let columns = counts.completed() + counts.rejected_in_all() + counts.timed_out + counts.gave_up;
    assert_eq!(columns + counts.failed_in_all() + counts.in_flight, counts.offered);
    let run = summary.variants[0].run_counts.unwrap();
    assert_eq!((run.policy_degraded, run.abandoned_true_max, run.preemptions, run.events), (4, 9, 2, 20_000));
    close(run.abandoned_counted_max, 3.5);
}

#[test]
fn metrics_by_hand() {
    let tallies = [tally(vec![full_class()], 1), tally(vec![full_class()], 2)];
    let variant = &summarise(&[("only", &tallies)], &context()).variants[0];
    let mean = |metric: &Option<crate::stats::Replicated>| metric.as_ref().unwrap().mean;
    let metrics = &variant.metrics;
    close(mean(&metrics.goodput_rps), 4.0);
    close(mean(&metrics.goodput_fraction), 0.4);
    close(mean(&metrics.blocked_fraction), 0.05);
    close(mean(&metrics.abandon_fraction), 0.12);
    close(mean(&metrics.wait_probability), 0.2);
    close(mean(&metrics.wasted_tokens), 6_000.0);
    close(mean(&metrics.wasted_fraction), 0.06);
    close(mean(&variant.run_metrics.queue_len), 2.5);
    close(mean(&variant.run_metrics.in_system), 9.0);
    close(mean(&variant.run_metrics.utilisation), 0.75);
    close(mean(&metrics.ttft.mean), 0.5495);
    assert_eq!((metrics.ttft.count, metrics.itl.count), (800, 160_000));
    let p99 = metrics.ttft.p99.unwrap();
    assert!((p99 - 0.598).abs() < 0.001, "{p99}");
}

#[test]
fn intervals_run_over_replications() {
    let variant = &summarise(&[("only", &runs([500, 600, 700]))], &context()).variants[0];
    let goodput = variant.metrics.goodput_rps.as_ref().unwrap();
    // 6 give or take 4.302653 * 1 / sqrt(3).
    close(goodput.interval(LEVEL).unwrap().half_width(), 4.302_652_729_911_275 / 3f64.sqrt());
    let alone = &summarise(&[("only", &runs([500, 600, 700])[..1])], &context()).variants[0];
    assert_eq!(alone.metrics.goodput_rps.as_ref().unwrap().interval(LEVEL), None);
}

#[test]
fn variants_are_compared_on_the_same_requests() {
    let (base, better) = (runs([500, 600, 700]), runs([540, 641, 739]));
    let summary = summarise(&[("base", &base), ("better", &better)], &context());
    let found = summary.paired.iter().find(|pair| pair.metric == PairedMetric::GoodputRps).unwrap();
    assert_eq!((found.a.as_str(), found.b.as_str()), ("base", "better"));
    let difference = found.difference.unwrap();
    close(difference.mean, 0.4);
    let interval = difference.interval.unwrap();
    assert!(interval.lo > 0.37 && interval.hi < 0.43, "{interval:?}");
    assert_eq!(summary.paired.len(), PairedMetric::ALL.len());
    let p99 = summary.paired.iter().find(|pair| pair.metric == PairedMetric::TtftP99).unwrap();
    close(p99.difference.unwrap().mean, 0.0);
}

#[test]
fn many_variants_are_compared_with_the_first_only() {
    let tallies = runs([500, 600, 700]);
    let pairs = |n: usize| {
        let names: Vec<String> = (0..n).map(|i| format!("v{i}")).collect();
        let variants: Vec<(&str, &[Tally])> = names.iter().map(|name| (name.as_str(), &tallies[..])).collect();
        summarise(&variants, &context()).paired.len() / PairedMetric::ALL.len()
    };
    assert_eq!((pairs(1), pairs(6), pairs(7)), (0, 15, 6));
}

#[test]
fn classes_add_up_to_the_whole() {
    let context = Context { classes: vec!["chat".into(), "batch".into()], ..Context::default() };
    let tallies = [tally(vec![class(300, 200, 100), class(700, 100, 900)], 1)];
    let variant = &summarise(&[("only", &tallies)], &context).variants[0];
    assert_eq!(variant.classes.iter().map(|class| class.counts.good).collect::<Vec<_>>(), [200, 100]);
    assert_eq!(variant.counts.good, 300);
    let fraction = |metrics: &Metrics| metrics.goodput_fraction.as_ref().unwrap().mean;
    close(fraction(&variant.classes[0].metrics), 2.0 / 3.0);
    close(fraction(&variant.metrics), 0.3);
    // The 99th percentile of both together is the slow class's.
    let p99 = variant.metrics.ttft.p99_replicated().unwrap().mean;
    assert!(p99 > 0.98 && variant.classes[0].metrics.ttft.p99.unwrap() < 0.2, "{p99}");
}

#[test]
fn nothing_to_compute_from_is_none() {
    let variant = &summarise(&[("idle", &[tally(vec![class(0, 0, 1)], 1)])], &context()).variants[0];
    assert!(variant.metrics.goodput_fraction.is_none() && variant.metrics.ttft.mean.is_none());
    assert_eq!((variant.metrics.ttft.p50, variant.metrics.goodput_rps.as_ref().unwrap().mean.to_bits()), (None, 0));
    let none = &summarise(&[("unrun", &[])], &context()).variants[0];
    assert!(none.metrics.goodput_rps.is_none() && none.label.overall().is_none());
}

#[test]
fn a_replication_without_answers_drops_out_of_quantile_pairs_only() {
    let base = runs([500, 600, 700]);
    let other = [base[0].clone(), tally(vec![class(1_000, 0, 200)], 2), base[2].clone()];
    let summary = summarise(&[("base", &base), ("other", &other)], &context());
    let by = |metric| summary.paired.iter().find(|pair| pair.metric == metric).unwrap().difference;
    close(by(PairedMetric::TtftP99).unwrap().mean, 0.0);
    close(by(PairedMetric::GoodputRps).unwrap().mean, -2.0);
}

#[test]
fn the_digest_folds_replications_and_variants_in_order() {
    let (one, other) = (runs([500, 600, 700]), runs([500, 600, 701]));
    let digest = |variants: &[(&str, &[Tally])]| summarise(variants, &context()).digest;
    assert_eq!(digest(&[("a", &one), ("b", &other)]), digest(&[("a", &one), ("b", &other)]));
    let swapped = [one[1].clone(), one[0].clone(), one[2].clone()];
    assert_ne!(digest(&[("a", &one)]), digest(&[("a", &swapped)]));
    assert_ne!(digest(&[("a", &one)]), digest(&[("a", &one), ("b", &other)]));
}

#[test]
#[should_panic(expected = "INV-1 (conservation)")]
fn a_lost_request_is_not_published() {
    let mut broken = class(1_000, 500, 200);
    broken.timed_out += 1;
    let _ = summarise(&[("only", &[tally(vec![broken], 1)])], &context());
}

#[test]
#[should_panic(expected = "INV-10")]
fn a_wrong_integral_is_not_published() {
    let mut broken = tally(vec![class(1_000, 500, 200)], 1);
    broken.residence += 1;
    let _ = summarise(&[("only", &[broken])], &context());
}

#[test]
fn a_variant_is_as_bad_as_half_of_its_replications() {
    let of = |labels: &[Label]| {
        LabelSummary { each: labels.iter().map(|label| (*label, Evidence::default())).collect() }.overall().unwrap()
    };
    assert_eq!(of(&[Stable, Stable, Collapsing]), Stable);
    assert_eq!(of(&[Stable, Saturated, Collapsing]), Saturated);
    assert_eq!(of(&[Stable, Collapsing]), Collapsing);
}

#[test]
fn recovery_is_timed_in_every_replication() {
    let at = |secs| Time::ZERO + Span::from_secs(secs);
    let context = Context { spikes: vec![Spike { start: at(20), end: at(30) }], ..context() };
    let variant = &summarise(&[("only", &runs([500, 600, 700]))], &context).variants[0];
    assert_eq!(variant.recovery[0].seconds.len(), 3);
    assert_eq!(variant.recovery[0].recovered(), 3, "{:?}", variant.recovery);
}

/// What nobody looked at is not 0 but absent.
#[test]
fn from_outside_only_what_clients_see_is_left() {
    let context = Context { classes: vec!["chat".into()], ..Context::default() };
    let seen = summarise(&[("a", &[tally(vec![full_class()], 1)])], &context).variants.remove(0);
    let outside = seen.clone().from_outside();
    assert!(
        outside.run_counts.is_none() && outside.run_metrics.utilisation.is_none() && outside.run_metrics.queue_len.is_none()
    );
    for metrics in [&outside.metrics, &outside.classes[0].metrics] {
        assert!(metrics.wait.mean.is_none() && metrics.wait_probability.is_none() && metrics.wasted_fraction.is_none());
        assert!(metrics.ttft.p50.is_some() && metrics.goodput_rps.is_some());
    }
    assert_eq!(outside.counts, seen.counts);
}

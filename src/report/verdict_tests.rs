//! Verdicts, literally.

use super::*;
use crate::journal::summary::fixtures::{class, tally};
use crate::journal::summary::{Context, Spike, summarise};
use crate::journal::{Series, Tally};
use crate::time::{Span, Time};

/// Variants by name, each with the good requests of its replications, out of 1,000.
fn summary(variants: &[(&str, &[u64])]) -> Summary {
    let context = Context { classes: vec!["chat".into()], ..Context::default() };
    let run = |good: &[u64]| -> Vec<Tally> { good.iter().map(|good| tally(vec![class(1_000, *good, 200)], *good)).collect() };
    let runs: Vec<Vec<Tally>> = variants.iter().map(|(_, good)| run(good)).collect();
    let named: Vec<(&str, &[Tally])> = variants.iter().zip(&runs).map(|((name, _), run)| (*name, &run[..])).collect();
    summarise(&named, &context)
}

#[test]
fn a_winner_is_named_with_its_lead() {
    let text = verdict(&summary(&[
        ("no_control", &[100, 120, 110]),
        ("seed_queue", &[300, 310, 290]),
        ("sized_queue", &[960, 970, 980]),
    ]));
    let expected = "\
sized_queue wins: 97.0 % of the offered requests are good (95 % interval 94.5 to 99.5), 67.0
  percentage points (62.7 to 71.3) more than seed_queue, and 86.0 percentage points (83.5 to 88.5)
  more than no_control, the baseline.
no_control, the baseline: 89.0 % are rejected, 11.0 % are good; TTFT p99 of those answered 298 ms.
Saturated: no_control (at the end 89.1 % get no answer, and 99.1 % of what it could serve is good),
  seed_queue (at the end 70.1 % get no answer, and 99.6 % of what it could serve is good).
Stable: sized_queue.
Saturated and collapsing describe the load: more was offered than was served. They do not question
  the model.
";
    assert_eq!(text, expected);
}

#[test]
fn what_cannot_be_told_apart_is_not_ranked() {
    let text = verdict(&summary(&[("base", &[500, 510, 490]), ("a", &[961, 969, 980]), ("b", &[960, 970, 979])]));
    let expected = "\
a and b cannot be told apart: at best 97.0 % of the offered requests are good (95 % interval 94.6 to
  99.4); they differ by +0.03 points (-0.25 to 0.32), and that interval holds 0, and 47.0 percentage
  points (42.7 to 51.3) more than base, the baseline.
";
    assert!(text.starts_with(expected), "{text}");
}

/// At the higher load every policy does worse: that must not count against it.
#[test]
fn a_sweep_is_ranked_value_by_value() {
    let text = verdict(&summary(&[
        ("base @ 60 %", &[500, 510, 490]),
        ("base @ 150 %", &[100, 110, 105]),
        ("a @ 60 %", &[961, 969, 980]),
        ("a @ 150 %", &[300, 305, 310]),
    ]));
    for part in [
        "At 60 %: \"a @ 60 %\" wins: 97.0 %",
        "At 150 %: \"a @ 150 %\" wins: 30.5 %",
        "At 150 %: \"base @ 150 %\", the baseline: 89.5 %",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let one = verdict(&summary(&[("base @ 1", &[500, 510]), ("base @ 2", &[700, 705])]));
    assert!(one.starts_with("\"base @ 2\" wins"), "{one}");
}

#[test]
fn equals_do_equally_well() {
    let text = verdict(&summary(&[("a", &[960, 970]), ("b", &[960, 970])]));
    assert!(text.starts_with("a and b do equally well: 96.5 % of the offered requests are good"), "{text}");
}

#[test]
fn one_replication_claims_no_winner() {
    let text = verdict(&summary(&[("a", &[960]), ("b", &[970])]));
    let expected = "\
b has the most good requests: 97.0 %, against 96.0 % of a. One replication gives no interval: the
  difference may be chance.
a, the baseline: 96.0 % are good, 4.0 % are rejected; TTFT p99 of those answered 298 ms.
Stable: a, b.
";
    assert_eq!(text, expected);
}

#[test]
fn a_single_variant_is_described() {
    assert_eq!(
        verdict(&summary(&[("only", &[960, 970])])),
        "only: 96.5 % of the offered requests are good (95 % interval 90.1 to 100.0).\nStable: only.\n"
    );
}

#[test]
fn what_the_upstream_failed_is_told_and_is_no_overload() {
    let context = Context { classes: vec!["chat".into()], ..Context::default() };
    let told = |failed: u64| {
        let mut class = class(1_000, 500, 200);
        class.rejected[crate::request::Reason::QueueFull as usize] -= failed;
        class.failed[crate::request::Cause::Server as usize] = failed;
        verdict(&summarise(&[("queue", &[tally(vec![class], 1)])], &context))
    };
    let (few, most) = (told(9), told(400));
    assert!(!few.contains("Failed by the upstream") && few.contains("more was offered than was served"), "{few}");
    assert!(most.contains("Failed by the upstream: queue (40.0 %: server).") && !most.contains("more was offered"), "{most}");
}

#[test]
fn without_requests_there_is_no_verdict() {
    let context = Context { classes: vec!["chat".into()], ..Context::default() };
    let text = verdict(&summarise(&[("idle", &[tally(vec![class(0, 0, 1)], 1)])], &context));
    assert_eq!(text, "Nothing was offered inside the measured window, so there is nothing to judge.\n");
    assert!(verdict(&summarise(&[], &context)).starts_with("Nothing was offered"));
}

#[test]
fn many_variants_are_named_not_explained() {
    let names: Vec<String> = (0..15).map(|i| format!("variant_number_{i}")).collect();
    let variants: Vec<(&str, &[u64])> = names.iter().map(|name| (name.as_str(), &[300, 310][..])).collect();
    let text = verdict(&summary(&variants));
    assert!(text.contains("\nSaturated: variant_number_0, variant_number_1, "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

/// A replication with a spike from 20 s to 30 s, after which every request is good again from 40 s on, or none. (One bad
/// request among twenty is within the 95 %, so it counts as back a bin earlier.)
fn spiked(back: bool) -> Tally {
    let mut spiked = tally(vec![class(1_000, 500, 200)], 1);
    let mut series = Series::over(Time::ZERO + Span::from_secs(100));
    for bin in 0..1_000 {
        series.offered[bin] = 1;
        let good = bin < 200 || back && bin >= 400;
        series.good[bin] = u32::from(good);
        series.answered[bin] = u32::from(good);
        series.completed[bin] = u32::from(good);
        series.e2e_s[bin] = f64::from(u32::from(good));
    }
    spiked.series = series;
    spiked
}

#[test]
fn a_storm_that_stays_is_told_from_one_that_passes() {
    let at = |secs| Time::ZERO + Span::from_secs(secs);
    let spikes = vec![Spike { start: at(20), end: at(30) }];
    let context = Context { classes: vec!["chat".into()], spikes, ..Context::default() };
    let (storm, calm) = ([spiked(false), spiked(false)], [spiked(true), spiked(true)]);
    let mixed = [spiked(true), spiked(false)];
    let text = verdict(&summarise(&[("storm", &storm), ("calm", &calm), ("mixed", &mixed)], &context));
    let expected = "\
storm, the baseline: 50.0 % are good, 50.0 % are rejected; TTFT p99 of those answered 298 ms.
Collapsing: storm (at the end 100.0 % get no answer, and 0.0 % of what it could serve is good),
  mixed (in 1 of 2 replications; on average at the end 50.0 % get no answer, and 50.0 % of what it
  could serve is good).
Stable: calm.
Saturated and collapsing describe the load: more was offered than was served. They do not question
  the model.
After the spike that ends at 30.0 s: storm does not come back; calm is back after 9.90 s; mixed
  comes back in 1 of 2 replications.
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn growth_is_given_as_the_reason_where_it_is() {
    let mut growing = tally(vec![class(2_000, 1_000, 200)], 1);
    let (mut open, mut rest) = (0, 0);
    for bin in 0..1_000 {
        growing.series.answered[bin] = growing.series.offered[bin];
        growing.series.e2e_s[bin] = f64::from(growing.series.offered[bin]) * bin as f64 / 10.0;
        rest += growing.series.offered[bin];
        // One of two stays: the backlog grows by half of what arrives.
        open += rest / 2;
        rest %= 2;
        growing.series.backlog[bin] = open;
    }
    let context = Context { classes: vec!["chat".into()], ..Context::default() };
    let text = verdict(&summarise(&[("open", &[growing])], &context));
    assert!(text.contains("Collapsing: open (its backlog grows by 50.0 % of what arrives)."), "{text}");
}

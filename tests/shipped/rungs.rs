//! The rungs of seed 002's rollout plan, as printed and as corrected: what each mechanism does, at a quarter of a day.
//!
//! Only what held for every one of eight seeds, by a wide margin, is asserted: the mechanisms, not who comes out best.

use plimsoll::journal::summary::{MeteredSummary, Summary, VariantSummary};
use plimsoll::report;
use plimsoll::request::{Cause, Reason};

use crate::{shipped, summary, variant};

/// Each rung as printed and as corrected, in the order of the rollout.
const RUNGS: [[&str; 2]; 4] = [
    ["seed 1: limiter", "fixed 1: limiter"],
    ["seed 2: + heavy lane", "fixed 2: + heavy lane"],
    ["seed 3: + breaker", "fixed 3: + breaker"],
    ["seed 4: + trimming", "fixed 4: + trimming"],
];

/// The provider's limit for a minute, and what a limiter may use of it with the seed's headroom of 15 %.
const PROVIDER_TOKENS: u64 = 30_000;
const LIMITER_TOKENS: u64 = 25_500;

fn metered(variant: &VariantSummary) -> &MeteredSummary {
    variant.metered.as_ref().expect("every rung stands in front of a metered API")
}

fn rejected(variant: &VariantSummary, reason: Reason) -> u64 {
    variant.counts.rejected[reason as usize]
}

#[test]
fn each_rung_of_the_adapter_does_what_its_mechanism_says() {
    let scenario = shipped("seed_adapter", &["run.duration=6h", "run.replications=4"]);
    let summary = summary(&scenario);
    let rungs = RUNGS.map(|pair| pair.map(|name| variant(&summary, name)));
    nothing_is_counted_where_nothing_is_set(variant(&summary, "none"));
    for (rung, [seed, fixed]) in rungs.iter().enumerate() {
        the_seeds_boundary_lets_more_through(seed, fixed);
        if rung == 0 {
            let (seeds, fixeds) = (metered(seed).counts.upstream_429, metered(fixed).counts.upstream_429);
            assert!(seeds > fixeds, "{seeds}, {fixeds}"); // with its lane, the seed starves what causes them
        }
        only_a_budget_that_is_kept_is_too_small_for_some(seed, fixed, rung == 3);
        assert!(metered(seed).counts.finalised < 10, "{}: its rule comes too late", seed.name);
        assert!(
            rung == 0 || metered(fixed).counts.finalised > metered(seed).counts.finalised,
            "{}: before its timeout",
            fixed.name
        );
        for variant in [seed, fixed] {
            let counts = metered(variant).counts;
            assert_eq!(counts.lane_acquisitions > 0, rung >= 1, "{}: the lane", variant.name);
            assert_eq!(counts.circuit_opens > 0, rung >= 2, "{}: the breaker", variant.name);
            assert_eq!(counts.trims > 0, rung >= 3, "{}: trimming", variant.name);
        }
    }
    for side in [0, 1] {
        let [_, without, breaker, trimming] = rungs.map(|pair| pair[side]);
        let failures = |variant: &VariantSummary| variant.counts.failed[Cause::Proxy as usize];
        assert!(3 * failures(breaker) < failures(without), "{}: {}", breaker.name, failures(breaker));
        let cut = |variant| metered(variant).counts.truncated;
        assert!(cut(trimming) > 3 * cut(breaker), "{}: {}, before {}", trimming.name, cut(trimming), cut(breaker));
        assert!(trimming.counts.degraded > 0);
    }
    let [learned, corrected] = rungs[3].map(|variant| metered(variant).multiplier_error.expect("there is a limiter"));
    assert!(learned > corrected, "answers that trimming cut teach the seed's multipliers: {learned}, {corrected}");
    the_report_sets_them_side_by_side(&summary);
}

/// Three slots and call timeouts: the provider's 429s are all that there is to count.
fn nothing_is_counted_where_nothing_is_set(none: &VariantSummary) {
    let metered = metered(none);
    let counts = metered.counts;
    assert!(counts.upstream_429 > 0 && metered.reservations.is_empty() && metered.multiplier_error.is_none());
    let never = [counts.trims, counts.truncated, counts.lane_acquisitions, counts.circuit_opens, counts.finalised];
    assert_eq!((never, none.counts.degraded), ([0; 5], 0));
}

/// Every call that waits at a window's end restores the whole budget for itself, so that even one larger than it goes out.
fn the_seeds_boundary_lets_more_through(seed: &VariantSummary, fixed: &VariantSummary) {
    let (seeds, fixeds) = (metered(seed), metered(fixed));
    assert!(seeds.reservation_max > 2 * PROVIDER_TOKENS, "{}: {}", seed.name, seeds.reservation_max);
    assert!(fixeds.reservation_max <= LIMITER_TOKENS, "{}: {}", fixed.name, fixeds.reservation_max);
    assert!(rejected(seed, Reason::UpstreamRate) > 0, "{}: three attempts are not always enough", seed.name);
}

/// What does not fit into a whole window is refused, unless it can be trimmed to it.
fn only_a_budget_that_is_kept_is_too_small_for_some(seed: &VariantSummary, fixed: &VariantSummary, trims: bool) {
    assert_eq!(rejected(seed, Reason::OverBudget), 0, "{}", seed.name);
    assert_eq!(rejected(fixed, Reason::OverBudget) == 0, trims, "{}", fixed.name);
}

/// One row for each rung, under the overview, within the width of the other tables.
fn the_report_sets_them_side_by_side(summary: &Summary) {
    let shown = report::text("seed_adapter", 1, None, summary);
    let table = shown.split("\n\n").find(|part| part.starts_with("in front of the metered API")).expect("the table is there");
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].ends_with("class chat, the lightest"), "{table}");
    let names: Vec<&str> = summary.variants.iter().map(|variant| variant.name.as_str()).collect();
    assert_eq!(rows.len(), 3 + names.len(), "{table}");
    assert!(rows[3..].iter().zip(names).all(|(row, name)| row.starts_with(name)), "no name is cut:\n{table}");
    assert!(shown.lines().all(|line| line.chars().count() <= report::format::WIDTH), "{shown}");
}

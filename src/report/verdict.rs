//! The verdict: what the figures say, in words, before any figure; and honest where they say nothing.
//!
//! The variants are ranked by their share of good requests among those offered. A variant *wins* where the interval of its
//! paired difference from the next one lies above 0; where it holds 0, the two cannot be told apart, and it says so. Each
//! interval is of its own comparison at 95 %: among many variants, one in twenty may look different by chance. What a sweep
//! has made is ranked value by value, each with its own baseline: a lower load is no better policy.

use super::format::{NONE, count, duration, hundredths, percent, points, range, says_something, tenths, wrap};
use crate::journal::summary::{LEVEL, Label, PairedMetric, Recovery, Summary, VariantSummary, groups};
use crate::stats::{Difference, Replicated};

/// Up to this many variants of one label each is explained, above it they are only named.
const EXPLAINED_MAX: usize = 3;

/// The verdict on a run, a paragraph a line.
#[must_use]
pub fn verdict(summary: &Summary) -> String {
    let groups = groups(&summary.variants);
    let mut paragraphs = Vec::new();
    for (at, group) in &groups {
        let at = if groups.len() > 1 { format!("At {at}: ") } else { String::new() };
        paragraphs.push(at.clone() + &ranking(group));
        paragraphs.extend(baseline(group).map(|text| at + &text));
    }
    if summary.variants.iter().any(|variant| variant.counts.offered > 0) {
        paragraphs.extend(Label::ALL.into_iter().rev().filter_map(|label| labelled(summary, label)));
    }
    paragraphs.extend(failures(summary));
    paragraphs.extend(overload(summary));
    paragraphs.extend(recoveries(summary));
    paragraphs.iter().map(|paragraph| wrap(paragraph) + "\n").collect()
}

fn ranking(group: &[&VariantSummary]) -> String {
    let mut ranked: Vec<(&VariantSummary, &Replicated)> =
        group.iter().filter_map(|variant| Some((*variant, variant.metrics.goodput_fraction.as_ref()?))).collect();
    // Stable: of equals, the one that the scenario names first.
    ranked.sort_by(|(_, a), (_, b)| b.mean.total_cmp(&a.mean));
    match ranked[..] {
        [] => "Nothing was offered inside the measured window, so there is nothing to judge.".to_owned(),
        [(only, share)] => {
            format!("{}: {} of the offered requests are good{}.", named(only), percent(share.mean), interval(share))
        }
        [best, next, ..] => comparison(group[0], best, next, &ranked),
    }
}

type Ranked<'a> = (&'a VariantSummary, &'a Replicated);

fn comparison(base: &VariantSummary, best: Ranked, next: Ranked, ranked: &[Ranked]) -> String {
    let good = format!("{} of the offered requests are good{}", percent(best.1.mean), interval(best.1));
    let Some(difference) = goodput_difference(next.0, best.0) else { return format!("{}: {good}.", named(best.0)) };
    let Some(bounds) = difference.interval else {
        return format!(
            "{} has the most good requests: {}, against {} of {}. One replication gives no interval: the difference may be chance.",
            named(best.0),
            percent(best.1.mean),
            percent(next.1.mean),
            named(next.0)
        );
    };
    if bounds.lo > 0.0 {
        return format!(
            "{} wins: {good}, {}{}.",
            named(best.0),
            more_than(next.0, &difference),
            over_baseline(base, best, next)
        );
    }
    let tied = tied_with(best, ranked);
    if bounds.hi <= 0.0 {
        return format!("{} do equally well: {good}{}.", list(&tied), over_baseline(base, best, next));
    }
    let (names, rest) = (list(&tied), if tied.len() > 2 { "; the next best differs" } else { "; they differ" });
    format!(
        "{names} cannot be told apart: at best {good}{rest} by {} ({}), and that interval holds 0{}.",
        points(difference.mean),
        range(bounds, 100.0, hundredths),
        over_baseline(base, best, next)
    )
}

/// The names of all variants whose difference from the best may be 0, the best first.
fn tied_with(best: Ranked, ranked: &[Ranked]) -> Vec<String> {
    let alike = |other: &&VariantSummary| {
        goodput_difference(other, best.0).and_then(|difference| difference.interval).is_some_and(|bounds| bounds.lo <= 0.0)
    };
    let others = ranked.iter().map(|(variant, _)| *variant).filter(|variant| variant.name != best.0.name);
    std::iter::once(best.0).chain(others.filter(alike)).map(named).collect()
}

/// How far the best is above the baseline, where that was not said already.
fn over_baseline(base: &VariantSummary, best: Ranked, next: Ranked) -> String {
    if base.name == best.0.name || base.name == next.0.name {
        return String::new();
    }
    goodput_difference(base, best.0).map_or(String::new(), |difference| match difference.interval {
        Some(bounds) if bounds.lo <= 0.0 => format!("; from {}, the baseline, it cannot be told apart either", named(base)),
        _ => format!(", and {}, the baseline", more_than(base, &difference)),
    })
}

fn more_than(other: &VariantSummary, difference: &Difference) -> String {
    let bounds = difference.interval.map_or(String::new(), |bounds| format!(" ({})", range(bounds, 100.0, hundredths)));
    format!("{} percentage points{bounds} more than {}", hundredths(100.0 * difference.mean), named(other))
}

fn goodput_difference(a: &VariantSummary, b: &VariantSummary) -> Option<Difference> {
    PairedMetric::GoodputFraction.difference(&a.metrics, &b.metrics)
}

fn interval(share: &Replicated) -> String {
    let bounds = share.interval(LEVEL).filter(says_something);
    bounds.map_or(String::new(), |bounds| format!(" (95 % interval {})", range(bounds, 100.0, tenths)))
}

/// What the first variant does: where its requests end, and how long the answered ones took.
fn baseline(group: &[&VariantSummary]) -> Option<String> {
    let [base, _, ..] = group else { return None };
    let counts = &base.counts;
    let ends = [
        (counts.good, "are good"),
        (counts.late, "are late"),
        (counts.degraded, "are cut short"),
        (counts.rejected_in_all(), "are rejected"),
        (counts.timed_out, "time out"),
        (counts.gave_up, "give up"),
        (counts.failed_in_all(), "fail"),
        (counts.in_flight, "are not over at the end"),
    ];
    let mut ends: Vec<(u64, &str)> = ends.into_iter().filter(|(n, _)| *n > 0).collect();
    // Stable: of equals, in the columns' order.
    ends.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let shares: Vec<String> =
        ends.iter().take(3).map(|(n, what)| format!("{} {what}", counts.share(*n).map_or(NONE.to_owned(), percent))).collect();
    let ttft = base.metrics.ttft.p99.map_or(String::new(), |p99| format!("; TTFT p99 of those answered {}", duration(p99)));
    (!shares.is_empty()).then(|| format!("{}, the baseline: {}{ttft}.", named(base), shares.join(", ")))
}

fn labelled(summary: &Summary, label: Label) -> Option<String> {
    let found: Vec<&VariantSummary> =
        summary.variants.iter().filter(|variant| variant.label.overall() == Some(label)).collect();
    let explain = found.len() <= EXPLAINED_MAX && label != Label::Stable;
    let each: Vec<String> = found
        .iter()
        .map(|variant| if explain { format!("{} ({})", named(variant), why(variant, label)) } else { in_some(variant, label) })
        .collect();
    let name = label.name();
    let heading = name[..1].to_uppercase() + &name[1..];
    (!each.is_empty()).then(|| format!("{heading}: {}.", each.join(", ")))
}

/// The name, and in how many replications where not in all.
fn in_some(variant: &VariantSummary, label: Label) -> String {
    let (times, all) = (variant.label.count(label), variant.label.each.len());
    if times == all { named(variant) } else { format!("{} in {times} of {all} replications", named(variant)) }
}

fn why(variant: &VariantSummary, label: Label) -> String {
    let (times, all) = (variant.label.count(label), variant.label.each.len());
    let mean = |of: fn(&crate::journal::summary::Evidence) -> Option<f64>| variant.label.mean(of).unwrap_or(0.0);
    let growing = variant.label.each.iter().filter(|(_, evidence)| evidence.growing).count();
    let lost = percent(mean(|evidence| Some(evidence.lost)));
    let reason = if 2 * growing >= all && label == Label::Collapsing {
        format!("its backlog grows by {} of what arrives", percent(mean(|evidence| Some(evidence.piling_up))))
    } else {
        let useful = percent(mean(|evidence| evidence.useful).min(1.0));
        format!("at the end {lost} get no answer, and {useful} of what it could serve is good")
    };
    if times == all { reason } else { format!("in {times} of {all} replications; on average {reason}") }
}

/// Share of failed requests from which they are told.
const FAILED: f64 = 0.01;

/// Requests that the upstream failed, where that is more than a few: neither a policy nor the load did that.
fn failures(summary: &Summary) -> Option<String> {
    let each = summary.variants.iter().filter_map(|variant| {
        let counts = &variant.counts;
        let share = counts.share(counts.failed_in_all()).filter(|share| *share >= FAILED)?;
        let causes: Vec<&str> = counts.failed_by_cause().map(|(cause, _)| cause.name()).collect();
        Some(format!("{} ({}: {})", named(variant), percent(share), causes.join(", ")))
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| format!("Failed by the upstream: {}.", each.join(", ")))
}

/// Whether its label is the load's doing: not where most of those that are not good were failed by the upstream.
fn is_overloaded(variant: &VariantSummary) -> bool {
    let counts = &variant.counts;
    let bad_upstream = 2 * counts.failed_in_all() > counts.offered - counts.good;
    variant.label.overall() > Some(Label::Stable) && !bad_upstream
}

/// What the labels do not say.
fn overload(summary: &Summary) -> Option<String> {
    let overloaded = summary.variants.iter().any(is_overloaded);
    let words = "Saturated and collapsing describe the load: more was offered than was served. They do not question the model.";
    overloaded.then(|| words.to_owned())
}

fn recoveries(summary: &Summary) -> Vec<String> {
    let spikes = summary.variants.first().map_or(0, |variant| variant.recovery.len());
    let of_spike = |which: usize| {
        let each = summary.variants.iter().filter_map(|variant| Some((variant, variant.recovery.get(which)?)));
        let each: Vec<String> = each.map(|(variant, recovery)| format!("{} {}", named(variant), recovered(recovery))).collect();
        let end = summary.variants[0].recovery[which].spike.end.as_secs_f64();
        format!("After the spike that ends at {}: {}.", duration(end), each.join("; "))
    };
    (0..spikes).map(of_spike).collect()
}

fn recovered(recovery: &Recovery) -> String {
    let (recovered, all) = (recovery.recovered(), recovery.seconds.len());
    match recovery.mean_s() {
        Some(secs) => format!("is back after {}", duration(secs)),
        None if recovered == 0 => "does not come back".to_owned(),
        None => format!("comes back in {} of {} replications", count(recovered as u64), count(all as u64)),
    }
}

/// The variant's name, in quotes where it is more than one plain word: names are written by people.
fn named(variant: &VariantSummary) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '.';
    if variant.name.chars().all(plain) { variant.name.clone() } else { format!("\"{}\"", variant.name) }
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;

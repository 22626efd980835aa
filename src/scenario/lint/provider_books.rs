//! The limiter's books against the provider's: what each takes when a call starts, and gives back or takes when it ends.
//!
//! | | the provider | the limiter |
//! |---|---|---|
//! | at the start | prompt and `max_tokens` | that, times the multiplier |
//! | less is used | keeps it (`reserve_and_settle`: gives it back) | gives it back (`settle`) |
//! | more is used | takes the rest at the end | has counted it since the start (`excess = "at_start"`) |
//!
//! Wherever the right side is the smaller one, calls that fit the window are refused (429). Silent where the upstream states
//! no limit.

use super::calls::{Kind, kinds, multiplier, provider_limit};
use super::reservation::whole;
use super::words::percent;
use super::{Finding, Level, round};
use crate::dist::Dist;
use crate::policy::{Excess, Limiter, Mode};
use crate::scenario::{Scenario, Variant};
use crate::units::Positive;
use crate::upstream::{LimiterSettings, TokenApiSettings, UpstreamSettings};
use crate::workload::ClassSettings;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(limiter) = variant.policy.limiter.as_ref().filter(|limiter| limiter.mode == Mode::Enforce) else { return };
    let UpstreamSettings::TokenApi(api) = &variant.upstream else { return };
    if provider_limit(variant).is_none() {
        return;
    }
    let mut add = |code, level, path: &str, message| found.push(Finding { code, level, path: path.to_owned(), message });
    if let Some(message) = gives_back(limiter, api, &variant.classes) {
        add("settle_unlike_provider", Level::Warning, "policy.limiter.settle", message);
    }
    if let Some(message) = learns_too_little(limiter, &variant.classes) {
        add("multiplier_below_admission", Level::Warning, "policy.limiter.multiplier_min", message);
    }
    if !takes_excess(api) {
        return;
    }
    if let Some(message) = billed_late(limiter, &variant.classes) {
        add("excess_billed_late", Level::Note, "policy.limiter.excess", message);
    }
    for (i, class) in variant.classes.iter().enumerate() {
        for kind in kinds(class) {
            if let Some(message) = beyond(limiter, class, &kind) {
                add("usage_over_reservation", Level::Note, &format!("class[{i}]"), message);
            }
        }
    }
}

fn takes_excess(api: &TokenApiSettings) -> bool {
    api.charge_excess || settles(api)
}

const fn settles(api: &TokenApiSettings) -> bool {
    matches!(api.limiter, LimiterSettings::ReserveAndSettle { .. })
}

/// Usage over estimate, in order; `None` where a call is billed its prompt and answer, which the estimate covers.
fn ratios(class: &ClassSettings, kind: &Kind) -> Option<Vec<f64>> {
    const SAMPLES: usize = 20_000;
    let stated = class.grounded_usage_ratio.as_ref().filter(|_| kind.grounded).or(class.usage_ratio.as_ref())?;
    let mut samples: Vec<f64> = (0..SAMPLES).map(|i| stated.sample(crate::rng::mix(0, i as u64))).collect();
    samples.sort_by(f64::total_cmp);
    Some(samples)
}

/// The largest but for one of a thousand.
fn largest(ratios: &[f64]) -> f64 {
    ratios[ratios.len() - ratios.len() / 1_000 - 1]
}

/// Share of the calls whose ratio is above `limit`.
fn above(ratios: &[f64], limit: f64) -> f64 {
    ratios.iter().filter(|ratio| **ratio > limit).count() as f64 / ratios.len() as f64
}

fn gives_back(limiter: &Limiter, api: &TokenApiSettings, classes: &[ClassSettings]) -> Option<String> {
    if !limiter.settle || settles(api) {
        return None;
    }
    let unused = |class: &&ClassSettings| {
        let answer = class.output.as_ref()?.mean();
        Some((f64::from(class.max_tokens.value()) - answer).max(0.0)).filter(|unused| *unused > 0.0)
    };
    let most = classes.iter().filter(|class| class.lengths.is_none() && covered(class));
    let most = most.max_by(|a, b| unused(a).unwrap_or(0.0).total_cmp(&unused(b).unwrap_or(0.0)))?;
    Some(format!(
        "what a call does not use goes back to the window when it ends, and this provider gives nothing back of what it took at \
         admission (only `reserve_and_settle` does): a call of class `{}` leaves {} of its {} answer tokens unused on average, which \
         the window offers to others and the provider does not have. It answers 429; `settle = false` keeps the same books",
        most.name,
        whole(unused(&most)?),
        most.max_tokens.value()
    ))
}

/// Whether every call of the class is billed its prompt and answer and no more.
fn covered(class: &ClassSettings) -> bool {
    kinds(class).iter().all(|kind| ratios(class, kind).is_none())
}

fn learns_too_little(limiter: &Limiter, classes: &[ClassSettings]) -> Option<String> {
    if limiter.multiplier_min.is_some_and(|least| least.value() >= 1.0) {
        return None;
    }
    let below = |class: &&ClassSettings| {
        let less = |kind: Kind| ratios(class, &kind).is_none_or(|ratios| above(&ratios, 1.0) < 0.1);
        class.lengths.is_none() && kinds(class).into_iter().any(less)
    };
    let first = classes.iter().find(below)?;
    Some(format!(
        "calls of class `{}` use less than their estimate, so its multiplier is learned below 1 and less than the estimate is \
         reserved; the provider takes the whole estimate at admission, whatever is used, and answers 429 to calls that fit the \
         window: `multiplier_min = 1`",
        first.name
    ))
}

fn billed_late(limiter: &Limiter, classes: &[ClassSettings]) -> Option<String> {
    if limiter.excess == Excess::AtEnd {
        return None;
    }
    let most = |class: &ClassSettings| {
        kinds(class).iter().filter_map(|kind| ratios(class, kind)).map(|ratios| largest(&ratios)).fold(0.0, f64::max)
    };
    let (class, ratio) = classes.iter().map(|class| (class, most(class))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    (ratio > 1.0).then(|| {
        format!(
            "a call of class `{}` may be billed {} times its estimate, all beyond the estimate when it ends; the window counts what \
             is reserved for that from the call's start, and has forgotten it 60 s later. Calls that run for longer and end together \
             are billed out of windows that were given to others: `excess = \"at_end\"` holds it back until they end",
            class.name,
            round(ratio)
        )
    })
}

/// Usage beyond what the first multiplier reserves, bounded as the settings bound it.
fn beyond(limiter: &Limiter, class: &ClassSettings, kind: &Kind) -> Option<String> {
    let ratios = ratios(class, kind)?;
    let bounds =
        (limiter.multiplier_min.map_or(0.0, Positive::value), limiter.multiplier_max.map_or(f64::INFINITY, Positive::value));
    let first = multiplier(limiter, kind).max(bounds.0).min(bounds.1);
    let share = above(&ratios, first);
    if share <= 0.0 {
        return None;
    }
    let estimate = class.input.as_ref().map_or(1.0, Dist::mean) + f64::from(class.max_tokens.value());
    let debt = (largest(&ratios) - first) * estimate;
    Some(format!(
        "{} of the {} calls of class `{}` are billed more than {} times their estimate, which is what is reserved at first, and in \
         one of a thousand {} tokens more: no reservation covers them. The provider takes them at the end all the same, and refuses \
         whoever comes next (429)",
        percent(share),
        kind.name(),
        class.name,
        round(first),
        whole(debt)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    /// Prompts of 1000 tokens, answers of 600 of at most 1000.
    fn found(class: &str, api: &str, limiter: &str) -> Vec<(&'static str, String)> {
        let text = format!(
            "schema = 1\narrival = {{ process = 'poisson', rate = 0.1 }}\npolicy.limiter = {{ {limiter} }}\n\
             upstream = {{ kind = 'token_api', tokens_per_minute = 30_000{api} }}\n[[class]]\nname = 'a'\nmax_tokens = 1000\n\
             input = {{ dist = 'fixed', value = 1000 }}\noutput = {{ dist = 'fixed', value = 600 }}\n{class}\n"
        );
        let ours = ["settle_unlike_provider", "multiplier_below_admission", "excess_billed_late", "usage_over_reservation"];
        let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
        lints.into_iter().filter(|lint| ours.contains(&lint.code)).map(|lint| (lint.code, lint.message)).collect()
    }

    const SETTLES: &str = ", limiter = { kind = 'reserve_and_settle' }";
    const GROUNDED: &str =
        "grounded = 1\ngrounded_usage_ratio = { dist = 'histogram', edges = [1, 2, 4], weights = [0.9, 0.1] }";

    #[test]
    fn books_that_are_kept_alike_are_passed_over() {
        assert!(found("", SETTLES, "multiplier_min = 1").is_empty());
        assert!(found("", "", "multiplier_min = 1, settle = false").is_empty());
        assert!(found("", "", "mode = 'off'").is_empty());
        let all = "settle = false, multiplier_min = 4, excess = 'at_end', tpm_limit = 60_000";
        assert!(found(GROUNDED, "", all).is_empty());
    }

    #[test]
    fn what_the_provider_keeps_is_told() {
        let said = found("", "", "multiplier_min = 1");
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].0, "settle_unlike_provider");
        assert!(said[0].1.contains("leaves 400 of its 1000 answer tokens unused"), "{said:?}");
    }

    #[test]
    fn a_multiplier_below_one_is_told() {
        let said = found("", SETTLES, "");
        assert_eq!(said.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["multiplier_below_admission"], "{said:?}");
        assert!(found(GROUNDED, SETTLES, "excess = 'at_end', multiplier_max = 9").iter().all(|(code, _)| *code != said[0].0));
    }

    #[test]
    fn usage_beyond_what_is_reserved_is_told() {
        // Prior of a grounded call without a vantage policy: 2. A tenth lies between 2 and 4.
        let said = found(GROUNDED, SETTLES, "");
        let codes: Vec<_> = said.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, ["excess_billed_late", "usage_over_reservation"], "{said:?}");
        assert!(said[0].1.starts_with("a call of class `a` may be billed 3.98 times"), "{said:?}");
        assert!(said[1].1.contains("of the grounded NONE calls of class `a` are billed more than 2 times"), "{said:?}");
        let none = ", charge_excess = false";
        assert!(found(GROUNDED, none, "settle = false").is_empty(), "what is not billed is no debt");
    }
}

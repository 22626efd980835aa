//! What is offered against what is paid for: tokens a minute at the provider, reservations a minute at the limiter, requests
//! at the gateway's own rate limit. At the stated rates, without their changes over time and without retries.

use super::calls::{Kind, budget, kinds, multiplier, provider_limit};
use super::estimate::offered_rps;
use super::reservation::whole;
use super::words::{percent, rate};
use super::{Finding, Level, round};
use crate::dist::Dist;
use crate::policy::{Limiter, Mode, RateLimit};
use crate::scenario::{Scenario, Variant};
use crate::units::Positive;
use crate::workload::ClassSettings;

/// Reservations above this share of the budget make calls wait for each other's windows.
const TIGHT: f64 = 0.9;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(rates) = offered_rps(variant) else { return };
    if let Some(message) = provider_limit(variant).and_then(|limit| billed(&variant.classes, &rates, limit)) {
        add(found, "tokens_over_limit", Level::Warning, "upstream.tokens_per_minute", message);
    }
    let policy = &variant.policy;
    if let Some(limiter) = policy.limiter.as_ref().filter(|limiter| limiter.mode != Mode::Off)
        && let Some((level, message)) = reserved(limiter, &variant.classes, &rates)
    {
        add(found, "reservations_fill_budget", level, "policy.limiter", message);
    }
    if let Some(limit) = policy.rate_limit.as_ref().filter(|limit| limit.mode == Mode::Enforce)
        && let Some(message) = refused(limit, rates.iter().sum())
    {
        add(found, "rate_limit_below_load", Level::Warning, "policy.rate_limit.requests", message);
    }
}

/// Tokens a minute that are offered to a metered provider, as it bills them, without retries, and those that it serves; `None`
/// where either is not stated.
#[must_use]
pub fn offered_tokens(variant: &Variant) -> Option<(f64, f64)> {
    let (rates, limit) = (offered_rps(variant)?, provider_limit(variant)?);
    Some((tokens(&variant.classes, &rates, usage)?, limit))
}

fn add(found: &mut Vec<Finding>, code: &'static str, level: Level, path: &str, message: String) {
    found.push(Finding { code, level, path: path.to_owned(), message });
}

/// Tokens a minute of all classes, `of` being those of one call of a kind; `None` where lengths come from a file.
fn tokens(classes: &[ClassSettings], rates: &[f64], of: impl Fn(&ClassSettings, &Kind) -> f64) -> Option<f64> {
    let mut a_second = 0.0;
    for (class, rps) in classes.iter().zip(rates).filter(|(_, rps)| **rps > 0.0) {
        if class.lengths.is_some() {
            return None;
        }
        a_second += rps * kinds(class).iter().map(|kind| kind.share * of(class, kind)).sum::<f64>();
    }
    Some(60.0 * a_second)
}

/// Mean of what a gateway estimates: prompt and `max_tokens`.
fn estimate(class: &ClassSettings) -> f64 {
    class.input.as_ref().map_or(1.0, Dist::mean) + f64::from(class.max_tokens.value())
}

/// Mean of what the provider bills for a call that nothing cuts.
fn usage(class: &ClassSettings, kind: &Kind) -> f64 {
    let grounded = class.grounded_usage_ratio.as_ref().filter(|_| kind.grounded);
    grounded.or(class.usage_ratio.as_ref()).map_or_else(
        || {
            let answer = class.output.as_ref().map_or(1.0, Dist::mean);
            class.input.as_ref().map_or(1.0, Dist::mean) + answer.min(f64::from(class.max_tokens.value()))
        },
        |ratio| ratio.mean() * estimate(class),
    )
}

fn billed(classes: &[ClassSettings], rates: &[f64], limit: f64) -> Option<String> {
    let offered = tokens(classes, rates, usage)?;
    (offered > limit).then(|| {
        format!(
            "{} tokens a minute are offered, without retries, and the provider serves {}: {} times as many as it can, for as long as \
             the load lasts",
            whole(offered),
            whole(limit),
            round(offered / limit)
        )
    })
}

/// First reservations, as far as a single one can go.
fn reserved(limiter: &Limiter, classes: &[ClassSettings], rates: &[f64]) -> Option<(Level, String)> {
    let budget = budget(limiter);
    let reservation = |class: &ClassSettings, kind: &Kind| {
        let least = limiter.multiplier_min.map_or(0.0, Positive::value);
        let most = limiter.multiplier_max.map_or(f64::INFINITY, Positive::value);
        (estimate(class) * multiplier(limiter, kind).max(least).min(most)).min(budget)
    };
    let wanted = tokens(classes, rates, reservation)?;
    let share = wanted / budget;
    if share <= TIGHT {
        return None;
    }
    // What comes back may be all that is needed.
    let (level, settles) = if limiter.settle {
        (Level::Note, "what a call does not use comes back only when it ends")
    } else {
        (if share > 1.0 { Level::Warning } else { Level::Note }, "without `settle` nothing comes back before the window does")
    };
    let message = format!(
        "at their first multipliers calls reserve {} tokens a minute, {} the limiter's budget of {}: they wait for budget, and \
         {settles}",
        whole(wanted),
        if share < 2.0 { format!("{} of", percent(share)) } else { format!("{} times", round(share)) },
        whole(budget)
    );
    Some((level, message))
}

fn refused(limit: &RateLimit, offered_rps: f64) -> Option<String> {
    let allowed_rps = f64::from(limit.requests.value()) / limit.per.as_secs_f64();
    (offered_rps > allowed_rps).then(|| {
        format!(
            "{} come, without retries, and the rate limit lets {} through: it refuses {} of them",
            rate(offered_rps, "request"),
            rate(allowed_rps, "request"),
            percent(1.0 - allowed_rps / offered_rps)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    /// Half a request a second, each of 1000 prompt tokens and an answer of 600 of at most 1000.
    fn found(code: &str, class: &str, policy: &str) -> Option<(Level, String)> {
        let text = format!(
            "schema = 1\narrival = {{ process = 'poisson', rate = 0.5 }}\npolicy = {{ {policy} }}\n\
             upstream = {{ kind = 'token_api', tokens_per_minute = 40_000 }}\n[[class]]\nname = 'a'\nmax_tokens = 1000\n\
             input = {{ dist = 'fixed', value = 1000 }}\noutput = {{ dist = 'fixed', value = 600 }}\n{class}\n"
        );
        let text = if class.starts_with("max_tokens") { text.replacen("max_tokens = 1000\n", "", 1) } else { text };
        let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
        lints.into_iter().find(|lint| lint.code == code).map(|lint| (lint.level, lint.message))
    }

    #[test]
    fn tokens_that_nobody_serves_are_told() {
        let found = |class: &str| found("tokens_over_limit", class, "").map(|(_, message)| message);
        assert_eq!(
            found("").unwrap(),
            "48000 tokens a minute are offered, without retries, and the provider serves 40000: 1.2 times as many as it can, for as \
             long as the load lasts"
        );
        // An answer is cut at 300, and 1300 x 30 = 39000.
        assert_eq!(found("max_tokens = 300"), None);
        assert!(found("usage_ratio = { dist = 'fixed', value = 0.75 }").unwrap().starts_with("45000 tokens"));
        assert_eq!(found("usage_ratio = { dist = 'fixed', value = 0.6 }"), None);
        // Half at 0.6 and half at 3 times 2000 tokens: 30 x 3600.
        let grounded = "usage_ratio = { dist = 'fixed', value = 0.6 }\ngrounded = 0.5\n\
                        grounded_usage_ratio = { dist = 'fixed', value = 3 }";
        assert!(found(grounded).unwrap().starts_with("108000 tokens"));
        assert_eq!(found("[[class]]\nname = 'b'\narrival = { process = 'closed_loop', clients = 5 }"), None);
    }

    #[test]
    fn reservations_that_fill_the_budget_are_told() {
        let found = |policy: &str| found("reservations_fill_budget", "", policy);
        // 30 x 2000 x 1.1 = 66000.
        let (level, message) = found("limiter = { tpm_limit = 80_000, headroom = 0.1, settle = false }").unwrap();
        assert_eq!(
            message,
            "at their first multipliers calls reserve 66000 tokens a minute, 91.7 % of the limiter's budget of 72000: they wait for \
             budget, and without `settle` nothing comes back before the window does"
        );
        assert_eq!(level, Level::Note);
        assert_eq!(found("limiter = { tpm_limit = 60_000, headroom = 0, settle = false }").unwrap().0, Level::Warning);
        assert_eq!(found("limiter = { tpm_limit = 60_000, headroom = 0 }").unwrap().0, Level::Note);
        assert!(
            found("limiter = { tpm_limit = 30_000, headroom = 0 }")
                .unwrap()
                .1
                .contains("minute, 2.2 times the limiter's budget")
        );
        assert_eq!(found("limiter = { tpm_limit = 90_000, headroom = 0 }"), None);
        // 30 x 2000 x 0.9 = 54000 is 90 % of 60000, and no more.
        assert_eq!(found("limiter = { tpm_limit = 60_000, headroom = 0, multiplier_max = 0.9 }"), None);
    }

    #[test]
    fn a_rate_limit_below_the_load_is_told() {
        let found = |policy: &str| found("rate_limit_below_load", "", policy);
        assert_eq!(
            found("rate_limit = { requests = 12 }").unwrap().1,
            "30 requests a minute come, without retries, and the rate limit lets 12 requests a minute through: it refuses 60 % of \
             them"
        );
        assert_eq!(found("rate_limit = { requests = 30 }"), None);
        assert_eq!(found("rate_limit = { requests = 12, mode = 'observe' }"), None);
    }
}

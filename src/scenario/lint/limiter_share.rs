//! The limiter's budget against what the provider states: limits that were copied from another account, or typed wrong.

use super::calls::{budget, provider_limit};
use super::reservation::whole;
use super::words::percent;
use super::{Finding, Level};
use crate::policy::{Limiter, Mode};
use crate::scenario::{Scenario, Variant};

/// A budget below this share of the provider's limit leaves more unused than a headroom is for.
const ENOUGH: f64 = 0.8;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(limiter) = variant.policy.limiter.as_ref().filter(|limiter| limiter.mode != Mode::Off) else { return };
    let Some(limit) = provider_limit(variant) else { return };
    found.extend(compare(limiter, limit));
}

fn compare(limiter: &Limiter, limit: f64) -> Option<Finding> {
    let budget = budget(limiter);
    let share = budget / limit;
    let ours = format!(
        "a budget of {} tokens a minute ({} less a headroom of {})",
        whole(budget),
        limiter.tpm_limit.value(),
        limiter.headroom
    );
    let (code, level, message) = if share > 1.0 {
        let message = format!("{ours} is more than the provider allows ({}): it answers 429", whole(limit));
        ("limiter_above_provider", Level::Warning, message)
    } else if share < ENOUGH {
        let message = format!("{ours} leaves {} of the provider's limit ({}) unused", percent(1.0 - share), whole(limit));
        ("limiter_below_provider", Level::Note, message)
    } else {
        return None;
    };
    Some(Finding { code, level, path: "policy.limiter.tpm_limit".to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    #[test]
    fn a_budget_is_told_where_it_is_far_from_the_providers_limit() {
        let said = |limit| compare(&Limiter::default(), limit).map(|finding| (finding.code, finding.level, finding.message));
        let (code, level, message) = said(60_000.0).unwrap();
        assert_eq!((code, level), ("limiter_below_provider", Level::Note));
        assert_eq!(
            message,
            "a budget of 25500 tokens a minute (30000 less a headroom of 0.15) leaves 57.5 % of the provider's limit (60000) unused"
        );
        // 25500 / 0.8 = 31875.
        assert_eq!((said(31_875.0), said(30_000.0), said(25_500.0)), (None, None, None));
        assert!(said(31_876.0).is_some());
        let (code, level, message) = said(25_000.0).unwrap();
        assert_eq!((code, level), ("limiter_above_provider", Level::Warning));
        assert!(message.ends_with("is more than the provider allows (25000): it answers 429"), "{message}");
    }

    #[test]
    fn only_a_stated_limit_is_compared() {
        let found = |limit: &str, mode: &str| {
            let text = format!(
                "schema = 1\narrival = {{ process = 'poisson', rate = 1 }}\npolicy.limiter = {{ mode = '{mode}' }}\n\
                 class = [{{ name = 'a' }}]\nupstream = {{ kind = 'token_api'{limit} }}\n"
            );
            let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
            lints.iter().any(|lint| lint.code == "limiter_below_provider")
        };
        assert!(found(", tokens_per_minute = 90_000", "enforce"));
        assert!(!found("", "enforce") && !found(", tokens_per_minute = 90_000", "off"));
    }
}

//! A class's largest reservation against the budget of a window, and kinds of call that have no prior.

use super::calls::{Kind, capacity, kinds, largest_input, multiplier, prior};
use super::{Finding, Level, round};
use crate::policy::{Limiter, Mode, Window};
use crate::scenario::{Scenario, Variant};

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(limiter) = variant.policy.limiter.as_ref().filter(|limiter| limiter.mode != Mode::Off) else { return };
    for (i, class) in variant.classes.iter().enumerate() {
        let input = largest_input(class);
        for kind in kinds(class) {
            if let Some(message) = too_large(limiter, &class.name, &kind, input, class.max_tokens.value()) {
                let path = format!("class[{i}].max_tokens");
                found.push(Finding { code: "reservation_over_budget", level: Level::Warning, path, message });
            }
            if let Some(message) = without_prior(limiter, &class.name, &kind) {
                let path = "policy.limiter.priors".to_owned();
                found.push(Finding { code: "class_without_prior", level: Level::Note, path, message });
            }
        }
    }
}

fn too_large(limiter: &Limiter, class: &str, kind: &Kind, input: (f64, &str), max_tokens: u32) -> Option<String> {
    let (budget, multiplier) = (capacity(limiter), multiplier(limiter, kind));
    let reservation = (input.0 + f64::from(max_tokens)) * multiplier;
    if reservation <= budget {
        return None;
    }
    let trimmed = libm::floor(budget / multiplier - input.0);
    let least = limiter.min_output.value();
    let becomes = if limiter.auto_trim && trimmed >= f64::from(least) {
        format!("all of it lets it have an answer of only {} tokens", whole(trimmed))
    } else if limiter.auto_trim {
        format!("no answer of {least} tokens fits beside its prompt, so it is refused (`over_budget`)")
    } else {
        "without `auto_trim` it is refused (`over_budget`)".to_owned()
    };
    Some(format!(
        "{} {} call of class `{class}` reserves {} ({} + {max_tokens}) x {} = {} tokens, and {} {}: {becomes}",
        if kind.grounded { "a" } else { "an" },
        kind.name(),
        input.1,
        whole(input.0),
        round(multiplier),
        whole(reservation),
        if limiter.window == Window::Gcra { "the burst is" } else { "a window has" },
        whole(budget),
    ))
}

fn without_prior(limiter: &Limiter, class: &str, kind: &Kind) -> Option<String> {
    if prior(limiter, kind).is_some() {
        return None;
    }
    let learns = if limiter.unknown_learns { "until it has learned better" } else { "for good: it never learns" };
    Some(format!(
        "{} calls of class `{class}` have no prior: each reserves {} times its estimate (`unknown_prior`) {learns}",
        kind.name(),
        limiter.unknown_prior
    ))
}

/// Tokens to the token: people compare them with limits.
pub(super) fn whole(tokens: f64) -> String {
    format!("{:.0}", libm::floor(tokens))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Vantage;
    use crate::scenario::lint::lints;

    const HEAVY: Kind = Kind { grounded: true, vantage: Vantage::AlsOnly, share: 1.0 };

    #[test]
    fn a_reservation_above_a_whole_window_is_told() {
        let limiter = Limiter::default();
        let said = |limiter: &Limiter, input, max| too_large(limiter, "search", &HEAVY, (input, "at most"), max);
        assert_eq!(said(&limiter, 4_200.0, 6_000), None); // exactly the budget
        assert_eq!(
            said(&limiter, 5_000.0, 6_000).unwrap(),
            "a grounded ALS_ONLY call of class `search` reserves at most (5000 + 6000) x 2.5 = 27500 tokens, and a window has 25500: \
             all of it lets it have an answer of only 5200 tokens"
        );
        assert!(said(&limiter, 9_800.0, 6_000).unwrap().contains("no answer of 500 tokens fits beside its prompt"));
        let gcra = Limiter { window: Window::Gcra, ..limiter.clone() };
        assert!(said(&gcra, 200.0, 1_600).unwrap().contains("= 4500 tokens, and the burst is 4250: all of it lets it have"));
        assert_eq!(said(&gcra, 100.0, 1_600), None);
        let plain = Limiter { auto_trim: false, ..limiter };
        assert!(said(&plain, 5_000.0, 6_000).unwrap().ends_with("without `auto_trim` it is refused (`over_budget`)"));
    }

    #[test]
    fn both_are_found_in_a_scenario() {
        let text = "schema = 1\narrival = { process = 'poisson', rate = 1 }\n[policy.limiter]\npriors = []\n[upstream]\nkind = 'station'\n\
                    servers = 1\nservice = { dist = 'fixed', value = '1s' }\n[[class]]\nname = 'a'\nmax_tokens = 6000\n\
                    input = { dist = 'uniform', min = 100, max = 14000 }\n";
        let lints = lints(&Scenario::parse("a.toml", text, &[]).unwrap());
        let message = |code: &str| lints.iter().find(|lint| lint.code == code).map(|lint| lint.message.clone()).unwrap();
        assert!(message("reservation_over_budget").contains("at most (14000 + 6000) x 1.5 = 30000 tokens"));
        assert_eq!(
            message("class_without_prior"),
            "ungrounded NONE calls of class `a` have no prior: each reserves 1.5 times its estimate (`unknown_prior`) until it has \
             learned better"
        );
    }
}

//! What a limiter lets through in one minute against what the provider allows: a window that comes back whole lets twice its
//! budget through around its boundary, a bucket its burst and a minute's rate. Silent where the upstream states no limit.

use super::calls::{budget, provider_limit};
use super::reservation::whole;
use super::{Finding, Level, round};
use crate::policy::{Boundary, Limiter, Mode, Window};
use crate::scenario::{Scenario, Variant};

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(limiter) = variant.policy.limiter.as_ref().filter(|limiter| limiter.mode != Mode::Off) else { return };
    if let Some(message) = provider_limit(variant).and_then(|limit| over(limiter, limit)) {
        let path = "policy.limiter.window".to_owned();
        found.push(Finding { code: "window_over_limit", level: Level::Warning, path, message });
    }
}

fn over(limiter: &Limiter, limit: f64) -> Option<String> {
    let budget = budget(limiter);
    let (most, how) = match limiter.window {
        Window::LazyFixed | Window::Calendar => {
            let twice = "just before its boundary and just after it";
            (
                2.0 * budget,
                format!(
                    "a window that comes back whole lets 2 x {} = {} tokens through {twice}",
                    whole(budget),
                    whole(2.0 * budget)
                ),
            )
        }
        Window::Gcra => {
            // Default: a sixth of the budget, as the settings say.
            let burst = limiter.burst.map_or_else(|| libm::floor(budget / 6.0), |burst| f64::from(burst.value()));
            let sum = format!("{} + 60 s x {} a second = {}", whole(burst), round(budget / 60.0), whole(burst + budget));
            (burst + budget, format!("burst and rate let {sum} tokens through in a minute"))
        }
        // Its budget in any minute, which `limiter_above_provider` compares.
        Window::SlidingLog => return None,
    };
    if most <= limit {
        return None;
    }
    let restores = limiter.boundary == Boundary::Seed && matches!(limiter.window, Window::LazyFixed | Window::Calendar);
    let seed = if restores {
        "; with `boundary = \"seed\"` every call that waits there restores the whole budget for itself, so ten of them let through \
         ten times as much"
    } else {
        ""
    };
    let times = round(most / limit);
    Some(format!("{how}, {times} times what the provider allows in a minute ({}): it answers 429{seed}", whole(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;
    use crate::units::{Count, Fraction};

    #[test]
    fn a_fixed_window_lets_twice_its_budget_through() {
        let limiter = Limiter::default();
        assert_eq!(
            over(&limiter, 30_000.0).unwrap(),
            "a window that comes back whole lets 2 x 25500 = 51000 tokens through just before its boundary and just after it, 1.7 \
             times what the provider allows in a minute (30000): it answers 429"
        );
        let half = Limiter { headroom: Fraction::new(0.5).unwrap(), ..limiter.clone() };
        assert_eq!(over(&half, 30_000.0), None);
        let seed = Limiter { boundary: Boundary::Seed, ..half };
        assert_eq!(over(&seed, 30_000.0), None);
        assert!(over(&seed, 29_999.0).unwrap().contains("restores the whole budget for itself"));
    }

    #[test]
    fn a_bucket_lets_its_burst_and_a_minutes_rate_through() {
        let gcra = |burst| Limiter { window: Window::Gcra, burst: Count::new(burst), ..Limiter::default() };
        assert_eq!(over(&gcra(0), 30_000.0), None); // 4250 + 25500 = 29750
        assert_eq!(
            over(&gcra(10_000), 30_000.0).unwrap(),
            "burst and rate let 10000 + 60 s x 425 a second = 35500 tokens through in a minute, 1.18 times what the provider \
             allows in a minute (30000): it answers 429"
        );
    }

    #[test]
    fn it_speaks_only_of_a_provider_that_states_a_limit() {
        let found = |upstream: &str| {
            let text = format!(
                "schema = 1\narrival = {{ process = 'poisson', rate = 1 }}\npolicy.limiter = {{}}\nclass = [{{ name = 'a' }}]\n\
                 [upstream]\n{upstream}\n"
            );
            let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
            lints.iter().any(|lint| lint.code == "window_over_limit")
        };
        assert!(found("kind = 'token_api'\ntokens_per_minute = 50999"));
        assert!(!found("kind = 'token_api'\ntokens_per_minute = 51000"));
        assert!(!found("kind = 'token_api'"));
        assert!(!found("kind = 'vllm'\npreset = 'llama-3.1-8b-h100'"));
    }
}

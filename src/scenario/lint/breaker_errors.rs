//! Breaker threshold against the base error rate: how often breakers open on healthy traffic, and what that costs.
//!
//! With calls at rate r through one proxy and a share e of them failing, n errors in all take n / (r e); n in a row take
//! (1 - e^n) / ((1 - e) e^n) calls (Feller, "An introduction to probability theory", vol. 1, XIII.7). Then the breaker is
//! open for its cooldown, in which no call goes that way: it is open for cooldown / (time to open + cooldown).
//!
//! Each country and mode has a breaker of its own; one sentence names the worst of them and the sum over all.

use super::calls::{kinds, proxies, proxy_keys};
use super::estimate::offered_rps;
use super::words::{lasting, often, percent, rate};
use super::{Finding, Level};
use crate::policy::{Breaker, Mode, Trip};
use crate::request::{Country, ProxyMode};
use crate::scenario::{Scenario, Variant};
use crate::upstream::Quality;

/// A healthy proxy that is open for less than this is worth a note only.
const MUCH: f64 = 0.01;
/// Fewer openings a second than this, over all proxies, are not worth a line: one a year.
const RARE: f64 = 1.0 / (365.0 * 86_400.0);

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(breaker) = variant.policy.breaker.as_ref().filter(|breaker| breaker.mode != Mode::Off) else { return };
    let pools = pools(variant).unwrap_or_default();
    if let Some((open, message)) = opens(breaker, &pools) {
        let level = if open >= MUCH { Level::Warning } else { Level::Note };
        found.push(Finding { code: "breaker_opens_on_health", level, path: "policy.breaker.threshold".to_owned(), message });
    }
}

/// The proxies of one country and mode, while they are up.
#[derive(Copy, Clone, Debug)]
struct Pool {
    country: Country,
    mode: ProxyMode,
    /// Calls a second.
    rate: f64,
    /// Share of them that fail.
    errors: f64,
}

/// Every pool that is used; `None` where the load or the proxies are not stated.
fn pools(variant: &Variant) -> Option<Vec<Pool>> {
    let settings = proxies(variant)?;
    let mut pools: Vec<Pool> = Vec::new();
    for (class, rps) in variant.classes.iter().zip(offered_rps(variant)?) {
        let proxied: f64 = kinds(class).iter().filter(|kind| kind.vantage.uses_proxy()).map(|kind| kind.share).sum();
        for (country, mode, share) in proxy_keys(class) {
            let rate = rps * proxied * share;
            if let Some(pool) = pools.iter_mut().find(|pool| (pool.country, pool.mode) == (country, mode)) {
                pool.rate += rate;
            } else {
                let errors = Quality::resolve(settings, country, mode).error_rate;
                pools.push(Pool { country, mode, rate, errors });
            }
        }
    }
    pools.retain(|pool| pool.rate > 0.0 && pool.errors > 0.0);
    Some(pools)
}

/// Seconds until a pool's breaker opens; `None` where plain errors do not open it.
fn to_open_s(breaker: &Breaker, pool: &Pool) -> Option<f64> {
    let threshold = f64::from(breaker.threshold.value());
    let calls = match breaker.trip {
        Trip::Cumulative => threshold / pool.errors,
        Trip::Consecutive => {
            let all_fail = libm::pow(pool.errors, threshold);
            if pool.errors >= 1.0 { threshold } else { (1.0 - all_fail) / ((1.0 - pool.errors) * all_fail) }
        }
        // A rate well below its threshold opens by accident only, and one above it for a reason.
        Trip::Rate => return None,
    };
    Some(calls / pool.rate).filter(|seconds| seconds.is_finite())
}

/// The largest share of time that any breaker is open, and the sentence; `None` where they open less than once a year.
fn opens(breaker: &Breaker, pools: &[Pool]) -> Option<(f64, String)> {
    let cooldown_s = breaker.cooldown.as_secs_f64();
    let timed: Vec<(f64, &Pool)> = pools.iter().filter_map(|pool| Some((to_open_s(breaker, pool)?, pool))).collect();
    let openings: f64 = timed.iter().map(|(to_open_s, _)| 1.0 / (to_open_s + cooldown_s)).sum();
    let (soonest_s, worst) = *timed.iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
    if openings < RARE {
        return None;
    }
    let open = cooldown_s / (soonest_s + cooldown_s);
    let how = if breaker.trip == Trip::Consecutive { "in a row" } else { "in all" };
    let sum = match timed.len() {
        1 => often(openings),
        count => format!("over all {count} pools {}", often(openings)),
    };
    let message = format!(
        "with {} through {}/{} and {} errors, {} errors {how} take {}, and then its breaker is open for {}: healthy proxies are shut \
         {} of the time; {sum}",
        rate(worst.rate, "call"),
        worst.country,
        worst.mode.name(),
        percent(worst.errors),
        breaker.threshold.value(),
        lasting(soonest_s),
        lasting(cooldown_s),
        percent(open),
    );
    Some((open, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Settings;
    use crate::scenario::lint::lints;

    fn pool(rate: f64, errors: f64) -> Pool {
        Pool { country: Country::default(), mode: ProxyMode::Rotating, rate, errors }
    }

    #[test]
    fn the_seeds_two_errors_shut_a_healthy_proxy() {
        let seed = Settings::seed_adapter().breaker.unwrap();
        // 2 / (4/9 x 0.005) = 900 s until it opens, then 600 s: 600 of 1500.
        let (open, message) = opens(&seed, &[pool(4.0 / 9.0, 0.005)]).unwrap();
        assert!((open - 0.4).abs() < 1e-12);
        assert_eq!(
            message,
            "with 26.7 calls a minute through US/rotating and 0.5 % errors, 2 errors in all take 15 min, and then its breaker is open \
             for 10 min: healthy proxies are shut 40 % of the time; 57.6 openings a day"
        );
        // The other one opens every 100 + 600 s: it is the worst, and 123.4 + 57.6 openings a day are their sum.
        let both = opens(&seed, &[pool(4.0 / 9.0, 0.005), pool(1.0, 0.02)]).unwrap().1;
        assert!(
            both.contains("2 % errors, 2 errors in all take 100 s") && both.ends_with("all 2 pools 181 openings a day"),
            "{both}"
        );
        assert_eq!(opens(&seed, &[]), None);
    }

    /// Two failures in a row of calls that fail half of the time take six calls (Feller's formula for coins).
    #[test]
    fn errors_in_a_row_are_rarer() {
        let breaker = Breaker { trip: Trip::Consecutive, ..Breaker::default() };
        let (open, message) = opens(&breaker, &[pool(1.0, 0.5)]).unwrap();
        assert!((open - 600.0 / 606.0).abs() < 1e-12 && message.contains("2 errors in a row take 6 s"), "{message}");
        assert!(opens(&breaker, &[pool(0.1, 0.005)]).unwrap().0 < MUCH);
        assert_eq!(opens(&Breaker::default(), &[pool(1.0, 0.5)]), None, "a rate decides by itself");
        assert!(opens(&breaker, &[pool(1.0, 1.0)]).unwrap().1.contains("100 % errors, 2 errors in a row take 2 s"));
    }

    /// 1 / 0.0125^2 + 1 / 0.0125 = 6480 calls: at 6480 a year, less 600 s of cooldown, one opening takes a little over a year.
    #[test]
    fn what_happens_less_than_once_a_year_is_not_told() {
        let breaker = Breaker { trip: Trip::Consecutive, ..Breaker::default() };
        let yearly = pool(6_480.0 * RARE, 0.0125);
        assert_eq!(opens(&breaker, &[yearly]), None);
        assert!(opens(&breaker, &[yearly, yearly]).unwrap().1.ends_with("over all 2 pools one opening in 183 days"));
    }

    #[test]
    fn a_breaker_has_one_line_and_a_pools_own_error_rate_counts() {
        let text = "schema = 1\narrival = { process = 'poisson', rate = 1 }\npolicy.breaker = { trip = 'cumulative' }\n\
                    upstream = { kind = 'token_api', proxy = { pool = [{ country = 'DE', quality = { error_rate = 0.2 } }] } }\n\
                    [[class]]\nname = 'a'\nvantage_policy = { PROXY_ONLY = 1 }\ncountry = [{ country = 'US' }, { country = 'DE' }]\n";
        let found = lints(&Scenario::parse("a.toml", text, &[]).unwrap());
        let found: Vec<&str> =
            found.iter().filter(|lint| lint.code == "breaker_opens_on_health").map(|lint| lint.message.as_str()).collect();
        assert!(found.len() == 1 && found[0].contains("DE/rotating and 20 % errors, 2 errors in all take 20 s"), "{found:?}");
    }
}

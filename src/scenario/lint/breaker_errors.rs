//! Breaker threshold against the base error rate: how often a breaker opens on healthy traffic, and what that costs.
//!
//! With calls at rate r through one proxy and a share e of them failing, n errors in all take n / (r e); n in a row take
//! (1 - e^n) / ((1 - e) e^n) calls (Feller, "An introduction to probability theory", vol. 1, XIII.7). Then the breaker is
//! open for its cooldown, in which no call goes that way: it is open for cooldown / (time to open + cooldown).

use std::collections::BTreeMap;

use super::calls::{kinds, proxy_keys, stated_error_rate};
use super::estimate::offered_rps;
use super::{Finding, Level, round};
use crate::policy::{Breaker, Mode, Trip};
use crate::scenario::{Scenario, Variant};

/// Share of failing calls where the scenario states none.
const ASSUMED: f64 = 0.005;
/// A healthy proxy that is open for less than this is worth a note only.
const MUCH: f64 = 0.01;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(breaker) = variant.policy.breaker.as_ref().filter(|breaker| breaker.mode != Mode::Off) else { return };
    for ((country, mode), rate) in rates(variant).unwrap_or_default() {
        let stated = stated_error_rate(variant, &mode);
        if let Some((open, message)) = opens(breaker, &format!("{country}/{mode}"), rate, stated) {
            let level = if open >= MUCH { Level::Warning } else { Level::Note };
            let path = "policy.breaker.threshold".to_owned();
            found.push(Finding { code: "breaker_opens_on_health", level, path, message });
        }
    }
}

/// Calls a second through each proxy, by country and mode.
fn rates(variant: &Variant) -> Option<BTreeMap<(String, String), f64>> {
    let mut rates = BTreeMap::new();
    for (class, rps) in variant.classes.iter().zip(offered_rps(variant)?) {
        let proxied: f64 = kinds(class).iter().filter(|kind| kind.vantage.uses_proxy()).map(|kind| kind.share).sum();
        for (country, mode, share) in proxy_keys(class) {
            *rates.entry((country, mode)).or_insert(0.0) += rps * proxied * share;
        }
    }
    rates.retain(|_, rate| *rate > 0.0);
    Some(rates)
}

/// The share of time that the breaker is open, and the sentence; `None` where errors in plain numbers do not open it.
fn opens(breaker: &Breaker, key: &str, rate: f64, stated: Option<f64>) -> Option<(f64, String)> {
    let errors = stated.unwrap_or(ASSUMED);
    let threshold = breaker.threshold.value();
    let (calls, what) = match breaker.trip {
        Trip::Cumulative => (f64::from(threshold) / errors, format!("{threshold} errors in all")),
        Trip::Consecutive => {
            let all_fail = libm::pow(errors, f64::from(threshold));
            ((1.0 - all_fail) / ((1.0 - errors) * all_fail), format!("{threshold} errors in a row"))
        }
        // A rate well below its threshold opens by accident only, and one above it for a reason.
        Trip::Rate => return None,
    };
    let (to_open_s, cooldown_s) = (calls / rate, breaker.cooldown.as_secs_f64());
    if errors <= 0.0 || !to_open_s.is_finite() {
        return None;
    }
    let (cycle_s, whence) =
        (to_open_s + cooldown_s, if stated.is_some() { "" } else { " (assumed: the scenario states none)" });
    let open = cooldown_s / cycle_s;
    let message = format!(
        "with {} calls a second through {key} and {} % errors{whence}, {what} take {} s, and then it is open for {} s: a healthy \
         proxy is shut {} % of the time, {} openings a day",
        round(rate),
        round(errors * 100.0),
        round(to_open_s),
        round(cooldown_s),
        round(open * 100.0),
        round(86_400.0 / cycle_s),
    );
    Some((open, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Settings;

    #[test]
    fn the_seeds_two_errors_shut_a_healthy_proxy() {
        let seed = Settings::seed_adapter().breaker.unwrap();
        // 2 / (4/9 x 0.005) = 900 s until it opens, then 600 s: 600 of 1500.
        let (open, message) = opens(&seed, "US/rotating", 4.0 / 9.0, None).unwrap();
        assert!((open - 0.4).abs() < 1e-12);
        assert_eq!(
            message,
            "with 0.444 calls a second through US/rotating and 0.5 % errors (assumed: the scenario states none), 2 errors in all \
             take 900 s, and then it is open for 600 s: a healthy proxy is shut 40 % of the time, 57.6 openings a day"
        );
        let stated = opens(&seed, "DE/backbone", 1.0, Some(0.02)).unwrap().1;
        assert!(stated.contains("and 2 % errors, 2 errors in all take 100 s"), "{stated}");
        assert_eq!(opens(&seed, "US/rotating", 1.0, Some(0.0)), None);
    }

    /// Two failures in a row of calls that fail half of the time take six calls (Feller's formula for coins).
    #[test]
    fn errors_in_a_row_are_rarer() {
        let breaker = Breaker { trip: Trip::Consecutive, ..Breaker::default() };
        let (open, message) = opens(&breaker, "US/rotating", 1.0, Some(0.5)).unwrap();
        assert!((open - 600.0 / 606.0).abs() < 1e-12 && message.contains("2 errors in a row take 6 s"), "{message}");
        assert!(opens(&breaker, "US/rotating", 0.1, None).unwrap().0 < MUCH);
        assert_eq!(opens(&Breaker::default(), "US/rotating", 1.0, None), None, "a rate decides by itself");
    }
}

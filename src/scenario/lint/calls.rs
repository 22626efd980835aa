//! How a class calls a metered API: the shares of its requests by kind of call, and what they reserve.

use serde_json::Value;

use crate::dist::{Dist, TokenDist};
use crate::policy::{Limiter, Window};
use crate::request::{Country, ProxyMode, Vantage};
use crate::scenario::Variant;
use crate::upstream::{ProxySettings, UpstreamSettings};
use crate::workload::ClassSettings;

/// A kind of call, and how much of a class is of it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Kind {
    /// Whether it is grounded.
    pub grounded: bool,
    /// Its vantage policy.
    pub vantage: Vantage,
    /// Share of the class's requests.
    pub share: f64,
}

impl Kind {
    /// The name in sentences: `grounded ALS_ONLY`.
    pub(super) fn name(&self) -> String {
        format!("{} {}", if self.grounded { "grounded" } else { "ungrounded" }, self.vantage.name())
    }

    /// Whether it goes to the heavy lane (seed 002, section 2).
    pub(super) const fn is_heavy(&self) -> bool {
        self.grounded && matches!(self.vantage, Vantage::AlsOnly | Vantage::AlsPlusProxy)
    }
}

/// The kinds of call that a class makes. Read from the class as it is written, so that a class that says nothing of them
/// (in front of a server of one's own) makes plain calls.
pub(super) fn kinds(class: &ClassSettings) -> Vec<Kind> {
    let written = serde_json::to_value(class).unwrap_or_default();
    let grounded = written["grounded"].as_f64().unwrap_or(0.0).clamp(0.0, 1.0);
    let vantages = vantages(&written["vantage_policy"]);
    let kind = |grounded: bool, of: f64| {
        vantages.iter().map(move |(vantage, share)| Kind { grounded, vantage: *vantage, share: of * share })
    };
    kind(true, grounded).chain(kind(false, 1.0 - grounded)).filter(|kind| kind.share > 0.0).collect()
}

/// Vantage policies with their shares, from a table of weights.
fn vantages(weights: &Value) -> Vec<(Vantage, f64)> {
    let weight =
        |vantage: &Vantage| weights.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(vantage.name()))?.1.as_f64();
    let weighed: Vec<(Vantage, f64)> =
        Vantage::ALL.into_iter().map(|vantage| (vantage, weight(&vantage).unwrap_or(0.0))).collect();
    let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
    if total <= 0.0 {
        return vec![(Vantage::None, 1.0)];
    }
    weighed.into_iter().map(|(vantage, weight)| (vantage, weight / total)).collect()
}

/// Where a class's proxies stand and how they are chosen, with shares.
pub(super) fn proxy_keys(class: &ClassSettings) -> Vec<(Country, ProxyMode, f64)> {
    let countries = class.country.iter().map(|entry| (entry.country, entry.weight.value()));
    let modes = class.proxy_mode.unwrap_or_default().all().map(|(weight, mode)| (mode, weight));
    let modes = shares(modes.into_iter().filter(|(_, weight)| *weight > 0.0).collect(), ProxyMode::default());
    let countries = shares(countries.collect(), Country::default());
    let of_country = |(country, share): (Country, f64)| modes.iter().map(move |(mode, of)| (country, *mode, share * of));
    countries.into_iter().flat_map(of_country).collect()
}

/// Weights as shares; all for `default` where there are none.
fn shares<T>(weights: Vec<(T, f64)>, default: T) -> Vec<(T, f64)> {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    if total <= 0.0 {
        return vec![(default, 1.0)];
    }
    weights.into_iter().map(|(one, weight)| (one, weight / total)).collect()
}

/// Whether any call of this class goes through a proxy.
pub(super) fn uses_proxy(class: &ClassSettings) -> bool {
    kinds(class).iter().any(|kind| kind.vantage.uses_proxy())
}

/// The proxies between gateway and upstream, where there are any.
pub(super) fn proxies(variant: &Variant) -> Option<&ProxySettings> {
    let UpstreamSettings::TokenApi(api) = &variant.upstream else { return None };
    api.proxy.as_deref()
}

/// What the provider allows, tokens a minute, where the upstream is one that says so.
pub(super) fn provider_limit(variant: &Variant) -> Option<f64> {
    let UpstreamSettings::TokenApi(api) = &variant.upstream else { return None };
    api.tokens_per_minute.map(|limit| f64::from(limit.value()))
}

/// The first multiplier of a kind of call; `None` where it has no prior.
pub(super) fn prior(limiter: &Limiter, kind: &Kind) -> Option<f64> {
    let own = limiter.priors.iter().find(|prior| prior.grounded == kind.grounded && prior.vantage_policy == kind.vantage);
    own.map(|prior| prior.multiplier.value())
}

/// The same, or what calls without one get.
pub(super) fn multiplier(limiter: &Limiter, kind: &Kind) -> f64 {
    prior(limiter, kind).unwrap_or_else(|| limiter.unknown_prior.value())
}

/// Tokens of a whole window, as the policy counts them.
pub(super) fn budget(limiter: &Limiter) -> f64 {
    libm::floor(f64::from(limiter.tpm_limit.value()) * (1.0 - limiter.headroom.value()))
}

/// The most tokens that are ever left at once: a whole window, or the burst of `gcra`.
pub(super) fn capacity(limiter: &Limiter) -> f64 {
    // Default: a sixth of the budget, as the settings say.
    let burst = || limiter.burst.map_or_else(|| libm::floor(budget(limiter) / 6.0).max(1.0), |burst| f64::from(burst.value()));
    if limiter.window == Window::Gcra { burst() } else { budget(limiter) }
}

/// The largest prompt to count with, tokens, and how to say it: the largest there is, or one of a thousand.
pub(super) fn largest_input(class: &ClassSettings) -> (f64, &'static str) {
    const LARGEST: &str = "at most";
    match class.input.as_ref() {
        None => (1.0, LARGEST),
        Some(Dist::Fixed { value }) => (value.value(), LARGEST),
        Some(Dist::Uniform { max, .. } | Dist::Normal { max, .. } | Dist::Lognormal { max: Some(max), .. }) => {
            (max.value(), LARGEST)
        }
        Some(Dist::Histogram { edges, .. }) => (edges.last().map_or(1.0, |edge| edge.value()), LARGEST),
        Some(dist) => (of_a_thousand(dist), "in one of a thousand"),
    }
}

/// The 99.9th percentile: the rank of a fixed sample.
fn of_a_thousand(dist: &TokenDist) -> f64 {
    const SAMPLES: usize = 20_000;
    let mut samples: Vec<f64> = (0..SAMPLES).map(|i| dist.sample(crate::rng::mix(0, i as u64))).collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES - SAMPLES / 1_000]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_shares() {
        let shares = vantages(&serde_json::json!({ "ALS_ONLY": 3, "none": 1 }));
        assert_eq!(
            shares,
            [(Vantage::AlsOnly, 0.75), (Vantage::AlsPlusProxy, 0.0), (Vantage::ProxyOnly, 0.0), (Vantage::None, 0.25)]
        );
        assert_eq!(vantages(&Value::Null), [(Vantage::None, 1.0)]);
    }

    #[test]
    fn a_class_that_says_nothing_makes_plain_calls_by_the_seeds_default_proxy() {
        let text = "schema = 1\narrival = { process = 'poisson', rate = 1 }\nclass = [{ name = 'a' }]\n[upstream]\nkind = 'station'\n\
                    servers = 1\nservice = { dist = 'fixed', value = '1s' }\n";
        let variant = crate::scenario::Scenario::parse("a.toml", text, &[]).unwrap().variants.remove(0);
        let class = &variant.classes[0];
        assert_eq!(kinds(class), [Kind { grounded: false, vantage: Vantage::None, share: 1.0 }]);
        assert_eq!(proxy_keys(class), [(Country::default(), ProxyMode::Rotating, 1.0)]);
        assert_eq!((proxies(&variant), provider_limit(&variant), uses_proxy(class)), (None, None, false));
        assert_eq!(largest_input(class), (1.0, "at most"));
    }

    #[test]
    fn the_seeds_table_of_multipliers_is_found() {
        let limiter = Limiter::default();
        let kind = |grounded, vantage| Kind { grounded, vantage, share: 1.0 };
        assert_eq!(prior(&limiter, &kind(true, Vantage::None)), Some(2.0));
        assert_eq!(prior(&limiter, &kind(false, Vantage::ProxyOnly)), Some(1.3));
        let none = Limiter { priors: vec![], ..limiter };
        assert_eq!((prior(&none, &kind(true, Vantage::None)), multiplier(&none, &kind(true, Vantage::None))), (None, 1.5));
        assert!((budget(&none) - 25_500.0).abs() < 1e-9);
        assert!(kind(true, Vantage::AlsPlusProxy).is_heavy() && !kind(true, Vantage::ProxyOnly).is_heavy());
    }
}

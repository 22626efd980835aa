//! Settings without effect: a queue in front of no slots, graduated rejection that nothing is ever counted for, a breaker
//! without proxies, a gate on signals that never say anything.

use super::calls::{proxies, uses_proxy};
use super::{Finding, Level};
use crate::policy::{Breaker, Mode, OnTimeout, Trip};
use crate::scenario::{Scenario, Variant};
use crate::upstream::UpstreamSettings;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let policy = &variant.policy;
    if policy.queue.as_ref().is_some_and(|queue| queue.mode != Mode::Off) && variant.slots().is_none() {
        let message = "nothing ever waits in this queue: without `policy.concurrency` every request goes through at once";
        add(found, "queue_without_slots", "policy.queue", message);
    }
    let abandons = policy
        .timeout
        .as_ref()
        .is_some_and(|timeout| timeout.mode == Mode::Enforce && timeout.on_timeout == OnTimeout::Abandon);
    if policy.graduated.as_ref().is_some_and(|graduated| graduated.mode != Mode::Off) && !abandons {
        let message = "nothing is ever abandoned, so nothing is ever counted: `policy.timeout` with `on_timeout = \"abandon\"` is what \
                       leaves calls running";
        add(found, "graduated_without_abandoning", "policy.graduated", message);
    }
    if let Some(message) =
        policy.breaker.as_ref().filter(|breaker| breaker.mode != Mode::Off).and_then(|breaker| sees_nothing(breaker, variant))
    {
        note(found, "breaker_without_proxies", "policy.breaker", message);
    }
    let metered = matches!(variant.upstream, UpstreamSettings::TokenApi(_));
    if metered && policy.signals.as_ref().is_some_and(|signals| signals.mode != Mode::Off) {
        let message = "this gate never refuses: a metered API tells nobody how many requests wait or how full its cache is";
        note(found, "signals_of_metered_api", "policy.signals", message);
    }
}

/// Why a breaker never opens, if it does not.
fn sees_nothing(breaker: &Breaker, variant: &Variant) -> Option<&'static str> {
    if !variant.classes.iter().any(uses_proxy) {
        return Some("this breaker never opens: no class calls through a proxy (`vantage_policy`)");
    }
    let by_time = breaker.trip == Trip::Rate && breaker.slow_call.is_some();
    (proxies(variant).is_none() && !by_time)
        .then_some("this breaker never opens: the upstream has no proxies (`upstream.proxy`) whose connections could fail")
}

fn note(found: &mut Vec<Finding>, code: &'static str, path: &str, message: &str) {
    found.push(Finding { code, level: Level::Note, path: path.to_owned(), message: message.to_owned() });
}

fn add(found: &mut Vec<Finding>, code: &'static str, path: &str, message: &str) {
    found.push(Finding { code, level: Level::Warning, path: path.to_owned(), message: message.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    fn found(class: &str, upstream: &str, policy: &str) -> Vec<&'static str> {
        let text = format!(
            "schema = 1\narrival = {{ process = 'poisson', rate = 1 }}\nclass = [{{ name = 'a'{class} }}]\npolicy = {{ {policy} }}\n\
             upstream = {{ {upstream} }}\n"
        );
        let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
        lints
            .iter()
            .filter(|lint| lint.path == "policy.breaker" || lint.path == "policy.signals")
            .map(|lint| lint.code)
            .collect()
    }

    #[test]
    fn a_breaker_without_proxies_never_opens() {
        let (by_proxy, api) = (", vantage_policy = { PROXY_ONLY = 1 }", "kind = 'token_api'");
        let with_proxies = "kind = 'token_api', proxy = {}";
        assert_eq!(found("", with_proxies, "breaker = {}"), ["breaker_without_proxies"]);
        assert_eq!(found(by_proxy, api, "breaker = {}"), ["breaker_without_proxies"]);
        assert!(found(by_proxy, with_proxies, "breaker = {}").is_empty());
        assert!(found("", api, "breaker = { mode = 'off' }").is_empty());
        assert!(found(by_proxy, api, "breaker = { slow_call = '5s' }").is_empty(), "slow calls open it");
    }

    #[test]
    fn a_metered_api_has_no_signals() {
        assert_eq!(found("", "kind = 'token_api'", "signals = {}"), ["signals_of_metered_api"]);
        assert!(found("", "kind = 'vllm', preset = 'llama-3.1-8b-h100'", "signals = {}").is_empty());
    }
}

//! Call timeouts against the breaker's times: results of calls from before an opening that come in after it.

use super::calls::uses_proxy;
use super::{Finding, Level, less};
use crate::policy::{Breaker, CallTimeout, Mode, Recovery, Timeouts};
use crate::scenario::{Scenario, Variant};
use crate::time::Span;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let policy = &variant.policy;
    let Some(breaker) = policy.breaker.as_ref().filter(|breaker| breaker.mode != Mode::Off) else { return };
    let Some((longest, key)) = longest(variant) else { return };
    let mut add = |code, level, path: &str, message| {
        found.push(Finding { code, level, path: path.to_owned(), message });
    };
    if let Some((level, message)) = late(breaker, longest, &key) {
        add("cooldown_below_call", level, "policy.breaker.cooldown", message);
    }
    if breaker.recovery == Recovery::HalfOpen && breaker.probe_lease < longest {
        let message = format!(
            "a probe may take {longest} (`{key}`), and is given up after {}: a slow success is never counted",
            breaker.probe_lease
        );
        add("probe_lease_below_call", Level::Warning, "policy.breaker.probe_lease", message);
    }
}

/// How long a call through a proxy may take, and the setting that says so: the call timeout, or else the patience of the most
/// patient client, where every client's is known and its going ends the call.
fn longest(variant: &Variant) -> Option<(Span, String)> {
    let policy = &variant.policy;
    if let Some(timeout) = policy.call_timeout.as_ref().filter(|timeout| timeout.mode == Mode::Enforce) {
        let (longest, key) = longest_by_proxy(timeout);
        return Some((longest, format!("policy.call_timeout.{key}")));
    }
    // A gateway's own timeout that is shorter ends the call before the client does; one that abandons it leaves it running.
    if policy.timeout.as_ref().is_some_and(|timeout| timeout.mode == Mode::Enforce) {
        return None;
    }
    let proxied = variant.classes.iter().enumerate().filter(|(_, class)| uses_proxy(class));
    let patience = proxied.map(|(i, class)| Some((class.timeout?.total?, format!("class[{i}].timeout.total"))));
    patience.collect::<Option<Vec<_>>>()?.into_iter().max_by_key(|(total, _)| *total)
}

/// The longest call timeout of calls through a proxy, and its key.
fn longest_by_proxy(timeout: &CallTimeout) -> (Span, &'static str) {
    let grounded = match timeout.timeouts {
        Timeouts::Env => (timeout.grounded_proxy, "grounded_proxy"),
        Timeouts::Code => (timeout.grounded_direct, "grounded_direct"),
    };
    let ungrounded = match timeout.timeouts {
        Timeouts::Env => (timeout.ungrounded, "ungrounded"),
        Timeouts::Code => (timeout.grounded_proxy, "grounded_proxy"),
    };
    if ungrounded.0 > grounded.0 { ungrounded } else { grounded }
}

/// With generations such errors count as nothing: good to know, no harm.
fn late(breaker: &Breaker, longest: Span, key: &str) -> Option<(Level, String)> {
    if breaker.cooldown >= longest {
        return None;
    }
    let (level, becomes) = match (breaker.restart_on_late_error, breaker.recovery) {
        (true, Recovery::Close) => (
            Level::Warning,
            "each that comes in before a call has asked again starts the cooldown again, and each after that counts against a proxy \
             that has just been let back",
        ),
        (true, Recovery::HalfOpen) => (
            Level::Warning,
            "each that comes in before a call has asked again starts the cooldown again; among probes they count as nothing",
        ),
        (false, Recovery::Close) => {
            (Level::Note, "they come in after it has closed and count as nothing: what they say of the proxy is never learned")
        }
        (false, Recovery::HalfOpen) => (
            Level::Note,
            "they come in among the probes and count as nothing, which is what they say of the proxy as it is by then",
        ),
    };
    let message = format!(
        "the cooldown of {} is over before a call from before the opening has to be (`{key}` is {longest}): \
         errors of such calls come in for up to {} after it; {becomes}",
        breaker.cooldown,
        less(longest, breaker.cooldown)
    );
    Some((level, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    fn found(policy: &str) -> Vec<(String, String)> {
        found_of("{ name = 'a' }", policy)
    }

    fn found_of(class: &str, policy: &str) -> Vec<(String, String)> {
        let text = format!(
            "schema = 1\narrival = {{ process = 'poisson', rate = 1 }}\nclass = [{class}]\n[upstream]\nkind = 'station'\n\
             servers = 1\nservice = {{ dist = 'fixed', value = '1s' }}\n[policy]\n{policy}\n"
        );
        let codes = ["cooldown_below_call", "probe_lease_below_call"];
        let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
        lints.into_iter().filter(|lint| codes.contains(&lint.code)).map(|lint| (lint.path, lint.message)).collect()
    }

    #[test]
    fn a_cooldown_shorter_than_a_call_is_told() {
        assert_eq!(found("breaker = {}\ncall_timeout = {}"), []);
        assert_eq!(found("breaker = { cooldown = '60s' }"), [], "nothing says how long a call may take");
        let [(path, message)] = &found("breaker = { cooldown = '60s' }\ncall_timeout = {}")[..] else { panic!("one lint") };
        assert_eq!(path, "policy.breaker.cooldown");
        assert_eq!(
            message,
            "the cooldown of 1m is over before a call from before the opening has to be (`policy.call_timeout.grounded_proxy` is 5m): \
             errors of such calls come in for up to 4m after it; they come in among the probes and count as nothing, which is what \
             they say of the proxy as it is by then"
        );
        let seed = found("breaker = { cooldown = '60s', restart_on_late_error = true }\ncall_timeout = { timeouts = 'code' }");
        assert!(
            seed[0].1.contains("`policy.call_timeout.grounded_direct` is 8m")
                && seed[0].1.ends_with("starts the cooldown again; among probes they count as nothing")
        );
        let closes = "breaker = { cooldown = '60s', recovery = 'close', restart_on_late_error = true }\ncall_timeout = {}";
        assert!(found(closes)[0].1.ends_with("counts against a proxy that has just been let back"));
        let plain = closes.replace(", restart_on_late_error = true", "");
        assert!(found(&plain)[0].1.contains("they come in after it has closed and count as nothing"));
    }

    #[test]
    fn without_call_timeouts_the_client_ends_a_call() {
        let class = "{ name = 'a', vantage_policy = { PROXY_ONLY = 1 }, timeout = { total = '15m' } }";
        let breaker = "breaker = { cooldown = '60s', probe_lease = '15m' }";
        let [(_, message)] = &found_of(class, breaker)[..] else { panic!("one lint") };
        assert!(message.contains("(`class[0].timeout.total` is 15m): errors of such calls come in for up to 14m"), "{message}");
        assert_eq!(found_of(class, "breaker = { cooldown = '15m', probe_lease = '15m' }"), []);
        assert_eq!(found_of(&class.replace("timeout = { total = '15m' }", "weight = 1"), breaker), []);
        assert_eq!(found_of(&class.replace("vantage_policy = { PROXY_ONLY = 1 },", ""), breaker), []);
        assert_eq!(found_of(class, "breaker = { cooldown = '60s' }\ntimeout = {}"), []);
        let patient = format!("{class}, {}", class.replace("'a'", "'b'").replace("15m", "20m"));
        assert!(found_of(&patient, breaker)[0].1.contains("`class[1].timeout.total` is 20m"));
    }

    #[test]
    fn a_probe_needs_the_time_of_a_call() {
        let lease = found("breaker = { probe_lease = '100s' }\ncall_timeout = {}");
        assert_eq!(lease.len(), 1);
        assert!(lease[0].1.starts_with("a probe may take 5m") && lease[0].0.ends_with("probe_lease"), "{lease:?}");
        assert_eq!(found("breaker = { probe_lease = '100s', recovery = 'close' }\ncall_timeout = {}"), []);
    }
}

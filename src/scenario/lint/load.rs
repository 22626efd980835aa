//! Offered load against capacity: utilisation in all and by class, and how long one waits for it (Erlang C).

use super::erlang::erlang_c;
use super::estimate::{ServiceEstimate, offered_rps, service_estimate};
use super::{Finding, Level, round};
use crate::dist::Dist;
use crate::policy::{Mode, Queue, TimeoutFrom};
use crate::scenario::{Scenario, Variant};
use crate::upstream::UpstreamSettings;

/// Utilisation from which on waiting is long and sensitive enough to be worth a word.
const BUSY: f64 = 0.95;

pub(super) fn check(variant: &Variant, scenario: &Scenario, found: &mut Vec<Finding>) {
    let Some((rates, service)) = offered_rps(variant).zip(service_estimate(variant, variant.slots())) else { return };
    let offered: f64 = rates.iter().sum();
    let utilisation = offered / service.capacity_rps;
    let path = first_rate_path(variant);
    let about = if service.exact { "" } else { "about " };
    let sum = format!(
        "{} requests a second are offered to {} served at once, {about}{} s each: {about}{} % of {} a second{}",
        round(offered),
        round(service.parallel),
        round(service.mean_s),
        round(utilisation * 100.0),
        round(service.capacity_rps),
        by_class(variant, &rates, &service),
    );
    let (level, rest) = if utilisation >= 1.0 {
        overloaded(variant, scenario, offered - service.capacity_rps)
    } else {
        (Level::Note, wait(variant, &service, offered, utilisation))
    };
    found.push(Finding { code: "offered_load", level, path, message: format!("{sum}{rest}") });
}

fn first_rate_path(variant: &Variant) -> String {
    let stated = variant.arrivals().find(|(_, arrival)| arrival.rate().is_some());
    stated.map_or_else(|| "arrival".to_owned(), |(path, _)| format!("{path}.rate"))
}

fn by_class(variant: &Variant, rates: &[f64], service: &ServiceEstimate) -> String {
    if rates.len() < 2 {
        return String::new();
    }
    let share = |rate: &f64| round(rate / service.capacity_rps * 100.0);
    let shares: Vec<String> =
        variant.classes.iter().zip(rates).map(|(class, rate)| format!("{} {} %", class.name, share(rate))).collect();
    format!(" ({})", shares.join(", "))
}

/// Where more comes than can be served, either somebody is turned away or the queue grows for ever.
fn overloaded(variant: &Variant, scenario: &Scenario, surplus: f64) -> (Level, String) {
    if is_bounded(variant) {
        return (Level::Note, format!("; {} a second cannot be served and must be refused or leave", round(surplus)));
    }
    let seconds = scenario.run.duration.as_secs_f64();
    let rest = format!(
        "; nothing bounds the queue, which grows by {} a second to {} at the end",
        round(surplus),
        round(surplus * seconds)
    );
    (Level::Warning, rest)
}

fn is_bounded(variant: &Variant) -> bool {
    let upstream = match &variant.upstream {
        UpstreamSettings::Station(station) => station.places.is_some(),
        UpstreamSettings::Vllm(vllm) => vllm.max_num_queued_reqs.is_some() || vllm.max_num_queued_tokens.is_some(),
        UpstreamSettings::TokenApi(_) => true, // nobody waits there
    };
    let clients = variant.classes.iter().all(|class| class.patience.is_some() || class.timeout.is_some());
    let enforced = |queue: &Queue| queue.mode == Mode::Enforce;
    let queue = variant.policy.queue.as_ref().is_some_and(enforced) && variant.slots().is_some();
    let timeout = variant.policy.timeout.as_ref().filter(|timeout| timeout.mode == Mode::Enforce);
    let gateway = timeout.is_some_and(|timeout| timeout.timeout_from == TimeoutFrom::Arrival);
    upstream || clients || queue || gateway || (timeout.is_some() && variant.policy.graduated.is_some())
}

/// Erlang C's mean wait, where it applies: a station whose queue nobody leaves or is turned away from.
fn wait(variant: &Variant, service: &ServiceEstimate, offered: f64, utilisation: f64) -> String {
    let UpstreamSettings::Station(station) = &variant.upstream else {
        return if utilisation >= BUSY { "; waits will be long".to_owned() } else { String::new() };
    };
    if is_bounded(variant)
        || !matches!(station.service, Dist::Exponential { .. })
        || !variant.arrivals().all(|(_, a)| is_poisson(a))
    {
        return String::new();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number of servers
    let waits = erlang_c(service.parallel as u32, offered * service.mean_s);
    let mean_s = waits / (service.capacity_rps - offered);
    format!("; by Erlang C {} % of them wait, {} s on average over all", round(waits * 100.0), round(mean_s))
}

fn is_poisson(arrival: &crate::workload::ArrivalSettings) -> bool {
    matches!(arrival, crate::workload::ArrivalSettings::Poisson(rate)
        if rate.steps.is_empty() && rate.sine.is_none() && rate.spikes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    fn lint(rate: f64, more: &str) -> (Level, String) {
        let text = format!(
            "schema = 1\n[run]\nduration = '100s'\n[upstream]\nkind = 'station'\nservers = 8\n\
             service = {{ dist = 'exponential', mean = '1s' }}\n[[class]]\nname = 'a'\n\
             arrival = {{ process = 'poisson', rate = {rate} }}\n{more}\n"
        );
        let lints = lints(&Scenario::parse("a.toml", &text, &[]).unwrap());
        let lint = lints.into_iter().find(|lint| lint.code == "offered_load").unwrap();
        (lint.level, lint.message)
    }

    #[test]
    fn a_stable_queue_is_told_its_erlang_c_wait() {
        // The published values: probability 0.701533 and mean wait 0.876916 s.
        let (level, message) = lint(7.2, "");
        assert!(
            message.ends_with("90 % of 8 a second; by Erlang C 70.2 % of them wait, 0.877 s on average over all"),
            "{message}"
        );
        assert_eq!(level, Level::Note);
    }

    #[test]
    fn overload_is_a_warning_where_nothing_bounds_it() {
        let (level, message) = lint(9.0, "");
        assert!(message.ends_with("nothing bounds the queue, which grows by 1 a second to 100 at the end"), "{message}");
        assert_eq!(level, Level::Warning);
        assert_eq!(lint(9.0, "patience = { dist = 'exponential', mean = '2s' }").0, Level::Note);
        assert_eq!(lint(9.0, "[policy.timeout]\ntimeout_from = 'arrival'").0, Level::Note);
        assert_eq!(lint(9.0, "[policy.timeout]").0, Level::Warning, "a timeout from dispatch bounds no waiting");
    }
}

//! `[run]`, names, and what holds for the scenario as a whole.

use std::collections::BTreeSet;

use super::Report;
use crate::dist::Dist;
use crate::scenario::file::ScenarioFile;
use crate::scenario::lint::{offered_rps, service_estimate};
use crate::scenario::run::{LoadOf, Warmup};
use crate::scenario::schema::{list, nearest};
use crate::scenario::tree::Node;
use crate::scenario::variant::Variant;
use crate::time::Span;
use crate::workload::{ArrivalSettings, SpikeSettings};

/// Longest run taken. Beyond it, times could come near the end of the clock.
const DURATION_MAX: Span = Span::from_secs(100 * 86_400);

/// Most requests in one replication, in expectation: hours of work, which nobody asks for but by a slip.
pub const REQUESTS_MAX: f64 = 1e10;

/// Most replications: their figures are kept until the end.
pub const REPLICATIONS_MAX: u32 = 100_000;

pub(super) fn check(file: &ScenarioFile, variants: &[(Variant, Node)], report: &mut Report<'_>) {
    times(file, report);
    requests(file.run.duration, variants, report);
    names(file, report);
    classes(file, variants, report);
    baseline(file, report);
    if file.run.load_of == LoadOf::Slots
        && let Some((variant, _)) = variants.iter().find(|(variant, _)| uses_load(variant) && variant.slots().is_none())
    {
        let message = format!("`load_of = \"slots\"` needs slots, and variant `{}` has none", variant.name);
        report.error("run.load_of", message, "add `policy.concurrency.max_concurrent_requests`, or write \"upstream\"");
    }
    let changing = variants.iter().find_map(|(variant, _)| variant.arrivals().find(|(_, arrival)| !is_stationary(arrival)));
    if file.run.warmup == Warmup::Mser5
        && let Some((path, _)) = changing
    {
        let message = format!("`mser5` needs a stationary load, and that of `{path}` changes over time");
        report.error("run.warmup", message, "give the warm-up as a time, or take `steps`, `sine` and `spikes` away");
    }
}

/// A run that could never end is a mistake in a rate, most often.
fn requests(duration: Span, variants: &[(Variant, Node)], report: &mut Report<'_>) {
    for (variant, _) in variants {
        let requests = expected(variant, duration.as_secs_f64());
        if requests > REQUESTS_MAX {
            let message = format!("variant `{}` would send {requests:.3e} requests in one replication", variant.name);
            let path = variant.arrivals().next().map_or_else(String::new, |(path, _)| format!("{path}.rate"));
            report.error(&path, message, format!("at most {REQUESTS_MAX:.0e}: lower the rate or shorten the run"));
            return; // the other variants' are of the same kind
        }
    }
}

/// Requests in one replication, in expectation and not below the truth: swings and steps count at their most.
fn expected(variant: &Variant, duration_s: f64) -> f64 {
    let rates = offered_rps(variant).unwrap_or_default();
    let capacity = service_estimate(variant, None).map_or(0.0, |service| service.capacity_rps);
    let mut requests = rates.iter().sum::<f64>() * duration_s;
    for (_, arrival) in variant.arrivals() {
        if let ArrivalSettings::ClosedLoop { clients, think } = arrival {
            let think_s = think.as_ref().map_or(0.0, Dist::mean);
            requests += capacity.min(f64::from(clients.value()) / think_s) * duration_s;
        }
        let Some((rate, base)) = arrival.rate().and_then(|rate| Some((rate, rate.rate?.value()))) else { continue };
        let most = rate.steps.iter().map(|step| step.factor.value()).fold(1.0, f64::max);
        requests += (most - 1.0) * base * duration_s;
        let spike = |spike: &SpikeSettings| base * spike.factor.value() * spike.lasting.as_secs_f64().min(duration_s);
        requests += most * rate.spikes.iter().map(spike).sum::<f64>();
    }
    requests
}

fn times(file: &ScenarioFile, report: &mut Report<'_>) {
    let duration = file.run.duration;
    if duration == Span::ZERO || duration > DURATION_MAX {
        report.error("run.duration", format!("a run cannot last {duration}"), "write more than 0 and at most \"100d\"");
    }
    if let Warmup::Time(warmup) = file.run.warmup
        && warmup >= duration
        && duration > Span::ZERO
    {
        let message = format!("a warm-up of {warmup} leaves nothing of a run of {duration}");
        report.error("run.warmup", message, "shorten the warm-up, or lengthen `run.duration`");
    }
    if file.run.replications.value() > REPLICATIONS_MAX {
        report.error("run.replications", "these are too many repetitions", format!("write at most {REPLICATIONS_MAX}"));
    }
    if file.run.drain.is_some_and(|drain| drain > DURATION_MAX) {
        report.error("run.drain", "a run cannot go on for so long", "write at most \"100d\"");
    }
}

fn names(file: &ScenarioFile, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for (i, variant) in file.variant.iter().enumerate() {
        if !seen.insert(&variant.name) {
            let message = format!("there are two variants named `{}`", variant.name);
            report.error(&format!("variant[{i}].name"), message, "reports tell variants apart by their names: change one");
        }
    }
    let Some(sweep) = &file.sweep else { return };
    for (i, value) in sweep.values.iter().enumerate() {
        if sweep.values[..i].contains(value) {
            report.error(&format!("sweep.values[{i}]"), format!("the value {value} is there twice"), "take one of them away");
        }
    }
}

/// Reports set variants beside each other class by class.
fn classes(file: &ScenarioFile, variants: &[(Variant, Node)], report: &mut Report<'_>) {
    let names = |variant: &Variant| variant.classes.iter().map(|class| class.name.clone()).collect::<Vec<_>>();
    let Some((first, _)) = variants.first() else { return };
    let Some((other, _)) = variants.iter().find(|(variant, _)| names(variant) != names(first)) else { return };
    let path = match file.variant.iter().position(|variant| variant.name == other.of) {
        Some(_) if other.of == first.of => "sweep.path".to_owned(),
        Some(index) => format!("variant[{index}].class"),
        None => "sweep.path".to_owned(),
    };
    let all = |variant: &Variant| names(variant).join(", ");
    let message = format!("variant `{}` has the classes {}, and `{}` has {}", other.name, all(other), first.name, all(first));
    report.error(
        &path,
        message,
        "give every variant the same classes in the same order; one that shares `[arrival]` may have the weight 0",
    );
}

fn baseline(file: &ScenarioFile, report: &mut Report<'_>) {
    let Some(name) = &file.run.baseline else { return };
    let mut known: Vec<&str> = file.variant.iter().map(|variant| variant.name.as_str()).collect();
    if known.is_empty() {
        known.push("base");
    }
    if !known.contains(&name.as_str()) {
        let help = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("the variants are {}", list(known)),
        };
        report.error("run.baseline", format!("there is no variant named `{name}`"), help);
    }
}

fn uses_load(variant: &Variant) -> bool {
    variant.arrivals().any(|(_, arrival)| arrival.rate().is_some_and(|rate| rate.load.is_some()))
}

fn is_stationary(arrival: &ArrivalSettings) -> bool {
    match arrival.rate() {
        Some(rate) => rate.steps.is_empty() && rate.sine.is_none() && rate.spikes.is_empty(),
        None => !matches!(arrival, ArrivalSettings::Recorded { .. }),
    }
}

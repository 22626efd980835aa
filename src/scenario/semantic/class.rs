//! Classes: their arrivals, lengths and clients.

use std::collections::BTreeSet;

use super::{Report, profile};
use crate::dist::{Dist, Quantity};
use crate::scenario::variant::Variant;
use crate::time::Span;
use crate::upstream::UpstreamSettings;
use crate::workload::{ArrivalSettings, ClassSettings};

/// Classes are numbered in 16 bits.
const CLASSES_MAX: usize = 1_000;

pub(super) fn check(variant: &Variant, report: &mut Report<'_>) {
    names(variant, report);
    arrivals(variant, report);
    for (i, class) in variant.classes.iter().enumerate() {
        let path = format!("class[{i}]");
        distributions(&path, class, report);
        lengths(&path, class, report);
        clients(&path, class, report);
        profile::check(&path, class, report);
        if let Some(prefix) = &class.prefix {
            report.limit(&format!("{path}.prefix.groups"), "groups", prefix.groups.value().into());
        }
        let whose = match variant.upstream {
            UpstreamSettings::Station(_) => None,
            UpstreamSettings::Vllm(_) => Some("a vLLM server"),
            UpstreamSettings::TokenApi(_) => Some("a metered API"),
        };
        if let Some(whose) = whose.filter(|_| class.patience.is_some()) {
            let help = format!("clients of {whose} leave by `timeout.first_token` or `timeout.total`");
            report.error(&format!("{path}.patience"), "`patience` is for `upstream.kind = \"station\"`", help);
        }
    }
}

fn names(variant: &Variant, report: &mut Report<'_>) {
    if variant.classes.len() > CLASSES_MAX {
        report.error("class", format!("{} classes are too many", variant.classes.len()), format!("at most {CLASSES_MAX}"));
    }
    let mut seen = BTreeSet::new();
    for (i, class) in variant.classes.iter().enumerate() {
        if !seen.insert(&class.name) {
            let message = format!("there are two classes named `{}`", class.name);
            report.error(&format!("class[{i}].name"), message, "reports tell classes apart by their names: change one");
        }
    }
}

fn arrivals(variant: &Variant, report: &mut Report<'_>) {
    let sharing = || variant.classes.iter().enumerate().filter(|(_, class)| class.arrival.is_none());
    match &variant.arrival {
        None => {
            for (i, class) in sharing() {
                let message = format!("class `{}` has no arrivals", class.name);
                let help =
                    format!("add `class[{i}].arrival`, like {{ process = \"poisson\", rate = 5 }}, or an `[arrival]` to share");
                report.error(&format!("class[{i}]"), message, help);
            }
        }
        Some(_) if sharing().next().is_none() => {
            report.error(
                "arrival",
                "nobody uses this `[arrival]`: every class has its own",
                "take it away, or one class's own",
            );
        }
        Some(ArrivalSettings::Recorded { .. }) => {} // its rows name their classes
        Some(_) if sharing().all(|(_, class)| class.weight.value() == 0.0) => {
            let (first, _) = sharing().next().expect("somebody shares: the arm above");
            let message = "the weights of all classes that share `[arrival]` are zero";
            report.error(&format!("class[{first}].weight"), message, "make at least one of them more than 0");
        }
        Some(_) => {}
    }
}

fn distributions(path: &str, class: &ClassSettings, report: &mut Report<'_>) {
    dist(&format!("{path}.input"), class.input.as_ref(), report);
    dist(&format!("{path}.output"), class.output.as_ref(), report);
    dist(&format!("{path}.patience"), class.patience.as_ref(), report);
}

/// Checks the parameters of a distribution against each other.
pub(super) fn dist<Q: Quantity>(path: &str, dist: Option<&Dist<Q>>, report: &mut Report<'_>) {
    let Some(Err(wrong)) = dist.map(Dist::check) else { return };
    let part = match dist {
        Some(Dist::Histogram { edges, weights }) if edges.len() == weights.len() + 1 => {
            if weights.iter().all(|weight| weight.value() == 0.0) && wrong.contains("weights") { ".weights" } else { ".edges" }
        }
        Some(Dist::Uniform { .. } | Dist::Normal { .. }) => ".min",
        Some(Dist::Exponential { .. } | Dist::Gamma { .. } | Dist::Lognormal { .. }) => ".mean",
        _ => "",
    };
    report.error(&format!("{path}{part}"), format!("`{path}` does not add up"), wrong);
}

fn lengths(path: &str, class: &ClassSettings, report: &mut Report<'_>) {
    if class.lengths.is_some() && (class.input.is_some() || class.output.is_some()) {
        let message = "`lengths` gives pairs of prompt and answer, so `input` and `output` have no say";
        report.error(&format!("{path}.lengths"), message, "keep either");
    }
    if class.lengths.as_ref().is_some_and(String::is_empty) {
        report.error(&format!("{path}.lengths"), "the name of the file is empty", "name a CSV beside the scenario");
    }
}

fn clients(path: &str, class: &ClassSettings, report: &mut Report<'_>) {
    if let Some(timeout) = &class.timeout {
        for (key, time) in [("first_token", timeout.first_token), ("total", timeout.total)] {
            if time == Some(Span::ZERO) {
                report.error(
                    &format!("{path}.timeout.{key}"),
                    "a client that waits for no time at all gets nothing",
                    "write a time above 0",
                );
            }
        }
        if timeout.announce && timeout.first_token.is_none() && timeout.total.is_none() {
            let help = "add `first_token` or `total`";
            report.error(&format!("{path}.timeout.announce"), "there is no deadline to announce", help);
        }
    }
    if let Some(retry) = &class.retry
        && retry.backoff_cap < retry.backoff_base
    {
        let message = format!("`backoff_cap` {} is below `backoff_base` {}", retry.backoff_cap, retry.backoff_base);
        report.error(&format!("{path}.retry"), message, "the cap bounds what the base grows to: make it at least the base");
    }
}

//! The policies.

use super::{Report, field, metered};
use crate::policy::{Codel, Graduated, Mode, Order, Queue, Settings};
use crate::scenario::variant::Variant;
use crate::time::Span;

/// Weights of classes that are told apart exactly enough.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

pub(super) fn check(variant: &Variant, report: &mut Report<'_>) {
    check_settings(&variant.policy, Some(variant), report);
}

/// The settings on their own, or in front of a variant's clients, who may announce deadlines.
pub(super) fn check_settings(policy: &Settings, clients: Option<&Variant>, report: &mut Report<'_>) {
    if policy.timeout.as_ref().is_some_and(|timeout| timeout.request_timeout == Span::ZERO) {
        let help = "write a time above 0, or `mode = \"off\"`";
        report.error("policy.timeout.request_timeout", "a timeout of 0 ends every request at once", help);
    }
    if let Some(graduated) = &policy.graduated {
        check_graduated(graduated, report);
    }
    if let Some(queue) = policy.queue.as_ref().filter(|queue| queue.mode != Mode::Off) {
        check_queue(queue, has_deadline(policy, clients), report);
        check_order(queue, clients.map(|variant| variant.classes.len()), report);
    }
    metered::check(policy, report);
    field::check(policy, report);
}

/// Whether the gateway knows by when an attempt must be done, or may be told where the clients are not known.
fn has_deadline(policy: &Settings, clients: Option<&Variant>) -> bool {
    let announce =
        |variant: &Variant| variant.classes.iter().any(|class| class.timeout.is_some_and(|timeout| timeout.announce));
    policy.timeout.as_ref().is_some_and(|timeout| timeout.mode != Mode::Off) || clients.is_none_or(announce)
}

fn check_graduated(graduated: &Graduated, report: &mut Report<'_>) {
    let times = [("reset_interval", graduated.reset_interval), ("half_life", graduated.half_life), ("lease", graduated.lease)];
    for (key, time) in times {
        if time == Span::ZERO {
            report.error(&format!("policy.graduated.{key}"), format!("`{key}` cannot be 0"), "write a time above 0");
        }
    }
}

fn check_queue(queue: &Queue, has_deadline: bool, report: &mut Report<'_>) {
    let needs = [
        ("codel", matches!(&queue.codel, Some(Codel { target: None, .. })), "CoDel's default target is 5 % of the deadline"),
        ("deadline_aware", queue.deadline_aware, "deadline-aware admission compares with the deadline"),
        ("order", queue.order == Order::AdaptiveLifo, "adaptive LIFO turns at a share of the deadline"),
    ];
    for (key, needed, why) in needs {
        if needed && !has_deadline {
            let give = if key == "codel" { "give `codel.target`, or a deadline: " } else { "give a deadline: " };
            let help = format!("{give}`policy.timeout`, or `timeout.announce = true` in a class");
            report.error(&format!("policy.queue.{key}"), format!("{why}, and there is none"), help);
        }
    }
    if let Some(codel) = &queue.codel {
        for (key, time) in [("target", codel.target), ("interval", codel.interval)] {
            if time == Some(Span::ZERO) {
                report.error(&format!("policy.queue.codel.{key}"), format!("`{key}` cannot be 0"), "write a time above 0");
            }
        }
    }
}

/// Weights by class: of an order that has them, of classes that there are, and that priorities do not overrule.
fn check_order(queue: &Queue, classes: Option<usize>, report: &mut Report<'_>) {
    let fair = queue.order == Order::WeightedFair;
    if fair && queue.by_priority {
        let help = "remove one of them: a class that goes first takes no turns";
        report.error("policy.queue.by_priority", "`by_priority` has no effect with `order = \"weighted_fair\"`", help);
    }
    if queue.weights.is_empty() {
        return;
    }
    if !fair {
        let help = "write `order = \"weighted_fair\"`, or remove them";
        report.error("policy.queue.weights", "only the order \"weighted_fair\" has weights", help);
    }
    if let Some(classes) = classes.filter(|classes| queue.weights.len() > *classes) {
        let message =
            format!("{} weights for {classes} {}", queue.weights.len(), if classes == 1 { "class" } else { "classes" });
        report.error("policy.queue.weights", message, "write one weight for each class, in the order of the classes");
    }
    if queue.weights.iter().any(|weight| !WEIGHTS.contains(&weight.value())) {
        let help = "write weights from 0.000001 to 1000000: only what they are to each other matters";
        report.error("policy.queue.weights", "a weight is out of range", help);
    }
}

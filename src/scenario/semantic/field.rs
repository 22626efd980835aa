//! What the field puts in the same places: signals, rates, throttles, rejection by queue depth.

use super::Report;
use crate::policy::{Mode, Settings};
use crate::time::Span;

pub(super) fn check(policy: &Settings, report: &mut Report<'_>) {
    if let Some(signals) = policy.signals.as_ref().filter(|signals| signals.mode != Mode::Off) {
        for (key, time) in [("every", signals.every), ("stale_after", signals.stale_after)] {
            if time == Span::ZERO {
                report.error(&format!("policy.signals.{key}"), format!("`{key}` cannot be 0"), "write a time above 0");
            }
        }
        if signals.every > signals.stale_after {
            let message = format!("asked every {}, a server that counts as full after {}", signals.every, signals.stale_after);
            report.error("policy.signals.every", message + " is mostly full", "ask more often than `stale_after`");
        }
    }
    if policy.rate_limit.as_ref().is_some_and(|rate| rate.per == Span::ZERO) {
        report.error("policy.rate_limit.per", "`per` cannot be 0", "write a time above 0, like \"1s\"");
    }
    let graduated = policy.queue.as_ref().and_then(|queue| queue.graduated.as_ref());
    if let Some(graduated) = graduated.filter(|graduated| graduated.first > graduated.last) {
        let (first, last) = (graduated.first.value(), graduated.last.value());
        let message = format!("`first` {first} is above `last` {last}");
        report.error("policy.queue.graduated.first", message, "write the smaller number here");
    }
}

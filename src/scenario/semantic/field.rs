//! What the field puts in the same places: signals, rates, throttles, rejection by queue depth.

use super::Report;
use crate::policy::{AdaptiveLimit, Mode, Settings, Throttle};
use crate::time::Span;

pub(super) fn check(policy: &Settings, report: &mut Report<'_>) {
    if let Some(adaptive) = policy.concurrency.as_ref().and_then(|concurrency| concurrency.adaptive.as_ref()) {
        check_adaptive(adaptive, report);
    }
    if let Some(throttle) = &policy.throttle {
        check_throttle(throttle, report);
    }
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

/// Bounds that cross leave no limit between them, and times of zero nothing to measure.
fn check_adaptive(adaptive: &AdaptiveLimit, report: &mut Report<'_>) {
    let path = |key: &str| format!("policy.concurrency.adaptive.{key}");
    let mut never_zero = |key: &str, time: Span| {
        if time == Span::ZERO {
            report.error(&path(key), format!("`{key}` cannot be 0"), "write a time above 0");
        }
    };
    let crossed = match adaptive {
        AdaptiveLimit::Aimd { min, max, timeout, .. } => {
            never_zero("timeout", *timeout);
            Some(("min", *min, "max", *max))
        }
        AdaptiveLimit::Gradient2 { min, max, .. } => Some(("min", *min, "max", *max)),
        AdaptiveLimit::EnvoyGradient { min, max, update_interval, min_rtt_interval, min_rtt, .. } => {
            never_zero("update_interval", *update_interval);
            never_zero("min_rtt_interval", *min_rtt_interval);
            never_zero("min_rtt", min_rtt.unwrap_or(*update_interval));
            Some(("min", *min, "max", *max))
        }
        AdaptiveLimit::Vegas { alpha, beta, .. } => alpha.zip(*beta).map(|(alpha, beta)| ("alpha", alpha, "beta", beta)),
    };
    if let Some((low, from, high, to)) = crossed.filter(|(_, from, _, to)| from > to) {
        let message = format!("`{low}` {} is above `{high}` {}", from.value(), to.value());
        let help = format!("write the smaller number here (`{high}` has a default: it is {})", to.value());
        report.error(&path(low), message, if high == "max" { help } else { "write the smaller number here".to_owned() });
    }
}

/// What the two throttles divide by.
fn check_throttle(throttle: &Throttle, report: &mut Report<'_>) {
    let (Throttle::Sre { window, .. } | Throttle::Envoy { window, .. }) = throttle;
    if *window < Span::from_secs(1) {
        let message = format!("`window` {window} is counted in whole seconds");
        report.error("policy.throttle.window", message, "write at least \"1s\"");
    }
    if let Throttle::Envoy { threshold, aggression, .. } = throttle {
        if threshold.value() <= 0.0 {
            report.error("policy.throttle.threshold", "`threshold` cannot be 0", "write a share above 0, like 0.95");
        }
        if aggression.value() < 1.0 {
            let message = format!("`aggression` {aggression} is below 1");
            report.error("policy.throttle.aggression", message, "write 1 (in proportion) or more");
        }
    }
}

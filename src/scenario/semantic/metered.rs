//! The policies in front of a metered API: reservations, heavy lane, breaker, timeouts by call, finalisation.

use super::Report;
use crate::policy::{Boundary, Breaker, CallTimeout, Finalise, HeavyLane, HoldRule, Limiter, Mode, Settings, Trip, Window};
use crate::time::Span;

/// Ratios that a class can remember, and calls that a breaker's window can hold.
const REMEMBERED_MAX: u32 = 100_000;

pub(super) fn check(policy: &Settings, report: &mut Report<'_>) {
    if let Some(limiter) = &policy.limiter {
        check_limiter(limiter, report);
    }
    if let Some(lane) = &policy.lane {
        check_lane(lane, policy.limiter.as_ref(), report);
    }
    if let Some(breaker) = &policy.breaker {
        check_breaker(breaker, report);
    }
    if let Some(timeout) = &policy.call_timeout {
        check_call_timeout(timeout, report);
    }
    if let Some(finalise) = &policy.finalise {
        check_finalise(finalise, report);
    }
}

fn check_limiter(limiter: &Limiter, report: &mut Report<'_>) {
    if limiter.headroom.value() >= 1.0 {
        let message = "a headroom of 1 leaves no token to reserve";
        report.error("policy.limiter.headroom", message, "write a share below 1, like 0.15");
    } else if budget(limiter) < 1.0 {
        let (limit, headroom) = (limiter.tpm_limit.value(), limiter.headroom);
        let message = format!("a limit of {limit} tokens less a headroom of {headroom} leaves less than one token a window");
        report.error("policy.limiter.headroom", message, "lower the headroom");
    }
    for (i, prior) in limiter.priors.iter().enumerate() {
        let same =
            |other: &&crate::policy::Prior| other.grounded == prior.grounded && other.vantage_policy == prior.vantage_policy;
        if limiter.priors[..i].iter().any(|other| same(&other)) {
            let kind = if prior.grounded { "grounded" } else { "ungrounded" };
            let message = format!("there are two priors for {kind} {} calls", prior.vantage_policy.name());
            report.error(&format!("policy.limiter.priors[{i}]"), message, "keep one of them");
        }
    }
    if limiter.boundary == Boundary::Seed && limiter.hold == HoldRule::AllOrNone {
        let message =
            "at the seed's boundary each waiter waits on its own, holding its slot: `all_or_none` does not go with it";
        report.error("policy.limiter.boundary", message, "write `hold = \"while_waiting\"` too, or leave `boundary` out");
    }
    if limiter.min_samples > limiter.samples {
        let (least, most) = (limiter.min_samples.value(), limiter.samples.value());
        let message = format!("`min_samples` {least} is above `samples` {most}: the multiplier would never learn");
        report.error("policy.limiter.min_samples", message, format!("write at most {most}, or raise `samples`"));
    }
    if limiter.samples.value() > REMEMBERED_MAX {
        report.error("policy.limiter.samples", "these are too many to remember", format!("write at most {REMEMBERED_MAX}"));
    }
    if let (Some(min), Some(max)) = (limiter.multiplier_min, limiter.multiplier_max)
        && min > max
    {
        let message = format!("`multiplier_min` {min} is above `multiplier_max` {max}");
        report.error("policy.limiter.multiplier_min", message, "write the smaller one here");
    }
    if limiter.max_age == Some(Span::ZERO) {
        let message = "ratios that are forgotten at once teach nothing";
        report.error("policy.limiter.max_age", message, "write a time above 0, or take it away");
    }
    if limiter.window == Window::Gcra && limiter.burst.is_some_and(|burst| f64::from(burst.value()) > budget(limiter)) {
        let message = format!("a burst above a window's whole budget of {} tokens", libm::floor(budget(limiter)));
        report.error("policy.limiter.burst", message, "write at most the budget");
    }
}

fn budget(limiter: &Limiter) -> f64 {
    f64::from(limiter.tpm_limit.value()) * (1.0 - limiter.headroom.value())
}

fn check_lane(lane: &HeavyLane, limiter: Option<&Limiter>, report: &mut Report<'_>) {
    if lane.mode != Mode::Off && limiter.is_none_or(|limiter| limiter.mode == Mode::Off) {
        let message = "the heavy lane waits for a nearly whole window, and there is no limiter that has windows";
        report.error("policy.lane", message, "add `policy.limiter`, or take the lane away");
    }
    if lane.min_remaining.is_some() && lane.min_remaining_tokens.is_some() {
        let message = "`min_remaining` and `min_remaining_tokens` say the same thing twice";
        report.error("policy.lane.min_remaining_tokens", message, "keep the share of the budget or the tokens");
    }
    let times = [("lease", lane.lease), ("heavy_max_wait", lane.heavy_max_wait), ("light_max_wait", lane.light_max_wait)];
    not_zero("policy.lane", &times, report);
    if lane.stagger == Some(Span::ZERO) {
        report.error("policy.lane.stagger", "a stagger of 0 separates nothing", "write a time above 0, or take it away");
    }
}

fn check_breaker(breaker: &Breaker, report: &mut Report<'_>) {
    not_zero("policy.breaker", &[("cooldown", breaker.cooldown), ("probe_lease", breaker.probe_lease)], report);
    let optional =
        [("window_time", breaker.window_time), ("slow_call", breaker.slow_call), ("idle_expiry", breaker.idle_expiry)];
    let zero = optional.into_iter().filter(|(_, time)| *time == Some(Span::ZERO));
    for (key, _) in zero {
        let help = "write a time above 0, or take it away";
        report.error(&format!("policy.breaker.{key}"), format!("`{key}` cannot be 0"), help);
    }
    // Without growth the bound has no say: a long cooldown alone is no contradiction.
    if breaker.cooldown_factor.value() > 1.0 && breaker.cooldown_max < breaker.cooldown {
        let message = format!("`cooldown_max` {} is below `cooldown` {}", breaker.cooldown_max, breaker.cooldown);
        report.error("policy.breaker.cooldown_max", message, "write at least the cooldown");
    }
    if breaker.cooldown_factor.value() < 1.0 {
        let message = format!("with a factor of {} each failed probe would shorten the cooldown", breaker.cooldown_factor);
        report.error("policy.breaker.cooldown_factor", message, "write at least 1");
    }
    if breaker.trip == Trip::Rate {
        check_rate(breaker, report);
    }
    let counts = [("window_calls", breaker.window_calls), ("probes", breaker.probes)];
    for (key, _) in counts.iter().filter(|(_, count)| count.value() > REMEMBERED_MAX) {
        let help = format!("write at most {REMEMBERED_MAX}");
        report.error(&format!("policy.breaker.{key}"), "these are too many calls to remember", help);
    }
}

fn check_rate(breaker: &Breaker, report: &mut Report<'_>) {
    if breaker.window_time.is_none() && breaker.minimum_calls > breaker.window_calls {
        let (least, window) = (breaker.minimum_calls.value(), breaker.window_calls.value());
        let message = format!("`minimum_calls` {least} never fit into a window of {window}: it would never open");
        report.error("policy.breaker.minimum_calls", message, format!("write at most {window}, or raise `window_calls`"));
    }
    for (key, share) in [("failure_rate", breaker.failure_rate), ("slow_rate", breaker.slow_rate)] {
        if share.value() <= 0.0 {
            let message = "at a share of 0 it opens without any failure";
            report.error(&format!("policy.breaker.{key}"), message, "write a share above 0");
        }
    }
}

fn check_call_timeout(timeout: &CallTimeout, report: &mut Report<'_>) {
    let times = [
        ("grounded_direct", timeout.grounded_direct),
        ("grounded_proxy", timeout.grounded_proxy),
        ("ungrounded", timeout.ungrounded),
    ];
    not_zero("policy.call_timeout", &times, report);
}

fn check_finalise(finalise: &Finalise, report: &mut Report<'_>) {
    not_zero("policy.finalise", &[("sla", finalise.sla), ("timeout", finalise.timeout)], report);
    if finalise.timeout >= finalise.sla && finalise.sla > Span::ZERO {
        let message = format!("the last call may take {}, which is not within the SLA of {}", finalise.timeout, finalise.sla);
        report.error("policy.finalise.timeout", message, "write a time below `sla`");
    }
}

fn not_zero(section: &str, times: &[(&str, Span)], report: &mut Report<'_>) {
    for (key, _) in times.iter().filter(|(_, time)| *time == Span::ZERO) {
        report.error(&format!("{section}.{key}"), format!("`{key}` cannot be 0"), "write a time above 0");
    }
}

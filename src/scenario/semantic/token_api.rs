//! A metered API and the proxies around it.

use super::Report;
use super::class::dist;
use crate::dist::SpanDist;
use crate::scenario::schema::{list, nearest};
use crate::scenario::variant::Variant;
use crate::time::Span;
use crate::upstream::{LatencySettings, LimiterSettings, ProxySettings, QualitySettings, TogetherSettings, TokenApiSettings};

/// A minute: what limits are over.
const MINUTE: Span = Span::from_secs(60);
/// Shortest mean up and down time: a run's outages must be countable.
const PERIOD_MIN: Span = Span::from_secs(1);

pub(super) fn check(api: &TokenApiSettings, variant: &Variant, report: &mut Report<'_>) {
    limiter(api.limiter, report);
    latency("upstream.latency", &api.latency, report);
    classes(api, variant, report);
    dist("upstream.error_after", api.error_after.as_ref(), report);
    if api.error_after.is_some() && api.error_rate.is_none() {
        report.error("upstream.error_after", "no call fails", "give the share of calls that do: `error_rate = 0.01`");
    }
    if let Some(settings) = &api.proxy {
        proxy(settings, report);
    }
    for (path, arrival) in variant.arrivals() {
        if arrival.rate().is_some_and(|rate| rate.load.is_some()) {
            let message = "a metered API has no load 1.0: it serves any number of calls at once";
            report.error(&format!("{path}.load"), message, "give a `rate` in requests a second");
        }
    }
}

fn limiter(limiter: LimiterSettings, report: &mut Report<'_>) {
    match limiter {
        LimiterSettings::Quantised { quantum: Some(quantum) } if quantum == Span::ZERO || quantum > MINUTE => {
            let message = format!("a quantum cannot last {quantum}");
            report.error("upstream.limiter.quantum", message, "write more than 0 and at most \"1m\"; providers use 1s to 10s");
        }
        LimiterSettings::Calendar { phase: Some(phase) } if phase >= MINUTE => {
            let message = format!("a run cannot begin {phase} into a minute");
            report.error("upstream.limiter.phase", message, "write less than \"1m\"");
        }
        _ => {}
    }
}

fn latency(path: &str, latency: &LatencySettings, report: &mut Report<'_>) {
    dist(&format!("{path}.first_token"), latency.first_token.as_ref(), report);
    dist(&format!("{path}.search"), latency.search.as_ref(), report);
}

fn classes(api: &TokenApiSettings, variant: &Variant, report: &mut Report<'_>) {
    let known: Vec<&str> = variant.classes.iter().map(|class| class.name.as_str()).collect();
    for (i, own) in api.class_latency.iter().enumerate() {
        let path = format!("upstream.class_latency[{i}]");
        latency(&format!("{path}.latency"), &own.latency, report);
        if !known.contains(&own.class.as_str()) {
            let help = match nearest(&own.class, known.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("the classes are {}", list(known.iter().copied())),
            };
            report.error(&format!("{path}.class"), format!("there is no class named `{}`", own.class), help);
        }
        if api.class_latency[..i].iter().any(|earlier| earlier.class == own.class) {
            let message = format!("the latency of class `{}` is there twice", own.class);
            report.error(&format!("{path}.class"), message, "keep one of them");
        }
    }
}

fn proxy(settings: &ProxySettings, report: &mut Report<'_>) {
    let modes = [("rotating", &settings.rotating), ("residential", &settings.residential), ("backbone", &settings.backbone)];
    for (name, mode) in modes {
        if let Some(mode) = mode {
            quality(&format!("upstream.proxy.{name}"), mode, report);
        }
    }
    for (i, pool) in settings.pool.iter().enumerate() {
        quality(&format!("upstream.proxy.pool[{i}].quality"), &pool.quality, report);
        if settings.pool[..i].iter().any(|earlier| (earlier.country, earlier.mode) == (pool.country, pool.mode)) {
            let message = format!("the {} proxies of {} are there twice", pool.mode.name(), pool.country);
            report.error(&format!("upstream.proxy.pool[{i}]"), message, "keep one of them");
        }
    }
    if let Some(TogetherSettings { up, down, .. }) = &settings.together {
        period("upstream.proxy.together.up", up, report);
        period("upstream.proxy.together.down", down, report);
    }
}

fn quality(path: &str, quality: &QualitySettings, report: &mut Report<'_>) {
    for (key, dist_of) in [("latency", &quality.latency), ("fast", &quality.fast), ("slow", &quality.slow)] {
        dist(&format!("{path}.{key}"), dist_of.as_ref(), report);
    }
    if let Some(up) = &quality.up {
        period(&format!("{path}.up"), up, report);
    }
    if let Some(down) = quality.down.as_ref().filter(|down| **down != SpanDist::Fixed { value: Span::ZERO }) {
        period(&format!("{path}.down"), down, report);
    }
}

/// A distribution of up or down times.
fn period(path: &str, period: &SpanDist, report: &mut Report<'_>) {
    dist(path, Some(period), report);
    if period.check().is_ok() && period.mean() < PERIOD_MIN.as_secs_f64() {
        report.error(path, "such short periods cannot be told from single errors", "write a mean of at least \"1s\"");
    }
}

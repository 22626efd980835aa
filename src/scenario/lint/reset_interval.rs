//! Reset interval against the longest abandoned work: a counter that is set to zero while abandoned calls still run says
//! "empty" of a server that is not.

use super::estimate::service_estimate;
use super::{Finding, Level, round};
use crate::dist::{Dist, SpanDist};
use crate::policy::{Forget, Mode, OnTimeout};
use crate::scenario::{Scenario, Variant};
use crate::upstream::UpstreamSettings;

pub(super) fn check(variant: &Variant, _: &Scenario, found: &mut Vec<Finding>) {
    let Some(graduated) = variant.policy.graduated.as_ref().filter(|graduated| graduated.mode == Mode::Enforce) else { return };
    let Some(timeout) = variant.policy.timeout.as_ref().filter(|timeout| timeout.mode == Mode::Enforce) else { return };
    if graduated.forget != Forget::Reset || timeout.on_timeout != OnTimeout::Abandon {
        return;
    }
    let Some((longest_s, what)) = longest_call(variant) else { return };
    let (limit_s, interval_s) = (timeout.request_timeout.as_secs_f64(), graduated.reset_interval.as_secs_f64());
    let left_s = longest_s - limit_s;
    if left_s <= interval_s {
        return;
    }
    let max = graduated.max_abandoned.value();
    let resets = libm::floor(left_s / interval_s);
    let message = format!(
        "{what} takes {} s, so after a timeout of {} s it runs on for {} s, longer than the reset interval of {} s: the count is \
         reset {} while it runs, and with `max_abandoned = {max}` up to {} abandoned calls can run at once",
        round(longest_s),
        round(limit_s),
        round(left_s),
        round(interval_s),
        if resets <= 1.0 { "once".to_owned() } else { format!("{} times", round(resets)) },
        round(f64::from(max) * (resets + 1.0)),
    );
    found.push(Finding {
        code: "reset_interval",
        level: Level::Warning,
        path: "policy.graduated.reset_interval".to_owned(),
        message,
    });
}

/// The longest call to count with, seconds, and how to say it: the largest there is, or one of a thousand.
fn longest_call(variant: &Variant) -> Option<(f64, String)> {
    match &variant.upstream {
        UpstreamSettings::Station(station) => Some(longest_service(&station.service)),
        UpstreamSettings::TokenApi(_) => None,
        UpstreamSettings::Vllm(_) => {
            let service = service_estimate(variant, None)?;
            let outputs = variant.classes.iter().map(|class| class.output.as_ref().map_or(1.0, Dist::mean));
            let longest = variant.classes.iter().map(|class| largest_tokens(class.output.as_ref(), class.max_tokens.value()));
            let (mean, longest) = (outputs.fold(1.0, f64::max), longest.fold(1.0, f64::max));
            Some((service.mean_s * longest / mean, format!("an answer of {} tokens on the full server", round(longest))))
        }
    }
}

fn largest_tokens(output: Option<&crate::dist::TokenDist>, max_tokens: u32) -> f64 {
    let largest = match output {
        None => 1.0,
        Some(Dist::Fixed { value }) => value.value(),
        Some(Dist::Uniform { max, .. } | Dist::Normal { max, .. } | Dist::Lognormal { max: Some(max), .. }) => max.value(),
        Some(Dist::Histogram { edges, .. }) => edges.last().map_or(1.0, |edge| edge.value()),
        Some(Dist::Lognormal { .. } | Dist::Exponential { .. } | Dist::Gamma { .. }) => f64::INFINITY,
    };
    largest.min(f64::from(max_tokens))
}

fn longest_service(service: &SpanDist) -> (f64, String) {
    let largest = |span: crate::time::Span| (span.as_secs_f64(), "the longest call".to_owned());
    match service {
        Dist::Fixed { value } => largest(*value),
        Dist::Uniform { max, .. } | Dist::Normal { max, .. } | Dist::Lognormal { max: Some(max), .. } => largest(*max),
        Dist::Histogram { edges, .. } => largest(edges.last().copied().unwrap_or_default()),
        Dist::Exponential { mean } => (mean.as_secs_f64() * libm::log(1_000.0), "one call of a thousand".to_owned()),
        Dist::Lognormal { .. } | Dist::Gamma { .. } => (slow_sample(service), "one call of a thousand".to_owned()),
    }
}

/// The 99.9th percentile: exact where sampling inverts the distribution, else the same rank of a fixed sample.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn slow_sample(service: &SpanDist) -> f64 {
    const SAMPLES: usize = 20_000;
    let mut samples: Vec<f64> = (0..SAMPLES).map(|i| service.sample(crate::rng::mix(0, i as u64))).collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES - SAMPLES / 1_000]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::lint::lints;

    #[test]
    fn work_that_outlives_resets_piles_up() {
        let text = "schema = 1\narrival = { process = 'poisson', rate = 1 }\n[policy]\ntimeout = { on_timeout = 'abandon' }\n\
                    graduated = { max_abandoned = 10, reset_interval = '100s' }\n[upstream]\nkind = 'station'\nservers = 8\n\
                    service = { dist = 'uniform', min = '1s', max = '400s' }\n[[class]]\nname = 'a'\n";
        let found = |text: &str| -> Vec<String> {
            let lints = lints(&Scenario::parse("a.toml", text, &[]).unwrap());
            lints.into_iter().filter(|lint| lint.code == "reset_interval").map(|lint| lint.message).collect()
        };
        assert_eq!(
            found(text),
            [
                "the longest call takes 400 s, so after a timeout of 60 s it runs on for 340 s, longer than the reset interval of \
              100 s: the count is reset 3 times while it runs, and with `max_abandoned = 10` up to 40 abandoned calls can run at once"
            ]
        );
        assert!(found(&text.replace("'400s'", "'160s'")).is_empty());
        assert!(found(&text.replace("'100s'", "'100s', forget = 'gauge'")).is_empty());
    }

    #[test]
    fn one_of_a_thousand_exponential_calls_takes_seven_means() {
        let mean = crate::time::Span::from_secs(10);
        assert!((longest_service(&Dist::Exponential { mean }).0 - 69.08).abs() < 0.01);
    }
}

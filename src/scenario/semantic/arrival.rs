//! Arrival processes.

use super::Report;
use crate::time::Span;
use crate::workload::{ArrivalSettings, RateSettings};

/// Least shape of the gaps between arrivals. Measured bursts of LLM traffic lie far above; below, a gap's distribution function
/// can hardly be inverted in floating point.
const SHAPE_MIN: f64 = 0.001;

pub(super) fn check(path: &str, arrival: &ArrivalSettings, report: &mut Report<'_>) {
    if let Some(rate) = arrival.rate() {
        check_rate(path, rate, report);
    }
    if let ArrivalSettings::ClosedLoop { clients, .. } = arrival {
        report.limit(&format!("{path}.clients"), "clients", clients.value().into());
    }
    if let ArrivalSettings::Gamma { burstiness: shape, .. } | ArrivalSettings::Weibull { shape, .. } = arrival
        && shape.value() < SHAPE_MIN
    {
        let key = if matches!(arrival, ArrivalSettings::Gamma { .. }) { "burstiness" } else { "shape" };
        let message = format!("at `{key}` {shape} nearly all requests come at one instant");
        report.error(&format!("{path}.{key}"), message, format!("write at least {SHAPE_MIN}; 1 is Poisson"));
    }
    match arrival {
        ArrivalSettings::OnOff { on_rate, off_rate, mean_on, mean_off } => {
            if on_rate.value() == 0.0 && off_rate.value() == 0.0 {
                report.error(&format!("{path}.on_rate"), "nothing ever arrives at these rates", "make one of them more than 0");
            }
            for (key, mean) in [("mean_on", mean_on), ("mean_off", mean_off)] {
                if *mean == Span::ZERO {
                    report.error(&format!("{path}.{key}"), format!("`{key}` cannot be 0"), "write a mean time above 0");
                }
            }
        }
        ArrivalSettings::ClosedLoop { think: Some(think), .. } => {
            if let Err(wrong) = think.check() {
                report.error(&format!("{path}.think"), wrong, "correct the distribution of the think time");
            }
        }
        ArrivalSettings::Recorded { file } if file.is_empty() => {
            report.error(&format!("{path}.file"), "the name of the recorded list is empty", "name a file beside the scenario");
        }
        _ => {}
    }
}

fn check_rate(path: &str, rate: &RateSettings, report: &mut Report<'_>) {
    match (rate.rate, rate.load) {
        (Some(_), Some(_)) => {
            let help = "keep `rate` (requests a second) or `load` (share of the measured capacity)";
            report.error(&format!("{path}.load"), format!("`{path}` gives both `rate` and `load`"), help);
        }
        (None, None) => {
            let help = "add `rate` (requests a second) or `load` (share of the measured capacity)";
            report.error(path, format!("`{path}` gives neither `rate` nor `load`"), help);
        }
        _ => {}
    }
    for (i, pair) in rate.steps.windows(2).enumerate() {
        if pair[1].at <= pair[0].at {
            let message = format!("the step at {} does not come after the one at {}", pair[1].at, pair[0].at);
            report.error(&format!("{path}.steps[{}].at", i + 1), message, "put the steps in order of time");
        }
    }
    if !rate.steps.is_empty() && rate.steps.iter().all(|step| step.factor.value() == 0.0) && rate.steps[0].at == Span::ZERO {
        report.error(&format!("{path}.steps"), "nothing ever arrives with these steps", "make one of the factors more than 0");
    }
    if rate.sine.is_some_and(|sine| sine.period == Span::ZERO) {
        report.error(&format!("{path}.sine.period"), "a swing cannot take no time", "write a period above 0");
    }
}

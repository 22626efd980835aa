//! The figures of a recorded run, to lay beside the simulated ones.

use super::Failure;
use crate::latency::Latency;
use crate::report::Figures;
use crate::scenario::{Scenario, Warmup};
use crate::time::Time;
use crate::trace::{self, Record};

/// The measured run that the scenario names, if it names one.
///
/// # Errors
/// If the file cannot be read.
pub fn figures(scenario: &Scenario) -> Result<Option<Figures>, Failure> {
    let Some(measured) = &scenario.file.measured else { return Ok(None) };
    let files = scenario.files();
    let file = files.iter().find(|file| file.name == measured.file).expect("a scenario lists its own files");
    let trace = trace::read(&file.resolved)
        .map_err(|error| Failure::from(scenario.diagnose(0, "measured.file", error.to_string(), None)))?;
    let (mut ttft, mut e2e) = (Latency::new(), Latency::new());
    // The same cohort as the simulated one.
    let start = match scenario.run.warmup {
        Warmup::Time(lasting) => Time::ZERO + lasting,
        Warmup::Mser5 => Time::ZERO,
    };
    let end = Time::ZERO + scenario.run.duration;
    let cohort: Vec<&Record> = trace.records.iter().filter(|record| (start..end).contains(&record.arrival)).collect();
    for record in &cohort {
        if let (true, Some(first), Some(last)) = (record.is_complete(), record.first_byte, record.last_byte) {
            ttft.record(first - record.arrival);
            e2e.record(last - record.arrival);
        }
    }
    let completed = e2e.count() as f64;
    let offered = cohort.len() as f64;
    let span_s = (end - start).as_secs_f64();
    Ok(Some(Figures {
        completed_share: (offered > 0.0).then(|| completed / offered),
        wasted_prefill_share: None,
        completed_rps: Some(completed / span_s),
        ttft_p50_s: ttft.quantile_s(0.5),
        ttft_p90_s: ttft.quantile_s(0.9),
        e2e_p50_s: e2e.quantile_s(0.5),
        e2e_p90_s: e2e.quantile_s(0.9),
    }))
}

//! The whole report as text.

use super::envelope::{LoadReport, digest_text};
use super::format::{count, number, wrap};
use super::{overview, rungs, variant, verdict};
use crate::journal::summary::Summary;

/// Formulas behind the tables' figures, once for all.
const NOTES: &str = "good: complete, full length, within its SLO, as a share of everything offered. Latencies are of admitted \
    (answered) requests, from the intended first arrival: TTFT = first token - arrival; TPOT = (e2e - TTFT) / (output tokens \
    - 1); ITL = every gap between tokens; e2e = last byte - arrival; wait = begin of service - the last attempt's arrival. \
    Intervals are 95 %, over replications. retried counts requests with more than one attempt.";

/// Verdict, what was run, overview (of several variants, and of what they did in front of a metered API), a table for each variant, notes.
#[must_use]
pub fn text(scenario: &str, seed: u64, load: Option<&LoadReport>, summary: &Summary) -> String {
    let mut parts = vec![verdict(summary), run_lines(scenario, seed, load, summary)];
    if summary.variants.len() > 1 {
        parts.push(overview(summary));
        parts.extend(rungs::table(summary));
    }
    parts.extend(summary.variants.iter().map(variant));
    parts.push(wrap(NOTES) + "\n");
    parts.join("\n")
}

fn run_lines(scenario: &str, seed: u64, load: Option<&LoadReport>, summary: &Summary) -> String {
    let many = if summary.replications == 1 { "" } else { "s" };
    let run = format!(
        "{scenario}, seed {seed}, {} replication{many}, digest {}.",
        count(summary.replications as u64),
        digest_text(summary.digest)
    );
    let load = load.map_or(String::new(), |load| {
        let (rate, clients) = (number(load.capacity_rps), count(u64::from(load.clients)));
        wrap(&format!(
            "Load 1.0 is {rate} requests/s: a closed loop of {clients} client{}, one for each of the {}.",
            if load.clients == 1 { "" } else { "s" },
            seats(load)
        )) + "\n"
    });
    wrap(&run) + "\n" + &load
}

fn seats(load: &LoadReport) -> &'static str {
    if load.of == "slots" { "gateway's slots" } else { "upstream's places" }
}

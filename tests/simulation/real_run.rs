//! A measured overload run, simulated: vLLM 0.32.0 on a CPU, 1.5 times the load that it sustains, clients who leave after 8 s
//! without a token (`scenarios/runs/vllm_cpu_16m_overload.jsonl.zst`). The preset `cpu-16m` is fitted to other, closed-loop
//! runs of that server; nothing here was fitted to this one.

use plimsoll::journal::summary::VariantSummary;
use plimsoll::latency::Latency;
use plimsoll::scenario::Scenario;
use plimsoll::sim;
use plimsoll::trace;

use crate::common::{project, summary};

const RUN: &str = "runs/vllm_cpu_16m_overload.jsonl.zst";

/// The arrivals of the run and clients as patient as its own.
const SCENARIO: &str = r#"
schema = 1
run = { replications = 1, duration = "90s", drain = "60s" }
upstream = { kind = "vllm", preset = "cpu-16m" }
arrival = { process = "recorded", file = "runs/vllm_cpu_16m_overload.jsonl.zst" }
[[class]]
name = "request"
timeout = { first_token = "8s" }
"#;

struct Measured {
    offered: usize,
    ttft: Latency,
    e2e: Latency,
}

fn measured() -> Measured {
    let trace = trace::read(&project("scenarios").join(RUN)).expect("a fixture of this project");
    let (mut ttft, mut e2e) = (Latency::new(), Latency::new());
    for record in &trace.records {
        if let (true, Some(first), Some(last)) = (record.is_complete(), record.first_byte, record.last_byte) {
            ttft.record(first - record.arrival);
            e2e.record(last - record.arrival);
        }
    }
    Measured { offered: trace.records.len(), ttft, e2e }
}

fn simulated() -> VariantSummary {
    // Beside the shipped scenarios, whose folder the file's name is relative to.
    let folder = tempfile::tempdir_in(project("scenarios")).expect("a temporary folder");
    let file = folder.path().join("run.toml");
    std::fs::write(&file, SCENARIO.replace("runs/", "../runs/")).expect("a temporary file");
    let scenario = Scenario::load(&file, &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    let prepared = sim::prepare(&scenario).unwrap_or_else(|wrong| panic!("{wrong}"));
    summary(&prepared, 1).variants.remove(0)
}

#[test]
fn the_measured_overload_run_is_reproduced() {
    let (real, model) = (measured(), simulated());
    assert_eq!((real.offered, real.e2e.count()), (783, 516), "the fixture is the run that its notes describe");
    assert_eq!(model.counts.offered, real.offered as u64);
    let points = 100.0 * (model.counts.completed() as f64 - real.e2e.count() as f64) / real.offered as f64;
    println!("completed: {points:+.1} points");
    assert!(points.abs() <= 5.0, "completed share: {points:+.1} points off");
    let rows = [
        ("ttft p50", real.ttft.quantile_s(0.5), model.metrics.ttft.p50, 0.15),
        ("ttft p90", real.ttft.quantile_s(0.9), model.metrics.ttft.p90, 0.15),
        ("e2e p50", real.e2e.quantile_s(0.5), model.metrics.e2e.p50, 0.10),
        ("e2e p90", real.e2e.quantile_s(0.9), model.metrics.e2e.p90, 0.10),
    ];
    for (name, real, model, tolerance) in rows {
        let (real, model) = (real.expect("answers"), model.expect("answers"));
        println!("{name}: {real:.3} s measured, {model:.3} s simulated");
        assert!((model / real - 1.0).abs() <= tolerance, "{name}: {real} s measured, {model} s simulated");
    }
}

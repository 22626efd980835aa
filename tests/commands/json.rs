//! `--format json`: one object of exactly the published shape on standard output, and nothing else there.

use serde_json::Value;

use super::{plimsoll, short_queue, told};

const COUNTS: &str = "offered good late degraded rejected timed_out gave_up failed in_flight attempts retried policy_degraded \
    abandoned_counted_max abandoned_true_max";
const METRICS: &str = "goodput_rps goodput_fraction ttft_s tpot_s itl_s e2e_s wait_s queue_len in_system wait_probability \
    wasted_tokens wasted_fraction utilisation blocked_fraction abandon_fraction";
const EIGHT: [&str; 8] = ["good", "late", "degraded", "rejected", "timed_out", "gave_up", "failed", "in_flight"];

fn has_keys(value: &Value, keys: &str) {
    let mut found: Vec<&str> =
        value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().map(String::as_str).collect();
    let mut wanted: Vec<&str> = keys.split_whitespace().collect();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

fn is_hex(value: &Value) {
    let text = value.as_str().unwrap();
    assert!(text.len() == 16 && text.chars().all(|c| c.is_ascii_hexdigit()), "{text}");
}

fn figures(part: &Value, whole: bool) {
    let (counts, metrics) = (&part["counts"], &part["metrics"]);
    has_keys(counts, COUNTS);
    has_keys(metrics, METRICS);
    let number = |value: &Value| match value {
        Value::Object(reasons) => reasons.values().map(|n| n.as_u64().unwrap()).sum(),
        value => value.as_u64().unwrap(),
    };
    assert!(counts["rejected"].is_object() && counts["failed"].is_object());
    assert_eq!(EIGHT.iter().map(|column| number(&counts[*column])).sum::<u64>(), number(&counts["offered"]));
    for mean in [
        "goodput_rps",
        "goodput_fraction",
        "wait_probability",
        "wasted_tokens",
        "wasted_fraction",
        "blocked_fraction",
        "abandon_fraction",
    ] {
        has_keys(&metrics[mean], "mean ci95");
    }
    for latency in ["ttft_s", "tpot_s", "itl_s", "e2e_s"] {
        has_keys(&metrics[latency], "mean p50 p90 p99");
    }
    has_keys(&metrics["wait_s"], "mean p50 p90 p99 ci95");
    for (run_only, keys) in [("queue_len", "mean ci95"), ("in_system", "mean ci95"), ("utilisation", "mean")] {
        if whole { has_keys(&metrics[run_only], keys) } else { assert_eq!(metrics[run_only], Value::Null) }
    }
}

/// Checks the whole shape; the object.
fn check(stdout: &[u8]) -> Value {
    let text = told(stdout);
    assert_eq!(text.matches('\n').count(), 1, "one object on one line");
    let json: Value = serde_json::from_str(&text).unwrap();
    has_keys(&json, "schema scenario seed replications digest load variants paired");
    assert!(json["seed"].is_string());
    is_hex(&json["digest"]);
    for variant in json["variants"].as_array().unwrap() {
        has_keys(variant, "name digest label counts metrics metered fairness_jain classes");
        assert_eq!(variant["metered"], Value::Null, "no policy here stands in front of a metered API");
        is_hex(&variant["digest"]);
        assert!(["stable", "saturated", "collapsing"].contains(&variant["label"].as_str().unwrap()));
        figures(variant, true);
        variant["classes"].as_object().unwrap().values().for_each(|class| figures(class, false));
    }
    for pair in json["paired"].as_array().unwrap() {
        has_keys(pair, "a b metric difference ci95");
    }
    json
}

#[test]
fn a_station_has_the_published_shape() {
    let output = short_queue(&["--format", "json"]);
    assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""));
    let json = check(&output.stdout);
    assert_eq!((&json["scenario"], &json["replications"]), (&"queue_mmc".into(), &2.into()));
    assert_eq!(json["variants"][0]["metrics"]["tpot_s"]["mean"], Value::Null, "a station has no tokens");
    assert_eq!(json["variants"][0]["metrics"]["goodput_rps"]["ci95"].as_array().unwrap().len(), 2);
}

#[test]
fn one_replication_has_no_intervals() {
    let json = check(&short_queue(&["--format", "json", "--replications", "1", "--seed", "18446744073709551615"]).stdout);
    assert_eq!(json["seed"], "18446744073709551615");
    assert_eq!(json["variants"][0]["metrics"]["goodput_rps"]["ci95"], Value::Null);
    assert!(json["variants"][0]["metrics"]["goodput_rps"]["mean"].is_f64());
}

#[test]
fn vllm_variants_have_the_published_shape_and_are_paired() {
    let output = plimsoll(&[
        "simulate",
        "scenarios/vllm_overload.toml",
        "--set",
        "run.duration=2s",
        "--set",
        "run.drain=10s",
        "--replications",
        "1",
        "--format",
        "json",
        "--quiet",
    ]);
    assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""));
    let json = check(&output.stdout);
    let pair = &json["paired"][0];
    assert_eq!((&pair["a"], &pair["ci95"]), (&json["variants"][0]["name"], &Value::Null));
    assert!(json["variants"].as_array().unwrap().len() > 2 && json["load"]["capacity_rps"].as_f64().unwrap() > 0.0);
}

#[test]
fn check_says_in_json_what_is_wrong_with_flags_too() {
    let output = plimsoll(&["check", "scenarios/queue_mmc.toml", "--format", "json", "--from-flags", "--nonsense"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["ok"]), (Some(2), &Value::Bool(false)));
    assert!(json["errors"][0]["message"].as_str().unwrap().contains("--nonsense"), "{json}");
}

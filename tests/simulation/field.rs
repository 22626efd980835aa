//! The field's own policies in front of an overloaded vLLM server, through the whole simulator.

use plimsoll::journal::summary::Summary;

use crate::common::{prepared, summary};

const SCENARIO: &str = r#"
schema = 1
run = { duration = "90s", warmup = "30s", drain = "30s", replications = 2, seed = 3 }
upstream = { kind = "vllm", preset = "llama-3.1-8b-h100" }

[[class]]
name = "chat"
arrival = { process = "poisson", rate = 90 }
input = { dist = "fixed", value = 500 }
output = { dist = "fixed", value = 200 }
slo = { ttft = "2s", e2e = "20s" }
timeout = { first_token = "10s" }

[[variant]]
name = "none"

[[variant]]
name = "signals"
policy.signals = {}

[[variant]]
name = "gradient2"
policy.concurrency = { max_concurrent_requests = 64, adaptive = { algorithm = "gradient2", max = 256, rtt_tolerance = 2.0 } }
policy.queue = { max_queue_size = 50 }

[[variant]]
name = "throttle"
policy.concurrency = { max_concurrent_requests = 256 }
policy.queue = { max_queue_size = 50 }
policy.throttle = { rule = "sre" }

[[variant]]
name = "rate"
policy.rate_limit = { requests = 50, per = "1s" }

[[variant]]
name = "depth"
policy.concurrency = { max_concurrent_requests = 256 }
policy.queue = { max_queue_size = 100, graduated = { first = 10, last = 60 } }
"#;

/// Good requests of variant `name`, over its offered ones.
fn good(summary: &Summary, name: &str) -> f64 {
    let variant = summary.variants.iter().find(|variant| variant.name == name).expect("a variant of the scenario");
    variant.counts.good as f64 / variant.counts.offered as f64
}

/// Whoever sheds the excess serves more than a server that is left alone with it.
#[test]
fn each_serves_more_than_no_control() {
    let prepared = prepared(SCENARIO);
    let summary = summary(&prepared, 2);
    let none = good(&summary, "none");
    for name in ["signals", "gradient2", "throttle", "rate", "depth"] {
        let good = good(&summary, name);
        assert!(good > none + 0.2, "{name}: {good:.3} against {none:.3} without control");
    }
}

//! What is not there to be tuned: what users do, what they are promised, and what the machine is.
//!
//! A search that may change these finds that fewer users, weaker promises or a faster machine make the figures better, which is
//! true and of no use.

use crate::scenario::{Path, Step};

/// What an operator sets, for people.
pub(super) const TUNABLE: &str = "tune what an operator sets: `policy.*`, the limits of a vLLM server (such as `upstream.max_num_seqs`, \
    `upstream.max_num_batched_tokens` or `upstream.replicas`), `upstream.servers` and `upstream.places` of a station, or \
    `class[..].priority`";

const DEMAND: &str = "is what users ask for, and not what an operator sets";
const CLIENT: &str = "is how users behave, and not what an operator sets";
const PROMISE: &str = "is what good means: with it every candidate would be measured by another yardstick";
const MACHINE: &str = "is what the machine can do, and not what an operator sets";
const PROVIDER: &str = "is what the provider does, and not what an operator sets";
const RUN: &str = "is how the scenario is run, and no setting of a system";

/// Why the setting at `path` is not an operator's choice; `None` where it is, or where there is no such setting.
pub(super) fn why_not(path: &Path) -> Option<&'static str> {
    let keys: Vec<&str> =
        path.steps().filter_map(|step| if let Step::Key(key) = step { Some(key.as_str()) } else { None }).collect();
    match keys[..] {
        ["arrival", ..] => Some(DEMAND),
        ["class", key, ..] => of_class(key),
        ["upstream", key, ..] => of_upstream(key),
        ["run" | "sweep" | "variant" | "tune" | "measured" | "schema" | "about", ..] => Some(RUN),
        _ => None,
    }
}

fn of_class(key: &str) -> Option<&'static str> {
    match key {
        "name"
        | "arrival"
        | "weight"
        | "tenants"
        | "input"
        | "output"
        | "lengths"
        | "max_tokens"
        | "prefix"
        | "streaming"
        | "grounded"
        | "vantage_policy"
        | "country"
        | "proxy_mode"
        | "usage_ratio"
        | "grounded_usage_ratio"
        | "estimate_sigma" => Some(DEMAND),
        "timeout" | "retry" | "patience" => Some(CLIENT),
        "slo" => Some(PROMISE),
        _ => None,
    }
}

fn of_upstream(key: &str) -> Option<&'static str> {
    match key {
        "kind" | "preset" | "cost" | "host" | "speed" | "speed_sigma" | "num_gpu_blocks" | "service" | "calibration" => {
            Some(MACHINE)
        }
        "tokens_per_minute"
        | "requests_per_minute"
        | "limiter"
        | "charge_excess"
        | "latency"
        | "class_latency"
        | "error_rate"
        | "error_after"
        | "refused_after"
        | "proxy" => Some(PROVIDER),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::schema::{Keys, Rule, sections_rule};

    fn why(path: &str) -> Option<&'static str> {
        why_not(&path.parse().unwrap())
    }

    #[test]
    fn what_users_do_and_what_the_world_is_cannot_be_tuned() {
        for path in [
            "arrival.rate",
            "class[0].arrival.load",
            "class[1].weight",
            "class[0].output.mean",
            "class[0].max_tokens",
            "class[0].patience.mean",
            "class[0].timeout.total",
            "class[0].retry.max_attempts",
            "class[0].slo.ttft",
            "upstream.speed",
            "upstream.cost.base",
            "upstream.service.mean",
            "upstream.tokens_per_minute",
            "run.duration",
        ] {
            assert!(why(path).is_some(), "{path} was taken");
        }
    }

    #[test]
    fn what_an_operator_sets_can_be_tuned() {
        for path in [
            "policy.queue.max_queue_size",
            "upstream.max_num_seqs",
            "upstream.replicas",
            "upstream.gpu_memory_utilization",
            "upstream.servers",
            "upstream.places",
            "class[0].priority",
        ] {
            assert_eq!(why(path), None, "{path}");
        }
    }

    /// Every setting of a class and of an upstream that the schema knows is either refused here or one of those that are meant.
    #[test]
    fn every_setting_is_one_or_the_other() {
        let Rule::Table(sections) = sections_rule() else { panic!("a scenario is a table") };
        let class = match &sections.known["class"] {
            Rule::List { items, .. } => items.tables().collect::<Vec<_>>(),
            other => panic!("classes are a list, not {other:?}"),
        };
        let upstream = sections.known["upstream"].tables().collect();
        let keys = |tables: Vec<&Keys>| -> Vec<String> { tables.iter().flat_map(|keys| keys.known.keys().cloned()).collect() };
        let operators = [
            "priority",
            "servers",
            "places",
            "max_num_seqs",
            "max_num_batched_tokens",
            "max_model_len",
            "block_size",
            "enable_prefix_caching",
            "max_num_queued_reqs",
            "max_num_queued_tokens",
            "replicas",
            "routing",
            "gpu_memory_utilization",
        ];
        for key in keys(class) {
            assert!(why(&format!("class[0].{key}")).is_some() != operators.contains(&key.as_str()), "class.{key}");
        }
        for key in keys(upstream) {
            assert!(why(&format!("upstream.{key}")).is_some() != operators.contains(&key.as_str()), "upstream.{key}");
        }
    }
}

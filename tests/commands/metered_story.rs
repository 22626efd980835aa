//! `explain` in front of a metered API: what policies did to a request is said, and such requests are found.

use std::fs;

use super::{plimsoll, told};

const SCENARIO: &str = r#"
schema = 1
run = { duration = "4m", replications = 2 }
policy.limiter = { window = "sliding_log" }
policy.breaker = { trip = "consecutive", threshold = 2, cooldown = "20s" }
policy.finalise = { sla = "45s", timeout = "20s" }

[upstream]
kind = "token_api"
tokens_per_minute = 30_000
latency = { first_token = { dist = "fixed", value = "1s" }, search = { dist = "uniform", min = "1s", max = "60s" } }
proxy = { rotating = { error_rate = 0.5 } }

[[class]]
name = "research"
arrival = { process = "constant", rate = 0.06 }
grounded = 1
vantage_policy = { ALS_PLUS_PROXY = 1 }
country = [{ country = "DE" }]
input = { dist = "fixed", value = 500 }
output = { dist = "fixed", value = 1500 }
max_tokens = 3000
retry = { max_attempts = 2, budget = { ratio = 0.01, burst = 1 } }
timeout = { total = "2m" }
streaming = false

[[class]]
name = "whale"
arrival = { process = "constant", rate = 0.01 }
input = { dist = "fixed", value = 30000 }
max_tokens = 3000
"#;

/// The first request of replication 0 that `what` happened to.
fn first(journal: &str, what: &str) -> String {
    let listed = told(&plimsoll(&["explain", journal, "--find", what]).stdout);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "a line a replication: {listed}");
    let (head, ids) = lines[0].rsplit_once(": ").unwrap();
    assert!(head.starts_with(&format!("variant \"base\", replication 0, {what}: ")) && head.contains(" request"), "{listed}");
    ids.split(", ").next().unwrap().to_owned()
}

#[test]
fn what_happened_to_a_request_is_said_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let journal = path("j.jsonl");
    fs::write(path("a.toml"), SCENARIO).unwrap();
    assert_eq!(plimsoll(&["simulate", &path("a.toml"), "--quiet", "--journal", &journal]).status.code(), Some(0));
    let says = [
        ("opened", "breaker    opens by this call's end: no call through DE/rotating until "),
        ("redispatched", "starts another call, at most "),
        ("without-proxy", "reserved, ALS_ONLY and not ALS_PLUS_PROXY"),
        ("trimmed", " (trimmed from 3000), "),
        ("finalised", "starts a last call before the SLA is missed, at most 500 tokens (instead of 3000), "),
        ("retry-denied", "client     would try again: the retry budget has no retry left"),
        ("rejected", "answers 413 over_budget: needs 36300 tokens, and a window has 25500"),
        ("good", "its headers: "),
        ("waited", "budget     wait: "),
    ];
    for (what, says) in says {
        let id = first(&journal, what);
        let story = told(&plimsoll(&["explain", &journal, "--request", &id]).stdout);
        assert!(story.contains(says), "{what}, request {id}: {says:?} is not in\n{story}");
        let head = story.lines().next().unwrap();
        assert_eq!(
            head.contains("(limit 3000), grounded ALS_PLUS_PROXY by DE/rotating, wanted at "),
            what != "rejected",
            "{head}"
        );
    }
}

#[test]
fn what_cannot_be_found_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let journal = path("j.jsonl");
    fs::write(path("a.toml"), SCENARIO).unwrap();
    plimsoll(&["simulate", &path("a.toml"), "--quiet", "--journal", &journal]);
    let run = |more: &[&str]| plimsoll(&[&["explain", &journal], more].concat());
    let none = run(&["--find", "abandoned", "--replication", "1"]);
    assert_eq!(told(&none.stdout), "variant \"base\", replication 1, abandoned: none\n");
    for (more, says) in [
        (&["--find", "good", "--variant", "x"][..], "has no run of variant \"x\"\n"),
        (&["--find", "good", "--replication", "7"], "has no run of replication 7\n"),
        (&["--find", "nonsense"], "[possible values: good, late,"),
        (&["--find", "good", "--request", "1"], "cannot be used with"),
        (&[], "--request"),
    ] {
        let output = run(more);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{more:?}");
        assert!(told(&output.stderr).contains(says), "{more:?}: {}", told(&output.stderr));
    }
}

//! `check` in front of a metered API: what is offered, and what a change switches on.

use std::fs;

use super::{plimsoll, told};

const SCENARIO: &str = r#"
schema = 1
arrival = { process = "poisson", rate = 0.1 }
upstream = { kind = "token_api", tokens_per_minute = 30_000, limiter = { kind = "reserve_and_settle" } }
[[class]]
name = "a"
input = { dist = "fixed", value = 1000 }
output = { dist = "fixed", value = 500 }
max_tokens = 1000
[[variant]]
name = "none"
[[variant]]
name = "limiter"
policy.limiter = { window = "sliding_log", multiplier_min = 1 }
"#;

fn check(more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, SCENARIO).unwrap();
    let output = plimsoll(&[&["check", path.to_str().unwrap()], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    told(&output.stdout)
}

#[test]
fn what_is_offered_stands_at_the_head() {
    // 6 calls a minute of 1500 tokens.
    let tokens = "tokens: 9000 a minute offered, without retries, of 30000 that the provider serves (30.0 %)\n";
    assert!(check(&[]).starts_with(&format!("a: ok (2 variants, 1 class)\n{tokens}")), "{}", check(&[]));
    let one = check(&["--set", "variant[1].upstream.tokens_per_minute=9000"]);
    assert!(one.contains(&format!("\nnone: {tokens}limiter: tokens: 9000 a minute offered")), "{one}");
    assert!(one.contains("of 9000 that the provider serves (100.0 %)"), "{one}");
}

#[test]
fn a_change_that_switches_a_policy_on_is_told() {
    let said = |set: &str| check(&["--set", set]);
    let told = said("policy.limiter.tpm_limit=25000");
    let lint = "\nwarning[set_switches_on]: policy.limiter.tpm_limit in none\n  `--set policy.limiter.tpm_limit` switches \
                `policy.limiter` on here, where it was off";
    assert!(told.contains(lint), "{told}");
    assert!(said("policy.breaker.threshold=3").contains("[set_switches_on]: policy.breaker.threshold\n"));
    for meant in
        ["policy.limiter.mode='observe'", "policy.limiter={}", "variant[1].policy.limiter.tpm_limit=25000", "run.seed=2"]
    {
        assert!(!said(meant).contains("set_switches_on"), "{meant}: {}", said(meant));
    }
}

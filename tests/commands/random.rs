//! Random arguments and settings never end in a panic: always with an exit code that is documented.

use proptest::prelude::*;

use super::{plimsoll, short_queue, told};

/// Ends as documented: 0 to 4, and a word on standard error unless it is 0.
fn ends_well(output: &std::process::Output) -> Result<(), TestCaseError> {
    let said = told(&output.stderr);
    prop_assert!(matches!(output.status.code(), Some(0..=4)), "{:?}: {said}", output.status);
    prop_assert!(output.status.success() || !said.is_empty());
    Ok(())
}

fn argument() -> impl Strategy<Value = String> {
    let words = [
        "simulate",
        "check",
        "explain",
        "schema",
        "help",
        "--set",
        "--seed",
        "--format",
        "json",
        "table",
        "--assert",
        "--strict",
        "--request",
        "1",
        "0",
        "-1",
        "--variant",
        "base",
        "--from-flags",
        "--max_queue_size 5",
        "class[0].weight=2",
        "=",
        "--help",
        "-V",
        "--",
        "--jobs",
        "2",
        "none.toml",
        "goodput_rps>0",
        "--quiet",
        "tests/commands/bad_scenarios/negative_rate.toml",
    ];
    prop_oneof![9 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "[^\0]{0,12}"]
}

fn set() -> impl Strategy<Value = String> {
    let paths = [
        "run.seed",
        "run.replications",
        "run.duration",
        "run.warmup",
        "run.drain",
        "run.load_of",
        "run.streams",
        "run.baseline",
        "upstream.servers",
        "upstream.places",
        "upstream.service",
        "upstream.service.mean",
        "upstream.kind",
        "class[0].arrival.rate",
        "class[0].arrival",
        "class[0].weight",
        "class[0].patience",
        "class[0].timeout",
        "class[0].retry",
        "class[0].slo",
        "class",
        "policy.queue",
        "policy.timeout",
        "policy.concurrency",
        "policy.graduated",
        "variant",
        "sweep",
        "schema",
        "class[1].name",
        "about",
        "",
    ];
    let values = [
        "0",
        "1",
        "-1",
        "2",
        "0.5",
        "1e9",
        "1e300",
        "nan",
        "-0.0",
        "true",
        "{}",
        "[]",
        "''",
        "'5s'",
        "'0s'",
        "'1ns'",
        "'100d'",
        "mser5",
        "slots",
        "sequential",
        "{ max_queue_size = 1 }",
        "{ request_timeout = '1s' }",
        "{ max_concurrent_requests = 1 }",
        "{ max_abandoned = 1 }",
        "{ total = '1s', announce = true }",
        "{ max_attempts = 3, backoff_base = '0s', backoff_cap = '0s' }",
        "{ dist = 'fixed', value = '1s' }",
        "{ dist = 'exponential', mean = '2s' }",
        "{ process = 'closed_loop', clients = 3 }",
        "{ process = 'constant', rate = 2 }",
        "[{ name = 'x' }]",
        "{ path = 'upstream.servers', values = [1, 2] }",
        "{ e2e = '1s' }",
        "'",
        "{",
        "\u{e4}\u{1F600}",
    ];
    (prop::sample::select(paths.to_vec()), prop::sample::select(values.to_vec()))
        .prop_map(|(path, value)| format!("{path}={value}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arguments(arguments in prop::collection::vec(argument(), 0..7)) {
        ends_well(&plimsoll(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))?;
    }

    #[test]
    fn settings(sets in prop::collection::vec(set(), 1..4)) {
        // What would take hours by itself is bounded last.
        let bounds = ["run.duration='20s'", "run.warmup='0s'", "run.drain='20s'"].map(str::to_owned);
        let sets: Vec<String> = sets.into_iter().chain(bounds).collect();
        let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
        ends_well(&short_queue(&arguments))?;
    }
}

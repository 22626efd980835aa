//! The command line in general: help, bad usage, `check`, `schema`, pipes that close.

use std::process::{Command, Output, Stdio};

use super::{plimsoll, told};

#[test]
fn check_says_ok_and_what_the_figures_say() {
    let output = plimsoll(&["check", "scenarios/queue_mmc.toml"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        told(&output.stdout),
        "queue_mmc: ok (1 variant, 1 class)\n\nnote[offered_load]: class[0].arrival.rate\n  0.8 requests a second are offered to 1 \
         served at once, 1 s each: 80 % of 1 a second; by Erlang C 80 % of them wait, 4 s on average over all\n"
    );
    assert_eq!(told(&output.stderr), "");
}

#[test]
fn check_refuses_with_code_2_and_says_why_on_standard_error() {
    let output = plimsoll(&["check", "scenarios/queue_mmc.toml", "--set", "upstream.placs=3"]);
    assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""));
    assert!(told(&output.stderr).contains("did you mean `places`?"));
    let missing = plimsoll(&["check", "no/such.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(told(&missing.stderr).starts_with("error: cannot read the scenario `no/such.toml`"));
}

#[test]
fn check_answers_programs_in_json() {
    let read = |output: &Output| -> serde_json::Value { serde_json::from_slice(&output.stdout).unwrap() };
    let good = read(&plimsoll(&["check", "--format", "json", "scenarios/queue_mmc.toml"]));
    assert_eq!((&good["ok"], &good["lints"][0]["code"]), (&true.into(), &"offered_load".into()));
    let bad = plimsoll(&["check", "--format", "json", "tests/commands/bad_scenarios/negative_rate.toml"]);
    let (code, bad) = (bad.status.code(), read(&bad));
    assert_eq!((code, &bad["errors"][0]["line"], &bad["errors"][0]["column"]), (Some(2), &10.into(), &41.into()));
}

#[test]
fn strict_takes_warnings_for_errors() {
    let overload = ["check", "scenarios/queue_mmc.toml", "--set", "class[0].arrival.rate=1.5"];
    assert_eq!(plimsoll(&overload).status.code(), Some(0));
    let strict = plimsoll(&[&overload[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(2));
    assert!(told(&strict.stdout).contains("warning[offered_load]") && told(&strict.stderr).contains("--strict"));
    assert_eq!(plimsoll(&["check", "--strict", "scenarios/queue_mmc.toml"]).status.code(), Some(0), "notes pass");
}

#[test]
fn a_running_systems_flags_become_every_variants_policies() {
    let with = |flags: &str| plimsoll(&["check", "scenarios/queue_mmc.toml", "--from-flags", flags]);
    let good = with("--max_queue_size 100 --max_abandoned_threads 10");
    assert_eq!(good.status.code(), Some(0));
    assert!(told(&good.stdout).contains("places 81 to 100 are never used"), "{}", told(&good.stdout));
    let bad = with("--max_queue_sise 100");
    assert_eq!(bad.status.code(), Some(2));
    assert!(told(&bad.stderr).contains("did you mean `--max_queue_size`?"), "{}", told(&bad.stderr));
}

#[test]
fn schema_prints_the_schema_that_is_enforced() {
    let output = plimsoll(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema, plimsoll::scenario::schema::publish());
}

#[test]
fn bad_usage_is_code_2_and_help_is_code_0() {
    for bad in [&["chek"][..], &[], &["check"], &["check", "a.toml", "--format", "xml"]] {
        let output = plimsoll(bad);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{bad:?}");
        assert!(!output.stderr.is_empty());
    }
    let help = plimsoll(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(told(&help.stdout).contains("3  an assertion did not hold"), "{}", told(&help.stdout));
    assert_eq!(told(&plimsoll(&["--version"]).stdout), concat!("plimsoll ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let short = ["simulate", "scenarios/queue_mmc.toml", "--replications", "1", "--set", "run.duration=30m", "--quiet"];
    for arguments in [&["schema"][..], &["--help"], &short] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

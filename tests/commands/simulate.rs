//! `simulate`: what is written where, whole or not at all; assertions; another system's flags.

use std::fs;

use super::{plimsoll, short_queue, told};

#[test]
fn a_result_folder_holds_what_was_printed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a/b");
    let journal = folder.path().join("run.jsonl.zst");
    let output = short_queue(&["--out", out.to_str().unwrap(), "--journal", journal.to_str().unwrap()]);
    assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""));
    let (text, shown) = (fs::read_to_string(out.join("result.txt")).unwrap(), told(&output.stdout));
    assert!(shown.strip_prefix(&text).is_some_and(|rest| rest.starts_with("\nWritten: ")), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(out.join("result.json")).unwrap()).unwrap();
    assert_eq!(json["seed"], "1");
    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["plots", "report.html", "result.json", "result.txt"], "no temporary file stays");
    assert!(fs::metadata(&journal).unwrap().len() > 0 && fs::read_dir(folder.path()).unwrap().count() == 2);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let one = short_queue(&["--format", "json", "--jobs", "1"]);
    assert_eq!(one.stdout, short_queue(&["--format", "json", "--jobs", "3"]).stdout);
    assert_ne!(one.stdout, short_queue(&["--format", "json", "--seed", "2"]).stdout);
}

#[test]
fn an_assertion_that_fails_is_code_3_and_says_what_was_found() {
    let good = short_queue(&["--assert", "goodput_fraction>=1", "--assert", "mean_wait_ms{variant=base,class=request}<60000"]);
    assert_eq!((good.status.code(), told(&good.stderr).as_str()), (Some(0), ""));
    let bad = short_queue(&["--assert", "goodput_fraction<0.5"]);
    assert_eq!(bad.status.code(), Some(3));
    assert_eq!(told(&bad.stderr), "assertion failed: goodput_fraction<0.5: 1 in \"base\"\n");
    assert!(!bad.stdout.is_empty(), "the result is shown all the same");
    let absent = short_queue(&["--assert", "p99_tpot_ms<=5"]);
    assert_eq!(told(&absent.stderr), "assertion failed: p99_tpot_ms<=5: nothing to measure in \"base\"\n");
}

#[test]
fn flags_of_a_running_system_take_the_capacity_that_a_variant_states() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let scenario = "schema = 1\nrun = { duration = '20s', replications = 2 }\n[upstream]\nkind = 'station'\nservers = 1\n\
                    service = { dist = 'fixed', value = '1s' }\n[[class]]\nname = 'a'\n\
                    arrival = { process = 'poisson', rate = 3 }\n[[variant]]\nname = 'none'\n";
    let stated = "[[variant]]\nname = 'stated'\npolicy.graduated.max_abandoned = 7\n";
    let run = |text: &str| {
        fs::write(&path, text).unwrap();
        let flags = "--max_queue_size 10 --queue_rejection_threshold=0.5";
        plimsoll(&["simulate", path.to_str().unwrap(), "--quiet", "--from-flags", flags, "--format", "json"])
    };
    let bad = run(scenario);
    assert_eq!(bad.status.code(), Some(2));
    assert!(told(&bad.stderr).contains("add `--max_abandoned_threads N`"), "{}", told(&bad.stderr));
    let good = run(&(scenario.to_owned() + stated));
    let json: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    let variants = json["variants"].as_array().unwrap();
    assert!(variants[0]["counts"]["rejected"]["queue_full"].as_u64().unwrap() > 0, "{variants:?}");
    assert_eq!((variants.len(), &variants[0]["name"]), (1, &"base".into()), "the same policies are run once");
}

#[test]
fn a_run_that_nothing_bounds_is_not_valid_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = short_queue(&["--set", "class[0].arrival.rate=1e8", "--replications", "1", "--out", out.to_str().unwrap()]);
    assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(4), ""));
    assert!(told(&output.stderr).contains("more than 2,000,000 attempts"), "{}", told(&output.stderr));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    // A client without a thought that is refused at once asks again a little later: time goes on.
    let loops = ["--set", "class[0].arrival={ process = \"closed_loop\", clients = 3 }", "--set", "upstream.places=1"];
    let output = short_queue(&[&loops[..], &["--replications", "1"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
}

#[test]
fn no_figure_of_the_table_is_nonsense() {
    let output = short_queue(&[]);
    let text = told(&output.stdout);
    for nonsense in ["NaN", "inf", "-0", "100.0 to 100.0", "1 clients", "1 replications"] {
        assert!(!text.contains(nonsense), "{nonsense} in:\n{text}");
    }
    let goodput = text.lines().find(|line| line.contains("req/s")).unwrap();
    assert!(goodput.contains(" to "), "two replications that differ have an interval: {goodput}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

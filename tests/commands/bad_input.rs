//! Bad input: what is wrong, where, what would be right; exit code 2; nothing half-written; nothing on standard output.

use std::fs;
use std::path::Path;

use super::{plimsoll, short_queue, told};

/// Runs into exit code 2 with an empty standard output; what standard error says.
fn refused(arguments: &[&str]) -> String {
    let output = plimsoll(arguments);
    let said = told(&output.stderr);
    assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{arguments:?}: {said}");
    said
}

/// The same for the plain queue; all of these must be in what is said.
fn refused_queue(more: &[&str], says: &[&str]) {
    let output = short_queue(more);
    let said = told(&output.stderr);
    assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{more:?}: {said}");
    assert!(says.iter().all(|part| said.contains(part)), "{more:?}: {said}");
}

#[test]
fn scenario_files_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    assert!(refused(&["simulate", folder.path().to_str().unwrap()]).contains("irectory"));
    assert!(refused(&["simulate", &file("binary.toml", b"\xff\xfe\0")]).contains("byte 0 is not UTF-8"));
    assert!(refused(&["simulate", &file("empty.toml", b"")]).contains("the scenario needs `schema`"));
    assert!(refused(&["simulate", &file("text.toml", b"dear reader")]).contains("text.toml:1:"));
    assert!(refused(&["simulate", &file("none.toml", b"schema = 1\nclass = []\n")]).contains("class"));
    if Path::new("/dev/zero").exists() {
        assert!(refused(&["check", "/dev/zero"]).contains("more than 16777216 bytes"));
    }
}

#[test]
fn files_of_another_kind_are_named_and_sent_where_they_belong() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let settings = file("settings.toml", "[limiter]\ntpm_limit = 90000\n");
    let env = file("my.env", "# ours\nOPENAI_TPM_LIMIT=90000\n");
    let typo = file("typo.env", "OPENAI_TPM_LIMIT 90000\n");
    let scenario = "scenarios/queue_mmc.toml";
    for command in ["check", "simulate"] {
        let said = refused(&[command, &settings]);
        assert_eq!(
            said,
            format!(
                "error: `{settings}` holds settings alone, and no scenario\n = put them into a scenario's `[policy]` (`plimsoll export \
                 {settings} --as toml` writes one) and name that scenario\n"
            )
        );
        let said = refused(&[command, &env]);
        assert_eq!(
            said,
            format!(
                "error: `{env}` holds an environment (lines `NAME=value`), and no scenario\n = name a scenario here, and this file \
                 behind `--from-env`: `SCENARIO --from-env {env}`\n"
            )
        );
        let said = refused(&[command, scenario, "--from-env", &settings]);
        assert!(
            said.contains("this file holds settings in TOML, and no environment (lines `NAME=value`)\n  = write"),
            "{said}"
        );
        let said = refused(&[command, scenario, "--from-env", scenario]);
        assert!(said.contains("this file holds a scenario, and no environment"), "{said}");
        assert!(said.ends_with("write its policies as one: `plimsoll export scenarios/queue_mmc.toml --as env`\n"), "{said}");
    }
    assert!(refused(&["export", &env, "--as", "toml"]).ends_with("holds an environment: name it behind `--from-env`\n"));
    let said = refused(&["check", scenario, "--from-env", &typo]);
    assert!(said.contains("line 1: `OPENAI_TPM_LIMIT 90000`: write `NAME=value`"), "{said}");
}

#[test]
fn settings_are_answered_with_the_place_and_the_remedy() {
    for (set, says) in [
        ("foo", "there is no `=` here"),
        ("foo=1", "the keys known here are"),
        ("class[5].weight=1", "`class` has one entry: `class[0]`"),
        ("class[99999999999999999999].weight=1", "is not a path"),
        ("class[0].arrival.rate=-1", "column 23"),
        ("class[0].arrival.rate=1e300", "lower the rate or shorten the run"),
        (
            "class[0].arrival={process=\"poisson\",rate=1,spikes=[{at=\"1s\",lasting=\"1s\",factor=1e300}]}",
            "requests in one replication",
        ),
        ("class[0].arrival={process=\"closed_loop\",clients=4000000000}", "4000000000 clients are too many"),
        ("run.duration=5 parsecs", "a duration in quotes with its unit"),
        ("run.duration=1000000000d", "run.duration"),
        ("run.duration=101d", "at most \"100d\""),
        ("run.replications=0", "run.replications"),
        ("run.replications=4000000000", "write at most 100000"),
        ("run.seed=-1", "from 0 to 18446744073709551615"),
        ("upstream.servers=4000000000", "at most 1000000 can be simulated"),
        ("upstream={kind=\"vllm\",preset=\"llama-3.1-8b-h100\",replicas=4000000000}", "places of all replicas are too many"),
        ("policy.queue.queue_rejection_threshold=1.5", "queue_rejection_threshold"),
        ("policy.queue.codel={}", "there is none"),
        ("class[0].weight=-0.5", "weight"),
    ] {
        refused_queue(&["--set", set], &["error: ", &format!("--set '{set}'"), says, "^"]);
    }
}

#[test]
fn options_out_of_range() {
    refused_queue(&["--jobs", "0"], &["0 is not in 1..=1024"]);
    refused_queue(&["--jobs", "65535"], &["1..=1024"]);
    refused_queue(&["--replications", "0"], &["1..=100000"]);
    refused_queue(&["--seed", "99999999999999999999"], &["--seed"]);
    refused_queue(&["--seed", "-1"], &["-1"]);
    refused_queue(&["--out", ""], &["--out"]);
    refused_queue(&["--assert", "goodput>=1"], &["there is no figure `goodput`", "goodput_fraction"]);
    refused_queue(&["--assert", "goodput_fraction{variant=x}>=0"], &["there is no such variant; there are: base"]);
    refused_queue(&["--assert", "goodput_fraction{class=x}>=0"], &["there is no such class as `x`; there are: request"]);
    refused_queue(&["--from-flags", "--request_timeout 0 --max_abandoned_threads 9"], &["seconds above 0, like 60"]);
}

#[test]
fn places_that_cannot_be_written_are_told_before_anything_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("file"), "mine").unwrap();
    // So long that a run would not end inside the test.
    let long = ["--set", "run.duration=30d", "--replications", "1000"];
    for (option, place, says) in [
        ("--out", "file", "a file stands where a folder must be"),
        ("--out", "file/x", "a file stands where a folder must be"),
        ("--journal", "file/j.jsonl", "a file stands where a folder must be"),
        ("--journal", "none/j.jsonl", "make its folder first"),
        ("--journal", ".", "a folder stands there"),
    ] {
        let place = path(place);
        let arguments = ["simulate", "scenarios/queue_mmc.toml", option, &place];
        let said = refused(&[&arguments[..], &long].concat());
        assert!(said.starts_with(&format!("error: cannot write `{place}`")) && said.contains(says), "{said}");
    }
    assert_eq!(fs::read_to_string(path("file")).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn recorded_arrivals_are_told_by_file_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("a.toml");
    let text = "schema = 1\narrival = { process = 'recorded', file = 'rows.csv' }\n[upstream]\nkind = 'station'\nservers = 1\n\
                service = { dist = 'fixed', value = '1s' }\n[[class]]\nname = 'a'\n";
    fs::write(&scenario, text).unwrap();
    let head = "time,input_tokens,output_tokens,class\n";
    for (rows, says) in [
        (None, "rows.csv: No such file"),
        (Some(String::new()), "has no row"),
        (Some(head.to_owned()), "has no row"),
        (Some(format!("{head}0.1,5,5,a\n0.2,x,5,a\n")), "rows.csv, line 3: `input_tokens` is `x`: expected a whole number"),
        (Some(format!("{head}0.1,5\n")), "line 2: 2 fields where the header has 4"),
        (Some(format!("{head}0.1,5,5,b\n")), "rows of class `b`, which the scenario does not know (it has a)"),
        (Some("when,tokens\n1,2\n".to_owned()), "there is no column `time`"),
    ] {
        let file = folder.path().join("rows.csv");
        rows.as_ref().map_or_else(|| assert!(!file.exists()), |rows| fs::write(&file, rows).unwrap());
        for command in ["check", "simulate"] {
            let said = refused(&[command, scenario.to_str().unwrap()]);
            assert!(said.contains(says) && said.contains("a.toml:2:"), "{command}, {rows:?}: {said}");
        }
    }
}

/// Every setting is in range, and together they make nothing that can run.
#[test]
fn what_cannot_be_run_is_told_before_it_is() {
    const HEAD: &str = "schema = 1\nrun = { duration = '10s', replications = 1 }\n";
    const STATION: &str = "upstream = { kind = 'station', servers = 1, service = { dist = 'fixed', value = '1s' } }\n";
    const VLLM: &str = "upstream = { kind = 'vllm', preset = 'llama-3.1-8b-h100' }\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.csv"), "time,input_tokens,output_tokens\n0.5,10,10\n").unwrap();
    fs::write(folder.path().join("none.csv"), "time,input_tokens,output_tokens\n").unwrap();
    let poisson = "arrival = { process = 'poisson', rate = 1 }\n";
    let recorded = |file: &str| format!("[[class]]\nname = 'a'\narrival = {{ process = 'recorded', file = '{file}' }}\n");
    let load = "arrival = { process = 'poisson', load = 0.5 }\n";
    for (text, says) in [
        (format!("{STATION}{}[[class]]\nname = 'b'\n{load}", recorded("rows.csv")), "load 1.0, which cannot be measured here"),
        (
            format!("{VLLM}{load}[[class]]\nname = 'a'\ninput = {{ dist = 'fixed', value = 500000 }}\n"),
            "context of 131072 tokens",
        ),
        (format!("{STATION}{}", recorded("none.csv")), "none.csv"),
        (format!("{STATION}{poisson}[[class]]\nname = 'a'\ntenants = 4294967295\n"), "over all classes are too many"),
        (
            format!(
                "{STATION}{poisson}[[class]]\nname = 'a'\n[[variant]]\nname = 'x'\n[[variant]]\nname = 'y'\nclass = [{{ name = 'b' }}]\n"
            ),
            "variant `y` has the classes b, and `x` has a",
        ),
    ] {
        let file = folder.path().join("a.toml");
        fs::write(&file, format!("{HEAD}{text}")).unwrap();
        let said = refused(&["simulate", file.to_str().unwrap(), "--quiet"]);
        assert!(said.contains(says) && said.contains("a.toml:"), "{text}: {said}");
    }
}

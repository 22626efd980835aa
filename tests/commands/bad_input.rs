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

/// Everything that `plimsoll tune` says of a bad `[tune]` section stands in `bad_tune.txt`, and `plimsoll check` says the same.
/// `UPDATE_SNAPSHOTS=1` writes it anew, to be read before it is kept.
#[test]
fn what_is_bad_in_a_search_is_explained() {
    const BAD: [(&str, &str, &str); 21] = [
        ("a path that does not exist", "policy.queue.max_queue_size", "policy.queue.max_queue_sizes"),
        ("a policy that does not exist", "policy.queue.max_queue_size", "policy.queues.max_queue_size"),
        ("an empty range", "[1, 64]", "[64, 1]"),
        ("a range of one value", "[1, 64]", "[30, 30]"),
        ("a log range through zero", "[1, 64]", "[0, 64]"),
        ("an end that the setting cannot have", "[1, 64]\nscale = 'log'", "[0, 64]"),
        ("a range of the wrong kind", "[1, 64]", "['1 sec', '5 sec']"),
        ("a number that cannot be counted", "[1, 64]", "[1, 99999999999999999999]"),
        ("a figure that does not exist", "'goodput_rps'", "'good_rps'"),
        ("a figure of a class that does not exist", "'goodput_rps'", "'p99_e2e_s{class=chat}'"),
        ("a figure of spikes that do not come", "'goodput_rps'", "'recovery_s'"),
        ("a constraint that nothing can keep", "simulations = 200", "constraints = ['goodput_fraction >= 2']"),
        ("what users do", "policy.queue.max_queue_size", "class[0].arrival.rate"),
        ("what good means", "policy.queue.max_queue_size", "class[0].slo.e2e"),
        ("what the machine can do", "policy.queue.max_queue_size", "upstream.service.mean"),
        ("more candidates than there are points", "candidates = 12", "candidates = 100000"),
        ("a grid that cannot be listed", "candidates = 12", "method = 'grid'\nlevels = 4294967295"),
        ("a budget too small", "simulations = 200", "simulations = 3"),
        ("an error that cannot be kept", "simulations = 200", "error = 0.0"),
        ("a future that is none", "simulations = 200", "robust = { load = [1.5, 0.7] }"),
        ("a regret of one future", "simulations = 200", "robust = { by = 'regret' }"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (scenario, out) = (folder.path().join("q.toml"), folder.path().join("run"));
    let (scenario, out) = (scenario.to_str().unwrap(), out.to_str().unwrap());
    let mut all = String::new();
    for (what, from, to) in BAD {
        let mut text = super::tune::QUEUE.replace(from, to);
        if to.contains("grid") {
            text = text.replace("[1, 64]\nscale = 'log'", "[1, 1000000]");
        }
        fs::write(scenario, text).unwrap();
        let said = refused(&["tune", scenario, "--out", out, "--quiet"]);
        assert_eq!(said, refused(&["check", scenario]), "{what}: `check` says something else");
        assert!(!said.contains("--set"), "{what}: nobody wrote a `--set`: {said}");
        all += &["# ", what, "\n", &said.replace(folder.path().to_str().unwrap(), "FOLDER"), "\n"].concat();
    }
    assert!(!Path::new(out).exists(), "nothing is left behind");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/bad_tune.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&kept, &all).unwrap();
    }
    assert_eq!(fs::read_to_string(&kept).unwrap_or_default(), all);
}

/// What only a run can show: an objective that never comes to be, and constraints that nobody keeps.
#[test]
fn what_only_a_search_can_tell_is_told_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let (scenario, out) = (folder.path().join("q.toml"), folder.path().join("run"));
    let (scenario, out) = (scenario.to_str().unwrap(), out.to_str().unwrap());
    let search = ["tune", scenario, "--out", out, "--quiet", "--around", "0", "--simulations", "100"];
    fs::write(scenario, super::tune::QUEUE.replace("'goodput_rps'", "'p99_tpot_ms'")).unwrap();
    assert!(refused(&search).contains("no run of any candidate shows `p99_tpot_ms`"));
    fs::remove_dir_all(out).unwrap();
    let hard = super::tune::QUEUE.replace("simulations = 200", "constraints = ['mean_e2e_s <= 0.5']");
    fs::write(scenario, hard).unwrap();
    let output = plimsoll(&search);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output.stderr));
    assert!(told(&output.stdout).replace("\n  ", " ").contains("The closest of the "), "{}", told(&output.stdout));
}

#[test]
fn futures_and_matrices_that_are_none_are_told_by_their_options() {
    let tune = |option: &str, value: &str| refused(&["tune", "scenarios/tune_queue.toml", option, value]);
    assert!(tune("--robust", "load=1..1000000").contains("from 0.01 to 100 times the scenario's own"));
    assert!(tune("--robust", "load=1.5..0.7").contains("write the least first, 0.7..1.5"));
    assert!(tune("--robust", "load=0.7..1.5,load=0.5..2").contains("`load` stands there twice"));
    assert!(tune("--sensitivity", "10").contains("8 or 16 is near"));
    assert!(tune("--sensitivity", "1").contains("a power of two from 8 to 32768"));
    assert!(tune("--around", "1").contains("of one replication there is no interval"));
    assert!(tune("--class", "chat").contains("name a recording with --trace FILE"));
}

//! `explain`: a story as a person reads it, and files that are no journals.

use std::fs;
use std::path::Path;

use super::{plimsoll, told};

const SCENARIO: &str = "schema = 1\nrun = { duration = '10s', replications = 1 }\n[upstream]\nkind = 'station'\nservers = 1\n\
    service = { dist = 'fixed', value = '2s' }\n[[class]]\nname = 'a'\narrival = { process = 'constant', rate = 1 }\n\
    timeout = { total = '6s', announce = true }\n[policy]\nconcurrency = { max_concurrent_requests = 1 }\n\
    queue = { max_queue_size = 2, queue_rejection_threshold = 1, codel = {} }\n\
    timeout = { request_timeout = '5s' }\ngraduated = { max_abandoned = 4 }\n";

#[test]
fn a_story_names_each_gate_and_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("a.toml"), SCENARIO).unwrap();
    for journal in ["j.jsonl", "j.jsonl.zst"] {
        let journal = path(journal);
        assert_eq!(plimsoll(&["simulate", &path("a.toml"), "--quiet", "--journal", &journal]).status.code(), Some(0));
        let story = told(&plimsoll(&["explain", &journal, "--request", "1"]).stdout);
        let (head, lines) = story.split_once('\n').unwrap();
        assert!(head.starts_with("request 1 of class a, variant \"base\", replication 0: "), "{story}");
        // Each line: when, how long after the arrival, who, what.
        let told: Vec<String> =
            lines.lines().map(|line| line.chars().skip(33).collect::<String>().trim_start().to_owned()).collect();
        let begins = [
            "client     sends attempt 1",
            "queue      pass: 0 waiting",
            "slots      wait: 1 of 1 in use",
            "slots      pass: 0 of 1 in use",
            "codel      pass: waited 1.000 s",
            "graduated  pass: 0.00 abandoned calls counted of 4 (0 truly run)",
            "gateway    starts a call",
            "upstream   begins service",
        ];
        for (line, begin) in told.iter().zip(begins) {
            assert!(line.starts_with(begin), "{begin:?} is not in its place:\n{story}");
        }
        assert!(story.contains("client     done: good after 1 attempt\n"), "{story}");
        let whole = fs::read(&journal).unwrap();
        fs::write(&journal, &whole[..whole.len() / 2]).unwrap();
        let cut = plimsoll(&["explain", &journal, "--request", "1"]);
        assert_eq!((cut.status.code(), cut.stdout.len()), (Some(2), 0), "half a journal tells nothing");
    }
}

#[test]
fn what_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("a.toml"), SCENARIO).unwrap();
    fs::write(path("empty.jsonl"), "").unwrap();
    fs::write(path("binary.zst"), [7; 64]).unwrap();
    fs::write(path("bytes.zst"), [0xFF; 64]).unwrap();
    let journal = path("j.jsonl");
    plimsoll(&["simulate", &path("a.toml"), "--quiet", "--journal", &journal]);
    let of = |file: &str, more: &[&str]| {
        let output = plimsoll(&[&["explain", file, "--request"], more].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{file} {more:?}");
        told(&output.stderr)
    };
    assert!(of(&journal, &["99"]).ends_with("has no request 99 in replication 0\n"));
    assert!(of(&journal, &["1", "--variant", "x"]).ends_with("of variant \"x\"\n"));
    assert!(of(&journal, &["1", "--replication", "3"]).contains("in replication 3"));
    assert!(of(&path("a.toml"), &["1"]).contains("a.toml:1: not a journal line"));
    assert!(of(&path("empty.jsonl"), &["1"]).contains("the journal is empty"));
    assert!(of(&path("binary.zst"), &["1"]).contains("binary.zst:1: not a journal line"));
    assert!(of(&path("bytes.zst"), &["1"]).contains("bytes.zst:1: not a journal line (not UTF-8 after byte 0)"));
    assert!(of(&path("none"), &["1"]).contains("cannot read"));
    assert!(of(folder.path().to_str().unwrap(), &["1"]).contains("cannot read"));
    assert!(of(&journal, &["x"]).contains("--request"));
}

/// What a run writes of itself can be replayed: every request of it is a record again.
#[test]
fn a_journal_is_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("a.toml"), SCENARIO).unwrap();
    let journal = path("j.jsonl.zst");
    let run = plimsoll(&["simulate", &path("a.toml"), "--quiet", "--format", "json", "--journal", &journal]);
    let run: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let trace = plimsoll::trace::read(Path::new(&journal)).unwrap();
    let offered = run.pointer("/variants/0/counts/offered").and_then(serde_json::Value::as_u64).unwrap();
    assert_eq!((trace.records.len() as u64, trace.fates.lost(), trace.classes.len()), (offered, 0, 1));
    let complete = trace.records.iter().filter(|record| record.is_complete()).count() as u64;
    let count = |name: &str| run.pointer(&format!("/variants/0/counts/{name}")).and_then(serde_json::Value::as_u64);
    assert_eq!(Some(complete), count("good").zip(count("late")).map(|(good, late)| good + late));
    assert!(complete > 0 && complete < offered, "some are refused");
}

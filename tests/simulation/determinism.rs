//! Same scenario and seed, same bytes: with any number of threads (INV-6), in debug and in release, beside any other
//! variant, and decided again from a journal (INV-8).

use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll::journal::summary::Summary;
use plimsoll::journal::{self, Event, Journal, What};
use plimsoll::policy::{Action, RefusalKind};
use plimsoll::report::Envelope;
use plimsoll::request::Reason;
use plimsoll::scenario::Scenario;
use plimsoll::sim::{self, Prepared};

use crate::common::{prepared, project, summary};

/// Two classes, retries, a server with too few blocks, and every engine, in several states. `SEED` and `MORE` are filled in.
const EVERYTHING: &str = r#"
schema = 1
[run]
seed = SEED
replications = 3
duration = "40s"
warmup = "5s"

[upstream]
kind = "vllm"
preset = "cpu-16m"
num_gpu_blocks = 260
max_num_queued_reqs = 24
speed_sigma = 0.05

[arrival]
process = "gamma"
burstiness = 0.5
load = 1.6

[[class]]
name = "chat"
weight = 3
priority = 1
input = { dist = "uniform", min = 64, max = 256 }
output = { dist = "uniform", min = 16, max = 64 }
slo = { ttft = "2s" }
timeout = { first_token = "3s", announce = true }
retry = { max_attempts = 3 }

[[class]]
name = "report"
input = { dist = "lognormal", mean = 400, sigma = 0.5, max = 1200 }
output = { dist = "exponential", mean = 120 }
prefix = { groups = 2, tokens = 64 }
estimate_sigma = 0.2

[[variant]]
name = "nothing"

[[variant]]
name = "everything"
policy.graduated = { max_abandoned = 4, forget = "gauge" }
policy.queue = { max_queue_size = 20, order = "adaptive_lifo", by_priority = true, codel = {}, deadline_aware = true, max_queue_tokens = 300000 }
policy.concurrency = { max_concurrent_requests = 8 }
policy.timeout = { request_timeout = "4s", on_timeout = "abandon", on_client_gone = "run_on" }

[[variant]]
name = "seed"
policy.graduated = { max_abandoned = 4, forget = "reset", reset_interval = "10s" }
policy.queue = { max_queue_size = 20 }
policy.concurrency = { max_concurrent_requests = 6 }
policy.timeout = { request_timeout = "3s", on_timeout = "abandon", timeout_from = "arrival" }

[[variant]]
name = "watching"
policy.graduated = { mode = "observe", max_abandoned = 2, forget = "decay", at = "arrival" }
policy.queue = { mode = "observe", max_queue_size = 4, order = "lifo" }
policy.concurrency = { max_concurrent_requests = 12 }
policy.timeout = { request_timeout = "6s" }
MORE
"#;

fn everything(seed: u64, more: &str) -> Prepared {
    prepared(&EVERYTHING.replace("SEED", &seed.to_string()).replace("MORE", more))
}

fn envelope(prepared: &Prepared) -> String {
    Envelope::new("everything", prepared.plans[0].seed, None, &summary(prepared, 3)).to_json()
}

/// The journal of three replications of every variant, as bytes, and its path.
fn journal_in(folder: &Path, prepared: &Prepared) -> (Vec<u8>, PathBuf) {
    let path = folder.join("everything.jsonl");
    let mut journal = Journal::create(&path).expect("a temporary file");
    let _ = sim::run(&prepared.plans, 3, &prepared.context, Some(&mut journal), &|| {});
    journal.finish().expect("room for a journal");
    (std::fs::read(&path).expect("just written"), path)
}

#[test]
fn threads_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a few threads");
        pool.install(|| {
            let prepared = everything(1, "");
            (envelope(&prepared), journal_in(folder.path(), &prepared).0)
        })
    };
    let one = with(1);
    for threads in [2, 7] {
        let other = with(threads);
        assert_eq!(one.0, other.0, "the envelope with {threads} threads");
        assert!(one.1 == other.1, "the journal with {threads} threads");
    }
}

fn digests(summary: &Summary) -> Vec<(String, u64)> {
    summary.variants.iter().map(|variant| (variant.name.clone(), variant.digest)).collect()
}

#[test]
fn another_seed_is_another_run() {
    let (one, two) = (digests(&summary(&everything(1, ""), 2)), digests(&summary(&everything(2, ""), 2)));
    assert_eq!(one.len(), 4);
    for (a, b) in one.iter().zip(&two) {
        assert_eq!(a.0, b.0);
        assert_ne!(a.1, b.1, "{} under two seeds", a.0);
    }
    let mut values: Vec<u64> = one.into_iter().chain(two).map(|(_, digest)| digest).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 8, "no two variants or seeds do the same");
}

/// Common random numbers: what one variant meets depends on no other.
#[test]
fn a_variant_more_changes_no_other() {
    let alone = digests(&summary(&everything(1, ""), 3));
    let more = "[[variant]]\nname = \"also\"\npolicy.concurrency = { max_concurrent_requests = 2 }\n";
    let beside = digests(&summary(&everything(1, more), 3));
    assert_eq!(beside.len(), 5);
    assert_eq!(alone, beside[..4]);
}

#[test]
fn a_journal_is_decided_again_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, path) = journal_in(folder.path(), &everything(1, ""));
    let verified = journal::verify(&path).expect("a journal that we wrote");
    assert_eq!((verified.runs, verified.mismatch), (12, None));
    // Every engine has decided something, both ways.
    let text = std::fs::read_to_string(&path).expect("just written");
    for said in
        ["graduated", "\"queue\"", "slots", "deadline", "codel", "timeout", "\"pass\"", "\"wait\"", "\"refuse\"", "timed_out"]
    {
        assert!(text.contains(said), "nothing is said of {said}");
    }
}

/// Another decision than the engine's: what a tampered or foreign journal would hold.
fn changed(action: Action) -> Option<Action> {
    Some(match action {
        Action::Start { attempt, call, kind, max_tokens, route, vantage, reserved } => {
            Action::Start { attempt, call, kind, max_tokens: max_tokens + 1, route, vantage, reserved }
        }
        Action::Answer { attempt, mut refusal } => {
            refusal.kind = match refusal.kind {
                RefusalKind::Rejected(Reason::QueueFull) => RefusalKind::Rejected(Reason::Codel),
                _ => RefusalKind::Rejected(Reason::QueueFull),
            };
            Action::Answer { attempt, refusal }
        }
        Action::Complete { attempt, degraded } => Action::Complete { attempt, degraded: !degraded },
        Action::Detach { call } => Action::Cancel { call },
        Action::Cancel { call } => Action::Detach { call },
        Action::Note(mut note) => {
            note.enforced = !note.enforced;
            Action::Note(note)
        }
        Action::Relay { .. } | Action::Cut { .. } => return None,
    })
}

#[test]
fn a_changed_decision_is_found_and_its_line_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, path) = journal_in(folder.path(), &everything(1, ""));
    let text = std::fs::read_to_string(&path).expect("just written");
    let lines: Vec<&str> = text.lines().collect();
    let mut kinds = std::collections::BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        let Event { t, what: What::Out(action) } = serde_json::from_str(line).expect("a line that we wrote") else { continue };
        let Some(other) = changed(action) else { continue };
        let name = format!("{action:?}");
        if !kinds.insert(name.split(' ').next().map(str::to_owned)) {
            continue; // the first of each kind will do
        }
        let tampered = serde_json::to_string(&Event { t, what: What::Out(other) }).expect("an event serialises");
        let with = |middle: Option<&str>| {
            let kept = lines[..index].iter().copied().chain(middle).chain(lines[index + 1..].iter().copied());
            std::fs::write(&path, kept.collect::<Vec<_>>().join("\n")).expect("a temporary file");
            journal::verify(&path).expect("still a journal")
        };
        let verified = with(Some(&tampered));
        assert_eq!(verified.changed.map(|changed| changed.line), Some(index + 1), "it lost its check");
        let found = verified.mismatch.expect("a difference");
        assert_eq!((found.line, found.recorded, found.decided), (index + 1, Some(other), Some(action)));
        // Left out, it is missed where the next decision stands in its place; an input there is not what was written there.
        let missed = with(None);
        assert_eq!(missed.changed.map(|changed| changed.line), Some(index + 1));
        assert!(missed.mismatch.is_none_or(|mismatch| mismatch.decided == Some(action)));
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

/// The rest of an envelope that the two builds print, digests and all.
fn printed(release: bool, scenario: &str, sets: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(project("")).args(["run", "--quiet"]);
    if release {
        command.arg("--release");
    }
    command.args(["--", "simulate", scenario, "--format", "json", "--quiet"]);
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

#[test]
#[ignore = "builds twice: cargo test --test simulation -- --ignored debug_and_release"]
fn debug_and_release_print_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("everything.toml");
    std::fs::write(&file, EVERYTHING.replace("SEED", "1").replace("MORE", "")).expect("a temporary file");
    let queue = project("scenarios/queue_mmc.toml").display().to_string();
    let overload = project("scenarios/vllm_overload.toml").display().to_string();
    let cases: [(&str, &[&str]); 3] = [
        (&file.display().to_string(), &[]),
        (&queue, &["run.duration='1h'"]),
        (&overload, &["run.duration='20s'", "run.replications=2"]),
    ];
    for (scenario, sets) in cases {
        assert_eq!(printed(false, scenario, sets), printed(true, scenario, sets), "{scenario}");
    }
    // And this build, whichever it is.
    let scenario = Scenario::load(&file, &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    let prepared = sim::prepare(&scenario).unwrap_or_else(|wrong| panic!("{wrong}"));
    let here = format!("{:016x}", summary(&prepared, 3).digest);
    assert!(printed(false, cases[0].0, &[]).contains(&here), "the digest {here}");
}

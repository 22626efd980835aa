//! `plimsoll calibrate --target` from outside: against an emulated server, and against scripted ones that fail.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use plimsoll::live::emulate;
use plimsoll::live::http::Listener;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::emulate::settings;
use crate::scripted::{Act, Script, start};

/// A server whose steps take 2 ms and a little.
const QUICK: &str = r#"
schema = 1
[upstream]
kind = "vllm"
num_gpu_blocks = 512
block_size = 16
max_num_seqs = 4
max_num_batched_tokens = 256
max_model_len = 256
cost = { t0 = "4ms", tp = "40us", td = "200us", tk = "1us" }
[[class]]
name = "chat"
arrival = { process = "constant", rate = 1 }
input = { dist = "fixed", value = 10 }
output = { dist = "fixed", value = 40 }
"#;

const FLAGS: [&str; 4] = ["--max-num-seqs", "4", "--max-num-batched-tokens", "256"];

fn command(target: &str, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(["calibrate", "--target", target, "--quiet", "--out"]).arg(out).args(more);
    if !more.contains(&"--minutes") {
        command.args(["--minutes", "0.15"]);
    }
    command
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The whole of it in a few seconds; and its records, read as any others are, give the same fit.
#[test]
fn a_server_is_measured_and_its_records_give_the_same_again() {
    let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let started = emulate::Running::start(settings(QUICK, &[]), "127.0.0.1:0");
    let server = runtime.block_on(started).unwrap();
    let (target, out) = (format!("http://{}", server.address), folder.path().join("out"));
    let mut more = vec!["--format", "json", "--speeds", "5"];
    more.extend(FLAGS);
    let done = json(&command(&target, &out, &more).output().unwrap());
    let live = &done["live"];
    assert_eq!((live["model"].as_str(), live["batch"].as_u64()), (Some("tiny"), Some(4)));
    let from = |flag: &str| {
        let sizes = live["size"].as_array().unwrap();
        sizes.iter().find(|one| one["flag"] == flag).map(|one| (one["value"].as_u64().unwrap(), one["from"].as_str().unwrap()))
    };
    assert_eq!(from("--num-gpu-blocks"), Some((512, "GET /metrics")));
    assert_eq!(from("--max-model-len"), Some((256, "GET /v1/models")));
    assert_eq!(from("--max-num-seqs"), Some((4, "--max-num-seqs")));
    let held: Vec<&str> = live["hold_out"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let tested: Vec<&str> = done["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert_eq!((held.len(), &tested), (3, &held));
    let text = std::fs::read_to_string(out.join("result.txt")).unwrap().replace("\n  ", " ");
    for wanted in
        ["Server: http://", "num-gpu-blocks 512 (GET /metrics)", "max-num-seqs 4 (stated)", "Drift: ", "capacity, 1/s"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(std::fs::read_to_string(out.join("upstream.toml")).unwrap().contains("num_gpu_blocks = 512"));
    assert!(out.join("report.html").exists());
    let mut again = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    again.arg("calibrate").arg(out.join("records")).args(["--hold-out", &held.join(","), "--num-gpu-blocks", "512"]);
    again.args(["--max-model-len", "256", "--quiet", "--format", "json", "--speeds", "5"]).args(FLAGS);
    let again = json(&again.output().unwrap());
    for part in ["step", "way_s", "speed_sigma", "upstream", "fitted", "reason"] {
        assert_eq!(again[part], done[part], "{part}");
    }
    // A measurement is made in one go.
    let second = command(&target, &out, &more).output().unwrap();
    assert!(
        second.status.code() == Some(2) && said(&second.stderr).contains("holds records already"),
        "{}",
        said(&second.stderr)
    );
}

/// A server that does as its script says, and its address.
fn scripted(runtime: &Runtime, script: &Arc<Script>) -> String {
    runtime.block_on(async {
        let listener = Listener::bind("127.0.0.1:0", None).await.unwrap();
        let target = format!("http://{}", listener.address().unwrap());
        drop(start(listener, script));
        target
    })
}

const ANSWER: Act = Act::Answer(Duration::from_millis(5), Duration::from_millis(2));
const SIZE: [&str; 6] = ["--num-gpu-blocks", "512", "--max-num-seqs", "4", "--max-num-batched-tokens", "256"];

#[test]
fn what_cannot_be_measured_is_told_before_anything_is_sent() {
    let (runtime, script, folder) = (Runtime::new().unwrap(), Script::new([], ANSWER), tempfile::tempdir().unwrap());
    let target = scripted(&runtime, &script);
    let base = format!("{target}/base");
    for (target, more, wanted) in [
        ("http://127.0.0.1:9", &SIZE[..], "tried GET http://127.0.0.1:9/v1/models"),
        (&base, &SIZE, "is not an OpenAI-compatible server: it answers with status 404"),
        (&target, &[&SIZE[..], &["--model", "gpt"]].concat(), "has no model `gpt`; it has `m20`, `b`"),
        (&target, &SIZE[..2], "does not tell its --max-num-seqs, --max-num-batched-tokens"),
        (&target, &SIZE[2..], "does not tell its --num-gpu-blocks"),
        (&target, &[&SIZE[..], &["--api-key-env", "PLIMSOLL_NO_SUCH_KEY"]].concat(), "`PLIMSOLL_NO_SUCH_KEY` is not set"),
        (&target, &[&SIZE[..], &["--steps", "/no/such/server.log"]].concat(), "name the file that the server's output goes to"),
        (&target, &[&SIZE[..], &["log.jsonl"]].concat(), "cannot be used with"),
        (&target, &[&SIZE[..], &["--minutes", "0"]].concat(), "from 0.1 to 120"),
    ] {
        let done = command(target, &folder.path().join("out"), more).output().unwrap();
        let told = said(&done.stderr);
        assert!(done.status.code() == Some(2) && told.contains(wanted), "{wanted}: {told}");
    }
    let without = Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(["calibrate", "--target", &target]).output().unwrap();
    assert!(without.status.code() == Some(2) && said(&without.stderr).contains("--out"), "{}", said(&without.stderr));
    assert_eq!(script.asked().len(), 0);
}

/// A server that fails while it is measured: said with what it told, and what was measured before is kept.
#[test]
fn a_server_that_fails_on_the_way_is_no_measurement() {
    const DENIED: &str = r#"{"error": {"message": "no such key", "type": "auth", "param": null, "code": 401}}"#;
    const FULL: &str = r#"{"error": {"message": "queue is full", "type": "busy", "param": null, "code": 503}}"#;
    for (first, rest, wanted, kept) in [
        (0, Act::Status(401, &[], DENIED), "status 401: no such key\n  = it wants an API key", false),
        (0, Act::Status(503, &[], FULL), "status 503: queue is full\n  = it refuses at 1 at once", false),
        (0, Act::Events(&["{\"oops\": 1}"]), "is the server still up?", false),
        (60, Act::Status(500, &[], "dead"), "status 500", true),
    ] {
        let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let target = scripted(&runtime, &Script::new(std::iter::repeat_n(ANSWER, first), rest));
        let done = command(&target, folder.path(), &SIZE).output().unwrap();
        let told = said(&done.stderr);
        assert!(done.status.code() == Some(4) && told.contains(wanted), "{wanted}: {told}");
        let records = std::fs::read_dir(folder.path().join("records")).map_or(0, Iterator::count);
        assert!((records > 0) == kept && done.stdout.is_empty(), "{records}: {told}");
        assert!(!folder.path().join("upstream.toml").exists());
    }
}

/// Ctrl-C leaves the probes that were over.
#[test]
fn an_interrupted_measurement_keeps_what_was_over() {
    let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let script = Script::new([], ANSWER);
    let target = scripted(&runtime, &script);
    let running = command(&target, folder.path(), &SIZE).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let first = folder.path().join("records/01-lone.jsonl");
    runtime.block_on(async {
        while !first.exists() {
            script.heard.notified().await;
        }
    });
    let killed = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let done = running.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", said(&done.stderr));
    assert!(said(&done.stderr).contains("the probes that were over by then are in"));
    assert!(first.exists() && !folder.path().join("result.json").exists());
}

#[test]
fn where_nobody_answers_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let out = folder.path().join("out");
    let output = command(&format!("http://{nobody}"), &out, &FLAGS).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains(&nobody.to_string()), "{}", said(&output.stderr));
    assert!(!out.exists(), "no folder of nothing");
}

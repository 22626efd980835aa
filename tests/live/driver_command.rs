//! `plimsoll live` from outside, against a scripted server on a port of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use plimsoll::live::http::Listener;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::scripted::{Act, Script, start};

/// A server that answers within 30 ms, on its own threads.
struct Running {
    runtime: Runtime,
    script: Arc<Script>,
    target: String,
}

impl Running {
    fn new(rest: Act) -> Self {
        let runtime = Runtime::new().unwrap();
        let script = Script::new([], rest);
        let target = runtime.block_on(async {
            let listener = Listener::bind("127.0.0.1:0", None).await.unwrap();
            let target = format!("http://{}", listener.address().unwrap());
            drop(start(listener, &script));
            target
        });
        Self { runtime, script, target }
    }
}

const QUICK_GAP: Duration = Duration::from_millis(2);
const QUICK: Act = Act::Answer(Duration::from_millis(15), QUICK_GAP);

const SCENARIO: &str = "schema = 1\n[run]\nseed = 3\nreplications = 1\nduration = '1s'\nwarmup = '0s'\ndrain = '1s'\n\
    [upstream]\nkind = 'vllm'\npreset = 'cpu-16m'\n[[class]]\nname = 'chat'\narrival = { process = 'poisson', rate = 20 }\n\
    input = { dist = 'fixed', value = 20 }\noutput = { dist = 'fixed', value = 5 }\n";

fn command(folder: &Path, target: &str, more: &[&str]) -> Command {
    let path = folder.join("small.toml");
    std::fs::write(&path, SCENARIO).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("live").arg(path).args(["--target", target, "--quiet"]).args(more);
    command
}

fn live(folder: &Path, target: &str, more: &[&str]) -> Output {
    command(folder, target, more).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_run_is_measured_published_and_not_run_again() {
    let (server, folder) = (Running::new(QUICK), tempfile::tempdir().unwrap());
    let out = folder.path().join("out");
    let out_text = out.display().to_string();
    let arguments = ["--out", &out_text, "--format", "json", "--compare", "--speeds", "4"];
    let first = live(folder.path(), &server.target, &arguments);
    let told = said(&first.stderr);
    // A machine under load may send late, which the run then says of itself.
    assert!(matches!(first.status.code(), Some(0 | 4)), "{told}");
    let json: Value = serde_json::from_slice(&first.stdout).unwrap();
    let sent = server.script.asked().len();
    let counts = &json["variants"][0]["counts"];
    assert_eq!((counts["offered"].as_u64(), counts["good"].as_u64()), (Some(sent as u64), Some(sent as u64)));
    assert!(sent > 5 && counts["abandoned_true_max"].is_null());
    let metrics = &json["variants"][0]["metrics"];
    assert!(metrics["utilisation"]["mean"].is_null() && metrics["wasted_fraction"]["mean"].is_null());
    assert!(metrics["ttft_s"]["p50"].as_f64().is_some_and(|ttft| (0.014..1.0).contains(&ttft)));
    let part = &json["live"];
    assert_eq!((part["server"]["model"]["id"].as_str(), part["steps"][0]["through"].as_str()), (Some("m20"), Some("server")));
    assert_eq!(part["send_lag"][0]["attempts"].as_u64(), Some(sent as u64));
    assert!(part["compare"]["variants"][0]["rows"].as_array().is_some_and(|rows| rows.len() >= 8));
    for file in ["report.html", "result.json", "plots/quantiles-1.svg", "plots/latency-beside-1.csv", "plots/time-beside-1.png"]
    {
        assert!(out.join(file).exists(), "{file}: {told}");
    }
    let course = std::fs::read_to_string(out.join("plots/time-beside-1.csv")).unwrap();
    assert!(course.starts_with("time [s],Answered: live") && course.contains("Running in the server: live"), "{course}");
    // The step is on disk: the same command sends nothing more, and says the same.
    let again = live(folder.path(), &server.target, &arguments);
    assert_eq!(again.status.code(), first.status.code(), "{}", said(&again.stderr));
    assert_eq!((server.script.asked().len(), said(&again.stdout)), (sent, said(&first.stdout)));
    // Other commands read the attempts.
    let steps = std::fs::read_dir(out.join("steps")).unwrap().flatten().map(|entry| entry.path());
    let lines = steps.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
    let stats = Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(["trace", "stats"]).arg(lines).output().unwrap();
    assert_eq!(stats.status.code(), Some(0), "{}", said(&stats.stderr));
    // And they are not another run's.
    let other = live(folder.path(), &server.target, &[&arguments[..], &["--seed", "4"]].concat());
    assert_eq!(other.status.code(), Some(2));
    assert!(said(&other.stderr).contains("holds steps of another run: the seed is not the same"), "{}", said(&other.stderr));
}

/// A variant with policies goes through a gateway, whose refusals come back with their reasons; one without goes straight.
#[test]
fn policies_are_a_gateway_in_front_of_the_server() {
    let (server, folder) = (Running::new(Act::Answer(Duration::from_millis(200), QUICK_GAP)), tempfile::tempdir().unwrap());
    let path = folder.path().join("two.toml");
    let bounded = "policy.concurrency = { max_concurrent_requests = 1 }\npolicy.queue = { max_queue_size = 1 }\n";
    std::fs::write(&path, format!("{SCENARIO}[[variant]]\nname = 'none'\n[[variant]]\nname = 'bounded'\n{bounded}")).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    run.arg("live").arg(&path).args(["--target", &server.target, "--quiet", "--format", "json", "--compare", "--speeds", "3"]);
    let done = run.output().unwrap();
    assert!(matches!(done.status.code(), Some(0 | 4)), "{}", said(&done.stderr));
    let json: Value = serde_json::from_slice(&done.stdout).unwrap();
    let [none, bounded] = &json["variants"].as_array().unwrap()[..] else { panic!("two variants") };
    let offered = none["counts"]["offered"].as_u64().unwrap();
    assert_eq!((bounded["counts"]["offered"].as_u64(), none["counts"]["good"].as_u64()), (Some(offered), Some(offered)));
    let refused = bounded["counts"]["rejected"]["queue_full"].as_u64().unwrap();
    let good = bounded["counts"]["good"].as_u64().unwrap();
    assert!(refused > 3 && good >= 2 && refused + good == offered, "{}", bounded["counts"]);
    // What was refused never came to the server.
    assert_eq!(server.script.asked().len() as u64, offered + good);
    let through: Vec<_> =
        json["live"]["steps"].as_array().unwrap().iter().map(|step| step["through"].as_str().unwrap()).collect();
    assert_eq!(through, ["server", "gateway"]);
    assert_eq!(json["live"]["compare"]["ranking"]["live"][0], "none");
}

/// The step under way is not kept, those before it are, and the same command does the rest.
#[test]
fn an_interrupted_run_goes_on() {
    let (server, folder) = (Running::new(QUICK), tempfile::tempdir().unwrap());
    let out = folder.path().join("out");
    let more = ["--out", out.to_str().unwrap(), "--format", "json"];
    let mut running = command(folder.path(), &server.target, &more);
    let running = running.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    server.runtime.block_on(server.script.heard.notified());
    let killed = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let done = running.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", said(&done.stderr));
    assert!(said(&done.stderr).contains("the same command goes on from there"));
    let kept = || std::fs::read_dir(out.join("steps")).unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    assert_eq!(kept(), ["plan.json"]);
    let rest = live(folder.path(), &server.target, &more);
    assert!(matches!(rest.status.code(), Some(0 | 4)), "{}", said(&rest.stderr));
    assert!(kept().contains(&"01-base.jsonl".into()), "{:?}", kept());
}

#[test]
fn an_assertion_is_a_gate() {
    let (server, folder) = (Running::new(Act::Status(503, &[], "full")), tempfile::tempdir().unwrap());
    let done = live(folder.path(), &server.target, &["--assert", "goodput_fraction>=0.5"]);
    assert!(matches!(done.status.code(), Some(3 | 4)), "{}", said(&done.stderr));
    let text = said(&done.stdout);
    assert!(text.contains("upstream_full") && text.contains("send lag"), "{text}");
}

#[test]
fn what_cannot_be_driven_is_told_before_anything_is_sent() {
    let (server, folder) = (Running::new(QUICK), tempfile::tempdir().unwrap());
    let target = server.target.as_str();
    for (target, more, wanted) in [
        ("http://127.0.0.1:9", &[][..], "tried GET http://127.0.0.1:9/v1/models"),
        (&format!("{target}/base"), &[], "is not an OpenAI-compatible server: it answers with status 404"),
        ("127.0.0.1:8000", &[], "neither http:// nor https://"),
        (target, &["--model", "gpt"], "has no model `gpt`; it has `m20`, `b`"),
        (target, &["--set", "class[0].input.value=2045"], "class `chat` has a prompt of 2045 tokens and an answer of 5"),
        (target, &["--variant", "nobody"], "there is no variant `nobody`"),
        (target, &["--api-key-env", "PLIMSOLL_NO_SUCH_KEY"], "`PLIMSOLL_NO_SUCH_KEY` is not set"),
        (target, &["--assert", "goodput_fraction{class=x}>=1"], "there is no such class as `x`"),
        (target, &["--assert", "p99_wait_ms<=5"], "no live run can measure that from outside"),
    ] {
        let done = live(folder.path(), target, more);
        let told = said(&done.stderr);
        assert!(done.status.code() == Some(2) && told.contains(wanted), "{wanted}: {told}");
    }
    assert_eq!(server.script.asked().len(), 0);
}

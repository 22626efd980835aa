//! `plimsoll serve` from outside: signals, TLS, a port in use, and what thousands of clients leave behind that vanish.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::behind::{BODY, STREAM, post, read_until, rest, upstream};
use crate::served::{Served, command, quiet, resident};

const ONE_SLOT: &str =
    "[concurrency]\nmax_concurrent_requests = 1\n[queue]\nmax_queue_size = 2\nqueue_rejection_threshold = 1\n";

/// Settings in a file of their own.
fn settings(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, text).expect("it can be written");
    (folder, file)
}

#[tokio::test]
async fn a_hang_up_reloads_and_a_termination_drains() {
    let (to, seen) = upstream().await;
    let (_folder, file) = settings(ONE_SLOT);
    let mut served = Served::start(&file, &to, &[]);
    let mut running = served.send(&post("wait", STREAM)).await;
    seen.until("one runs", |seen| seen.running() == 1).await;

    std::fs::write(&file, "[queue]\nmax_queue_sise = 3\n").expect("it can be written");
    served.signal(Signal::HUP);
    served.log_until("the old ones stay");
    served.log_until("did you mean `max_queue_size`?");
    std::fs::write(&file, "# nothing yet\n").expect("it can be written");
    served.signal(Signal::HUP);
    served.log_until("says nothing");
    std::fs::write(&file, "[concurrency]\nmax_concurrent_requests = 2\n").expect("it can be written");
    served.signal(Signal::HUP);
    served.log_until("new settings are in force");
    served.log_until("there is no `queue` any more");
    assert!(served.ask(&post("whole", BODY)).await.contains("200 OK"), "a second slot");
    assert_eq!(served.stats().await["calls"], 1, "the one that runs was not dropped");

    served.signal(Signal::TERM);
    served.log_until("draining");
    let health = served.ask("GET /health HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 503 ") && health.contains("\"status\":\"draining\""), "{health}");
    let refused = served.ask(&post("whole", BODY)).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"code\":\"draining\""), "{refused}");
    seen.go.notify_one();
    let all = read_until(&mut running, "[DONE]").await;
    assert!(all.contains("\"text\":\"c\""), "answered to its end: {all}");
    let (code, said) = served.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 requests: 2 completed, 1 refused"), "{said}");
}

#[tokio::test]
async fn a_reload_may_begin_to_watch_the_servers_own_signals() {
    let (to, seen) = upstream().await;
    let (_folder, file) = settings("[policy]\n");
    let served = Served::start(&file, &to, &[]);
    let asked =
        |seen: &crate::behind::Seen| seen.requests.lock().expect("no panic").iter().any(|text| text.contains("GET /metrics "));
    assert!(served.ask(&post("whole", BODY)).await.contains("200 OK"));
    assert!(!asked(&seen));
    std::fs::write(&file, "[signals]\nevery = \"20ms\"\n").expect("it can be written");
    served.signal(Signal::HUP);
    seen.until("the upstream's page of metrics is read", asked).await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_told() {
    let (to, seen) = upstream().await;
    let (_folder, file) = settings(ONE_SLOT);
    let served = Served::start(&file, &to, &["--drain-timeout", "200ms"]);
    let _running = served.send(&post("mute", BODY)).await;
    seen.until("one runs", |seen| seen.running() == 1).await;
    served.signal(Signal::TERM);
    assert_eq!(served.end().0, Some(4));
}

#[tokio::test]
async fn a_port_in_use_and_an_upstream_that_is_not_there() {
    let (to, _) = upstream().await;
    let (_folder, file) = settings("[policy]\n");
    let mut served = Served::start(&file, &to, &[]);
    let output = command(&file, &to, &served.at, &[]).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(&served.at) && told.contains("is in use: another program listens there"), "{told}");
    let refused = |upstream: &str, listen: &str| {
        let output = command(&file, upstream, listen, &[]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&format!("{to}/v1"), "127.0.0.1:0").contains("leave `/v1` away"));
    drop(served);
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let itself = refused(&format!("http://localhost:{}", free.port()), &format!("127.0.0.1:{}", free.port()));
    assert!(itself.contains("is this gateway itself"), "{itself}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    served = Served::start(&file, &format!("http://{nobody}"), &[]);
    served.log_until(&format!("GET http://{nobody}/v1/models"));
    let said = served.ask(&post("whole", BODY)).await;
    assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("\"code\":\"connection\""), "{said}");
}

#[tokio::test]
async fn a_journal_outlives_its_gateway() {
    let (to, _) = upstream().await;
    let (folder, file) = settings(ONE_SLOT);
    let journal = folder.path().join("journal").display().to_string();
    let served = Served::start(&file, &to, &["--journal", &journal]);
    assert!(served.ask(&post("whole", BODY)).await.contains("200 OK"));
    // What is written is handed over after a second at most, whether more comes or not.
    let verified = || {
        let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        let output = verify.args(["replay", "--verify", &journal]).output().expect("it runs");
        let told = [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
        (output.status.code(), told)
    };
    let started = tokio::time::Instant::now();
    while !verified().1.contains("on 2 inputs come out the same") {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", verified());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    served.signal(Signal::KILL);
    served.end();
    let (code, told) = verified();
    assert!(code == Some(0) && told.contains("The last segment has no end"), "{told}");
    let mut explain = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let output = explain.args(["explain", &journal, "--request", "1"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("replay --verify"), "{told}");
}

/// A certificate for `localhost` that signs itself, and its key.
fn certificate(folder: &Path) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let files = [folder.join("cert.pem"), folder.join("key.pem")];
    std::fs::write(&files[0], made.cert.pem()).expect("it can be written");
    std::fs::write(&files[1], made.signing_key.serialize_pem()).expect("it can be written");
    files.map(|file| file.display().to_string())
}

#[tokio::test]
async fn tls_in_and_out() {
    let (to, _) = upstream().await;
    let (folder, file) = settings("[policy]\n");
    let [cert, key] = certificate(folder.path());
    let secure = Served::start(&file, &to, &["--tls-cert", &cert, "--tls-key", &key]);
    let port = secure.at.rsplit(':').next().expect("a port").to_owned();
    let target = format!("https://localhost:{port}");
    let trusting = Served::start(&file, &target, &["--upstream-ca", &cert]);
    assert!(trusting.ask(&post("whole", BODY)).await.contains("\"text\":\"abc\""));
    let streamed = trusting.ask(&post("whole", STREAM)).await;
    assert!(streamed.contains("\"text\":\"c\"") && streamed.contains("[DONE]"), "{streamed}");
    // Who does not know the certificate does not talk to it, and plain text is no TLS.
    let strange = Served::start(&file, &target, &[]);
    assert!(strange.ask(&post("whole", BODY)).await.starts_with("HTTP/1.1 502 "));
    assert!(!rest(secure.send(&post("whole", BODY)).await).await.contains("200 OK"));
    let swapped = command(&file, &to, "127.0.0.1:0", &["--tls-cert", &key, "--tls-key", &cert]).output().expect("it runs");
    let told = String::from_utf8_lossy(&swapped.stderr).into_owned();
    assert!(swapped.status.code() == Some(2) && told.contains("key.pem"), "{told}");
}

/// Clients of one wave.
const CLIENTS: usize = 2_000;
/// What a wave may leave behind beside what the first one did, MB: what the allocator keeps differs from wave to wave.
const LEFT_MAX: f64 = 16.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_that_vanish_leave_nothing_behind() {
    let (to, _) = upstream().await;
    let (folder, file) = settings(
        "[concurrency]\nmax_concurrent_requests = 40\n[queue]\nmax_queue_size = 400\nqueue_rejection_threshold = 1\n\
         [timeout]\nrequest_timeout = \"60ms\"\n[limiter]\ntpm_limit = 100000000\n[lane]\n",
    );
    let journal = folder.path().join("journal").display().to_string();
    let served = Served::start(&file, &to, &["--log-level", "error", "--journal", &journal]);
    let mut memory = Vec::new();
    for _ in 0..3 {
        vanish(&served).await;
        quiet(&served).await;
        memory.push(resident(served.process()));
    }
    let after = served.stats().await;
    let counters = &after["counters"];
    let number = |name: &str| counters[name].as_u64().unwrap_or_else(|| panic!("no {name} in {counters}"));
    let refusals = counters["refusals"].as_object().expect("by reason");
    let refused: u64 = refusals.values().filter_map(|one| one["enforced"].as_u64()).sum();
    let ended = number("completed") + number("failed") + number("gone") + number("timed_out") + refused;
    assert!(number("arrived") > 3 * CLIENTS as u64 / 4, "a quarter of each wave at least: {counters}");
    assert_eq!(number("arrived"), ended, "every request ended once: {counters}");
    assert_eq!(after["reserved"], 0, "every reservation came back: {after}");
    assert!(memory[2] < memory[0] + LEFT_MAX, "MB after each wave: {memory:?}");
    served.signal(Signal::TERM);
    assert_eq!(served.end().0, Some(0));
    let mut plimsoll = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let verified = plimsoll.args(["replay", "--verify", &journal]).output().expect("it runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Clients that send half a request, or a whole one, read a little, and are gone.
async fn vanish(served: &Served) {
    let scripts = ["whole", "hang", "mute", "kill", "drip", "in_band_503", "reset", "flood"];
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let text = post(scripts[number % scripts.len()], if number % 3 == 0 { BODY } else { STREAM });
        let address = served.at.clone();
        clients.spawn(async move {
            let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return };
            let cut = if number % 5 == 0 { text.len() / 2 } else { text.len() };
            let _ = stream.write_all(&text.as_bytes()[..cut]).await; // it may have been closed
            if number % 4 > 0 {
                let mut some = [0; 64];
                let _ = tokio::time::timeout(Duration::from_millis(number as u64 * 7 % 400), stream.read(&mut some)).await; // whatever came
            }
        });
    }
    while clients.join_next().await.is_some() {}
}

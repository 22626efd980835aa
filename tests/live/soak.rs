//! Ten minutes at twice what the server can do, while it fails in every way it knows:
//! `cargo test --release --test live -- --ignored --nocapture soak` (`PLIMSOLL_SOAK=SECONDS` for another length).

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll::live::emulate::{Faults, Running};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::behind::PATIENCE;
use crate::emulate::settings;
use crate::served::{Served, quiet, resident};

/// 16 places, tokens 20 ms apart, 10 to 40 of them: 32 answers a second.
const SERVER: &str = r#"
schema = 1
[run]
seed = 5
replications = 1
duration = "10s"
[upstream]
kind = "vllm"
num_gpu_blocks = 400
max_num_seqs = 16
max_num_batched_tokens = 2048
max_model_len = 512
max_num_queued_reqs = 12
cost = { t0 = "20ms" }
[policy]
[[class]]
name = "chat"
arrival = { process = "poisson", rate = 5 }
input = { dist = "uniform", min = 10, max = 100 }
output = { dist = "uniform", min = 10, max = 40 }
"#;
/// Requests a second.
const RATE: f64 = 64.0;

/// A queue that outgrows the server's own, timeouts that leave work behind, and reservations for all of it.
const POLICY: &str = r#"
[graduated]
max_abandoned = 10
forget = "gauge"
[queue]
max_queue_size = 30
[concurrency]
max_concurrent_requests = 40
[timeout]
request_timeout = "2s"
on_timeout = "abandon"
[limiter]
tpm_limit = 1000000
[lane]
[breaker]
[serve]
idle_timeout = "1s"
first_byte_timeout = "3s"
write_timeout = "2s"
journal_segment_bytes = 2000000
journal_segments_max = 10000
"#;

/// What a soak leaves behind beside what its first fifth did, MB.
const GROWS_MAX: f64 = 24.0;

/// How an exchange ended for its client.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Saw {
    Whole,
    Refused,
    /// A stream that ended with its reason.
    Cut,
    /// We left.
    Left,
    /// The connection ended, and nobody said why.
    Unexplained,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: cargo test --release --test live -- --ignored --nocapture soak"]
async fn a_soak_at_twice_the_load_with_random_faults() {
    let seconds = std::env::var("PLIMSOLL_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let lasts = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().unwrap();
    let (file, journal) = (folder.path().join("settings.toml"), folder.path().join("journal").display().to_string());
    std::fs::write(&file, POLICY).unwrap();
    let emulator = Running::start(settings(SERVER, &[]), "127.0.0.1:0").await.unwrap();
    let to = format!("http://{}", emulator.address);
    let served = Served::start(&file, &to, &["--log-level", "error", "--journal", &journal]);
    let begun = Instant::now();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut clients, mut saw) = (JoinSet::new(), BTreeMap::<Saw, u64>::new());
    let (mut next, mut fault_until, mut early) = (begun, begun, None);
    while begun.elapsed() < lasts {
        if Instant::now() >= fault_until {
            emulator.server.set_faults(fault(&mut rng));
            fault_until = Instant::now() + Duration::from_secs_f64(rng.random_range(0.5..8.0));
        }
        clients.spawn(exchange(served.at.clone(), rng.next_u64()));
        while let Some(ended) = clients.try_join_next() {
            *saw.entry(ended.unwrap()).or_default() += 1;
        }
        if early.is_none() && begun.elapsed() > lasts / 5 {
            early = Some(resident(served.process()));
        }
        next += Duration::from_secs_f64(-rng.random_range(1e-9..1.0f64).ln() / RATE);
        sleep_until(next).await;
    }
    emulator.server.set_faults(Faults::default());
    while let Some(ended) = clients.join_next().await {
        *saw.entry(ended.unwrap()).or_default() += 1;
    }
    quiet(&served).await;
    let stats = served.stats().await;
    let (early, late) = (early.unwrap(), resident(served.process()));
    println!("{seconds} s: {saw:?}\nmemory {early:.1} MB after a fifth, {late:.1} MB at the end\n{}", stats["counters"]);
    assert_eq!(saw.get(&Saw::Unexplained), None, "every client is answered, or cut with a reason");
    assert_eq!(saw.len(), 4, "all of it happens: {saw:?}");
    assert_eq!((&stats["reserved"], &stats["queue_depth"], &stats["heavy_lane_running"]), (&0.into(), &0.into(), &0.into()));
    assert!(late < early + GROWS_MAX, "{early} MB, {late} MB");
    served.signal(Signal::TERM);
    // The end shows that nothing is held (INV-5) and that each request ended once (INV-1), or panics.
    assert_eq!(served.end().0, Some(0));
    let mut plimsoll = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let verified = plimsoll.args(["replay", "--verify", &journal]).output().unwrap();
    println!("{}", String::from_utf8_lossy(&verified.stdout));
    assert!(verified.status.success());
}

/// Something that goes wrong with a part of the requests, or nothing.
fn fault(rng: &mut ChaCha8Rng) -> Faults {
    const FAULTS: [&str; 10] = [
        "status=500",
        "status=503",
        "status=429",
        "in-band=503",
        "reset",
        "reset=3",
        "hang",
        "hang=3",
        "slow=500ms",
        "garbage",
    ];
    let (share, speed) = (rng.random_range(0.05..0.5), rng.random_range(0.4..1.5));
    let fault = (rng.random_range(0..3) > 0).then(|| FAULTS[rng.random_range(0..FAULTS.len())]);
    let mut body = serde_json::json!({ "speed": speed, "frozen": rng.random_range(0..20) == 0 });
    if let Some(fault) = fault {
        body["fault"] = fault.into();
        body["share"] = share.into();
    }
    Faults::read(body.to_string().as_bytes()).unwrap()
}

/// One request by a client that may leave at any time.
async fn exchange(at: String, seed: u64) -> Saw {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (streams, tokens) = (rng.random_range(0..2) == 0, rng.random_range(10..40));
    let body = format!(
        "{{\"model\":\"tiny\",\"prompt\":[{}],\"max_tokens\":{tokens},\"ignore_eos\":true,\"stream\":{streams}}}",
        vec!["7"; rng.random_range(10..100)].join(",")
    );
    let text = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let patience = if rng.random_range(0..5) == 0 { rng.random_range(0.0..3.0) } else { PATIENCE.as_secs_f64() };
    let talk = async {
        let mut stream = TcpStream::connect(&at).await.expect("it listens");
        let mut all = Vec::new();
        if stream.write_all(text.as_bytes()).await.is_ok() {
            let _ = stream.read_to_end(&mut all).await; // a reset is an end too
        }
        String::from_utf8_lossy(&all).into_owned()
    };
    match timeout(Duration::from_secs_f64(patience), talk).await {
        Err(_) => Saw::Left,
        Ok(said) if !said.starts_with("HTTP/1.1 ") => Saw::Unexplained,
        Ok(said) if !said.starts_with("HTTP/1.1 200 ") => Saw::Refused,
        Ok(said) if said.contains("\"error\":") => Saw::Cut,
        Ok(said) if streams && said.contains("data: [DONE]") => Saw::Whole,
        Ok(said) if !streams && said.contains("\"usage\":") => Saw::Whole,
        Ok(_) => Saw::Unexplained,
    }
}

//! The test plan of the wrapper that graduated rejection comes from, with a shortened interval: make requests time out, see the
//! graduated answers at 70, 85 and 100 % of the capacity, wait for the reset, and watch all of it in `/stats`.

use std::time::Duration;

use plimsoll::live::emulate::{Faults, Running};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::behind::rest;
use crate::emulate::settings;
use crate::served::{Served, quiet};

const SERVER: &str = r#"
schema = 1
[run]
seed = 5
replications = 1
duration = "10s"
[upstream]
kind = "vllm"
num_gpu_blocks = 2000
max_num_seqs = 64
max_num_batched_tokens = 2048
max_model_len = 512
cost = { t0 = "1ms" }
[[class]]
name = "chat"
arrival = { process = "poisson", rate = 5 }
input = { dist = "constant", value = 10 }
output = { dist = "constant", value = 2 }
"#;

/// As the wrapper has it, but for the interval, which it has at five minutes.
const POLICY: &str = r#"
[graduated]
max_abandoned = 20
vllm_rejection_threshold = 0.7
at = "arrival"
forget = "reset"
reset_interval = "12s"
[timeout]
request_timeout = "200ms"
on_timeout = "abandon"
"#;

const ASK: &str = "POST /v1/completions HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
                   content-length: 46\r\n\r\n{\"model\":\"tiny\",\"prompt\":[1,2],\"max_tokens\":2}";

/// What the gateway says to one request.
async fn said(served: &Served) -> String {
    rest(served.send(ASK).await).await
}

/// Requests that time out one after the other, until so many are counted as abandoned.
async fn abandon(served: &Served, count: u32) {
    for _ in 0..2_000 {
        if served.stats().await["abandoned_requests"] == f64::from(count) {
            return;
        }
        said(served).await;
    }
    panic!("{count} are never counted: {}", served.stats().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrappers_test_plan() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, POLICY).unwrap();
    let emulator = Running::start(settings(SERVER, &[]), "127.0.0.1:0").await.unwrap();
    let freeze = |frozen| emulator.server.set_faults(Faults { frozen, ..Faults::default() });
    let served = Served::start(&file, &format!("http://{}", emulator.address), &["--log-level", "error"]);
    let begun = Instant::now();
    assert!(said(&served).await.starts_with("HTTP/1.1 200 "), "all are accepted below 70 %");

    freeze(true);
    let mut clients = JoinSet::new();
    for _ in 0..14 {
        let stream = served.send(ASK).await;
        clients.spawn(rest(stream));
    }
    while let Some(said) = clients.join_next().await {
        assert!(said.unwrap().starts_with("HTTP/1.1 504 "));
    }
    let stats = served.stats().await;
    assert_eq!((&stats["abandoned_requests"], &stats["rejection_threshold"]), (&14.0.into(), &0.7.into()));
    assert!(stats["time_until_reset"].as_f64().is_some_and(|left| left > 0.0 && left <= 12.0), "{stats}");

    freeze(false);
    for _ in 0..30 {
        assert!(said(&served).await.starts_with("HTTP/1.1 200 "), "at 70 % none is refused");
    }
    freeze(true);
    abandon(&served, 17).await;
    freeze(false);
    let mut refused = 0;
    for _ in 0..200 {
        let said = said(&served).await;
        assert!(said.starts_with("HTTP/1.1 200 ") || said.contains("Server at high capacity"), "{said}");
        refused += u32::from(said.starts_with("HTTP/1.1 503 "));
    }
    // Of 200 that are refused with probability 1/2: beyond these once in a hundred thousand.
    assert!((69..=131).contains(&refused), "at 85 % half are refused, not {refused} of 200");
    freeze(true);
    abandon(&served, 20).await;
    freeze(false);
    assert!(begun.elapsed() < Duration::from_secs(12), "the machine is too busy for this test");
    for _ in 0..30 {
        assert!(said(&served).await.contains("Server at full capacity"), "at 100 % all are refused");
    }
    let stats = served.stats().await;
    assert_eq!((&stats["abandoned_requests"], &stats["capacity_used"]), (&20.0.into(), &1.0.into()), "{stats}");

    let left = stats["time_until_reset"].as_f64().expect("it counts down");
    sleep(Duration::from_secs_f64(left)).await;
    // The wrapper looks at its clock when somebody comes.
    for _ in 0..30 {
        assert!(said(&served).await.starts_with("HTTP/1.1 200 "), "after the reset all are accepted");
    }
    assert_eq!(served.stats().await["abandoned_requests"], 0.0);
    quiet(&served).await;
    served.signal(Signal::TERM);
    assert_eq!(served.end().0, Some(0));
}

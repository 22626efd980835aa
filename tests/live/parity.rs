//! The whole chain against the simulator: driver, gateway and emulated server in memory, under a clock that stands still until
//! everybody waits. What is decided, and when, is the same (INV-8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::journal::{self, Journal, What};
use plimsoll::live::drive::{Drive, Seen, Watcher, Wire};
use plimsoll::live::emulate::Server as Emulator;
use plimsoll::live::gateway::{Serve, Server as Gateway, Wiring, Written};
use plimsoll::live::http::{Listener, Network, Pool, PoolTerms};
use plimsoll::request::{AttemptId, Outcome, Reason, Request, RequestId};
use plimsoll::rng::Streams;
use plimsoll::sim::{Plan, World};
use plimsoll::time::Time;
use plimsoll::upstream::OutputKind;
use plimsoll::workload::Finished;

use super::emulate::{plan, settings};

/// Three times what the server can do. All times are whole milliseconds, which timers keep; modulo 8 ms arrivals fall on 0 and 4,
/// steps end on 2 and tokens come out on 3, so that no two of them happen at one instant, whose order only the simulator
/// promises.
const OVERLOAD: &str = r#"
schema = 1
[run]
seed = 5
replications = 1
duration = "3s"
[upstream]
kind = "vllm"
num_gpu_blocks = 200
max_num_seqs = 8
max_num_batched_tokens = 256
max_model_len = 512
cost = { t0 = "8ms" }
host = { delay_in = "2ms", delay_out = "1ms" }
[[class]]
name = "chat"
arrival = { process = "constant", rate = 50 }
input = { dist = "uniform", min = 10, max = 100 }
output = { dist = "uniform", min = 8, max = 40 }
[policy.queue]
max_queue_size = 6
queue_rejection_threshold = 1
[policy.concurrency]
max_concurrent_requests = 3
"#;

/// What came of a request, when its first token came, and when it was over; ns.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Fate {
    outcome: Option<Outcome>,
    first: Option<u64>,
    end: u64,
}

type Fates = BTreeMap<RequestId, Fate>;

fn simulated(plan: &Plan) -> Fates {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    let _ = World::new(plan, 0, Some(&mut journal)).run();
    journal.finish().unwrap();
    let mut fates = Fates::new();
    let each = |_, event: journal::Event| {
        let at = event.t.as_nanos();
        match event.what {
            What::Upstream { request, kind: OutputKind::FirstToken } => fates.entry(request).or_default().first = Some(at),
            What::Finish { request, outcome, .. } => {
                let fate = fates.entry(request).or_default();
                (fate.outcome, fate.end) = (Some(outcome), at);
            }
            _ => {}
        }
        true
    };
    journal::read(&path, each).unwrap();
    fates
}

#[derive(Default)]
struct Log(Fates);

impl Watcher for Log {
    fn arrived(&mut self, now: Time, request: &Request) {
        assert_eq!(now, request.arrival, "nobody is late where the clock waits");
    }

    fn seen(&mut self, _request: &Request, _seen: &Seen) {}

    fn left(&mut self, _now: Time, _request: &Request, _attempt: AttemptId) {}

    fn finished(&mut self, now: Time, _request: &Request, finished: &Finished) {
        let first = finished.first_token.map(Time::as_nanos);
        let fate = Fate { outcome: Some(finished.outcome), first, end: now.as_nanos() };
        assert_eq!(self.0.insert(finished.request, fate), None);
    }
}

async fn live(plan: &Plan) -> Fates {
    let emulator = Emulator::start(settings(OVERLOAD, &[]));
    let (to_emulator, mut accepted) = Network::new();
    let serving = Arc::clone(&emulator);
    tokio::spawn(async move {
        while let Some(io) = accepted.recv().await {
            tokio::spawn(Arc::clone(&serving).serve(io));
        }
    });
    let (to_gateway, accepted) = Network::new();
    let gateway = Gateway::start(Wiring {
        listener: Listener::Memory(accepted),
        pool: Pool::in_memory("http://emulated:1".parse().unwrap(), to_emulator),
        written: Written { policy: plan.policy.clone(), serve: Serve::default() },
        seed: 1,
        admin_token: None,
        journal: None,
    });
    let gateway = gateway.unwrap();
    let drive = Drive {
        workload: Arc::clone(&plan.workload),
        streams: Streams::new(plan.seed, 0),
        pool: Pool::in_memory("http://gateway:1".parse().unwrap(), to_gateway),
        terms: PoolTerms { connect_timeout: Duration::from_secs(1), keep_alive: Duration::from_secs(4) },
        wire: Wire { model: "tiny".to_owned(), vocabulary: 500 },
        idle: Duration::from_secs(30),
        end: plan.window.drained,
    };
    let mut log = Log::default();
    let driven = drive.run(&mut log).await;
    assert_eq!(driven.client.unfinished().count(), 0);
    gateway.quiet().await;
    emulator.machine().idle().await;
    log.0
}

#[tokio::test(start_paused = true)]
async fn a_live_gateway_decides_what_a_simulated_one_does() {
    let plan = plan(OVERLOAD);
    let expected = simulated(&plan);
    let refused = Some(Outcome::Rejected(Reason::QueueFull));
    assert!(expected.values().filter(|fate| fate.outcome == refused).count() > 50);
    assert!(expected.values().filter(|fate| fate.outcome == Some(Outcome::Good)).count() > 30);
    assert_eq!(live(&plan).await, expected);
}

//! The whole chain against the simulator: driver, gateway and emulated server in memory, under a clock that stands still until
//! everybody waits. What is decided, and when, is the same (INV-8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::journal::{self, Journal, What};
use plimsoll::live::drive::{Line, Load, Prompts, Stamp, TERMS, Way, drive};
use plimsoll::live::emulate::Server as Emulator;
use plimsoll::live::gateway::{Serve, Server as Gateway, Wiring, Written};
use plimsoll::live::http::{Listener, Network, Pool};
use plimsoll::request::{Outcome, Reason, RequestId};
use plimsoll::sim::{Plan, World};
use plimsoll::upstream::OutputKind;

use super::emulate::{plan, settings};

/// Three times what the server can do. All times are whole milliseconds, which timers keep; modulo 400 ms arrivals fall on 0 and
/// 200, steps end on 100, tokens come out on 150, and patience shifts by 7: no two of them happen at one instant, whose order
/// only the simulator promises.
const OVERLOAD: &str = r#"
schema = 1
[run]
seed = 5
replications = 1
duration = "150s"
drain = "100s"
[upstream]
kind = "vllm"
num_gpu_blocks = 200
max_num_seqs = 8
max_num_batched_tokens = 256
max_model_len = 512
cost = { t0 = "400ms" }
host = { delay_in = "100ms", delay_out = "50ms" }
[policy.queue]
max_queue_size = 6
queue_rejection_threshold = 1
[policy.concurrency]
max_concurrent_requests = 3
[[class]]
name = "chat"
arrival = { process = "constant", rate = 5 }
input = { dist = "uniform", min = 10, max = 100 }
output = { dist = "uniform", min = 8, max = 40 }
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

fn fates(lines: &[Line]) -> Fates {
    let mut fates = Fates::new();
    for line in lines {
        assert_eq!(line.send, Some(line.sched), "nobody is late where the clock waits");
        let first = line.chunks.first().map(|Stamp(at)| at.as_nanos());
        let fate = Fate { outcome: line.column, first, end: line.done.unwrap_or(line.end).as_nanos() };
        assert_eq!(fates.insert(RequestId(line.i), fate), None);
    }
    fates
}

async fn live(scenario: &str, plan: &Plan) -> Fates {
    let emulator = Emulator::start(settings(scenario, &[]));
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
    let way = Way {
        pool: Pool::in_memory("http://gateway:1".parse().unwrap(), to_gateway),
        terms: TERMS,
        model: "tiny".to_owned(),
        key: None,
        prompts: Prompts { vocabulary: 500, seed: plan.seed, step: 0 },
        idle_timeout: Duration::from_secs(600),
    };
    let driven = drive(&Load::of(plan, 0), Arc::new(way), std::future::pending(), &mut |_| {}).await;
    gateway.quiet().await;
    emulator.machine().idle().await;
    fates(&driven.lines)
}

/// Both arms; how many requests ended so.
async fn agree(scenario: &str, outcome: Outcome) -> usize {
    let plan = plan(scenario);
    let expected = simulated(&plan);
    assert_eq!(live(scenario, &plan).await, expected);
    expected.values().filter(|fate| fate.outcome == Some(outcome)).count()
}

#[tokio::test(start_paused = true)]
async fn a_live_gateway_queues_and_refuses_as_a_simulated_one_does() {
    assert!(agree(OVERLOAD, Outcome::Rejected(Reason::QueueFull)).await > 300);
}

/// Calls that are cut at the gateway's timeout free their slots then, and what they did upstream ends at the next step.
#[tokio::test(start_paused = true)]
async fn it_times_out_as_a_simulated_one_does() {
    let timeout = "[policy.timeout]\nrequest_timeout = \"8007ms\"\n[[class]]";
    assert!(agree(&OVERLOAD.replace("[[class]]", timeout), Outcome::TimedOut).await > 50);
}

/// Clients who leave, in the queue and out of it.
#[tokio::test(start_paused = true)]
async fn it_loses_clients_as_a_simulated_one_does() {
    let patience = format!("{OVERLOAD}timeout = {{ first_token = \"4007ms\", total = \"12007ms\" }}\n");
    assert!(agree(&patience, Outcome::GaveUp).await > 50);
}

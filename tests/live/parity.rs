//! The whole chain against the simulator (INV-8): driver, gateway and emulated server in memory, under a clock that stands still
//! until everybody waits, where what is decided, and when, is the same; and over real sockets by the real clock, where what is
//! decided is, and when, to within what a busy machine is late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::journal::{self, Journal, What};
use plimsoll::live::drive::{Line, Load, Prompts, Stamp, TERMS, Way, class_rules, drive};
use plimsoll::live::emulate::{Running, Server as Emulator};
use plimsoll::live::gateway::{Serve, Server as Gateway, Wiring, Written};
use plimsoll::live::http::{Listener, Network, Pool};
use plimsoll::request::{Outcome, Reason, RequestId};
use plimsoll::sim::{Plan, World};
use plimsoll::upstream::OutputKind;

use super::emulate::{plan, settings};

/// Three times what the server can do. All times are whole milliseconds, which timers keep. Modulo 400 ms all arrivals but the first,
/// which wakes the server, fall on 100 and 300 and reach it on 200 and 0, steps end on 300, tokens come out on 350: no two of these
/// happen at one instant, whose order only the simulator promises, and none within 50 ms of another. What patience and timeouts
/// add is [`Arm::shift`].
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
arrival = { process = "constant", rate = 5, steps = [{ at = "200ms", factor = 0.6666666666666666 }, { at = "500ms", factor = 1 }] }
input = { dist = "uniform", min = 10, max = 100 }
output = { dist = "uniform", min = 8, max = 40 }
"#;

/// What came of a request, of which attempt, when its first token came, and when it was over; ns.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Fate {
    outcome: Option<Outcome>,
    attempts: u16,
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
            What::Upstream { request, kind: OutputKind::FirstToken } => {
                let fate = fates.entry(request).or_default();
                fate.first = if fate.outcome.is_none() { Some(at) } else { fate.first }; // nobody hears what comes later
            }
            What::Finish { request, outcome, attempts, .. } => {
                let fate = fates.entry(request).or_default();
                (fate.outcome, fate.attempts, fate.end) = (Some(outcome), attempts, at);
            }
            _ => {}
        }
        true
    };
    journal::read(&path, each).unwrap();
    fates
}

/// Those of their last attempts.
fn fates(lines: &[Line]) -> Fates {
    let mut fates = Fates::new();
    for line in lines {
        let first = line.chunks.first().map(|Stamp(at)| at.as_nanos());
        let end = line.done.unwrap_or(line.end).as_nanos();
        let fate = Fate { outcome: line.column, attempts: line.attempt, first, end };
        let before = fates.insert(RequestId(line.i), fate);
        assert!(before.is_none_or(|before| before.outcome.is_none() && before.attempts < line.attempt), "{before:?}, {fate:?}");
    }
    fates
}

async fn in_memory(scenario: &str, plan: &Plan) -> Fates {
    let emulator = Emulator::start(settings(scenario, &[]));
    let (to_emulator, mut accepted) = Network::new();
    let serving = Arc::clone(&emulator);
    tokio::spawn(async move {
        while let Some(io) = accepted.recv().await {
            tokio::spawn(Arc::clone(&serving).serve(io));
        }
    });
    let (to_gateway, accepted) = Network::new();
    let upstream = Pool::in_memory("http://emulated:1".parse().unwrap(), to_emulator);
    let driven = Pool::in_memory("http://gateway:1".parse().unwrap(), to_gateway);
    chain(plan, &emulator, (Listener::Memory(accepted), upstream), driven).await
}

async fn on_sockets(scenario: &str, plan: &Plan) -> Fates {
    let emulator = Running::start(settings(scenario, &[]), "127.0.0.1:0").await.unwrap();
    let listener = Listener::bind("127.0.0.1:0", None).await.unwrap();
    let pool = |address| Pool::plain(format!("http://{address}").parse().unwrap());
    let driven = pool(listener.address().unwrap());
    chain(plan, &emulator.server, (listener, pool(emulator.address)), driven).await
}

/// Drives the plan's requests by `driven` into a gateway, which listens and has its upstream as `between` says.
async fn chain(plan: &Plan, emulator: &Emulator, between: (Listener, Arc<Pool>), driven: Arc<Pool>) -> Fates {
    let (listener, pool) = between;
    let gateway = Gateway::start(Wiring {
        listener,
        pool,
        written: Written {
            policy: plan.policy.clone(),
            serve: Serve { class: class_rules(&plan.workload.classes), ..Serve::default() },
        },
        seed: 1,
        admin_token: None,
        journal: None,
    });
    let gateway = gateway.unwrap();
    let way = Way {
        pool: driven,
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

/// By which clock the chain runs.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Arm {
    /// In memory, by a clock that waits.
    Memory,
    /// Over sockets, by the real one: six seconds of it.
    Sockets,
}

impl Arm {
    /// What patience and timeouts add to whole steps, ms. In a long run those that follow from each other add up, so that it must be
    /// odd; in a short one it keeps away from all else.
    const fn shift(self) -> u32 {
        match self {
            Self::Memory => 7,
            Self::Sockets => 90,
        }
    }
}

/// How late a busy machine may be: less than what lies between two events that matter to each other.
const LATE_MAX: u64 = 40_000_000;

/// The simulator and the other arm; how many requests ended so.
async fn agree(arm: Arm, scenario: &str, outcome: Outcome) -> usize {
    let scenario = match arm {
        Arm::Memory => scenario.to_owned(),
        Arm::Sockets => scenario.replace("\"150s\"", "\"6s\"").replace("\"100s\"", "\"14s\"").replace("max = 40", "max = 24"),
    };
    let plan = plan(&scenario);
    let expected = simulated(&plan);
    match arm {
        Arm::Memory => {
            let live = in_memory(&scenario, &plan).await;
            let other = live.iter().zip(&expected).find(|(live, simulated)| live != simulated);
            assert_eq!((other, live.len()), (None, expected.len()));
        }
        Arm::Sockets => {
            let real = on_sockets(&scenario, &plan).await;
            assert_eq!(real.len(), expected.len());
            for (request, (real, expected)) in real.iter().map(|(request, fate)| (request, (fate, expected[request]))) {
                let came = |fate: &Fate| fate.outcome.map(|outcome| (outcome, fate.attempts));
                assert_eq!(came(real), came(&expected), "{request:?}: {real:?} {expected:?}");
                let late = |real: u64, expected: u64| real.abs_diff(expected) <= LATE_MAX;
                let firsts = real.first.zip(expected.first);
                let ends = expected.outcome.map(|_| (real.end, expected.end));
                for (real, expected) in firsts.into_iter().chain(ends) {
                    assert!(late(real, expected), "{request:?}: {real} and not {expected} ns");
                }
            }
        }
    }
    expected.values().filter(|fate| fate.outcome == Some(outcome)).count()
}

async fn queues_and_refuses(arm: Arm) -> usize {
    agree(arm, OVERLOAD, Outcome::Rejected(Reason::QueueFull)).await
}

/// Calls that are cut at the gateway's timeout free their slots then, and what they did upstream ends at the next step.
async fn times_out(arm: Arm) -> usize {
    let timeout = format!("[policy.timeout]\nrequest_timeout = \"{}ms\"\n[[class]]", 6_000 + arm.shift());
    agree(arm, &OVERLOAD.replace("[[class]]", &timeout), Outcome::TimedOut).await
}

/// Clients who leave, in the queue and out of it.
async fn loses_clients(arm: Arm) -> usize {
    let [first, total] = [4_000, 12_000].map(|whole| whole + arm.shift());
    let patience = format!("{OVERLOAD}timeout = {{ first_token = \"{first}ms\", total = \"{total}ms\" }}\n");
    agree(arm, &patience, Outcome::GaveUp).await
}

/// What runs abandoned is counted, forgotten at each reset, and decides with each attempt's own random bits who is let in. Those who
/// are refused come back at once, with other bits.
async fn draws_lots(arm: Arm) -> usize {
    let timeout = format!(
        "[policy.graduated]\nmax_abandoned = 12\nvllm_rejection_threshold = 0\nreset_interval = \"9s\"\n\
         [policy.timeout]\nrequest_timeout = \"{}ms\"\non_timeout = \"abandon\"\n[[class]]",
        2_000 + arm.shift()
    );
    let retry = "retry = { max_attempts = 3, on = [\"rejected\"], backoff_base = \"0s\", honour_retry_after = false }\n";
    agree(arm, &format!("{}{retry}", OVERLOAD.replace("[[class]]", &timeout)), Outcome::Rejected(Reason::HighCapacity)).await
}

#[tokio::test(start_paused = true)]
async fn a_live_gateway_queues_and_refuses_as_a_simulated_one_does() {
    assert!(queues_and_refuses(Arm::Memory).await > 300);
}

#[tokio::test(start_paused = true)]
async fn it_times_out_as_a_simulated_one_does() {
    assert!(times_out(Arm::Memory).await > 50);
}

#[tokio::test(start_paused = true)]
async fn it_loses_clients_as_a_simulated_one_does() {
    assert!(loses_clients(Arm::Memory).await > 50);
}

#[tokio::test]
async fn over_sockets_it_queues_and_refuses_as_a_simulated_one_does() {
    assert!(queues_and_refuses(Arm::Sockets).await > 15);
}

#[tokio::test]
async fn over_sockets_it_times_out_as_a_simulated_one_does() {
    assert!(times_out(Arm::Sockets).await > 2);
}

#[tokio::test]
async fn over_sockets_it_loses_clients_as_a_simulated_one_does() {
    assert!(loses_clients(Arm::Sockets).await > 5);
}

#[tokio::test(start_paused = true)]
async fn it_draws_lots_as_a_simulated_one_does() {
    assert!(draws_lots(Arm::Memory).await > 50);
}

#[tokio::test]
async fn over_sockets_it_draws_lots_as_a_simulated_one_does() {
    assert!(draws_lots(Arm::Sockets).await > 1);
}

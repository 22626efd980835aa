//! The load driver against the scenario's own server, emulated: its requests fare as the simulator's do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::journal::{self, ClassTally, Journal, Tally, What};
use plimsoll::live::drive::{Line, Load, Prompts, TERMS, Way, class_rules, drive, tally};
use plimsoll::live::emulate::{Faults, Server};
use plimsoll::live::gateway::{Serve, Server as Gateway, Wiring, Written};
use plimsoll::live::http::{Listener, Network, Pool};
use plimsoll::request::{Cause, Outcome, Reason, RequestId};
use plimsoll::sim::{Plan, World};
use plimsoll::time::Time;

use super::emulate::{BUSY, FAST, plan, settings};

/// What came of each request: its column, and its attempts.
type Came = BTreeMap<RequestId, (Outcome, u16)>;

fn simulated(plan: &Plan) -> (Came, Tally) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    let tally = World::new(plan, 0, Some(&mut journal)).run();
    journal.finish().unwrap();
    let mut came = Came::new();
    let each = |_, event: journal::Event| {
        if let What::Finish { request, outcome, attempts, .. } = event.what {
            came.insert(request, (outcome, attempts));
        }
        true
    };
    journal::read(&path, each).unwrap();
    (came, tally)
}

/// Drives the scenario's workload against its own server, emulated in memory.
async fn driven(scenario: &str, faults: Faults) -> (Vec<Line>, Arc<Server>) {
    let plan = plan(scenario);
    let (server, network) = emulated(scenario, faults);
    let way = way(&plan, network);
    let driven = drive(&Load::of(&plan, 0), Arc::new(way), std::future::pending(), &mut |_| {}).await;
    (driven.lines, server)
}

/// The same through a gateway with the scenario's policies.
async fn driven_through(scenario: &str) -> Vec<Line> {
    let plan = plan(scenario);
    let (server, network) = emulated(scenario, Faults::default());
    let (to_gateway, accepted) = Network::new();
    let gateway = Gateway::start(Wiring {
        listener: Listener::Memory(accepted),
        pool: Pool::in_memory("http://emulated:1".parse().unwrap(), network),
        written: Written {
            policy: plan.policy.clone(),
            serve: Serve { class: class_rules(&plan.workload.classes), ..Serve::default() },
        },
        seed: plan.seed,
        admin_token: None,
        journal: None,
    });
    let gateway = gateway.unwrap();
    let way = way(&plan, to_gateway);
    let driven = drive(&Load::of(&plan, 0), Arc::new(way), std::future::pending(), &mut |_| {}).await;
    server.machine().idle().await;
    gateway.drain();
    gateway.ended().await;
    driven.lines
}

fn emulated(scenario: &str, faults: Faults) -> (Arc<Server>, Network) {
    let server = Server::start(settings(scenario, &[]));
    server.set_faults(faults);
    let (network, mut accepted) = Network::new();
    let serving = Arc::clone(&server);
    tokio::spawn(async move {
        while let Some(io) = accepted.recv().await {
            tokio::spawn(Arc::clone(&serving).serve(io));
        }
    });
    (server, network)
}

fn way(plan: &Plan, network: Network) -> Way {
    Way {
        pool: Pool::in_memory("http://there:1".parse().unwrap(), network),
        terms: TERMS,
        model: "tiny".to_owned(),
        key: None,
        prompts: Prompts { vocabulary: 500, seed: plan.seed, step: 0 },
        idle_timeout: Duration::from_secs(30),
    }
}

fn came(lines: &[Line]) -> Came {
    let mut came = Came::new();
    for line in lines {
        if let Some(column) = line.column {
            assert_eq!(came.insert(RequestId(line.i), (column, line.attempt)), None, "a request is over once");
        }
    }
    came
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_come_to_the_same_as_in_a_simulation() {
    let (lines, server) = driven(BUSY, Faults::default()).await;
    let (expected, simulated) = simulated(&plan(BUSY));
    assert!(expected.values().any(|came| came.0 == Outcome::Rejected(Reason::UpstreamFull)));
    assert!(expected.values().any(|came| came.0 == Outcome::Good));
    assert_eq!(came(&lines), expected);
    assert!(lines.iter().all(|line| line.send == Some(line.sched)), "the clock waits for whoever is late");
    assert_eq!(server.machine().inside(), 0);
    // The same figures, each time within the millisecond that timers keep.
    let live = tally(&Load::of(&plan(BUSY), 0), &lines);
    let (live, simulated) = (&live.classes[0], &simulated.classes[0]);
    let counts = |class: &ClassTally| (class.offered, class.good, class.rejected, class.attempts);
    assert_eq!(counts(live), counts(simulated));
    for (name, live, simulated) in [
        ("ttft", &live.ttft, &simulated.ttft),
        ("e2e", &live.e2e, &simulated.e2e),
        ("tpot", &live.tpot, &simulated.tpot),
        ("itl", &live.itl, &simulated.itl),
    ] {
        assert_eq!(live.count(), simulated.count(), "{name}");
        let (live, simulated) = (live.mean_s().unwrap(), simulated.mean_s().unwrap());
        assert!((live - simulated).abs() <= 1e-3, "{name}: {live} s and {simulated} s");
    }
}

/// Clients who leave, come back and leave again: every request is over once, and the server is empty in the end.
#[tokio::test(start_paused = true)]
async fn clients_leave_and_try_again() {
    let impatient = format!(
        "{BUSY}timeout = {{ first_token = \"150ms\", total = \"400ms\" }}\n\
         retry = {{ max_attempts = 3, on = [\"rejected\", \"gave_up\"], backoff_base = \"50ms\" }}\n"
    );
    let (lines, server) = driven(&impatient, Faults::default()).await;
    let came = came(&lines);
    let many = |outcome: Outcome| came.values().filter(|came| came.0 == outcome).count();
    assert!(many(Outcome::GaveUp) > 2 && many(Outcome::Good) > 5, "{came:?}");
    assert!(came.values().any(|came| came.1 == 3) && lines.len() > came.len());
    let plan = plan(&impatient);
    let offered = tally(&Load::of(&plan, 0), &lines).classes[0].offered;
    assert_eq!(offered, World::new(&plan, 0, None).run().classes[0].offered);
    server.machine().idle().await;
    assert_eq!(server.machine().gauges().running, 0);
}

/// What a limiter reserves goes by the class's limit and the client's estimate, which the body does not show: whoever decides by
/// less than the simulated gateway knows decides otherwise. Nobody comes back: backoff is drawn to the nanosecond, and timers keep
/// milliseconds.
const METERED: &str = r#"
schema = 1
[run]
seed = 11
replications = 1
duration = "150s"
drain = "100s"
[upstream]
kind = "vllm"
num_gpu_blocks = 200
max_num_seqs = 8
max_num_batched_tokens = 256
max_model_len = 1024
cost = { t0 = "400ms" }
host = { delay_in = "100ms", delay_out = "50ms" }
[policy.limiter]
tpm_limit = 1500
[policy.queue]
max_queue_size = 6
queue_rejection_threshold = 1
[policy.concurrency]
max_concurrent_requests = 6
[[class]]
name = "chat"
arrival = { process = "constant", rate = 5 }
input = { dist = "uniform", min = 10, max = 100 }
output = { dist = "uniform", min = 8, max = 40 }
max_tokens = 300
estimate_sigma = 0.3
"#;

#[tokio::test(start_paused = true)]
async fn a_gateway_in_between_decides_by_what_the_simulated_one_knows() {
    let (expected, _) = simulated(&plan(METERED));
    let many = |wanted: fn(Outcome) -> bool| expected.values().filter(|came| wanted(came.0)).count();
    let (good, rejected) = (many(|outcome| outcome == Outcome::Good), many(|outcome| matches!(outcome, Outcome::Rejected(_))));
    assert!(good > 20 && rejected > 200, "{good} good, {rejected} rejected");
    let came = came(&driven_through(METERED).await);
    for (request, expected) in &expected {
        assert_eq!(came.get(request), Some(expected), "{request:?}");
    }
    assert_eq!(came.len(), expected.len());
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_sends_when_it_is_answered() {
    let closed = FAST.replace("process = \"constant\", rate = 1", "process = \"closed_loop\", clients = 2");
    let closed = closed.replace("[upstream]", "[run]\nduration = \"200ms\"\n[upstream]");
    let (lines, _server) = driven(&closed, Faults::default()).await;
    assert!(lines.len() > 20, "{}", lines.len());
    assert!(came(&lines).values().all(|came| *came == (Outcome::Good, 1)) && came(&lines).len() == lines.len());
    assert!(lines.iter().all(|line| line.sched < Time::from_nanos(200_000_000)));
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_seen_for_what_it_is() {
    for (fault, outcome) in [
        ("status=500", Outcome::Failed(Cause::Server)),
        ("status=429", Outcome::Rejected(Reason::UpstreamRate)),
        ("in-band=503", Outcome::Rejected(Reason::UpstreamFull)),
        ("reset", Outcome::Failed(Cause::Connection)),
        ("reset=2", Outcome::Failed(Cause::Connection)),
        ("hang=2", Outcome::Failed(Cause::Idle)),
        ("garbage", Outcome::Failed(Cause::Connection)),
    ] {
        let one = FAST.replace("[upstream]", "[run]\nduration = \"1s\"\ndrain = \"60s\"\n[upstream]");
        let faults = Faults { fault: Some(fault.to_owned()), ..Faults::default() };
        let (lines, server) = driven(&one, faults).await;
        let came = came(&lines);
        assert_eq!((came.len(), lines.len()), (2, 2), "{fault}: {lines:?}");
        assert!(came.values().all(|came| *came == (outcome, 1)), "{fault}: {lines:?}");
        server.machine().idle().await;
    }
}

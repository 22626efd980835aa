//! The load driver sends what the simulator's source sends, and its clients fare as the simulator's do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::journal::{self, ClassTally, Journal, Tally, What};
use plimsoll::live::drive::{Counted, Drive, Driven, Seen, Watcher, Wire};
use plimsoll::live::emulate::{Faults, Running, Server};
use plimsoll::live::http::{Network, Pool, PoolTerms};
use plimsoll::request::{AttemptId, Cause, Outcome, Reason, Request, RequestId};
use plimsoll::rng::Streams;
use plimsoll::sim::{Plan, World};
use plimsoll::time::{Span, Time};
use plimsoll::workload::Finished;

use super::emulate::{BUSY, FAST, plan, settings};

/// What came of each request: its column, and its attempts.
type Came = BTreeMap<RequestId, (Outcome, u16)>;

/// Keeps what came, and counts beside.
struct Log {
    arrived: u64,
    late: Span,
    came: Came,
    latest: Time,
    counted: Counted,
}

impl Log {
    fn pass(&mut self, now: Time) {
        assert!(now >= self.latest, "time runs back");
        self.latest = now;
    }
}

impl Watcher for Log {
    fn arrived(&mut self, now: Time, request: &Request) {
        self.pass(now);
        self.arrived += 1;
        self.late = self.late.max(now - request.arrival);
        self.counted.arrived(now, request);
    }

    fn seen(&mut self, request: &Request, seen: &Seen) {
        self.pass(seen.at);
        self.counted.seen(request, seen);
    }

    fn left(&mut self, now: Time, request: &Request, attempt: AttemptId) {
        self.pass(now);
        self.counted.left(now, request, attempt);
    }

    fn finished(&mut self, now: Time, request: &Request, finished: &Finished) {
        self.pass(now);
        self.counted.finished(now, request, finished);
        assert_eq!(request.id, finished.request);
        let twice = self.came.insert(finished.request, (finished.outcome, finished.attempts));
        assert_eq!(twice, None, "a request is over once");
    }
}

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
async fn driven(scenario: &str, faults: Faults) -> (Log, Driven, Arc<Server>) {
    let server = Server::start(settings(scenario, &[]));
    server.set_faults(faults);
    let (network, mut accepted) = Network::new();
    let serving = Arc::clone(&server);
    tokio::spawn(async move {
        while let Some(io) = accepted.recv().await {
            tokio::spawn(Arc::clone(&serving).serve(io));
        }
    });
    let pool = Pool::in_memory("http://emulated:1".parse().unwrap(), network);
    let (log, driven) = driven_at(&plan(scenario), pool).await;
    (log, driven, server)
}

async fn driven_at(plan: &Plan, pool: Arc<Pool>) -> (Log, Driven) {
    let drive = Drive {
        workload: Arc::clone(&plan.workload),
        streams: Streams::new(plan.seed, 0),
        pool,
        terms: PoolTerms { connect_timeout: Duration::from_secs(1), keep_alive: Duration::from_secs(60) },
        wire: Wire { model: "tiny".to_owned(), vocabulary: 500 },
        idle: Duration::from_secs(30),
        end: plan.window.drained,
    };
    let counted = Counted::new(plan.window, plan.workload.classes.len());
    let mut log = Log { arrived: 0, late: Span::ZERO, came: Came::new(), latest: Time::ZERO, counted };
    let driven = drive.run(&mut log).await;
    (log, driven)
}

/// The real arm: sockets and the clock on the wall. What came of each request is the same; times are the machine's affair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sockets_the_same_requests_come_to_the_same() {
    let busy = FAST.replace("rate = 1", "rate = 40").replace("[upstream]", "[run]\nduration = \"500ms\"\n[upstream]");
    let plan = plan(&busy);
    let running = Running::start(settings(&busy, &[]), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let target = format!("http://{}", running.address).parse().unwrap();
    let (log, driven) = driven_at(&plan, Pool::plain(target)).await;
    assert_eq!(log.came.len(), 40);
    assert_eq!(log.came, simulated(&plan).0);
    assert_eq!((driven.lag.count(), driven.client.unfinished().count()), (40, 0));
    let tally = log.counted.tally(&driven);
    assert_eq!(tally.classes.iter().map(|class| class.itl.count()).sum::<u64>(), 20 * 39 + 20 * 2);
    assert!(tally.classes.iter().all(|class| class.ttft.mean_s() >= Some(1e-3)), "a step takes a millisecond");
    assert_eq!(running.server.machine().inside(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_come_to_the_same_as_in_a_simulation() {
    let (log, driven, server) = driven(BUSY, Faults::default()).await;
    let (expected, simulated) = simulated(&plan(BUSY));
    assert!(expected.values().any(|came| came.0 == Outcome::Rejected(Reason::UpstreamFull)));
    assert!(expected.values().any(|came| came.0 == Outcome::Good));
    assert_eq!(log.came, expected);
    assert_eq!((log.arrived, driven.client.unfinished().count()), (expected.len() as u64, 0));
    assert_eq!(log.late, Span::ZERO, "the clock waits for whoever is late");
    assert_eq!(driven.lag.count(), log.arrived);
    assert_eq!(server.machine().inside(), 0);
    // The same figures, each time within the millisecond that timers keep.
    let live = log.counted.tally(&driven);
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

/// What prompts share is found in the cache as in a simulation.
#[tokio::test(start_paused = true)]
async fn a_shared_prefix_is_computed_once() {
    let shared = format!("{BUSY}prefix = {{ groups = 2, tokens = 96 }}\n");
    let (log, _driven, server) = driven(&shared, Faults::default()).await;
    let (expected, _) = simulated(&plan(&shared));
    assert_ne!(expected, simulated(&plan(BUSY)).0, "it makes a difference");
    assert_eq!(log.came, expected);
    let cached = server.machine().exposition();
    assert!(!cached.contains("vllm:prompt_tokens_cached_total{engine=\"0\",model_name=\"tiny\"} 0"), "{cached}");
}

/// Clients who leave, come back and leave again: every request is over once, and the server is empty in the end.
#[tokio::test(start_paused = true)]
async fn clients_leave_and_try_again() {
    let impatient = format!(
        "{BUSY}timeout = {{ first_token = \"150ms\", total = \"400ms\" }}\n\
         retry = {{ max_attempts = 3, on = [\"rejected\", \"gave_up\"], backoff_base = \"50ms\" }}\n"
    );
    let (log, driven, server) = driven(&impatient, Faults::default()).await;
    assert_eq!((log.came.len() + driven.client.unfinished().count()) as u64, log.arrived);
    let many = |outcome: Outcome| log.came.values().filter(|came| came.0 == outcome).count();
    assert!(many(Outcome::GaveUp) > 2 && many(Outcome::Good) > 5, "{:?}", log.came);
    assert!(log.came.values().any(|came| came.1 == 3));
    assert!(driven.lag.count() > log.arrived, "retries are sent too");
    server.machine().idle().await;
    assert_eq!(server.machine().gauges().running, 0);
    let tally = log.counted.tally(&driven);
    assert_eq!(tally.system_area, tally.residence, "INV-10");
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_sends_when_it_is_answered() {
    let closed = FAST.replace("process = \"constant\", rate = 1", "process = \"closed_loop\", clients = 2");
    let closed = closed.replace("[upstream]", "[run]\nduration = \"200ms\"\n[upstream]");
    let (log, driven, _server) = driven(&closed, Faults::default()).await;
    assert!(log.came.len() > 20, "{}", log.came.len());
    assert!(log.came.values().all(|came| *came == (Outcome::Good, 1)));
    assert_eq!(driven.client.unfinished().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_seen_for_what_it_is() {
    for (fault, outcome) in [
        ("status=500", Outcome::Failed(Cause::Server)),
        ("status=429", Outcome::Rejected(Reason::UpstreamRate)),
        ("in-band=503", Outcome::Rejected(Reason::UpstreamFull)),
        ("reset", Outcome::Failed(Cause::Connection)),
        ("reset=2", Outcome::Failed(Cause::Connection)),
        ("hang", Outcome::Failed(Cause::Idle)),
        ("hang=2", Outcome::Failed(Cause::Idle)),
        ("garbage", Outcome::Failed(Cause::Connection)),
    ] {
        let one = FAST.replace("[upstream]", "[run]\nduration = \"1s\"\ndrain = \"60s\"\n[upstream]");
        let faults = Faults { fault: Some(fault.to_owned()), ..Faults::default() };
        let (log, driven, server) = driven(&one, faults).await;
        assert_eq!((driven.client.unfinished().count(), log.came.len()), (0, 2), "{fault}: {:?}", log.came);
        assert!(log.came.values().all(|came| *came == (outcome, 1)), "{fault}: {:?}", log.came);
        server.machine().idle().await;
    }
}

//! The load driver against a scripted server, on a network in memory and under a clock that jumps from event to event.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plimsoll::live::drive::{
    Driven, Lag, Line, Load, Prompts, TERMS, Way, Word, drive, first_misfit, poll_gauges, probe, tally, until_idle,
};
use plimsoll::live::http::{Listener, Network, Pool};
use plimsoll::request::{Cause, Outcome, Reason};
use plimsoll::rng::Streams;
use plimsoll::scenario::Scenario;
use plimsoll::sim::{Plan, prepare};
use plimsoll::time::Time;
use plimsoll::workload::Source;

use crate::scripted::{Act, Script, start};

const QUICK: Act = Act::Answer(Duration::from_millis(50), Duration::from_millis(10));

/// The plan of a scenario of 20 s (and 10 s of drain) whose class and arrivals say more.
fn plan(more: &str) -> Plan {
    let text = format!(
        "schema = 1\n[run]\nseed = 7\nreplications = 1\nduration = '20s'\nwarmup = '0s'\ndrain = '10s'\n\
         [upstream]\nkind = 'vllm'\npreset = 'cpu-16m'\n{more}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.toml");
    std::fs::write(&path, text).unwrap();
    let scenario = Scenario::load(Path::new(&path), &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    prepare(&scenario).unwrap_or_else(|wrong| panic!("{wrong}")).plans.remove(0)
}

/// Two requests a second of 20 + 5 tokens.
fn steady(more: &str) -> Plan {
    plan(&format!(
        "[[class]]\nname = 'chat'\narrival = {{ process = 'constant', rate = 2 }}\ninput = {{ dist = 'fixed', value = 20 }}\n\
         output = {{ dist = 'fixed', value = 5 }}\n{more}"
    ))
}

fn way(script: &Arc<Script>) -> Arc<Way> {
    let (network, accepted) = Network::new();
    drop(start(Listener::Memory(accepted), script));
    let pool = Pool::in_memory("http://scripted".parse().unwrap(), network);
    let prompts = Prompts { vocabulary: 100, seed: 7, step: 0 };
    Arc::new(Way { pool, terms: TERMS, model: "m20".to_owned(), key: None, prompts, idle_timeout: Duration::from_secs(5) })
}

async fn driven(plan: &Plan, script: &Arc<Script>) -> Vec<Line> {
    let Driven { lines, interrupted } = drive(&Load::of(plan, 0), way(script), std::future::pending(), &mut |_| {}).await;
    assert!(!interrupted);
    lines
}

fn secs(time: Time) -> f64 {
    time.since(Time::ZERO).as_secs_f64()
}

/// Open loop, two classes with drawn lengths: the simulator's own requests, at their times, to the token.
#[tokio::test(start_paused = true)]
async fn the_same_seed_sends_the_simulators_requests() {
    let plan = plan(
        "[arrival]\nprocess = 'poisson'\nrate = 5\n[[class]]\nname = 'chat'\nweight = 2\ninput = { dist = 'uniform', min = 10, max = 200 }\n\
         output = { dist = 'uniform', min = 1, max = 40 }\n[[class]]\nname = 'batch'\ninput = { dist = 'fixed', value = 300 }\n\
         output = { dist = 'uniform', min = 5, max = 9 }\nstreaming = false\n",
    );
    for replication in [0, 3] {
        let mut source = Source::new(&plan.workload, Streams::new(plan.seed, replication));
        let mut wanted = Vec::new();
        while source.next_arrival().is_some() {
            let request = source.take();
            let class = plan.workload.classes[request.class.index()].name.clone();
            wanted.push((request.id.0, class, request.arrival, request.input_tokens, request.output_tokens));
        }
        let script = Script::new([], QUICK);
        let mut lines = drive(&Load::of(&plan, replication), way(&script), std::future::pending(), &mut |_| {}).await.lines;
        lines.sort_by_key(|line| (line.arrival, line.i));
        let sent: Vec<_> =
            lines.iter().map(|line| (line.i, line.class.clone(), line.arrival, line.prompt, line.max_tokens)).collect();
        assert_eq!(sent, wanted);
        assert!(wanted.len() > 60, "{}", wanted.len());
        // And that is what went over the wire.
        let mut lengths: Vec<_> = script
            .asked()
            .iter()
            .map(|asked| (asked.body["prompt"].as_array().unwrap().len() as u64, asked.body["max_tokens"].as_u64().unwrap()))
            .collect();
        let mut expected: Vec<_> = wanted.iter().map(|(.., input, output)| (u64::from(*input), u64::from(*output))).collect();
        lengths.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lengths, expected);
        assert!(script.asked().iter().all(|asked| asked.body["ignore_eos"] == true && asked.body["temperature"] == 0));
    }
}

/// First tokens, tokens and ends are timed from the intended arrival.
#[tokio::test(start_paused = true)]
async fn answers_are_timed_and_counted() {
    let (plan, script) = (steady("slo = { ttft = '60ms' }\n"), Script::new([], QUICK));
    let lines = driven(&plan, &script).await;
    assert!(lines.iter().all(|line| line.outcome == Word::Ok && line.column == Some(Outcome::Good)));
    let tally = tally(&Load::of(&plan, 0), &lines);
    let class = &tally.classes[0];
    assert_eq!((class.offered, class.good, class.attempts), (lines.len() as u64, lines.len() as u64, lines.len() as u64));
    let near = |value: Option<f64>, wanted: f64| value.is_some_and(|value| (value - wanted).abs() < 0.004);
    assert!(
        near(class.ttft.quantile_s(0.5), 0.050) && near(class.ttft.quantile_s(1.0), 0.050),
        "{:?}",
        class.ttft.quantile_s(1.0)
    );
    assert!(
        near(class.e2e.quantile_s(0.5), 0.090) && near(class.itl.quantile_s(0.5), 0.010),
        "{:?}",
        class.e2e.quantile_s(0.5)
    );
    // A runtime's timers have milliseconds.
    assert!(Lag::of(&lines).judge(Some(0.05)).holds() && Lag::of(&lines).of.count() == lines.len() as u64);
}

/// Who gets no token in time leaves: the connection is closed, and the server sees it.
#[tokio::test(start_paused = true)]
async fn impatience_closes_the_connection() {
    let (plan, script) = (steady("timeout = { first_token = '2s' }\n"), Script::new([], Act::Hang));
    let lines = driven(&plan, &script).await;
    assert!(lines.iter().all(|line| line.outcome == Word::TtftTimeout && line.column == Some(Outcome::GaveUp)));
    assert!(lines.iter().all(|line| (secs(line.end) - secs(line.sched) - 2.0).abs() < 0.005));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(script.left.load(Ordering::SeqCst), lines.len());
}

const IN_BAND: &[&str] = &[r#"{"error":{"message":"full","type":"x","param":null,"code":503}}"#, "[DONE]"];

/// Refused by the status with a Retry-After, then inside the stream, then answered: three attempts of one request.
#[tokio::test(start_paused = true)]
async fn refusals_are_tried_again_as_the_class_says() {
    let plan = steady("retry = { max_attempts = 3, backoff_base = '1ms' }\n");
    let script = Script::new(
        [Act::Status(503, &[("retry-after", "3")], r#"{"error":{"message":"full","code":503}}"#), Act::Events(IN_BAND)],
        QUICK,
    );
    let mut lines = driven(&plan, &script).await;
    lines.sort_by_key(|line| (line.i, line.attempt));
    let [first, ..] = &lines[..] else { panic!("nothing was sent") };
    assert_eq!((first.attempt, first.status, first.column), (1, Some(503), None));
    let (i, sched) = (first.i, first.sched);
    let again = lines.iter().find(|line| line.i == i && line.attempt == 2).unwrap();
    assert!((secs(again.sched) - secs(first.end) - 3.0).abs() < 0.01, "{} {}", secs(again.sched), secs(sched));
    assert_eq!(again.arrival, first.arrival);
    // The second answer of the script went to the second request, whose attempt it refused under status 200.
    let in_band = lines.iter().find(|line| line.status == Some(200) && line.outcome == Word::HttpError).unwrap();
    assert_eq!(in_band.error.as_deref(), Some("full"));
    assert!(lines.iter().all(|line| line.column.is_none_or(|column| column == Outcome::Good)));
    let retries: Vec<_> =
        script.asked().iter().map(|asked| asked.headers["x-stainless-retry-count"].to_str().unwrap().to_owned()).collect();
    assert_eq!((retries.iter().filter(|count| *count == "1").count(), retries[0].as_str()), (2, "0"));
    let tally = tally(&Load::of(&plan, 0), &lines);
    assert_eq!((tally.classes[0].retried, tally.classes[0].attempts - tally.classes[0].offered), (2, 2));
}

/// What is refused for good is in the column of its reason, whoever refused it.
#[tokio::test(start_paused = true)]
async fn refusals_have_reasons_and_failures_causes() {
    const QUEUE: &str = r#"{"error":{"message":"The queue is full","type":"server_error","param":null,"code":"queue_full"}}"#;
    const TIMED: &str = r#"{"error":{"message":"late","type":"server_error","param":null,"code":"timed_out"}}"#;
    const CUT: &[&str] = &[r#"{"choices":[{"text":"x","finish_reason":null}]}"#];
    let acts = [
        (Act::Status(503, &[], QUEUE), Outcome::Rejected(Reason::QueueFull)),
        (Act::Status(503, &[], "busy"), Outcome::Rejected(Reason::UpstreamFull)),
        (Act::Status(429, &[], "{}"), Outcome::Rejected(Reason::UpstreamRate)),
        (Act::Status(504, &[], TIMED), Outcome::TimedOut),
        (Act::Status(500, &[], "oh"), Outcome::Failed(Cause::Server)),
        (Act::Events(CUT), Outcome::Failed(Cause::Connection)),
    ];
    let script = Script::new(acts.iter().map(|(act, _)| act.clone()), QUICK);
    let mut lines = driven(&steady(""), &script).await;
    lines.sort_by_key(|line| line.i);
    let columns: Vec<_> = lines.iter().take(acts.len()).map(|line| line.column).collect();
    assert_eq!(columns, acts.iter().map(|(_, column)| Some(*column)).collect::<Vec<_>>());
}

/// A stream that stands still after its first token is given up, and a run's end is no client's doing.
#[tokio::test(start_paused = true)]
async fn silence_and_the_end_of_the_run_are_told_apart() {
    let script = Script::new([Act::Answer(Duration::from_millis(5), Duration::from_secs(100))], Act::Hang);
    let mut lines = driven(&steady(""), &script).await;
    lines.sort_by_key(|line| line.i);
    assert_eq!((lines[0].column, lines[0].outcome), (Some(Outcome::Failed(Cause::Idle)), Word::Exc));
    assert!(lines[1..].iter().all(|line| line.column.is_none() && line.outcome == Word::Exc && secs(line.end) >= 30.0));
    let tally = tally(&Load::of(&steady(""), 0), &lines);
    assert_eq!(tally.classes[0].in_flight, lines.len() as u64 - 1);
}

/// A closed loop's clients send when their answer is there.
#[tokio::test(start_paused = true)]
async fn closed_loops_wait_for_their_answers() {
    let plan = plan(
        "[[class]]\nname = 'chat'\narrival = { process = 'closed_loop', clients = 3, think = { dist = 'fixed', value = '100ms' } }\n\
         input = { dist = 'fixed', value = 20 }\noutput = { dist = 'fixed', value = 5 }\n",
    );
    let script = Script::new([], QUICK);
    let lines = driven(&plan, &script).await;
    // 90 ms an answer and 100 ms to think: 3 clients x 20 s / 0.19 s.
    assert!((295..=320).contains(&lines.len()), "{}", lines.len());
    let under_way = |at: f64| lines.iter().filter(|line| secs(line.sched) <= at && at < secs(line.end)).count();
    assert!((0..200).all(|tenth| under_way(f64::from(tenth) / 10.0) <= 3));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_it_and_the_server_is_let_go() {
    let script = Script::new([], Act::Hang);
    let load = Load::of(&steady(""), 0);
    let stop = tokio::time::sleep(Duration::from_secs(3));
    let mut told = 0;
    let driven = drive(&load, way(&script), stop, &mut |_| told += 1).await;
    assert!(driven.interrupted && (5..=8).contains(&driven.lines.len()) && told >= 3, "{} {told}", driven.lines.len());
}

#[tokio::test(start_paused = true)]
async fn a_server_is_looked_at_before_it_is_driven() {
    let script = Script::new([], QUICK);
    let way = way(&script);
    let server = probe(&way, None).await.unwrap();
    assert_eq!(
        (server.model.id.as_str(), server.model.max_model_len, server.version.as_deref()),
        ("m20", Some(2048), Some("0.32.0"))
    );
    assert_eq!(probe(&way, Some("b")).await.unwrap().model.max_model_len, None);
    let wrong = probe(&way, Some("c")).await.unwrap_err().to_string();
    assert_eq!(wrong, "http://scripted has no model `c`; it has `m20`, `b`");
    let misfit = first_misfit(&Load::of(&steady(""), 0), "m20", 24).unwrap().to_string();
    assert!(misfit.contains("class `chat` has a prompt of 20 tokens and an answer of 5"), "{misfit}");
    assert_eq!(first_misfit(&Load::of(&steady(""), 0), "m20", 25), None);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_waited_for() {
    let script = Script::new([], QUICK);
    let way = way(&script);
    script.running.store(2, Ordering::SeqCst);
    assert_eq!(poll_gauges(&way).await.map(|gauges| gauges.running), Some(2.0));
    assert!(!until_idle(&way, Duration::from_secs(3), Duration::ZERO).await);
    let (other, way) = (Arc::clone(&script), Arc::clone(&way));
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        other.running.store(0, Ordering::SeqCst);
    });
    assert!(until_idle(&way, Duration::from_secs(10), Duration::ZERO).await);
}

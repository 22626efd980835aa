//! The emulated server says what the simulated one does, when it does, in the form in which vLLM says it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::Method;
use plimsoll::journal::{self, Journal, What, Window};
use plimsoll::live::emulate::{NewsKind, Running, Server, Settings, Work};
use plimsoll::live::openai::{ApiError, Chunk, Event, Stop};
use plimsoll::policy::Usage;
use plimsoll::request::{Cause, Request, RequestId};
use plimsoll::rng::Streams;
use plimsoll::scenario::Scenario;
use plimsoll::sim::{self, Plan, World};
use plimsoll::time::Time;
use plimsoll::upstream::OutputKind;
use plimsoll::workload::Source;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{Client, Stream, text};

/// Arrivals at whole milliseconds, which is what timers can keep; steps that never end on one.
pub const BUSY: &str = r#"
schema = 1
[run]
seed = 3
replications = 1
duration = "2s"
[upstream]
kind = "vllm"
num_gpu_blocks = 40
max_num_seqs = 4
max_num_batched_tokens = 64
max_model_len = 512
max_num_queued_reqs = 7
cost = { t0 = "7.3ms", t0p = "1.1ms", tp = "31us", td = "170us", tk = "211ns" }
host = { request = "300us", step = "100us", token = "20us", cancel = "90us", delay_in = "50us", delay_out = "40us" }
[[class]]
name = "chat"
arrival = { process = "constant", rate = 50 }
input = { dist = "uniform", min = 10, max = 200 }
output = { dist = "uniform", min = 1, max = 30 }
"#;

/// A step takes a millisecond, whatever is in it.
pub const FAST: &str = r#"
schema = 1
[upstream]
kind = "vllm"
num_gpu_blocks = 100
max_num_seqs = 8
max_model_len = 256
cost = { t0 = "1ms" }
[[class]]
name = "long"
arrival = { process = "constant", rate = 1 }
input = { dist = "fixed", value = 10 }
output = { dist = "fixed", value = 40 }
[[class]]
name = "short"
arrival = { process = "constant", rate = 1 }
input = { dist = "fixed", value = 10 }
output = { dist = "fixed", value = 3 }
"#;

/// The scenario as it is simulated.
pub fn plan(scenario: &str) -> Plan {
    let scenario = Scenario::parse("test.toml", scenario, &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    let (upstream, workload) = sim::parts(&scenario, 0).unwrap_or_else(|wrong| panic!("{wrong}"));
    let end = Time::ZERO + scenario.run.duration;
    Plan {
        name: "base".to_owned(),
        policy: scenario.variants[0].policy.clone(),
        upstream,
        workload: Arc::new(workload),
        window: Window { start: Time::ZERO, end, drained: end + scenario.drain() },
        seed: scenario.run.seed,
    }
}

/// The scenario's server, called `tiny`.
pub fn settings(scenario: &str, sets: &[&str]) -> Settings {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let scenario = Scenario::parse("test.toml", scenario, &sets).unwrap_or_else(|wrong| panic!("{wrong}"));
    let (upstream, workload) = sim::parts(&scenario, 0).unwrap_or_else(|wrong| panic!("{wrong}"));
    Settings::new("tiny".to_owned(), &upstream, workload, scenario.run.seed).unwrap()
}

/// A server on a socket and a connection to it.
pub async fn on_socket(scenario: &str, sets: &[&str]) -> (Running, Client) {
    let running = Running::start(settings(scenario, sets), "127.0.0.1:0").await.unwrap();
    let client = connect(&running).await;
    (running, client)
}

pub async fn connect(running: &Running) -> Client {
    Client::over(TcpStream::connect(running.address).await.unwrap()).await
}

/// A streamed completion of `max_tokens` after a prompt of `input` token ids.
pub fn body(input: usize, max_tokens: u32) -> String {
    let ids = vec!["7"; input].join(",");
    format!(
        "{{\"model\":\"tiny\",\"prompt\":[{ids}],\"max_tokens\":{max_tokens},\"ignore_eos\":true,\"stream\":true,\
         \"stream_options\":{{\"include_usage\":true}}}}"
    )
}

/// First token, end and answer's length of a request, as it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    first: Option<u64>,
    end: u64,
    tokens: u32,
    refused: bool,
}

/// The simulation's own times, ns, and its requests.
fn simulated(plan: &Plan) -> BTreeMap<RequestId, Times> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    let _ = World::new(plan, 0, Some(&mut journal)).run();
    journal.finish().unwrap();
    let mut times: BTreeMap<RequestId, Times> = BTreeMap::new();
    let each = |_, event: journal::Event| {
        if let What::Upstream { request, kind } = event.what {
            let at = event.t.as_nanos();
            let seen = times.entry(request).or_default();
            match kind {
                OutputKind::FirstToken => seen.first = Some(at),
                OutputKind::Done(work) => (seen.end, seen.tokens) = (at, work.decode_tokens),
                OutputKind::Failed { .. } => (seen.end, seen.refused) = (at, true),
                _ => {}
            }
        }
        true
    };
    journal::read(&path, each).unwrap();
    times
}

fn requests(plan: &Plan) -> Vec<Request> {
    let mut source = Source::new(&plan.workload, Streams::new(plan.seed, 0));
    std::iter::from_fn(|| source.next_arrival().map(|_| source.take())).collect()
}

/// One request to the model itself.
async fn in_model(server: Arc<Server>, request: Request) -> Times {
    let (input, output) = (request.input_tokens, request.output_tokens);
    let work = Work { class: request.class, input, output, max_tokens: output, length: true, prefix: request.prefix };
    let mut call = server.machine().begin(work);
    let mut times = Times::default();
    while let Some(news) = call.next().await {
        times.end = news.at.as_nanos();
        match news.kind {
            NewsKind::Refused(cause) => {
                assert_eq!(cause, Cause::Overloaded);
                times.refused = true;
                continue;
            }
            NewsKind::Token | NewsKind::Last(_) => times.tokens += 1,
        }
        times.first = times.first.or(Some(news.at.as_nanos()));
    }
    times
}

/// The same over HTTP, at the times of a client.
async fn over_http(server: Arc<Server>, request: Request, start: Instant) -> Times {
    let mut client = Client::over(server.connect()).await;
    let since = |at: Instant| u64::try_from((at - start).as_nanos()).unwrap();
    let response = client.complete(&[], body(request.input_tokens as usize, request.output_tokens)).await.unwrap();
    if response.status() == 503 {
        let _ = text(response).await;
        return Times { end: since(Instant::now()), refused: true, ..Times::default() };
    }
    let events = Stream::of(response).all().await.unwrap();
    let tokens = events.iter().filter(|(_, event)| matches!(event, Event::Chunk(chunk) if chunk.token));
    let times: Vec<u64> = tokens.map(|(at, _)| since(*at)).collect();
    let usage = Usage { input: request.input_tokens, output: request.output_tokens };
    let said = Event::Chunk(Chunk { usage: Some(usage), ..Chunk::default() });
    assert_eq!([&events[events.len() - 2].1, &events[events.len() - 1].1], [&said, &Event::Done]);
    Times {
        first: times.first().copied(),
        end: *times.last().unwrap(),
        tokens: u32::try_from(times.len()).unwrap(),
        refused: false,
    }
}

/// Every request at its arrival.
async fn drive<F: Future<Output = Times> + Send + 'static>(
    requests: &[Request],
    start: Instant,
    one: impl Fn(Request) -> F,
) -> BTreeMap<RequestId, Times> {
    let mut under_way = Vec::new();
    for request in requests {
        let after = std::time::Duration::from_nanos(request.arrival.since(Time::ZERO).as_nanos());
        tokio::time::sleep_until(start + after).await;
        under_way.push((request.id, tokio::spawn(one(*request))));
    }
    let mut times = BTreeMap::new();
    for (id, task) in under_way {
        times.insert(id, task.await.unwrap());
    }
    times
}

/// INV-8 of the upstream: what is simulated and what is emulated agree to the nanosecond inside, and to the timers' millisecond
/// outside.
#[tokio::test(start_paused = true)]
async fn the_same_requests_take_as_long_as_in_a_simulation() {
    let plan = plan(BUSY);
    let expected = simulated(&plan);
    let requests = requests(&plan);
    assert_eq!(requests.len(), expected.len());
    assert!(expected.values().any(|times| times.refused) && expected.values().any(|times| times.tokens > 20));

    let settings = settings(BUSY, &[]);
    let server = Server::start(settings.clone());
    let inside = drive(&requests, Instant::now(), |request| in_model(Arc::clone(&server), request)).await;
    assert_eq!(inside, expected);
    assert_eq!(server.machine().inside(), 0);

    let (server, start) = (Server::start(settings), Instant::now());
    let outside = drive(&requests, start, |request| over_http(Arc::clone(&server), request, start)).await;
    let shown = |ns: u64| ns.next_multiple_of(1_000_000);
    let shown = |times: &Times| Times { first: times.first.map(shown), end: shown(times.end), ..*times };
    let expected: BTreeMap<RequestId, Times> = expected.iter().map(|(id, times)| (*id, shown(times))).collect();
    assert_eq!(outside, expected);
}

#[tokio::test]
async fn a_chat_opens_with_a_role_and_its_answer_is_as_long_as_the_class_says() {
    let (_running, mut client) = on_socket(FAST, &[]).await;
    let chat = r#"{"messages":[{"role":"user","content":"Hello, you"}],"user":"short","stream":true,"max_tokens":10}"#;
    let response = client.send(Method::POST, "/v1/chat/completions", &[], chat).await.unwrap();
    let events: Vec<Event> = Stream::of(response).all().await.unwrap().into_iter().map(|(_, event)| event).collect();
    let token = Chunk { choices: 1, token: true, finish: None, usage: None };
    let last = Chunk { finish: Some(Stop::Stop), ..token };
    let expected = [Chunk { token: false, ..token }, token, token, last].map(Event::Chunk);
    assert_eq!(events[..4], expected);
    assert_eq!(events[4..], [Event::Done]);

    let plain = r#"{"prompt":"Hello, you","max_tokens":2}"#;
    let response = client.complete(&[("x-plimsoll-class", "short")], plain.to_owned()).await.unwrap();
    let (status, answer) = text(response).await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["choices"][0]["finish_reason"]), (200, &"length".into()));
    assert_eq!(answer["choices"][0]["text"], " token token");
    assert_eq!(answer["usage"], serde_json::json!({"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2}));
}

#[tokio::test]
async fn what_cannot_be_served_says_why() {
    let (running, mut client) = on_socket(FAST, &[]).await;
    let long = body(256, 1);
    let unknown = body(1, 1).replace("tiny", "large");
    for (body, status, what) in [
        (long.as_str(), 400, "must fit into the model's"),
        (&unknown, 404, "`large` does not exist. There is: tiny"),
        ("{\"prompt\":", 400, "EOF"),
        ("{}", 400, "no prompt"),
        ("{\"prompt\":\"a\",\"n\":2}", 400, "2 answers"),
        ("{\"prompt\":\"a\",\"max_tokens\":0}", 400, "at least 1"),
    ] {
        let (seen, answer) = text(client.complete(&[], body.to_owned()).await.unwrap()).await;
        let error = ApiError::read(answer.as_bytes()).expect("an error");
        assert_eq!((seen, error.status()), (status, Some(status)), "{answer}");
        assert!(error.message.contains(what), "{answer}");
    }
    let (status, answer) = text(client.complete(&[("x-plimsoll-class", "x")], body(1, 1)).await.unwrap()).await;
    assert_eq!((status, answer.contains("there is: long, short")), (400, true), "{answer}");
    assert_eq!(client.get("/nothing").await.0, 404);
    assert_eq!(client.get("/v1/completions").await.0, 405);
    // A prompt that fits with an answer that does not: cut, silently.
    let events = Stream::of(client.complete(&[], body(250, 100)).await.unwrap()).all().await.unwrap();
    let usage = Chunk { usage: Some(Usage { input: 250, output: 6 }), ..Chunk::default() };
    assert_eq!(events[events.len() - 2].1, Event::Chunk(usage));
    assert_eq!(running.server.machine().inside(), 0);
}

#[tokio::test]
async fn what_a_server_says_of_itself() {
    let (_running, mut client) = on_socket(FAST, &[]).await;
    assert_eq!(client.get("/health").await, (200, String::new()));
    assert!(client.get("/version").await.1.contains("plimsoll"));
    assert_eq!(client.get("/load").await.1, "{\"server_load\":0}");
    let models: serde_json::Value = serde_json::from_str(&client.get("/v1/models").await.1).unwrap();
    assert_eq!((&models["data"][0]["id"], &models["data"][0]["max_model_len"]), (&"tiny".into(), &256.into()));
    assert_eq!(client.get("/v1/models/tiny").await.0, 200);
    assert_eq!(client.get("/v1/models/large").await.0, 404);

    let _ = Stream::of(client.complete(&[], body(20, 5)).await.unwrap()).all().await.unwrap();
    let (_, metrics) = client.get("/metrics").await;
    let labels = "engine=\"0\",model_name=\"tiny\"";
    for line in [
        format!("vllm:num_requests_running{{{labels}}} 0"),
        format!("vllm:num_requests_waiting{{{labels}}} 0"),
        format!("vllm:kv_cache_usage_perc{{{labels}}} 0.0"),
        format!("vllm:prompt_tokens_total{{{labels}}} 20"),
        format!("vllm:generation_tokens_total{{{labels}}} 5"),
        format!("vllm:request_success_total{{{labels},finished_reason=\"length\"}} 1"),
        format!("vllm:inter_token_latency_seconds_count{{{labels}}} 4"),
        format!("vllm:time_to_first_token_seconds_count{{{labels}}} 1"),
        format!("vllm:e2e_request_latency_seconds_count{{{labels}}} 1"),
        format!("vllm:iteration_tokens_total_sum{{{labels}}} 25.0"),
        format!("vllm:iteration_tokens_total_count{{{labels}}} 5"),
        format!("vllm:request_params_max_tokens_sum{{{labels}}} 5.0"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in\n{metrics}");
    }
    assert!(metrics.contains("num_gpu_blocks=\"100\""), "{metrics}");
    assert!(metrics.contains("plimsoll_emulate_lag_seconds{"), "{metrics}");
}

/// Every metric of ours that is called vLLM's is one of a real server, with the same buckets.
#[tokio::test]
async fn the_metrics_are_vllms_own() {
    let real = include_str!("../fixtures/vllm_metrics.txt");
    let (_running, mut client) = on_socket(FAST, &[]).await;
    let _ = Stream::of(client.complete(&[], body(20, 5)).await.unwrap()).all().await.unwrap();
    let (_, ours) = client.get("/metrics").await;
    let bound = |line: &str| line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()?.parse::<f64>().ok());
    let series = |text: &str| -> Vec<(String, Option<u64>)> {
        let lines = text.lines().filter(|line| line.starts_with("vllm:"));
        lines
            .map(|line| (line.split(['{', ' ']).next().unwrap_or_default().to_owned(), bound(line).map(f64::to_bits)))
            .collect()
    };
    let known = series(real);
    let found = series(&ours);
    assert!(found.len() > 150, "{}", found.len());
    for one in found {
        assert!(known.contains(&one), "{one:?} is not vLLM's");
    }
}

#[tokio::test]
async fn who_leaves_gives_back_the_slot() {
    let (running, mut waiting) = on_socket(FAST, &["upstream.max_num_seqs=1"]).await;
    let mut streaming = connect(&running).await;
    let mut stream = Stream::of(streaming.complete(&[], body(20, 200)).await.unwrap());
    let _ = stream.next().await.unwrap().expect("a token");
    let machine = Arc::clone(running.server.machine());
    assert_eq!(machine.gauges().running, 1);
    // One that waits for its status line, and one in the middle of its stream.
    let whole = body(20, 200).replace("\"stream\":true", "\"stream\":false");
    let asking = tokio::spawn(async move { waiting.complete(&[], whole).await.is_ok() });
    while machine.inside() < 2 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    drop((stream, streaming));
    machine.idle().await;
    assert_eq!(machine.gauges(), plimsoll::upstream::Gauges::default());
    let (_, metrics) = connect(&running).await.get("/metrics").await;
    assert!(metrics.contains("plimsoll_emulate_abandoned_total{engine=\"0\",model_name=\"tiny\"} 2"), "{metrics}");
}

#[tokio::test]
async fn refused_for_load_before_the_stream_or_in_it() {
    let (running, mut first) = on_socket(FAST, &["upstream.max_num_queued_reqs=1"]).await;
    // Its headers are looked at before there is any load; its body comes late.
    let mut late = TcpStream::connect(running.address).await.unwrap();
    let late_body = body(3, 3);
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        late_body.len()
    );
    late.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    late.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    let mut stream = Stream::of(first.complete(&[], body(20, 200)).await.unwrap());
    let _ = stream.next().await.unwrap().expect("a token");
    let (status, answer) = text(connect(&running).await.complete(&[], body(3, 3)).await.unwrap()).await;
    let error = ApiError::read(answer.as_bytes()).expect("an error");
    assert_eq!((status, error.cause()), (503, Cause::Overloaded));

    late.write_all(late_body.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"[DONE]\n\n\r\n0\r\n\r\n") {
        assert!(late.read_buf(&mut said).await.unwrap() > 0, "{}", String::from_utf8_lossy(&said));
    }
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    let event = said.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    assert!(matches!(Event::read(event.as_bytes()), Event::Error(error) if error.cause() == Cause::Overloaded), "{said}");
    let (_, metrics) = connect(&running).await.get("/metrics").await;
    assert!(metrics.contains("reason=\"max_num_queued_reqs\"} 2"), "{metrics}");
}

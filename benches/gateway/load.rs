//! Clients on kept connections.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::upstream::SILENT;

const BODY: &str = r#"{"model":"m","prompt":[1,2,3,4],"max_tokens":200}"#;
const STREAM: &str =
    r#"{"model":"m","prompt":[1,2,3,4],"max_tokens":200,"stream":true,"stream_options":{"include_usage":true}}"#;
/// Connections over which requests at a rate are spread.
const CONNECTIONS: usize = 32;

/// Clients that ask again at once.
#[derive(Copy, Clone)]
pub struct Load {
    pub lasts: Duration,
    pub clients: usize,
    pub streams: bool,
}

/// What they had.
#[derive(Copy, Clone, Default)]
pub struct Count {
    pub requests: u64,
    /// Frames of streams.
    pub chunks: u64,
}

/// Times from the planned time to the answer's end, ms.
#[derive(Copy, Clone)]
pub struct Latencies {
    pub p50: f64,
    pub p99: f64,
}

type Connection = SendRequest<Full<Bytes>>;

impl Load {
    pub async fn run(self, at: &str) -> Count {
        let until = Instant::now() + self.lasts;
        let mut clients = JoinSet::new();
        for _ in 0..self.clients {
            let mut connection = connect(at).await;
            clients.spawn(async move {
                let mut count = Count::default();
                let body = if self.streams { STREAM } else { BODY };
                // What is under way at the end counts by its chunks alone.
                while let Ok(answer) = timeout_at(until, ask(&mut connection, body)).await {
                    let ended = timeout_at(until, read(answer, &mut count.chunks)).await.is_ok();
                    count.requests += u64::from(ended);
                    if !ended {
                        break;
                    }
                }
                count
            });
        }
        let mut all = Count::default();
        while let Some(count) = clients.join_next().await {
            let count = count.expect("no client panics");
            all.requests += count.requests;
            all.chunks += count.chunks;
        }
        all
    }
}

/// Requests at even times, `rate` a second.
pub async fn at_a_rate(at: &str, rate: u32, lasts: Duration) -> Latencies {
    let begin = Instant::now() + Duration::from_millis(100);
    let gap = Duration::from_secs(1) / rate;
    let mut clients = JoinSet::new();
    for place in 0..CONNECTIONS {
        let mut connection = connect(at).await;
        clients.spawn(async move {
            let mut took = Vec::new();
            for turn in 0.. {
                let planned = begin + gap * u32::try_from(place + turn * CONNECTIONS).expect("not so many");
                if planned > begin + lasts {
                    return took;
                }
                sleep_until(planned).await;
                let answer = ask(&mut connection, BODY).await;
                read(answer, &mut 0).await;
                took.push(planned.elapsed().as_secs_f64() * 1e3);
            }
            took
        });
    }
    let mut all = Vec::new();
    while let Some(took) = clients.join_next().await {
        all.extend(took.expect("no client panics"));
    }
    all.sort_by(f64::total_cmp);
    let at = |percent: usize| all[(all.len() - 1) * percent / 100];
    Latencies { p50: at(50), p99: at(99) }
}

/// Streams that are open and say nothing any more.
pub async fn hold(at: &str, count: usize) -> Vec<(Connection, Incoming)> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = connect(at).await;
        let mut answer = ask(&mut connection, &STREAM.replace("\"m\"", &format!("\"{SILENT}\""))).await;
        answer.frame().await.expect("a first chunk").expect("whole");
        held.push((connection, answer));
    }
    held
}

async fn connect(at: &str) -> Connection {
    let stream = TcpStream::connect(at).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

async fn ask(connection: &mut Connection, body: &str) -> Incoming {
    let request = Request::post("/v1/completions")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-none")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("the head is right");
    connection.ready().await.expect("open");
    let response = connection.send_request(request).await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    response.into_body()
}

async fn read(mut answer: Incoming, chunks: &mut u64) {
    while let Some(frame) = answer.frame().await {
        frame.expect("whole");
        *chunks += 1;
    }
}

/// How many files this process may have open.
pub fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is listed");
    line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX)
}

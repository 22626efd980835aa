//! An upstream that does as the request's `x-script` header says, a gateway in front of it, and clients, all on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll::live::gateway::{RecorderTerms, Server, Wiring, Written};
use plimsoll::live::http::{Listener, Pool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Longest time for anything in these tests: a test that needs it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the upstream has seen, and what it waits for.
#[derive(Default)]
pub struct Seen {
    /// Heads and bodies of requests.
    pub requests: Mutex<Vec<String>>,
    /// Calls whose client hung up.
    pub cancelled: AtomicUsize,
    /// Calls that run.
    pub running: AtomicUsize,
    /// Something of this has changed.
    pub changed: Notify,
    /// Lets those go on that do as `wait` says.
    pub go: Notify,
}

impl Seen {
    /// Waits until `holds`.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                let mut changed = std::pin::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    fn change(&self, number: &AtomicUsize, up: bool) {
        if up {
            number.fetch_add(1, Ordering::SeqCst)
        } else {
            number.fetch_sub(1, Ordering::SeqCst)
        };
        self.changed.notify_waiters();
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// How many were cancelled.
    pub fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::SeqCst)
    }
}

/// The upstream's address and what it sees.
pub async fn upstream() -> (String, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = format!("http://{}", listener.local_addr().expect("bound"));
    let seen = Arc::<Seen>::default();
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&shared)));
        }
    });
    (at, seen)
}

async fn connection(mut stream: TcpStream, seen: Arc<Seen>) {
    let mut bytes = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut bytes).await {
        let script = field(&head, "x-script").unwrap_or("whole").to_owned();
        let usage = body.contains("\"include_usage\":true");
        let stream_wanted = body.contains("\"stream\":true");
        seen.requests.lock().expect("no panic").push(format!("{head}\r\n\r\n{body}"));
        seen.change(&seen.running, true);
        let kept = play(&mut stream, &seen, &script, stream_wanted, usage).await;
        seen.change(&seen.running, false);
        if !kept {
            return;
        }
    }
}

/// One header's value.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim())
}

async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, String)> {
    let mut piece = vec![0; 16_384];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length: usize = field(&head, "content-length").map_or(0, |length| length.parse().expect("a number"));
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&bytes[end + 4..end + 4 + length]).into_owned();
                bytes.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

const WHOLE: &str = r#"{"object":"text_completion","choices":[{"index":0,"text":"abc","finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#;
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

/// An event as one chunk of HTTP.
fn chunk(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn token(text: &str, finish: &str) -> String {
    chunk(&format!(r#"{{"choices":[{{"index":0,"text":"{text}","finish_reason":{finish}}}]}}"#))
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// Answers as the script says; whether the connection stays.
async fn play(stream: &mut TcpStream, seen: &Seen, script: &str, streams: bool, usage: bool) -> bool {
    let all = || {
        let usage =
            if usage { chunk(r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#) } else { String::new() };
        let (one, two, three) = (token("a", "null"), token("b", "null"), token("c", "\"length\""));
        format!("{EVENTS}{one}{two}{three}{usage}{}0\r\n\r\n", chunk("[DONE]"))
    };
    let text = match script {
        "whole" if streams => all(),
        "whole" => answer("200 OK", "", WHOLE),
        "wait" => {
            if gone_before(stream, seen, seen.go.notified()).await {
                return false;
            }
            if streams { all() } else { answer("200 OK", "", WHOLE) }
        }
        "in_band_503" => {
            let error = r#"{"error":{"message":"queue full","type":"ServiceUnavailableError","param":null,"code":503}}"#;
            format!("{EVENTS}{}{}0\r\n\r\n", chunk(error), chunk("[DONE]"))
        }
        "500" => {
            answer("500 Internal Server Error", "", r#"{"error":{"message":"it broke","type":"x","param":null,"code":500}}"#)
        }
        "429" => answer("429 Too Many Requests", "retry-after: 7\r\n", r#"{"error":{"message":"slow down"}}"#),
        "404" => answer("404 Not Found", "", r#"{"error":{"message":"no such model: there is `tiny`"}}"#),
        "garbage" => "SSH-2.0-OpenSSH_9.9\r\nnonsense\r\n\r\n".to_owned(),
        "garbage_events" => format!("{EVENTS}5\r\nabc\n\n\r\n9\r\ndata: {{\n\n\r\n0\r\n\r\n"),
        "kill" => format!("{EVENTS}{}{}", token("a", "null"), token("b", "null")),
        "hang" => {
            let begun = format!("{EVENTS}{}", token("a", "null"));
            let _ = stream.write_all(begun.as_bytes()).await;
            gone_before(stream, seen, std::future::pending()).await;
            return false;
        }
        "mute" => {
            gone_before(stream, seen, std::future::pending()).await;
            return false;
        }
        "drip" => {
            for byte in all().as_bytes() {
                if stream.write_all(&[*byte]).await.is_err() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
            return true;
        }
        "flood" => return flood(stream, seen).await,
        _ => return false, // `reset`: closes without a word
    };
    stream.write_all(text.as_bytes()).await.is_ok() && !matches!(script, "kill" | "garbage")
}

/// Sends tokens until nobody takes them.
async fn flood(stream: &mut TcpStream, seen: &Seen) -> bool {
    let many = token(&"x".repeat(2_000), "null");
    if stream.write_all(EVENTS.as_bytes()).await.is_err() {
        return false;
    }
    while stream.write_all(many.as_bytes()).await.is_ok() {}
    seen.change(&seen.cancelled, true);
    false
}

/// Waits for `event`; whether the client hung up before.
async fn gone_before(stream: &mut TcpStream, seen: &Seen, event: impl Future<Output = ()>) -> bool {
    let mut byte = [0];
    tokio::select! {
        () = event => false,
        _ = stream.read(&mut byte) => {
            seen.change(&seen.cancelled, true);
            true
        }
    }
}

/// A gateway with these settings in front of `upstream`.
pub async fn gateway(settings: &str, upstream: &str) -> Server {
    start(settings, upstream, None).await
}

/// The same with a journal in a folder.
pub async fn start(settings: &str, upstream: &str, journal: Option<&std::path::Path>) -> Server {
    let written = Written::parse("test.toml", settings).unwrap_or_else(|wrong| panic!("{wrong}"));
    let journal = journal.map(|folder| RecorderTerms {
        folder: folder.to_owned(),
        segment_bytes: u64::from(written.serve.journal_segment_bytes.value()),
        segments_max: u64::from(written.serve.journal_segments_max.value()),
        classes: written.serve.class_names(),
    });
    let listener = Listener::bind("127.0.0.1:0", None).await.expect("a free port");
    let pool = Pool::plain(upstream.parse().expect("an address"));
    let admin_token = Some("0123456789abcdef".to_owned());
    Server::start(Wiring { listener, pool, written, seed: 7, admin_token, journal }).expect("it starts")
}

/// Where it listens.
pub fn at(server: &Server) -> String {
    server.address().expect("a port").to_string()
}

/// A request's text.
pub fn post(script: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/completions HTTP/1.1\r\nhost: test\r\nx-script: {script}\r\nauthorization: Bearer sk-very-secret\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A completion's body.
pub const BODY: &str = r#"{"model":"tiny","prompt":[1,2,3,4,5],"max_tokens":3}"#;
/// The same, streamed.
pub const STREAM: &str = r#"{"model":"tiny","prompt":[1,2,3,4,5],"max_tokens":3,"stream":true}"#;

/// A connection on which `text` has been sent.
pub async fn send(server: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at(server)).await.expect("it listens");
    stream.write_all(text.as_bytes()).await.expect("it reads");
    stream
}

/// All that comes until the connection ends.
pub async fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // A reset after the answer is an end too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an end");
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads until `text` has come.
pub async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer").expect("no reset");
        all.extend_from_slice(&piece[..read]);
        let said = String::from_utf8_lossy(&all);
        if said.contains(text) {
            return said.into_owned();
        }
        assert!(read > 0, "ended before `{text}`: {said}");
    }
}

/// A whole exchange on a connection of its own.
pub async fn ask(server: &Server, text: &str) -> String {
    rest(send(server, &text.replacen("host: test", "host: test\r\nconnection: close", 1)).await).await
}

/// Ends the gateway and shows that nothing is held.
pub async fn end(server: Server) {
    tokio::time::timeout(PATIENCE, server.quiet()).await.unwrap_or_else(|_| panic!("in flight: {:?}", server.in_flight()));
    server.drain();
    tokio::time::timeout(PATIENCE, server.ended()).await.expect("it ends");
}

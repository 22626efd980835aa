//! A model server that does what its script says, and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use plimsoll::live::http::{Drain, Limits, Listener, serve};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

type Body = BoxBody<Bytes, Infallible>;

/// What is done with a request for an answer.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers as asked, the first token after this time, each further one this much later.
    Answer(Duration, Duration),
    /// Answers with this status, headers and body.
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Answers 200 and these events at once.
    Events(&'static [&'static str]),
    /// Never says a token.
    Hang,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub body: Value,
    pub headers: hyper::HeaderMap,
}

/// The script and what it has seen.
#[derive(Debug, Default)]
pub struct Script {
    /// What is done first; then `rest` for ever.
    pub first: Mutex<VecDeque<Act>>,
    pub rest: Mutex<Option<Act>>,
    pub asked: Mutex<Vec<Asked>>,
    /// Told of each request for an answer.
    pub heard: Notify,
    /// Answers whose client went away before their end.
    pub left: AtomicUsize,
    /// What the server says it has to do.
    pub running: AtomicUsize,
}

impl Script {
    pub fn new(first: impl IntoIterator<Item = Act>, rest: Act) -> Arc<Self> {
        let script = Self::default();
        *script.first.lock().unwrap() = first.into_iter().collect();
        *script.rest.lock().unwrap() = Some(rest);
        Arc::new(script)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn next(&self) -> Act {
        let first = self.first.lock().unwrap().pop_front();
        first.unwrap_or_else(|| self.rest.lock().unwrap().clone().expect("a script has a rest"))
    }
}

const LIMITS: Limits = Limits {
    header_timeout: Duration::from_secs(600),
    write_timeout: Duration::from_secs(60),
    header_bytes_max: 64 << 10,
    headers_max: 100,
    connections_max: 10_000,
};

/// Serves by a script, inside the present runtime, until the drain.
pub fn start(listener: Listener, script: &Arc<Script>) -> Drain {
    let (drain, script) = (Drain::default(), Arc::clone(script));
    tokio::spawn(serve(listener, LIMITS, drain.clone(), move |request| answer(Arc::clone(&script), request)));
    drain
}

async fn answer(script: Arc<Script>, request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        "/v1/models" => {
            whole(200, &[], json!({"object": "list", "data": [{"id": "m20", "max_model_len": 2048}, {"id": "b"}]}).to_string())
        }
        "/version" => whole(200, &[], json!({"version": "0.32.0"}).to_string()),
        "/metrics" => whole(200, &[], format!("vllm:num_requests_running {}\n", script.running.load(Ordering::SeqCst))),
        "/v1/completions" => complete(script, request).await,
        _ => whole(404, &[], "nothing here".to_owned()),
    }
}

fn whole(status: u16, headers: &[(&'static str, &'static str)], body: String) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(Bytes::from(body)).boxed()).unwrap()
}

async fn complete(script: Arc<Script>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    script.asked.lock().unwrap().push(Asked { body: body.clone(), headers: head.headers });
    script.heard.notify_one();
    let prompt = body["prompt"].as_array().unwrap().len();
    let tokens = body["max_tokens"].as_u64().unwrap();
    match script.next() {
        Act::Status(status, headers, body) => whole(status, headers, body.to_owned()),
        Act::Events(events) => {
            stream(script, Box::new(|_| events.iter().map(|event| (Duration::ZERO, (*event).to_owned())).collect()), 0)
        }
        Act::Hang => stream(script, Box::new(|_| vec![(Duration::from_secs(1_000_000), String::new())]), 0),
        Act::Answer(first, gap) if body["stream"] == true => {
            let usage = json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": tokens}});
            stream(script, Box::new(move |tokens| events(first, gap, tokens, &usage)), tokens)
        }
        Act::Answer(first, gap) => {
            sleep(first + gap * u32::try_from(tokens).unwrap()).await;
            let usage = json!({"prompt_tokens": prompt, "completion_tokens": tokens});
            whole(200, &[], json!({"choices": [{"text": "x", "finish_reason": "length"}], "usage": usage}).to_string())
        }
    }
}

fn events(first: Duration, gap: Duration, tokens: u64, usage: &Value) -> Vec<(Duration, String)> {
    let token = |n: u64| {
        let finish = if n + 1 == tokens { json!("length") } else { Value::Null };
        (if n == 0 { first } else { gap }, json!({"choices": [{"text": "", "finish_reason": finish}]}).to_string())
    };
    let last = [(Duration::ZERO, usage.to_string()), (Duration::ZERO, "[DONE]".to_owned())];
    (0..tokens).map(token).chain(last).collect()
}

type Events = Box<dyn FnOnce(u64) -> Vec<(Duration, String)> + Send>;

/// Events with the pause before each.
fn stream(script: Arc<Script>, events: Events, tokens: u64) -> Response<Body> {
    let (to, from) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        for (pause, event) in events(tokens) {
            tokio::select! {
                () = sleep(pause) => {}
                () = to.closed() => {}
            }
            if to.send(Bytes::from(format!("data: {event}\n\n"))).await.is_err() {
                script.left.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    });
    let pieces = body(from);
    Response::builder().header("content-type", "text/event-stream").body(pieces).unwrap()
}

fn body(from: mpsc::Receiver<Bytes>) -> Body {
    struct Pieces(mpsc::Receiver<Bytes>);
    impl hyper::body::Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.get_mut().0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }
    Pieces(from).boxed()
}

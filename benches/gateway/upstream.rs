//! A model server that takes no time: a fixed answer, or a stream of chunks.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Chunks of a stream.
pub const CHUNKS: usize = 200;
/// Time between two of them.
pub const GAP: Duration = Duration::from_millis(5);

/// In a request's body: a stream that says nothing after its first chunk, and does not end.
pub const SILENT: &str = "silent";

const WHOLE: &str = r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" one two three","finish_reason":"length"}],"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}}"#;
const CHUNK: &str = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\" one\",\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\ndata: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":200,\"total_tokens\":204}}\n\ndata: [DONE]\n\n";

/// Serves until whoever started it is gone; its first line is its address.
pub fn run() {
    std::thread::spawn(|| {
        // Nobody writes there: it is closed when the process that holds its other end has ended, however that came.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread can wait");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("bound"));
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true); // slower without
            tokio::spawn(async move {
                let service = hyper::service::service_fn(answer);
                // A client that hangs up is no fault of ours.
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Either<Full<Bytes>, Stream>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let has = |what: &str| body.windows(what.len()).any(|part| part == what.as_bytes());
    if has("\"stream\":true") {
        let mut pace = interval(GAP);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stream = Stream { sent: 0, goes_on: !has(SILENT), pace };
        let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
        return Ok(response.body(Either::Right(stream)).expect("the head is right"));
    }
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Either::Left(Full::new(Bytes::from_static(WHOLE.as_bytes())))).expect("the head is right"))
}

struct Stream {
    sent: usize,
    /// Whether it goes on after its first chunk.
    goes_on: bool,
    pace: Interval,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent > CHUNKS {
            return Poll::Ready(None);
        }
        if self.sent == 1 && !self.goes_on {
            return Poll::Pending;
        }
        std::task::ready!(self.pace.poll_tick(cx));
        self.sent += 1;
        let text = if self.sent <= CHUNKS { CHUNK } else { LAST };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

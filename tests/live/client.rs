//! A client of an OpenAI-compatible server: one connection, one request at a time.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use plimsoll::live::openai::{Event, Frame, Frames};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A connection; dropped, it is closed.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// An event of a stream and when it was read.
pub type Timed = (Instant, Event);

impl Client {
    /// Over any stream of bytes.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { sender, connection }
    }

    /// Sends a request; an error is a connection that broke off before the status line.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        self.sender.send_request(request.body(Full::new(body.into())).unwrap()).await
    }

    /// `POST` of a completion.
    pub async fn complete(&mut self, headers: &[(&str, &str)], body: String) -> hyper::Result<Response<Incoming>> {
        self.send(Method::POST, "/v1/completions", headers, body).await
    }

    /// `GET`: status and body.
    pub async fn get(&mut self, path: &str) -> (u16, String) {
        text(self.send(Method::GET, path, &[], "").await.unwrap()).await
    }
}

/// Status and body.
pub async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A stream of events, read as it comes.
pub struct Stream {
    body: Incoming,
    frames: Frames,
    bytes: Bytes,
}

impl Stream {
    /// Of a response with status 200.
    pub fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { body: response.into_body(), frames: Frames::new(Frames::LIMIT), bytes: Bytes::new() }
    }

    /// The next event; `None` at the end; an error where the connection breaks off.
    pub async fn next(&mut self) -> hyper::Result<Option<Event>> {
        loop {
            let mut rest = &self.bytes[..];
            let event = match self.frames.next(&mut rest).unwrap() {
                Frame::Event(data) => Some(Event::read(data)),
                Frame::More => None,
            };
            let taken = self.bytes.len() - rest.len();
            self.bytes = self.bytes.slice(taken..);
            if event.is_some() {
                return Ok(event);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => self.bytes = frame?.into_data().unwrap_or_default(),
            }
        }
    }

    /// All events to the end.
    pub async fn all(mut self) -> hyper::Result<Vec<Timed>> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push((Instant::now(), event));
        }
        Ok(events)
    }
}

//! The accept loop: limits for each connection, and a drain.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::io::Stalled;
use super::listener::{Listener, Peer};

/// What a connection may do.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Longest wait for a request's head, the TLS handshake, and the next request on a connection.
    pub header_timeout: Duration,
    /// Longest time in which a client takes nothing of its answer.
    pub write_timeout: Duration,
    /// Largest head, bytes.
    pub header_bytes_max: usize,
    /// Most headers.
    pub headers_max: usize,
    /// Most connections at once.
    pub connections_max: u32,
}

/// Ends a server: it takes no more connections, and closes each when its request is answered.
#[derive(Clone, Debug)]
pub struct Drain {
    begun: Arc<watch::Sender<bool>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { begun: Arc::new(watch::Sender::new(false)) }
    }
}

impl Drain {
    /// Begins it.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Waits until it has begun.
    pub async fn begun(&self) {
        let mut seen = self.begun.subscribe();
        // The sender lives as long as this.
        let _ = seen.wait_for(|begun| *begun).await;
    }
}

/// What the system says when it has no file descriptors left passes when a connection ends: how long until the next look.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves connections until `drain` begins and the last of them is over.
pub async fn serve<S, F, B>(mut listener: Listener, limits: Limits, drain: Drain, service: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let places = Arc::new(Semaphore::new(limits.connections_max as usize));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.begun() => break,
        };
        match accepted {
            Ok(Some(peer)) => {
                let (service, drain) = (service.clone(), drain.clone());
                tokio::spawn(async move {
                    connection(peer, limits, drain, service).await;
                    drop(place);
                });
            }
            Ok(None) => break,
            Err(why) => {
                tracing::warn!(%why, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener); // who connects from now on is refused by the system
    let _all = places.acquire_many(limits.connections_max).await.expect("nobody closes the semaphore");
}

async fn connection<S, F, B>(peer: Peer, limits: Limits, drain: Drain, service: S)
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let io = match timeout(limits.header_timeout, peer.ready()).await {
        Ok(Ok(io)) => io,
        Ok(Err(why)) => return tracing::debug!(%why, "no TLS with a client"),
        Err(_) => return tracing::debug!("no TLS with a client in time"),
    };
    let io = TokioIo::new(Stalled::new(io, limits.write_timeout));
    let service = service_fn(|request| {
        let answer = service(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let mut connection = std::pin::pin!(builder(&limits).serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(why) = ended {
        tracing::debug!(%why, "a connection ended early");
    }
}

/// HTTP/1.1 as we serve it. A client that shuts its half down is taken for gone, as nginx and uvicorn take it: there is no
/// other sign of a client that no longer waits.
fn builder(limits: &Limits) -> Builder {
    /// hyper's own number, which it keeps on the stack.
    const HEADERS: usize = 100;
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).half_close(false);
    builder.max_buf_size(limits.header_bytes_max);
    if limits.headers_max != HEADERS {
        builder.max_headers(limits.headers_max);
    }
    builder
}

//! Connections to an upstream, kept for the next request while the upstream keeps them.
//!
//! One request at a time on each. Whoever drops an answer before its end closes its connection: that is how an upstream
//! learns that nobody wants the rest.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::body::Payload;
use super::io::Io;
use super::memory::Network;
use super::target::Target;

/// How connections are made and kept.
#[derive(Copy, Clone, Debug)]
pub struct PoolTerms {
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub keep_alive: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error("no connection to {to}: {why}")]
    Connect {
        /// Where to.
        to: String,
        /// Why not.
        why: io::Error,
    },
    /// The connection broke, or what came was no HTTP.
    #[error("the connection to {to} broke before an answer: {why}")]
    Lost {
        /// Where to.
        to: String,
        /// How.
        why: hyper::Error,
    },
}

/// Connections to one upstream.
#[derive(Debug)]
pub struct Pool {
    target: Target,
    way: Way,
    idle: Mutex<Vec<Idle>>,
    own: Weak<Self>,
}

enum Way {
    Tcp,
    Tls(TlsConnector, ServerName<'static>),
    Memory(Network),
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Payload>,
    since: Instant,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "Tcp",
            Self::Tls(..) => "Tls",
            Self::Memory(_) => "Memory",
        })
    }
}

impl Pool {
    /// Connections to `target` over the network.
    #[must_use]
    pub fn plain(target: Target) -> Arc<Self> {
        Self::by(target, Way::Tcp)
    }

    /// The same by TLS.
    ///
    /// # Errors
    /// If its host cannot stand in a certificate.
    pub fn secure(target: Target, tls: Arc<ClientConfig>) -> io::Result<Arc<Self>> {
        let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
        Ok(Self::by(target, Way::Tls(TlsConnector::from(tls), name)))
    }

    /// Connections by a network inside the process.
    #[must_use]
    pub fn in_memory(target: Target, network: Network) -> Arc<Self> {
        Self::by(target, Way::Memory(network))
    }

    fn by(target: Target, way: Way) -> Arc<Self> {
        Arc::new_cyclic(|own| Self { target, way, idle: Mutex::default(), own: own.clone() })
    }

    /// Where they lead.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request and waits for the head of its answer. A kept connection that turns out closed costs another try, as
    /// long as nothing of the request has been sent.
    ///
    /// # Errors
    /// If there is no connection, or it broke before a head.
    pub async fn send(&self, mut request: Request<Payload>, terms: PoolTerms) -> Result<Response<Leased>, SendError> {
        loop {
            let kept = self.take(terms.keep_alive);
            let reused = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect(terms.connect_timeout).await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease { sender: Some(sender), pool: Weak::clone(&self.own) };
                    return Ok(response.map(|body| Leased { body, lease }));
                }
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(SendError::Lost { to: self.target.to_string(), why: failed.into_error() }),
                },
            }
        }
    }

    /// The connection that was used last, if it still stands.
    fn take(&self, keep_alive: Duration) -> Option<SendRequest<Payload>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = Vec::new();
        let mut found = None;
        while let Some(last) = idle.pop() {
            if last.since.elapsed() > keep_alive {
                idle.clear(); // the others are older
                break;
            }
            if last.sender.is_ready() {
                found = Some(last.sender);
                break;
            }
            if !last.sender.is_closed() {
                busy.push(last); // its answer's end is not through yet
            }
        }
        idle.extend(busy);
        found
    }

    fn put(&self, sender: SendRequest<Payload>) {
        if !sender.is_closed() {
            let kept = Idle { sender, since: Instant::now() };
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        }
    }

    async fn connect(&self, limit: Duration) -> Result<SendRequest<Payload>, SendError> {
        let failed = |why| SendError::Connect { to: self.target.to_string(), why };
        let late = |_| {
            let why = format!("none within {} s", limit.as_secs_f64());
            failed(io::Error::new(io::ErrorKind::TimedOut, why))
        };
        let io = timeout(limit, self.open()).await.map_err(late)?.map_err(failed)?;
        let made = Builder::new().handshake(TokioIo::new(io)).await;
        let (sender, connection) = made.map_err(|why| SendError::Lost { to: self.target.to_string(), why })?;
        tokio::spawn(async move {
            // What breaks it, the request on it is told.
            let _ = connection.await;
        });
        Ok(sender)
    }

    async fn open(&self) -> io::Result<Io> {
        match &self.way {
            Way::Tcp => Ok(Io::Tcp(self.tcp().await?)),
            Way::Tls(connector, name) => {
                let stream = self.tcp().await?;
                Ok(Io::Connected(Box::new(connector.connect(name.clone(), stream).await?)))
            }
            Way::Memory(network) => network.connect().map(Io::Memory).ok_or_else(|| io::ErrorKind::ConnectionRefused.into()),
        }
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.target.host.as_str(), self.target.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// An answer's body with the connection that it comes by, which goes back when the body is at its end.
#[derive(Debug)]
pub struct Leased {
    body: Incoming,
    lease: Lease,
}

#[derive(Debug)]
struct Lease {
    sender: Option<SendRequest<Payload>>,
    pool: Weak<Pool>,
}

impl Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(None) = frame
            && let (Some(sender), Some(pool)) = (this.lease.sender.take(), this.lease.pool.upgrade())
        {
            pool.put(sender);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        // Never from the length alone: only who reads the end gives the connection back.
        self.lease.sender.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long an answer's last bytes are waited for when its content says that it is complete.
const LAST_BYTES: Duration = Duration::from_secs(1);

impl Leased {
    /// Reads what is left of a body that is known to be at its end, so that its connection can be used again.
    pub fn read_out(mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Most often they have come with what was read.
        let mut idle = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(None | Some(Err(_))) = Pin::new(&mut self).poll_frame(&mut idle) {
            return;
        }
        let end = async move { while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {} };
        runtime.spawn(timeout(LAST_BYTES, end));
    }
}

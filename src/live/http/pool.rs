//! Connections to an upstream, kept for the next request while the upstream keeps them.
//!
//! One request at a time on each. Whoever drops an answer before its end closes its connection: that is how an upstream
//! learns that nobody wants the rest.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::body::Payload;
use super::io::Io;
use super::memory::Network;
use super::target::Target;
use super::wire::Wire;

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
    idle: Mutex<Kept>,
    own: Weak<Self>,
}

enum Way {
    Tcp,
    Tls(TlsConnector, ServerName<'static>),
    Memory(Network),
}

/// Connections that nobody uses, the one that was used last at the end.
#[derive(Debug, Default)]
struct Kept {
    wires: VecDeque<(Wire, Instant)>,
    /// A task looks after those that are kept too long.
    watched: bool,
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
            let mut wire = match kept {
                Some(wire) => wire,
                None => self.connect(terms.connect_timeout).await?,
            };
            match wire.send(request).await {
                Ok(response) => {
                    let lease = Lease { wire: Some(wire), pool: Weak::clone(&self.own), keep_alive: terms.keep_alive };
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
    fn take(&self, keep_alive: Duration) -> Option<Wire> {
        let mut kept = self.kept();
        while let Some((mut wire, since)) = kept.wires.pop_back() {
            if since.elapsed() > keep_alive {
                kept.wires.clear(); // the others are older
                return None;
            }
            if wire.is_ready() {
                return Some(wire);
            }
        }
        None
    }

    fn put(&self, wire: Wire, keep_alive: Duration) {
        wire.rest();
        let mut kept = self.kept();
        kept.wires.push_back((wire, Instant::now()));
        if !std::mem::replace(&mut kept.watched, true) {
            drop(kept);
            self.watch(keep_alive);
        }
    }

    /// Closes what nobody used for so long, until nothing is left: who would take it may never come.
    fn watch(&self, keep_alive: Duration) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return }; // the process ends
        let pool = Weak::clone(&self.own);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(keep_alive).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut kept = pool.kept();
                while kept.wires.front().is_some_and(|(_, since)| since.elapsed() >= keep_alive) {
                    kept.wires.pop_front();
                }
                kept.watched = !kept.wires.is_empty();
                if !kept.watched {
                    return;
                }
            }
        });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, limit: Duration) -> Result<Wire, SendError> {
        let failed = |why| SendError::Connect { to: self.target.to_string(), why };
        let late = |_| {
            let why = format!("none within {} s", limit.as_secs_f64());
            failed(io::Error::new(io::ErrorKind::TimedOut, why))
        };
        let io = timeout(limit, self.open()).await.map_err(late)?.map_err(failed)?;
        Wire::begin(io).await.map_err(|why| SendError::Lost { to: self.target.to_string(), why })
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
    wire: Option<Wire>,
    pool: Weak<Pool>,
    keep_alive: Duration,
}

impl Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { body, lease } = self.get_mut();
        let Some(wire) = &mut lease.wire else { return Pin::new(body).poll_frame(cx) };
        let frame = wire.drive(cx, |cx| Pin::new(&mut *body).poll_frame(cx));
        if let Poll::Ready(None) = frame
            && let (Some(wire), Some(pool)) = (lease.wire.take(), lease.pool.upgrade())
        {
            pool.put(wire, lease.keep_alive);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        // Never from the length alone: only who reads the end gives the connection back.
        self.lease.wire.is_none() && self.body.is_end_stream()
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

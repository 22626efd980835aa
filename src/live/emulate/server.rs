//! The server: its settings, its connections, and how it stops.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::faults::Faults;
use super::machine::Machine;
use super::metrics::Metrics;
use super::routes::route;
use crate::live::openai::EstimateRule;
use crate::request::ClassId;
use crate::rng::Streams;
use crate::sim;
use crate::upstream::{Fleet, UpstreamModel, VllmModel};
use crate::workload::{Answers, SourceSettings};

/// What is emulated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The model's name on the wire.
    pub name: String,
    /// The server's numbers.
    pub model: VllmModel,
    /// How fast it is against them: the speed of the simulation's first replication under the seed.
    pub speed: f64,
    /// Whose answers' lengths are drawn where a request does not fix its own.
    pub workload: SourceSettings,
    /// Seed of all draws.
    pub seed: u64,
    /// How texts are counted.
    pub rule: EstimateRule,
    /// vLLM's `--shutdown-timeout`: told to stop, streams may finish for so long. `None`: they hang, as with vLLM's default.
    pub shutdown_timeout: Option<Duration>,
}

/// Why an upstream cannot be emulated.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A plain station.
    #[error("only a vLLM server can be emulated: a plain station has no tokens to stream")]
    Station,
    /// A metered API.
    #[error("only a vLLM server can be emulated, not yet a metered API")]
    TokenApi,
}

impl Settings {
    /// A server of this model and workload, called `name`.
    ///
    /// # Errors
    /// Where the model is of no vLLM server.
    pub fn new(name: String, upstream: &UpstreamModel, workload: SourceSettings, seed: u64) -> Result<Self, Unsupported> {
        let model = match upstream {
            UpstreamModel::Vllm(model) => (**model).clone(),
            UpstreamModel::Station(_) => return Err(Unsupported::Station),
            UpstreamModel::TokenApi(_) => return Err(Unsupported::TokenApi),
        };
        let streams = Streams::new(seed, 0);
        Ok(Self {
            name,
            model,
            speed: sim::speed(upstream, streams),
            workload,
            seed,
            rule: EstimateRule::default(),
            shutdown_timeout: None,
        })
    }
}

/// How far the server is from its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Serving,
    /// Told to stop: nothing moves any more.
    Hanging,
    /// Told to stop: what runs may finish, and whoever comes now gets nothing.
    Finishing,
    /// Connections close as soon as they are idle.
    Closing,
}

/// An emulated server, wherever its connections come from.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    answers: Answers,
    machine: Arc<Machine>,
    faults: Mutex<Faults>,
    /// Requests so far.
    numbers: AtomicU64,
    /// Requests under way, as vLLM's `/load` counts them.
    load: AtomicUsize,
    phase: watch::Sender<Phase>,
    /// Unix time at the start, seconds.
    started_s: u64,
    timer: JoinHandle<()>,
}

impl Server {
    /// A server without connections, whose model's time begins now.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(settings: Settings) -> Arc<Self> {
        let classes = settings.workload.classes.len().max(1);
        let fleet = Fleet::new(&settings.model, settings.speed, classes);
        let machine = Machine::new(fleet, Metrics::new(&settings.name, &settings.model));
        let timer = tokio::spawn(Arc::clone(&machine).run());
        Arc::new(Self {
            answers: Answers::new(&settings.workload, Streams::new(settings.seed, 0)),
            machine,
            faults: Mutex::default(),
            numbers: AtomicU64::new(0),
            load: AtomicUsize::new(0),
            phase: watch::Sender::new(Phase::Serving),
            started_s: unix_time_s(),
            timer,
            settings,
        })
    }

    /// Serves one connection to its end. What goes wrong with it is its client's affair.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self: Arc<Self>, stream: S) {
        let mut phase = self.phase.subscribe();
        let service = service_fn(|request| route(Arc::clone(&self), request));
        let mut http = http1::Builder::new();
        http.header_read_timeout(None); // nobody attacks an emulated server, and a paused clock would run to it
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
        let closing = tokio::select! {
            _ = connection.as_mut() => false,
            _ = phase.wait_for(|phase| *phase == Phase::Closing) => true,
        };
        if closing {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }

    /// A connection in memory; the server's end of it is served in the background.
    #[must_use]
    pub fn connect(self: &Arc<Self>) -> DuplexStream {
        const BUFFER: usize = 64 << 10;
        let (client, server) = tokio::io::duplex(BUFFER);
        tokio::spawn(Arc::clone(self).serve(server));
        client
    }

    /// The model behind it.
    #[must_use]
    pub const fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// What it was made of.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other faults in force.
    pub fn set_faults(&self, faults: Faults) {
        let mut held = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.speed != held.speed {
            self.machine.set_speed(self.settings.speed * faults.speed.map_or(1.0, crate::units::Positive::value));
        }
        if faults.frozen != held.frozen {
            self.machine.freeze(faults.frozen);
        }
        *held = faults;
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) const fn answers(&self) -> &Answers {
        &self.answers
    }

    pub(super) fn class_names(&self) -> impl Iterator<Item = &str> {
        self.settings.workload.classes.iter().map(|class| class.name.as_str())
    }

    pub(super) fn class(&self, name: &str) -> Option<ClassId> {
        let index = self.class_names().position(|class| class == name)?;
        u16::try_from(index).ok().map(ClassId)
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn created_s(&self) -> u64 {
        self.started_s + self.machine.clock().now().as_nanos() / 1_000_000_000
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.numbers.load(Ordering::Relaxed)
    }

    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// One more request under way, until the guard is dropped.
    pub(super) fn count_load(self: &Arc<Self>) -> LoadGuard {
        self.load.fetch_add(1, Ordering::Relaxed);
        LoadGuard(Arc::clone(self))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct LoadGuard(Arc<Server>);

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A server that listens on a socket.
#[derive(Debug)]
pub struct Running {
    /// The server.
    pub server: Arc<Server>,
    /// Where it listens.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Running {
    /// Listens on `address` (port 0: any that is free).
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub async fn start(settings: Settings, address: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let server = Server::start(settings);
        let accepting = tokio::spawn(accept(Arc::clone(&server), listener));
        Ok(Self { server, address, accepting })
    }

    /// Does what vLLM does on SIGTERM, and returns when all connections are closed. Without a `shutdown_timeout` nobody new
    /// is let in and nothing moves any more: it lasts until the last client has given up. With one, streams may finish, and
    /// who comes meanwhile is answered without a token.
    pub async fn terminate(&mut self) {
        match self.server.settings.shutdown_timeout {
            None => {
                self.server.machine.freeze(true);
                self.server.phase.send_replace(Phase::Hanging);
                let _ = (&mut self.accepting).await;
            }
            Some(most) => {
                self.server.phase.send_replace(Phase::Finishing);
                let all = async {
                    self.server.machine.idle().await;
                    self.server.phase.send_replace(Phase::Closing);
                    let _ = (&mut self.accepting).await;
                };
                let _ = tokio::time::timeout(most, all).await;
            }
        }
    }
}

impl Drop for Running {
    /// Closes the socket and breaks off every connection.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(server: Arc<Server>, listener: TcpListener) {
    let mut phase = server.phase.subscribe();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = phase.wait_for(|phase| matches!(phase, Phase::Hanging | Phase::Closing)) => break,
        };
        if let Ok((stream, _)) = accepted {
            let _ = stream.set_nodelay(true); // a hint
            connections.spawn(Arc::clone(&server).serve(stream));
        } else {
            // Out of file descriptors, or the client has gone already: others may fare better, after a breath.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

#[allow(clippy::disallowed_methods)] // the interface wants a date; nothing is decided by it
fn unix_time_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

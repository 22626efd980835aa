//! Commands that wait for a server: their threads, and how they are asked to end.

use std::future::Future;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// More threads than this have nothing to do: a driver waits most of the time.
const THREADS_MAX: usize = 4;

/// Threads for tasks that wait.
///
/// # Errors
/// If none can be started.
pub fn runtime() -> Result<Runtime, Failure> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX);
    let built = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    built.map_err(|why| Failure::Input(format!("cannot start threads: {why}")))
}

/// Somebody asks it to end: Ctrl-C, or SIGTERM.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens for both signals, inside the present runtime.
    ///
    /// # Errors
    /// If it cannot.
    pub fn listen() -> Result<Self, Failure> {
        let heard = |kind| signal(kind).map_err(|why| Failure::Input(format!("cannot listen for signals: {why}")));
        Ok(Self { interrupt: heard(SignalKind::interrupt())?, terminate: heard(SignalKind::terminate())? })
    }

    /// Ready once somebody asks.
    pub fn asked(&mut self) -> impl Future<Output = ()> {
        let Self { interrupt, terminate } = self;
        async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
}

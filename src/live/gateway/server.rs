//! A gateway that runs: its tasks, its reload and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::owner::{InFlight, Owner};
use super::recorder::{Recorder, RecorderTerms};
use super::service::Service;
use super::settings::Written;
use super::signals;
use crate::live::clock::{Clock, duration};
use crate::live::http::{Drain, Limits, Listener, Pool, serve};
use crate::policy::{Counters, Input, Stats};
use crate::time::Time;

/// What a gateway stands between, and with what.
#[derive(Debug)]
pub struct Wiring {
    /// Where clients come in.
    pub listener: Listener,
    /// Where calls go.
    pub pool: Arc<Pool>,
    /// The settings.
    pub written: Written,
    /// Begins the random bits of attempts.
    pub seed: u64,
    /// What may change settings over HTTP.
    pub admin_token: Option<String>,
    /// Where the journal is written.
    pub journal: Option<RecorderTerms>,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal's folder cannot be used.
    #[error("cannot write a journal into `{folder}`: {why}; name a new folder")]
    Journal {
        /// Which folder.
        folder: String,
        /// Why not.
        why: io::Error,
    },
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    drain: Drain,
    address: Option<SocketAddr>,
    serving: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
}

/// How a gateway ended.
#[derive(Copy, Clone, Debug)]
pub struct Ended {
    /// What was counted.
    pub counters: Counters,
    /// Inputs that the journal does not hold; `None` without one.
    pub missed: Option<u64>,
}

impl Server {
    /// Starts one inside the present runtime.
    ///
    /// # Errors
    /// If its journal cannot be begun.
    pub fn start(wiring: Wiring) -> Result<Self, StartError> {
        let Wiring { listener, pool, written, seed, admin_token, journal } = wiring;
        let recorder = journal.map(|terms| {
            let folder = terms.folder.display().to_string();
            Recorder::start(terms).map_err(|why| StartError::Journal { folder, why })
        });
        let owner = Owner::new(Clock::start(), &written.shared(), seed, recorder.transpose()?);
        let service = Arc::new(Service::new(owner, pool, &written, admin_token.as_deref()));
        let (drain, address) = (Drain::default(), listener.address());
        let answering = Arc::clone(&service);
        let answer = move |request| Arc::clone(&answering).answer(request);
        let serving = tokio::spawn(serve(listener, limits(&written), drain.clone(), answer));
        let helpers =
            vec![tokio::spawn(Arc::clone(&service.owner).keep_time()), tokio::spawn(signals::watch(Arc::clone(&service)))];
        Ok(Self { service, drain, address, serving, helpers })
    }

    /// Where it listens, if that is a port.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Asks the upstream for its models, as a client would.
    ///
    /// # Errors
    /// What was tried, and what came of it.
    pub async fn probe(&self) -> Result<(), String> {
        self.service.probe().await
    }

    /// Puts new settings in force; what of them takes a restart.
    #[must_use]
    pub fn reload(&self, written: &Written) -> Vec<String> {
        self.service.reload(written)
    }

    /// Hash of the policies in force.
    #[must_use]
    pub fn settings_hash(&self) -> String {
        self.service.settings().hash.clone()
    }

    /// What is in flight.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.service.owner.in_flight()
    }

    /// Waits until nothing is.
    pub async fn quiet(&self) {
        self.service.owner.drained().await;
    }

    /// The statistics.
    #[must_use]
    pub fn stats(&self) -> (Time, Stats) {
        self.service.owner.stats()
    }

    /// Begins the end: new requests are refused, and what is in flight is finished; until then whoever asks is told so, and then
    /// connections are closed.
    pub fn drain(&self) {
        self.service.owner.tell(Input::Drain);
        let (owner, drain) = (Arc::clone(&self.service.owner), self.drain.clone());
        tokio::spawn(async move {
            owner.drained().await;
            drain.begin();
        });
    }

    /// Ends the journal, whatever is in flight; inputs that it does not hold, `None` without one.
    pub async fn stop_recording(&self) -> Option<u64> {
        let recorder = self.service.owner.stop_recording()?;
        tokio::task::spawn_blocking(move || recorder.finish()).await.ok()
    }

    /// Waits for the end, and shows that nothing is held (INV-5) and that all attempts are accounted for (INV-1).
    ///
    /// # Panics
    /// If something is held by nobody: an attempt or a call was lost.
    pub async fn ended(mut self) -> Ended {
        let served = (&mut self.serving).await;
        if let Err(broken) = served
            && broken.is_panic()
        {
            std::panic::resume_unwind(broken.into_panic());
        }
        self.service.owner.drained().await;
        for helper in &self.helpers {
            helper.abort();
        }
        let missed = self.stop_recording().await;
        let (_, stats) = self.service.owner.stats();
        audit(&stats);
        Ended { counters: stats.counters, missed }
    }
}

/// What must hold when nothing is in flight.
fn audit(stats: &Stats) {
    let Stats { now, counters, .. } = stats;
    let held = (now.waiting, now.waiting_for_budget, now.in_flight, now.abandoned_true, stats.lane_running);
    assert_eq!(held, (0, 0, 0, 0, 0), "INV-5: nothing waits, no slot, call or lane is held");
    assert_eq!((stats.reserved, stats.queue_tokens), (0, 0), "INV-5: no reservation is held");
    let refused: u64 = counters.refusals.iter().map(|counted| counted.enforced).sum();
    let accounted = counters.completed + counters.failed + counters.gone + counters.timed_out + refused;
    assert_eq!(counters.arrived, accounted, "INV-1: each attempt ended once");
}

fn limits(written: &Written) -> Limits {
    let serve = &written.serve;
    Limits {
        header_timeout: duration(serve.header_timeout),
        write_timeout: duration(serve.write_timeout),
        header_bytes_max: serve.header_bytes_max.value() as usize,
        headers_max: serve.headers_max.value() as usize,
        connections_max: serve.connections_max.value(),
    }
}

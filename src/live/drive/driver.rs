//! The loop: the source's arrivals and the clients' deadlines by the clock, and what is seen of attempts in between.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use slotmap::SecondaryMap;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::attempt::{Ended, Seen, SeenKind, Trial, Way};
use super::wire::Wire;
use crate::latency::Latency;
use crate::live::clock::Clock;
use crate::live::http::{Pool, PoolTerms};
use crate::request::{AttemptId, Request, slot_of};
use crate::rng::Streams;
use crate::time::Time;
use crate::workload::{Client, ClientAction, ClientInput, Finished, Sending, Source, SourceSettings};

/// What to drive, and against what.
#[derive(Debug)]
pub struct Drive {
    /// Who sends.
    pub workload: Arc<SourceSettings>,
    /// Their draws.
    pub streams: Streams,
    /// The server, or a gateway before it.
    pub pool: Arc<Pool>,
    /// How connections to it are made.
    pub terms: PoolTerms,
    /// How requests are written.
    pub wire: Wire,
    /// An attempt from which nothing comes for so long has failed.
    pub idle: Duration,
    /// When it is over, whatever is still under way.
    pub end: Time,
}

/// Who looks on while it runs. All of it is told in order of time.
pub trait Watcher {
    /// A request arrives, at its intended arrival or later.
    fn arrived(&mut self, now: Time, request: &Request);

    /// Something was seen of an attempt at a request.
    fn seen(&mut self, request: &Request, seen: &Seen);

    /// Its client leaves an attempt that is under way.
    fn left(&mut self, now: Time, request: &Request, attempt: AttemptId);

    /// A request is over.
    fn finished(&mut self, now: Time, request: &Request, finished: &Finished);
}

/// What is left when it is over.
#[derive(Debug)]
pub struct Driven {
    /// How late requests went out, against the time at which they should have: intended arrival or end of a backoff.
    pub lag: Latency,
    /// The clients, who know which requests were not over.
    pub client: Client,
    /// When it was over.
    pub at: Time,
}

/// An attempt under way.
#[derive(Debug)]
struct UnderWay {
    task: AbortHandle,
    due: Time,
}

/// A run under way.
struct Run<'a, W> {
    source: Source,
    client: Client,
    way: Arc<Way>,
    watcher: &'a mut W,
    /// By slot: all attempts of a request have the same.
    requests: Vec<Option<Request>>,
    under_way: SecondaryMap<AttemptId, UnderWay>,
    lag: Latency,
    /// The latest time that a machine was told.
    now: Time,
}

impl Drive {
    /// Drives to the end: until every request is over, or `end`.
    pub async fn run(self, watcher: &mut impl Watcher) -> Driven {
        let (sender, mut seen) = mpsc::unbounded_channel();
        let clock = Clock::start();
        let Self { workload, streams, pool, terms, wire, idle, end } = self;
        let mut run = Run {
            source: Source::new(&workload, streams),
            client: Client::new(&workload.classes),
            way: Arc::new(Way { pool, terms, wire, classes: names(&workload), idle, clock, seen: sender }),
            watcher,
            requests: Vec::new(),
            under_way: SecondaryMap::new(),
            lag: Latency::new(),
            now: Time::ZERO,
        };
        while let Some(next) = run.next().filter(|_| run.now < end) {
            tokio::select! {
                biased;
                Some(one) = seen.recv() => run.on_seen(&one),
                () = tokio::time::sleep_until(clock.instant(next.min(end))) => {}
            }
            run.pass(clock.now());
        }
        for (attempt, left) in run.under_way.drain() {
            left.task.abort();
            if let Some(request) = run.requests[slot_of(attempt) as usize] {
                run.watcher.left(run.now, &request, attempt);
            }
        }
        Driven { lag: run.lag, client: run.client, at: run.now }
    }
}

/// The classes' names. One that no header can hold (a name with a line break) is sent empty.
fn names(workload: &SourceSettings) -> Vec<HeaderValue> {
    let name = |name: &str| HeaderValue::from_str(name).unwrap_or_else(|_| HeaderValue::from_static(""));
    workload.classes.iter().map(|class| name(&class.name)).collect()
}

impl<W: Watcher> Run<'_, W> {
    /// When something is due, or [`Time::FAR`] while only answers are awaited; `None` where nothing can happen any more.
    fn next(&self) -> Option<Time> {
        let due = self.source.next_arrival().into_iter().chain(self.client.next_wakeup()).min();
        due.or_else(|| (!self.under_way.is_empty()).then_some(Time::FAR))
    }

    /// Time goes on to `at`; what is told late is told at the latest time that anybody knows of.
    fn pass(&mut self, at: Time) {
        self.now = self.now.max(at);
        while self.source.next_arrival().is_some_and(|at| at <= self.now) {
            let request = self.source.take();
            self.watcher.arrived(self.now, &request);
            let sending = self.client.begin(self.now, &request);
            self.settle(); // what was due before comes first
            let slot = slot_of(sending.attempt) as usize;
            if slot >= self.requests.len() {
                self.requests.resize(slot + 1, None);
            }
            self.requests[slot] = Some(request);
            self.send(&sending, request.arrival);
        }
        self.client.handle(self.now, ClientInput::Wake);
        self.settle();
    }

    fn request_of(&self, attempt: AttemptId) -> Option<Request> {
        *self.requests.get(slot_of(attempt) as usize)?
    }

    fn send(&mut self, sending: &Sending, due: Time) {
        let Some(request) = self.request_of(sending.attempt) else { return };
        let Sending { attempt, number, deadline, .. } = *sending;
        let trial = Trial { attempt, number, deadline, request };
        let task = tokio::spawn(Arc::clone(&self.way).make(trial)).abort_handle();
        self.under_way.insert(sending.attempt, UnderWay { task, due });
    }

    fn on_seen(&mut self, seen: &Seen) {
        let attempt = seen.attempt;
        // Who has left hears nothing more of what was on its way.
        let (Some(request), Some(under_way)) = (self.request_of(attempt), self.under_way.get(attempt)) else { return };
        self.now = self.now.max(seen.at);
        let now = self.now;
        match seen.kind {
            SeenKind::Sent => self.lag.record(seen.at - under_way.due),
            SeenKind::Token => self.client.handle(now, ClientInput::FirstToken { attempt }),
            SeenKind::Ended(ended) => {
                self.under_way.remove(attempt);
                self.client.handle(
                    now,
                    match ended {
                        Ended::Complete { output_tokens, degraded } => {
                            ClientInput::Complete { attempt, degraded, output_tokens }
                        }
                        Ended::Refused(refusal) => ClientInput::Refused { attempt, refusal },
                    },
                );
            }
        }
        self.watcher.seen(&request, &Seen { at: now, ..*seen });
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(action) = self.client.poll() {
            match action {
                ClientAction::Send(sending) => self.send(&sending, self.now),
                ClientAction::Leave { attempt } => {
                    if let (Some(left), Some(request)) = (self.under_way.remove(attempt), self.request_of(attempt)) {
                        left.task.abort();
                        self.watcher.left(self.now, &request, attempt);
                    }
                }
                ClientAction::Finish(finished) => {
                    if let Some(request) = self.request_of(finished.attempt) {
                        self.watcher.finished(self.now, &request, &finished);
                    }
                    self.source.finished(self.now, finished.request, finished.arrival);
                }
            }
        }
    }
}

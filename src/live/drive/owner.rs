//! The owner of source and clients: gives them the times at which things are due, and carries their messages.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};

use super::attempt::{Ear, Told, What, attempt};
use super::body::length;
use super::line::{Line, Stamp, Word};
use super::load::Load;
use super::reading::{End, Trail};
use super::standing::Standing;
use super::way::{Call, Way, class_header};
use crate::live::clock::Clock;
use crate::request::{AttemptId, Outcome, Request, RequestId};
use crate::time::{Span, Time};
use crate::workload::{Client, ClientAction, ClientInput, Finished, Sending, Source};

/// Between two looks at how it stands.
const TELL_EVERY: Span = Span::from_secs(1);
/// Longest wait for attempts that were broken off at the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What came of a step.
#[derive(Clone, Debug)]
pub struct Driven {
    /// All attempts, in the order in which they were over.
    pub lines: Vec<Line>,
    /// Whether somebody stopped it before its end.
    pub interrupted: bool,
}

/// Drives one replication against a server: until its drain is over, until nothing more can happen, or until `stop` is ready.
/// `tell` hears about once a second how it stands.
pub async fn drive(load: &Load, way: Arc<Way>, stop: impl Future<Output = ()>, tell: &mut dyn FnMut(&Standing)) -> Driven {
    let (to, heard) = unbounded_channel();
    let mut owner = Owner::new(load, way, to);
    let interrupted = owner.run(heard, stop, tell).await;
    Driven { lines: owner.lines, interrupted }
}

/// An attempt under way.
struct Under {
    request: Request,
    number: u16,
    due: Time,
    /// Tells it that its client has left.
    leave: Option<oneshot::Sender<()>>,
    /// How its request ended, once it has.
    column: Option<Outcome>,
}

struct Owner<'a> {
    load: &'a Load,
    way: Arc<Way>,
    clock: Clock,
    source: Source,
    client: Client,
    classes: Vec<HeaderValue>,
    /// Requests that are not over.
    open: BTreeMap<RequestId, Request>,
    under: BTreeMap<AttemptId, Under>,
    to: UnboundedSender<Told>,
    lines: Vec<Line>,
    standing: Standing,
    now: Time,
}

/// What is due next.
#[derive(Copy, Clone)]
enum Due {
    Client,
    Arrival,
}

impl<'a> Owner<'a> {
    fn new(load: &'a Load, way: Arc<Way>, to: UnboundedSender<Told>) -> Self {
        let classes = &load.workload.classes;
        Self {
            load,
            way,
            clock: Clock::start(),
            source: load.source(),
            client: Client::new(classes),
            classes: classes.iter().map(|class| class_header(&class.name)).collect(),
            open: BTreeMap::new(),
            under: BTreeMap::new(),
            to,
            lines: Vec::new(),
            standing: Standing::default(),
            now: Time::ZERO,
        }
    }

    /// Whether it was stopped.
    async fn run(
        &mut self,
        mut heard: UnboundedReceiver<Told>,
        stop: impl Future<Output = ()>,
        tell: &mut dyn FnMut(&Standing),
    ) -> bool {
        let (mut stop, end) = (pin!(stop), self.load.window.drained);
        let mut tell_at = Time::ZERO + TELL_EVERY;
        let mut stopped = false;
        while !stopped && self.now < end && !self.is_over() {
            let due = self.next().map_or(end, |(at, _)| at).min(end);
            tokio::select! {
                biased;
                told = heard.recv() => self.hear(told.expect("the owner has a sender itself")),
                () = sleep_until(self.clock.instant(due)) => self.pass(due),
                () = sleep_until(self.clock.instant(tell_at)) => {
                    self.tell(tell);
                    tell_at = self.clock.now() + TELL_EVERY;
                }
                () = &mut stop => stopped = true,
            }
        }
        self.tell(tell);
        self.close(&mut heard).await;
        stopped
    }

    fn tell(&mut self, tell: &mut dyn FnMut(&Standing)) {
        self.standing.now = self.clock.now();
        self.standing.in_flight = self.under.len();
        tell(&self.standing);
    }

    /// Nothing more can happen.
    fn is_over(&self) -> bool {
        self.under.is_empty() && self.next().is_none()
    }

    /// At equal times clients lose patience before others arrive, as in the simulator.
    fn next(&self) -> Option<(Time, Due)> {
        let client = self.client.next_wakeup().map(|at| (at, Due::Client));
        let arrival = self.source.next_arrival().map(|at| (at, Due::Arrival));
        match (client, arrival) {
            (Some(client), Some(arrival)) => Some(if client.0 <= arrival.0 { client } else { arrival }),
            (one, other) => one.or(other),
        }
    }

    /// Does what is due by `to`, each at its own time.
    fn pass(&mut self, to: Time) {
        while let Some((at, due)) = self.next().filter(|(at, _)| *at <= to) {
            self.now = self.now.max(at);
            match due {
                Due::Client => self.client.handle(self.now, ClientInput::Wake),
                Due::Arrival => self.arrive(),
            }
            self.settle();
        }
        self.now = self.now.max(to);
    }

    fn arrive(&mut self) {
        let request = self.source.take();
        self.standing.offered += 1;
        self.open.insert(request.id, request);
        let sending = self.client.begin(self.now, &request);
        self.send(sending);
    }

    /// An attempt has told something: what was due before it comes first.
    fn hear(&mut self, told: Told) {
        let Told { attempt, at, what } = told;
        // Attempts on several threads may overtake each other by microseconds.
        let at = at.max(self.now);
        self.pass(at);
        match what {
            What::FirstToken => self.client.handle(at, ClientInput::FirstToken { attempt }),
            What::Over(end, trail) => {
                match end {
                    End::Complete { output_tokens, degraded } => {
                        self.client.handle(at, ClientInput::Complete { attempt, degraded, output_tokens });
                    }
                    End::Lost { refusal, .. } => self.client.handle(at, ClientInput::Refused { attempt, refusal }),
                    End::Left => {}
                }
                self.settle();
                self.over(attempt, &end, *trail);
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(action) = self.client.poll() {
            match action {
                ClientAction::Send(sending) => self.send(sending),
                ClientAction::Leave { attempt } => {
                    let under = self.under.get_mut(&attempt);
                    if let Some(leave) = under.and_then(|under| under.leave.take()) {
                        let _ = leave.send(()); // it may be over at this moment
                    }
                }
                ClientAction::Finish(finished) => self.finish(&finished),
            }
        }
    }

    fn send(&mut self, sending: Sending) {
        let Sending { attempt: id, request, number, deadline } = sending;
        let request = self.open[&request];
        let class = &self.load.workload.classes[request.class.index()];
        let call = Call {
            request,
            class: self.classes[request.class.index()].clone(),
            streaming: class.streaming,
            number,
            due: self.now,
            deadline,
        };
        let (leave, left) = oneshot::channel();
        let ear = Ear { attempt: id, clock: self.clock, to: self.to.clone() };
        self.under.insert(id, Under { request, number, due: self.now, leave: Some(leave), column: None });
        tokio::spawn(attempt(call, Arc::clone(&self.way), ear, left));
    }

    fn finish(&mut self, finished: &Finished) {
        self.standing.finish(finished.outcome, finished.first_token.map(|first| first - finished.arrival));
        if let Some(under) = self.under.get_mut(&finished.attempt) {
            under.column = Some(finished.outcome);
        }
        self.open.remove(&finished.request);
        self.source.finished(self.now, finished.request, finished.arrival);
    }

    /// An attempt is over, and so is what is written of it.
    fn over(&mut self, attempt: AttemptId, end: &End, trail: Trail) {
        let Some(under) = self.under.remove(&attempt) else { return };
        if let Some(sent) = trail.sent {
            self.standing.lag.record(sent.max(under.due) - under.due);
        }
        let line = self.line(&under, end, trail);
        self.lines.push(line);
    }

    fn line(&self, under: &Under, end: &End, trail: Trail) -> Line {
        let Under { request, number, due, column, .. } = *under;
        let outcome = match end {
            End::Complete { .. } => Word::Ok,
            End::Lost { word, .. } => *word,
            End::Left if under.leave.is_some() => Word::Exc, // no client has left it: the run is over
            End::Left if trail.chunks.is_empty() => Word::TtftTimeout,
            End::Left => Word::Timeout,
        };
        Line {
            i: request.id.0,
            attempt: number,
            class: self.load.class_of(&request).to_owned(),
            tenant: request.tenant,
            arrival: request.arrival,
            sched: due,
            send: trail.sent.map(|sent| sent.max(due)),
            headers_at: trail.headers,
            chunks: trail.chunks.into_iter().map(Stamp).collect(),
            done: trail.done,
            end: trail.end.max(due),
            prompt: request.input_tokens,
            max_tokens: length(&request),
            status: trail.status,
            usage: trail.usage.map(Into::into),
            outcome,
            error: trail.error,
            column,
        }
    }

    /// The run is over: what is still under way is broken off, and no client tries again.
    async fn close(&mut self, heard: &mut UnboundedReceiver<Told>) {
        for under in self.under.values_mut() {
            if let Some(leave) = under.leave.as_mut() {
                // Dropped, not sent: its client has not left.
                let (gone, _) = oneshot::channel();
                drop(std::mem::replace(leave, gone));
            }
        }
        let rest = async {
            while !self.under.is_empty() {
                let Some(Told { attempt, what: What::Over(end, trail), .. }) = heard.recv().await else { continue };
                // What came in time but was not heard in time is not over: the run was.
                self.over(attempt, &end, *trail);
            }
        };
        let _ = timeout(CLOSE_WITHIN, rest).await;
        // None is left out, whatever became of its task.
        while let Some(attempt) = self.under.keys().next().copied() {
            self.over(attempt, &End::Left, Trail { end: self.clock.now(), ..Trail::default() });
        }
    }
}

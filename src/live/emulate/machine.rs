//! The model behind the emulated server, driven by the clock.
//!
//! One owner: whoever tells the machine something does so under its lock, with the time taken there. What was due before is
//! done first, each thing at its own time, so that a timer that fires late moves no later step: the lag is only in when a token
//! is handed out, and it is kept count of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use slotmap::SlotMap;
use tokio::sync::{Notify, mpsc};

use super::metrics::Metrics;
use crate::latency::Latency;
use crate::live::clock::Clock;
use crate::policy::Usage;
use crate::request::{CallId, Cause, ClassId, Prefix};
use crate::time::Time;
use crate::upstream::{Call, EventKind, Fleet, Gauges, Output, OutputKind, Totals, Upstream};

/// What comes out of the model for one request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// When it came out of the model.
    pub at: Time,
    /// What.
    pub kind: NewsKind,
}

/// What it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NewsKind {
    /// A token that is not the last.
    Token,
    /// The last token.
    Last(Usage),
    /// It was refused.
    Refused(Cause),
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    clock: Clock,
    state: Mutex<State>,
    /// Something was told, so that the next event may be another.
    stirred: Notify,
    /// Something has left, so that it may be empty.
    left: Notify,
}

#[derive(Debug)]
struct State {
    fleet: Fleet,
    open: SlotMap<CallId, Open>,
    metrics: Metrics,
    seen: Totals,
    lag: Latency,
    frozen: bool,
}

/// A request inside the model.
#[derive(Debug)]
struct Open {
    news: mpsc::UnboundedSender<News>,
    arrived: Time,
    began: Option<Time>,
    first: Option<Time>,
    latest: Time,
    input: u32,
    output: u32,
    max_tokens: u32,
    /// Whether the model cuts it off at `output`.
    length: bool,
}

/// What a request asks of the model.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Its class.
    pub class: ClassId,
    /// Its prompt, tokens.
    pub input: u32,
    /// Its answer, tokens, cut where it is.
    pub output: u32,
    /// The limit on it, tokens.
    pub max_tokens: u32,
    /// Whether the answer runs into its limit.
    pub length: bool,
    /// What its prompt shares with others.
    pub prefix: Option<Prefix>,
}

impl Machine {
    /// An idle machine, whose time begins now.
    #[must_use]
    pub fn new(fleet: Fleet, metrics: Metrics) -> Arc<Self> {
        let state = State {
            fleet: fleet.telling_every_token(),
            open: SlotMap::with_key(),
            metrics,
            seen: Totals::default(),
            lag: Latency::new(),
            frozen: false,
        };
        Arc::new(Self { clock: Clock::start(), state: Mutex::new(state), stirred: Notify::new(), left: Notify::new() })
    }

    /// The state is changed in one place at a time and stays whole where a thread panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A request comes in; its news come out of the handle.
    #[must_use]
    pub fn begin(self: &Arc<Self>, work: Work) -> InModel {
        let mut state = self.state();
        let now = self.clock.now();
        state.run(now, EventKind::Completion);
        let (news, receiver) = mpsc::unbounded_channel();
        let Work { class, input, output, max_tokens, length, prefix } = work;
        let open = Open { news, arrived: now, began: None, first: None, latest: now, input, output, max_tokens, length };
        let id = state.open.insert(open);
        state.fleet.start(now, &Call { prefix, max_tokens, ..Call::plain(id, class, input, output) });
        state.deliver();
        drop(state);
        self.stirred.notify_one();
        InModel { machine: Arc::clone(self), id, news: receiver, held: None, over: false }
    }

    fn cancel(&self, id: CallId) {
        let mut state = self.state();
        let now = self.clock.now();
        state.run(now, EventKind::Completion);
        if state.open.contains_key(id) {
            state.fleet.cancel(now, id);
            state.deliver();
            state.metrics.left();
        }
        drop(state);
        self.stirred.notify_one();
    }

    /// Whether a request that came in now would be refused for load: the server's first look, before it has read the request.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let mut state = self.state();
        let now = self.clock.now();
        state.run(now, EventKind::Completion);
        state.fleet.is_full()
    }

    /// From now on `speed` times as fast as the model says.
    pub fn set_speed(&self, speed: f64) {
        let mut state = self.state();
        let now = self.clock.now();
        state.run(now, EventKind::Completion);
        state.fleet.set_speed(now, speed);
        state.deliver();
        drop(state);
        self.stirred.notify_one();
    }

    /// Stops it where it stands, or lets it go on; what was due meanwhile then comes out at once.
    pub fn freeze(&self, frozen: bool) {
        self.state().frozen = frozen;
        self.stirred.notify_one();
    }

    /// A look at it now.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let mut state = self.state();
        let now = self.clock.now();
        state.run(now, EventKind::Completion);
        state.fleet.gauges()
    }

    /// Requests inside the model, those included that were cancelled and whose step still runs.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.state().open.len()
    }

    /// Returns when nothing is inside.
    pub async fn idle(&self) {
        loop {
            let left = self.left.notified();
            if self.inside() == 0 {
                return;
            }
            left.await;
        }
    }

    /// All that Prometheus asks for, in its own text format.
    #[must_use]
    pub fn exposition(&self) -> String {
        let gauges = self.gauges();
        let state = self.state();
        state.metrics.exposition(&gauges, &state.lag)
    }

    /// How late news came out, against the model's own times.
    #[must_use]
    pub fn lag(&self) -> Latency {
        self.state().lag.clone()
    }

    /// Hands out what the model says when it says it, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                state.run(self.clock.now(), EventKind::Step);
                if state.open.is_empty() {
                    self.left.notify_waiters();
                }
                if state.frozen { None } else { state.fleet.next_event() }
            };
            match next {
                None => self.stirred.notified().await,
                Some((at, _)) => tokio::select! {
                    () = tokio::time::sleep_until(self.clock.instant(at)) => {}
                    () = self.stirred.notified() => {}
                },
            }
        }
    }
}

impl State {
    /// Does what is due before `now`, and what is due at `now` up to and including `kind`: whoever arrives at the instant of a
    /// step is in before it.
    fn run(&mut self, now: Time, kind: EventKind) {
        if self.frozen {
            return;
        }
        while let Some(due) = self.fleet.next_event().filter(|due| *due <= (now, kind)) {
            self.fleet.advance(due.0, due.1);
            self.lag.record(now - due.0);
            self.deliver();
            self.note_step(due.0);
        }
    }

    /// What the steps until `now` have done.
    fn note_step(&mut self, now: Time) {
        let totals = self.fleet.totals(now);
        self.metrics.step(&self.seen, &totals);
        self.seen = totals;
    }

    fn deliver(&mut self) {
        if self.frozen {
            return;
        }
        while let Some(Output { call, at, kind }) = self.fleet.poll() {
            let Some(open) = self.open.get_mut(call) else { continue };
            match kind {
                OutputKind::Began => {
                    open.began = Some(at);
                    self.metrics.began(at - open.arrived);
                }
                OutputKind::FirstToken => {
                    (open.first, open.latest) = (Some(at), at);
                    self.metrics.first_token(at - open.arrived);
                    if open.output > 1 {
                        open.tell(at, NewsKind::Token);
                    }
                }
                OutputKind::Token => {
                    self.metrics.gap(at - std::mem::replace(&mut open.latest, at));
                    open.tell(at, NewsKind::Token);
                }
                OutputKind::Done(work) => {
                    if work.decode_tokens > 1 {
                        self.metrics.gap(at - open.latest);
                    }
                    open.tell(at, NewsKind::Last(Usage { input: open.input, output: work.decode_tokens }));
                    open.finish(at, &mut self.metrics);
                    self.open.remove(call);
                }
                OutputKind::Failed { cause, .. } => {
                    open.tell(at, NewsKind::Refused(cause));
                    self.metrics.refused(cause);
                    self.open.remove(call);
                }
                OutputKind::Reneged | OutputKind::Cancelled(_) => {
                    self.open.remove(call);
                }
            }
        }
    }
}

impl Open {
    fn tell(&self, at: Time, kind: NewsKind) {
        // Who has left hears nothing more.
        let _ = self.news.send(News { at, kind });
    }

    fn finish(&self, at: Time, metrics: &mut Metrics) {
        let began = self.began.unwrap_or(self.arrived);
        let first = self.first.unwrap_or(at);
        metrics.finished(&super::metrics::Finished {
            input: self.input,
            output: self.output,
            max_tokens: self.max_tokens,
            length: self.length,
            e2e: at - self.arrived,
            inference: at - began,
            prefill: first - began,
            decode: at - first,
        });
    }
}

/// A request inside the model. Dropped before its end, it is cancelled there.
#[derive(Debug)]
pub struct InModel {
    machine: Arc<Machine>,
    id: CallId,
    news: mpsc::UnboundedReceiver<News>,
    /// News that have come and that nobody has taken.
    held: Option<News>,
    over: bool,
}

impl InModel {
    /// The next news; `None` after the last.
    pub async fn next(&mut self) -> Option<News> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, polled.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<News>> {
        if let Some(news) = self.held.take() {
            return Poll::Ready(Some(news));
        }
        let news = self.news.poll_recv(context);
        if let Poll::Ready(Some(News { kind: NewsKind::Last(_) | NewsKind::Refused(_), .. }) | None) = news {
            self.over = true;
        }
        news
    }

    /// Whether the first news, which stay to be taken, are that it is refused.
    pub async fn is_refused(&mut self) -> bool {
        self.held = self.next().await;
        self.held.as_ref().is_none_or(|news| matches!(news.kind, NewsKind::Refused(_)))
    }
}

impl Drop for InModel {
    fn drop(&mut self) {
        if !self.over {
            self.machine.cancel(self.id);
        }
    }
}

/// How late, at the median and the 99th percentile.
#[must_use]
pub fn lag_words(lag: &Latency) -> String {
    let at = |q| 1e3 * lag.quantile_s(q).unwrap_or(0.0);
    format!("{} steps and outputs, late by {:.1} ms at the median and {:.1} ms at p99", lag.count(), at(0.5), at(0.99))
}

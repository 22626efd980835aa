//! Who owns the policies: one lock, held for microseconds and never while anything waits.
//!
//! Whoever has news takes the lock, the time, and all that the policies answer; what is said to others lies in their boxes
//! before the lock is let go, and they are woken after it. So the order of the inputs is the order of their times, and the
//! journal's.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use slotmap::{SecondaryMap, SlotMap};
use tokio::sync::Notify;

use super::flow::{Flow, run_on};
use super::post::{Line, Mail, Order, Post, Start};
use super::recorder::Recorder;
use crate::live::clock::Clock;
use crate::policy::{Action, Attempt, Gateway, Input, Settings, Stats};
use crate::request::{AttemptId, CallId, RequestId};
use crate::time::Time;

/// The policies, and who waits for what they say.
#[derive(Debug)]
pub struct Owner {
    clock: Clock,
    inner: Mutex<Inner>,
    /// The next wake-up has moved forward.
    sooner: Notify,
    /// Nothing is in flight.
    quiet: Notify,
}

#[derive(Debug)]
struct Inner {
    gateway: Gateway,
    posts: SlotMap<AttemptId, Arc<Post>>,
    lines: SecondaryMap<CallId, Arc<Line>>,
    draws: ChaCha8Rng,
    requests: u64,
    /// When the timer goes off.
    armed: Time,
    recorder: Option<Recorder>,
}

/// What is left to do when the lock is let go.
#[derive(Default)]
struct Errands {
    wakers: Vec<Waker>,
    /// Answers that flowed for an attempt, and what was ordered.
    flows: Vec<(Box<Flow>, Arc<Line>, Order)>,
    sooner: bool,
    quiet: bool,
}

impl Errands {
    /// Gives an order about a call, before what it means for its attempt is in the post. Where the answer does not flow yet,
    /// the attempt's task has it and reads the order.
    fn order(&mut self, line: Arc<Line>, order: Order) {
        let (flow, waker) = line.give(order);
        self.wakers.extend(waker);
        self.flows.extend(flow.map(|flow| (flow, line, order)));
    }
}

/// What is in flight.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Attempts that wait or are answered.
    pub attempts: usize,
    /// Calls whose end is awaited.
    pub calls: usize,
}

impl Owner {
    /// The policies with these settings; `seed` begins the random bits that attempts bring.
    #[must_use]
    pub fn new(clock: Clock, settings: &Settings, seed: u64, recorder: Option<Recorder>) -> Arc<Self> {
        let mut gateway = Gateway::new(settings);
        gateway.set_notes(recorder.is_some());
        let mut inner = Inner {
            gateway,
            posts: SlotMap::with_key(),
            lines: SecondaryMap::new(),
            draws: ChaCha8Rng::seed_from_u64(seed),
            requests: 0,
            armed: Time::FAR,
            recorder,
        };
        if let Some(recorder) = &mut inner.recorder {
            recorder.settings(settings);
        }
        Arc::new(Self { clock, inner: Mutex::new(inner), sooner: Notify::new(), quiet: Notify::new() })
    }

    /// The clock by which the policies live.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// An attempt arrives, as `describe` makes it of the time, its id and random bits; its request's number is filled in.
    pub fn arrive(&self, describe: impl FnOnce(Time, AttemptId, u64) -> Attempt) -> (AttemptId, Arc<Post>) {
        let post = Arc::new(Post::default());
        let mut errands = Errands::default();
        let mut inner = self.lock();
        let now = self.clock.now();
        let id = inner.posts.insert(Arc::clone(&post));
        inner.requests += 1;
        let (request, draw) = (RequestId(inner.requests), inner.draws.next_u64());
        let attempt = Attempt { request, ..describe(now, id, draw) };
        inner.hear(now, Input::Arrive(attempt), &mut errands);
        drop(inner);
        self.run(errands);
        (id, post)
    }

    /// Something has happened.
    pub fn tell(self: &Arc<Self>, input: Input) {
        let mut errands = Errands::default();
        let mut inner = self.lock();
        let now = self.clock.now();
        inner.hear(now, input, &mut errands);
        drop(inner);
        self.run(errands);
    }

    /// The statistics as of now.
    #[must_use]
    pub fn stats(&self) -> (Time, Stats) {
        let inner = self.lock();
        let now = self.clock.now();
        (now, inner.gateway.stats(now))
    }

    /// What is in flight.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        let inner = self.lock();
        InFlight { attempts: inner.posts.len(), calls: inner.lines.len() }
    }

    /// Waits until nothing is in flight.
    pub async fn drained(&self) {
        loop {
            let quiet = self.quiet.notified();
            let mut quiet = std::pin::pin!(quiet);
            quiet.as_mut().enable();
            if self.in_flight() == InFlight::default() {
                return;
            }
            quiet.await;
        }
    }

    /// Ends the journal; what happens from now on is not in it.
    pub fn stop_recording(&self) -> Option<Recorder> {
        self.lock().recorder.take()
    }

    /// Wakes the policies when they want to be; for as long as the gateway runs.
    pub async fn keep_time(self: Arc<Self>) {
        loop {
            let due = self.arm();
            let sooner = self.sooner.notified();
            if due == Time::FAR {
                sooner.await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(self.clock.instant(due)) => self.tell(Input::Wake),
                () = sooner => {}
            }
        }
    }

    fn arm(&self) -> Time {
        let mut inner = self.lock();
        inner.armed = inner.gateway.next_wakeup().map_or(Time::FAR, |(due, _)| due);
        inner.armed
    }

    fn run(&self, errands: Errands) {
        let Errands { wakers, flows, sooner, quiet } = errands;
        for (flow, line, order) in flows {
            match order {
                Order::Detached => run_on(flow, line),
                Order::Run | Order::Cancelled => flow.cancel(),
            }
        }
        wakers.into_iter().for_each(Waker::wake);
        if sooner {
            self.sooner.notify_one();
        }
        if quiet {
            self.quiet.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("after a panic inside the policies nobody can go on")
    }
}

impl Inner {
    /// Tells the policies, and leaves what they answer in boxes and among the errands.
    fn hear(&mut self, now: Time, input: Input, errands: &mut Errands) {
        if let Some(recorder) = &mut self.recorder {
            recorder.before(now, &self.gateway, &input);
        }
        if let Input::Ended { call, .. } = input {
            self.lines.remove(call);
        } else if let Input::Gone { attempt } = input {
            self.posts.remove(attempt);
        }
        self.gateway.handle(now, input);
        while let Some(action) = self.gateway.poll() {
            if let Some(recorder) = &mut self.recorder {
                recorder.decided(action);
            }
            self.pass_on(action, errands);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.after();
        }
        if let Some((due, _)) = self.gateway.next_wakeup().filter(|(due, _)| *due < self.armed) {
            self.armed = due;
            errands.sooner = true;
        }
        errands.quiet = self.posts.is_empty() && self.lines.is_empty();
    }

    fn pass_on(&mut self, action: Action, errands: &mut Errands) {
        let (attempt, mail) = match action {
            Action::Start { attempt, call, kind, max_tokens, vantage, reserved, .. } => {
                let line = Arc::<Line>::default();
                self.lines.insert(call, Arc::clone(&line));
                (attempt, Mail::Start(Start { call, line, kind, max_tokens, vantage, reserved }))
            }
            Action::Cancel { call } => {
                if let Some(line) = self.lines.remove(call) {
                    errands.order(line, Order::Cancelled);
                }
                return;
            }
            Action::Detach { call } => {
                if let Some(line) = self.lines.get(call) {
                    errands.order(Arc::clone(line), Order::Detached);
                }
                return;
            }
            Action::Relay { attempt } => (attempt, Mail::Relay),
            Action::Complete { attempt, .. } => (attempt, Mail::Complete),
            Action::Answer { attempt, refusal } => (attempt, Mail::Answer(refusal)),
            Action::Cut { attempt, refusal } => (attempt, Mail::Cut(refusal)),
            Action::Note(_) => return,
        };
        let over = matches!(mail, Mail::Complete | Mail::Answer(_) | Mail::Cut(_));
        let post = if over { self.posts.remove(attempt) } else { self.posts.get(attempt).map(Arc::clone) };
        errands.wakers.extend(post.and_then(|post| post.put(mail)));
    }
}

//! The engine contract as a property: random inputs against every engine alone and against whole stacks.
//!
//! A small driver plays clients and upstream at once. It keeps its own books (who is live, which calls run, which were
//! detached) and checks each action against them; then the same external inputs are played again to gateways that are
//! woken late, or far too often, or that report every number, and the decisions must be the same.

use crate::settings::{STACKS, Stack, millis, settings};
use crate::support::{Dice, attempt};
use plimsoll::policy::{
    Action, CallEnd, CallKind, Counted, Counters, Finish, Gateway, Hint, Input, Mode, RefusalKind, Settings, Usage,
};
use plimsoll::request::{AttemptId, CallId, Cause, ClassId, Profile, ProxyMode, Reason, Vantage};
use plimsoll::time::{Span, Time};
use slotmap::{Key, SlotMap};

/// The driver's books about a live attempt.
#[derive(Copy, Clone, Debug, Default)]
struct Live {
    call: CallId,
    relayed: bool,
}

/// The driver's books about a call whose end is wanted.
#[derive(Copy, Clone, Debug)]
struct Running {
    id: CallId,
    attempt: AttemptId,
    detached: bool,
}

/// Clients and upstream in one, woken punctually.
struct Driver {
    gateway: Gateway,
    settings: Settings,
    now: Time,
    live: SlotMap<AttemptId, Live>,
    calls: Vec<Running>,
    over: Vec<AttemptId>,
    ended: Vec<CallId>,
    inputs: Vec<(Time, Input)>,
    actions: Vec<Action>,
    dice: Dice,
    stack: Stack,
    reloaded: bool,
}

impl Driver {
    fn new(stack: Stack, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let settings = settings(stack, &mut dice);
        Self {
            gateway: Gateway::new(&settings),
            settings,
            now: Time::ZERO,
            live: SlotMap::with_key(),
            calls: Vec::new(),
            over: Vec::new(),
            ended: Vec::new(),
            inputs: Vec::new(),
            actions: Vec::new(),
            dice,
            stack,
            reloaded: false,
        }
    }

    /// Lets up to 7 ms go by, waking the gateway whenever it asked for it, then does one random thing.
    fn step(&mut self) {
        let leap = self.stack.is_metered() && self.dice.below(25) == 0; // budgets come back once a minute
        let gap = if leap { 10_000 + self.dice.below(30_000) as u64 } else { [0, 0, 1, 2, 3, 7][self.dice.below(6)] };
        let to = self.now + Span::from_millis(gap);
        self.wake_until(to);
        self.now = to;
        match self.dice.below(1000) {
            0..380 => self.arrive(),
            380..440 => self.first_byte(),
            440..720 => self.end_one(),
            720..810 => self.leave(),
            810..900 => self.stale(),
            900..950 => self.no_op(Input::Wake),
            950..990 => self.no_op(Input::Hint(Hint::default())),
            990..999 => self.reload(),
            _ => {
                if self.dice.below(30) == 0 {
                    self.input(Input::Drain);
                }
            }
        }
    }

    fn wake_until(&mut self, to: Time) {
        while let Some((due, _)) = self.gateway.next_wakeup().filter(|(due, _)| *due <= to) {
            assert!(due >= self.now, "what was due by an earlier input has been done with it");
            self.now = due;
            self.gateway.handle(self.now, Input::Wake);
            self.drain();
            assert!(self.gateway.next_wakeup().is_none_or(|(next, _)| next >= due), "due work first");
        }
    }

    fn input(&mut self, input: Input) {
        self.inputs.push((self.now, input.clone()));
        self.gateway.handle(self.now, input);
        self.drain();
    }

    /// An input that may do nothing: not an action, not a number.
    fn no_op(&mut self, input: Input) {
        self.wake_until(self.now);
        let (before, actions) = (self.gateway.stats(self.now).now, self.actions.len());
        self.input(input);
        assert_eq!((self.gateway.snapshot(), self.actions.len()), (before, actions));
    }

    fn arrive(&mut self) {
        let id = self.live.insert(Live::default());
        let mut arriving = attempt(id);
        arriving.priority = [0, 0, 5, 255][self.dice.below(4)];
        arriving.input_estimate = u32::try_from(self.dice.below(100)).expect("small");
        arriving.max_tokens = u32::try_from(self.dice.below(100)).expect("small");
        arriving.draw = self.dice.bits();
        arriving.class = ClassId([0, 1, 2, 700][self.dice.below(4)]);
        arriving.profile = Profile {
            grounded: self.dice.below(2) == 0,
            vantage: Vantage::ALL[self.dice.below(4)],
            proxy_mode: ProxyMode::ALL[self.dice.below(2)],
            ..Profile::default()
        };
        arriving.deadline = (self.dice.below(3) == 0).then(|| self.now + millis(&mut self.dice, 60));
        let before = self.gateway.snapshot().waiting;
        self.input(Input::Arrive(arriving));
        let waiting = self.gateway.snapshot().waiting;
        if let Some(queue) = self.settings.queue.as_ref().filter(|q| q.mode == Mode::Enforce) {
            assert!(waiting <= before.max(queue.max_queue_size.value()), "INV-9: {waiting} wait");
            if let Some(tokens) = queue.max_queue_tokens.filter(|_| waiting > before) {
                assert!(self.gateway.stats(self.now).queue_tokens <= u64::from(tokens.value()), "INV-9: tokens");
            }
        }
        if self.dice.below(8) == 0 {
            self.no_op(Input::Arrive(arriving)); // doubled, or over already
        }
    }

    fn first_byte(&mut self) {
        if let Some(at) = self.dice.pick(self.calls.len()) {
            self.input(Input::FirstByte { call: self.calls[at].id });
        }
    }

    fn end_one(&mut self) {
        let Some(at) = self.dice.pick(self.calls.len()) else { return };
        self.wake_until(self.now);
        let Some(call) = self.calls.get(at).map(|call| call.id) else { return };
        let end = match self.dice.below(6) {
            0 => CallEnd::Failed { cause: Cause::ALL[self.dice.below(Cause::ALL.len())], retry_after: None },
            1 if self.stack.is_metered() => {
                let causes = [Cause::Proxy, Cause::Proxy, Cause::RateLimited, Cause::Server];
                let retry_after = (self.dice.below(2) == 0).then(|| millis(&mut self.dice, 20));
                CallEnd::Failed { cause: causes[self.dice.below(4)], retry_after }
            }
            _ => {
                let mut tokens = || u32::try_from(self.dice.below(300)).expect("small");
                let usage = Usage { input: tokens(), output: tokens() };
                let finish = [Finish::Stop, Finish::Length][self.dice.below(2)];
                CallEnd::Ok { usage: (self.dice.below(3) > 0).then_some(usage), finish }
            }
        };
        self.end(call, end);
    }

    fn end(&mut self, call: CallId, end: CallEnd) {
        self.calls.retain(|running| running.id != call);
        self.ended.push(call);
        self.input(Input::Ended { call, end });
    }

    fn leave(&mut self) {
        self.wake_until(self.now);
        let Some(at) = self.dice.pick(self.live.len()) else { return };
        let id = self.live.keys().nth(at).expect("picked below the length");
        let said_so = self.dice.below(20) > 0;
        if said_so {
            self.forget(id);
            self.input(Input::Gone { attempt: id });
        } else {
            // The driver drops it silently: the next arrival in its slot is the news.
            self.forget(id);
            self.arrive();
        }
    }

    fn forget(&mut self, id: AttemptId) {
        self.live.remove(id).expect("only live attempts end");
        self.over.push(id);
    }

    fn stale(&mut self) {
        let call = self.dice.pick(self.ended.len()).map(|at| self.ended[at]).unwrap_or_default();
        let over = self.dice.pick(self.over.len()).map(|at| self.over[at]).unwrap_or_default();
        let input = match self.dice.below(4) {
            0 => Input::FirstByte { call },
            1 => Input::Ended { call, end: CallEnd::Ok { usage: None, finish: Finish::Stop } },
            2 if over.is_null() || self.is_known(over) => Input::Gone { attempt: over },
            _ if over.is_null() || self.is_known(over) => Input::Arrive(attempt(over)),
            _ => Input::Wake,
        };
        self.no_op(input);
    }

    /// Whether the gateway knows that this attempt is over (one that was dropped in silence lives on with it).
    fn is_known(&self, id: AttemptId) -> bool {
        self.inputs.iter().any(|(_, input)| matches!(input, Input::Gone { attempt } if *attempt == id))
            || self.actions.iter().any(|action| ended_by(action) == Some(id))
    }

    fn reload(&mut self) {
        self.settings = settings(self.stack, &mut self.dice);
        self.reloaded = true;
        self.input(Input::Settings(Box::new(self.settings.clone())));
    }

    fn drain(&mut self) {
        while let Some(action) = self.gateway.poll() {
            self.check(&action);
            self.actions.push(action);
        }
        let snapshot = self.gateway.snapshot();
        let detached = self.calls.iter().filter(|call| call.detached).count();
        assert_eq!(snapshot.abandoned_true as usize, detached);
        if !self.stack.is_metered() {
            assert_eq!(snapshot.in_flight as usize, self.calls.len() - detached);
        }
        assert!(snapshot.abandoned_counted >= 0.0);
    }

    /// One action against the books.
    fn check(&mut self, action: &Action) {
        match *action {
            Action::Start { attempt, call, kind, .. } => {
                if let Some(live) = self.live.get_mut(attempt) {
                    assert!(!live.relayed, "no second call after the first byte");
                    assert_eq!(kind == CallKind::First, live.call.is_null(), "one first call an attempt");
                    assert!(self.calls.iter().all(|running| running.id != live.call || running.detached), "one at a time");
                    live.call = call;
                }
                self.calls.push(Running { id: call, attempt, detached: false });
                let running = self.calls.iter().filter(|call| !call.detached).count();
                if let Some(slots) = self.settings.concurrency.as_ref().filter(|s| s.mode == Mode::Enforce) {
                    let most =
                        if slots.adaptive.is_some() { usize::MAX } else { slots.max_concurrent_requests.value() as usize };
                    assert!(running <= most || self.stack.is_metered(), "INV-9: {running} calls");
                    // Whoever held a slot when the limit was lowered may start yet.
                    assert!(self.reloaded || self.gateway.snapshot().in_flight as usize <= most, "INV-9: slots");
                }
            }
            Action::Cancel { call } => {
                let before = self.calls.len();
                self.calls.retain(|running| running.id != call);
                assert_eq!(self.calls.len(), before - 1, "only a running call is cancelled, once");
                self.ended.push(call);
            }
            Action::Detach { call } => {
                let running = self.calls.iter_mut().find(|running| running.id == call).expect("it runs");
                assert!(!std::mem::replace(&mut running.detached, true), "detached once");
            }
            Action::Relay { attempt } => {
                if let Some(live) = self.live.get_mut(attempt) {
                    assert!(!std::mem::replace(&mut live.relayed, true), "relayed once");
                }
            }
            Action::Answer { attempt, refusal } => {
                assert!(self.live.get(attempt).is_none_or(|live| !live.relayed), "no refusal after the first byte");
                if let RefusalKind::Rejected(_) = refusal.kind {
                    assert!(self.calls.iter().all(|call| call.attempt != attempt), "a refused attempt has no call");
                }
                self.over_by(attempt);
            }
            Action::Cut { attempt, .. } => {
                assert!(self.live.get(attempt).is_none_or(|live| live.relayed), "only what has begun is cut");
                self.over_by(attempt);
            }
            Action::Complete { attempt, .. } => self.over_by(attempt),
            Action::Note(_) => panic!("nobody asked for notes"),
        }
    }

    /// The gateway ended it: once, unless the driver dropped it in silence, which the gateway cannot know.
    fn over_by(&mut self, id: AttemptId) {
        if self.live.contains_key(id) {
            self.forget(id);
        } else {
            assert!(!self.is_known(id), "an attempt ends once");
        }
    }

    /// Ends all work: everything must have come back.
    fn finish(&mut self) {
        // Whoever waits for a window that nothing refreshes would wait for ever.
        while self.stack.is_metered() {
            self.wake_until(self.now);
            let Some(id) = self.live.keys().next() else { break };
            self.forget(id);
            self.input(Input::Gone { attempt: id });
        }
        for _ in 0..10_000 {
            self.wake_until(self.now);
            let Some(call) = self.calls.first().map(|call| call.id) else { break };
            self.end(call, CallEnd::Ok { usage: None, finish: Finish::Stop });
        }
        let snapshot = self.gateway.snapshot();
        assert_eq!((snapshot.waiting, snapshot.in_flight, snapshot.abandoned_true), (0, 0, 0));
        assert!(self.live.is_empty(), "{} attempts were never answered", self.live.len());
        self.wake_until(self.now + Span::from_secs(200)); // a window's end that nobody waits for any more
        assert_eq!(self.gateway.next_wakeup(), None, "nothing is left to wait for");
        let stats = self.gateway.stats(self.now);
        let counters = stats.counters;
        let refused: u64 = Reason::ALL.iter().map(|reason| counters.refused(*reason).enforced).sum();
        let accounted = counters.completed + counters.failed + counters.gone + counters.timed_out + refused;
        assert_eq!((counters.arrived, stats.queue_tokens), (accounted, 0));
        assert_eq!((stats.reserved, stats.lane_running, snapshot.waiting_for_budget), (0, 0, 0), "all came back");
    }
}

fn ended_by(action: &Action) -> Option<AttemptId> {
    match action {
        Action::Complete { attempt, .. } | Action::Answer { attempt, .. } | Action::Cut { attempt, .. } => Some(*attempt),
        _ => None,
    }
}

/// How another gateway is driven.
#[derive(Copy, Clone, Debug, Default)]
struct Manner {
    /// Spurious wakes before each input.
    wakes: u64,
    notes: bool,
    /// It is written out after each so many inputs, and the one that is read back goes on.
    renewed: Option<usize>,
}

/// Plays the external inputs to another gateway, driven in another manner.
fn replay(first: &Settings, inputs: &[(Time, Input)], end: Time, Manner { wakes, notes, renewed }: Manner) -> Vec<Action> {
    let mut gateway = Gateway::new(first);
    gateway.set_notes(notes);
    let mut actions = Vec::new();
    let mut before = Time::ZERO;
    for (number, (now, input)) in inputs.iter().enumerate() {
        if renewed.is_some_and(|every| number % every == 0) {
            let state = gateway.state();
            gateway = Gateway::restore(&state).expect("its own state");
            assert_eq!(gateway.state(), state, "nothing is lost");
        }
        for n in 1..=wakes {
            let gap = (*now - before).as_nanos() * n / (wakes + 1);
            gateway.handle(before + Span::from_nanos(gap), Input::Wake);
        }
        gateway.handle(*now, input.clone());
        before = *now;
        actions.extend(std::iter::from_fn(|| gateway.poll()).filter(|action| !matches!(action, Action::Note(_))));
    }
    gateway.handle(end, Input::Wake);
    actions.extend(std::iter::from_fn(|| gateway.poll()).filter(|action| !matches!(action, Action::Note(_))));
    actions
}

fn hold(stack: Stack, seed: u64, steps: usize) -> (Counters, Vec<Action>) {
    let mut driver = Driver::new(stack, seed);
    let first = driver.settings.clone();
    println!("stack {stack:?}, seed {seed}, settings {first:?}"); // shown on failure
    for _ in 0..steps {
        driver.step();
    }
    driver.finish();
    let usual = Manner::default();
    // To write a gateway out takes longer than all that it decides between.
    let renewed = seed.is_multiple_of(8).then_some(9);
    let manners = [usual, Manner { wakes: 3, ..usual }, Manner { notes: true, ..usual }, Manner { renewed, ..usual }];
    for manner in manners {
        let again = replay(&first, &driver.inputs, driver.now, manner);
        let differs = again.iter().zip(&driver.actions).position(|(a, b)| a != b);
        assert_eq!(differs, None, "driven so: {manner:?}");
        assert_eq!(again.len(), driver.actions.len());
    }
    (driver.gateway.stats(driver.now).counters, driver.actions)
}

#[test]
fn every_engine_and_every_stack_holds_the_contract() {
    let mut seen = [0; 6];
    let mut refusals = [Counted::default(); Reason::ALL.len()];
    for seed in 0..120 {
        for stack in STACKS {
            let (counters, actions) = hold(stack, seed, 150);
            for action in &actions {
                seen[kind(action)] += 1;
            }
            for (sum, one) in refusals.iter_mut().zip(counters.refusals) {
                sum.enforced += one.enforced;
                sum.observed += one.observed;
            }
        }
    }
    assert!(seen.iter().all(|times| *times > 50), "every way out was taken: {seen:?}");
    let upstreams = [Reason::UpstreamFull, Reason::UpstreamRate];
    for reason in Reason::ALL.into_iter().filter(|reason| !upstreams.contains(reason)) {
        let Counted { enforced, observed } = refusals[reason as usize];
        assert!(enforced > 10 && (observed > 5 || reason == Reason::Draining), "{reason:?}: {refusals:?}");
    }
}

/// Ways on and out of the gateway.
fn kind(action: &Action) -> usize {
    match action {
        Action::Start { .. } | Action::Note(_) => 0,
        Action::Cancel { .. } => 1,
        Action::Detach { .. } => 2,
        Action::Answer { .. } | Action::Relay { .. } => 3,
        Action::Cut { .. } => 4,
        Action::Complete { .. } => 5,
    }
}

#[test]
#[ignore = "a million operations: cargo test --release -- --ignored"]
fn a_million_operations() {
    for seed in 1_000..2_700 {
        for stack in STACKS {
            hold(stack, seed, 100);
        }
    }
}

#[test]
#[should_panic(expected = "INV-2")]
fn time_that_runs_back_is_caught() {
    let mut gateway = Gateway::new(&Settings::default());
    gateway.handle(Time::from_nanos(2), Input::Wake);
    gateway.handle(Time::from_nanos(1), Input::Wake);
}

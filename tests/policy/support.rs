//! What the tests of the policies share.

#![allow(dead_code)] // each test file uses its part

use plimsoll::policy::{Action, Attempt, CallEnd, Finish, Gateway, Input, Refusal, RefusalKind, Settings};
use plimsoll::request::{AttemptId, CallId, Reason};
use plimsoll::rng::mix;
use plimsoll::time::{Span, Time};
use slotmap::SlotMap;

/// A sequence of random numbers that a seed stands for.
pub struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { seed: mix(seed, 0), drawn: 0 }
    }

    pub fn bits(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound as u64).expect("below a usize")
    }

    /// One of `len` things, if there are any.
    pub fn pick(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| self.below(len))
    }
}

/// An attempt of 50 tokens in and at most 50 out.
pub fn attempt(id: AttemptId) -> Attempt {
    Attempt::new(id, 50, 50)
}

/// A gateway driven by hand, in seconds.
pub struct Hand {
    pub gateway: Gateway,
    now: Time,
    ids: SlotMap<AttemptId, ()>,
}

impl Hand {
    pub fn new(settings: &Settings) -> Self {
        Self { gateway: Gateway::new(settings), now: Time::ZERO, ids: SlotMap::with_key() }
    }

    /// Tells the gateway something at `secs`; what it does.
    pub fn tell(&mut self, secs: f64, input: Input) -> Vec<Action> {
        self.now = at(secs);
        self.gateway.handle(self.now, input);
        std::iter::from_fn(|| self.gateway.poll()).collect()
    }

    /// A new attempt's id, and what becomes of it on arrival.
    pub fn arrive(&mut self, secs: f64) -> (AttemptId, Vec<Action>) {
        self.arrive_as(secs, |_| {})
    }

    pub fn arrive_as(&mut self, secs: f64, change: impl FnOnce(&mut Attempt)) -> (AttemptId, Vec<Action>) {
        let id = self.ids.insert(());
        let mut arriving = attempt(id);
        change(&mut arriving);
        (id, self.tell(secs, Input::Arrive(arriving)))
    }

    /// Starts an attempt that is expected to start at once.
    pub fn start(&mut self, secs: f64) -> (AttemptId, CallId) {
        let (id, actions) = self.arrive(secs);
        (id, started(&actions).unwrap_or_else(|| panic!("{actions:?} starts nothing")).1)
    }

    /// A call is complete.
    pub fn end(&mut self, secs: f64, call: CallId) -> Vec<Action> {
        self.tell(secs, Input::Ended { call, end: CallEnd::Ok { usage: None, finish: Finish::Stop } })
    }

    /// The time of the last input.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Lets time pass.
    pub fn wake(&mut self, secs: f64) -> Vec<Action> {
        self.tell(secs, Input::Wake)
    }
}

pub fn at(secs: f64) -> Time {
    Time::ZERO + Span::from_secs_f64(secs)
}

/// Who was started, with which call: the first one.
pub fn started(actions: &[Action]) -> Option<(AttemptId, CallId)> {
    actions.iter().find_map(|action| match action {
        Action::Start { attempt, call, .. } => Some((*attempt, *call)),
        _ => None,
    })
}

/// Who was refused without a byte of an answer, and how: the first one.
pub fn refused(actions: &[Action]) -> Option<(AttemptId, Refusal)> {
    actions.iter().find_map(|action| match action {
        Action::Answer { attempt, refusal } => Some((*attempt, *refusal)),
        _ => None,
    })
}

/// The reason of the first rejection.
pub fn reason(actions: &[Action]) -> Option<Reason> {
    refused(actions).and_then(|(_, refusal)| match refusal.kind {
        RefusalKind::Rejected(reason) => Some(reason),
        _ => None,
    })
}

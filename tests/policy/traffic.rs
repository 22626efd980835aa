//! Random traffic against a gateway, with an upstream that answers each call when its attempt said it would.

use crate::support::attempt;
use plimsoll::policy::{Action, Attempt, CallEnd, Gateway, Input, Settings};
use plimsoll::request::{AttemptId, CallId};
use plimsoll::time::{Span, Time};
use slotmap::SlotMap;

/// What the upstream will do with an attempt's call.
#[derive(Copy, Clone, Debug)]
pub struct Job {
    pub took: Span,
    pub end: CallEnd,
}

/// What can be seen from outside, in order.
#[derive(Copy, Clone, Debug)]
pub enum Seen {
    Action(Action),
    /// A call ends; the gateway is told next.
    Ends(CallId, CallEnd),
}

pub struct Traffic {
    pub gateway: Gateway,
    pub now: Time,
    jobs: SlotMap<AttemptId, Job>,
    running: Vec<(Time, CallId, Job)>,
}

impl Traffic {
    pub fn new(settings: &Settings) -> Self {
        Self { gateway: Gateway::new(settings), now: Time::ZERO, jobs: SlotMap::with_key(), running: Vec::new() }
    }

    /// An attempt arrives now, and all that follows at once.
    pub fn arrive(&mut self, job: Job, change: impl FnOnce(&mut Attempt), see: &mut impl FnMut(Time, Seen)) -> AttemptId {
        let id = self.jobs.insert(job);
        let mut arriving = attempt(id);
        change(&mut arriving);
        self.tell(Input::Arrive(arriving), see);
        id
    }

    /// The client of an attempt leaves now; one that is over has left already.
    pub fn leave(&mut self, attempt: AttemptId, see: &mut impl FnMut(Time, Seen)) {
        if self.jobs.remove(attempt).is_some() {
            self.tell(Input::Gone { attempt }, see);
        }
    }

    /// Lets time pass: calls end, and the gateway is woken whenever it asked for it.
    pub fn pass(&mut self, to: Time, see: &mut impl FnMut(Time, Seen)) {
        loop {
            let ends = (0..self.running.len()).min_by_key(|at| self.running[*at].0);
            let end = ends.map_or(Time::FAR, |at| self.running[at].0);
            let wake = self.gateway.next_wakeup().map_or(Time::FAR, |(due, _)| due);
            if end.min(wake) > to {
                break;
            }
            self.now = end.min(wake);
            if let Some(at) = ends.filter(|_| end <= wake) {
                let (_, call, job) = self.running.swap_remove(at);
                see(self.now, Seen::Ends(call, job.end));
                self.tell(Input::Ended { call, end: job.end }, see);
            } else {
                self.tell(Input::Wake, see);
            }
        }
        self.now = to;
    }

    fn tell(&mut self, input: Input, see: &mut impl FnMut(Time, Seen)) {
        self.gateway.handle(self.now, input);
        while let Some(action) = self.gateway.poll() {
            match action {
                Action::Start { attempt, call, .. } => {
                    let job = self.jobs[attempt];
                    self.running.push((self.now + job.took, call, job));
                }
                Action::Cancel { call } => self.running.retain(|(_, running, _)| *running != call),
                Action::Complete { attempt, .. } | Action::Answer { attempt, .. } | Action::Cut { attempt, .. } => {
                    self.jobs.remove(attempt);
                }
                Action::Detach { .. } | Action::Relay { .. } | Action::Note(_) => {}
            }
            see(self.now, Seen::Action(action));
        }
    }
}

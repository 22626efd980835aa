//! The stack of policies in front of one upstream.

use std::collections::VecDeque;

use slotmap::SlotMap;

use super::{Action, CallEnd, CallKind, Input, Settings, WakeReason};
use crate::request::{AttemptId, CallId};
use crate::time::Time;

/// PLACEHOLDER pass-through until the engines land: keeps the other rooms compiling.
#[derive(Debug)]
pub struct Gateway {
    calls: SlotMap<CallId, AttemptId>,
    actions: VecDeque<Action>,
}

/// Counters that reports and the health endpoint show.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Attempts waiting in the gateway.
    pub waiting: u32,
    /// Calls in flight that hold a slot.
    pub in_flight: u32,
    /// Abandoned calls as the policy counts them.
    pub abandoned_counted: f64,
    /// Abandoned calls that really still run.
    pub abandoned_true: u32,
    /// Largest value that `abandoned_counted` has had.
    pub abandoned_counted_max: f64,
    /// Largest value that `abandoned_true` has had.
    pub abandoned_true_max: u32,
}

impl Gateway {
    /// A gateway with `settings`, at time zero.
    #[must_use]
    pub fn new(_settings: &Settings) -> Self {
        Self { calls: SlotMap::with_key(), actions: VecDeque::new() }
    }

    /// Whether every gate's numbers are reported as [`Action::Note`]s (for a journal). Off at first.
    pub fn set_notes(&mut self, _on: bool) {}

    /// Tells the gateway what happened at `now`.
    pub fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Arrive(attempt) => {
                let call = self.calls.insert(attempt.id);
                let (max_tokens, route) = (attempt.max_tokens, attempt.route);
                self.actions.push_back(Action::Start { attempt: attempt.id, call, kind: CallKind::First, max_tokens, route });
            }
            Input::Ended { call, end: CallEnd::Ok { .. } } => {
                if let Some(attempt) = self.calls.remove(call) {
                    self.actions.push_back(Action::Complete { attempt, degraded: false });
                }
            }
            _ => {}
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the gateway next wants [`Input::Wake`], and why.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<(Time, WakeReason)> {
        None
    }

    /// The counters as of the last input.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }
}

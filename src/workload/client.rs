//! The client: how long it waits, when it leaves, when it tries again. Sans-IO, like the gateway.

use std::collections::VecDeque;

use slotmap::SlotMap;

use super::ClassSettings;
use crate::policy::Refusal;
use crate::request::{AttemptId, Outcome, Request};
use crate::time::Time;

/// What happened to a client.
#[derive(Clone, Debug)]
pub enum ClientInput {
    /// A request is wanted, at its intended first arrival.
    New(Request),
    /// The first token has come.
    FirstToken {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// The answer is complete.
    Complete {
        /// Of which attempt.
        attempt: AttemptId,
        /// Whether a policy cut it short.
        degraded: bool,
        /// Its length, tokens.
        output_tokens: u32,
    },
    /// The attempt was refused, timed out or failed.
    Refused {
        /// Which attempt.
        attempt: AttemptId,
        /// How.
        refusal: Refusal,
    },
    /// It lost patience in the upstream's own queue (plain station).
    Reneged {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The time of [`Client::next_wakeup`] has come (or not).
    Wake,
}

/// What a client does.
#[derive(Clone, Debug)]
pub enum ClientAction {
    /// It sends an attempt; [`Client::request`] tells what.
    Send {
        /// The attempt's id.
        attempt: AttemptId,
    },
    /// It leaves an attempt that is under way.
    Leave {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The request is over.
    Finish(Finished),
}

/// A request that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The request.
    pub request: Request,
    /// Its column.
    pub outcome: Outcome,
    /// How many attempts it took.
    pub attempts: u16,
    /// When it ended.
    pub at: Time,
    /// When the last attempt was sent.
    pub sent: Time,
    /// When the last attempt's first token came.
    pub first_token: Option<Time>,
    /// Length of the answer, tokens; 0 without one.
    pub output_tokens: u32,
}

/// All clients of a run: every request that is under way, or in backoff.
#[derive(Debug)]
pub struct Client {
    pending: SlotMap<AttemptId, (Request, Time)>,
    actions: VecDeque<ClientAction>,
}

impl Client {
    /// The clients of these classes.
    #[must_use]
    pub fn new(_classes: &[ClassSettings]) -> Self {
        Self { pending: SlotMap::with_key(), actions: VecDeque::new() }
    }

    /// Tells the clients what happened at `now`.
    pub fn handle(&mut self, now: Time, input: ClientInput) {
        match input {
            ClientInput::New(request) => {
                let attempt = self.pending.insert((request, now));
                self.actions.push_back(ClientAction::Send { attempt });
            }
            ClientInput::Complete { attempt, output_tokens, .. } => {
                if let Some((request, sent)) = self.pending.remove(attempt) {
                    self.actions.push_back(ClientAction::Finish(Finished {
                        request,
                        outcome: Outcome::Good,
                        attempts: 1,
                        at: now,
                        sent,
                        first_token: None,
                        output_tokens,
                    }));
                }
            }
            _ => {}
        }
    }

    /// The next thing that a client does, until there is none.
    pub fn poll(&mut self) -> Option<ClientAction> {
        self.actions.pop_front()
    }

    /// When the clients next want [`ClientInput::Wake`].
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        None
    }

    /// The request behind an attempt, and the attempt's number, from 1.
    #[must_use]
    pub fn request(&self, attempt: AttemptId) -> Option<(&Request, u16)> {
        self.pending.get(attempt).map(|(request, _)| (request, 1))
    }

    /// The requests that are not over, with the attempts made so far, in no order that matters.
    pub fn unfinished(&self) -> impl Iterator<Item = (&Request, u16)> {
        self.pending.values().map(|(request, _)| (request, 1))
    }
}

//! Which requests of a journal something happened to: where to look when there are ten thousand.

use std::collections::BTreeSet;
use std::path::Path;

use clap::ValueEnum;
use slotmap::SecondaryMap;

use crate::journal::{Event, JournalError, What, read};
use crate::policy::{Action, CallKind, Input, Saw, Verdict};
use crate::request::{AttemptId, CallId, Outcome, RequestId, Vantage};

/// What a request may be looked for by.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Find {
    /// Complete, full length, within its SLO
    Good,
    /// Complete, SLO missed
    Late,
    /// Complete, cut short by a policy
    Degraded,
    /// Refused
    Rejected,
    /// Ended by the gateway
    TimedOut,
    /// Left by its client
    GaveUp,
    /// Failed upstream
    Failed,
    /// Tried more than once
    Retried,
    /// Not tried again because the retry budget was spent
    RetryDenied,
    /// Told to wait by a gate
    Waited,
    /// Sent with a smaller `max_tokens` than it asked for
    Trimmed,
    /// Sent through the stack again
    Redispatched,
    /// Given a last, short call
    Finalised,
    /// Sent without the proxy that it asked for
    WithoutProxy,
    /// Its call opened a circuit breaker
    Opened,
    /// Its call was left running without it
    Abandoned,
}

/// The requests of one replication of one variant, as they stand in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The variant.
    pub variant: String,
    /// The replication, from 0.
    pub replication: u32,
    /// The requests, in order of their numbers.
    pub requests: BTreeSet<u64>,
}

/// All requests that `what` happened to, by variant and replication: only those of `variant` and `replication` where given.
///
/// # Errors
/// If the journal cannot be read.
pub fn find(path: &Path, what: Find, variant: Option<&str>, replication: Option<u32>) -> Result<Vec<Found>, JournalError> {
    let mut finder =
        Finder { what, found: Vec::new(), wanted: false, attempts: SecondaryMap::new(), calls: SecondaryMap::new() };
    read(path, |_, Event { what, .. }| {
        if let What::Run(head) = what {
            finder.wanted =
                variant.is_none_or(|name| name == head.variant) && replication.is_none_or(|number| number == head.replication);
            if finder.wanted {
                let requests = BTreeSet::new();
                finder.found.push(Found { variant: head.variant, replication: head.replication, requests });
            }
            finder.attempts.clear();
            finder.calls.clear();
        } else if finder.wanted {
            finder.hear(&what);
        }
        true
    })?;
    Ok(finder.found)
}

struct Finder {
    what: Find,
    found: Vec<Found>,
    /// Whether the run being read is asked for.
    wanted: bool,
    attempts: SecondaryMap<AttemptId, Asked>,
    calls: SecondaryMap<CallId, RequestId>,
}

/// What an attempt asked for.
#[derive(Copy, Clone)]
struct Asked {
    request: RequestId,
    max_tokens: u32,
    vantage: Vantage,
}

impl Finder {
    fn hear(&mut self, what: &What) {
        match what {
            What::In(Input::Arrive(attempt)) => {
                let (request, max_tokens, vantage) = (attempt.request, attempt.max_tokens, attempt.profile.vantage);
                self.attempts.insert(attempt.id, Asked { request, max_tokens, vantage });
            }
            What::Out(action) => self.action(action),
            What::Finish { request, outcome, attempts, retry_denied } => {
                let is = self.what == named(*outcome)
                    || self.what == Find::Retried && *attempts > 1
                    || self.what == Find::RetryDenied && *retry_denied;
                self.add(*request, is);
            }
            _ => {}
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Start { attempt, call, kind, max_tokens, vantage, .. } => {
                let Some(asked) = self.attempts.get(*attempt).copied() else { return };
                self.calls.insert(*call, asked.request);
                let is = match self.what {
                    Find::Trimmed => *kind != CallKind::Finalise && *max_tokens < asked.max_tokens,
                    Find::Redispatched => *kind == CallKind::Redispatch,
                    Find::Finalised => *kind == CallKind::Finalise,
                    Find::WithoutProxy => *vantage != asked.vantage,
                    _ => false,
                };
                self.add(asked.request, is);
            }
            Action::Detach { call } => {
                if let Some(request) = self.calls.get(*call).copied() {
                    self.add(request, self.what == Find::Abandoned);
                }
            }
            Action::Note(note) => {
                let Some(asked) = self.attempts.get(note.attempt).copied() else { return };
                let waits = note.enforced && note.verdict == Verdict::Wait;
                let opens = matches!(note.saw, Saw::Opened { .. });
                self.add(asked.request, self.what == Find::Waited && waits || self.what == Find::Opened && opens);
            }
            _ => {}
        }
    }

    fn add(&mut self, request: RequestId, is: bool) {
        if let Some(found) = self.found.last_mut().filter(|_| is) {
            found.requests.insert(request.0);
        }
    }
}

const fn named(outcome: Outcome) -> Find {
    match outcome {
        Outcome::Good => Find::Good,
        Outcome::Late => Find::Late,
        Outcome::Degraded => Find::Degraded,
        Outcome::Rejected(_) => Find::Rejected,
        Outcome::TimedOut => Find::TimedOut,
        Outcome::GaveUp => Find::GaveUp,
        Outcome::Failed(_) => Find::Failed,
    }
}

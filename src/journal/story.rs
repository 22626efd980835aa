//! One request's story out of a journal: each gate, the numbers it saw, the decision.

use std::fmt::Write as _;
use std::path::Path;

use super::event::{Event, RunHead, What};
use super::reader::{JournalError, read};
use super::words::{
    end_words, limits_words, note_words, outcome_words, profile_words, refusal_words, start_words, upstream_words,
};
use crate::policy::{Action, Input};
use crate::request::{AttemptId, CallId, Request, RequestId, Vantage};
use crate::time::Time;

/// Which request of which run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The request.
    pub request: RequestId,
    /// The variant; `None` tells the story in every variant.
    pub variant: Option<String>,
    /// The replication, from 0.
    pub replication: u32,
}

/// The story, a paragraph a variant; empty where the journal does not hold the request.
///
/// # Errors
/// If the journal cannot be read.
pub fn tell(path: &Path, whose: &Whose) -> Result<String, JournalError> {
    let mut teller =
        Teller { whose, out: String::new(), head: None, arrived: Time::ZERO, attempts: Vec::new(), calls: Vec::new() };
    read(path, |_, event| {
        teller.hear(event);
        true
    })?;
    Ok(teller.out)
}

struct Teller<'a> {
    whose: &'a Whose,
    out: String,
    /// The run being read, where it is one that is asked for.
    head: Option<Box<RunHead>>,
    arrived: Time,
    attempts: Vec<Asked>,
    calls: Vec<CallId>,
}

/// What an attempt asked for, when it arrived.
#[derive(Copy, Clone, Debug)]
pub(super) struct Asked {
    id: AttemptId,
    /// Limit on the answer, tokens.
    pub max_tokens: u32,
    /// Vantage policy.
    pub vantage: Vantage,
}

impl Teller<'_> {
    fn hear(&mut self, Event { t, what }: Event) {
        if let What::Run(head) = what {
            let wanted = self.whose.variant.as_ref().is_none_or(|variant| *variant == head.variant);
            self.head = (wanted && head.replication == self.whose.replication).then_some(head);
            self.attempts.clear();
            self.calls.clear();
            return;
        }
        if self.head.is_none() {
            return;
        }
        match what {
            What::Request(request) if request.id == self.whose.request => self.opening(t, &request),
            What::In(input) => self.input(t, &input),
            What::Out(action) => self.action(t, &action),
            What::Upstream { request, kind } if request == self.whose.request => {
                self.line(t, "upstream", &upstream_words(kind));
            }
            What::Finish { request, outcome, attempts, retry_denied } if request == self.whose.request => {
                if retry_denied {
                    self.line(t, "client", "would try again: the retry budget has no retry left");
                }
                let tries = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
                self.line(t, "client", &format!("done: {} after {tries}", outcome_words(outcome)));
            }
            _ => {}
        }
    }

    fn opening(&mut self, t: Time, request: &Request) {
        let Some(head) = &self.head else { return };
        let class = head.classes.get(request.class.index()).map_or("?", String::as_str);
        self.arrived = t;
        let gap = if self.out.is_empty() { "" } else { "\n" };
        let _ = writeln!(
            self.out,
            "{gap}request {} of class {class}, variant \"{}\", replication {}: {} tokens in (estimated {}), {} out (limit {}){}, wanted at {t}",
            request.id.0,
            head.variant,
            head.replication,
            request.input_tokens,
            request.input_estimate,
            request.output_tokens,
            request.max_tokens,
            profile_words(request),
        );
    }

    fn input(&mut self, t: Time, input: &Input) {
        match input {
            Input::Arrive(attempt) if attempt.request == self.whose.request => {
                let (max_tokens, vantage) = (attempt.max_tokens, attempt.profile.vantage);
                self.attempts.push(Asked { id: attempt.id, max_tokens, vantage });
                self.line(t, "client", &format!("sends attempt {}", attempt.number));
            }
            Input::Gone { attempt } if self.is_ours(*attempt) => self.line(t, "client", "leaves"),
            Input::Quota { call, limits } if self.calls.contains(call) => self.line(t, "gateway", &limits_words(limits)),
            Input::Ended { call, end } if self.calls.contains(call) => self.line(t, "gateway", &end_words(end)),
            _ => {}
        }
    }

    fn action(&mut self, t: Time, action: &Action) {
        match action {
            Action::Start { attempt, call, kind, max_tokens, vantage, reserved, .. } => {
                let Some(asked) = self.attempts.iter().find(|asked| asked.id == *attempt).copied() else { return };
                self.calls.push(*call);
                self.line(t, "gateway", &start_words(&asked, *kind, *max_tokens, *vantage, *reserved));
            }
            Action::Cancel { call } if self.calls.contains(call) => self.line(t, "gateway", "cancels the call"),
            Action::Detach { call } if self.calls.contains(call) => {
                self.line(t, "gateway", "lets the call run on without its client: abandoned work");
            }
            Action::Relay { attempt } if self.is_ours(*attempt) => self.line(t, "gateway", "relays the first byte"),
            Action::Complete { attempt, degraded } if self.is_ours(*attempt) => {
                self.line(
                    t,
                    "gateway",
                    if *degraded { "answer complete, cut short by a lowered limit" } else { "answer complete" },
                );
            }
            Action::Answer { attempt, refusal } if self.is_ours(*attempt) => {
                self.line(t, "gateway", &format!("answers {}", refusal_words(refusal)));
            }
            Action::Cut { attempt, refusal } if self.is_ours(*attempt) => {
                self.line(t, "gateway", &format!("cuts the answer: {}", refusal_words(refusal)));
            }
            Action::Note(note) if self.is_ours(note.attempt) => {
                let (gate, said) = note_words(note);
                self.line(t, gate, &said);
            }
            _ => {}
        }
    }

    fn is_ours(&self, attempt: AttemptId) -> bool {
        self.attempts.iter().any(|asked| asked.id == attempt)
    }

    fn line(&mut self, t: Time, who: &str, what: &str) {
        let since = (t - self.arrived).as_secs_f64();
        let _ = writeln!(self.out, "  {:>14.6} s  +{since:<11.6}  {who:<9}  {what}", t.as_secs_f64());
    }
}

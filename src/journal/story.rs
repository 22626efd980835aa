//! One request's story out of a journal: each gate, the numbers it saw, the decision.

use std::fmt::Write as _;
use std::path::Path;

use super::event::{Event, RunHead, What};
use super::reader::{JournalError, read};
use crate::policy::{Action, CallEnd, Input, Note, Refusal, RefusalKind, Saw, Verdict};
use crate::request::{AttemptId, CallId, Outcome, Request, RequestId};
use crate::time::Time;
use crate::upstream::OutputKind;

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
    attempts: Vec<AttemptId>,
    calls: Vec<CallId>,
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
            What::Upstream { request, kind } if request == self.whose.request => self.upstream(t, kind),
            What::Finish { request, outcome, attempts } if request == self.whose.request => {
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
            "{gap}request {} of class {class}, variant \"{}\", replication {}: {} tokens in (estimated {}), {} out (limit {}), wanted at {t}",
            request.id.0,
            head.variant,
            head.replication,
            request.input_tokens,
            request.input_estimate,
            request.output_tokens,
            request.max_tokens,
        );
    }

    fn input(&mut self, t: Time, input: &Input) {
        match input {
            Input::Arrive(attempt) if attempt.request == self.whose.request => {
                self.attempts.push(attempt.id);
                self.line(t, "client", &format!("sends attempt {}", attempt.number));
            }
            Input::Gone { attempt } if self.attempts.contains(attempt) => self.line(t, "client", "leaves"),
            Input::Ended { call, end } if self.calls.contains(call) => self.line(t, "gateway", &end_words(end)),
            _ => {}
        }
    }

    fn action(&mut self, t: Time, action: &Action) {
        match action {
            Action::Start { attempt, call, max_tokens, .. } if self.attempts.contains(attempt) => {
                self.calls.push(*call);
                self.line(t, "gateway", &format!("starts a call, at most {max_tokens} tokens"));
            }
            Action::Cancel { call } if self.calls.contains(call) => self.line(t, "gateway", "cancels the call"),
            Action::Detach { call } if self.calls.contains(call) => {
                self.line(t, "gateway", "lets the call run on without its client: abandoned work");
            }
            Action::Relay { attempt } if self.attempts.contains(attempt) => self.line(t, "gateway", "relays the first byte"),
            Action::Complete { attempt, degraded } if self.attempts.contains(attempt) => {
                self.line(
                    t,
                    "gateway",
                    if *degraded { "answer complete, cut short by a lowered limit" } else { "answer complete" },
                );
            }
            Action::Answer { attempt, refusal } if self.attempts.contains(attempt) => {
                self.line(t, "gateway", &format!("answers {}", refusal_words(refusal)));
            }
            Action::Cut { attempt, refusal } if self.attempts.contains(attempt) => {
                self.line(t, "gateway", &format!("cuts the answer: {}", refusal_words(refusal)));
            }
            Action::Note(note) if self.attempts.contains(&note.attempt) => {
                let (gate, saw) = saw_words(&note.saw);
                self.line(t, gate, &format!("{}: {saw}", verdict_words(note)));
            }
            _ => {}
        }
    }

    fn upstream(&mut self, t: Time, kind: OutputKind) {
        let words = match kind {
            OutputKind::Began => "begins service".to_owned(),
            OutputKind::FirstToken => "first token".to_owned(),
            OutputKind::Done(work) => {
                format!("last token ({} prompt tokens computed, {} produced)", work.prefill_tokens, work.decode_tokens)
            }
            OutputKind::Failed { cause, retry_after: Some(wait), .. } => format!("fails: {}, retry after {wait}", cause.name()),
            OutputKind::Failed { cause, .. } => format!("fails: {}", cause.name()),
            OutputKind::Reneged => "patience ran out before service".to_owned(),
            OutputKind::Cancelled(work) => format!(
                "the cancellation takes effect ({} prompt tokens computed and {} produced for nobody)",
                work.prefill_tokens, work.decode_tokens
            ),
        };
        self.line(t, "upstream", &words);
    }

    fn line(&mut self, t: Time, who: &str, what: &str) {
        let since = (t - self.arrived).as_secs_f64();
        let _ = writeln!(self.out, "  {:>14.6} s  +{since:<11.6}  {who:<9}  {what}", t.as_secs_f64());
    }
}

fn outcome_words(outcome: Outcome) -> String {
    match outcome {
        Outcome::Good => "good".to_owned(),
        Outcome::Late => "late (complete, SLO missed)".to_owned(),
        Outcome::Degraded => "degraded (complete, cut short)".to_owned(),
        Outcome::Rejected(reason) => format!("rejected ({})", reason.name()),
        Outcome::TimedOut => "timed out at the gateway".to_owned(),
        Outcome::GaveUp => "gave up".to_owned(),
        Outcome::Failed(cause) => format!("failed ({})", cause.name()),
    }
}

fn end_words(end: &CallEnd) -> String {
    match end {
        CallEnd::Ok { usage: Some(usage), .. } => format!("the call ended: {} tokens in, {} out", usage.input, usage.output),
        CallEnd::Ok { usage: None, .. } => "the call ended".to_owned(),
        CallEnd::Failed { cause, .. } => format!("the call failed: {}", cause.name()),
    }
}

fn refusal_words(refusal: &Refusal) -> String {
    let what = match refusal.kind {
        RefusalKind::Rejected(reason) => reason.name(),
        RefusalKind::TimedOut => "timed out",
        RefusalKind::Upstream(cause) => cause.name(),
    };
    let retry = refusal.retry_after.map(|after| format!(", Retry-After {:.1} s", after.as_secs_f64())).unwrap_or_default();
    format!("{} {what}{retry}", refusal.status)
}

fn verdict_words(note: &Note) -> String {
    let verdict = match note.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Wait => "wait".to_owned(),
        Verdict::Refuse(reason) => format!("refuse ({})", reason.name()),
        Verdict::TimedOut => "timed out".to_owned(),
    };
    if note.enforced { verdict } else { format!("would {verdict} (only observed)") }
}

fn saw_words(saw: &Saw) -> (&'static str, String) {
    match saw {
        Saw::Graduated { counted, truly, max_abandoned, probability, draw } => (
            "graduated",
            format!(
                "{counted:.2} abandoned calls counted of {max_abandoned} ({truly} truly run): refuses below {probability:.3}, drew {draw:.3}"
            ),
        ),
        Saw::Queue { waiting, limit, tokens } => {
            ("queue", format!("{waiting} waiting ({tokens} tokens), refuses from {limit} on"))
        }
        Saw::Deadline { predicted, left } => {
            let left = left.map_or_else(|| "no deadline".to_owned(), |left| format!("{:.3} s left", left.as_secs_f64()));
            ("deadline", format!("would wait {:.3} s, {left}", predicted.as_secs_f64()))
        }
        Saw::Codel { waited, target, overloaded } => (
            "codel",
            format!(
                "waited {:.3} s, target {:.3} s, queue {}",
                waited.as_secs_f64(),
                target.as_secs_f64(),
                if *overloaded { "standing" } else { "not standing" }
            ),
        ),
        Saw::Budget { remaining, budget, tokens, multiplier, max_tokens } => (
            "budget",
            format!("{remaining} of {budget} tokens left, needs {tokens} (x{multiplier:.2}, at most {max_tokens} out)"),
        ),
        Saw::Lane { remaining, budget, running, waiting } => {
            ("lane", format!("{remaining} of {budget} tokens left, {running} heavy running, {waiting} heavy waiting"))
        }
        Saw::Breaker { country, proxy_mode, open, vantage } => (
            "breaker",
            format!("{country}/{} {}: goes as {}", proxy_mode.name(), if *open { "open" } else { "closed" }, vantage.name()),
        ),
        Saw::Slots { in_use, limit } => ("slots", format!("{in_use} of {limit} in use")),
        Saw::Timeout { waited, limit } => ("timeout", format!("{:.3} s of {:.3} s", waited.as_secs_f64(), limit.as_secs_f64())),
        Saw::Throttle { requests, accepts, probability, draw } => {
            ("throttle", format!("{accepts} of {requests} requests accepted: refuses below {probability:.3}, drew {draw:.3}"))
        }
        Saw::RateLimit { left, wait } => {
            ("rate limit", format!("{left} may come now, the next in {:.3} s", wait.as_secs_f64()))
        }
        Saw::Signals { saturation, age } => {
            let age = age.map_or_else(|| "no word yet".to_owned(), |age| format!("{:.3} s ago", age.as_secs_f64()));
            ("signals", format!("server {saturation:.3} full, {age}"))
        }
        Saw::QueueDepth { waiting, probability, draw } => {
            ("queue depth", format!("{waiting} waiting: refuses below {probability:.3}, drew {draw:.3}"))
        }
    }
}

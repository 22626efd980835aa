//! What the messages of a journal say, in words.

use super::story::Asked;
use crate::policy::{CallEnd, CallKind, Note, Saw, Verdict};
use crate::request::{Outcome, Profile, RateHeaders, Refusal, RefusalKind, Request, Vantage};
use crate::time::Span;
use crate::upstream::OutputKind;

/// What a request asks of a metered API; nothing where it asks for nothing.
pub(super) fn profile_words(request: &Request) -> String {
    let Profile { grounded, vantage, country, proxy_mode } = request.profile;
    if request.profile == Profile::default() {
        return String::new();
    }
    let search = if grounded { "grounded" } else { "ungrounded" };
    let way = if vantage.uses_proxy() { format!(" by {country}/{}", proxy_mode.name()) } else { String::new() };
    format!(", {search} {}{way}", vantage.name())
}

pub(super) fn outcome_words(outcome: Outcome) -> String {
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

/// A call that starts, beside what its attempt had asked for.
pub(super) fn start_words(asked: &Asked, kind: CallKind, max_tokens: u32, vantage: Vantage, reserved: u32) -> String {
    let which = match kind {
        CallKind::First => "starts a call",
        CallKind::Redispatch => "starts another call",
        CallKind::Finalise => "starts a last call before the SLA is missed",
    };
    let lowered = if kind == CallKind::Finalise { "instead of" } else { "trimmed from" };
    let trimmed = if max_tokens < asked.max_tokens { format!(" ({lowered} {})", asked.max_tokens) } else { String::new() };
    let reserved = if reserved > 0 { format!(", {reserved} reserved") } else { String::new() };
    let degraded =
        if vantage == asked.vantage { String::new() } else { format!(", {} and not {}", vantage.name(), asked.vantage.name()) };
    format!("{which}, at most {max_tokens} tokens{trimmed}{reserved}{degraded}")
}

pub(super) fn end_words(end: &CallEnd) -> String {
    match end {
        CallEnd::Ok { usage: Some(usage), .. } => format!("the call ended: {} tokens in, {} out", usage.input, usage.output),
        CallEnd::Ok { usage: None, .. } => "the call ended".to_owned(),
        CallEnd::Failed { cause, .. } => format!("the call failed: {}", cause.name()),
    }
}

pub(super) fn limits_words(limits: &RateHeaders) -> String {
    let of = |what, limit: Option<crate::request::RateHeader>| {
        let limit = limit?;
        Some(format!("{} of {} {what} left, all back in {}", limit.remaining, limit.limit, seconds(limit.reset)))
    };
    let said: Vec<String> = [of("tokens", limits.tokens), of("requests", limits.requests)].into_iter().flatten().collect();
    format!("its headers: {}", said.join("; "))
}

pub(super) fn refusal_words(refusal: &Refusal) -> String {
    let what = match refusal.kind {
        RefusalKind::Rejected(reason) => reason.name(),
        RefusalKind::TimedOut => "timed out",
        RefusalKind::Upstream(cause) => cause.name(),
    };
    let figures =
        refusal.figures.map(|figures| format!(": needs {} tokens, and a window has {}", figures.needs, figures.limit));
    let retry = refusal.retry_after.map(|after| format!(", Retry-After {:.1} s", after.as_secs_f64()));
    format!("{} {what}{}{}", refusal.status, figures.unwrap_or_default(), retry.unwrap_or_default())
}

pub(super) fn upstream_words(kind: OutputKind) -> String {
    match kind {
        OutputKind::Began => "begins service".to_owned(),
        OutputKind::FirstToken => "first token".to_owned(),
        OutputKind::Token => "another token".to_owned(),
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
    }
}

/// Who says it, and what.
pub(super) fn note_words(note: &Note) -> (&'static str, String) {
    if let Saw::Opened { country, proxy_mode, until } = &note.saw {
        let (mode, until) = (proxy_mode.name(), until.as_secs_f64());
        let observed = if note.enforced { "" } else { " (only observed)" };
        return ("breaker", format!("opens by this call's end: no call through {country}/{mode} until {until:.3} s{observed}"));
    }
    let (gate, saw) = saw_words(&note.saw);
    (gate, format!("{}: {saw}", verdict_words(note)))
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

fn seconds(span: Span) -> String {
    format!("{:.3} s", span.as_secs_f64())
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
        Saw::Opened { country, proxy_mode, .. } => ("breaker", format!("{country}/{} has opened", proxy_mode.name())),
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

//! The client: how long it waits, when it leaves, when it tries again. Sans-IO, like the gateway.
//!
//! One machine holds the clients of a whole run. Each call of [`Client::handle`] first does what is due at or before `now`, in
//! order of due time and each at its own due time, so that a late wake-up and a punctual one decide alike. A wake-up that
//! finds nothing due changes nothing, and inputs about attempts that are over are ignored.
//!
//! A request without timeouts and retries costs one slab insert and remove, and no timer.

use slotmap::SlotMap;

use super::terms::{Answer, Terms};
use super::{ClassSettings, EarnedBy, RetryOn};
use crate::fifo::Fifo;
use crate::heap::IndexedHeap;
use crate::request::{AttemptId, Cause, ClassId, Outcome, Reason, Refusal, RefusalKind, Request, RequestId, slot_of};
use crate::time::{Span, Time};

/// What happened to a client.
#[derive(Copy, Clone, Debug)]
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
#[derive(Copy, Clone, Debug)]
pub enum ClientAction {
    /// It sends an attempt.
    Send(Sending),
    /// It leaves an attempt that is under way.
    Leave {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The request is over.
    Finish(Finished),
}

/// A request that is over.
#[derive(Copy, Clone, Debug)]
pub struct Finished {
    /// The request.
    pub request: RequestId,
    /// Its class.
    pub class: ClassId,
    /// Its intended first arrival.
    pub arrival: Time,
    /// Its last attempt.
    pub attempt: AttemptId,
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
    /// Whether it would have been tried again, had the retry budget held a retry.
    pub retry_denied: bool,
}

/// A request that is not over: what its client knows of it.
#[derive(Debug)]
struct Pending {
    request: RequestId,
    class: ClassId,
    arrival: Time,
    /// Seed of its later draws.
    later: u64,
    /// Attempts made.
    attempts: u16,
    /// In backoff: the id is the next attempt's, which nobody knows yet.
    resting: bool,
    sent: Time,
    first_token: Option<Time>,
}

/// An attempt as it is sent.
#[derive(Copy, Clone, Debug)]
pub struct Sending {
    /// Its id.
    pub attempt: AttemptId,
    /// The request behind it.
    pub request: RequestId,
    /// Which try it is, from 1.
    pub number: u16,
    /// The deadline that the client tells the gateway, where its class announces one.
    pub deadline: Option<Time>,
}

impl Pending {
    /// The request is over at `at`, with its last attempt.
    fn finished(&self, at: Time, attempt: AttemptId, (outcome, retry_denied): (Outcome, bool), output_tokens: u32) -> Finished {
        let Self { request, class, arrival, attempts, sent, first_token, .. } = *self;
        Finished { request, class, arrival, attempt, outcome, attempts, at, sent, first_token, output_tokens, retry_denied }
    }
}

/// How an attempt came to nothing.
#[derive(Copy, Clone, Debug)]
struct Loss {
    outcome: Outcome,
    on: RetryOn,
    retry_after: Option<Span>,
    /// Whether trying again can help at all.
    hopeless: bool,
}

/// All clients of a run: every request that is under way, or in backoff.
///
/// The requests themselves stay with the driver. All attempts of one request have the same slot ([`slot_of`]), and no other
/// request has it before that one is over: a table by slot finds an attempt's request again.
#[derive(Debug)]
pub struct Client {
    terms: Vec<Terms>,
    pending: SlotMap<AttemptId, Pending>,
    /// The end of patience of attempts under way, and of the backoff of those to come, by slot.
    timers: IndexedHeap,
    /// Whose timer stands in each slot.
    timed: Vec<AttemptId>,
    sequence: u64,
    now: Time,
    actions: Fifo<ClientAction>,
}

impl Client {
    /// The clients of these classes.
    #[must_use]
    pub fn new(classes: &[ClassSettings]) -> Self {
        Self {
            terms: classes.iter().map(Terms::new).collect(),
            pending: SlotMap::with_key(),
            timers: IndexedHeap::new(),
            timed: Vec::new(),
            sequence: 0,
            now: Time::ZERO,
            actions: Fifo::default(),
        }
    }

    /// Tells the clients what happened at `now`.
    ///
    /// # Panics
    /// INV-2: where `now` runs back. Where a new request is of a class that does not exist.
    #[inline] // where the input is known, nothing of the choice is left
    pub fn handle(&mut self, now: Time, input: ClientInput) {
        self.pass(now);
        match input {
            ClientInput::New(request) => {
                let sending = self.enter(now, &request);
                self.actions.push(ClientAction::Send(sending));
            }
            ClientInput::FirstToken { attempt } => self.first_token(now, attempt),
            ClientInput::Complete { attempt, degraded, output_tokens } => {
                self.complete(now, attempt, degraded, output_tokens);
            }
            ClientInput::Refused { attempt, refusal } => self.lose(now, attempt, Loss::refused(refusal)),
            ClientInput::Reneged { attempt } => self.lose(now, attempt, Loss::LEFT),
            ClientInput::Wake => {}
        }
    }

    /// [`ClientInput::New`], with the first attempt handed straight back: it is sent after what [`Client::poll`] gives.
    ///
    /// # Panics
    /// As [`Client::handle`].
    #[inline]
    pub fn begin(&mut self, now: Time, request: &Request) -> Sending {
        self.pass(now);
        self.enter(now, request)
    }

    /// The next thing that a client does, until there is none.
    #[inline]
    pub fn poll(&mut self) -> Option<ClientAction> {
        self.actions.pop()
    }

    /// When the clients next want [`ClientInput::Wake`].
    #[must_use]
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the high half is the time
    pub fn next_wakeup(&self) -> Option<Time> {
        self.timers.first().map(|(key, _)| Time::from_nanos((key >> 64) as u64))
    }

    /// The requests that are not over, in no order that matters: class, intended first arrival, and the attempts made so far.
    pub fn unfinished(&self) -> impl Iterator<Item = (ClassId, Time, u16)> {
        self.pending.values().map(|pending| (pending.class, pending.arrival, pending.attempts))
    }

    /// Retries that a class's budget would pay for now; `None` where it has none.
    #[cfg(test)]
    fn retry_budget(&self, class: ClassId) -> Option<f64> {
        self.terms[class.index()].retry.as_ref()?.saved()
    }

    fn under_way(&self, attempt: AttemptId) -> Option<&Pending> {
        self.pending.get(attempt).filter(|pending| !pending.resting)
    }

    /// Time goes on to `now`: does what is due by then.
    #[inline]
    fn pass(&mut self, now: Time) {
        assert!(now >= self.now, "INV-2: time ran back from {} to {now}", self.now);
        self.now = now;
        if self.next_wakeup().is_some_and(|at| at <= now) {
            self.run_due(now);
        }
    }

    fn run_due(&mut self, now: Time) {
        while let Some(at) = self.next_wakeup().filter(|at| *at <= now) {
            let (_, slot) = self.timers.pop().expect("there is a next wake-up");
            let attempt = self.timed[slot as usize];
            if self.pending[attempt].resting {
                self.send_again(at, attempt);
            } else {
                self.actions.push(ClientAction::Leave { attempt });
                self.lose(at, attempt, Loss::LEFT);
            }
        }
    }

    #[inline]
    fn enter(&mut self, now: Time, request: &Request) -> Sending {
        let Request { id: request, class, arrival, later, .. } = *request;
        let terms = &mut self.terms[class.index()];
        if let Some(retry) = &mut terms.retry {
            retry.earn(EarnedBy::FirstAttempt);
        }
        let (leaves, deadline) = (terms.leaves(now, false), terms.announced(now));
        let pending = Pending { request, class, arrival, later, attempts: 1, resting: false, sent: now, first_token: None };
        let attempt = self.pending.insert(pending);
        if let Some(at) = leaves {
            self.set_timer(attempt, at);
        }
        Sending { attempt, request, number: 1, deadline }
    }

    /// Sends the next attempt of a request.
    fn send_again(&mut self, now: Time, attempt: AttemptId) {
        let pending = &mut self.pending[attempt];
        pending.attempts += 1;
        pending.resting = false;
        pending.sent = now;
        pending.first_token = None;
        let (request, number) = (pending.request, pending.attempts);
        let terms = &self.terms[pending.class.index()];
        let (leaves, deadline) = (terms.leaves(now, false), terms.announced(now));
        if let Some(at) = leaves {
            self.set_timer(attempt, at);
        }
        self.actions.push(ClientAction::Send(Sending { attempt, request, number, deadline }));
    }

    fn first_token(&mut self, now: Time, attempt: AttemptId) {
        let Some(pending) = self.pending.get_mut(attempt).filter(|pending| !pending.resting) else { return };
        if pending.first_token.is_some() {
            return;
        }
        pending.first_token = Some(now);
        let terms = &self.terms[pending.class.index()];
        if terms.awaits_first_token() {
            match terms.leaves(pending.sent, true) {
                Some(at) => self.set_timer(attempt, at),
                None => _ = self.timers.remove(slot_of(attempt)),
            }
        }
    }

    fn complete(&mut self, now: Time, attempt: AttemptId, degraded: bool, output_tokens: u32) {
        // Looked at where it lies: most of a request is not needed any more.
        let Some(pending) = self.pending.get(attempt).filter(|pending| !pending.resting) else { return };
        let Pending { class, arrival, first_token, .. } = *pending;
        let answer = Answer { arrival, first_token: first_token.unwrap_or(now), end: now, output_tokens };
        let terms = &mut self.terms[class.index()];
        if let Some(retry) = &mut terms.retry {
            retry.earn(EarnedBy::Success);
        }
        let outcome = terms.judge(answer, degraded);
        let finished = pending.finished(now, attempt, (outcome, false), output_tokens);
        self.actions.push(ClientAction::Finish(finished));
        if terms.may_leave() {
            self.timers.remove(slot_of(attempt));
        }
        self.pending.remove(attempt);
    }

    /// An attempt came to nothing: the client rests before the next one, or gives the request up.
    fn lose(&mut self, now: Time, attempt: AttemptId, loss: Loss) {
        let Some(mut pending) = self.take(attempt) else { return };
        let mut retry = self.terms[pending.class.index()].retry.as_mut().filter(|_| !loss.hopeless);
        let wait = retry.as_mut().and_then(|retry| retry.after(pending.later, pending.attempts, loss.on, loss.retry_after));
        let denied = wait.is_none() && retry.is_some_and(|retry| retry.budget_denies(pending.attempts, loss.on));
        match wait {
            Some(wait) => {
                pending.resting = true;
                let next = self.pending.insert(pending);
                self.set_timer(next, now + wait);
            }
            None => self.actions.push(ClientAction::Finish(pending.finished(now, attempt, (loss.outcome, denied), 0))),
        }
    }

    /// Takes an attempt under way out, with its timer.
    fn take(&mut self, attempt: AttemptId) -> Option<Pending> {
        self.under_way(attempt)?;
        let pending = self.pending.remove(attempt)?;
        if self.terms[pending.class.index()].may_leave() {
            self.timers.remove(slot_of(attempt));
        }
        Some(pending)
    }

    fn set_timer(&mut self, attempt: AttemptId, at: Time) {
        let slot = slot_of(attempt);
        let index = slot as usize;
        if index >= self.timed.len() {
            self.timed.resize(index + 1, attempt);
        }
        self.timed[index] = attempt;
        self.sequence += 1;
        self.timers.set(slot, u128::from(at.as_nanos()) << 64 | u128::from(self.sequence));
    }
}

impl Loss {
    /// The client left.
    const LEFT: Self = Self { outcome: Outcome::GaveUp, on: RetryOn::GaveUp, retry_after: None, hopeless: false };

    /// What a refusal means to the client. An upstream that refuses for load or rate sheds it like a gateway does; a bad
    /// request stays bad however often it is sent, and one too large for any window stays too large.
    fn refused(refusal: Refusal) -> Self {
        let (outcome, on) = match refusal.kind {
            RefusalKind::Rejected(reason) => (Outcome::Rejected(reason), RetryOn::Rejected),
            RefusalKind::TimedOut => (Outcome::TimedOut, RetryOn::TimedOut),
            RefusalKind::Upstream(Cause::Overloaded) => (Outcome::Rejected(Reason::UpstreamFull), RetryOn::Rejected),
            RefusalKind::Upstream(Cause::RateLimited) => (Outcome::Rejected(Reason::UpstreamRate), RetryOn::Rejected),
            RefusalKind::Upstream(cause) => (Outcome::Failed(cause), RetryOn::Failed),
        };
        let hopeless =
            matches!(refusal.kind, RefusalKind::Upstream(Cause::BadRequest) | RefusalKind::Rejected(Reason::OverBudget));
        Self { outcome, on, retry_after: refusal.retry_after, hopeless }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub(super) mod tests;

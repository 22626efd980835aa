//! What an attempt may take of the window's token budget, and what is said about it.

use super::attempts::Entry;
use super::gateway::Gateway;
use super::limiter::{Need, Offer};
use super::{Attempt, Mode, Note, Saw, Verdict};
use crate::request::{Figures, Profile, Reason, Vantage};
use crate::rng::open01;
use crate::time::Time;

/// What an attempt may take of the window's budget.
#[derive(Copy, Clone, Debug)]
pub(super) struct Grant {
    /// Tokens; `None` where nobody has been asked yet.
    pub tokens: Option<u64>,
    /// The limit on the answer that this is for.
    pub max_tokens: u32,
}

impl Grant {
    /// Nobody has been asked, and the answer is not limited further.
    pub const NONE: Self = Self::unasked(u32::MAX);

    /// Nobody has been asked.
    pub const fn unasked(max_tokens: u32) -> Self {
        Self { tokens: None, max_tokens }
    }
}

/// What the lane and the limiter answer.
#[derive(Copy, Clone, Debug)]
pub(super) enum Budget {
    /// Go on.
    Granted(Grant),
    /// There is too little: ask again then, or when something is given back.
    Wait(Time),
    /// The lane is not free, or others go first: ask again then, or when something is given back.
    Held(Time),
    /// No window could hold it.
    Never,
}

impl Gateway {
    /// What the limiter says to an attempt that waits until all that it needs is there together.
    pub(super) fn early_grant(&mut self, now: Time, index: u32) -> Budget {
        if self.holds_while_waiting() { Budget::Granted(Grant::NONE) } else { self.grant(now, index) }
    }

    /// The same to one that arrives. `whole`: where the limiter is enforced, its whole reservation, found not to be too large.
    #[inline]
    pub(super) fn first_grant(&mut self, now: Time, index: u32, need: &Need, whole: Option<u64>) -> Budget {
        let not_before = self.attempts[index].not_before;
        if self.holds_while_waiting() {
            Budget::Granted(Grant::NONE)
        } else if not_before > now {
            Budget::Wait(not_before)
        } else if whole.is_some_and(|tokens| self.limiter.fits_whole(now, tokens)) {
            Budget::Granted(Grant { tokens: whole, max_tokens: need.max_tokens })
        } else {
            self.offered(now, index, need)
        }
    }

    /// What the limiter says now to an attempt that has waited.
    pub(super) fn grant(&mut self, now: Time, index: u32) -> Budget {
        let not_before = self.attempts[index].not_before;
        if not_before > now {
            return Budget::Wait(not_before);
        }
        let need = self.need(now, index);
        if self.limiter.mode() == Mode::Enforce && self.limiter.is_too_large(&need, self.limiter.tokens(&need)) {
            return self.never(now, index); // by what has been learned while it waited
        }
        self.offered(now, index, &need)
    }

    #[inline(never)] // what arrives nearly always fits as it is
    fn offered(&mut self, now: Time, index: u32, need: &Need) -> Budget {
        let granted = |tokens, max_tokens| Budget::Granted(Grant { tokens: Some(tokens), max_tokens });
        let mode = self.limiter.mode();
        if mode == Mode::Off {
            return Budget::Granted(Grant::NONE);
        }
        match self.limiter.ask(now, need) {
            Offer::Fits { tokens } => granted(tokens, need.max_tokens),
            offer if mode == Mode::Observe => {
                self.observe(offer);
                granted(self.limiter.tokens(need), need.max_tokens)
            }
            Offer::Trim { tokens, max_tokens } => granted(tokens, max_tokens),
            Offer::Never { .. } => self.never(now, index),
            Offer::Wait { until } => Budget::Wait(self.put_off(index, until)),
        }
    }

    /// When an attempt asks again for which there may be enough from `until` on: with `jitter` a little later.
    fn put_off(&mut self, index: u32, until: Time) -> Time {
        let Some(jitter) = self.limiter.jitter().filter(|_| until < Time::FAR) else { return until };
        let entry = &mut self.attempts[index];
        entry.not_before = until + jitter.scaled(open01(entry.attempt.draw));
        entry.not_before
    }

    /// Counts what a limiter that only observes would have said.
    fn observe(&mut self, offer: Offer) {
        match offer {
            Offer::Fits { .. } | Offer::Trim { .. } => {}
            Offer::Wait { .. } => self.log.counters.verdict(Verdict::Wait, false),
            Offer::Never { .. } => self.log.counters.verdict(Verdict::Refuse(Reason::OverBudget), false),
        }
    }

    /// What a call with this limit may take at once; `None` where it would have to wait.
    pub(super) fn grant_now(&mut self, now: Time, index: u32, max_tokens: u32) -> Option<Grant> {
        let need = Need { max_tokens, ..self.need(now, index) };
        match self.limiter.mode() {
            Mode::Off => return Some(Grant::unasked(max_tokens)),
            Mode::Observe => return Some(Grant { tokens: Some(self.limiter.tokens(&need)), max_tokens }),
            Mode::Enforce => {}
        }
        match self.limiter.ask(now, &need) {
            Offer::Fits { tokens } => Some(Grant { tokens: Some(tokens), max_tokens }),
            Offer::Trim { tokens, max_tokens } => Some(Grant { tokens: Some(tokens), max_tokens }),
            Offer::Wait { .. } | Offer::Never { .. } => None,
        }
    }

    /// What the attempt needs of the budget, by the vantage policy that it would use now.
    pub(super) fn need(&mut self, now: Time, index: u32) -> Need {
        let vantage = self.vantage_now(now, index);
        need_of(&self.attempts[index].attempt, vantage)
    }

    /// The same right after the breaker was asked, which has left the attempt its vantage policy.
    pub(super) fn need_as_left(&self, index: u32) -> Need {
        let Entry { attempt, vantage, .. } = &self.attempts[index];
        need_of(attempt, *vantage)
    }

    /// Counts and reports that an attempt has to wait for budget, or for the lane.
    pub(super) fn count_wait(&mut self, now: Time, index: u32, answer: Budget) {
        let Budget::Held(_) = answer else { return self.count_budget(now, index, Verdict::Wait) };
        self.log.counters.verdict(Verdict::Wait, true);
        let saw = Saw::Lane {
            remaining: self.limiter.remaining(),
            budget: self.limiter.capacity(),
            running: self.lane.running(),
            waiting: self.lane_line.len(),
        };
        let attempt = self.attempts[index].attempt.id;
        self.log.note(Note { attempt, saw, verdict: Verdict::Wait, enforced: true });
    }

    /// What an attempt that never fits would reserve, and the most that there ever is.
    pub(super) fn budget_figures(&mut self, now: Time, index: u32) -> Figures {
        let need = self.need(now, index);
        Figures { needs: self.limiter.tokens(&need), limit: self.limiter.capacity() }
    }

    fn never(&mut self, now: Time, index: u32) -> Budget {
        self.count_budget(now, index, Verdict::Refuse(Reason::OverBudget));
        Budget::Never
    }

    /// Counts and reports what the limiter says.
    pub(super) fn count_budget(&mut self, now: Time, index: u32, verdict: Verdict) {
        self.log.counters.verdict(verdict, true);
        let need = self.need(now, index); // asks the breaker, which may move: whether or not somebody listens
        if self.log.notes {
            let tokens = self.limiter.tokens(&need);
            self.note_budget(index, need, tokens, verdict, true);
        }
    }

    pub(super) fn note_budget(&mut self, index: u32, need: Need, tokens: u64, verdict: Verdict, enforced: bool) {
        let saw = Saw::Budget {
            remaining: self.limiter.remaining(),
            budget: self.limiter.capacity(),
            tokens,
            multiplier: self.limiter.multiplier(need.class),
            max_tokens: need.max_tokens,
        };
        let attempt = self.attempts[index].attempt.id;
        self.log.note(Note { attempt, saw, verdict, enforced });
    }
}

fn need_of(attempt: &Attempt, vantage: Vantage) -> Need {
    let class = Profile { vantage, ..attempt.profile }.kind();
    Need { class, input_estimate: attempt.input_estimate, max_tokens: attempt.max_tokens }
}

//! When a client tries again, how long it waits before it does, and what all clients of a class may spend on it.
//!
//! The wait before attempt `n + 1` is uniform between 0 and `min(backoff_cap, backoff_base * 2^(n - 1))`: exponential backoff
//! with full jitter (M. Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015). A retry budget is a token
//! bucket that first attempts (Finagle's `RetryBudget`) or complete answers (gRPC proposal A6, "retry throttling") fill and
//! retries empty.

use super::{EarnedBy, RetryBudgetSettings, RetryOn, RetrySettings};
use crate::rng::mix;
use crate::time::Span;

/// A retry's price. Budgets are kept in billionths, so that ten tenths are one.
const TOKEN: u64 = 1_000_000_000;

/// A class's terms for trying again, lowered, with the budget that its clients share.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    max_attempts: u16,
    backoff_base: Span,
    backoff_cap: Span,
    honour_retry_after: bool,
    /// By [`RetryOn`].
    on: [bool; 4],
    budget: Option<Budget>,
}

impl Retry {
    pub(super) fn new(settings: &RetrySettings) -> Self {
        let mut on = [false; 4];
        for kind in &settings.on {
            on[*kind as usize] = true;
        }
        Self {
            max_attempts: u16::try_from(settings.max_attempts.value()).unwrap_or(u16::MAX),
            backoff_base: settings.backoff_base,
            backoff_cap: settings.backoff_cap,
            honour_retry_after: settings.honour_retry_after,
            on,
            budget: settings.budget.map(Budget::new),
        }
    }

    /// A first attempt is made, or an answer is complete: it earns its share of a retry where that is the rule.
    pub(super) fn earn(&mut self, by: EarnedBy) {
        if let Some(budget) = self.budget.as_mut().filter(|budget| budget.earned_by == by) {
            budget.earn();
        }
    }

    /// How long to wait before the next attempt after attempt number `attempt` ended in `on`; `None` where there is none.
    /// `later` seeds the request's later draws. Spends from the budget.
    pub(super) fn after(&mut self, later: u64, attempt: u16, on: RetryOn, retry_after: Option<Span>) -> Option<Span> {
        if attempt >= self.max_attempts || !self.on[on as usize] {
            return None;
        }
        if let Some(budget) = &mut self.budget
            && !budget.spend()
        {
            return None;
        }
        let wait = jitter(self.longest(attempt), mix(later, 2 * u64::from(attempt)));
        let asked = retry_after.filter(|_| self.honour_retry_after);
        Some(asked.map_or(wait, |asked| asked.max(wait)))
    }

    /// Whether it was the budget alone that denied a retry, right after [`after`](Self::after) did.
    pub(super) fn budget_denies(&self, attempt: u16, on: RetryOn) -> bool {
        attempt < self.max_attempts && self.on[on as usize] && self.budget.is_some_and(|budget| budget.saved < TOKEN)
    }

    /// What the budget holds, in retries; `None` without one.
    #[cfg(test)]
    pub(super) fn saved(&self) -> Option<f64> {
        self.budget.map(|budget| budget.saved as f64 / TOKEN as f64)
    }

    /// The bound on the wait after attempt number `attempt`.
    fn longest(&self, attempt: u16) -> Span {
        let doublings = u32::from(attempt - 1).min(63);
        (self.backoff_base * (1 << doublings)).min(self.backoff_cap)
    }
}

/// Uniform from 0 to `longest`, the end left out.
#[allow(clippy::cast_possible_truncation)] // the product's high half is below `longest`
const fn jitter(longest: Span, bits: u64) -> Span {
    Span::from_nanos(((longest.as_nanos() as u128 * bits as u128) >> 64) as u64)
}

/// A token bucket, in billionths of a retry.
#[derive(Copy, Clone, Debug)]
struct Budget {
    saved: u64,
    ratio: u64,
    burst: u64,
    earned_by: EarnedBy,
}

impl Budget {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates; never negative
    fn new(settings: RetryBudgetSettings) -> Self {
        let units = |tokens: f64| libm::round(tokens * TOKEN as f64) as u64;
        let burst = units(settings.burst.value());
        Self { saved: burst, ratio: units(settings.ratio.value()), burst, earned_by: settings.earned_by }
    }

    fn earn(&mut self) {
        self.saved = self.saved.saturating_add(self.ratio).min(self.burst);
    }

    /// Whether there was a whole token to spend.
    fn spend(&mut self) -> bool {
        let left = self.saved.checked_sub(TOKEN);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::workload::testing::class;

    fn retry(text: &str) -> Retry {
        Retry::new(&class(&format!("name = 'a'\nretry = {{ {text} }}")).retry.unwrap())
    }

    #[test]
    fn the_longest_wait_doubles_up_to_its_cap() {
        let retry = retry("max_attempts = 99, backoff_base = '1s', backoff_cap = '30s'");
        let longest = [1, 2, 3, 4, 5, 6, 99].map(|attempt| retry.longest(attempt).as_nanos() / 1_000_000_000);
        assert_eq!(longest, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn waits_are_uniform_below_the_longest() {
        let mut retry = retry("max_attempts = 9, backoff_base = '1s'");
        let mut wait = |later| retry.after(later, 2, RetryOn::Failed, None).unwrap().as_secs_f64();
        let waits: Vec<f64> = (0..20_000).map(|n| wait(mix(7, n))).collect();
        let mean = waits.iter().sum::<f64>() / 20_000.0;
        let below = waits.iter().filter(|wait| **wait < 0.5).count() as f64 / 20_000.0;
        assert!((mean - 1.0).abs() < 0.02 && (below - 0.25).abs() < 0.02 && waits.iter().all(|wait| *wait < 2.0));
    }

    #[test]
    fn retry_after_is_a_floor_where_it_is_honoured() {
        let asked = Some(Span::from_secs(9));
        let wait = |text: &str| retry(text).after(1, 1, RetryOn::Rejected, asked).unwrap();
        assert_eq!(wait("max_attempts = 2"), Span::from_secs(9));
        assert!(wait("max_attempts = 2, honour_retry_after = false") < Span::from_millis(500));
        assert!(wait("max_attempts = 2, backoff_base = '10h', backoff_cap = '10h'") > Span::from_secs(9));
    }

    /// gRPC's rule: without answers the budget is spent once and stays empty.
    #[test]
    fn where_successes_earn_first_attempts_do_not() {
        let mut retry = retry("max_attempts = 9, budget = { ratio = 0.5, burst = 1, earned_by = 'success' }");
        let again = |retry: &mut Retry| retry.after(1, 1, RetryOn::Failed, None).is_some();
        assert!(again(&mut retry) && !again(&mut retry));
        for _ in 0..10 {
            retry.earn(EarnedBy::FirstAttempt);
        }
        assert!(!again(&mut retry));
        retry.earn(EarnedBy::Success);
        retry.earn(EarnedBy::Success);
        assert!(again(&mut retry) && !again(&mut retry));
    }

    #[test]
    fn ten_first_attempts_at_a_tenth_pay_one_retry() {
        let mut retry = retry("max_attempts = 9, budget = { ratio = 0.1, burst = 1 }");
        let again = |retry: &mut Retry| retry.after(1, 1, RetryOn::TimedOut, None).is_some();
        assert!(again(&mut retry) && !again(&mut retry)); // the burst, then nothing
        for _ in 0..10 {
            assert!(!again(&mut retry));
            retry.earn(EarnedBy::FirstAttempt);
        }
        assert!(again(&mut retry) && !again(&mut retry));
    }

    proptest! {
        /// Never below nothing, never above the burst, never more retries than were paid for.
        #[test]
        fn the_budget_holds(ratio in 0.0f64..2.0, burst in 0.0f64..5.0, ops in prop::collection::vec(any::<bool>(), 1..300)) {
            let mut retry = retry(&format!("max_attempts = 9, budget = {{ ratio = {ratio:.9}, burst = {burst:.9} }}"));
            let (mut firsts, mut retries) = (0.0, 0.0);
            for first in ops {
                if first {
                    firsts += 1.0;
                    retry.earn(EarnedBy::FirstAttempt);
                } else if retry.after(1, 1, RetryOn::GaveUp, None).is_some() {
                    retries += 1.0;
                }
                let saved = retry.saved().unwrap();
                prop_assert!(saved >= 0.0 && saved <= burst + 1e-9 && retries <= burst + ratio * firsts + 1e-6);
            }
        }
    }
}

//! What a class's clients expect: how long they wait, and what counts as good. Lowered from the settings.

use super::retry::Retry;
use super::{ClassSettings, SloSettings};
use crate::request::Outcome;
use crate::time::{Span, Time};

/// A class's terms.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    first_token: Option<Span>,
    total: Option<Span>,
    announce: bool,
    slo: Option<SloSettings>,
    pub(super) retry: Option<Retry>,
}

/// When a complete answer's parts came.
#[derive(Copy, Clone, Debug)]
pub(super) struct Answer {
    pub(super) arrival: Time,
    pub(super) first_token: Time,
    pub(super) end: Time,
    pub(super) output_tokens: u32,
}

impl Terms {
    pub(super) fn new(class: &ClassSettings) -> Self {
        let timeout = class.timeout.unwrap_or_default();
        Self {
            first_token: timeout.first_token,
            total: timeout.total,
            announce: timeout.announce,
            slo: class.slo,
            retry: class.retry.as_ref().map(Retry::new),
        }
    }

    /// When the client leaves an attempt sent at `sent`, as far as it can know; `None` = never.
    pub(super) fn leaves(&self, sent: Time, has_token: bool) -> Option<Time> {
        let first = self.first_token.filter(|_| !has_token);
        let limit = match (first, self.total) {
            (Some(first), Some(total)) => first.min(total),
            (first, total) => first.or(total)?,
        };
        Some(sent + limit)
    }

    /// Whether a client of this class ever leaves.
    pub(super) const fn may_leave(&self) -> bool {
        self.first_token.is_some() || self.total.is_some()
    }

    /// Whether the first token changes when the client leaves.
    pub(super) const fn awaits_first_token(&self) -> bool {
        self.first_token.is_some()
    }

    /// The deadline that the client tells the gateway: the earlier of its two.
    pub(super) fn announced(&self, sent: Time) -> Option<Time> {
        if self.announce { self.leaves(sent, false) } else { None }
    }

    /// The column of a complete answer. One that was cut is degraded, in time or not.
    pub(super) fn judge(&self, answer: Answer, degraded: bool) -> Outcome {
        match () {
            () if degraded => Outcome::Degraded,
            () if self.slo.is_none_or(|slo| slo.met(answer.took()) == Some(true)) => Outcome::Good,
            () => Outcome::Late,
        }
    }
}

impl Answer {
    fn took(self) -> Took {
        let since = |time: Time| Some(time - self.arrival);
        Took { ttft: since(self.first_token), e2e: since(self.end), output_tokens: self.output_tokens }
    }
}

/// How long a complete answer took, as far as that is known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Took {
    /// To its first token, from the intended first arrival.
    pub ttft: Option<Span>,
    /// To its last, from there too.
    pub e2e: Option<Span>,
    /// Its length.
    pub output_tokens: u32,
}

impl Took {
    /// From the first token to the last.
    fn after_first(self) -> Option<Span> {
        let (e2e, ttft) = (self.e2e?, self.ttft?);
        Some(Span::from_nanos(e2e.as_nanos().saturating_sub(ttft.as_nanos())))
    }
}

impl SloSettings {
    /// Whether an answer meets all that the objective names: TTFT, e2e, and TPOT = (e2e - TTFT) / (output - 1), which an answer of
    /// one token does not have. `None` where a time that it names is not known and no other is missed.
    #[must_use]
    pub fn met(self, took: Took) -> Option<bool> {
        let gaps = u64::from(took.output_tokens.saturating_sub(1));
        let parts = [
            (self.ttft, took.ttft),
            (self.e2e, took.e2e),
            (self.tpot.filter(|_| gaps > 0).map(|tpot| tpot * gaps), took.after_first()),
        ];
        let named = parts.into_iter().filter_map(|(limit, took)| Some((limit?, took)));
        let mut all_known = true;
        for (limit, took) in named {
            match took {
                Some(took) if took > limit => return Some(false),
                Some(_) => {}
                None => all_known = false,
            }
        }
        all_known.then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::testing::class;

    fn terms(text: &str) -> Terms {
        Terms::new(&class(&format!("name = 'a'\n{text}")))
    }

    const fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn each_part_of_an_objective_is_judged_to_the_nanosecond() {
        let answer = Answer { arrival: at(1_000), first_token: at(1_200), end: at(2_200), output_tokens: 101 };
        let judge = |slo: &str| terms(&format!("slo = {{ {slo} }}")).judge(answer, false);
        for (slo, outcome) in [
            ("", Outcome::Good),
            ("ttft = '200ms'", Outcome::Good),
            ("ttft = '199999999ns'", Outcome::Late),
            ("e2e = '1200ms'", Outcome::Good),
            ("e2e = '1199999999ns'", Outcome::Late),
            ("tpot = '10ms'", Outcome::Good),
            ("tpot = '9999999ns'", Outcome::Late),
            ("ttft = '1s', e2e = '1s', tpot = '1s'", Outcome::Late),
        ] {
            assert_eq!(judge(slo), outcome, "{slo}");
        }
        let single = Answer { output_tokens: 1, ..answer };
        assert_eq!(terms("slo = { tpot = '1ns' }").judge(single, false), Outcome::Good); // one token has no gap
        assert_eq!(terms("slo = { e2e = '1ns' }").judge(answer, true), Outcome::Degraded);
    }

    #[test]
    fn the_earlier_limit_counts_and_the_first_token_lifts_its_own() {
        let both = terms("timeout = { first_token = '2s', total = '5s', announce = true }");
        assert_eq!((both.leaves(at(0), false), both.leaves(at(0), true)), (Some(at(2_000)), Some(at(5_000))));
        assert_eq!(both.announced(at(1)), Some(at(2_001)));
        let first = terms("timeout = { first_token = '2s' }");
        assert_eq!((first.leaves(at(0), true), first.announced(at(0))), (None, None));
        assert!(!terms("").may_leave());
    }
}

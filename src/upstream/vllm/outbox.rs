//! What is on its way out of a server, in order of time.
//!
//! Three streams, each in order by itself: what the scheduler decides, what goes out with tokens, and refusals. At equal
//! times they come out in this order.

use std::collections::VecDeque;

use super::seqs::Handle;
use crate::request::Cause;

/// What will be said about a sequence.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Began,
    FirstToken,
    Token,
    Done,
    Cancelled,
    Failed(Cause),
}

/// Said when, about which sequence.
#[derive(Copy, Clone, Debug)]
pub(super) struct Entry {
    /// Nanoseconds.
    pub at: u64,
    pub seq: Handle,
    pub news: News,
}

/// The streams.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    decisions: VecDeque<Entry>,
    tokens: VecDeque<Entry>,
    refusals: VecDeque<Entry>,
}

impl Outbox {
    pub(super) fn decision(&mut self, at: u64, seq: Handle, news: News) {
        debug_assert!(self.decisions.back().is_none_or(|last| last.at <= at));
        self.decisions.push_back(Entry { at, seq, news });
    }

    pub(super) fn token(&mut self, at: u64, seq: Handle, news: News) {
        debug_assert!(self.tokens.back().is_none_or(|last| last.at <= at));
        self.tokens.push_back(Entry { at, seq, news });
    }

    pub(super) fn refusal(&mut self, at: u64, seq: Handle, cause: Cause) {
        debug_assert!(self.refusals.back().is_none_or(|last| last.at <= at));
        self.refusals.push_back(Entry { at, seq, news: News::Failed(cause) });
    }

    /// When the next one comes out, ns.
    pub(super) fn next(&self) -> Option<u64> {
        let at = |stream: &VecDeque<Entry>| stream.front().map_or(u64::MAX, |entry| entry.at);
        let first = at(&self.decisions).min(at(&self.tokens)).min(at(&self.refusals));
        (first != u64::MAX).then_some(first)
    }

    /// The next one, where it comes out by `now` (ns).
    pub(super) fn pop(&mut self, now: u64) -> Option<Entry> {
        let first = self.next().filter(|at| *at <= now)?;
        [&mut self.decisions, &mut self.tokens, &mut self.refusals]
            .into_iter()
            .find(|stream| stream.front().is_some_and(|entry| entry.at == first))
            .and_then(VecDeque::pop_front)
    }
}

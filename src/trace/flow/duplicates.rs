//! Each request once: rows with the id of one that came before are duplicates, unless that one failed or was another try.

use std::collections::{BTreeMap, VecDeque};

use super::super::error::TraceError;
use super::super::reader::Reader;
use super::super::record::{Ended, Key, Record};
use super::accounts::Accounts;
use super::{HELD_MAX, Stage};
use crate::time::{Span, Time};

/// What is remembered of an id.
#[derive(Copy, Clone)]
struct Seen {
    failed: bool,
    attempt: Option<u16>,
}

/// Drops duplicates inside a window.
pub(super) struct Unique<S> {
    from: S,
    window: Span,
    seen: BTreeMap<Key, Seen>,
    /// Ids in order of their first arrival.
    order: VecDeque<(Time, Key)>,
    duplicates: u64,
    /// Ids that were forgotten inside the window, for want of room.
    hurried: u64,
}

impl<S: Stage> Unique<S> {
    pub fn new(from: S, window: Span) -> Self {
        Self { from, window, seen: BTreeMap::new(), order: VecDeque::new(), duplicates: 0, hurried: 0 }
    }

    fn forget(&mut self, now: Time) {
        while let Some((arrival, key)) = self.order.front().copied() {
            let is_inside = arrival + self.window >= now;
            if is_inside && self.order.len() < HELD_MAX {
                return;
            }
            self.hurried += u64::from(is_inside);
            self.order.pop_front();
            self.seen.remove(&key);
        }
    }

    /// Whether the request is another's duplicate; if not, it is remembered.
    fn is_duplicate(&mut self, key: Key, record: &Record) -> bool {
        self.forget(record.arrival);
        let failed = record.ended.is_some_and(|ended| ended != Ended::Complete);
        let own = Seen { failed, attempt: record.attempt };
        let Some(before) = self.seen.get_mut(&key) else {
            self.seen.insert(key, own);
            self.order.push_back((record.arrival, key));
            return false;
        };
        let another_try = match (before.attempt, own.attempt) {
            (Some(one), Some(other)) => one != other,
            _ => before.failed,
        };
        if another_try {
            *before = own;
        }
        !another_try
    }
}

impl<S: Stage> Stage for Unique<S> {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        while let Some(record) = self.from.pull()? {
            match record.request {
                Some(key) if self.is_duplicate(key, &record) => self.duplicates += 1,
                _ => return Ok(Some(record)),
            }
        }
        Ok(None)
    }

    fn account(&self, accounts: &mut Accounts) {
        self.from.account(accounts);
        accounts.duplicates += self.duplicates;
        accounts.hurried += self.hurried;
    }

    fn held(&self) -> u64 {
        self.from.held()
    }

    fn reader(&self) -> &dyn Reader {
        self.from.reader()
    }
}

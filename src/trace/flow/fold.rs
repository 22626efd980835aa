//! Retry folding: a try that follows a failed one is the same request, and arrives once.
//!
//! A try comes after the failure and within a short time of it (the horizon), and is known by the first of three rules:
//!
//! - **request id**: it has the request's own;
//! - **session**: it has the request's session, and a prompt as long, or one of both lengths is unknown;
//! - **tenant and prompt length after a refusal**: the request was turned away unserved; the try is of its tenant, its class and
//!   its prompt length; they are not of two sessions; the try does not say that it is a first one; and no other request of
//!   that tenant had a prompt of that length within the horizon before. A tenant whose prompts are all alike sends the next
//!   request whether or not the last was refused: there the length tells nothing. Such a row stays a request, and is counted as
//!   undecided.
//!
//! The request keeps the arrival of its first try and takes the rest from its last.

use std::collections::{BTreeMap, VecDeque};

use super::super::error::TraceError;
use super::super::reader::Reader;
use super::super::record::{Ended, Key, NameId, Record};
use super::accounts::Accounts;
use super::{HELD_MAX, Stage};
use crate::time::{Span, Time};

/// By what a later try is known.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Request(Key),
    /// With the prompt's length, where it is known.
    Session(Key, Option<u32>),
    Tenant(NameId, u32),
}

/// By which rule a later try was known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Rule {
    Request,
    Session,
    Tenant,
}

/// A request that may have another try.
struct Held {
    record: Record,
    tries: u16,
    /// Whether its tenant sends more prompts of its length.
    common: bool,
    /// From when until when the next try can come; `None` once it is settled.
    waits: Option<(Time, Time)>,
}

/// Folds later tries into their request.
pub(super) struct Folded<S> {
    from: S,
    gap: Option<Span>,
    window: Span,
    held: VecDeque<Held>,
    /// Number of the first one held.
    first: u64,
    /// The requests that wait, by what their next try would be known by.
    open: BTreeMap<Mark, u64>,
    lengths: Lengths,
    now: Time,
    done: bool,
    /// By [`Rule`].
    counts: [u64; 3],
    undecided: u64,
    /// Requests that were let go while another try could still come, for want of room.
    hurried: u64,
}

impl<S: Stage> Folded<S> {
    /// `gap` is how long after a failure the next try may come; `None` folds nothing.
    pub fn new(from: S, gap: Option<Span>, window: Span) -> Self {
        let (held, open, lengths) = (VecDeque::new(), BTreeMap::new(), Lengths::default());
        let now = Time::ZERO;
        Self { from, gap, window, held, first: 0, open, lengths, now, done: false, counts: [0; 3], undecided: 0, hurried: 0 }
    }

    fn give(&mut self) -> Option<Record> {
        let Held { mut record, tries, waits, .. } = self.held.pop_front()?;
        if let Some((_, until)) = waits {
            self.hurried += u64::from(until >= self.now && !self.done);
            self.close(self.first, &record);
        }
        self.first += 1;
        if tries > 1 {
            record.attempt = Some(record.attempt.unwrap_or(1).max(tries));
        }
        Some(record)
    }

    fn close(&mut self, number: u64, record: &Record) {
        for mark in marks(record).into_iter().flatten() {
            if self.open.get(&mark) == Some(&number) {
                self.open.remove(&mark);
            }
        }
    }

    fn is_due(&self, held: &Held) -> bool {
        self.done || self.held.len() >= HELD_MAX || held.waits.is_none_or(|(_, until)| until < self.now)
    }

    fn take(&mut self, record: Record, gap: Span) {
        self.now = record.arrival;
        let number = if let Some((number, rule)) = self.waiting(&record) {
            self.counts[rule as usize] += 1;
            let place = self.place(number);
            let before = std::mem::take(&mut self.held[place].record);
            self.close(number, &before);
            self.held[place].record = folded(before, record);
            self.held[place].tries = self.held[place].tries.saturating_add(1);
            number
        } else {
            let common = self.lengths.note(&record, gap);
            self.held.push_back(Held { record, tries: 1, common, waits: None });
            self.first + self.held.len() as u64 - 1
        };
        self.wait(number, gap);
    }

    fn place(&self, number: u64) -> usize {
        usize::try_from(number - self.first).expect("a request that waits is held, and memory holds as many")
    }

    /// The request that this is another try of, and by which rule that is known.
    fn waiting(&mut self, record: &Record) -> Option<(u64, Rule)> {
        if self.open.is_empty() {
            return None; // most of the time, and in most logs always
        }
        let fits = |mark: Mark| {
            let number = *self.open.get(&mark)?;
            let (from, until) = self.held[self.place(number)].waits?;
            (from <= record.arrival && record.arrival <= until).then_some(number)
        };
        let by_request = || record.request.and_then(|key| fits(Mark::Request(key)));
        let session = |length| record.session.and_then(|key| fits(Mark::Session(key, length)));
        let by_session = || session(record.input_tokens).or_else(|| session(None)).or_else(|| self.any_of_session(record));
        let certain = by_request().map(|number| (number, Rule::Request)).or_else(|| Some((by_session()?, Rule::Session)));
        if certain.is_some() {
            return certain;
        }
        let mark = Mark::Tenant(record.tenant?, record.input_tokens?);
        let number = fits(mark).filter(|number| may_repeat(&self.held[self.place(*number)].record, record))?;
        if self.held[self.place(number)].common {
            self.undecided += 1;
            self.open.remove(&mark); // one request has one next try
            return None;
        }
        Some((number, Rule::Tenant))
    }

    /// For a try whose prompt length is unknown: whichever of its session waits.
    fn any_of_session(&self, record: &Record) -> Option<u64> {
        let key = record.session.filter(|_| record.input_tokens.is_none())?;
        let range = Mark::Session(key, None)..=Mark::Session(key, Some(u32::MAX));
        self.open.range(range).map(|(_, number)| *number).find(|number| {
            let waits = self.held[self.place(*number)].waits;
            waits.is_some_and(|(from, until)| from <= record.arrival && record.arrival <= until)
        })
    }

    /// Lets a request wait for its next try, if it failed.
    fn wait(&mut self, number: u64, gap: Span) {
        let place = self.place(number);
        let Held { record, waits, .. } = &mut self.held[place];
        let failed = record.ended.is_some_and(|ended| ended != Ended::Complete);
        *waits = None;
        if !failed {
            return;
        }
        let failure = record.end.or(record.last_byte).unwrap_or(self.now).max(self.now);
        let until = (failure + gap).min(record.arrival + self.window);
        *waits = (until >= self.now).then_some((failure.min(until), until));
        let marks = marks(record);
        for mark in marks.into_iter().flatten() {
            self.open.insert(mark, number);
        }
    }
}

fn marks(record: &Record) -> [Option<Mark>; 3] {
    let refused = record.ended == Some(Ended::Refused);
    [
        record.request.map(Mark::Request),
        record.session.map(|key| Mark::Session(key, record.input_tokens)),
        record.tenant.zip(record.input_tokens).filter(|_| refused).map(|(name, input)| Mark::Tenant(name, input)),
    ]
}

/// Whether nothing that the rows say speaks against the second being a try at the first.
fn may_repeat(first: &Record, second: &Record) -> bool {
    let two_sessions = first.session.is_some() && second.session.is_some();
    let two_classes = first.class.zip(second.class).is_some_and(|(one, other)| one != other);
    !two_sessions && !two_classes && second.attempt != Some(1)
}

/// The prompt lengths of each tenant's latest requests. Of requests with a session nothing is noted: that tells more.
#[derive(Default)]
struct Lengths {
    latest: BTreeMap<(NameId, u32), Time>,
    /// In order of arrival.
    order: VecDeque<(Time, (NameId, u32))>,
}

impl Lengths {
    /// Remembers a request; says whether another one like it arrived within `horizon` before.
    fn note(&mut self, record: &Record, horizon: Span) -> bool {
        let Some(own) = record.tenant.zip(record.input_tokens).filter(|_| record.session.is_none()) else { return false };
        while let Some((arrival, old)) = self.order.front().copied() {
            if arrival + horizon >= record.arrival && self.order.len() < HELD_MAX {
                break;
            }
            self.order.pop_front();
            if self.latest.get(&old) == Some(&arrival) {
                self.latest.remove(&old);
            }
        }
        self.order.push_back((record.arrival, own));
        self.latest.insert(own, record.arrival).is_some()
    }
}

/// The request that both are tries of.
fn folded(first: Record, last: Record) -> Record {
    let prefix = if last.prefix.is_empty() { first.prefix } else { last.prefix };
    Record {
        row: first.row,
        arrival: first.arrival,
        sent: first.sent,
        input_tokens: last.input_tokens.or(first.input_tokens),
        output_tokens: last.output_tokens.or(first.output_tokens),
        class: last.class.or(first.class),
        tenant: last.tenant.or(first.tenant),
        session: last.session.or(first.session),
        request: last.request.or(first.request),
        attempt: last.attempt.max(first.attempt),
        prefix,
        ..last
    }
}

impl<S: Stage> Stage for Folded<S> {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        let Some(gap) = self.gap else { return self.from.pull() };
        loop {
            match self.held.front() {
                Some(front) if self.is_due(front) => return Ok(self.give()),
                None if self.done => return Ok(None),
                _ => {}
            }
            match self.from.pull()? {
                // Nothing waits, and it will not: it goes straight on.
                Some(record) if self.held.is_empty() && record.ended.is_none_or(|ended| ended == Ended::Complete) => {
                    self.lengths.note(&record, gap);
                    return Ok(Some(record));
                }
                Some(record) => self.take(record, gap),
                None => self.done = true,
            }
        }
    }

    fn account(&self, accounts: &mut Accounts) {
        self.from.account(accounts);
        let [_, session, tenant] = self.counts;
        accounts.folded += self.counts.iter().sum::<u64>();
        accounts.folded_by_session += session;
        accounts.folded_by_tenant += tenant;
        accounts.undecided += self.undecided;
        accounts.hurried += self.hurried;
    }

    fn held(&self) -> u64 {
        self.from.held() + self.held.len() as u64
    }

    fn reader(&self) -> &dyn Reader {
        self.from.reader()
    }
}

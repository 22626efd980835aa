//! A part of a log: `10m..20m` since its first request, or `2024-05-10T09:00..2024-05-10T10:00` on its own clock.

use std::fmt;
use std::str::FromStr;

use super::super::error::TraceError;
use super::super::number::date_ns;
use super::super::reader::Reader;
use super::super::record::Record;
use super::Stage;
use super::accounts::Accounts;
use crate::time::{Span, Time};

/// One end of a part.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Since the log's first request.
    Since(Span),
    /// On the log's own clock, nanoseconds since 1970.
    Unix(i64),
}

/// A part of a log: requests that arrive at or after its beginning and before its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its beginning; `None` for the log's.
    pub from: Option<Bound>,
    /// Its end; `None` for the log's.
    pub to: Option<Bound>,
}

const WANTED: &str = "write FROM..TO, each a time since the log's first request (10m, 1.5h) or one on its clock \
                      (2024-05-10T09:00:00Z), and nothing for the log's own beginning or end: 10m..20m, 1h.., ..30m";

impl FromStr for Slice {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let wrong = |why: String| TraceError::Rule(format!("--window {text}: {why}; {WANTED}"));
        let (from, to) = text.split_once("..").ok_or_else(|| wrong("there is no `..`".to_owned()))?;
        let bound = |text: &str| match text.trim() {
            "" => Ok(None),
            text => bound(text).map(Some).ok_or_else(|| wrong(format!("`{text}` is no time"))),
        };
        let slice = Self { from: bound(from)?, to: bound(to)? };
        let is_empty = match (slice.from, slice.to) {
            (Some(Bound::Since(from)), Some(Bound::Since(to))) => from >= to,
            (Some(Bound::Unix(from)), Some(Bound::Unix(to))) => from >= to,
            (None, None) => return Err(wrong("it names no end".to_owned())),
            _ => false,
        };
        if is_empty { Err(wrong("it ends before it begins".to_owned())) } else { Ok(slice) }
    }
}

fn bound(text: &str) -> Option<Bound> {
    text.parse::<Span>().ok().map(Bound::Since).or_else(|| date_ns(text.as_bytes()).map(Bound::Unix))
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Since(span) => span.fmt(f),
            Self::Unix(nanos) => write!(f, "{:.3} s since 1970", *nanos as f64 / 1e9),
        }
    }
}

/// The records of a part.
pub(super) struct Sliced<S> {
    from: S,
    slice: Option<Slice>,
    /// Both ends on the recording's clock, once the first record has come.
    ends: Option<(Time, Time)>,
    outside: u64,
    stopped: bool,
}

impl<S: Stage> Sliced<S> {
    pub fn new(from: S, slice: Option<Slice>) -> Self {
        Self { from, slice, ends: None, outside: 0, stopped: false }
    }

    fn ends(&mut self, slice: Slice, first: Time) -> Result<(Time, Time), TraceError> {
        if let Some(ends) = self.ends {
            return Ok(ends);
        }
        let head = self.from.reader().head();
        let at = |bound: Option<Bound>, none: Time| match bound {
            None => Ok(none),
            Some(Bound::Since(span)) => Ok(first + span),
            Some(Bound::Unix(nanos)) => {
                let zero = head.origin.unix_ns.ok_or_else(|| {
                    let why = "does not say when it was taken: name the window by times since its first request, like 10m..20m";
                    TraceError::Rule(format!("{}: this log {why}", head.file))
                })?;
                Ok(Time::from_nanos(u64::try_from(nanos.saturating_sub(zero)).unwrap_or(0)))
            }
        };
        let ends = (at(slice.from, Time::ZERO)?, at(slice.to, Time::FAR)?);
        self.ends = Some(ends);
        Ok(ends)
    }
}

impl<S: Stage> Stage for Sliced<S> {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        let Some(slice) = self.slice else { return self.from.pull() };
        while !self.stopped {
            let Some(record) = self.from.pull()? else { return Ok(None) };
            let (from, to) = self.ends(slice, record.arrival)?;
            if (from..to).contains(&record.arrival) {
                return Ok(Some(record));
            }
            self.outside += 1;
            // In order of arrival, nothing behind this one lies inside: the rest of the log need not be read.
            self.stopped = record.arrival >= to;
        }
        Ok(None)
    }

    fn account(&self, accounts: &mut Accounts) {
        self.from.account(accounts);
        accounts.outside += self.outside;
        if self.stopped {
            accounts.outside += self.from.held();
        }
    }

    fn held(&self) -> u64 {
        if self.stopped { 0 } else { self.from.held() }
    }

    fn reader(&self) -> &dyn Reader {
        self.from.reader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Slice>();
        let since = |secs| Some(Bound::Since(Span::from_secs(secs)));
        assert_eq!(read("10m..20m"), Ok(Slice { from: since(600), to: since(1_200) }));
        assert_eq!(read("1h.."), Ok(Slice { from: since(3_600), to: None }));
        let clock = read("2024-05-10T00:00:00Z..2024-05-10T01:00:00Z").unwrap();
        assert_eq!(clock.from, Some(Bound::Unix(1_715_299_200_000_000_000)));
        assert_eq!(clock.to, Some(Bound::Unix(1_715_302_800_000_000_000)));
    }

    #[test]
    fn a_window_that_is_none_is_refused_with_what_would_be_right() {
        for (text, part) in [
            ("10m", "there is no `..`"),
            ("..", "it names no end"),
            ("20m..10m", "it ends before it begins"),
            ("10..20", "`10` is no time"),
        ] {
            let said = text.parse::<Slice>().unwrap_err().to_string();
            assert!(said.contains(part) && said.contains("10m..20m"), "{said}");
        }
    }
}

//! A log, looked through once before anything is run.

use super::log::Log;
use crate::time::{Span, Time};
use crate::trace::flow::Accounts;
use crate::trace::{Head, Record, TraceError, misread};

/// What there is in a log.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What it is.
    pub head: Head,
    /// Names of its classes, by position.
    pub classes: Vec<String>,
    /// What became of every row.
    pub accounts: Accounts,
    /// Requests that are replayed.
    pub replayed: u64,
    /// Requests that come out of the flow without a length, and are not replayed.
    pub without_lengths: u64,
    /// Arrival of the first request that is replayed, and of the last.
    pub span: Option<(Time, Time)>,
    /// Requests that say how they ended, of those replayed.
    pub ended: u64,
    /// Requests that became complete and say when, of those replayed.
    pub timed: u64,
    /// Requests that say when their first token came, of those.
    pub first_tokens: u64,
    /// The longest prompt and answer together, tokens.
    pub longest: u64,
    /// The longest time in which nothing arrives, and the row behind it.
    pub gap: Option<(Span, u64)>,
}

/// The longest recording that can be run: the server's own clock counts picoseconds in 64 bits, 213 days.
pub const LASTING_MAX: Span = Span::from_secs(200 * 86_400);
/// Share of a log that a gap takes which is worth a look.
const GAP_SHARE: f64 = 0.5;
/// Requests below which every log is mostly gaps.
const GAP_REQUESTS: u64 = 20;

impl Survey {
    /// Looks a log through.
    ///
    /// # Errors
    /// As [`Flow::open`](crate::trace::flow::Flow::open) and [`Flow::next`](crate::trace::flow::Flow::next).
    pub fn of(log: &Log) -> Result<Self, TraceError> {
        let mut rows = log.open()?;
        let mut survey = Self::new(rows.head().clone());
        while let Some(record) = rows.next()? {
            survey.take(&record);
        }
        survey.head = rows.head().clone();
        survey.classes = rows.names().classes.all().to_vec();
        survey.accounts = rows.accounts();
        Ok(survey)
    }

    fn new(head: Head) -> Self {
        Self {
            head,
            classes: Vec::new(),
            accounts: Accounts::default(),
            replayed: 0,
            without_lengths: 0,
            span: None,
            ended: 0,
            timed: 0,
            first_tokens: 0,
            longest: 0,
            gap: None,
        }
    }

    fn take(&mut self, record: &Record) {
        let Some((input, output)) = record.lengths() else {
            self.without_lengths += 1;
            return;
        };
        self.replayed += 1;
        let (first, _) = self.span.unwrap_or((record.arrival, record.arrival));
        if let Some((_, before)) = self.span {
            let gap = record.arrival.since(before);
            if self.gap.is_none_or(|(widest, _)| gap > widest) {
                self.gap = Some((gap, record.row));
            }
        }
        self.span = Some((first, record.arrival));
        self.ended += u64::from(record.ended.is_some());
        let timed = record.is_complete() && record.last_byte.or(record.end).is_some();
        self.timed += u64::from(timed);
        self.first_tokens += u64::from(timed && record.first_byte.is_some());
        self.longest = self.longest.max(u64::from(input) + u64::from(output));
    }

    /// From the first arrival to just behind the last, in whole milliseconds.
    #[must_use]
    pub fn lasting(&self) -> Span {
        let (first, last) = self.span.unwrap_or_default();
        Span::from_millis(last.since(first).as_nanos() / 1_000_000 + 1)
    }

    /// What of the clock looks damaged or misread, in sentences.
    #[must_use]
    pub fn oddities(&self) -> Vec<String> {
        let mut told = Vec::new();
        told.extend(self.began_unix_ns().and_then(misread).map(ToOwned::to_owned));
        let part = |gap: Span| gap.as_secs_f64() / self.lasting().as_secs_f64();
        if let Some((gap, row)) = self.gap.filter(|(gap, _)| self.replayed >= GAP_REQUESTS && part(*gap) >= GAP_SHARE) {
            let percent = 100.0 * part(gap);
            told.push(format!(
                "Nothing arrives for {} before row {row}, {percent:.1} % of all the time of the log.",
                whole(gap)
            ));
        }
        told
    }

    /// Why it is too long to be run, if it is.
    #[must_use]
    pub fn too_long(&self) -> Option<String> {
        (self.lasting() > LASTING_MAX).then(|| {
            let gap = self
                .gap
                .map_or(String::new(), |(gap, row)| format!(", of which {} lie in one gap before row {row}", whole(gap)));
            format!("{} lasts {}{gap}; a run lasts {} at most", self.head.file, whole(self.lasting()), whole(LASTING_MAX))
        })
    }

    /// The wall-clock time of the first arrival, nanoseconds since 1970; `None` where the log has none.
    #[must_use]
    pub fn began_unix_ns(&self) -> Option<i64> {
        self.head.origin.unix_ns_at(self.span?.0)
    }
}

/// To whole hours, or of what is shorter than two days to whole seconds.
fn whole(span: Span) -> Span {
    let seconds = span.as_nanos() / 1_000_000_000;
    Span::from_secs(if seconds < 2 * 86_400 { seconds } else { seconds / 3_600 * 3_600 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Format, Origin};

    fn survey(arrivals: impl Iterator<Item = u64>) -> Survey {
        let file = "log.csv".to_owned();
        let (recognised_by, origin) = (String::new(), Origin::default());
        let mut survey =
            Survey::new(Head { file, format: Format::Csv, recognised_by, origin, block_tokens: None, notes: Vec::new() });
        for (row, seconds) in (2..).zip(arrivals) {
            let arrival = Time::ZERO + Span::from_secs(seconds);
            survey.take(&Record { row, arrival, input_tokens: Some(1), output_tokens: Some(1), ..Record::default() });
        }
        survey
    }

    #[test]
    fn a_gap_that_is_most_of_the_log_is_told_and_one_of_half_a_year_is_too_long() {
        let even = survey(0..30);
        assert_eq!((even.oddities(), even.too_long()), (Vec::new(), None));
        let torn = survey((0..30).chain(1_000..1_030));
        assert_eq!(torn.oddities(), ["Nothing arrives for 971s before row 32, 94.4 % of all the time of the log."]);
        assert_eq!(torn.too_long(), None);
        let year = survey((0..30).chain([300 * 86_400])).too_long().unwrap();
        assert!(year.starts_with("log.csv lasts 7200h, of which 7199h lie in one gap before row 32; a run lasts"), "{year}");
    }
}

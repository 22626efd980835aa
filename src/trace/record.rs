//! The canonical record: one request of a trace, whatever file it came from.

use crate::time::Time;

/// A trace: what was recorded, in order of intended arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// One for each row that was kept; those of equal arrival in the file's order.
    pub records: Vec<Record>,
    /// Names of the classes, in order of first mention; empty where the file names none.
    pub classes: Vec<String>,
    /// Rows read: records and dropped rows together.
    pub rows: u64,
    /// Rows that were left out.
    pub dropped: Vec<Dropped>,
    /// Rows that stood behind a row of later arrival in the file.
    pub out_of_order: u64,
}

/// One request as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Intended arrival, since the recording's own time zero.
    pub arrival: Time,
    /// Prompt length, tokens, at least 1.
    pub input_tokens: u32,
    /// Answer length, tokens, at least 1: as long as it became, or where it did not become complete as long as was asked for.
    pub output_tokens: u32,
    /// Class, by position in [`Trace::classes`].
    pub class: Option<u16>,
    /// What came of it, where that was recorded.
    pub measured: Option<Measured>,
}

/// What came of a recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// When it was really sent: later than the intended arrival by the driver's lag.
    pub sent: Time,
    /// When the first token came.
    pub first_token: Option<Time>,
    /// When the last token came.
    pub last_token: Option<Time>,
    /// When the driver was done with it.
    pub end: Time,
    /// Tokens that came: as the server counts them, else pieces of the stream.
    pub tokens: u32,
    /// HTTP status; `None` where there was no answer at all.
    pub status: Option<u16>,
    /// How it ended.
    pub ended: Ended,
}

/// How a recorded request ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// The answer was complete.
    Complete,
    /// The client left: no first token in time.
    FirstTokenTimeout,
    /// The client left: not complete in time.
    TotalTimeout,
    /// The server answered with an error status.
    Refused,
    /// The stream ended before the answer was complete.
    Cut,
    /// The connection failed.
    Broken,
}

/// A row that was left out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why.
    pub reason: DropReason,
}

/// Why a row was left out.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// Its prompt has no token: there is nothing to serve.
    EmptyPrompt,
    /// Its answer has no token: nothing says how long it would have been.
    EmptyAnswer,
}

impl DropReason {
    /// What a person is told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmptyPrompt => "prompt of 0 tokens",
            Self::EmptyAnswer => "answer of 0 tokens",
        }
    }
}

impl Trace {
    /// Takes one row in: keeps it, or drops it and says why.
    pub(super) fn take(&mut self, line: u64, record: Record) {
        self.rows += 1;
        let reason = match (record.input_tokens, record.output_tokens) {
            (0, _) => DropReason::EmptyPrompt,
            (_, 0) => DropReason::EmptyAnswer,
            _ => return self.records.push(record),
        };
        self.dropped.push(Dropped { line, reason });
    }

    /// The position of the class called `name`, new or known; `None` where there are too many.
    pub(super) fn class(&mut self, name: &str) -> Option<u16> {
        let known = self.classes.iter().position(|class| class == name);
        let position = known.unwrap_or_else(|| {
            self.classes.push(name.to_owned());
            self.classes.len() - 1
        });
        u16::try_from(position).ok()
    }

    /// Puts the records in order of arrival.
    pub(super) fn sorted(mut self) -> Self {
        let mut latest = Time::ZERO;
        for record in &self.records {
            self.out_of_order += u64::from(record.arrival < latest);
            latest = latest.max(record.arrival);
        }
        if self.out_of_order > 0 {
            self.records.sort_by_key(|record| record.arrival);
        }
        self
    }
}

//! What can be wrong with a trace, where, and what would be right.

use std::borrow::Cow;
use std::io;

/// A trace that cannot be used, or not further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// Nothing in the file says what it is.
    #[error("{file}: of no format known here ({found}): {help}")]
    UnknownFormat {
        /// The file.
        file: String,
        /// What it begins with.
        found: String,
        /// What would be right.
        help: Cow<'static, str>,
    },
    /// The file is of a kind that cannot be replayed.
    #[error("{file}: {what} cannot be replayed: {why}")]
    NotReplayable {
        /// The file.
        file: String,
        /// What it is.
        what: &'static str,
        /// Why not, and what to do instead.
        why: &'static str,
    },
    /// The file is not of the format that it is said to be.
    #[error("{file}: not {claimed}: {why}")]
    OtherFormat {
        /// The file.
        file: String,
        /// What it was said to be.
        claimed: &'static str,
        /// What speaks against it.
        why: String,
    },
    /// A map of columns, or what goes with it, is wrong.
    #[error("{0}")]
    Map(String),
    /// A rule of what is done with the log is wrong, or does not fit it.
    #[error("{0}")]
    Rule(String),
    /// Sorting needs files, and one of them cannot be written or read.
    #[error("cannot sort through files in {folder}: {reason}")]
    Sort {
        /// Their folder.
        folder: String,
        /// What the system says.
        reason: String,
    },
    /// The file cannot be opened.
    #[error("{file}: {reason}")]
    Open {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// The file cannot be read on.
    #[error("{file}: reading stopped {}: {reason}", if *line == 0 { "before its first line".to_owned() } else { format!("after line {line}") })]
    Read {
        /// The file.
        file: String,
        /// The last line that was read, from 1.
        line: u64,
        /// What the system says.
        reason: String,
    },
    /// There is no row.
    #[error("{file}: the file has no row")]
    Empty {
        /// The file.
        file: String,
    },
    /// A column is missing from the header.
    #[error(
        "{file}, line {line}: there is no column `{column}`; the header has: {} (a map says what has other names)",
        listed(header)
    )]
    MissingColumn {
        /// The file.
        file: String,
        /// The header's line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What the header has.
        header: Vec<String>,
    },
    /// Something is wrong in one row, and every row counts.
    #[error("{file}, line {line}: {problem}")]
    Row {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        problem: RowProblem,
    },
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowProblem {
    /// A value that is not what it should be.
    #[error("`{column}` is `{text}`: expected {expected}")]
    Value {
        /// The column.
        column: Cow<'static, str>,
        /// The offending text.
        text: String,
        /// What would be right.
        expected: &'static str,
        /// What the column is about.
        about: About,
    },
    /// Too many or too few fields.
    #[error("{found} fields where the header has {expected}")]
    Width {
        /// Fields in the row.
        found: u64,
        /// Fields in the header.
        expected: u64,
    },
    /// A field of a record is missing.
    #[error("there is no `{column}`")]
    Missing {
        /// The field.
        column: Cow<'static, str>,
        /// What it is about.
        about: About,
    },
    /// A prompt without a token.
    #[error("the prompt has 0 tokens: there is nothing to serve")]
    EmptyPrompt,
    /// A complete answer without a token.
    #[error("the answer has 0 tokens: nothing says how long it would have been")]
    EmptyAnswer,
    /// Before the zero of a log with times of its own.
    #[error("it arrived {secs:.3} s before the log's own zero")]
    BeforeZero {
        /// How long before, seconds.
        secs: Seconds,
    },
    /// Further than a year from the row before.
    #[error("its time is {days} days away from the row before it")]
    Jump {
        /// How far, days; negative where it is earlier.
        days: i64,
    },
    /// The first row, further than a year from those after it.
    #[error("its time is {days} days away from the rows after it")]
    FarFromNext {
        /// How far, days; negative where it is earlier.
        days: i64,
    },
    /// A row of several lines, which a quoted field joined, with something wrong in it: its opening quote may be a stray one.
    #[error("lines {first} to {last} were one quoted field and what is around it: {problem}")]
    Quoted {
        /// The first line, from 1.
        first: u64,
        /// The last one.
        last: u64,
        /// What is wrong.
        problem: Box<RowProblem>,
    },
    /// An end before the beginning.
    #[error("its `{column}` lies {secs:.6} s before its arrival")]
    Backwards {
        /// The later time.
        column: &'static str,
        /// How long before, seconds.
        secs: Seconds,
    },
    /// Answered from a cache: it never reached the server.
    #[error("answered from a cache: it never reached the server")]
    CacheHit,
    /// Not about a request to a model.
    #[error("not about a request to a model (`{name}`)")]
    NotARequest {
        /// What it is about.
        name: String,
    },
    /// More bytes than a row may have.
    #[error("longer than {max} bytes", max = super::source::ROW_BYTES_MAX)]
    TooLong,
    /// Not JSON.
    #[error("not a JSON object (column {column}: {reason}): `{text}`")]
    Json {
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
        /// The beginning of the line.
        text: String,
    },
    /// Not UTF-8.
    #[error("not UTF-8: `{text}`")]
    NotUtf8 {
        /// The beginning of the line, with what cannot be read replaced.
        text: String,
    },
}

/// Seconds in a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Seconds {
    /// The same in nanoseconds.
    pub nanos: i64,
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&(self.nanos as f64 / 1e9), f)
    }
}

/// What a column is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A time.
    Time,
    /// A number of tokens.
    Tokens,
    /// Anything else.
    Other,
}

/// Why a row was left out, for counting.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// A time that cannot be read.
    BadTime,
    /// A number of tokens that cannot be read: no number, negative, not whole.
    BadTokens,
    /// Another value that cannot be read.
    BadValue,
    /// No time of arrival.
    NoTime,
    /// No length of the prompt, or of a complete answer.
    NoLength,
    /// Something else is missing.
    NoValue,
    /// Its prompt has no token.
    EmptyPrompt,
    /// Its answer is complete and has no token.
    EmptyAnswer,
    /// Its time is more than a year away from the row before it, or before the log's zero.
    TimeJump,
    /// It ended before it began.
    Backwards,
    /// Answered from a cache.
    CacheHit,
    /// Not a request to a model.
    NotARequest,
    /// Too long.
    TooLong,
    /// Another number of fields than the header has.
    Width,
    /// Not JSON.
    NotJson,
    /// Not text.
    NotUtf8,
}

impl DropReason {
    /// Every reason, in order.
    pub const ALL: [Self; 16] = [
        Self::BadTime,
        Self::BadTokens,
        Self::BadValue,
        Self::NoTime,
        Self::NoLength,
        Self::NoValue,
        Self::EmptyPrompt,
        Self::EmptyAnswer,
        Self::TimeJump,
        Self::Backwards,
        Self::CacheHit,
        Self::NotARequest,
        Self::TooLong,
        Self::Width,
        Self::NotJson,
        Self::NotUtf8,
    ];

    /// What a person is told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadTime => "time that cannot be read",
            Self::BadTokens => "number of tokens that cannot be read",
            Self::BadValue => "value that cannot be read",
            Self::NoTime => "no time of arrival",
            Self::NoLength => "no prompt or answer length",
            Self::NoValue => "something is missing",
            Self::EmptyPrompt => "prompt of 0 tokens",
            Self::EmptyAnswer => "answer of 0 tokens",
            Self::TimeJump => "time far from the row before",
            Self::Backwards => "ended before it began",
            Self::CacheHit => "answered from a cache",
            Self::NotARequest => "not a request to a model",
            Self::TooLong => "row too long",
            Self::Width => "wrong number of fields",
            Self::NotJson => "not a JSON object",
            Self::NotUtf8 => "not UTF-8",
        }
    }

    /// The same for files.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::BadTime => "bad_time",
            Self::BadTokens => "bad_tokens",
            Self::BadValue => "bad_value",
            Self::NoTime => "no_time",
            Self::NoLength => "no_length",
            Self::NoValue => "no_value",
            Self::EmptyPrompt => "empty_prompt",
            Self::EmptyAnswer => "empty_answer",
            Self::TimeJump => "time_jump",
            Self::Backwards => "backwards",
            Self::CacheHit => "cache_hit",
            Self::NotARequest => "not_a_request",
            Self::TooLong => "too_long",
            Self::Width => "width",
            Self::NotJson => "not_json",
            Self::NotUtf8 => "not_utf8",
        }
    }

    /// Whether the row is in order, and only not to be replayed.
    #[must_use]
    pub const fn is_benign(self) -> bool {
        matches!(self, Self::EmptyPrompt | Self::EmptyAnswer | Self::CacheHit | Self::NotARequest)
    }
}

impl RowProblem {
    /// The same of a row that begins on line `first` and ends on line `last`.
    #[must_use]
    pub(super) fn of_lines(self, first: u64, last: u64) -> Self {
        if last > first { Self::Quoted { first, last, problem: Box::new(self) } } else { self }
    }

    /// The reason under which this is counted.
    #[must_use]
    pub fn reason(&self) -> DropReason {
        match self {
            Self::Value { about: About::Time, .. } => DropReason::BadTime,
            Self::Value { about: About::Tokens, .. } => DropReason::BadTokens,
            Self::Value { about: About::Other, .. } => DropReason::BadValue,
            Self::Missing { about: About::Time, .. } => DropReason::NoTime,
            Self::Missing { about: About::Tokens, .. } => DropReason::NoLength,
            Self::Missing { about: About::Other, .. } => DropReason::NoValue,
            Self::EmptyPrompt => DropReason::EmptyPrompt,
            Self::EmptyAnswer => DropReason::EmptyAnswer,
            Self::BeforeZero { .. } | Self::Jump { .. } | Self::FarFromNext { .. } => DropReason::TimeJump,
            Self::Quoted { problem, .. } => problem.reason(),
            Self::Backwards { .. } => DropReason::Backwards,
            Self::CacheHit => DropReason::CacheHit,
            Self::NotARequest { .. } => DropReason::NotARequest,
            Self::TooLong => DropReason::TooLong,
            Self::Width { .. } => DropReason::Width,
            Self::Json { .. } => DropReason::NotJson,
            Self::NotUtf8 { .. } => DropReason::NotUtf8,
        }
    }
}

/// The first of a header's names: what stands there may be no header at all, and as long as it likes.
pub(super) fn listed(names: &[String]) -> String {
    /// Bytes after which no further name is listed.
    const ENOUGH: usize = 1_000;
    let mut shown = String::new();
    for (place, name) in names.iter().enumerate() {
        if shown.len() > ENOUGH {
            return format!("{shown}, and {} more", names.len() - place);
        }
        if place > 0 {
            shown.push_str(", ");
        }
        shown.push_str(&excerpt(name));
    }
    shown
}

/// The beginning of a text, for a message; what a terminal would obey is written out.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let (shown, dots) = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => (&text[..end], "..."),
        None => (text, ""),
    };
    if !shown.contains(char::is_control) {
        return format!("{shown}{dots}");
    }
    let written = shown.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() });
    written.chain([dots.to_owned()]).collect()
}

/// Why a file cannot be read on, and what to do about it.
pub(super) fn broken_off(error: &io::Error) -> String {
    let why = error.to_string();
    let cut = error.kind() == io::ErrorKind::UnexpectedEof || why.contains("incomplete");
    if cut { format!("{why}: the file is cut off; copy it again, or wait until it is written whole") } else { why }
}

/// The beginning of what should be text, for a message.
pub(super) fn excerpt_of(bytes: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(&bytes[..bytes.len().min(256)]))
}

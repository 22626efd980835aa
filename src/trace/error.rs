//! What can be wrong with a trace, where, and what would be right.

/// A trace that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The name does not say what the file is.
    #[error("{file}: the name must end in .csv or .jsonl, or one of these with .zst")]
    UnknownFormat {
        /// The file.
        file: String,
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
    #[error("{file}: reading stopped after line {line}: {reason}")]
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
    #[error("{file}, line 1: there is no column `{column}`; the header has: {}", header.join(", "))]
    MissingColumn {
        /// The file.
        file: String,
        /// The column.
        column: &'static str,
        /// What the header has.
        header: Vec<String>,
    },
    /// Something is wrong in one row.
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
        column: &'static str,
        /// The offending text.
        text: String,
        /// What would be right.
        expected: &'static str,
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
        column: &'static str,
    },
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
    /// Malformed CSV.
    #[error("not a row of CSV: {reason}")]
    Csv {
        /// What is wrong.
        reason: String,
    },
    /// More classes than can be numbered.
    #[error("class `{name}` is one too many: at most 65536")]
    TooManyClasses {
        /// The class.
        name: String,
    },
}

/// The beginning of a text, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

//! What can be wrong with what a calibration is made from, where, and what would be right.

use crate::trace::TraceError;

/// Longest line that is read, bytes: a request record with the times of some 100,000 tokens.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// A log that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LogError {
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
    /// A line is wrong.
    #[error("{file}, line {line}: {reason}: `{text}`")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what would be right.
        reason: String,
        /// The beginning of the line.
        text: String,
    },
    /// There is nothing in it that a calibration could use.
    #[error(
        "{file}: there is no engine step in it (they look like `{STEP_EXAMPLE}`, vLLM's \
             --enable-logging-iteration-details), and as a log of requests it cannot be used: {reason}"
    )]
    Unknown {
        /// The file.
        file: String,
        /// Why it is no log of requests.
        reason: String,
    },
    /// The log of requests cannot be used.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// A step line, for messages.
pub const STEP_EXAMPLE: &str = "Iteration(334): 0 context requests, 0 context tokens, 2 generation requests, 2 generation \
                                tokens, iteration elapsed time: 78.96 ms, CPU KV cache usage: 0.4%";

/// The beginning of a line, for a message; what is not UTF-8 is replaced, and what a terminal would obey written out.
pub(super) fn excerpt(line: &[u8]) -> String {
    const LONGEST: usize = 90;
    let shown = String::from_utf8_lossy(&line[..line.len().min(4 * LONGEST)]);
    let shown = shown.trim_end();
    let (shown, dots) = match shown.char_indices().nth(LONGEST) {
        Some((end, _)) => (&shown[..end], "..."),
        None => (shown, ""),
    };
    let written = shown.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() });
    written.chain([dots.to_owned()]).collect()
}

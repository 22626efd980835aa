//! Reading a journal back, plain or compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::event::Event;

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file ends inside a line, or inside a compressed block: the run was broken off, or the copy is not whole.
    #[error("{path}: cut short after line {line} ({source}); the lines before it are whole")]
    Cut {
        /// Which file.
        path: String,
        /// The last whole line, from 1; 0 where there is none.
        line: usize,
        /// What the reader saw.
        source: io::Error,
    },
    /// What is compressed has changed since it was written.
    #[error("{path}: damaged after line {line} ({source}); the lines before it are whole")]
    Damaged {
        /// Which file.
        path: String,
        /// The last whole line, from 1; 0 where there is none.
        line: usize,
        /// What the reader saw.
        source: io::Error,
    },
    /// A line is not an event.
    #[error("{path}:{line}: not a journal line ({message}): journals are what `plimsoll simulate --journal FILE` writes")]
    Line {
        /// Which file.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The file holds nothing.
    #[error("{path}: the journal is empty")]
    Empty {
        /// Which file.
        path: String,
    },
}

/// Calls `each` with every event and its line number, from 1, until it returns `false`.
///
/// # Errors
/// If the file cannot be read, holds a line that is not an event, or holds none.
pub fn read(path: &Path, mut each: impl FnMut(usize, Event) -> bool) -> Result<(), JournalError> {
    read_lines(path, |line, text| Ok(each(line, parse(path, line, text)?)))
}

/// The event that a line tells.
pub(super) fn parse(path: &Path, line: usize, text: &str) -> Result<Event, JournalError> {
    let wrong = |error: serde_json::Error| {
        let path = path.display().to_string();
        JournalError::Line { path, line, message: error.to_string() }
    };
    serde_json::from_str(text).map_err(wrong)
}

/// Calls `each` with every line, without its break, and its number, from 1, until it returns `false`.
pub(super) fn read_lines(
    path: &Path,
    mut each: impl FnMut(usize, &str) -> Result<bool, JournalError>,
) -> Result<(), JournalError> {
    let shown = path.display().to_string();
    let io = |source| JournalError::Io { path: shown.clone(), source };
    let file = File::open(path).map_err(io)?;
    let mut bytes = BufReader::new(file);
    // By its content, not its name: a journal that was broken off keeps its temporary one.
    let compressed = bytes.fill_buf().map_err(io)?.starts_with(&zstd::zstd_safe::MAGICNUMBER.to_le_bytes());
    let mut reader: Box<dyn BufRead> =
        if compressed { Box::new(BufReader::new(zstd::Decoder::with_buffer(bytes).map_err(io)?)) } else { Box::new(bytes) };
    let (mut lines, mut text) = (0, Vec::new());
    loop {
        text.clear();
        let read = reader.read_until(b'\n', &mut text).map_err(|source| {
            let path = shown.clone();
            match source.kind() {
                io::ErrorKind::UnexpectedEof => JournalError::Cut { path, line: lines, source },
                _ if compressed => JournalError::Damaged { path, line: lines, source },
                _ => JournalError::Io { path, source },
            }
        })?;
        if read == 0 {
            break;
        }
        lines += 1;
        // Not as `lines()`, which also takes a carriage return away: it is a changed byte.
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        let not_text = |error: std::str::Utf8Error| {
            let (path, message) = (shown.clone(), format!("not UTF-8 after byte {}", error.valid_up_to()));
            JournalError::Line { path, line: lines, message }
        };
        if !each(lines, std::str::from_utf8(line).map_err(not_text)?)? {
            break;
        }
    }
    if lines == 0 { Err(JournalError::Empty { path: shown }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_journal_that_was_cut_short_or_damaged_says_after_which_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("cut.jsonl.zst");
        let line = "{\"t\":5,\"finish\":{\"request\":3,\"outcome\":\"good\",\"attempts\":1}}\n";
        let whole = zstd::encode_all(line.repeat(10_000).as_bytes(), 1).expect("memory is writable");
        std::fs::write(&path, &whole[..whole.len() - 5]).expect("a temporary file");
        let error = read(&path, |_, _| true).expect_err("its end is missing").to_string();
        assert!(error.contains("cut short after line"), "{error}");
        let mut changed = whole;
        // The first block's header, behind the frame's: its kind is one that is reserved.
        changed[6] |= 0b110;
        std::fs::write(&path, changed).expect("a temporary file");
        let error = read(&path, |_, _| true).expect_err("it is not what was written").to_string();
        assert!(error.contains("damaged after line 0"), "{error}");
    }
}

//! Where the bytes of a log come from: files, decompressed as their first bytes say, and cut into lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::error::{TraceError, broken_off};

/// Longest row that is looked at: 16 MiB. Longer ones are dropped without being held in memory.
pub const ROW_BYTES_MAX: usize = 16 << 20;

/// What formats are recognised by: the first bytes of a file.
const SAMPLE_BYTES: u64 = 256 << 10;

/// Bytes read from a file at once.
const BUFFER_BYTES: usize = 256 << 10;

const GZIP: &[u8] = &[0x1F, 0x8B];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An open log.
pub(super) struct Source {
    /// Its name in messages.
    pub file: String,
    /// Its first bytes, for recognition; also the first that `bytes` gives.
    pub sample: Vec<u8>,
    /// All of it, decompressed, without a byte order mark.
    pub bytes: Box<dyn BufRead>,
    /// Lines that were passed over.
    pub passed: u64,
}

impl Source {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let failed = |error: io::Error| TraceError::Open { file: name.clone(), reason: broken_off(&error) };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(TraceError::Open { file: name, reason: "a folder, not a file".to_owned() });
        }
        Self::new(Box::new(file), &name)
    }

    /// Takes bytes from anywhere; `file` is their name in messages.
    pub fn new(raw: Box<dyn Read>, file: &str) -> Result<Self, TraceError> {
        let failed = |error: io::Error| TraceError::Read { file: file.to_owned(), line: 0, reason: broken_off(&error) };
        let mut plain = decompressed(raw).map_err(failed)?;
        let mut sample = Vec::new();
        plain.by_ref().take(SAMPLE_BYTES).read_to_end(&mut sample).map_err(failed)?;
        if sample.starts_with(BYTE_ORDER_MARK) {
            sample.drain(..BYTE_ORDER_MARK.len());
        }
        let bytes = Cursor::new(sample.clone()).chain(plain);
        Ok(Self { file: file.to_owned(), sample, bytes: Box::new(BufReader::with_capacity(BUFFER_BYTES, bytes)), passed: 0 })
    }

    /// Whether it is a tar archive.
    pub fn is_tar(&self) -> bool {
        self.sample.get(257..262) == Some(b"ustar")
    }

    /// Passes over what stands in front of the line that begins with `start`, if there is such a line in the sample.
    pub fn pass_to(&mut self, start: &[u8]) -> io::Result<bool> {
        let mut before = 0;
        let mut lines = self.sample.split_inclusive(|byte| *byte == b'\n').enumerate();
        let Some((passed, found)) = lines.find_map(|(passed, line)| {
            before += line.len();
            line.starts_with(start).then_some((passed, before - line.len()))
        }) else {
            return Ok(false);
        };
        self.sample.drain(..found);
        self.passed = passed as u64;
        io::copy(&mut self.bytes.by_ref().take(found as u64), &mut io::sink())?;
        Ok(true)
    }
}

/// Undoes a compression that the first bytes tell of; the name is not asked.
fn decompressed(raw: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, raw);
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let whole = Cursor::new(magic.clone()).chain(raw);
    if magic.starts_with(ZSTD) {
        return Ok(Box::new(zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, whole))?));
    }
    if magic.starts_with(GZIP) {
        return Ok(Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole))));
    }
    Ok(Box::new(whole))
}

/// A log's lines.
pub(super) struct Lines {
    bytes: Box<dyn BufRead>,
    line: u64,
    text: Vec<u8>,
}

/// One line.
pub(super) enum Line<'a> {
    /// Its bytes, without white space around them; not empty.
    Text(&'a [u8]),
    /// Longer than [`ROW_BYTES_MAX`].
    TooLong,
}

impl Lines {
    pub fn new(bytes: Box<dyn BufRead>) -> Self {
        Self { bytes, line: 0, text: Vec::new() }
    }

    /// Lines read so far.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// The next line that is not blank, with its number from 1.
    pub fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            self.text.clear();
            let most = ROW_BYTES_MAX as u64 + 1;
            if self.bytes.by_ref().take(most).read_until(b'\n', &mut self.text)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.text.len() as u64 == most && !self.text.ends_with(b"\n") {
                self.bytes.skip_until(b'\n')?;
                return Ok(Some((self.line, Line::TooLong)));
            }
            if !self.text.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some((self.line, Line::Text(self.text.trim_ascii()))))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;

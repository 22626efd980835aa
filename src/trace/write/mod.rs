//! Traces as other tools read them, so that they fire the same arrivals: Mooncake's JSON Lines, and a table of everything that a
//! record holds.
//!
//! A file is written beside its place and moved there when it is whole. `.gz` and `.zst` at the end of its name compress it.

mod mooncake;
mod table;

use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::TraceError;
use super::names::Names;
use super::reader::Head;
use super::record::Record;
use crate::files::Whole;

/// What a trace can be written as.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A table with all that a record holds: read back, it is the same.
    Csv,
    /// Mooncake's JSON Lines: arrival in milliseconds since the first, both lengths, prefix blocks.
    Mooncake,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Mooncake];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Mooncake => "mooncake",
        }
    }

    /// What a file's name asks for: `.csv` or `.jsonl`, compressed or not.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match plain.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" => Some(Self::Mooncake),
            _ => None,
        }
    }

    /// Whether it has a place for lengths that are unknown.
    #[must_use]
    pub const fn keeps_unknown(self) -> bool {
        matches!(self, Self::Csv)
    }
}

impl FromStr for Target {
    type Err = TraceError;

    fn from_str(name: &str) -> Result<Self, TraceError> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|target| target.name() == name);
        found.ok_or_else(|| TraceError::Rule(format!("a trace cannot be written as `{name}`; it can be as: {}", known())))
    }
}

/// A file in the making, compressed as its name says.
enum Bytes {
    Plain(Whole),
    Gzip(GzEncoder<Whole>),
    Zstd(zstd::stream::write::Encoder<'static, Whole>),
}

impl Bytes {
    fn create(path: &Path) -> io::Result<Self> {
        let whole = Whole::create(path)?;
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        Ok(match &*ending {
            "gz" => Self::Gzip(GzEncoder::new(whole, Compression::default())),
            "zst" => Self::Zstd(zstd::stream::write::Encoder::new(whole, 0)?),
            _ => Self::Plain(whole),
        })
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(whole) => whole.finish(),
            Self::Gzip(encoder) => encoder.finish()?.finish(),
            Self::Zstd(encoder) => encoder.finish()?.finish(),
        }
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(whole) => whole.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(whole) => whole.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// A trace that is being written.
pub struct Writer {
    bytes: Bytes,
    target: Target,
    line: Vec<u8>,
    /// Arrival of the first record.
    first: Option<crate::time::Time>,
    written: u64,
}

impl Writer {
    /// Begins a trace; nothing stands at `path` before [`Writer::finish`].
    ///
    /// # Errors
    /// If nothing can be written there.
    pub fn create(path: &Path, target: Target) -> io::Result<Self> {
        Ok(Self { bytes: Bytes::create(path)?, target, line: Vec::new(), first: None, written: 0 })
    }

    /// Writes a request. The head and the names are those of the log that it is from.
    ///
    /// # Errors
    /// If it cannot be written, or has no lengths where the target needs them.
    pub fn write(&mut self, record: &Record, head: &Head, names: &Names) -> io::Result<()> {
        let first = *self.first.get_or_insert(record.arrival);
        self.line.clear();
        match self.target {
            Target::Csv => {
                if self.written == 0 {
                    table::header(head, &mut self.line);
                }
                table::row(record, head, names, &mut self.line);
            }
            Target::Mooncake => mooncake::line(record, record.arrival - first, &mut self.line)?,
        }
        self.written += 1;
        self.bytes.write_all(&self.line)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// If the rest cannot be written, or the file not be moved to its place; then nothing new stands there.
    pub fn finish(self) -> io::Result<()> {
        self.bytes.finish()
    }
}

#[cfg(test)]
mod write_tests;

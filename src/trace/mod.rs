//! Readers of production logs and public traces: whatever the file, one canonical [`Record`] for each request.
//!
//! [`open`] finds out what a file is ([`Format`]) and gives a [`Reader`], which hands out one [`Row`] at a time in memory that does
//! not grow with the file. `.gz` and `.zst` are undone as the first bytes tell. No row is lost in silence: rows read = records +
//! rows dropped, and each of those says why. [`read`] holds a whole trace in memory, in order of arrival.
//!
//! ```text
//!   bytes --source--> lines, CSV rows, spans --format--> values --assemble--> Record
//!         (gz, zst)      (rows, format/objects)   (map, cell)    (clock, names)
//! ```

mod assemble;
mod cell;
mod clock;
mod detect;
mod error;
mod first;
pub mod flow;
mod format;
mod lengths;
mod map;
mod names;
mod number;
mod pieces;
mod reader;
mod record;
mod rows;
mod sessions;
mod source;
pub mod stats;
mod whole;
pub mod write;

use std::io::Read;
use std::path::Path;

pub use clock::misread;
pub use error::{About, DropReason, RowProblem, Seconds, TraceError};
pub use format::{Field, Format, Map, Mapped, Preset, TimeKind};
pub use lengths::read_lengths;
pub use names::{NAMES_MAX, NameList, Names, OTHERS};
pub use reader::{Dropped, Fates, Head, Lost, Options, Origin, Reader, Row};
pub use record::{Ended, Key, NameId, Record};
pub use source::ROW_BYTES_MAX;
pub use whole::Trace;

use self::detect::Recognised;
use self::first::First;
use self::source::Source;

/// Opens the log in `path`.
///
/// # Errors
/// [`TraceError`]: the file cannot be opened, is of no known format, is not what `options` say, or lacks a column.
pub fn open(path: &Path, options: &Options) -> Result<Box<dyn Reader>, TraceError> {
    if path.is_dir() {
        return format::servegen::open_folder(path, options);
    }
    Ok(Box::new(First::new(open_source(Source::open(path)?, options)?)))
}

/// Opens a log that comes from elsewhere; `file` is the name that messages give.
///
/// # Errors
/// As [`open`].
pub fn open_bytes(bytes: impl Read + 'static, file: &str, options: &Options) -> Result<Box<dyn Reader>, TraceError> {
    Ok(Box::new(First::new(open_source(Source::new(Box::new(bytes), file)?, options)?)))
}

fn open_source(mut source: Source, options: &Options) -> Result<Box<dyn Reader>, TraceError> {
    if source.is_tar() {
        return format::servegen::open_tar(source, options);
    }
    if source.sample.trim_ascii().is_empty() {
        return Err(TraceError::Empty { file: source.file });
    }
    detect::pass_yaml(&mut source)?;
    let Recognised { format, by } = match options.format {
        Some(format) => {
            detect::may_be(&source, format, options)?;
            Recognised { format, by: "being told".to_owned() }
        }
        None => detect::recognise(&source, options)?,
    };
    format::reader(source, format, options, by)
}

/// Reads the trace in `path` into memory, whatever it is.
///
/// # Errors
/// As [`open`] and [`Trace::read`].
pub fn read(path: &Path) -> Result<Trace, TraceError> {
    Trace::read(&mut *open(path, &Options::default())?)
}

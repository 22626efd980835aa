//! Readers of production logs and recorded runs: whatever the file, one canonical [`Record`] for each request.
//!
//! | file | reader |
//! |---|---|
//! | `.csv` | recorded arrivals, columns found by the header: `time`, `input_tokens`, `output_tokens`, and optionally `class` |
//! | `.jsonl` | the load driver's own records, one JSON object a line |
//!
//! Either may be compressed (`.csv.zst`, `.jsonl.zst`), begin with a byte order mark, and end its lines as Windows does. No row
//! is lost in silence: rows read = records + rows dropped, and each of those says why.

mod csv;
mod driver;
mod error;
mod lengths;
mod record;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

pub use error::{RowProblem, TraceError};
pub use lengths::read_lengths;
pub use record::{DropReason, Dropped, Ended, Measured, Record, Trace};

/// Reads the trace in `path`, by the end of its name.
///
/// # Errors
/// [`TraceError`]: which file, where in it, and what would be right.
pub fn read(path: &Path) -> Result<Trace, TraceError> {
    let file = path.display().to_string();
    let (plain, format) = split_name(&file);
    let reader: fn(&mut dyn BufRead, &str) -> Result<Trace, TraceError> = match format {
        "csv" => read_csv,
        "jsonl" => read_driver,
        _ => return Err(TraceError::UnknownFormat { file }),
    };
    reader(&mut *open(path, plain.len() < file.len())?, &file)
}

/// Reads recorded arrivals as CSV; `file` is the name that errors give.
///
/// # Errors
/// As [`read`].
pub fn read_csv(text: &mut dyn BufRead, file: &str) -> Result<Trace, TraceError> {
    csv::read(text, file)
}

/// Reads the load driver's own records, one JSON object a line; `file` is the name that errors give.
///
/// # Errors
/// As [`read`].
pub fn read_driver(text: &mut dyn BufRead, file: &str) -> Result<Trace, TraceError> {
    driver::read(text, file)
}

/// The name without `.zst`, and how that ends.
fn split_name(file: &str) -> (&str, &str) {
    let plain = file.strip_suffix(".zst").unwrap_or(file);
    (plain, plain.rsplit_once('.').map_or("", |(_, format)| format))
}

/// Opens a file, decompressed.
fn open(path: &Path, compressed: bool) -> Result<Box<dyn BufRead>, TraceError> {
    let failed = |error: std::io::Error| TraceError::Open { file: path.display().to_string(), reason: error.to_string() };
    let file = File::open(path).map_err(failed)?;
    let bytes: Box<dyn Read> =
        if compressed { Box::new(zstd::stream::read::Decoder::new(file).map_err(failed)?) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "time,input_tokens,output_tokens\n0.5,10,20\n1,30,40\n";

    #[test]
    fn the_name_says_how_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.csv"), ROWS).unwrap();
        std::fs::write(path("a.csv.zst"), zstd::encode_all(ROWS.as_bytes(), 3).unwrap()).unwrap();
        let plain = read(&path("a.csv")).unwrap();
        assert_eq!((plain.rows, &plain.records), (2, &read(&path("a.csv.zst")).unwrap().records));

        std::fs::write(path("a.txt"), ROWS).unwrap();
        assert!(matches!(read(&path("a.txt")), Err(TraceError::UnknownFormat { .. })));
        assert!(matches!(read(&path("none.csv")), Err(TraceError::Open { .. })));
        let mut cut = zstd::encode_all(ROWS.as_bytes(), 3).unwrap();
        cut.truncate(cut.len() - 6);
        std::fs::write(path("cut.csv.zst"), cut).unwrap();
        assert!(matches!(read(&path("cut.csv.zst")), Err(TraceError::Read { .. })));
    }
}

//! A log, line by line, compressed or not.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::error::{LINE_BYTES_MAX, LogError, excerpt};

/// Opens a file, decompressed where its name ends in `.zst`.
///
/// # Errors
/// [`LogError::Open`].
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, LogError> {
    let failed = |error: std::io::Error| LogError::Open { file: path.display().to_string(), reason: error.to_string() };
    let file = File::open(path).map_err(failed)?;
    let compressed = path.extension().is_some_and(|extension| extension == "zst");
    let bytes: Box<dyn Read> =
        if compressed { Box::new(zstd::stream::read::Decoder::new(file).map_err(failed)?) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(bytes)))
}

/// Gives each line, without its end and a byte order mark, to `take`, which says what is wrong with it.
///
/// # Errors
/// [`LogError::Read`], [`LogError::Line`].
pub(super) fn each(
    text: &mut dyn BufRead,
    file: &str,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<(), LogError> {
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let mut some = text.take(LINE_BYTES_MAX as u64 + 1);
        let failed = |error: std::io::Error| LogError::Read { file: file.to_owned(), line, reason: error.to_string() };
        if some.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            return Ok(());
        }
        line += 1;
        let wrong = |reason| LogError::Line { file: file.to_owned(), line, reason, text: excerpt(&bytes) };
        if bytes.len() > LINE_BYTES_MAX {
            return Err(wrong(format!("the line has more than {LINE_BYTES_MAX} bytes")));
        }
        let shown = if line == 1 { bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes) } else { &bytes[..] };
        take(line, shown.trim_ascii()).map_err(wrong)?;
    }
}

//! A log, line by line, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::error::{LINE_BYTES_MAX, LogError, excerpt};

/// Opens a file, decompressed as its first bytes tell.
///
/// # Errors
/// [`LogError::Open`].
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, LogError> {
    let failed = |error: io::Error| LogError::Open { file: path.display().to_string(), reason: error.to_string() };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let head = file.fill_buf().map_err(failed)?;
    let (zstd, gzip) = (head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]), head.starts_with(&[0x1F, 0x8B]));
    let bytes: Box<dyn Read> = match (zstd, gzip) {
        (true, _) => Box::new(zstd::stream::read::Decoder::with_buffer(file).map_err(failed)?),
        (_, true) => Box::new(MultiGzDecoder::new(file)),
        _ => return Ok(Box::new(file)),
    };
    Ok(Box::new(BufReader::new(bytes)))
}

/// Gives each line, without its end and a byte order mark, to `take`, which says what is wrong with it; `None` for one of more than
/// [`LINE_BYTES_MAX`] bytes, which is passed over without being held: a server may have logged a prompt.
///
/// # Errors
/// [`LogError::Read`], [`LogError::Line`].
pub(super) fn each(
    text: &mut dyn BufRead,
    file: &str,
    mut take: impl FnMut(u64, Option<&[u8]>) -> Result<(), String>,
) -> Result<(), LogError> {
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let failed = |error: io::Error| LogError::Read { file: file.to_owned(), line, reason: error.to_string() };
        let most = LINE_BYTES_MAX as u64 + 1;
        if text.take(most).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            return Ok(());
        }
        let too_long = bytes.len() as u64 == most && !bytes.ends_with(b"\n");
        if too_long {
            text.skip_until(b'\n').map_err(failed)?;
        }
        line += 1;
        let wrong = |reason| LogError::Line { file: file.to_owned(), line, reason, text: excerpt(&bytes) };
        let shown = if line == 1 { bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes) } else { &bytes[..] };
        take(line, (!too_long).then(|| shown.trim_ascii())).map_err(wrong)?;
    }
}

//! Mooncake's JSON Lines, which aiperf, guidellm and vLLM's bench read: `timestamp` in milliseconds since the first request,
//! `input_length`, `output_length`, and `hash_ids` where prefix blocks are known.
//!
//! Fractions of a millisecond are kept, so that arrivals do not fall back on a grid of whole ones. A block's hash has 64 bits;
//! ids of Mooncake's own traces stay what they were.

use std::io::{self, Write};

use super::super::record::Record;
use crate::time::Span;

/// Writes one line.
///
/// # Errors
/// If a length is unknown.
pub(super) fn line(record: &Record, since: Span, bytes: &mut Vec<u8>) -> io::Result<()> {
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, format!("the request of line {} has no length", record.row));
    let (input, output) = record.lengths().ok_or_else(unknown)?;
    let (whole, rest) = (since.as_nanos() / 1_000_000, since.as_nanos() % 1_000_000);
    write!(bytes, r#"{{"timestamp": {whole}"#)?;
    if rest > 0 {
        let digits = format!("{rest:06}");
        write!(bytes, ".{}", digits.trim_end_matches('0'))?;
    }
    write!(bytes, r#", "input_length": {input}, "output_length": {output}"#)?;
    for (number, block) in record.prefix.iter().enumerate() {
        let before = if number == 0 { r#", "hash_ids": ["# } else { ", " };
        write!(bytes, "{before}{block}")?;
    }
    bytes.extend_from_slice(if record.prefix.is_empty() { b"}\n" } else { b"]}\n" });
    Ok(())
}

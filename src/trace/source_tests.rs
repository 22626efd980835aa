//! Tests of `source.rs`: compression, marks, long lines.

use std::io::Write;

use super::*;

fn lines_of(bytes: Vec<u8>) -> Vec<(u64, Option<String>)> {
    let mut lines = Lines::new(Source::new(Box::new(Cursor::new(bytes)), "a").unwrap().bytes);
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next().unwrap() {
        let text = if let Line::Text(text) = line { Some(String::from_utf8(text.to_vec()).unwrap()) } else { None };
        found.push((number, text));
    }
    found
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_compressed_reads_as_what_is_not() {
    let text = b"\xEF\xBB\xBFa\r\n\r\n b \nc";
    let expected = [(1, Some("a".to_owned())), (3, Some("b".to_owned())), (4, Some("c".to_owned()))];
    assert_eq!(lines_of(text.to_vec()), expected);
    assert_eq!(lines_of(gzip(text)), expected);
    assert_eq!(lines_of(zstd::encode_all(&text[..], 1).unwrap()), expected);
    // Logs that were rotated and put together are several compressed streams in a row.
    assert_eq!(lines_of([gzip(b"a\n"), gzip(b"b\n")].concat()).len(), 2);
}

#[test]
fn a_file_that_was_cut_off_is_an_error() {
    let text = "0123456789\n".repeat(100_000);
    for whole in [gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 1).unwrap()] {
        let cut = whole[..whole.len() - 5].to_vec();
        let read = Source::new(Box::new(Cursor::new(cut)), "a").and_then(|source| {
            let mut lines = Lines::new(source.bytes);
            while lines.next().map_err(|_| TraceError::Empty { file: "a".to_owned() })?.is_some() {}
            Ok(())
        });
        assert!(read.is_err());
    }
}

#[test]
fn a_line_that_is_too_long_is_passed_over_without_being_held() {
    let (first, rest) = (&b"a\n"[..], &b"\nb\n"[..]);
    let bytes = first.chain(io::repeat(b'x').take(40 << 20)).chain(rest);
    let mut lines = Lines::new(Source::new(Box::new(bytes), "a").unwrap().bytes);
    assert!(matches!(lines.next().unwrap(), Some((1, Line::Text(b"a")))));
    assert!(matches!(lines.next().unwrap(), Some((2, Line::TooLong))));
    assert!(matches!(lines.next().unwrap(), Some((3, Line::Text(b"b")))));
    assert!(lines.next().unwrap().is_none());
    assert!(lines.text.capacity() <= ROW_BYTES_MAX * 2 + 1, "{}", lines.text.capacity());
}

//! Rows of a CSV file, one at a time: quoted fields, quoted newlines, any line ends; a row is never larger than a limit.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use super::source::ROW_BYTES_MAX;

/// Most fields that a row may have.
const FIELDS_MAX: usize = 65_536;

/// A CSV file's rows; the latest one is held.
pub(super) struct Rows {
    core: csv_core::Reader,
    bytes: Box<dyn BufRead>,
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
    /// Line ends that were passed over between rows.
    between: u64,
}

/// A row that was read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct RowAt {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The line on which it ends: of a row with quoted line ends another one.
    pub last: u64,
    /// Whether it was too long to hold; it then has no fields.
    pub too_long: bool,
}

impl Rows {
    pub fn new(bytes: Box<dyn BufRead>) -> Self {
        Self { core: csv_core::Reader::new(), bytes, text: vec![0; 4096], ends: vec![0; 64], fields: 0, between: 0 }
    }

    /// The rows of a file of which `passed` lines have been read.
    pub fn after(bytes: Box<dyn BufRead>, passed: u64) -> Self {
        Self { between: passed, ..Self::new(bytes) }
    }

    /// The line that is being read, from 1.
    pub fn line(&self) -> u64 {
        self.core.line() + self.between
    }

    /// Passes over the ends of blank lines, and over the second half of a Windows line end.
    fn pass_line_ends(&mut self) -> io::Result<()> {
        while let Some(byte @ (b'\n' | b'\r')) = self.bytes.fill_buf()?.first().copied() {
            self.between += u64::from(byte == b'\n');
            self.bytes.consume(1);
        }
        Ok(())
    }

    /// Goes to the next row; blank lines are passed over.
    pub fn next(&mut self) -> io::Result<Option<RowAt>> {
        self.pass_line_ends()?;
        let line = self.line();
        let (mut text, mut ends, mut too_long, mut ended_by) = (0, 0, false, None);
        self.fields = 0;
        loop {
            let input = self.bytes.fill_buf()?;
            let (result, read, written, ended) = self.core.read_record(input, &mut self.text[text..], &mut self.ends[ends..]);
            ended_by = input[..read].last().copied().or(ended_by);
            self.bytes.consume(read);
            text += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() < ROW_BYTES_MAX => {
                    self.text.resize((self.text.len() * 2).min(ROW_BYTES_MAX), 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < FIELDS_MAX => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                // From here on the row is read over itself.
                ReadRecordResult::OutputFull => (text, too_long) = (0, true),
                ReadRecordResult::OutputEndsFull => (ends, too_long) = (0, true),
                ReadRecordResult::Record => {
                    self.fields = if too_long { 0 } else { ends };
                    // Its own line end is counted already.
                    let last = (self.line() - u64::from(ended_by == Some(b'\n'))).max(line);
                    return Ok(Some(RowAt { line, last, too_long }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Fields in the latest row.
    pub const fn fields(&self) -> usize {
        self.fields
    }

    /// A field of the latest row, without white space around it.
    pub fn field(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text[start..self.ends[at]].trim_ascii()
    }

    /// All fields of the latest row as text; what is not UTF-8 is replaced.
    pub fn texts(&self) -> Vec<String> {
        (0..self.fields).map(|at| String::from_utf8_lossy(self.field(at)).into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    fn all(bytes: &'static [u8]) -> Vec<(u64, Vec<String>)> {
        let mut rows = Rows::new(Box::new(Cursor::new(bytes)));
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            found.push((row.line, rows.texts()));
        }
        found
    }

    #[test]
    fn line_ends_of_all_kinds_and_quoted_ones_are_told_apart() {
        let expected = |fields: &[&str]| fields.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = all(b"a,b\r\n1,\"x\ny\"\n\"p\"\"q\",2\r3, 4 ");
        let fields: Vec<_> = found.iter().map(|(_, fields)| fields.clone()).collect();
        assert_eq!(fields, [expected(&["a", "b"]), expected(&["1", "x\ny"]), expected(&["p\"q", "2"]), expected(&["3", "4"])]);
        assert_eq!(found[1].0, 2);
        assert_eq!(found[2].0, 4);
        assert_eq!(all(b"a\r\n\r\nb\r\n").iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn a_row_says_on_which_lines_it_stands() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "1,\"x", "y", "z\"", "2,3", "4,\"never closed", "5,6"].join(end) + end;
            let mut rows = Rows::new(Box::new(Cursor::new(text.into_bytes())));
            let mut lines = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                lines.push((row.line, row.last));
            }
            assert_eq!(lines, [(1, 1), (2, 4), (5, 5), (6, 7)], "{end:?}");
        }
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over_without_being_held() {
        let (head, tail) = (&b"a,b\n"[..], &b"\n1,2\n"[..]);
        for filling in [b'x', b','] {
            let bytes = head.chain(io::repeat(filling).take(40 << 20)).chain(tail);
            let mut rows = Rows::new(Box::new(io::BufReader::new(bytes)));
            assert_eq!(rows.next().unwrap(), Some(RowAt { line: 1, last: 1, too_long: false }));
            assert_eq!(rows.next().unwrap(), Some(RowAt { line: 2, last: 2, too_long: true }));
            assert_eq!(rows.next().unwrap(), Some(RowAt { line: 3, last: 3, too_long: false }));
            assert_eq!(rows.texts(), ["1", "2"]);
            assert!(rows.next().unwrap().is_none());
            assert!(rows.text.len() <= ROW_BYTES_MAX && rows.ends.len() <= FIELDS_MAX);
        }
    }
}

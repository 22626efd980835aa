//! Recorded arrivals as CSV: `time,input_tokens,output_tokens[,class]`, columns found by the header, others ignored.
//!
//! `time` is in seconds since the recording's own zero. Rows out of order are sorted, stably, and counted.

use std::io::BufRead;

use ::csv::{ByteRecord, ReaderBuilder, Trim};

use super::error::{RowProblem, TraceError, excerpt};
use super::record::{Record, Trace};
use crate::time::{Span, Time};

const SECONDS: &str = "seconds, at least 0, like 12.25";
const TOKENS: &str = "a whole number of tokens, at least 0 and below 2^32";

/// A table with a header, read row by row.
pub(super) struct Table<'a> {
    reader: ::csv::Reader<&'a mut dyn BufRead>,
    header: Vec<String>,
    row: ByteRecord,
    file: &'a str,
}

impl<'a> Table<'a> {
    pub(super) fn new(text: &'a mut dyn BufRead, file: &'a str) -> Result<Self, TraceError> {
        let mut reader = ReaderBuilder::new().trim(Trim::All).flexible(true).from_reader(text);
        let names = reader.byte_headers().map_err(|error| failed(file, 1, &error))?;
        let header: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        if header.is_empty() {
            return Err(TraceError::Empty { file: file.to_owned() });
        }
        Ok(Self { reader, header, row: ByteRecord::new(), file })
    }

    /// Where a column stands.
    pub(super) fn column(&self, column: &'static str) -> Result<usize, TraceError> {
        let missing = || TraceError::MissingColumn { file: self.file.to_owned(), column, header: self.header.clone() };
        self.optional(column).ok_or_else(missing)
    }

    fn optional(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }

    /// Goes to the next row and says its line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<u64>, TraceError> {
        let line = self.reader.position().line();
        if !self.reader.read_byte_record(&mut self.row).map_err(|error| failed(self.file, line, &error))? {
            return Ok(None);
        }
        let line = self.row.position().map_or(line, ::csv::Position::line);
        let (found, expected) = (self.row.len() as u64, self.header.len() as u64);
        if found == expected { Ok(Some(line)) } else { Err(self.wrong(line, RowProblem::Width { found, expected })) }
    }

    fn text(&self, line: u64, column: usize) -> Result<&str, TraceError> {
        let bytes = &self.row[column];
        let not_utf8 = || RowProblem::NotUtf8 { text: excerpt(&String::from_utf8_lossy(bytes)) };
        str::from_utf8(bytes).map_err(|_| self.wrong(line, not_utf8()))
    }

    fn wrong(&self, line: u64, problem: RowProblem) -> TraceError {
        TraceError::Row { file: self.file.to_owned(), line, problem }
    }

    pub(super) fn tokens(&self, line: u64, column: &'static str, at: usize) -> Result<u32, TraceError> {
        let text = self.text(line, at)?;
        let value = || RowProblem::Value { column, text: excerpt(text), expected: TOKENS };
        text.parse().map_err(|_| self.wrong(line, value()))
    }

    fn seconds(&self, line: u64, column: &'static str, at: usize) -> Result<Time, TraceError> {
        let text = self.text(line, at)?;
        let value = || RowProblem::Value { column, text: excerpt(text), expected: SECONDS };
        text.parse().ok().and_then(time).ok_or_else(|| self.wrong(line, value()))
    }
}

/// A time of at least zero that the clock can show.
pub(super) fn time(secs: f64) -> Option<Time> {
    let fits = secs >= 0.0 && secs < Time::FAR.as_secs_f64();
    fits.then(|| Time::ZERO + Span::from_secs_f64(secs))
}

fn failed(file: &str, line: u64, error: &::csv::Error) -> TraceError {
    let file = file.to_owned();
    match error.kind() {
        ::csv::ErrorKind::Io(reason) => TraceError::Read { file, line: line.saturating_sub(1), reason: reason.to_string() },
        _ => TraceError::Row { file, line, problem: RowProblem::Csv { reason: error.to_string() } },
    }
}

pub(super) fn read(text: &mut dyn BufRead, file: &str) -> Result<Trace, TraceError> {
    let mut table = Table::new(text, file)?;
    let [time, input, output] = [table.column("time")?, table.column("input_tokens")?, table.column("output_tokens")?];
    let class = table.optional("class");
    let mut trace = Trace::default();
    while let Some(line) = table.next()? {
        let named = class.map(|at| table.text(line, at)).transpose()?.filter(|name| !name.is_empty());
        let too_many = |name: &str| table.wrong(line, RowProblem::TooManyClasses { name: name.to_owned() });
        let class = named.map(|name| trace.class(name).ok_or_else(|| too_many(name))).transpose()?;
        let record = Record {
            arrival: table.seconds(line, "time", time)?,
            input_tokens: table.tokens(line, "input_tokens", input)?,
            output_tokens: table.tokens(line, "output_tokens", output)?,
            class,
            measured: None,
        };
        trace.take(line, record);
    }
    if trace.rows == 0 { Err(TraceError::Empty { file: file.to_owned() }) } else { Ok(trace.sorted()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::record::DropReason;

    fn parse(text: &[u8]) -> Result<Trace, TraceError> {
        read(&mut &text[..], "a.csv")
    }

    fn said(text: &[u8]) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn columns_are_found_by_name_and_classes_numbered() {
        let text = b"class,output_tokens,note,input_tokens,time\nb,2,x,1,0.25\na,4,y,3,1e1\nb,6,,5,10.000000001\n";
        let trace = parse(text).unwrap();
        let rows: Vec<_> =
            trace.records.iter().map(|r| (r.arrival.as_nanos(), r.input_tokens, r.output_tokens, r.class.unwrap())).collect();
        assert_eq!(rows, [(250_000_000, 1, 2, 0), (10_000_000_000, 3, 4, 1), (10_000_000_001, 5, 6, 0)]);
        assert_eq!(trace.classes, ["b", "a"]);
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
        let plain = parse(b"time,input_tokens,output_tokens\n1,2,3\n4, 5 ,6\n").unwrap();
        assert_eq!(parse(b"\xEF\xBB\xBFtime,input_tokens,output_tokens\r\n1,2,3\r\n\r\n4, 5 ,6").unwrap(), plain);
        assert_eq!(plain.records[0].class, None);
    }

    #[test]
    fn rows_out_of_order_are_sorted_stably_and_counted() {
        let trace = parse(b"time,input_tokens,output_tokens\n5,1,1\n2,2,1\n3,3,1\n5,4,1\n2,5,1\n").unwrap();
        assert_eq!(trace.records.iter().map(|r| r.input_tokens).collect::<Vec<_>>(), [2, 5, 3, 1, 4]);
        assert_eq!(trace.out_of_order, 3);
    }

    #[test]
    fn rows_with_nothing_to_serve_are_dropped_and_counted() {
        let trace = parse(b"time,input_tokens,output_tokens\n1,0,9\n2,9,0\n3,9,9\n").unwrap();
        assert_eq!((trace.rows, trace.records.len()), (3, 1));
        let dropped: Vec<_> = trace.dropped.iter().map(|dropped| (dropped.line, dropped.reason)).collect();
        assert_eq!(dropped, [(2, DropReason::EmptyPrompt), (3, DropReason::EmptyAnswer)]);
    }

    #[test]
    fn each_mistake_says_where_it_is_and_what_would_be_right() {
        let rows = |row: &str| said(format!("time,input_tokens,output_tokens\n1,2,3\n{row}\n").as_bytes());
        for (said, expected) in [
            (rows("x,2,3"), "a.csv, line 3: `time` is `x`: expected seconds, at least 0, like 12.25"),
            (rows("-1,2,3"), "a.csv, line 3: `time` is `-1`: expected seconds, at least 0, like 12.25"),
            (rows("NaN,2,3"), "a.csv, line 3: `time` is `NaN`: expected seconds, at least 0, like 12.25"),
            (rows("1e300,2,3"), "a.csv, line 3: `time` is `1e300`: expected seconds, at least 0, like 12.25"),
            (
                rows("1,2.5,3"),
                "a.csv, line 3: `input_tokens` is `2.5`: expected a whole number of tokens, at least 0 and below 2^32",
            ),
            (
                rows("1,2,-3"),
                "a.csv, line 3: `output_tokens` is `-3`: expected a whole number of tokens, at least 0 and below 2^32",
            ),
            (rows("1,2"), "a.csv, line 3: 2 fields where the header has 3"),
            (rows("1,2,3,4"), "a.csv, line 3: 4 fields where the header has 3"),
            (
                said(b"time,input,output_tokens\n1,2,3\n"),
                "a.csv, line 1: there is no column `input_tokens`; the header has: time, input, output_tokens",
            ),
            (said(b""), "a.csv: the file has no row"),
            (said(b"time,input_tokens,output_tokens\n"), "a.csv: the file has no row"),
            (said(b"time,input_tokens,output_tokens,class\n1,2,3,\xFF\n"), "a.csv, line 2: not UTF-8: `\u{FFFD}`"),
        ] {
            assert_eq!(said, expected);
        }
    }

    proptest! {
        /// Whatever the bytes, an answer and no panic; and no row lost.
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), body in "[0-9,.\n\"-]{0,80}") {
            for text in [bytes, format!("time,input_tokens,output_tokens\n{body}").into_bytes()] {
                if let Ok(trace) = parse(&text) {
                    prop_assert_eq!(trace.rows, (trace.records.len() + trace.dropped.len()) as u64);
                    prop_assert!(trace.records.is_sorted_by_key(|record| record.arrival));
                }
            }
        }
    }
}

//! Tests of `whole.rs`: order, strictness, origin, and that each mistake says where it is.

use proptest::prelude::*;

use super::*;
use crate::trace::{DropReason, NameId, Options, TraceError, open_bytes};

fn parse(text: &[u8]) -> Result<Trace, TraceError> {
    Trace::read(&mut *open_bytes(std::io::Cursor::new(text.to_vec()), "a.csv", &Options::default())?)
}

fn said(text: &[u8]) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn columns_are_found_by_name_and_classes_numbered() {
    let text = b"class,output_tokens,note,input_tokens,time\nb,2,x,1,0.25\na,4,y,3,1e1\nb,6,,5,10.000000001\n";
    let trace = parse(text).unwrap();
    let class = |record: &Record| record.class.map(NameId::index);
    let rows: Vec<_> = trace.records.iter().map(|r| (r.arrival.as_nanos(), r.lengths().unwrap(), class(r).unwrap())).collect();
    assert_eq!(rows, [(250_000_000, (1, 2), 0), (10_000_000_000, (3, 4), 1), (10_000_000_001, (5, 6), 0)]);
    assert_eq!(trace.classes, ["b", "a"]);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let plain = parse(b"time,input_tokens,output_tokens\n1,2,3\n4, 5 ,6\n").unwrap();
    let windows = parse(b"\xEF\xBB\xBFtime,input_tokens,output_tokens\r\n1,2,3\r\n4, 5 ,6").unwrap();
    assert_eq!(windows, plain);
    assert_eq!(plain.records[0].class, None);
}

#[test]
fn rows_out_of_order_are_sorted_stably_and_counted() {
    let trace = parse(b"time,input_tokens,output_tokens\n5,1,1\n2,2,1\n3,3,1\n5,4,1\n2,5,1\n").unwrap();
    assert_eq!(trace.records.iter().filter_map(|r| r.input_tokens).collect::<Vec<_>>(), [2, 5, 3, 1, 4]);
    assert_eq!(trace.out_of_order, 3);
}

#[test]
fn rows_with_nothing_to_serve_are_dropped_and_counted() {
    let trace = parse(b"time,input_tokens,output_tokens\n1,0,9\n2,9,0\n3,9,9\n").unwrap();
    assert_eq!((trace.rows, trace.records.len()), (3, 1));
    let dropped: Vec<_> = trace.fates.dropped.iter().map(|(reason, lost)| (lost.first.row, *reason)).collect();
    assert_eq!(dropped, [(2, DropReason::EmptyPrompt), (3, DropReason::EmptyAnswer)]);
    let line = "3 rows = 1 records + 2 dropped (1 prompt of 0 tokens, first in line 2; 1 answer of 0 tokens, first in line 3)";
    assert_eq!(trace.fates.to_string(), line);
}

#[test]
fn a_failed_request_without_lengths_is_dropped_for_that() {
    let trace = parse(b"time,input_tokens,output_tokens,status\n1,9,,429\n2,,,500\n3,9,9,200\n").unwrap();
    assert_eq!((trace.rows, trace.records.len(), trace.fates.lost()), (3, 1, 2));
    assert_eq!(trace.fates.to_string(), "3 rows = 1 records + 2 dropped (2 no prompt or answer length, first in line 2)");
}

#[test]
fn a_wall_clock_recording_starts_with_its_first_arrival() {
    let text = b"TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:02+00:00,1,1\n2024-05-10 00:00:00.5+00:00,2,2\n";
    let trace = parse(text).unwrap();
    assert_eq!(trace.records.iter().map(|r| r.arrival.as_nanos()).collect::<Vec<_>>(), [0, 1_500_000_000]);
    assert_eq!(trace.head.origin.unix_ns, Some(1_715_299_200_500_000_000));
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
        (rows("1,,3"), "a.csv, line 3: there is no `input_tokens`"),
        (rows("1,2"), "a.csv, line 3: 2 fields where the header has 3"),
        (rows("1,2,3,4"), "a.csv, line 3: 4 fields where the header has 3"),
        (said(b""), "a.csv: the file has no row"),
        (said(b"time,input_tokens,output_tokens\n"), "a.csv: the file has no row"),
    ] {
        assert_eq!(said, expected);
    }
    let missing = said(b"time,input,output_tokens\n1,2,3\n");
    let header = "the header has: time, input, output_tokens (a map says what has other names)";
    assert_eq!(missing, format!("a.csv, line 1: there is no column `input_tokens`; {header}"));
}

proptest! {
    /// Whatever the bytes, an answer and no panic; and no row lost.
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), body in "[0-9,.\n\"-]{0,80}") {
        for text in [bytes, format!("time,input_tokens,output_tokens\n{body}").into_bytes()] {
            if let Ok(trace) = parse(&text) {
                prop_assert_eq!(trace.rows, trace.records.len() as u64 + trace.fates.lost());
                prop_assert!(trace.records.is_sorted_by_key(|record| record.arrival));
            }
        }
    }
}

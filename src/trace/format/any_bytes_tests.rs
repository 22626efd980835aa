//! Whatever the bytes, every reader answers without a panic, and rows read = records + rows dropped; what is damaged in one
//! row drops that row; what is damaged in the file is an error.

use std::io::{Cursor, Read as _, Write};

use proptest::prelude::*;

use super::formats_tests::{drain, read, read_with};
use crate::trace::source::ROW_BYTES_MAX;
use crate::trace::{DropReason, Format, Map, Options, Preset, TraceError, open, open_bytes};

/// A row or two of each format.
const SEEDS: [&str; 12] = [
    "time,input_tokens,output_tokens,class\n1,2,3,a\n2,3,4,\"b\nc\"\n",
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04,3180,8",
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n6,x,1,0,1,y\n",
    "startTime,endTime,prompt_tokens,completion_tokens\n2026-03-01 10:00:00,2026-03-01 10:00:04,100,50\n",
    "trace_version: 2\nrequest_id,arrival_time_us,send_time_us,input_tokens,output_tokens\n0,1000000,1250000,100,50\n",
    "{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [46, 47]}\n{\"timestamp\": 1}\n",
    "{\"chat_id\": 159, \"parent_chat_id\": -1, \"timestamp\": 61.114, \"input_length\": 521, \"output_length\": 132}\n",
    "{\"start_time\":\"2026-03-01T10:00:00.123Z\",\"duration\":1500,\"response_code\":429,\"response_flags\":\"RL\"}\n",
    "{\"sched\": 0.03, \"prompt\": 478, \"max_tokens\": 55, \"status\": 200, \"outcome\": \"ok\", \"chunks\": [0.12, 0.13], \"end\": 1.1}\n",
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"llm_request\",\"startTimeUnixNano\":\"1715299200000000000\",\"attributes\":[{\"key\":\"gen_ai.usage.prompt_tokens\",\"value\":{\"intValue\":\"5\"}},{\"key\":\"gen_ai.usage.completion_tokens\",\"value\":{\"intValue\":\"6\"}}]}]}]}]}\n",
    "{\"t\":0,\"run\":{\"schema\":1,\"variant\":\"base\",\"replication\":0,\"classes\":[\"r\"]}}\n{\"t\":5,\"request\":{\"id\":0,\"class\":0,\"tenant\":0,\"arrival\":5,\"input_tokens\":1,\"output_tokens\":1}}\n{\"t\":9,\"finish\":{\"request\":0,\"outcome\":\"good\"}}\n",
    "[{\"time\": 1, \"input_tokens\": 2, \"output_tokens\": 3},\n {\"time\": 2, \"input_tokens\": 2, \"output_tokens\": 3}]",
];

/// Rows of a text, or why there are none; a panic or a lost row fails.
fn answer(bytes: Vec<u8>, options: &Options) -> Result<u64, TraceError> {
    let read = drain(open_bytes(Cursor::new(bytes), "log", options)?)?;
    assert_eq!(read.fates.records, read.records.len() as u64);
    Ok(read.fates.rows())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn each_seed_is_a_format_of_its_own_and_reads() {
    let mut formats: Vec<Format> = SEEDS.iter().map(|seed| read(seed).reader.head().format).collect();
    formats.sort_unstable();
    formats.dedup();
    assert_eq!(formats.len(), SEEDS.len());
}

proptest! {
    /// Any bytes, as themselves, as each format that they may be said to be, and compressed.
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..120), text in "[{}\\[\\]\":,\n0-9a-z_ .-]{0,120}") {
        for bytes in [bytes, text.into_bytes()] {
            let _ = answer(bytes.clone(), &Options::default());
            let _ = answer(gzip(&bytes), &Options::default());
            for format in Format::ALL {
                let map: Map = "arrival=a,input=b,output=c".parse().unwrap();
                let _ = answer(bytes.clone(), &Options { format: Some(format), ..Options::default() });
                let _ = answer(bytes.clone(), &Options { format: Some(format), map: Some(map), ..Options::default() });
            }
            for preset in Preset::ALL {
                let _ = answer(bytes.clone(), &Options { preset: Some(preset), ..Options::default() });
            }
        }
    }

    /// A log of any format with a few bytes changed, cut out or cut off.
    #[test]
    fn damaged_logs_are_answered(seed in 0usize..12, at in 0usize..600, bytes in prop::collection::vec(any::<u8>(), 0..4), gone in 0usize..40, cut: bool) {
        let mut log = SEEDS[seed].as_bytes().repeat(2);
        let at = at % log.len();
        let end = (at + gone).min(log.len());
        log.splice(at..end, bytes);
        if cut {
            log.truncate(at);
        }
        let _ = answer(log, &Options::default());
    }

    /// A map of any columns over rows of any values.
    #[test]
    fn any_values_are_answered(rows in prop::collection::vec(("[-+0-9.eT:Z naNinf]{0,22}", "[-0-9.eNan]{0,12}", "[-0-9.e]{0,12}"), 1..6), kind in 0usize..9) {
        let kind = super::TimeKind::ALL[kind].name();
        let map: Map = format!("arrival=a:{kind},input=b,output=c,end=d:{kind}").parse().unwrap();
        let options = Options { map: Some(map), ..Options::default() };
        let table: Vec<String> = rows.iter().map(|(a, b, c)| format!("{a},{b},{c},{a}")).collect();
        let count = answer(format!("a,b,c,d\n{}\n", table.join("\n")).into_bytes(), &options);
        prop_assert_eq!(count, Ok(rows.len() as u64));
    }
}

#[test]
fn what_is_damaged_in_a_row_drops_that_row() {
    let text = "time,input_tokens,output_tokens\n1,2,3\nnever,2,3\n2,NaN,3\n2,-5,3\n2,,3\n,2,3\n2,3\n2,0,3\n2,3,0\n3,4,5\n99999999,1,1\n4,4,4\n";
    let read = read(text);
    assert_eq!((read.records.len(), read.fates.rows()), (3, 12));
    assert_eq!(
        read.dropped(),
        [
            (DropReason::BadTime, 3),
            (DropReason::BadTokens, 4),
            (DropReason::NoTime, 7),
            (DropReason::NoLength, 6),
            (DropReason::EmptyPrompt, 9),
            (DropReason::EmptyAnswer, 10),
            (DropReason::TimeJump, 12),
            (DropReason::Width, 8),
        ]
    );
    assert_eq!(read.fates.dropped[&DropReason::BadTokens].count, 2);
}

#[test]
fn ends_before_beginnings_and_lines_that_are_no_json_are_dropped() {
    let text = "{\"time\":5,\"input_tokens\":1,\"output_tokens\":1,\"end\":4}\nnonsense\n[1]\n{\"time\":5,\"input_tokens\":1,\"output_tokens\":1,\"end\":6}\n";
    let read = read(text);
    assert_eq!((read.records.len(), read.fates.rows()), (1, 4));
    assert_eq!(read.dropped(), [(DropReason::Backwards, 1), (DropReason::NotJson, 2)]);
}

#[test]
fn other_lines_between_those_of_a_log_are_dropped_and_do_not_hide_it() {
    let text = format!("{{\"level\":\"info\"}}\n{}{{\"level\":\"info\"}}\n", SEEDS[7]);
    let read = read(&text);
    assert_eq!((read.reader.head().format, read.records.len()), (Format::Envoy, 1));
    assert_eq!(read.dropped(), [(DropReason::NoTime, 1)]);
}

#[test]
fn mixed_line_ends_marks_and_quoted_newlines_lose_nothing() {
    let text = "\u{FEFF}time,input_tokens,output_tokens,class\r\n1,2,3,\"a\nb\"\r\n2,2,3,\"say \"\"c\"\"\"\n\n3,2,3,d";
    let read = read(text);
    assert_eq!((read.records.len(), read.fates.lost()), (3, 0));
    assert_eq!((read.class(0), read.class(1), read.class(2)), ("a\nb", "say \"c\"", "d"));
    assert_eq!(read.records.iter().map(|record| record.row).collect::<Vec<_>>(), [2, 4, 6]);
}

/// A row three times as long as a row may be, made while it is read: it is dropped with its number, and the next one is read. (That
/// it is not held: the tests of `rows`, `source` and `pieces`.)
#[test]
fn a_row_of_any_length_is_dropped_with_its_number() {
    const SPAN: &str = r#"{"name":"llm_request","spanId":"01","startTimeUnixNano":"1760000000000000000","attributes":[{"key":"gen_ai.usage.prompt_tokens","value":{"intValue":"1"}},{"key":"gen_ai.usage.completion_tokens","value":{"intValue":"1"}}]}"#;
    let (csv, jsonl) = ("time,input_tokens,output_tokens\n", "{\"time\":0,\"input_tokens\":1,\"output_tokens\":1}\n");
    let (spans, span) = (format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{SPAN},"), format!("{SPAN}]}}]}}]}}"));
    for (before, open, close, after, row) in [
        (format!("{csv}0,1,1\n"), "1,", ",1\n", "2,1,1\n".to_owned(), 3),
        (format!("{csv}0,1,1\n"), "1,\"", "\",1\n", "2,1,1\n".to_owned(), 3),
        (jsonl.to_owned(), "{\"time\":\"", "\"}\n", jsonl.to_owned(), 2),
        (spans, "{\"name\":\"", "\"},", span, 2),
    ] {
        let bytes = Cursor::new(format!("{before}{open}"))
            .chain(std::io::repeat(b'7').take(3 * ROW_BYTES_MAX as u64))
            .chain(Cursor::new(format!("{close}{after}")));
        let read = drain(open_bytes(bytes, "log", &Options::default()).unwrap()).unwrap();
        assert_eq!((read.records.len(), read.dropped()), (2, vec![(DropReason::TooLong, row)]), "{before}");
    }
}

#[test]
fn what_is_damaged_in_a_file_is_an_error() {
    let said = |text: &str, options: &Options| read_with(text, options).err().unwrap().to_string();
    let auto = Options::default();
    let claimed = |format: Format| Options { format: Some(format), ..Options::default() };
    for (said, part) in [
        (said("", &auto), "log: the file has no row"),
        (said(" \n\n", &auto), "log: the file has no row"),
        (said("time,input_tokens,output_tokens\n", &auto), "log: the file has no row"),
        (said("hello \u{1b}[31m\u{7}world\n", &auto), "(it begins with `hello \\u{1b}[31m\\u{7}world`)"),
        (said("hello world\n", &auto), "of no format known here (it begins with `hello world`): say which columns hold what"),
        (said(SEEDS[0], &claimed(Format::Mooncake)), "log: not mooncake"),
        (said(SEEDS[5], &claimed(Format::Azure2023)), "log: not azure-2023"),
        (said(SEEDS[5], &claimed(Format::Bailian)), "log: not bailian: there is no `chat_id` among"),
        (said(SEEDS[5], &claimed(Format::Driver)), "log: not driver"),
        (said(SEEDS[5], &claimed(Format::Otlp)), "log: not otlp"),
        (
            said(
                "INFO 11-22 10:00:00 [api_server.py:1] starting\nINFO:     127.0.0.1:54321 - \"POST /v1/completions HTTP/1.1\" 200 OK\n",
                &auto,
            ),
            "an access log of uvicorn cannot be replayed: it has no times and no tokens. Take OpenTelemetry spans",
        ),
    ] {
        assert!(said.contains(part), "{said}");
    }
    let map =
        Options { map: Some("arrival=when,input=input_tokens,output=output_tokens".parse().unwrap()), ..Options::default() };
    let unmapped = said("time;x,input_tokens,output_tokens\n1,2,3\n", &map);
    assert!(unmapped.contains("line 1: there is no column `when`; the header has: time;x, input_tokens"), "{unmapped}");
}

#[test]
fn a_folder_and_a_log_that_was_cut_off_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path(), &Options::default()).err().unwrap().to_string();
    assert!(opened.contains("without chunk-N-trace.csv"), "{opened}");
    let rows: Vec<String> = (0..200_000).map(|n| format!("{n},{},{}", n * 7 % 1_000 + 1, n * 13 % 777 + 1)).collect();
    let mut packed = gzip(format!("time,input_tokens,output_tokens\n{}\n", rows.join("\n")).as_bytes());
    let whole = answer(packed.clone(), &Options::default());
    assert_eq!(whole, Ok(200_000));
    packed.truncate(packed.len() - 1_000);
    let cut = answer(packed, &Options::default()).unwrap_err();
    assert!(matches!(&cut, TraceError::Read { line, .. } if *line > 100_000), "{cut}");
    assert!(cut.to_string().contains("the file is cut off; copy it again"), "{cut}");
    let early = answer(gzip(b"time,input_tokens,output_tokens\n0,1,1\n")[..30].to_vec(), &Options::default()).unwrap_err();
    assert!(early.to_string().starts_with("log: reading stopped before its first line: "), "{early}");
}

//! Tests of `journal.rs`: what `simulate --journal` writes comes back as one record for each request.

use crate::trace::format::formats_tests::read;
use crate::trace::{DropReason, Ended, Format};

const HEAD: &str = r#"{"t":0,"run":{"schema":1,"variant":"base","replication":0,"seed":"1","classes":["chat","batch"],"policy":{},"settings_hash":"0"}}"#;

fn request(id: u64, at: u64, class: u16) -> String {
    format!(
        r#"{{"t":{at},"request":{{"id":{id},"class":{class},"tenant":{id},"arrival":{at},"input_tokens":100,"input_estimate":100,"output_tokens":20,"max_tokens":64,"service":"1s","patience":null,"prefix":{{"group":3,"tokens":40}},"later":7}}}}"#
    )
}

fn arrive(id: u32, request: u64, at: u64) -> String {
    format!(r#"{{"t":{at},"in":{{"arrive":{{"id":{{"idx":{id},"version":1}},"request":{request},"class":0}}}}}}"#)
}

fn relay(id: u32, at: u64) -> String {
    format!(r#"{{"t":{at},"out":{{"relay":{{"attempt":{{"idx":{id},"version":1}}}}}}}}"#)
}

fn finish(request: u64, at: u64, outcome: &str) -> String {
    format!(r#"{{"t":{at},"finish":{{"request":{request},"outcome":{outcome},"attempts":1}}}}"#)
}

#[test]
fn a_request_its_tries_and_its_end_are_one_record() {
    let lines = [
        HEAD.to_owned(),
        request(0, 10, 0),
        arrive(1, 0, 10),
        request(1, 20, 1),
        arrive(2, 1, 25),
        r#"{"t":26,"in":"wake"}"#.to_owned(),
        finish(1, 30, r#"{"rejected":"queue_full"}"#),
        arrive(3, 0, 40),
        relay(3, 50),
        finish(0, 70, r#""late""#),
        request(2, 80, 0),
        r#"{"t":90,"end":{"digest":"00"}}"#.to_owned(),
    ];
    let read = read(&lines.join("\n"));
    assert_eq!((read.reader.head().format, read.records.len(), read.fates.lost()), (Format::Journal, 3, 0));
    let [refused, served, open] = &read.records[..] else { panic!("three records") };
    assert_eq!((refused.row, refused.ended, refused.sent.unwrap().as_nanos()), (4, Some(Ended::Refused), 25));
    assert_eq!((served.arrival.as_nanos(), served.sent.unwrap().as_nanos()), (10, 10));
    assert_eq!((served.first_byte.unwrap().as_nanos(), served.last_byte.unwrap().as_nanos()), (50, 70));
    assert_eq!((served.ended, served.lengths()), (Some(Ended::Complete), Some((100, 20))));
    assert_eq!((open.ended, open.end), (None, None));
    assert_eq!((read.class(0), read.class(1), read.tenant(0), read.tenant(1)), ("batch", "chat", "tenant-1", ""));
    // 40 tokens of a shared prefix are two whole blocks, the same for all of its group.
    assert_eq!((refused.prefix.len(), &refused.prefix), (2, &served.prefix));
}

#[test]
fn of_several_runs_the_first_is_read_and_damaged_lines_are_counted() {
    let second = HEAD.replace(r#""replication":0"#, r#""replication":1"#);
    let lines = [HEAD.to_owned(), request(0, 10, 0), "{\"t\":".to_owned(), request(7, 11, 9), second, request(0, 10, 0)];
    let read = read(&lines.join("\n"));
    assert_eq!((read.records.len(), read.fates.rows()), (1, 3));
    assert_eq!(read.dropped(), [(DropReason::NoValue, 4), (DropReason::NotJson, 3)]);
    assert!(read.reader.head().notes.iter().any(|note| note.contains("only the first was read")));
}

//! Tests of `flight.rs`: what a gateway's recorder writes comes back as one record for each attempt.

use crate::trace::format::formats_tests::read;
use crate::trace::{Ended, Format};

const HEAD: &str =
    r#"{"t":5,"segment":{"schema":1,"segment":1,"first":0,"missed":0,"classes":["chat","other"],"policy":{},"state":{}}}"#;

fn id(id: u32) -> String {
    format!(r#"{{"idx":{id},"version":1}}"#)
}

fn arrive(attempt: u32, at: u64) -> String {
    let attempt = id(attempt);
    format!(
        r#"{{"t":{at},"in":{{"arrive":{{"id":{attempt},"request":0,"class":0,"tenant":2,"route":0,"priority":0,"number":2,"input_estimate":90,"max_tokens":64}}}}}}"#
    )
}

fn line(at: u64, what: &str) -> String {
    format!(r#"{{"t":{at},{what}}}"#)
}

fn refused(attempt: u32, at: u64, kind: &str) -> String {
    line(
        at,
        &format!(
            r#""out":{{"answer":{{"attempt":{},"refusal":{{"status":503,"kind":{kind},"retry_after":null}}}}}}"#,
            id(attempt)
        ),
    )
}

#[test]
fn each_attempt_is_a_record() {
    let lines = [
        HEAD.to_owned(),
        arrive(1, 10),
        line(10, &format!(r#""out":{{"start":{{"attempt":{},"call":{},"kind":"first"}}}}"#, id(1), id(7))),
        arrive(2, 12),
        refused(2, 12, r#"{"rejected":"queue_full"}"#),
        line(20, &format!(r#""out":{{"relay":{{"attempt":{}}}}}"#, id(1))),
        line(
            30,
            &format!(
                r#""in":{{"ended":{{"call":{},"end":{{"ok":{{"usage":{{"input":80,"output":33}},"finish":"stop"}}}}}}}}"#,
                id(7)
            ),
        ),
        line(30, &format!(r#""out":{{"complete":{{"attempt":{},"degraded":false}}}}"#, id(1))),
        arrive(3, 40),
        refused(3, 50, r#"{"upstream":"overloaded"}"#),
        arrive(4, 60),
        refused(4, 70, r#""timed_out""#),
        arrive(5, 80),
        line(90, &format!(r#""in":{{"gone":{{"attempt":{}}}}}"#, id(5))),
        arrive(6, 95),
    ];
    let read = read(&lines.join("\n"));
    assert_eq!(read.reader.head().format, Format::Journal);
    let came: Vec<_> = read.records.iter().map(|record| (record.row, record.ended, record.lengths())).collect();
    let none = |row, ended| (row, Some(ended), None);
    assert_eq!(
        came,
        [
            none(4, Ended::Refused),
            (2, Some(Ended::Complete), Some((80, 33))),
            none(9, Ended::Refused),
            none(11, Ended::TimedOut),
            none(13, Ended::Left),
        ]
    );
    assert_eq!(read.fates.lost(), 1, "what is not over has no length");
    let served = &read.records[1];
    assert_eq!((served.first_byte.unwrap().as_nanos(), served.last_byte.unwrap().as_nanos()), (20, 30));
    assert_eq!((served.attempt, read.class(1), read.tenant(1)), (Some(2), "chat", "tenant-2"));
}

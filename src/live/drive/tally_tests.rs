//! Attempts made by hand: what they add up to.

use std::sync::Arc;

use super::super::line::Word;
use super::super::line::tests::{at, line};
use super::super::load::Load;
use super::*;
use crate::request::Reason;
use crate::time::Span;
use crate::workload::{ArrivalSettings, ClassSettings, SourceSettings};

fn load() -> Load {
    let class = |name: &str| -> ClassSettings {
        let length = |tokens: u32| serde_json::json!({ "dist": "fixed", "value": tokens });
        let class = serde_json::json!({ "name": name, "input": length(20), "output": length(3), "max_tokens": 9 });
        serde_json::from_value(class).unwrap()
    };
    let arrival: ArrivalSettings = serde_json::from_value(serde_json::json!({ "process": "constant", "rate": 2.0 })).unwrap();
    let workload = SourceSettings {
        arrival: Some(arrival),
        classes: vec![class("chat"), class("batch")],
        recorded: Vec::new(),
        pairs: Vec::new(),
        capacity_rps: None,
        service: None,
        entity_streams: true,
        end: Span::from_secs(10),
    };
    let window = Window { start: at(1_000), end: at(10_000), drained: at(20_000) };
    Load { workload: Arc::new(workload), window, seed: 1, replication: 0 }
}

#[test]
fn every_request_of_the_window_is_in_one_column() {
    let refused = |line: Line| Line {
        outcome: Word::HttpError,
        chunks: Vec::new(),
        done: None,
        usage: None,
        status: Some(503),
        column: None,
        ..line
    };
    let rejected = Some(Outcome::Rejected(Reason::UpstreamFull));
    let lines = [
        line(0, 500), // in the warm-up
        line(1, 2_000),
        Line { column: Some(Outcome::Late), ..line(2, 3_000) },
        refused(line(3, 4_000)),
        Line { attempt: 2, sched: at(5_000), arrival: at(4_000), ..line(3, 5_000) },
        Line { column: rejected, class: "batch".to_owned(), ..refused(line(4, 6_000)) },
        Line { end: at(20_000), ..refused(line(5, 7_000)) }, // in backoff at the end
        Line { end: at(20_000), outcome: Word::Exc, attempt: 2, ..refused(line(5, 8_000)) },
    ];
    let tally = tally(&load(), &lines);
    let [chat, batch] = &tally.classes[..] else { panic!("two classes") };
    assert_eq!((chat.offered, chat.good, chat.late, chat.in_flight), (4, 2, 1, 1));
    assert_eq!((chat.attempts, chat.retried, chat.accounted()), (6, 2, 4));
    assert_eq!((batch.offered, batch.rejected[Reason::UpstreamFull as usize]), (1, 1));
    // From the request's own arrival, not its last attempt's: 1.1 s for the one tried again.
    assert_eq!((chat.ttft.count(), chat.ttft.sum), (3, 100_000_000 + 100_000_000 + 1_100_000_000));
    assert_eq!((chat.itl.count(), chat.itl.sum), (6, 3 * 50_000_000));
    let sum = |bins: &[u32]| bins.iter().sum::<u32>();
    assert_eq!((sum(&tally.series.offered), sum(&tally.series.good), sum(&tally.series.completed)), (6, 3, 4));
    assert_eq!(tally.series.backlog.last(), Some(&1));
    assert_eq!(tally.series.backlog[tally.series.index(at(6_500))], 0);
}

/// The order in which attempts ended does not matter, and another request is another digest.
#[test]
fn the_digest_is_of_the_requests() {
    let (one, two) = (line(1, 2_000), line(2, 3_000));
    let digest = |lines: &[Line]| tally(&load(), lines).digest;
    assert_eq!(digest(&[one.clone(), two.clone()]), digest(&[two.clone(), one.clone()]));
    assert_ne!(digest(&[one.clone(), two.clone()]), digest(&[one, Line { prompt: 21, ..two }]));
}

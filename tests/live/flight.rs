//! What a gateway's flight recorder writes can be read as a log.

use std::io::Cursor;

use plimsoll::journal::{Event, What};
use plimsoll::policy::{Action, Attempt, CallEnd, Finish, Gateway, Input, Settings, Usage};
use plimsoll::request::AttemptId;
use plimsoll::time::Time;
use plimsoll::trace::{Ended, Options, Row, open_bytes};

const HEAD: &str =
    r#"{"t":5,"segment":{"schema":1,"segment":1,"first":0,"missed":0,"classes":["chat"],"policy":{},"state":{}}}"#;

/// The real thing: what is written of a gateway's inputs and decisions is what is read.
#[test]
fn a_gateways_own_events_are_understood() {
    let mut gateway = Gateway::new(&Settings::default());
    let mut ids = slotmap::SlotMap::<AttemptId, ()>::with_key();
    let mut lines = vec![HEAD.to_owned()];
    let attempt = Attempt::new(ids.insert(()), 50, 20);
    let mut tell = |now: Time, input: Input| {
        lines.push(serde_json::to_string(&Event { t: now, what: What::In(input.clone()) }).unwrap());
        gateway.handle(now, input);
        let mut calls = Vec::new();
        while let Some(action) = gateway.poll() {
            if let Action::Start { call, .. } = action {
                calls.push(call);
            }
            lines.push(serde_json::to_string(&Event { t: now, what: What::Out(action) }).unwrap());
        }
        calls
    };
    let call = tell(Time::from_nanos(10), Input::Arrive(attempt))[0];
    tell(Time::from_nanos(20), Input::FirstByte { call });
    let end = CallEnd::Ok { usage: Some(Usage { input: 48, output: 17 }), finish: Finish::Stop };
    tell(Time::from_nanos(30), Input::Ended { call, end });
    let mut reader = open_bytes(Cursor::new(lines.join("\n")), "segment.jsonl", &Options::default()).unwrap();
    let Some(Row::Record(record)) = reader.next().unwrap() else { panic!("a record") };
    assert_eq!((record.lengths(), record.ended), (Some((48, 17)), Some(Ended::Complete)));
    assert_eq!(record.first_byte, Some(Time::from_nanos(20)));
    assert!(reader.next().unwrap().is_none());
}

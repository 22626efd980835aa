//! What is written is read back.

use std::io::Cursor;

use proptest::prelude::*;

use super::super::flow::property_tests::any_record;
use super::super::flow::{Flow, Rules};
use super::super::format::Format;
use super::super::reader::{Options, Origin, Reader, Row};
use super::super::{open, open_bytes};
use super::*;
use crate::time::{Span, Time};

fn read(path: &Path) -> (Vec<Record>, Head, Names) {
    let mut reader = open(path, &Options::default()).unwrap();
    let mut records = Vec::new();
    while let Some(row) = reader.next().unwrap() {
        let Row::Record(record) = row else { panic!("{row:?}") };
        records.push(record);
    }
    (records, reader.head().clone(), reader.names().clone())
}

fn names() -> Names {
    let mut names = Names::default();
    for name in ["plain", "with, comma", "with \"quotes\" and\nnewline"] {
        names.classes.id(name);
        names.tenants.id(name);
    }
    names
}

/// Times on the wall clock, so that records of different origins compare.
fn on_the_wall(mut record: Record, origin: Origin) -> (Record, Vec<Option<i64>>) {
    let wall = |time: &mut Time| origin.unix_ns_at(std::mem::take(time));
    let mut times = vec![wall(&mut record.arrival)];
    for time in [&mut record.sent, &mut record.first_byte, &mut record.last_byte, &mut record.end] {
        times.push(time.as_mut().and_then(wall));
    }
    times.extend(record.chunks.iter_mut().map(wall));
    (record, times)
}

/// Nothing of a request comes before it: such a row would be dropped as damaged.
fn not_before_arrival(record: &mut Record) {
    let arrival = record.arrival;
    let times = [&mut record.sent, &mut record.first_byte, &mut record.last_byte, &mut record.end].into_iter().flatten();
    times.chain(record.chunks.iter_mut()).for_each(|time| *time = arrival.max(*time));
}

fn named(mut record: Record, names: &Names) -> (Record, Option<String>, Option<String>) {
    let class = record.class.take().map(|id| names.classes.name(id).to_owned());
    let tenant = record.tenant.take().map(|id| names.tenants.name(id).to_owned());
    (record, class, tenant)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_read_back_without_loss(
        mut records in prop::collection::vec(any_record(), 1..20),
        wall: bool,
        block_tokens in prop::option::of(1..1_000_u32),
        ending in prop::sample::select(vec!["csv", "csv.gz", "csv.zst"]),
    ) {
        let lead = if wall { Origin::LEAD } else { Span::ZERO };
        for record in &mut records {
            record.shift_later(lead);
            not_before_arrival(record);
        }
        let mut head = Head::new("given", Format::Csv, String::new());
        head.block_tokens = block_tokens;
        head.origin = Origin { unix_ns: wall.then_some(1_700_000_000_123_456_789) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("out.{ending}"));
        let mut writer = Writer::create(&path, Target::Csv).unwrap();
        for record in &records {
            writer.write(record, &head, &names()).unwrap();
        }
        writer.finish().unwrap();
        let (back, new_head, new_names) = read(&path);
        prop_assert_eq!((new_head.format, new_head.block_tokens), (Format::Canonical, block_tokens));
        prop_assert_eq!(back.len(), records.len());
        for (before, after) in records.into_iter().zip(back) {
            let (before, after) = (named(before, &names()), named(after, &new_names));
            prop_assert_eq!((&before.1, &before.2), (&after.1, &after.2));
            if wall {
                prop_assert_eq!(on_the_wall(before.0, head.origin), on_the_wall(after.0, new_head.origin));
            } else {
                prop_assert_eq!(before.0, after.0);
            }
        }
    }
}

const MOONCAKE: &str = r#"{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
{"timestamp": 27, "input_length": 10, "output_length": 490, "hash_ids": [0, 14]}
{"timestamp": 3000.25, "input_length": 7236, "output_length": 794}
"#;

#[test]
fn mooncakes_lines_come_out_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let open = || open_bytes(Cursor::new(MOONCAKE), "m", &Options::default());
    let mut flow = Flow::new(Box::new(open), Rules::as_logged()).unwrap();
    let mut writer = Writer::create(&path, Target::Mooncake).unwrap();
    while let Some(record) = flow.next().unwrap() {
        writer.write(&record, flow.head(), flow.names()).unwrap();
    }
    assert!(!path.exists(), "nothing stands there before it is whole");
    writer.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), MOONCAKE);
}

#[test]
fn mooncakes_lines_need_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let mut writer = Writer::create(&path, Target::Mooncake).unwrap();
    let head = Head::new("given", Format::Csv, String::new());
    let wrong = writer.write(&Record { row: 7, ..Record::default() }, &head, &Names::default()).unwrap_err();
    assert!(wrong.to_string().contains("line 7"));
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_name_says_what_is_written() {
    let of = |name: &str| Target::of_name(Path::new(name));
    assert_eq!([of("a.csv"), of("b.CSV.gz"), of("c.csv.zst")], [Some(Target::Csv); 3]);
    assert_eq!([of("a.jsonl"), of("b.jsonl.gz")], [Some(Target::Mooncake); 2]);
    assert_eq!([of("a.json"), of("gz"), of("csv")], [None; 3]);
}

#[test]
fn what_was_edited_by_hand_is_read_row_by_row() {
    let text = "arrival_ns,input_tokens,output_tokens,ended,source_row\n5,1,2,complete,9\nx,1,2,,\n6,-1,2,,\n7,1,2,gone,\n8,1,,refused,\n";
    let mut reader = open_bytes(Cursor::new(text), "m", &Options::default()).unwrap();
    let mut seen = Vec::new();
    while let Some(row) = reader.next().unwrap() {
        seen.push(match row {
            Row::Record(record) => format!("{} {:?}", record.row, record.lengths()),
            Row::Dropped(dropped) => dropped.problem.reason().key().to_owned(),
        });
    }
    assert_eq!(seen, ["9 Some((1, 2))", "bad_time", "bad_tokens", "bad_value", "6 None"]);
}

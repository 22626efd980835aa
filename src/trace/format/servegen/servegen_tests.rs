//! Tests of `servegen/`: arrivals from folders and archives, by seed, with tenants.

use std::io::Cursor;

use crate::trace::format::formats_tests::{Read, drain, public};
use crate::trace::{Format, Options, open, open_bytes};

const TRACE: &str = "0,1,1,Gamma,1,1\n600,0,0,,0,0\n";
const QUIET: &str = "0,0.1,1,Weibull,0.5,1\n600,0.1,1,Gamma,2,1\n";

fn dataset(input: u32) -> String {
    format!(r#"{{"0": {{"input_tokens": "{{{input}: 1.0}}", "output_tokens": "{{4: 0.5, 8: 0.5}}", "reason_ratio": "{{}}"}}}}"#)
}

fn files() -> [(&'static str, String); 4] {
    [
        ("chunk-3-trace.csv", TRACE.to_owned()),
        ("chunk-3-dataset.json", dataset(30)),
        ("chunk-12-trace.csv", QUIET.to_owned()),
        ("chunk-12-dataset.json", dataset(120)),
    ]
}

fn archive(files: &[(&str, String)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("reason/{name}"), text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn from_archive(seed: u64) -> Read {
    let packed = zstd::encode_all(&archive(&files())[..], 1).unwrap();
    drain(open_bytes(Cursor::new(packed), "s.tar.zst", &Options { seed, ..Options::default() }).unwrap()).unwrap()
}

#[test]
fn clients_become_tenants_and_their_rates_hold() {
    let read = from_archive(1);
    assert_eq!((read.reader.head().format, read.fates.lost()), (Format::ServeGen, 0));
    let of = |tenant: &str| (0..read.records.len()).filter(|at| read.tenant(*at) == tenant).count();
    assert_eq!((of("client-3"), of("client-12"), read.records.len()), (600, 120, 720));
    assert!(read.records.is_sorted_by_key(|record| record.arrival));
    for (at, record) in read.records.iter().enumerate() {
        let input = if read.tenant(at) == "client-3" { 30 } else { 120 };
        assert_eq!(record.input_tokens, Some(input));
    }
}

#[test]
fn the_same_seed_draws_the_same_arrivals_from_a_folder_too() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files() {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let folder = |seed| drain(open(folder.path(), &Options { seed, ..Options::default() }).unwrap()).unwrap().records;
    assert_eq!(folder(1), from_archive(1).records);
    assert_ne!(folder(1), folder(2));
}

#[test]
fn a_client_with_half_a_description_is_an_error() {
    let half = archive(&files()[..3]);
    let error = open_bytes(Cursor::new(half), "s.tar", &Options::default()).err().unwrap().to_string();
    assert!(error.contains("client 12 has only one of chunk-12-trace.csv and chunk-12-dataset.json"), "{error}");
    let mut damaged = files();
    damaged[1].1 = damaged[1].1.replace("30:", "exit():");
    let error = open_bytes(Cursor::new(archive(&damaged)), "s.tar", &Options::default()).err().unwrap().to_string();
    assert!(error.contains("chunk-3-dataset.json") && error.contains("`exit(): 1.0` is not TOKENS: SHARE"), "{error}");
}

#[test]
fn the_public_description_draws_a_day() {
    let Some(path) = public("servegen/deepseek-r1.tar.zst") else { return };
    let read = drain(open(&path, &Options { seed: 1, ..Options::default() }).unwrap()).unwrap();
    // The sum of rate times 600 s over all of its windows.
    let expected = 1_383_669.0;
    let found = read.records.len() as f64;
    assert!((found - expected).abs() < 120.0, "{found} arrivals, {expected} expected");
    assert!(read.arrivals_ms().last().is_some_and(|last| *last < 86_400_000));
}

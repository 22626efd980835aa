//! How fast logs are read: rows a second of CPU time on one core, by format and compression.
//!
//! `cargo bench --bench trace`. The rows have the shape of Azure's trace of 2024 (a date with a zone, two lengths) or of
//! Mooncake's, and are made before the clock starts. Medians of rounds, of which each opens the log anew.

use std::io::{Cursor, Write};

use plimsoll::rng::mix;
use plimsoll::trace::{Options, open_bytes};
use rustix::time::{ClockId, clock_gettime};

/// Rows of one measurement.
const ROWS: u64 = 1_000_000;
/// Measurements of each case, of which the median is printed.
const ROUNDS: usize = 5;

fn main() {
    let azure = azure();
    let mooncake = mooncake();
    measure("Azure 2024, CSV", &azure);
    measure("Azure 2024, CSV, gzip", &gzip(&azure));
    measure("Azure 2024, CSV, zstd", &zstd::encode_all(&azure[..], 3).expect("memory is writable"));
    measure("Mooncake, JSON Lines", &mooncake);
}

/// Prints the median of the rounds.
fn measure(name: &str, log: &[u8]) {
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| rate(log)).collect();
    rates.sort_by(f64::total_cmp);
    let megabytes = log.len() as f64 / 1e6;
    println!("{name:24} {:10.0} rows/s of CPU time, {megabytes:.0} MB", rates[ROUNDS / 2]);
}

fn rate(log: &[u8]) -> f64 {
    let log = Cursor::new(log.to_vec());
    let start = cpu_secs();
    let mut reader = open_bytes(log, "log", &Options::default()).expect("a log of a known format");
    let (mut rows, mut tokens) = (0, 0);
    while let Some(row) = reader.next().expect("a whole log") {
        let plimsoll::trace::Row::Record(record) = row else { panic!("a row in order") };
        tokens += u64::from(record.input_tokens.unwrap_or(0));
        rows += 1;
    }
    assert!(rows == ROWS && tokens > 0);
    rows as f64 / (cpu_secs() - start)
}

fn cpu_secs() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn azure() -> Vec<u8> {
    let mut text = b"TIMESTAMP,ContextTokens,GeneratedTokens\n".to_vec();
    for n in 0..ROWS {
        let micros = n * 36_000; // 27.8 a second, as in the week of 2024
        let (hour, minute, second) = (micros / 3_600_000_000 % 24, micros / 60_000_000 % 60, micros / 1_000_000 % 60);
        let (input, output) = (mix(1, n) % 8_000 + 1, mix(2, n) % 1_000 + 1);
        let micros = micros % 1_000_000;
        let day = 10 + n * 36 / 86_400_000;
        writeln!(text, "2024-05-{day} {hour:02}:{minute:02}:{second:02}.{micros:06}+00:00,{input},{output}")
            .expect("memory is writable");
    }
    text
}

fn mooncake() -> Vec<u8> {
    let mut text = Vec::new();
    for n in 0..ROWS {
        let input = mix(1, n) % 8_000 + 1;
        let blocks: Vec<u64> = (0..input / 512).map(|block| mix(n, block) % 200_000).collect();
        let output = mix(2, n) % 1_000 + 1;
        writeln!(
            text,
            r#"{{"timestamp": {}, "input_length": {input}, "output_length": {output}, "hash_ids": {blocks:?}}}"#,
            n * 36
        )
        .expect("memory is writable");
    }
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory is writable");
    encoder.finish().expect("memory is writable")
}

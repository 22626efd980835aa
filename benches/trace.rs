//! How fast and in how much memory logs are read: rows a second of CPU time on one core, and the most memory that a process
//! ever held, for an eighth of a log and for the whole.
//!
//! `cargo bench --bench trace`, with `PLIMSOLL_TRACE_ROWS=1000000` for a shorter log than the 16.8 million rows of Azure's
//! week of 2024, in whose shape it is made (dates with a zone, two lengths) in a temporary folder, plain, gzip and zstd. Each
//! measurement is a process of its own that opens the file: one that reads alone, one through the flow with all its rules (order,
//! duplicates, folding, grid, lengths), one that makes statistics, and one that replays it from end to end through a stack of
//! policies in front of four servers of the H100 preset, on one core. The median of three is printed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use plimsoll::rng::mix;
use plimsoll::trace::flow::{Flow, Rules};
use plimsoll::trace::stats::Stats;
use plimsoll::trace::{Options, Row, open};
use rustix::time::{ClockId, clock_gettime};

/// Rows of Azure's week of 2024.
const WEEK: u64 = 16_800_000;
/// Tells the process that it is to measure: what and which file.
const TASK: &str = "PLIMSOLL_TRACE_BENCH";
const ROUNDS: usize = 3;

fn main() {
    if let Ok(task) = std::env::var(TASK) {
        let (what, path) = task.split_once(' ').expect("a task and a path");
        let start = cpu_secs();
        let rows = work(what, Path::new(path));
        println!("{rows} {} {}", cpu_secs() - start, peak_kib());
        return;
    }
    let rows = std::env::var("PLIMSOLL_TRACE_ROWS").map_or(WEEK, |rows| rows.parse().expect("a number of rows"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!("{:40} {:>12} {:>14} {:>9}", "", "rows", "rows/CPU s", "peak MiB");
    for (name, rows) in [("an eighth", rows / 8), ("the whole", rows)] {
        for ending in ["csv", "csv.gz", "csv.zst"] {
            let path = folder.path().join(format!("azure.{ending}"));
            azure(&path, rows);
            let tasks: &[&str] = if ending == "csv" { &["read", "flow", "stats", "replay"] } else { &["read"] };
            for task in tasks {
                measure(&format!("Azure 2024, {name}, {ending}: {task}"), task, &path);
            }
            fs::remove_file(&path).expect("it was written");
        }
    }
    let path = folder.path().join("mooncake.jsonl");
    mooncake(&path, rows / 16);
    measure("Mooncake, a sixteenth, jsonl: read", "read", &path);
}

/// What a process measures: rows.
fn work(what: &str, path: &Path) -> u64 {
    let mut rows = 0;
    if what == "read" {
        let mut reader = open(path, &Options::default()).expect("a log of a known format");
        let mut tokens = 0;
        while let Some(row) = reader.next().expect("a whole log") {
            let Row::Record(record) = row else { panic!("a row in order") };
            tokens += u64::from(record.input_tokens.unwrap_or(0));
            rows += 1;
        }
        assert!(tokens > rows);
        return rows;
    }
    if what == "replay" {
        return replay(path);
    }
    let mut flow = Flow::open(path, &Options::default(), Rules::default()).expect("a log of a known format");
    let mut stats = Stats::new();
    while let Some(record) = flow.next().expect("a whole log") {
        if what == "stats" {
            stats.count(&record);
        }
        rows += 1;
    }
    let accounts = flow.accounts();
    assert!(accounts.adds_up() && accounts.fates.rows() == rows);
    rows
}

/// The world of the replay: servers that such a log keeps busy, and the seed's stack sized for them.
const WORLD: &str = r#"
schema = 1
[run]
seed = 1
duration = "7d"
[upstream]
kind = "vllm"
preset = "llama-3.1-8b-h100"
replicas = 4
[[class]]
name = "chat"
arrival = { process = "poisson", rate = 28 }
input = { dist = "fixed", value = 500 }
output = { dist = "fixed", value = 200 }
slo = { e2e = "60s" }
[policy.graduated]
max_abandoned = 10
[policy.queue]
max_queue_size = 248
[policy.concurrency]
max_concurrent_requests = 1024
[policy.timeout]
request_timeout = "60s"
"#;

fn replay(path: &Path) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [world, out] = ["world.toml", "out"].map(|name| folder.path().join(name));
    fs::write(&world, WORLD).expect("room on the disk");
    let arguments = ["plimsoll", "replay", "--jobs", "1", "--quiet", "--format", "json", "--scenario"].map(OsString::from);
    let paths = [world.into(), "--out".into(), out.clone().into(), path.into()];
    assert!(matches!(plimsoll::cli::run(arguments.into_iter().chain(paths)), plimsoll::cli::Exit::Done), "a replay");
    let result = fs::read_to_string(out.join("result.json")).expect("a result");
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    result["replay"]["log"]["replayed"].as_u64().expect("how many were replayed")
}

/// Prints the median of the rounds.
fn measure(name: &str, task: &str, path: &Path) {
    let mut rounds: Vec<(f64, u64, u64)> = (0..ROUNDS).map(|_| round(task, path)).collect();
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (rate, rows, kib) = rounds[ROUNDS / 2];
    println!("{name:40} {rows:12} {rate:14.0} {:9.1}", kib as f64 / 1024.0);
}

fn round(task: &str, path: &Path) -> (f64, u64, u64) {
    let own: PathBuf = std::env::current_exe().expect("this program");
    let output = Command::new(own).env(TASK, format!("{task} {}", path.display())).output().expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("figures");
    // A replay prints its result before.
    let mut figures = text.lines().last().unwrap_or_default().split_whitespace();
    let mut next = || figures.next().expect("three figures");
    let rows: u64 = next().parse().expect("rows");
    let secs: f64 = next().parse().expect("seconds");
    (rows as f64 / secs, rows, next().parse().expect("KiB"))
}

fn cpu_secs() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// The most memory that this process ever held, KiB; 0 where the system does not say.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A file, compressed as its name says.
fn created(path: &Path) -> Box<dyn Write> {
    let file = BufWriter::with_capacity(1 << 18, File::create(path).expect("a temporary file"));
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(BufWriter::new(GzEncoder::new(file, Compression::default()))),
        Some("zst") => Box::new(BufWriter::new(zstd::Encoder::new(file, 3).expect("memory").auto_finish())),
        _ => Box::new(file),
    }
}

fn azure(path: &Path, rows: u64) {
    let mut file = created(path);
    writeln!(file, "TIMESTAMP,ContextTokens,GeneratedTokens").expect("room on the disk");
    let mut micros = 0;
    for n in 0..rows {
        micros += mix(3, n) % 72_000; // 27.8 a second on the mean, as in the week of 2024
        let (day, hour, minute) = (10 + micros / 86_400_000_000, micros / 3_600_000_000 % 24, micros / 60_000_000 % 60);
        let (second, micro) = (micros / 1_000_000 % 60, micros % 1_000_000);
        let (input, output) = (mix(1, n) % 8_000 + 1, mix(2, n) % 1_000 + 1);
        writeln!(file, "2024-05-{day} {hour:02}:{minute:02}:{second:02}.{micro:06}+00:00,{input},{output}")
            .expect("room on the disk");
    }
    file.flush().expect("room on the disk");
}

fn mooncake(path: &Path, rows: u64) {
    let mut file = created(path);
    for n in 0..rows {
        let (input, output) = (mix(1, n) % 8_000 + 1, mix(2, n) % 1_000 + 1);
        let blocks: Vec<u64> = (0..input / 512).map(|block| mix(n, block) % 200_000).collect();
        writeln!(
            file,
            r#"{{"timestamp": {}, "input_length": {input}, "output_length": {output}, "hash_ids": {blocks:?}}}"#,
            n * 36
        )
        .expect("room on the disk");
    }
    file.flush().expect("room on the disk");
}

//! Damaged logs against every reader and against replay: whatever the bytes, an answer comes in bounded time, nothing panics,
//! and rows read = records + rows dropped.
//!
//! Every `cargo test` reads the seeds (`seeds/`, a small file of each format), what was once found (`corpus/`), and a few
//! thousand mutations that are the same each time. For longer, with another `PLIMSOLL_FUZZ_SEED` each time:
//!
//! ```text
//! PLIMSOLL_FUZZ_SECONDS=3600 cargo test --release --test fuzz -- --ignored --nocapture
//! ```
//!
//! A finding is written to `corpus/`, where it stays once it is mended.

#![allow(clippy::disallowed_methods)] // how long a reader may take is about the clock on the wall

mod mutate;

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plimsoll::replay::{Clients, Log, Survey};
use plimsoll::rng::fnv1a;
use plimsoll::trace::flow::Rules;
use plimsoll::trace::{Fates, Format, Map, Options, Preset, Reader as _, Row, TraceError, open_bytes};

use mutate::Dice;

/// Mutations on every test run.
const USUAL: u64 = 1_500;
/// Longest that one file of at most [`mutate::BYTES_MAX`] bytes may take, in a build without optimisation.
const SLOWEST: Duration = Duration::from_secs(10);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

/// The files of a folder by name, in order.
fn files(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder(name))
        .expect("a folder of this project")
        .flatten()
        .filter(|entry| entry.file_name() != "README.md")
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file of this project"))
        })
        .collect();
    found.sort();
    found
}

/// The ways in which a file may be read: as what it looks like, and as each format or map that somebody may say it is.
fn ways() -> Vec<Options> {
    let map: Map = "arrival=time:s,input=input_tokens,output=output_tokens".parse().expect("a map");
    let formats = Format::ALL.into_iter().map(|format| Options { format: Some(format), ..Options::default() });
    let presets = Preset::ALL.into_iter().map(|preset| Options { preset: Some(preset), ..Options::default() });
    let mapped = Options { map: Some(map), ..Options::default() };
    std::iter::once(Options::default()).chain(formats).chain(presets).chain([mapped]).collect()
}

/// Reads a file to its end, or to its error; checks the accounts.
fn drain(bytes: &[u8], options: &Options) -> Result<u64, TraceError> {
    let mut reader = open_bytes(Cursor::new(bytes.to_vec()), "fuzzed", options)?;
    let (mut fates, mut rows) = (Fates::default(), 0);
    while let Some(row) = reader.next()? {
        rows += 1;
        if let Row::Record(record) = &row {
            let latest = [record.first_byte, record.last_byte, record.end, record.sent];
            assert!(latest.into_iter().flatten().all(|at| at >= record.arrival), "an effect before its cause: {record:?}");
            assert!(record.input_tokens != Some(0) && record.output_tokens != Some(0), "{record:?}");
        }
        fates.count(&row);
        assert!(rows <= bytes.len() as u64 * 4096 + 16, "more rows than bytes could tell of");
    }
    assert_eq!(fates.rows(), rows, "rows read = records + rows dropped");
    assert_eq!(reader.next()?, None, "the end stays the end");
    Ok(rows)
}

/// The same through the flow, as replay looks at it first.
fn survey(path: &Path) {
    for clients in [Clients::World, Clients::AsLogged] {
        let log = Log { path: path.to_owned(), options: Options::default(), rules: clients.rules(Rules::default()) };
        if let Ok(survey) = Survey::of(&log) {
            assert!(survey.accounts.adds_up(), "{:?}", survey.accounts);
            assert_eq!((survey.accounts.held, survey.accounts.emitted), (0, survey.replayed + survey.without_lengths));
            assert!(survey.ended <= survey.replayed);
        }
    }
}

/// What is wrong with how `bytes` are answered, if anything.
#[allow(clippy::disallowed_methods)] // how long it takes is what is tried
fn trial(bytes: &[u8], ways: &[Options], place: &Path) -> Result<(), String> {
    for options in ways {
        let began = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| drain(bytes, options)));
        let way = format!("as {:?}, preset {:?}, map {}", options.format, options.preset, options.map.is_some());
        match answer {
            Err(panic) => return Err(format!("{way}: {}", said(&*panic))),
            // However much of it is wrong, a message fits a screen.
            Ok(Err(error)) if error.to_string().len() > 4_000 => return Err(format!("{way}: a message without end")),
            Ok(_) if began.elapsed() > SLOWEST => return Err(format!("{way}: {:?}", began.elapsed())),
            Ok(_) => {}
        }
    }
    fs::write(place, bytes).expect("a temporary file");
    catch_unwind(AssertUnwindSafe(|| survey(place))).map_err(|panic| format!("replay: {}", said(&*panic)))
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("of no text"))
}

/// Tries mutations until `enough`; findings go to the corpus. Returns how many there were and what is wrong.
fn hunt(seed: u64, enough: impl Fn(u64) -> bool) -> (u64, Vec<String>) {
    let folder_of_trials = tempfile::tempdir().expect("a temporary folder");
    let place = folder_of_trials.path().join("fuzzed");
    let pool: Vec<Vec<u8>> = files("seeds").into_iter().chain(files("corpus")).map(|(_, bytes)| bytes).collect();
    let ways = ways();
    let (mut dice, mut tried, mut wrong) = (Dice::new(seed), 0, Vec::new());
    while !enough(tried) && wrong.len() < 10 {
        let bytes = mutate::mutation(&mut dice, &pool);
        // Most of the time as what it looks like; now and then as each other format.
        let some = if dice.one_in(4) { &ways[..] } else { &ways[..1] };
        if let Err(why) = trial(&bytes, some, &place) {
            let name = format!("{:016x}", fnv1a(&bytes));
            fs::write(folder("corpus").join(&name), &bytes).expect("room for a finding");
            wrong.push(format!("corpus/{name}: {why}"));
        }
        tried += 1;
    }
    (tried, wrong)
}

#[test]
fn seeds_and_findings_are_answered() {
    let folder_of_trials = tempfile::tempdir().expect("a temporary folder");
    let ways = ways();
    for (name, bytes) in files("seeds").into_iter().chain(files("corpus")) {
        if let Err(why) = trial(&bytes, &ways, &folder_of_trials.path().join("fuzzed")) {
            panic!("{name}: {why}");
        }
    }
}

#[test]
fn every_format_has_a_seed() {
    let readable = |bytes: &[u8], options: &Options| drain(bytes, options).is_ok_and(|rows| rows > 0);
    let seeds = files("seeds");
    for format in Format::ALL.into_iter().filter(|format| !UNSEEDED.contains(format)) {
        let options = Options { format: Some(format), ..Options::default() };
        assert!(seeds.iter().any(|(_, bytes)| readable(bytes, &options)), "no seed reads as {}", format.name());
    }
}

/// Formats that need a folder or an archive.
const UNSEEDED: [Format; 1] = [Format::ServeGen];

#[test]
fn some_damage_is_answered() {
    let (_, wrong) = hunt(1, |tried| tried >= USUAL);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "as long as PLIMSOLL_FUZZ_SECONDS says"]
#[allow(clippy::disallowed_methods)] // it runs for as long as it is told to
fn much_damage_is_answered() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seconds, seed) = (number("PLIMSOLL_FUZZ_SECONDS", 60), number("PLIMSOLL_FUZZ_SEED", 2));
    let began = Instant::now();
    let (tried, wrong) = hunt(seed, |_| began.elapsed() >= Duration::from_secs(seconds));
    println!("seed {seed}: {tried} damaged logs in {:.0} s, {} findings", began.elapsed().as_secs_f64(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

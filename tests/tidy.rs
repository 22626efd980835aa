//! Style as a test: which room may use which, how long files and functions are, and that every module says what it is.

use std::fs;
use std::path::{Path, PathBuf};

/// The ground floor: usable from everywhere.
const GROUND: &[&str] = &["dist", "fifo", "files", "heap", "latency", "request", "rng", "time", "units"];

/// Each room with the rooms it may use besides itself and the ground floor, from the bottom of the house up.
const ROOMS: &[(&str, &[&str])] = &[
    ("policy", &[]),
    ("upstream", &[]),
    ("trace", &[]),
    ("stats", &[]),
    ("calibrate", &["trace", "upstream", "stats"]),
    ("workload", &["trace"]),
    ("scenario", &["policy", "upstream", "trace", "workload"]),
    // The event record is made of the machines' own messages.
    ("journal", &["policy", "upstream", "workload", "stats"]),
    ("sim", &["policy", "upstream", "trace", "workload", "scenario", "journal", "stats"]),
    ("replay", &["policy", "upstream", "trace", "workload", "scenario", "journal", "sim"]),
    ("tune", &["policy", "upstream", "workload", "scenario", "journal", "sim", "stats"]),
    ("report", &["journal", "stats", "tune", "calibrate", "replay", "trace"]),
    (
        "live",
        &[
            "policy",
            "upstream",
            "trace",
            "workload",
            "scenario",
            "journal",
            "sim",
            "stats",
            "calibrate",
            "tune",
            "replay",
            "report",
        ],
    ),
    (
        "cli",
        &[
            "live",
            "policy",
            "upstream",
            "trace",
            "workload",
            "scenario",
            "journal",
            "sim",
            "stats",
            "calibrate",
            "tune",
            "replay",
            "report",
        ],
    ),
];

const FILE_LINES_MAX: usize = 500;
const FILE_LINES_MEDIAN_MAX: usize = 250;
const FUNCTION_LINES_MAX: usize = 70;

fn sources(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of this project").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a source file of this project")
}

fn room_of(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(src).expect("under src").components().next().expect("a file").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn rooms_use_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let room = room_of(&path);
        let allowed: &[&str] = match ROOMS.iter().find(|(name, _)| *name == room) {
            Some((_, allowed)) => allowed,
            None if GROUND.contains(&room.as_str()) => &[],
            None => continue, // lib.rs and main.rs
        };
        let text = read(&path);
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (number, line) in code {
            for part in line.split("crate::").skip(1) {
                let used: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let is_room = ROOMS.iter().any(|(name, _)| *name == used);
                if is_room && used != room && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{}:{}: {room} may not use {used}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let known =
        |room: &str| GROUND.contains(&room) || ROOMS.iter().any(|(name, _)| *name == room) || ["lib", "main"].contains(&room);
    for path in sources("src") {
        let room = room_of(&path);
        assert!(known(&room), "{} stands in no room that this test knows: add `{room}` to its table", path.display());
    }
}

#[test]
fn every_module_says_what_it_is() {
    for path in sources("src").into_iter().chain(sources("tests")) {
        assert!(read(&path).starts_with("//!"), "{} does not open with //!", path.display());
    }
}

#[test]
fn files_are_short() {
    let mut lengths: Vec<(usize, PathBuf)> =
        sources("src").into_iter().map(|path| (read(&path).lines().count(), path)).collect();
    lengths.sort();
    let median = lengths[lengths.len() / 2].0;
    assert!(median <= FILE_LINES_MEDIAN_MAX, "the median file has {median} lines");
    let (longest, path) = lengths.last().expect("there are sources");
    assert!(*longest <= FILE_LINES_MAX, "{} has {longest} lines: is it still one idea?", path.display());
}

/// Counts from a line that opens a function to the line that closes it at the same indentation, as rustfmt lays them out.
#[test]
fn functions_are_short() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let bare = line.trim_start();
            let opens = bare.split(" fn ").next().is_some_and(|head| head.len() < bare.len() || bare.starts_with("fn "));
            if !opens || bare.starts_with("//") || bare.ends_with(';') || bare.ends_with('}') {
                continue;
            }
            let close = format!("{}}}", &line[..line.len() - bare.len()]);
            if let Some(length) = lines[start..].iter().position(|line| *line == close)
                && length + 1 > FUNCTION_LINES_MAX
            {
                wrong.push(format!("{}:{}: {} lines", path.display(), start + 1, length + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "functions of more than {FUNCTION_LINES_MAX} lines:\n{}", wrong.join("\n"));
}

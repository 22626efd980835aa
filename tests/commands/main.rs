//! The commands and the scenario files from outside, as a newcomer and as a careless or malicious user meets them.

mod bad_input;
mod calibrate;
mod capacity;
mod explain;
mod export;
mod json;
mod metered_check;
mod metered_story;
mod random;
mod replay;
mod report;
mod reports;
mod scenario;
mod scenario_property;
mod simulate;
mod trace;
mod tune;
mod tune_trace;
mod usage;

use std::path::Path;
use std::process::{Command, Output};

/// Runs the command in the project's folder.
fn plimsoll(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(arguments).current_dir(root).output().unwrap()
}

/// `simulate` on the plain queue, short, with these arguments besides.
fn short_queue(more: &[&str]) -> Output {
    let short = ["simulate", "scenarios/queue_mmc.toml", "--quiet"];
    let sets = ["--set", "run.duration=60s", "--set", "run.warmup=0s", "--set", "run.replications=2"];
    plimsoll(&[&short[..], &sets, more].concat())
}

fn told(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

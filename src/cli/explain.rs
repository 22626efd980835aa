//! `plimsoll explain`: one request's story out of a journal, and which requests there is a story of.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::find::{Find, Found, find};
use super::{Exit, Failure};
use crate::journal::{What, Whose, read, tell};
use crate::request::RequestId;

/// Requests that `--find` lists of one replication.
const LISTED: usize = 20;

/// Tell one request's story: each gate, the numbers it saw, the decision
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// A journal written by `plimsoll simulate --journal`
    journal: PathBuf,
    /// The request's number
    #[arg(long, value_name = "ID", required_unless_present = "find", conflicts_with = "find")]
    request: Option<u64>,
    /// List the first requests that this happened to, instead of a story
    #[arg(long, value_name = "WHAT", value_enum)]
    find: Option<Find>,
    /// Only in this variant. Default: in each
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// In which repetition, from 0. Default: the first; with `--find`, each
    #[arg(long, value_name = "N")]
    replication: Option<u32>,
}

/// Whether it is the flight recorder's: a folder of segments, or one of them.
fn is_live(journal: &Path) -> bool {
    let is_segment = |name: std::ffi::OsString| name.to_string_lossy().starts_with("segment-");
    let mut live = std::fs::read_dir(journal).is_ok_and(|files| files.flatten().any(|file| is_segment(file.file_name())));
    // What cannot be read is told by who reads it for its story.
    let _ = read(journal, |_, event| {
        live = matches!(event.what, What::Segment(_));
        false
    });
    live
}

/// Tells it.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    if is_live(&arguments.journal) {
        let shown = arguments.journal.display();
        let help = format!("`plimsoll replay --verify {shown}` decides it again");
        let what = "holds what a live gateway recorded, and stories are told of what `plimsoll simulate --journal` writes";
        return Err(Failure::Input(format!("{shown} {what}\n  = {help}")));
    }
    if let Some(what) = arguments.find {
        return list(arguments, what, out);
    }
    let Arguments { journal, variant, .. } = arguments;
    let request = arguments.request.unwrap_or_default(); // there is one: else the arguments are refused
    let replication = arguments.replication.unwrap_or(0);
    let whose = Whose { request: RequestId(request), variant: variant.clone(), replication };
    let story = tell(journal, &whose).map_err(|error| Failure::Input(error.to_string()))?;
    if story.is_empty() {
        let shown = journal.display();
        return Err(Failure::Input(format!(
            "{shown} has no request {request} in replication {replication}{}",
            of(variant.as_ref())
        )));
    }
    out.write_all(story.as_bytes())?;
    Ok(Exit::Done)
}

fn list(arguments: &Arguments, what: Find, out: &mut impl Write) -> Result<Exit, Failure> {
    let Arguments { journal, variant, replication, .. } = arguments;
    let found = find(journal, what, variant.as_deref(), *replication).map_err(|error| Failure::Input(error.to_string()))?;
    if found.is_empty() {
        let of_one = replication.map_or_else(String::new, |number| format!(" of replication {number}"));
        return Err(Failure::Input(format!("{} has no run{of_one}{}", journal.display(), of(variant.as_ref()))));
    }
    let name = what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    for one in &found {
        writeln!(out, "{}", line(one, &name))?;
    }
    Ok(Exit::Done)
}

/// ` of variant "x"`, where one is named.
fn of(variant: Option<&String>) -> String {
    variant.map(|variant| format!(" of variant \"{variant}\"")).unwrap_or_default()
}

fn line(found: &Found, what: &str) -> String {
    let Found { variant, replication, requests } = found;
    let first: Vec<String> = requests.iter().take(LISTED).map(u64::to_string).collect();
    let more = if requests.len() > LISTED { ", ..." } else { "" };
    let requests = match requests.len() {
        0 => "none".to_owned(),
        1 => format!("1 request: {}", first[0]),
        many => format!("{many} requests: {}{more}", first.join(", ")),
    };
    format!("variant \"{variant}\", replication {replication}, {what}: {requests}")
}

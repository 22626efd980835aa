//! A log as another file: what converting and cutting share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::log::{self, LogArguments, RuleArguments};
use super::shown;
use crate::cli::common::Format;
use crate::cli::progress::Progress;
use crate::cli::{Exit, Failure, files};
use crate::trace::flow::{Flow, Impute, Rules};
use crate::trace::write::{Target, Writer};

/// From which log into which file.
#[derive(Clone, Debug, Args)]
pub struct WriteArguments {
    #[command(flatten)]
    log: LogArguments,
    /// The file to write: `.csv` with all that a record holds, `.jsonl` as Mooncake's, which aiperf, guidellm and vLLM's bench
    /// read; compressed if it ends in `.gz` or `.zst`
    out: PathBuf,
    /// What to write, whatever the name: csv or mooncake
    #[arg(long, value_name = "FORMAT")]
    to: Option<String>,
    #[command(flatten)]
    pub rules: RuleArguments,
    /// How it is told what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

/// Writes it whole or not at all, and tells what became of every row.
pub fn run(arguments: &WriteArguments, out: &mut impl io::Write) -> Result<Exit, Failure> {
    let path = &arguments.out;
    let target = target(arguments)?;
    files::is_free(path)?;
    let same = fs::canonicalize(path).ok().is_some_and(|path| fs::canonicalize(&arguments.log.log).ok() == Some(path));
    if same {
        return Err(Failure::Input(format!("`{}` would be written over, but the log is read from it", path.display())));
    }
    let impute = if target.keeps_unknown() { Impute::Keep } else { Impute::Draw };
    let rules = arguments.rules.rules(impute, &log::folder_of(path), Rules::SEED)?;
    if rules.impute == Impute::Keep && !target.keeps_unknown() {
        let why = "has no place for unknown lengths: choose --impute draw, class-median or drop";
        return Err(Failure::Input(format!("--impute keep: {} {why}", target.name())));
    }
    let mut flow = log::open(&arguments.log, rules)?;
    let progress = Progress::of_rows(arguments.quiet);
    copy(&mut flow, path, target, &progress)?;
    drop(progress);
    let accounts = flow.accounts();
    match arguments.format {
        Format::Table => {
            writeln!(out, "{}", shown::head(flow.head()))?;
            for sentence in accounts.sentences() {
                writeln!(out, "{sentence}")?;
            }
            writeln!(out, "written: {} requests as {} into {}", accounts.emitted, target.name(), path.display())?;
        }
        Format::Json => {
            let head = flow.head();
            let made = json!({
                "file": head.file, "format": head.format.name(), "recognised_by": head.recognised_by, "notes": head.notes,
                "accounts": accounts.json(), "written": path.display().to_string(), "as": target.name(),
            });
            writeln!(out, "{made}")?;
        }
    }
    Ok(Exit::Done)
}

fn target(arguments: &WriteArguments) -> Result<Target, Failure> {
    if let Some(name) = &arguments.to {
        return name.parse().map_err(log::wrong);
    }
    Target::of_name(&arguments.out).ok_or_else(|| {
        let shown = arguments.out.display();
        Failure::Input(format!(
            "the name `{shown}` does not say what to write: end it in .csv or .jsonl, or say --to csv or mooncake"
        ))
    })
}

fn copy(flow: &mut Flow, path: &Path, target: Target, progress: &Progress) -> Result<(), Failure> {
    let failed = |why: io::Error| Failure::Write { path: path.to_owned(), why };
    let mut writer = Writer::create(path, target).map_err(failed)?;
    let mut steps = shown::Steps::new(progress);
    while let Some(record) = flow.next().map_err(log::wrong)? {
        writer.write(&record, flow.head(), flow.names()).map_err(failed)?;
        steps.one();
    }
    if flow.accounts().emitted == 0 {
        let told = flow.accounts().sentences().join("; ");
        return Err(Failure::Input(format!("{}: no request is left to write ({told})", flow.head().file)));
    }
    writer.finish().map_err(failed)
}

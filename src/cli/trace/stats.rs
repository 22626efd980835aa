//! `plimsoll trace stats`: what a person must know of a log before trusting it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::log::{self, LogArguments, RuleArguments};
use super::{picture, shown};
use crate::cli::common::Format;
use crate::cli::progress::Progress;
use crate::cli::{Exit, Failure, files};
use crate::report::plot::{Plot, PlotError};
use crate::trace::flow::{Impute, Rules};
use crate::trace::stats::Stats;

/// Say what a log holds: rows by fate, rates and peaks, lengths, tenants, and what is wrong with it
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    log: LogArguments,
    #[command(flatten)]
    rules: RuleArguments,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the result into this folder: `result.json`, `result.txt`, and plots as .svg, .png and .csv in `plots/`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

/// Reads the log once, and writes the figures.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    let temporary = arguments.out.clone().unwrap_or_else(std::env::temp_dir);
    let rules = arguments.rules.rules(Impute::Draw, &temporary, Rules::SEED)?;
    let mut flow = log::open(&arguments.log, rules)?;
    if let Some(folder) = &arguments.out {
        files::writable_folder(folder)?;
    }
    let progress = Progress::of_rows(arguments.quiet);
    let mut stats = Stats::new();
    let mut steps = shown::Steps::new(&progress);
    while let Some(record) = flow.next().map_err(log::wrong)? {
        stats.count(&record);
        steps.one();
    }
    drop(progress);
    let accounts = flow.accounts();
    let summary = stats.summary(flow.head(), flow.names(), &accounts);
    let mut json = serde_json::to_value(&summary).expect("figures and names have string keys");
    json["made"] = serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "command": typed });
    let json = json.to_string();
    let mut text = shown::summary(flow.head(), &accounts, &summary);
    if let Some(folder) = &arguments.out {
        let plots = picture::plots(&stats, &summary).into_iter().collect::<Result<Vec<Plot>, PlotError>>();
        let plots = plots.map_err(|error| Failure::Input(error.to_string()))?;
        text.push_str(&publish(folder, &json, &text, &plots)?);
    }
    match arguments.format {
        Format::Table => out.write_all(text.as_bytes())?,
        Format::Json => writeln!(out, "{json}")?,
    }
    Ok(Exit::Done)
}

/// Writes everything, and says where.
fn publish(folder: &std::path::Path, json: &str, text: &str, plots: &[Plot]) -> Result<String, Failure> {
    let [json_file, text_file] = files::RESULTS.map(|name| folder.join(name));
    files::write_whole(&json_file, &format!("{json}\n"))?;
    files::write_whole(&text_file, text)?;
    let into = folder.join(crate::cli::publish::PLOTS);
    for plot in plots {
        plot.write(&into).map_err(|error| match error {
            PlotError::Write { path, why } => Failure::Write { path, why },
            other => Failure::Input(other.to_string()),
        })?;
    }
    let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
    let (into, names) = (into.display(), names.join(", "));
    let written = format!("\nWritten: {}, {}\n", text_file.display(), json_file.display());
    Ok(if plots.is_empty() { written } else { format!("{written}Plots in {into} (each as .svg, .png and .csv): {names}\n") })
}

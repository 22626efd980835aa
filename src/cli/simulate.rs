//! `plimsoll simulate`: what a scenario's variants do.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::common::{Format, ScenarioArguments};
use super::measured;
use super::progress::Progress;
use super::{Exit, Failure, files};
use crate::journal::Journal;
use crate::journal::summary::Summary;
use crate::report::{self, Envelope, LoadReport};
use crate::scenario::{LoadOf, Scenario};
use crate::sim::{self, Capacity, Prepared};

/// Simulate a scenario: a verdict in words, then one table for each policy variant
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// Seed of all randomness, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Independent repetitions, instead of the scenario's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    replications: Option<u32>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the result into this folder: `result.json` and `result.txt`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write every event as JSON lines, compressed if the name ends in `.zst`; runs on one thread
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Threads. Default: one for each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
    /// Exit with 3 unless this holds: `goodput_fraction>=0.95`, `p99_ttft_ms{variant=base,class=chat}<=500`
    #[arg(long = "assert", value_name = "EXPR")]
    asserts: Vec<report::Assertion>,
}

/// Runs, and writes what came of it.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut scenario = arguments.scenario.load()?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let replications = arguments.replications.unwrap_or(scenario.run.replications.value());
    if let Some(folder) = &arguments.out {
        files::writable_folder(folder)?;
    }
    let journal = arguments.journal.as_deref().map(open_journal).transpose()?;
    let (prepared, summary) = in_pool(arguments.jobs, || simulate(&scenario, replications, journal, arguments.quiet))??;

    let envelope = Envelope::new(&scenario.name, scenario.run.seed, prepared.capacity.as_ref().map(load_report), &summary);
    let text = text(&scenario, &prepared, &summary)?;
    if let Some(folder) = &arguments.out {
        files::write_whole(&folder.join("result.json"), &format!("{}\n", envelope.to_json()))?;
        files::write_whole(&folder.join("result.txt"), &text)?;
    }
    match arguments.format {
        Format::Table => out.write_all(text.as_bytes())?,
        Format::Json => writeln!(out, "{}", envelope.to_json())?,
    }
    out.flush()?;
    judge(&arguments.asserts, &summary)
}

fn open_journal(path: &Path) -> Result<(Journal, PathBuf), Failure> {
    let journal = Journal::create(path).map_err(|why| Failure::Write { path: path.to_owned(), why })?;
    Ok((journal, path.to_owned()))
}

/// Runs `work` on as many threads as were asked for.
fn in_pool<T: Send>(jobs: Option<u16>, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let Some(jobs) = jobs else { return Ok(work()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(jobs)).build();
    let pool = pool.map_err(|error| Failure::Input(format!("cannot start {jobs} threads: {error}")))?;
    Ok(pool.install(work))
}

fn simulate(
    scenario: &Scenario,
    replications: u32,
    journal: Option<(Journal, PathBuf)>,
    quiet: bool,
) -> Result<(Prepared, Summary), Failure> {
    let prepared = sim::prepare(scenario)?;
    let progress = Progress::new(prepared.plans.len() as u64 * u64::from(replications), quiet);
    let done = || progress.step();
    let summary = match journal {
        None => sim::run(&prepared.plans, replications, &prepared.context, None, &done),
        Some((mut journal, path)) => {
            let summary = sim::run(&prepared.plans, replications, &prepared.context, Some(&mut journal), &done);
            journal.finish().map_err(|why| Failure::Write { path, why })?;
            summary
        }
    };
    progress.finish();
    Ok((prepared, summary))
}

fn load_report(capacity: &Capacity) -> LoadReport {
    let of = match capacity.of {
        LoadOf::Upstream => "upstream",
        LoadOf::Slots => "slots",
    };
    LoadReport { capacity_rps: capacity.rps.mean, of: of.to_owned(), clients: capacity.population }
}

fn text(scenario: &Scenario, prepared: &Prepared, summary: &Summary) -> Result<String, Failure> {
    let load = prepared.capacity.as_ref().map(load_report);
    let mut text = report::text(&scenario.name, scenario.run.seed, load.as_ref(), summary);
    for remark in &prepared.remarks {
        text.push_str(remark);
        text.push('\n');
    }
    if let Some(measured) = measured::figures(scenario)? {
        for variant in &summary.variants {
            let table = report::compare(&measured, &report::Figures::of(variant));
            let _ = write!(text, "\nMeasured beside simulated: {}\n{table}", variant.name); // a String takes everything
        }
    }
    Ok(text)
}

fn judge(asserts: &[report::Assertion], summary: &Summary) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for assertion in asserts {
        let verdict = assertion.judge(summary).map_err(Failure::Input)?;
        if !verdict.holds {
            eprintln!("assertion failed: {assertion}: {}", verdict.found);
            exit = Exit::AssertionFailed;
        }
    }
    Ok(exit)
}

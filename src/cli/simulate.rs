//! `plimsoll simulate`: what a scenario's variants do.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::common::{Format, JOBS_MAX, ScenarioArguments, in_pool, load_report, tell_not_validated};
use super::measured;
use super::progress::Progress;
use super::{Exit, Failure, files, publish};
use crate::journal::summary::Summary;
use crate::journal::{Halt, Journal};
use crate::report::{self, Envelope};
use crate::scenario::{REPLICATIONS_MAX, Scenario};
use crate::sim::{self, Prepared};

/// Simulate a scenario: a verdict in words, then one table for each policy variant
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// Seed of all randomness, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Independent repetitions, instead of the scenario's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(REPLICATIONS_MAX)))]
    replications: Option<u32>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the result into this folder: `report.html` with everything, `result.json`, `result.txt`, and `plots/`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write every event as JSON lines, compressed if the name ends in `.zst`; runs on one thread
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Threads. Default: one for each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX))]
    jobs: Option<u16>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
    /// Exit with 3 unless this holds: `goodput_fraction>=0.95`, `p99_ttft_ms{variant=base,class=chat}<=500`
    #[arg(long = "assert", value_name = "EXPR")]
    asserts: Vec<report::Assertion>,
}

/// Runs, and writes what came of it. All that can be wrong with what was asked for is told before anything is run, and nothing
/// is written before everything has run. `typed` is the command line, for the report.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut scenario = arguments.scenario.load()?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let replications = arguments.replications.unwrap_or(scenario.run.replications.value());
    check_asserts(&arguments.asserts, &scenario)?;
    let measured = measured::figures(&scenario)?;
    let inputs = arguments.scenario.inputs(&scenario);
    if let Some(folder) = &arguments.out {
        publish::check(folder, &inputs)?;
    }
    arguments.journal.iter().try_for_each(|journal| files::spares(&inputs, journal))?;
    let journal = arguments.journal.as_deref().map(open_journal).transpose()?;
    let (prepared, summary) = in_pool(arguments.jobs, || simulate(arguments, &scenario, replications, journal))??;

    let envelope = Envelope::new(&scenario.name, scenario.run.seed, prepared.capacity.as_ref().map(load_report), &summary);
    let mut text = text(&scenario, &prepared, measured.as_ref(), &summary);
    if let Some(folder) = &arguments.out {
        let names: Vec<&str> = summary.variants.iter().map(|variant| variant.name.as_str()).collect();
        let drawn = report::draw::run(&summary, &publish::frame(&scenario, &prepared, &names));
        let files = publish::publish(folder, &envelope.to_json(), &text, &drawn, typed)?;
        text.push_str(&publish::told(&files, &drawn));
    }
    match arguments.format {
        Format::Table => out.write_all(text.as_bytes())?,
        Format::Json => {
            tell_not_validated(&scenario);
            writeln!(out, "{}", envelope.to_json())?;
        }
    }
    out.flush()?;
    judge(&arguments.asserts, &summary)
}

pub(super) fn check_asserts(asserts: &[report::Assertion], scenario: &Scenario) -> Result<(), Failure> {
    let mut variants: Vec<&str> = scenario.variants.iter().map(|variant| variant.name.as_str()).collect();
    variants.rotate_left(scenario.baseline());
    let classes: Vec<&str> = scenario.variants[scenario.baseline()].classes.iter().map(|class| class.name.as_str()).collect();
    asserts.iter().try_for_each(|assertion| assertion.check(&variants, &classes)).map_err(Failure::Input)
}

fn open_journal(path: &Path) -> Result<(Journal, PathBuf), Failure> {
    files::is_free(path)?;
    let journal = Journal::create(path).map_err(|why| Failure::Write { path: path.to_owned(), why })?;
    Ok((journal, path.to_owned()))
}

fn simulate(
    arguments: &Arguments,
    scenario: &Scenario,
    replications: u32,
    mut journal: Option<(Journal, PathBuf)>,
) -> Result<(Prepared, Summary), Failure> {
    let progress = Progress::new(arguments.quiet);
    let mut prepared = sim::prepare(scenario)?;
    prepared.context.detailed = arguments.out.is_some();
    progress.begin(prepared.plans.len() as u64 * u64::from(replications));
    let done = || progress.step();
    let written = journal.as_mut().map(|(journal, _)| journal);
    let summary = sim::run(&prepared.plans, replications, &prepared.context, written, &done);
    is_valid(&summary)?;
    if let Some((journal, path)) = journal {
        journal.finish().map_err(|why| Failure::Write { path, why })?;
    }
    Ok((prepared, summary))
}

pub(super) fn is_valid(summary: &Summary) -> Result<(), Failure> {
    let Some((variant, halt)) = summary.variants.iter().find_map(|variant| Some((&variant.name, variant.halted?))) else {
        return Ok(());
    };
    let count = report::format::count;
    Err(Failure::Invalid(match halt {
        Halt::Crowded(at) => format!(
            "at {at} variant \"{variant}\" had more than {} attempts and calls under way at once\n  = bound the queue, the \
             clients' patience or the load, or shorten `run.duration`",
            count(sim::UNDER_WAY_MAX as u64)
        ),
        Halt::Standstill(at) => format!(
            "at {at} more than {} things happened in variant \"{variant}\" without time going on\n  = clients who are refused \
             at once ask again at once: give them a think time, or retries a backoff",
            count(sim::AT_ONCE_MAX.into())
        ),
        Halt::Interrupted(at) => format!("at {at} variant \"{variant}\" was broken off from outside"),
    }))
}

fn text(scenario: &Scenario, prepared: &Prepared, measured: Option<&report::Figures>, summary: &Summary) -> String {
    let load = prepared.capacity.as_ref().map(load_report);
    let mut text = report::text(&scenario.name, scenario.run.seed, load.as_ref(), summary);
    for remark in &prepared.remarks {
        text.push_str(remark);
        text.push('\n');
    }
    if let Some(measured) = measured {
        for variant in &summary.variants {
            let table = report::compare(measured, &report::Figures::of(variant));
            let _ = write!(text, "\nMeasured beside simulated: {}\n{table}", variant.name); // a String takes everything
        }
    }
    text
}

pub(super) fn judge(asserts: &[report::Assertion], summary: &Summary) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for assertion in asserts {
        let verdict = assertion.judge(summary).map_err(Failure::Input)?;
        if !verdict.holds {
            // The exit code says it too, where standard error is closed.
            let _ = writeln!(std::io::stderr(), "assertion failed: {assertion}: {}", verdict.found);
            exit = Exit::AssertionFailed;
        }
    }
    Ok(exit)
}

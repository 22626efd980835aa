//! `plimsoll tune`: search the settings, choose with confidence, write what can be deployed.

mod deploy;
mod outlook;
mod result;
mod scenes;
mod search;
mod traces;

pub use outlook::Outlook;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::common::{Format, JOBS_MAX, ScenarioArguments, in_pool, tell_not_validated};
use super::{Exit, Failure, publish};
use crate::report::Tuning;
use crate::scenario::{RunSettings, Scenario, TuneSettings, Warmup};
use crate::time::Span;
use crate::tune::{Ended, Outcome, RobustBy, RobustText, Store, Task};
use crate::units::Count;

/// The observations of a search, in its folder.
const OBSERVATIONS: &str = "observations.jsonl";

/// Replications at each setting beside the choice, where nothing else is asked for.
const AROUND: u32 = 10;
/// Most replications at each of them.
const AROUND_MAX: u32 = 1_000;

/// Search a scenario's [tune] section for the best settings, and say how sure that is
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// Seed of all randomness, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Choose for several futures: `load=0.7..1.5,capacity=0.8..1.1`, instead of `tune.robust`; `by=worst` (the default), `by=mean`
    /// or `by=regret` says how they become one
    #[arg(long, value_name = "RANGES")]
    robust: Option<RobustText>,
    /// Another scenario in which the same settings must do well, besides those of `tune.also`. It stands as its file says: `--set`
    /// and the like change the first alone
    #[arg(long, value_name = "SCENARIO")]
    also: Vec<PathBuf>,
    /// Recorded arrivals instead of the scenario's own, besides those of `tune.traces`. Of several the last is held out, of one
    /// alone its last fifth
    #[arg(long = "trace", value_name = "FILE")]
    traces: Vec<PathBuf>,
    /// Put all rows of a trace into this class of the scenario, whatever it calls them
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// One of these scenarios and traces, as it is named there: nothing is chosen by it, and the choice is tried on it at the end.
    /// Of one trace alone a stretch of it, `40m..50m`; `none` for nothing
    #[arg(long, value_name = "NAME")]
    hold_out: Vec<String>,
    /// Budget of a search in simulations, instead of `tune.simulations`; by regret there is one for each future besides
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    simulations: Option<u32>,
    /// Replications at each setting beside the choice: plateaus, a fifth less and more, other loads. 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = AROUND, value_parser = beside)]
    around: u32,
    /// Rows of the Sobol indices (a power of two; each takes as many runs as there are parameters, and two more). 0 leaves
    /// them out
    #[arg(long, value_name = "ROWS", default_value_t = 0, value_parser = rows)]
    sensitivity: u32,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The search's folder: observations as they come, then result and settings. The same command goes on where an earlier
    /// one was interrupted. Default: the scenario's name and `.tune`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Throw away what an earlier search left in the folder, and begin anew
    #[arg(long)]
    fresh: bool,
    /// Also write the recommended settings into the scenario file, comments kept. The same command then begins a new search, of
    /// the changed scenario, and needs `--fresh`
    #[arg(long)]
    write: bool,
    /// Threads. Default: one for each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX))]
    jobs: Option<u16>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

/// Searches, and writes what was found. All that can be wrong with what was asked for is told before anything is searched.
/// `typed` is the command line, for the report.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut scenario = arguments.scenario.load()?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let (settings, task) = understand(arguments, &scenario)?;
    if arguments.class.is_some() && settings.traces.is_empty() {
        let help = "name a recording with --trace FILE, or leave --class away";
        return Err(Failure::Input(format!("--class says what the rows of a trace are, and there is none\n  = {help}")));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.tune", scenario.name)));
    let places = scenes::find(arguments, &scenario, &settings)?;
    let variants = search::check(&places, &settings, &task, arguments)?;
    let inputs: Vec<PathBuf> = places.iter().flat_map(|place| place.inputs.clone()).collect();
    publish::check(&folder, &inputs)?;
    deploy::check(&folder, &inputs)?;
    tell_not_validated(&scenario);
    let names: Vec<String> = places.iter().map(|place| place.name.clone()).collect();
    let places = places.into_iter().zip(variants).collect();
    let found = in_pool(arguments.jobs, || search::search(arguments, places, &settings, &task, &folder))??;
    Store::sort(&folder.join(OBSERVATIONS)).map_err(|why| Failure::Write { path: folder.join(OBSERVATIONS), why })?;

    let first = found.futures[0].words(&names);
    let current = deploy::current(&scenario, &task);
    let recorded = found.scenes[0].prepared.plans.iter().any(|plan| !plan.workload.recorded.is_empty());
    let tuning = Tuning {
        scenario: &scenario.name,
        variant: &scenario.variants[task.variant].name,
        seed: scenario.run.seed,
        task: &task,
        constraints: &settings.constraints,
        current: &current,
        scenes: &names,
        by: settings.robust.as_ref().map_or(RobustBy::default(), |robust| robust.by),
        futures: found.futures.len(),
        held_out: found.held_out,
        recorded,
        cold_s: cold_s(&scenario.run, recorded),
        tuned: &found.tuned,
        beside: &found.beside,
        figures_of: (found.futures.len() > 1).then_some(&*first),
    };
    let json = result::json(&settings, &tuning, &found) + "\n";
    let drawn = result::drawn(&tuning, &found);
    let mut files = publish::publish(&folder, &json, &tuning.text(), &drawn, typed)?;
    files.extend(deploy::write(arguments, &scenario, &tuning, &folder)?);
    let text = format!("{}{}", tuning.text(), publish::told(&files, &drawn));
    out.write_all(if arguments.format == Format::Json { json.as_bytes() } else { text.as_bytes() })?;
    out.flush()?;
    Ok(exit(&found.tuned.outcome))
}

/// Seconds of a run that is counted from its begin on.
fn cold_s(run: &RunSettings, recorded: bool) -> Option<f64> {
    let cold = run.warmup == Warmup::Time(Span::ZERO) && !recorded;
    cold.then(|| run.duration.as_secs_f64())
}

/// A search that recommends nothing is no success: its constraints are assertions that nobody holds, or time ran out first.
fn exit(outcome: &Outcome) -> Exit {
    match outcome.choice {
        Some(_) => Exit::Done,
        None if outcome.ended == Ended::NothingFeasible => Exit::AssertionFailed,
        None => Exit::Failed,
    }
}

/// What is asked for, understood.
fn understand(arguments: &Arguments, scenario: &Scenario) -> Result<(TuneSettings, Task), Failure> {
    let settings = asked(arguments, scenario)?;
    let task = Task::read(scenario, &settings).map_err(|unfit| unfit.diagnose(scenario))?;
    Ok((settings, task))
}

/// Makes sure that `plimsoll tune` would search `scenario`, without measuring or running anything, and says what it would run; one
/// without `[tune]` has nothing to search.
///
/// # Errors
/// What `plimsoll tune` would refuse.
pub(super) fn inspect(named: &ScenarioArguments, scenario: &Scenario) -> Result<Option<Outlook>, Failure> {
    if scenario.file.tune.is_none() {
        return Ok(None);
    }
    let arguments = Arguments::of_scenario(named.clone());
    let (settings, task) = understand(&arguments, scenario)?;
    let places = scenes::find(&arguments, scenario, &settings)?;
    let variants = search::check(&places, &settings, &task, &arguments)?;
    Ok(Some(outlook::outlook(&arguments, &settings, &task, (&places, variants[0]))))
}

impl Arguments {
    /// A search as the scenario itself asks for it.
    fn of_scenario(scenario: ScenarioArguments) -> Self {
        Self {
            scenario,
            seed: None,
            robust: None,
            also: Vec::new(),
            traces: Vec::new(),
            class: None,
            hold_out: Vec::new(),
            simulations: None,
            around: AROUND,
            sensitivity: 0,
            format: Format::default(),
            out: None,
            fresh: false,
            write: false,
            jobs: None,
            quiet: true,
        }
    }
}

/// What the scenario asks for, and what the command line says instead.
fn asked(arguments: &Arguments, scenario: &Scenario) -> Result<TuneSettings, Failure> {
    let mut settings = scenario.file.tune.clone().ok_or_else(|| no_section(scenario))?;
    if let Some(simulations) = arguments.simulations.and_then(Count::new) {
        settings.simulations = simulations;
    }
    if let Some(RobustText(robust)) = arguments.robust.clone() {
        settings.robust = Some(robust);
    }
    settings.traces.extend(arguments.traces.iter().map(|path| path.display().to_string()));
    settings.also.extend(arguments.also.iter().map(|path| path.display().to_string()));
    if !arguments.hold_out.is_empty() {
        settings.hold_out = Some(arguments.hold_out.clone());
    }
    Ok(settings)
}

/// Replications beside the choice: none, or enough for an interval.
fn beside(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(replications) if replications != 1 && replications <= AROUND_MAX => Ok(replications),
        Ok(1) => Err("of one replication there is no interval: 0 for none, or 2 at least".to_owned()),
        _ => Err(format!("0, or a whole number from 2 to {AROUND_MAX}")),
    }
}

/// Most rows of the Sobol indices: half of the sequence's points.
const ROWS_MAX: u32 = 1 << 15;
/// The least that says anything.
#[allow(clippy::cast_possible_truncation)] // of 8
const ROWS_LEAST: u32 = crate::tune::ROWS_MIN as u32;

/// Rows of the Sobol indices: none, or enough to tell them apart.
fn rows(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(0) => Ok(0),
        Ok(rows @ ROWS_LEAST..=ROWS_MAX) if rows.is_power_of_two() => Ok(rows),
        Ok(rows @ ROWS_LEAST..=ROWS_MAX) => {
            let above = rows.next_power_of_two(); // at most `ROWS_MAX`, which is one itself
            Err(format!("the points lie evenly for powers of two only: {} or {above} is near", above / 2))
        }
        _ => Err(format!("0, or a power of two from {ROWS_LEAST} to {ROWS_MAX}")),
    }
}

fn no_section(scenario: &Scenario) -> Failure {
    Failure::Input(format!(
        "`{}` has no [tune] section, which says what may be changed and what is wanted\n  = add one, such as\n      [tune]\n      \
         objective = \"goodput_rps\"\n      [[tune.parameter]]\n      path = \"policy.queue.max_queue_size\"\n      range = [1, \
         200]\n      scale = \"log\"",
        scenario.name
    ))
}

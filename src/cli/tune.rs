//! `plimsoll tune`: search the settings, choose with confidence, write what can be deployed.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::common::{Format, ScenarioArguments, in_pool, load_report};
use super::export::{Language, written};
use super::progress::Progress;
use super::{Exit, Failure, beside, files, publish};
use crate::policy::Settings as Policies;
use crate::report::{LoadReport, Tuning, draw};
use crate::rng::fnv1a;
use crate::scenario::{Scenario, TuneSettings};
use crate::sim::{self, Prepared};
use crate::time::Span;
use crate::tune::{
    self, Around, Case, Combine, Ended, Evaluator, Finished, Problem, Robust, RobustText, ScenarioProblem, SearchFault, Store,
    Task, Tuned, Unfit,
};
use crate::units::Count;

/// The observations of a search, in its folder.
const OBSERVATIONS: &str = "observations.jsonl";
/// The recommended settings, in every language.
const SETTINGS: [(&str, Language); 3] =
    [("settings.toml", Language::Toml), ("settings.flags", Language::Flags), ("settings.env", Language::Env)];
/// Version of the result's shape.
const SCHEMA: &str = "plimsoll.tune/1";

/// Search a scenario's [tune] section for the best settings, and say how sure that is
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// Seed of all randomness, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Choose for the worst of several futures: `load=0.7..1.5,capacity=0.8..1.1`, instead of `tune.robust`
    #[arg(long, value_name = "RANGES")]
    robust: Option<RobustText>,
    /// Budget in simulations, instead of `tune.simulations`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    simulations: Option<u32>,
    /// Replications at each setting beside the choice: plateaus, a fifth less and more, a slice through
    /// the two numbers that matter most, other loads. 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 10)]
    around: u32,
    /// Rows of the Sobol indices (a power of two; each takes as many runs as there are parameters, and two more). 0 leaves
    /// them out
    #[arg(long, value_name = "ROWS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=65_535))]
    sensitivity: u32,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The search's folder: observations as they come, then result and settings. The same command goes on where an earlier
    /// one was interrupted. Default: the scenario's name and `.tune`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write the recommended settings into the scenario file, comments kept
    #[arg(long)]
    write: bool,
    /// Threads. Default: one for each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=super::common::JOBS_MAX))]
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
    let mut settings = scenario.file.tune.clone().ok_or_else(|| no_section(&scenario))?;
    if let Some(simulations) = arguments.simulations.and_then(Count::new) {
        settings.simulations = simulations;
    }
    if let Some(RobustText(robust)) = arguments.robust.clone() {
        settings.robust = Some(robust);
    }
    let task = Task::read(&scenario, &settings).map_err(|Unfit { path, message }| scenario.diagnose_file(&path, message))?;
    let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.tune", scenario.name)));
    let inputs = arguments.scenario.inputs(&scenario);
    publish::check(&folder, &inputs)?;
    for (name, _) in &SETTINGS {
        files::is_free(&folder.join(name))?;
        files::spares(&inputs, &folder.join(name))?;
    }
    let (prepared, tuned, runs) = in_pool(arguments.jobs, || {
        let (prepared, tuned) = search(arguments, &scenario, &settings, &task, &folder)?;
        let runs = beside::runs(&scenario, &prepared, &task, &tuned)?;
        Ok::<_, Failure>((prepared, tuned, runs))
    })??;
    Store::sort(&folder.join(OBSERVATIONS)).map_err(|why| Failure::Write { path: folder.join(OBSERVATIONS), why })?;

    let current = current(&scenario, &task);
    let tuning = Tuning {
        scenario: &scenario.name,
        variant: &scenario.variants[task.variant].name,
        seed: scenario.run.seed,
        task: &task,
        constraints: &settings.constraints,
        current: &current,
        tuned: &tuned,
    };
    let json = json(&scenario, &settings, &prepared, &tuning) + "\n";
    let mut drawn = draw::tuning(&tuning);
    if let Some(runs) = &runs {
        draw::beside(runs, &publish::frame(&scenario, &prepared, &[]), &mut drawn);
    }
    let mut files = publish::publish(&folder, &json, &tuning.text(), &drawn, typed)?;
    files.extend(settled(arguments, &scenario, &tuning, &folder)?);
    let text = format!("{}{}", tuning.text(), publish::told(&files, &drawn));
    out.write_all(if arguments.format == Format::Json { json.as_bytes() } else { text.as_bytes() })?;
    out.flush()?;
    Ok(Exit::Done)
}

fn no_section(scenario: &Scenario) -> Failure {
    Failure::Input(format!(
        "`{}` has no [tune] section, which says what may be changed and what is wanted\n  = add one, such as\n      [tune]\n      \
         objective = \"goodput_rps\"\n      [[tune.parameter]]\n      path = \"policy.queue.max_queue_size\"\n      range = [1, \
         200]\n      scale = \"log\"",
        scenario.name
    ))
}

fn search(
    arguments: &Arguments,
    scenario: &Scenario,
    settings: &TuneSettings,
    task: &Task,
    folder: &Path,
) -> Result<(Prepared, Tuned), Failure> {
    let progress = Progress::new(arguments.quiet);
    let prepared = sim::prepare(scenario)?;
    task.try_ends(scenario, &prepared)?;
    let store = Store::open(&folder.join(OBSERVATIONS), &fingerprint(scenario, settings)).map_err(refused)?;
    if store.held() > 0 && !arguments.quiet {
        let _ = writeln!(std::io::stderr(), "note: going on with {} observations of an earlier run", store.held());
    }
    let in_case = |case| ScenarioProblem::new(scenario, &prepared, task, case);
    let cases = settings.robust.as_ref().map_or_else(|| vec![Case::EXPECTED], Case::all);
    let problems: Vec<ScenarioProblem<'_>> = cases.iter().copied().map(in_case).collect();
    let each: Vec<&dyn Problem> = problems.iter().map(|problem| problem as &dyn Problem).collect();
    let combine = settings.robust.as_ref().map_or(Combine::Worst, |robust| Case::combine(robust, cases.len()));
    let problem = Robust::new(each, combine).expect("there is a case at least, and a weight for each");
    let is_over = time_budget(settings.time);
    let stop = || store.has_failed() || is_over();
    let keep = |finished: &Finished<'_>| {
        store.keep(finished);
        progress.step();
    };
    let mut evaluator = Evaluator::new(&problem, &keep, &stop);
    store.preload(&mut evaluator);
    progress.begin(u64::from(settings.simulations.value()));
    let around = Around { replications: arguments.around, rows: arguments.sensitivity, cases };
    let asked = task.settings(settings, scenario.run.seed);
    let found = tune::tune(task, &mut evaluator, &asked, &around, in_case, &stop);
    drop(evaluator);
    store.finish().map_err(refused)?;
    let tuned = found.map_err(|fault| fruitless(&fault, task))?;
    Ok((prepared, tuned))
}

/// Whether the time that was given is over. The one place where a result may depend on a clock, and it says so.
#[allow(clippy::disallowed_methods)] // a budget of time is about the clock on the wall
fn time_budget(time: Option<Span>) -> impl Fn() -> bool + Sync {
    let deadline = time.map(|time| Instant::now() + Duration::from_nanos(time.as_nanos()));
    move || deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

fn refused(error: tune::StoreError) -> Failure {
    match error {
        tune::StoreError::Io { path, why } => Failure::Write { path, why },
        other => Failure::Input(other.to_string()),
    }
}

fn fruitless(fault: &SearchFault, task: &Task) -> Failure {
    Failure::Input(match fault {
        SearchFault::Unmeasured(objective) => {
            format!(
                "no run of any candidate shows `{}`: nothing that it is made of ever happens",
                task.objectives[*objective].measure
            )
        }
        SearchFault::TooLittle(lacks) => format!("{lacks}\n  = raise `tune.simulations`, or try fewer candidates"),
        other => other.to_string(),
    })
}

/// Of everything that an observation depends on.
fn fingerprint(scenario: &Scenario, settings: &TuneSettings) -> String {
    let paths: Vec<&str> = settings.parameter.iter().map(|parameter| parameter.path.as_str()).collect();
    let wanted = (&settings.variant, &settings.objective, &settings.pareto, &settings.constraints, &settings.robust, paths);
    let mut text = format!("{} {:?} {:?} {:?}", env!("CARGO_PKG_VERSION"), scenario.run, scenario.variants, wanted);
    for file in scenario.files() {
        // What cannot be read was told when the scenario was prepared.
        let bytes = std::fs::read(&file.resolved).unwrap_or_default();
        let _ = write!(text, " {} {:016x}", file.name, fnv1a(&bytes)); // a String takes everything
    }
    format!("{:016x}", fnv1a(text.as_bytes()))
}

/// What is in force today, parameter by parameter.
fn current(scenario: &Scenario, task: &Task) -> Vec<Option<String>> {
    let in_force = |path: &String| scenario.in_force(task.variant, &path.parse().ok()?).filter(|value| !value.is_null());
    task.space.parameters().iter().map(|parameter| in_force(&parameter.path).map(|value| value.to_string())).collect()
}

/// Writes the recommended settings, and says which files hold them now.
fn settled(arguments: &Arguments, scenario: &Scenario, tuning: &Tuning<'_>, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let outcome = &tuning.tuned.outcome;
    let Some(choice) = outcome.choice else { return Ok(Vec::new()) };
    let sets = tuning.task.sets(outcome.point(choice));
    let chosen = scenario.candidate(tuning.task.variant, &sets)?;
    let mut made = settings_files(&chosen.policy, folder)?;
    if arguments.write && outcome.ended != Ended::Complete {
        // Settings that stand on short runs are not for deployment.
        let _ = writeln!(std::io::stderr(), "note: the search was cut short, so the scenario is left as it is");
    } else if arguments.write && !sets.is_empty() {
        let path = &arguments.scenario.scenario;
        let text = std::fs::read_to_string(path).map_err(|why| Failure::Write { path: path.clone(), why })?;
        let changed = crate::scenario::write_settings(&text, &scenario.variants[tuning.task.variant].of, &sets);
        files::write_whole(path, &changed.map_err(Failure::Input)?)?;
        made.push(path.clone());
    }
    Ok(made)
}

fn settings_files(policies: &Policies, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut made = Vec::new();
    for (name, language) in SETTINGS {
        let (text, lost) = written(policies, language);
        for sentence in lost {
            let _ = writeln!(std::io::stderr(), "lost in {name}: {sentence}"); // worth no failure where it is closed
        }
        let path = folder.join(name);
        files::write_whole(&path, &text)?;
        made.push(path);
    }
    Ok(made)
}

#[derive(Serialize)]
struct Envelope<'a> {
    schema: &'static str,
    scenario: &'a str,
    seed: String,
    variant: &'a str,
    load: Option<LoadReport>,
    settings: &'a TuneSettings,
    parameters: Vec<&'a str>,
    current: &'a [Option<String>],
    recommended: Option<Vec<String>>,
    tuned: &'a Tuned,
}

fn json(scenario: &Scenario, settings: &TuneSettings, prepared: &Prepared, tuning: &Tuning<'_>) -> String {
    let outcome = &tuning.tuned.outcome;
    let envelope = Envelope {
        schema: SCHEMA,
        scenario: &scenario.name,
        seed: scenario.run.seed.to_string(),
        variant: tuning.variant,
        load: prepared.capacity.as_ref().map(load_report),
        settings,
        parameters: tuning.task.space.parameters().iter().map(|parameter| parameter.path.as_str()).collect(),
        current: tuning.current,
        recommended: outcome.choice.map(|choice| tuning.task.sets(outcome.point(choice))),
        tuned: tuning.tuned,
    };
    serde_json::to_string(&envelope).expect("text, numbers and lists can be written")
}

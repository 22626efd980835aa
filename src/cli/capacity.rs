//! `plimsoll capacity`: the load line, the greatest load that each variant sustains.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::common::{Format, ScenarioArguments, in_pool, load_report, tell_not_validated};
use super::progress::Progress;
use super::{Exit, Failure, publish};
use crate::journal::summary::{Bound, Measure, Summary};
use crate::report::{self, LoadLines};
use crate::scenario::{REPLICATIONS_MAX, Scenario, Variant};
use crate::sim::{self, Plan, Prepared};
use crate::stats;
use crate::tune::{self, LoadLine, Question};

/// Closest that a bracket's ends are brought together: what a person can tell apart is far more.
const TOLERANCE_MIN: f64 = 1e-4;
/// Loads at which the curves are measured, evenly between these shares of the greatest line.
const LOADS: u32 = 12;
/// See [`LOADS`].
const LOAD_MIN: f64 = 0.2;
/// See [`LOADS`].
const LOAD_MAX: f64 = 1.5;
/// How far above a line the curves are measured once more: at least this share.
const ABOVE: f64 = 0.03;

/// Find the load line: the greatest load that each policy variant sustains, with its interval
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// A service level that must hold beside a stable run, as often as wanted: `p99_ttft_ms<=500`,
    /// `goodput_fraction{class=chat}>=0.99`
    #[arg(long = "slo", value_name = "EXPR")]
    levels: Vec<String>,
    /// How close each replication's line is bracketed, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    tolerance: f64,
    /// Seed of all randomness, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Independent repetitions, instead of the scenario's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(REPLICATIONS_MAX)))]
    replications: Option<u32>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the result into this folder: `report.html` with everything, `result.json`, `result.txt`, and `plots/`. Every
    /// variant is then run at twelve loads more, at the lines and just above them, for its goodput curve
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads. Default: one for each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=super::common::JOBS_MAX))]
    jobs: Option<u16>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

/// Brackets the lines, and writes them. All that can be wrong with what was asked for is told before anything is run.
/// `typed` is the command line, for the report.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut scenario = arguments.scenario.load()?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let question = question(arguments, &scenario)?;
    let inputs = arguments.scenario.inputs(&scenario);
    if let Some(folder) = &arguments.out {
        publish::check(folder, &inputs)?;
    }
    let Found { prepared, lines, sweep } = in_pool(arguments.jobs, || bracket(arguments, &scenario, &question))??;
    let load = prepared.capacity.as_ref().map(load_report);
    let result = LoadLines {
        scenario: &scenario.name,
        seed: scenario.run.seed,
        levels: &arguments.levels,
        tolerance: question.tolerance,
        load: load.as_ref(),
        lines: &lines,
    };
    let (json, mut text) = (result.to_json() + "\n", result.text());
    for remark in &prepared.remarks {
        text.push_str(remark);
        text.push('\n');
    }
    if let Some(folder) = &arguments.out {
        let drawn = report::draw::capacity(&lines, &sweep, &publish::frame(&scenario, &prepared, &[]));
        let files = publish::publish(folder, &json, &text, &drawn, typed)?;
        text.push_str(&publish::told(&files, &drawn));
    }
    if arguments.format == Format::Json {
        tell_not_validated(&scenario);
    }
    out.write_all(if arguments.format == Format::Json { json.as_bytes() } else { text.as_bytes() })?;
    out.flush()?;
    Ok(Exit::Done)
}

fn question(arguments: &Arguments, scenario: &Scenario) -> Result<Question, Failure> {
    let tolerance = arguments.tolerance;
    if !(TOLERANCE_MIN..=1.0).contains(&tolerance) {
        return Err(Failure::Input(format!("--tolerance {tolerance} is not from {TOLERANCE_MIN} to 1: 0.01 is one percent")));
    }
    let classes: Vec<&str> = scenario.variants.iter().flat_map(|v| v.classes.iter().map(|class| class.name.as_str())).collect();
    let has_spikes = scenario.variants.iter().any(Variant::has_spikes);
    let level =
        |text: &String| level(text, &classes, has_spikes).map_err(|why| Failure::Input(format!("--slo '{text}': {why}")));
    Ok(Question {
        levels: arguments.levels.iter().map(level).collect::<Result<_, _>>()?,
        replications: arguments.replications.unwrap_or(scenario.run.replications.value()),
        tolerance,
    })
}

fn level(text: &str, classes: &[&str], has_spikes: bool) -> Result<(Measure, Bound), String> {
    let (left, bound) = Bound::split(text)?;
    let measure: Measure = left.parse()?;
    measure.check_class(classes)?;
    measure.check_bound(bound)?;
    measure.check_spikes(has_spikes)?;
    Ok((measure, bound))
}

/// What was run.
struct Found {
    prepared: Prepared,
    lines: Vec<LoadLine>,
    /// Every variant at each of several loads; empty where nothing is drawn.
    sweep: Vec<Summary>,
}

fn bracket(arguments: &Arguments, scenario: &Scenario, question: &Question) -> Result<Found, Failure> {
    let progress = Progress::new(arguments.quiet);
    let prepared = sim::prepare(scenario)?;
    let plans = once_each(scenario, &prepared.plans);
    let runs = plans.len() as u64 * u64::from(question.replications);
    progress.begin(runs);
    let done = || progress.step();
    let lines = tune::load_lines(&plans, &prepared.context, question, &done);
    let mut sweep = Vec::new();
    if arguments.out.is_some() {
        let factors = factors(&lines, question.tolerance);
        progress.more(runs * factors.len() as u64);
        // A load that no plan can be brought to is no point of the curves.
        let at = |factor: f64| plans.iter().map(|plan| plan.at_load(factor)).collect::<Option<Vec<Plan>>>();
        let run = |plans: Vec<Plan>| sim::run(&plans, question.replications, &prepared.context, None, &done);
        sweep = factors.into_iter().filter_map(at).map(run).collect();
    }
    Ok(Found { prepared, lines, sweep })
}

/// The loads of the curves, in no order: evenly around the greatest line (around the scenario's own load where none is sustained),
/// and each line with what lies just above it, so that no curve is drawn straight across the cliff that its line stands at.
fn factors(lines: &[LoadLine], tolerance: f64) -> Vec<f64> {
    let factor = |line: &LoadLine| {
        let factors: Vec<f64> = line.brackets.iter().map(|bracket| bracket.sustained).collect();
        stats::mean(&factors).unwrap_or(0.0)
    };
    let sustained: Vec<f64> = lines.iter().map(factor).filter(|factor| *factor > 0.0).collect();
    let unit = sustained.iter().copied().reduce(f64::max).unwrap_or(1.0);
    let even = (0..LOADS).map(|i| unit * (LOAD_MIN + (LOAD_MAX - LOAD_MIN) * f64::from(i) / f64::from(LOADS - 1)));
    let above = 1.0 + ABOVE.max(2.0 * tolerance);
    even.chain(sustained.iter().flat_map(|line| [*line, above * line])).collect()
}

/// One plan for each variant: a sweep over loads would ask the same question again and again. It goes by its own name.
fn once_each(scenario: &Scenario, plans: &[Plan]) -> Vec<Plan> {
    let swept = scenario.file.sweep.as_ref().and_then(|sweep| sweep.path.rsplit('.').next());
    if !matches!(swept, Some("load" | "rate")) {
        return plans.to_vec();
    }
    let of = |plan: &Plan| scenario.variants.iter().find(|variant| variant.name == plan.name).map(|variant| variant.of.clone());
    let mut kept: Vec<Plan> = Vec::new();
    for plan in plans {
        let name = of(plan).unwrap_or_else(|| plan.name.clone());
        if kept.iter().all(|plan| plan.name != name) {
            kept.push(Plan { name, ..plan.clone() });
        }
    }
    kept
}

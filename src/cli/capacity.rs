//! `plimsoll capacity`: the load line, the greatest load that each variant sustains.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::common::{Format, ScenarioArguments, in_pool, load_report};
use super::progress::Progress;
use super::{Exit, Failure, files};
use crate::journal::summary::{Bound, Measure};
use crate::report::LoadLines;
use crate::scenario::{REPLICATIONS_MAX, Scenario};
use crate::sim::{self, Plan, Prepared};
use crate::tune::{self, LoadLine, Question};

/// Closest that a bracket's ends are brought together: what a person can tell apart is far more.
const TOLERANCE_MIN: f64 = 1e-4;

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
    /// Also write the result into this folder: `result.json` and `result.txt`
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
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut scenario = arguments.scenario.load()?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let question = question(arguments, &scenario)?;
    let inputs = arguments.scenario.inputs(&scenario);
    if let Some(folder) = &arguments.out {
        files::writable_folder(folder)?;
        files::RESULTS.iter().try_for_each(|name| files::spares(&inputs, &folder.join(name)))?;
    }
    let (prepared, lines) = in_pool(arguments.jobs, || bracket(&scenario, &question, arguments.quiet))??;
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
        let [json_file, text_file] = files::RESULTS.map(|name| folder.join(name));
        files::write_whole(&json_file, &json)?;
        files::write_whole(&text_file, &text)?;
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
    let level = |text: &String| level(text, &classes).map_err(|why| Failure::Input(format!("--slo '{text}': {why}")));
    Ok(Question {
        levels: arguments.levels.iter().map(level).collect::<Result<_, _>>()?,
        replications: arguments.replications.unwrap_or(scenario.run.replications.value()),
        tolerance,
    })
}

fn level(text: &str, classes: &[&str]) -> Result<(Measure, Bound), String> {
    let (left, bound) = Bound::split(text)?;
    let measure: Measure = left.parse()?;
    match &measure.class {
        Some(class) if !classes.contains(&class.as_str()) => {
            Err(format!("there is no class `{class}`; there are: {}", classes.join(", ")))
        }
        _ => Ok((measure, bound)),
    }
}

fn bracket(scenario: &Scenario, question: &Question, quiet: bool) -> Result<(Prepared, Vec<LoadLine>), Failure> {
    let progress = Progress::new(quiet);
    let prepared = sim::prepare(scenario)?;
    let plans = once_each(scenario, &prepared.plans);
    progress.begin(plans.len() as u64 * u64::from(question.replications));
    let lines = tune::load_lines(&plans, &prepared.context, question, &|| progress.step());
    Ok((prepared, lines))
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

//! `plimsoll replay`: a log's own arrivals under other settings, beside what was recorded; and journals decided again.

mod verify;
mod world;
pub(super) use world::may_run;

use std::io::Write;
use std::path::PathBuf;
use std::sync::PoisonError;

use clap::{Args, ValueEnum};

use super::common::{Format, JOBS_MAX, in_pool};
use super::progress::Progress;
use super::simulate::{is_valid, judge};
use super::trace::log::{LogArguments, RuleArguments, folder_of, wrong as unreadable};
use super::{Exit, Failure, publish};
use crate::journal::summary::Summary;
use crate::replay::{Clients, Log, Measured, Replay, Survey, apart, chances, first_group};
use crate::report::replayed::{WINDOWS, courses};
use crate::report::{self, Replayed};
use crate::scenario::REPLICATIONS_MAX;
use crate::sim::{self, Prepared};
use crate::time::Time;
use crate::trace::TraceError;
use crate::trace::flow::{Impute, Rules};
use crate::workload::Rows;
use world::World;

/// What the log is called in the scenario.
const LOG: &str = "the log";

/// Replay a log's own arrivals under other settings, beside what was recorded
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // as typed
pub struct Arguments {
    /// The log: any format that is read, plain, gz or zst
    #[arg(required_unless_present = "verify")]
    log: Option<PathBuf>,
    /// A settings file, as `tune` and `export` write it: one variant. Default: the scenario's own variants
    #[arg(long = "policy", value_name = "SETTINGS")]
    policies: Vec<PathBuf>,
    /// The world that serves: a scenario, whose arrivals and lengths the log's take the place of. Default: a shipped preset, which
    /// is not calibrated to your system
    #[arg(long, value_name = "WORLD")]
    scenario: Option<PathBuf>,
    /// Change any setting of that scenario: `upstream.speed=0.8`
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "scenario")]
    sets: Vec<String>,
    /// Who decides about patience and retries. Default: `world` with a scenario, else `as-logged`
    #[arg(long, value_enum)]
    clients: Option<ClientsArgument>,
    /// Put all rows into this class of the scenario, whatever the log calls them
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// What the log is: `auto` finds out and says by what; or csv, jsonl, azure-2024, mooncake, litellm, envoy, otlp, ...
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    log_format: String,
    /// Which columns hold what: `arrival=ts:unix_ms,input=prompt_tokens,output=completion_tokens`
    #[arg(long, value_name = "COLUMNS")]
    map: Option<String>,
    /// A named map: `nginx`, `langfuse`, `helicone`
    #[arg(long, value_name = "NAME", conflicts_with = "map")]
    preset: Option<String>,
    /// Decide this journal again, as `--journal` of `simulate` or `serve` writes it, and compare every decision
    #[arg(long, value_name = "JOURNAL", exclusive = true)]
    verify: Option<PathBuf>,
    #[command(flatten)]
    rules: RuleArguments,
    /// Runs of each variant, over which what is drawn in the world varies; the arrivals are the log's in all of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(REPLICATIONS_MAX)))]
    replications: u32,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the result into this folder: `report.html` with everything, `result.json`, `result.txt`, and `plots/`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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

/// Who decides about patience and retries.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum ClientsArgument {
    /// The scenario's clients: rows are requests
    World,
    /// The log: each row is one attempt of a client who waits for ever
    AsLogged,
}

/// Replays, or verifies. All that can be wrong with what was asked for is told before anything is run. `typed` is the command
/// line, for the report.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    if let Some(journal) = &arguments.verify {
        return verify::run(journal, out);
    }
    let path = arguments.log.clone().expect("clap asks for it where there is nothing to verify");
    let clients = match (arguments.clients, &arguments.scenario) {
        (Some(ClientsArgument::World), _) | (None, Some(_)) => Clients::World,
        (Some(ClientsArgument::AsLogged), _) | (None, None) => Clients::AsLogged,
    };
    if let Some(folder) = &arguments.out {
        publish::check(folder, &inputs(arguments))?;
    }
    let scenario = world::load(arguments)?;
    let seed = scenario.as_ref().map_or(Rules::SEED, |scenario| scenario.run.seed);
    let log = log(arguments, path, clients, seed)?;
    let progress = Progress::new(arguments.quiet);
    let survey = Survey::of(&log).map_err(unreadable)?;
    let world = world::build(arguments, scenario, &survey, clients, log.rules.seed)?;
    check_asserts(&arguments.asserts, &world)?;
    let replay = Replay {
        log,
        classes: world.classes.clone(),
        first: survey.span.unwrap_or_default().0,
        first_group: first_group(&world.scenario),
    };
    let done = in_pool(arguments.jobs, || simulate(arguments, &world, &replay, &survey, &progress))??;
    tell(arguments, typed, &world, &survey, &done, out)?;
    judge(&arguments.asserts, &done.summary)
}

fn inputs(arguments: &Arguments) -> Vec<PathBuf> {
    arguments.log.iter().chain(&arguments.policies).chain(&arguments.scenario).cloned().collect()
}

/// The log as it is to be read, by `seed` unless the user names one; what is too long to be sorted in memory is sorted beside the
/// result.
fn log(arguments: &Arguments, path: PathBuf, clients: Clients, seed: u64) -> Result<Log, Failure> {
    let named = LogArguments {
        log: path.clone(),
        log_format: arguments.log_format.clone(),
        map: arguments.map.clone(),
        preset: arguments.preset.clone(),
    };
    let beside = arguments.out.as_ref().map_or_else(std::env::temp_dir, |out| folder_of(out));
    let rules = clients.rules(arguments.rules.rules(Impute::Draw, &beside, seed)?);
    Ok(Log { path, options: named.options(rules.seed)?, rules })
}

fn check_asserts(asserts: &[report::Assertion], world: &World) -> Result<(), Failure> {
    let scenario = &world.scenario;
    let mut variants: Vec<&str> = scenario.variants.iter().map(|variant| variant.name.as_str()).collect();
    variants.rotate_left(scenario.baseline());
    let classes: Vec<&str> = scenario.variants[0].classes.iter().map(|class| class.name.as_str()).collect();
    asserts.iter().try_for_each(|assertion| assertion.check(&variants, &classes)).map_err(Failure::Input)
}

/// What came of a replay.
struct Done {
    prepared: Prepared,
    summary: Summary,
    measured: Option<Measured>,
    chances: Vec<&'static str>,
}

fn simulate(
    arguments: &Arguments,
    world: &World,
    replay: &Replay,
    survey: &Survey,
    progress: &Progress,
) -> Result<Done, Failure> {
    let (stream, fault) = replay.stream(survey);
    let mut prepared = sim::prepare_given(&world.scenario, &[(LOG.to_owned(), Rows::Stream(stream))])?;
    prepared.context.detailed = true;
    prepared.remarks.extend(too_long(&prepared, survey));
    let mut chances: Vec<&'static str> = prepared.plans.iter().flat_map(chances).collect();
    chances.sort_unstable();
    chances.dedup();
    // Where nothing is drawn, a second run would be the first again.
    let replications = if chances.is_empty() { 1 } else { arguments.replications };
    progress.begin(prepared.plans.len() as u64 * u64::from(replications));
    let summary = sim::run(&prepared.plans, replications, &prepared.context, None, &|| progress.step());
    is_valid(&summary)?;
    if let Some(error) = fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(Failure::Invalid(format!("the log could be read once and not again: {error}")));
    }
    let offered = summary.variants.first().map_or(0, |variant| variant.counts.offered) / u64::from(replications);
    if world.counts_all && offered != survey.replayed {
        let (read, came) = (survey.replayed, offered);
        return Err(Failure::Invalid(format!("the log had {read} requests when it was looked through and {came} afterwards")));
    }
    let measured = Measured::worth_it(survey).then(|| measure(world, replay, &summary)).transpose().map_err(unreadable)?;
    Ok(Done { prepared, summary, measured, chances })
}

/// A word on requests that the model cannot hold.
fn too_long(prepared: &Prepared, survey: &Survey) -> Option<String> {
    let context = prepared.plans.iter().map(|plan| plan.upstream.context()).min()?;
    let (longest, context) = (report::format::count(survey.longest), u64::from(context));
    (survey.longest > context).then(|| {
        let context = report::format::count(context);
        format!(
            "The longest request has {longest} tokens and the model's context {context}: such requests fail or are cut here."
        )
    })
}

/// What was recorded, in the bins of the runs.
fn measure(world: &World, replay: &Replay, summary: &Summary) -> Result<Measured, TraceError> {
    let classes = &world.scenario.variants[world.scenario.baseline()].classes;
    let slos: Vec<_> = classes.iter().map(|class| class.slo).collect();
    let timeline = summary.variants.first().and_then(|variant| variant.timeline.as_ref());
    let bins =
        timeline.map_or((world.scenario.run.duration, 1), |timeline| (timeline.series.bin, timeline.series.offered.len()));
    Measured::of(replay, &slos, bins, world.warmup())
}

fn tell(
    arguments: &Arguments,
    typed: &str,
    world: &World,
    survey: &Survey,
    done: &Done,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let Done { prepared, summary, measured, chances } = done;
    let timeline = summary.variants.first().and_then(|variant| variant.timeline.as_ref());
    let windows = timeline.map_or(Vec::new(), |timeline| {
        apart(&courses(measured.as_ref(), summary), timeline.series.bin, Time::ZERO + world.scenario.run.duration, WINDOWS)
    });
    let classes = &world.scenario.variants[0].classes;
    let replayed = Replayed {
        scenario: &world.scenario.name,
        assumed: arguments.scenario.is_none(),
        seed: world.scenario.run.seed,
        clients: world.clients,
        class: arguments.class.as_deref(),
        first_class: (classes.len() > 1 && world.some_have_no_class).then_some(classes[0].name.as_str()),
        has_slo: classes.iter().any(|class| class.slo.is_some()),
        survey,
        measured: measured.as_ref(),
        summary,
        chances,
        remarks: &[world.remarks.clone(), prepared.remarks.clone()].concat(),
        windows: &windows,
    };
    let (json, mut text) = (replayed.to_json(), replayed.text());
    if let Some(folder) = &arguments.out {
        let names: Vec<&str> = summary.variants.iter().map(|variant| variant.name.as_str()).collect();
        let beside = report::draw::Beside { measured: measured.as_ref(), began_unix_ns: survey.began_unix_ns() };
        let drawn = report::draw::replay(summary, &publish::frame(&world.scenario, prepared, &names), &beside);
        let files = publish::publish(folder, &json, &text, &drawn, typed)?;
        text.push_str(&publish::told(&files, &drawn));
    }
    match arguments.format {
        Format::Table => out.write_all(text.as_bytes())?,
        Format::Json => writeln!(out, "{json}")?,
    }
    out.flush()?;
    Ok(())
}

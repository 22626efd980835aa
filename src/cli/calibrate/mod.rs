//! `plimsoll calibrate`: a server's costs from its logs, or from probes of the server itself, and how well they predict the part
//! that was held out.

mod predict;
mod result;
mod select;
mod size;
mod tail;
mod target;
mod text;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use self::predict::Predictor;
use self::select::{Parts, Test};
use self::size::Size;
use super::common::{Format, JOBS_MAX, in_pool};
use super::progress::Progress;
use super::{Exit, Failure, files, publish};
use crate::calibrate::{self, Calibration, Grade, KvCache, Run, Standing, Verdict};
use crate::report;
use crate::units::{Count, NonNegative};
use crate::upstream::{CalibrationSettings, CostSettings, HostSettings, Picos, UpstreamSettings, VllmModel, VllmSettings};

/// Speeds that each run is predicted at: the median, and enough for the ends of a 95 % band.
const SPEEDS: u32 = 41;

/// Fit a vLLM server's model to its logs, or to probes of the server itself, and predict the part that was held out
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Step logs (vLLM's --enable-logging-iteration-details, `# run NAME` before each run), request records (the load driver's
    /// JSON Lines, named after their run), or folders of them; `.zst` too
    #[arg(required_unless_present = "target", conflicts_with = "target", value_name = "LOG")]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    live: target::TargetArguments,
    /// Runs to fit. Default: all that are not held out
    #[arg(long, value_name = "RUN", value_delimiter = ',', conflicts_with = "target")]
    fit: Vec<String>,
    /// Runs to predict, whose requests are recorded. Default: all that are not fitted; of nothing named, the last third of them
    #[arg(long, value_name = "RUN", value_delimiter = ',', conflicts_with = "target")]
    hold_out: Vec<String>,
    #[command(flatten)]
    size: size::SizeArguments,
    /// A preset of the same model and GPU: says which costs would beat its physics
    #[arg(long, value_name = "PRESET")]
    hardware: Option<String>,
    /// Speeds that each run is predicted at
    #[arg(long, value_name = "N", default_value_t = SPEEDS, value_parser = clap::value_parser!(u32).range(5..=1000))]
    speeds: u32,
    /// Write the scenario section `[upstream]` here
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Seed of resampling and of drawn lengths
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the result into this folder: `report.html` with everything, `result.json`, `result.txt`, `upstream.toml`, and
    /// `plots/`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads. Default: one for each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX))]
    jobs: Option<u16>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

/// All that came of it.
struct Found {
    calibration: Calibration,
    model: VllmModel,
    settings: VllmSettings,
    fitted: Vec<Grade>,
    tests: Vec<Grade>,
    /// Which runs were held out, where nobody said.
    choice: Option<String>,
    /// Runs of which requests are missing: how many are here, and how many are not.
    unsaid: Vec<(String, usize, u64)>,
    /// Runs of which requests were turned away, and how many.
    refused: Vec<(String, u64)>,
    /// Which server was measured for it, and how; `None` of logs.
    live: Option<serde_json::Value>,
}

/// Fits, predicts, and writes what came of it. All that can be wrong with what was asked for is told before anything is
/// fitted. `typed` is the command line, for the report.
pub fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    check_hardware(arguments)?;
    if arguments.live.target.is_some() {
        return target::run(arguments, typed, out);
    }
    let inputs = select::files(&arguments.logs)?;
    check_outputs(arguments, &inputs)?;
    let runs = select::read(&inputs)?;
    let parts = select::parts(&runs, &arguments.fit, &arguments.hold_out)?;
    let again: Vec<Test> = parts.fitted.iter().filter(|run| !run.served.is_empty()).map(Test::fitted).collect();
    let size = Size::stated(&arguments.size)?;
    size.agrees_with(&runs)?;
    let mut found = in_pool(arguments.jobs, || find(arguments, &size, &parts, &again))??;
    found.note(&runs);
    write(&found, arguments, typed, "", out)
}

/// Makes sure that the result can be written, and over none of `inputs`.
fn check_outputs(arguments: &Arguments, inputs: &[PathBuf]) -> Result<(), Failure> {
    if let Some(path) = &arguments.write {
        files::is_free(path)?;
        files::spares(inputs, path)?;
    }
    if let Some(folder) = &arguments.out {
        publish::check(folder, inputs)?;
        files::is_free(&folder.join(UPSTREAM))?;
    }
    Ok(())
}

/// Writes the result to wherever it was asked for; `after` stands at the end of its text.
fn write(found: &Found, arguments: &Arguments, typed: &str, after: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    let (json, mut text) = (result::json(found, arguments), text::text(found, arguments) + after);
    let section = result::section(found, typed)?;
    if let Some(path) = &arguments.write {
        files::write_whole(path, &section)?;
    }
    if let Some(folder) = &arguments.out {
        let drawn = report::draw::calibration(&found.calibration, arguments.seed);
        files::write_whole(&folder.join(UPSTREAM), &section)?;
        let mut written = publish::publish(folder, &json, &text, &drawn, typed)?;
        written.push(folder.join(UPSTREAM));
        text.push_str(&publish::told(&written, &drawn));
    }
    match arguments.format {
        Format::Table => out.write_all(text.as_bytes())?,
        Format::Json => out.write_all(json.as_bytes())?,
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// The scenario section in a result's folder.
const UPSTREAM: &str = "upstream.toml";

/// Fits and predicts; of the runs that were fitted to, `again` are predicted too.
fn find(arguments: &Arguments, size: &Size, parts: &Parts, again: &[Test]) -> Result<Found, Failure> {
    let kv = KvCache { tokens: f64::from(size.num_gpu_blocks) * f64::from(size.block_size), block: f64::from(size.block_size) };
    let fitted: Vec<&Run> = parts.fitted.iter().collect();
    let calibration = calibrate::calibrate(&fitted, kv, arguments.seed).map_err(|why| Failure::Input(why.to_string()))?;
    let mut settings = settings(size, &calibration);
    let model = resolve(&settings)?;
    let progress = Progress::new(arguments.quiet);
    progress.begin((again.len() + parts.tests.len()) as u64 * u64::from(arguments.speeds));
    let predictor = Predictor {
        model: &model,
        calibration: &calibration,
        kv,
        seed: arguments.seed,
        speeds: arguments.speeds,
        progress: &progress,
    };
    let fitted: Vec<Grade> = again.iter().map(|test| predictor.grade(test, true)).collect();
    let tests: Vec<Grade> = parts.tests.iter().map(|test| predictor.grade(test, false)).collect();
    settings.calibration = Some(verdict(&tests));
    let choice = parts.choice.clone();
    Ok(Found { calibration, model, settings, fitted, tests, choice, unsaid: Vec::new(), refused: Vec::new(), live: None })
}

impl Found {
    /// Says of which runs requests are missing.
    fn note(&mut self, runs: &[Run]) {
        let missing = runs.iter().filter(|run| run.unsaid > 0);
        self.unsaid = missing.map(|run| (run.name.clone(), run.served.len(), run.unsaid)).collect();
        let turned_away = runs.iter().filter(|run| run.refused > 0);
        self.refused = turned_away.map(|run| (run.name.clone(), run.refused)).collect();
    }
}

/// What the calibration says of itself.
fn verdict(tests: &[Grade]) -> CalibrationSettings {
    let verdict = Verdict::of(tests);
    let missed: Vec<String> = tests
        .iter()
        .flat_map(|grade| grade.failures().map(|row| format!("{} of {} {}", row.figure.name(), grade.run, text::error(row))))
        .collect();
    let named =
        |is: &dyn Fn(&&Grade) -> bool| -> Vec<&str> { tests.iter().filter(is).map(|grade| grade.run.as_str()).collect() };
    let near = named(&|grade| grade.standing == Standing::NearCritical).join(", ");
    let reason = match verdict {
        Verdict::Untested => "no run that was held out tests it".to_owned(),
        Verdict::Validated => {
            let tested = named(&|grade| grade.standing == Standing::Tested).join(", ");
            let parts = [
                (tested, "within tolerance"),
                (near, "near critical and inside its band, which says less"),
                (named(&|grade| !grade.is_test()).join(", "), "no test of it"),
            ];
            let told = parts.iter().filter(|(names, _)| !names.is_empty()).map(|(names, what)| format!("{names} {what}"));
            told.collect::<Vec<_>>().join("; ")
        }
        Verdict::InsideTheBand => {
            format!("{near} inside the band, all of them near critical, where a wide band passes nearly anything")
        }
        Verdict::Missed => format!("out of tolerance: {}", missed.join("; ")),
    };
    CalibrationSettings { validated: verdict == Verdict::Validated, reason }
}

fn settings(size: &Size, found: &Calibration) -> VllmSettings {
    let (cost, host) = (found.cost(), found.host());
    let [t0, t0p, tp, td, tk] = [cost.t0, cost.t0p, cost.tp, cost.td, cost.tk].map(|cost| Some(Picos(cost)));
    let [step, delay_in, delay_out] = [host.step, host.delay_in, host.delay_out].map(|cost| Some(Picos(cost)));
    VllmSettings {
        cost: Some(CostSettings { t0, t0p, tp, td, tk }),
        host: Some(HostSettings { step, delay_in, delay_out, ..HostSettings::default() }),
        max_num_seqs: Count::new(size.max_num_seqs),
        max_num_batched_tokens: Count::new(size.max_num_batched_tokens),
        max_model_len: size.max_model_len.and_then(Count::new),
        num_gpu_blocks: Count::new(size.num_gpu_blocks),
        block_size: Count::new(size.block_size),
        speed_sigma: found.speed_sigma.and_then(NonNegative::new),
        ..VllmSettings::default()
    }
}

fn resolve(settings: &VllmSettings) -> Result<VllmModel, Failure> {
    VllmModel::resolve(settings).map_err(|wrong| Failure::Input(format!("these costs and flags make no server: {wrong}")))
}

fn check_hardware(arguments: &Arguments) -> Result<(), Failure> {
    let Some(name) = &arguments.hardware else { return Ok(()) };
    match VllmModel::resolve(&preset(name)) {
        Err(wrong) => Err(Failure::Input(format!("--hardware {name}: {wrong}"))),
        Ok(model) if model.hardware.is_none() => {
            Err(Failure::Input(format!("--hardware {name}: the model and GPU of this preset are not known: name one of a GPU")))
        }
        Ok(_) => Ok(()),
    }
}

fn preset(name: &str) -> VllmSettings {
    VllmSettings { preset: Some(name.to_owned()), ..VllmSettings::default() }
}

/// The same server on the hardware of the preset that was named, for its physical floor.
fn on_hardware(arguments: &Arguments, model: &VllmModel) -> Option<VllmModel> {
    let hardware = VllmModel::resolve(&preset(arguments.hardware.as_ref()?)).ok()?.hardware;
    Some(VllmModel { hardware, ..model.clone() })
}

/// The section as a scenario has it.
fn upstream(settings: &VllmSettings) -> UpstreamSettings {
    UpstreamSettings::Vllm(Box::new(settings.clone()))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

//! `plimsoll calibrate --target`: the logs are made here, by probes of a server.

use std::fs;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::select::{self, Parts, Test};
use super::size::Size;
use super::tail::Tail;
use super::{Arguments, Found, check_outputs, find, write};
use crate::calibrate::{Run, read_steps};
use crate::cli::common::in_pool;
use crate::cli::progress::Progress;
use crate::cli::stop::{Stop, runtime};
use crate::cli::{Exit, Failure};
use crate::live::drive::{Key, Line, Prompts, TERMS, VOCABULARY, Way, connections, probe, read_limits, write_lines};
use crate::live::http::Target;
use crate::live::survey::{Bounds, Halt, News, Surveyed, Terms, survey};
use crate::report::format::{count, duration, number, percent, wrap};
use crate::time::Time;

/// Longest silence of an answer that has begun.
const IDLE: Duration = Duration::from_secs(60);
/// Where a probe's records are kept, in the result's folder.
const RECORDS: &str = "records";
/// Beside them, the server's own step lines.
const STEPS: &str = "steps.log";

/// The server that is probed.
#[derive(Clone, Debug, Args)]
pub(super) struct TargetArguments {
    /// Measure this server now: what stands before `/v1`, like `http://127.0.0.1:8000`. The records go to `--out`
    #[arg(long, value_name = "URL", requires = "out")]
    pub target: Option<Target>,
    /// The model's name there. Default: the first that the server lists
    #[arg(long, value_name = "NAME", requires = "target")]
    pub model: Option<String>,
    /// The environment variable that holds the server's API key
    #[arg(long, value_name = "VARIABLE", requires = "target")]
    pub api_key_env: Option<String>,
    /// About how long the measurement takes
    #[arg(long, value_name = "N", default_value_t = 3.0, requires = "target", value_parser = minutes)]
    pub minutes: f64,
    /// Largest batch to measure. Default: --max-num-seqs
    #[arg(long, value_name = "N", requires = "target", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrency: Option<u32>,
    /// The file that the server's output goes to, with the step lines of --enable-logging-iteration-details: what it says while it
    /// is measured is read too
    #[arg(long, value_name = "FILE", requires = "target")]
    pub steps: Option<PathBuf>,
    /// Token ids in prompts are below this, and from 10 on
    #[arg(long, value_name = "N", default_value_t = VOCABULARY, requires = "target", value_parser = clap::value_parser!(u32).range(11..))]
    pub vocabulary: u32,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=120.0).contains(&minutes) { Ok(minutes) } else { Err("from 0.1 to 120".to_owned()) }
}

/// Measures, fits, predicts, and writes what came of it.
pub(super) fn run(arguments: &Arguments, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    let folder = arguments.out.as_deref().unwrap_or(Path::new("."));
    let stood = folder.exists();
    check_outputs(arguments, &[])?;
    let records = empty(folder)?;
    let measured = runtime()?.block_on(measure(arguments, &records));
    if measured.is_err() {
        // What holds something stays.
        let _ = fs::remove_dir(&records);
        if !stood {
            let _ = fs::remove_dir(folder);
        }
    }
    let measured = measured?;
    let runs = select::read(&logs(&records)?)?;
    let parts = select::parts(&runs, &measured.survey.fit, &measured.survey.hold_out)?;
    let whole = Arguments { logs: vec![records], ..arguments.clone() };
    let mut found = in_pool(arguments.jobs, || find(&whole, &measured.size, &parts, &[]))??;
    found.note(&runs);
    found.live = Some(measured.json());
    let text = measured.told(&parts, &found, &whole);
    write(&found, &whole, typed, &text, out)
}

/// The folder for records; it must have none.
fn empty(folder: &Path) -> Result<PathBuf, Failure> {
    let records = folder.join(RECORDS);
    let failed = |why| Failure::Write { path: records.clone(), why };
    fs::create_dir_all(&records).map_err(failed)?;
    if fs::read_dir(&records).map_err(failed)?.next().is_some() {
        return Err(Failure::Input(format!(
            "{} holds records already: a measurement is made in one go\n  = name another `--out`, or fit what is there: `plimsoll calibrate {0}`",
            records.display()
        )));
    }
    Ok(records)
}

/// The records, and the step lines if there are any.
fn logs(records: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut logs = select::files(&[records.to_owned()])?;
    let steps = records.join(STEPS);
    if let Some(at) = logs.iter().position(|log| *log == steps) {
        let read = File::open(&steps).map_err(|why| Failure::Write { path: steps.clone(), why })?;
        let read = read_steps(&mut BufReader::new(read), &steps.display().to_string());
        if read.map_err(|wrong| Failure::Input(wrong.to_string()))?.runs.is_empty() {
            // As a log it would be refused.
            fs::remove_file(&steps).map_err(|why| Failure::Write { path: steps, why })?;
            logs.remove(at);
        }
    }
    Ok(logs)
}

/// What was measured, and of whom.
struct Measured {
    survey: Surveyed,
    size: Size,
    model: String,
    version: Option<String>,
    target: String,
}

async fn measure(arguments: &Arguments, records: &Path) -> Result<Measured, Failure> {
    let way = way(arguments)?;
    let server = probe(&way, arguments.live.model.as_deref()).await.map_err(|wrong| Failure::Input(wrong.to_string()))?;
    let way = Way { model: server.model.id.clone(), ..way };
    let size = Size::known(&arguments.size, &read_limits(&way).await, server.model.max_model_len)?;
    let bounds = Bounds {
        batch: arguments.live.max_concurrency.map_or(size.max_num_seqs, |most| most.min(size.max_num_seqs)),
        step_tokens: size.max_num_batched_tokens,
        context: size.context(),
        kv_tokens: u64::from(size.num_gpu_blocks) * u64::from(size.block_size),
        block: size.block_size,
    };
    let budget_s = 60.0 * arguments.live.minutes;
    let terms = Terms { budget: Duration::from_secs_f64(budget_s), seed: arguments.seed };
    let steps = arguments.live.steps.as_deref();
    let mut tail = steps.map(|log| Tail::begin(log, records.join(STEPS))).transpose()?;
    let progress = Progress::of_seconds(arguments.quiet);
    progress.begin(seconds(budget_s));
    progress.tell(size.told());
    let mut keep = |name: &str, lines: &[Line]| {
        write_lines(&records.join(format!("{name}.jsonl")), lines)?;
        tail.as_mut().map_or(Ok(()), |tail| tail.mark(name))
    };
    let mut tell = |news: &News<'_>| {
        progress.at(seconds(news.done_s + news.standing.now.since(Time::ZERO).as_secs_f64()).min(seconds(budget_s)));
        progress.tell(standing(news));
    };
    let mut stop = Stop::listen()?;
    let survey = tokio::select! {
        done = survey(&way, bounds, terms, &mut keep, &mut tell) => done.map_err(|halt| halted(halt, records))?,
        () = stop.asked() => return Err(Failure::Cut(records.to_owned())),
    };
    let target = way.pool.target().to_string();
    Ok(Measured { survey, size, model: server.model.id, version: server.version, target })
}

fn way(arguments: &Arguments) -> Result<Way, Failure> {
    let live = &arguments.live;
    let target = live.target.as_ref().ok_or_else(|| Failure::Input("there is no target".to_owned()))?;
    let key = live.api_key_env.as_deref().map(Key::of_env).transpose();
    Ok(Way {
        pool: connections(target).map_err(|why| Failure::Input(format!("--target {target}: {why}")))?,
        terms: TERMS,
        model: String::new(),
        key: key.map_err(|wrong| Failure::Input(wrong.to_string()))?,
        prompts: Prompts { vocabulary: live.vocabulary, seed: arguments.seed, step: 0 },
        idle_timeout: IDLE,
    })
}

fn halted(halt: Halt, records: &Path) -> Failure {
    match halt {
        Halt::Keep(why) => Failure::Write { path: records.to_owned(), why },
        other => Failure::Invalid(format!("{other}\n  = the probes before it are in `{}`", records.display())),
    }
}

/// `probe 4 of 23, 04-decode2: 12 sent, 2 in flight, 10 answered, TTFT p50 30 ms`
fn standing(news: &News<'_>) -> String {
    let of = if news.of > 0 { format!(" of {}", news.of) } else { String::new() };
    let standing = news.standing;
    let ttft = standing.ttft.quantile_s(0.5).map_or("-".to_owned(), duration);
    format!(
        "probe {}{of}, {}: {} sent, {} in flight, {} answered, TTFT p50 {ttft}",
        news.number,
        news.probe,
        count(standing.offered),
        count(standing.in_flight as u64),
        count(standing.ttft.count()),
    )
}

impl Size {
    /// Each figure and where it comes from.
    fn told(&self) -> String {
        let one = |(flag, value, from): &(&str, u32, String)| {
            if *flag == from { format!("{} {value} (stated)", &flag[2..]) } else { format!("{} {value} ({from})", &flag[2..]) }
        };
        self.sources.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

impl Measured {
    /// What stands below the fit.
    fn told(&self, parts: &Parts, found: &Found, arguments: &Arguments) -> String {
        let Surveyed { capacity_rps, batch, pace, .. } = &self.survey;
        let version = self.version.as_ref().map_or(String::new(), |version| format!(", version {version}"));
        let context = match self.size.max_model_len {
            Some(_) => String::new(),
            None => format!("; its context is not known, and none was sent beyond {} tokens", self.size.context()),
        };
        let server = format!("Server: {}, model {}{version}; {}{context}.", self.target, self.model, self.size.told());
        let measured = format!(
            "Measured: {} runs, {} requests; batches up to {batch}, at which {} requests a second were completed, {} a step; a prompt token {}.",
            parts.fitted.len() + parts.tests.len(),
            count(requests(parts) as u64),
            number(*capacity_rps),
            duration(pace.full_s),
            duration(pace.prompt_s),
        );
        let fit = format!(
            "The same fit again: plimsoll calibrate {} --hold-out {} --num-gpu-blocks {} --block-size {} --max-num-seqs {} \
             --max-num-batched-tokens {}{} --seed {} --speeds {}",
            arguments.logs[0].display(),
            self.survey.hold_out.join(","),
            self.size.num_gpu_blocks,
            self.size.block_size,
            self.size.max_num_seqs,
            self.size.max_num_batched_tokens,
            self.size.max_model_len.map_or(String::new(), |most| format!(" --max-model-len {most}")),
            arguments.seed,
            arguments.speeds,
        );
        let drift = self.drift(found);
        format!("\n{}", [server, measured, drift, fit].iter().map(|one| wrap(one) + "\n").collect::<String>())
    }

    /// The same for programs.
    fn json(&self) -> Value {
        let sizes = self.size.sources.iter().map(|(flag, value, from)| json!({ "flag": flag, "value": value, "from": from }));
        let Surveyed { fit, hold_out, twice, capacity_rps, batch, .. } = &self.survey;
        json!({
            "target": self.target, "model": self.model, "version": self.version, "size": sizes.collect::<Vec<Value>>(),
            "fit": fit, "hold_out": hold_out, "twice": twice, "capacity_rps": capacity_rps, "batch": batch,
        })
    }

    /// How the second time of each probe compares with the first.
    fn drift(&self, found: &Found) -> String {
        let ratio = |name: &String| found.calibration.parts.iter().find(|part| part.run == *name).map(|part| part.ratio);
        let all = self.survey.twice.iter().filter_map(|(first, second)| Some((ratio(second)? / ratio(first)?, first, second)));
        let most = all.max_by(|a, b| libm::log(a.0).abs().total_cmp(&libm::log(b.0).abs()));
        most.map_or("Drift: no probe tells both times.".to_owned(), |(ratio, first, second)| {
            let word = if ratio > 1.0 { "slower" } else { "faster" };
            format!(
                "Drift: of all probes that were done twice, {second} differs most from {first}: {} {word}. That is in the spread of speed.",
                percent((ratio - 1.0).abs())
            )
        })
    }
}

fn requests(parts: &Parts) -> usize {
    let of = |run: &Run| run.served.len();
    parts.fitted.iter().map(of).sum::<usize>() + parts.tests.iter().map(|test: &Test| of(&test.run)).sum::<usize>()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
fn seconds(seconds: f64) -> u64 {
    seconds.round() as u64
}

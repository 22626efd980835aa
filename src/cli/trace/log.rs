//! Which log, and what is done to it before use: arguments that all commands on logs share.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::time::Span;
use crate::trace::flow::{Flow, Impute, Rules, Slice};
use crate::trace::{Map, Options, Preset, TraceError};

/// Which log, and how it is read.
#[derive(Clone, Debug, Args)]
pub struct LogArguments {
    /// The log: a file, plain or as .gz or .zst, or a folder of `ServeGen`
    pub log: PathBuf,
    /// What it is: `auto` finds out and says by what; or csv, jsonl, azure-2024, mooncake, litellm, envoy, otlp, ...
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub log_format: String,
    /// Which columns or keys hold what: `arrival=ts:unix_ms,input=prompt_tokens,output=completion_tokens`
    #[arg(long, value_name = "FIELD=COLUMN[:KIND],...")]
    pub map: Option<String>,
    /// A map that is known by name: nginx, langfuse or helicone
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
}

impl LogArguments {
    /// How it is read; `seed` is for formats that hold distributions.
    ///
    /// # Errors
    /// If a name is unknown or the map is wrong.
    pub fn options(&self, seed: u64) -> Result<Options, Failure> {
        let format = (self.log_format != "auto").then(|| self.log_format.parse()).transpose().map_err(wrong)?;
        let map = self.map.as_ref().map(|map| map.parse::<Map>()).transpose().map_err(wrong)?;
        let preset = self.preset.as_ref().map(|name| name.parse::<Preset>()).transpose().map_err(wrong)?;
        Ok(Options { format, map, preset, seed })
    }
}

/// Where records are sorted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// In memory, inside a window; rows that stand further back are lost and counted
    #[default]
    Window,
    /// All of them, through temporary files
    External,
}

/// What is done to the log before use.
#[derive(Clone, Debug, Args)]
pub struct RuleArguments {
    /// Only this part: `10m..20m` since the first request, or on the log's clock, `2024-05-10T09:00:00Z..2024-05-10T10:00:00Z`
    #[arg(long, value_name = "FROM..TO", allow_hyphen_values = true)]
    pub window: Option<String>,
    /// So many times as many requests, of the same shape: below 1 thinned, above 1 laid over itself, by seed
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub rate_scale: f64,
    /// So many times as long between arrivals: 0.5 plays the log twice as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub time_scale: f64,
    /// Play the log so many times, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub repeat: u32,
    /// Seed of everything that is drawn: spreading, lengths, thinning, `ServeGen`'s arrivals. Default: that of the scenario that
    /// a log is replayed in, else 1
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where rows are put in order of arrival
    #[arg(long, value_enum, default_value_t)]
    pub sort: Sort,
    /// How far back a row may stand and still be put in order; how long ids are remembered
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub reorder: String,
    /// A try within this time of a failure of the same request, session, or tenant and prompt length is a retry and folded into
    /// it; `off` for never
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub fold: String,
    /// Leave arrivals on a grid where they are
    #[arg(long)]
    pub no_spread: bool,
    /// Where unknown lengths come from: `draw` (from requests of the class), `class-median`, `drop` (leave such requests out),
    /// `keep` (unknown). Default: keep in CSV files, draw elsewhere
    #[arg(long, value_name = "RULE")]
    pub impute: Option<String>,
}

/// Most and least that rates and times are scaled by.
const SCALES: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;

impl RuleArguments {
    /// The rules. Lengths come from `impute` and the seed is `seed` unless the user says otherwise; sorting happens in `folder`.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn rules(&self, impute: Impute, folder: &Path, seed: u64) -> Result<Rules, Failure> {
        let scaled = |name: &str, factor: f64| {
            let allowed = SCALES.contains(&factor);
            let (least, most) = (SCALES.start(), SCALES.end());
            let told = || Failure::Input(format!("{name} {factor}: a factor from {least} to {most} is wanted"));
            allowed.then_some(factor).ok_or_else(told)
        };
        let span = |name: &str, text: &str| -> Result<Span, Failure> {
            text.parse().map_err(|why| Failure::Input(format!("{name}: {why}")))
        };
        let fold = if self.fold == "off" { None } else { Some(span("--fold", &self.fold)?) };
        Ok(Rules {
            window: span("--reorder", &self.reorder)?,
            sort_in: (self.sort == Sort::External).then(|| folder.to_owned()),
            fold,
            spread: !self.no_spread,
            impute: self.impute.as_ref().map_or(Ok(impute), |name| name.parse()).map_err(wrong)?,
            slice: self.window.as_ref().map(|window| window.parse::<Slice>()).transpose().map_err(wrong)?,
            rate_scale: scaled("--rate-scale", self.rate_scale)?,
            time_scale: scaled("--time-scale", self.time_scale)?,
            repeat: self.repeat,
            seed: self.seed.unwrap_or(seed),
        })
    }
}

/// The flow of a log under rules.
///
/// # Errors
/// If the log cannot be read.
pub fn open(log: &LogArguments, rules: Rules) -> Result<Flow, Failure> {
    let options = log.options(rules.seed)?;
    Flow::open(&log.log, &options, rules).map_err(wrong)
}

/// A log that cannot be used is bad input, but for files of the sort.
pub fn wrong(error: TraceError) -> Failure {
    match error {
        TraceError::Sort { folder, reason } => {
            Failure::Write { path: PathBuf::from(folder), why: std::io::Error::other(format!("while sorting: {reason}")) }
        }
        other => Failure::Input(other.to_string()),
    }
}

/// The folder that a file stands in.
pub fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

//! Arguments that several commands share.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use crate::policy::Settings;
use crate::report::LoadReport;
use crate::scenario::{Holds, LoadOf, Scenario, kind};
use crate::sim::{self, Capacity};
use crate::units::Count;

/// Most threads: more than any machine of today has use for, and few enough to start at once.
pub const JOBS_MAX: i64 = 1_024;

/// Which scenario, with which changes. Commands that run one flatten this into their own arguments.
#[derive(Clone, Debug, Args)]
pub struct ScenarioArguments {
    /// The scenario file
    pub scenario: PathBuf,
    /// Change any setting of the scenario, before its variants are laid over it: `class[0].arrival.rate=5`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// Put the policies of a running system into every variant: its flags, as in `--request_timeout 90 --max_queue_size 200`
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub from_flags: Option<String>,
    /// The same from its environment file, as in `OPENAI_TPM_LIMIT=30000`
    #[arg(long, value_name = "FILE", conflicts_with = "from_flags")]
    pub from_env: Option<PathBuf>,
}

impl ScenarioArguments {
    /// The scenario. Options that change it for every command are applied here and nowhere else.
    ///
    /// # Errors
    /// All that is wrong with it, or the first flag that is wrong.
    pub fn load(&self) -> Result<Scenario, Failure> {
        let mut scenario = Scenario::load(&self.scenario, &self.sets)?;
        if let Some(flags) = &self.from_flags {
            let stated = scenario.variants.iter().find_map(|variant| variant.policy.graduated.as_ref());
            let policies = flag_settings(flags, stated.map(|graduated| graduated.max_abandoned))?;
            replace_policies(&mut scenario, &policies, "of `--from-flags`")?;
        }
        if let Some(path) = &self.from_env {
            let (policies, remarks) = env_settings(path)?;
            for text in &remarks {
                remark(text);
            }
            replace_policies(&mut scenario, &policies, &format!("of `{}`", path.display()))?;
        }
        Ok(scenario)
    }

    /// The files that it is read from.
    pub fn inputs(&self, scenario: &Scenario) -> Vec<PathBuf> {
        let referred = scenario.files().into_iter().map(|file| file.resolved);
        std::iter::once(self.scenario.clone()).chain(self.from_env.clone()).chain(referred).collect()
    }
}

/// Puts the same policies into every variant, and says so where there are several, and what becomes of those that are alike.
fn replace_policies(scenario: &mut Scenario, policies: &Settings, whose: &str) -> Result<(), Failure> {
    let all = scenario.variants.len();
    scenario.replace_policies(policies)?;
    if all > 1 {
        let rest = match scenario.variants.len() {
            1 => ": nothing tells them apart any more, and they are run as one".to_owned(),
            left if left < all => format!(": {left} of them still differ, and the others are left out"),
            _ => String::new(),
        };
        remark(&format!("all {all} variants now have the policies {whose}{rest}"));
    }
    Ok(())
}

/// Says on standard error which servers' calibrations failed, where the result itself has no place for it.
pub fn tell_not_validated(scenario: &Scenario) {
    for text in sim::not_validated(scenario) {
        remark(&text);
    }
}

fn remark(text: &str) {
    let _ = writeln!(std::io::stderr(), "note: {text}"); // worth no failure where standard error is closed
}

/// The settings behind a running system's flags.
///
/// # Errors
/// The first flag that is wrong.
pub fn flag_settings(flags: &str, max_abandoned: Option<Count>) -> Result<Settings, Failure> {
    Settings::from_flags(flags, max_abandoned).map_err(|wrong| Failure::Input(format!("--from-flags '{flags}': {wrong}")))
}

/// Longest environment file, bytes: far beyond any that a person writes.
const ENV_BYTES_MAX: u64 = 1 << 20;

/// The settings behind a running system's environment file, and what of it is not in force.
///
/// # Errors
/// If it cannot be read, or the first line that is wrong.
pub fn env_settings(path: &Path) -> Result<(Settings, Vec<String>), Failure> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(ENV_BYTES_MAX + 1).read_to_string(&mut text));
    let read = read.map_err(|why| Failure::Input(format!("cannot read the environment file `{shown}`: {why}")))?;
    if read as u64 > ENV_BYTES_MAX {
        return Err(Failure::Input(format!("the environment file `{shown}` has more than {ENV_BYTES_MAX} bytes")));
    }
    Settings::from_env(&text).map_err(|wrong| {
        let what = match kind(&text) {
            Some(Holds::Scenario) => "a scenario",
            Some(Holds::Settings) => "settings in TOML",
            Some(Holds::Environment) | None => return Failure::Input(format!("--from-env {shown}, {wrong}")),
        };
        Failure::Input(format!(
            "--from-env {shown}: this file holds {what}, and no environment (lines `NAME=value`)\n  = write its policies as one: \
             `plimsoll export {shown} --as env`"
        ))
    })
}

/// How results are written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: one JSON object on standard output and nothing else there
    Json,
}

/// Runs `work` on as many threads as were asked for.
pub fn in_pool<T: Send>(jobs: Option<u16>, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let Some(jobs) = jobs else { return Ok(work()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(jobs)).build();
    let pool = pool.map_err(|error| Failure::Input(format!("cannot start {jobs} threads: {error}")))?;
    Ok(pool.install(work))
}

/// Load 1.0 as reports write it.
pub fn load_report(capacity: &Capacity) -> LoadReport {
    let of = match capacity.of {
        LoadOf::Upstream => "upstream",
        LoadOf::Slots => "slots",
    };
    LoadReport { capacity_rps: capacity.rps.mean, of: of.to_owned(), clients: capacity.population }
}

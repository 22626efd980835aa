//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Failure;
use crate::policy::Settings;
use crate::scenario::Scenario;

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
            let policies = Settings::from_flags(flags, stated.map(|graduated| graduated.max_abandoned));
            let policies = policies.map_err(|wrong| Failure::Input(format!("--from-flags '{flags}': {wrong}")))?;
            scenario.replace_policies(&policies)?;
        }
        Ok(scenario)
    }

    /// The files that it is read from.
    pub fn inputs(&self, scenario: &Scenario) -> Vec<PathBuf> {
        let referred = scenario.files().into_iter().map(|file| file.resolved);
        std::iter::once(self.scenario.clone()).chain(referred).collect()
    }
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

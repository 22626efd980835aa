//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::scenario::{Diagnostics, Scenario};

/// Which scenario, with which changes. Commands that run one flatten this into their own arguments.
#[derive(Clone, Debug, Args)]
pub struct ScenarioArguments {
    /// The scenario file
    pub scenario: PathBuf,
    /// Change any setting of the scenario, before its variants are laid over it: `class[0].arrival.rate=5`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
}

impl ScenarioArguments {
    /// The scenario. Options that change it for every command are applied here and nowhere else.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self) -> Result<Scenario, Diagnostics> {
        Scenario::load(&self.scenario, &self.sets)
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

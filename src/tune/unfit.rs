//! What is wrong with a `[tune]` section, and where.

use crate::scenario::{Diagnostics, Scenario};

/// What is wrong with a `[tune]` section, by the path of the setting that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unfit {
    /// The setting: `tune.parameter[0].range`. Where it was not written, what there is on the way to it is shown.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Unfit {
    /// Something wrong with the setting at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// The same with its place in `scenario`, whose section it is about.
    #[must_use]
    pub fn diagnose(self, scenario: &Scenario) -> Diagnostics {
        scenario.diagnose_file(&self.path, self.message, self.help)
    }
}

//! Where settings must do well: one scenario, prepared, with the variant that is tuned in it.

use crate::scenario::Scenario;
use crate::sim::Prepared;
use crate::tune::{Task, Unfit};

/// One of the scenarios that a search is made for. The first of a search is the one that asks for it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What people call it.
    pub name: String,
    /// The scenario.
    pub scenario: Scenario,
    /// The same, ready to run.
    pub prepared: Prepared,
    /// Position of the variant that the candidates are laid over.
    pub variant: usize,
}

impl Scene {
    /// `scenario` as a scene of `task`; `variant` is the name of the variant to be tuned, or its baseline.
    ///
    /// # Errors
    /// Where it lacks the variant, or a class that the task asks about.
    pub fn new(
        name: String,
        scenario: Scenario,
        prepared: Prepared,
        task: &Task,
        variant: Option<&str>,
    ) -> Result<Self, Unfit> {
        let variant = task.fits(&scenario, variant)?;
        Ok(Self { name, scenario, prepared, variant })
    }
}

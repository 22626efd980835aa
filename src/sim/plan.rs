//! What one variant's replications have in common: everything resolved, nothing left to look up.

use std::sync::Arc;

use crate::journal::Window;
use crate::policy::Settings;
use crate::upstream::UpstreamModel;
use crate::workload::SourceSettings;

/// One variant, ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The gateway's policies.
    pub policy: Settings,
    /// What they protect.
    pub upstream: UpstreamModel,
    /// Who sends.
    pub workload: Arc<SourceSettings>,
    /// What is measured.
    pub window: Window,
    /// Seed of all randomness.
    pub seed: u64,
}

//! What one variant's replications have in common: everything resolved, nothing left to look up.

use std::sync::Arc;

use crate::journal::Window;
use crate::policy::Settings;
use crate::time::Time;
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

impl Plan {
    /// Whether replications can differ at all. `false` is certain: no draw has an effect, and one run says all. `true` is
    /// cautious: a metered API, whose every call has draws, counts as chance whatever its settings.
    #[must_use]
    pub fn has_chance(&self) -> bool {
        let upstream = match &self.upstream {
            UpstreamModel::TokenApi(_) => true,
            UpstreamModel::Station(_) | UpstreamModel::Vllm(_) => self.upstream.speed_sigma() > 0.0,
        };
        upstream || self.policy.draws() || self.workload.draws()
    }

    /// The same with all arrivals `factor` times as dense (see [`SourceSettings::scaled`]); a recording is over that much
    /// sooner, and its window with it. `None` where the factor is not above 0 or too large.
    #[must_use]
    pub fn at_load(&self, factor: f64) -> Option<Self> {
        let mut workload = self.workload.scaled(factor)?;
        let mut window = self.window;
        if !workload.recorded.is_empty() {
            let sooner = |at: Time| Time::ZERO + (at - Time::ZERO).scaled(1.0 / factor);
            let drain = window.drained - window.end;
            (window.start, window.end) = (sooner(window.start), sooner(window.end));
            window.drained = window.end + drain;
            workload.end = window.end - Time::ZERO;
        }
        Some(Self { workload: Arc::new(workload), window, ..self.clone() })
    }

    /// The same for a part of the measured time only: above 0; above 1 it lasts that much longer. The warm-up stays as it is, so that what is measured
    /// is as settled as in a whole run.
    #[must_use]
    pub fn shortened(&self, share: f64) -> Self {
        let mut window = self.window;
        let (measured, drain) = (window.end - window.start, window.drained - window.end);
        window.end = window.start + measured.scaled(share);
        window.drained = window.end + drain;
        let mut workload = (*self.workload).clone();
        workload.end = window.end - Time::ZERO;
        Self { workload: Arc::new(workload), window, ..self.clone() }
    }
}

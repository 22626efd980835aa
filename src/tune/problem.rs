//! What is tuned, as the methods see it: something that can be run for a candidate and gives numbers.

use serde::{Deserialize, Serialize};

use crate::tune::Point;

/// Something whose settings are to be chosen.
pub trait Problem: Sync {
    /// One replication of one candidate with `share` of the full simulated time (above 0, at most 1).
    ///
    /// The same (replication, share) meets the same requests for every candidate (common random numbers), replications are
    /// independent of each other, and the same arguments always give the same observation. Every observation has the same
    /// number of objectives (at least one) and of constraints.
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation;

    /// Whether replications of `candidate` can differ. `false` only where it is certain that they cannot: then one is run, and
    /// stands for all.
    fn has_chance(&self, candidate: &Point) -> bool {
        let _ = candidate;
        true
    }
}

/// What one replication gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// What is maximised; `None` where the replication does not show it (for example a percentile of nothing). Finite.
    pub objectives: Vec<Option<f64>>,
    /// How far inside each constraint it lies: at least 0 where it holds, `None` where the replication does not show it. Finite.
    pub constraints: Vec<Option<f64>>,
    /// Decides between candidates whose first objectives are equal: more is better. Finite; `None` where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<f64>,
    /// Requests that were simulated.
    pub requests: u64,
}

/// Replications from here on are for the selection: no screening has seen them.
pub const SELECTION_FROM: u32 = 1 << 28;

/// Replications from here on say what of the choice need not change.
pub const UNCHANGED_FROM: u32 = SELECTION_FROM + (1 << 27);

/// Replications from here on are for the confirmation of what was selected: nothing was chosen by them.
pub const CONFIRMATION_FROM: u32 = 2 << 28;

/// Replications from here on are for sensitivity indices and the tornado.
pub const SENSITIVITY_FROM: u32 = 3 << 28;

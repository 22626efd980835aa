//! The `[tune]` section: what may be changed, what is wanted of it, and what the search may spend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Span;
use crate::units::{Count, Fraction, Positive};

/// What `plimsoll tune` is to find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TuneSettings {
    /// The variant whose settings are tuned. Default: the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What is wanted: a figure's name, such as `goodput_rps` or `p99_ttft_ms{class=chat}`. Goodput and utilisation are
    /// made as large as can be, everything else as small.
    #[schemars(length(min = 1))]
    pub objective: String,
    /// Further objectives: the answer then has a Pareto front too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pareto: Vec<String>,
    /// What must hold: `p99_ttft_ms{class=interactive} <= 500`, `degraded_fraction <= 0.02`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// How candidates are found and become few.
    #[serde(default)]
    pub method: TuneMethod,
    /// Candidates of `halving` and `sobol`. Default 64.
    #[serde(default = "sixty_four")]
    pub candidates: Count,
    /// Levels of each number on the `grid`. Default 5.
    #[serde(default = "five")]
    pub levels: Count,
    /// Budget in simulations: one is a replication of the full duration, a shorter one counts as its share. Default 2000.
    #[serde(default = "two_thousand")]
    pub simulations: Count,
    /// Budget in time: the search ends where it stands. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// Probability of a wrong choice that is allowed, shared by screening and selection. Default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fraction>,
    /// Indifference zone: differences in the objective that do not matter, in its unit. Default 1 % of the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indifference: Option<Positive>,
    /// Loads and capacities around the expected ones that the choice must do well at. Default: only the scenario's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub robust: Option<RobustSettings>,
    /// Further scenario files, relative to this one, in which the same settings must do well: the parameters are laid over
    /// their variant `variant`, or their baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Recorded arrivals, relative to this file, each instead of the scenario's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<String>,
    /// Those of `also` and `traces` by which nothing is chosen: the choice is tried on them at the end. Default: the last of
    /// several traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<Vec<String>>,
    /// What may be changed.
    #[schemars(length(min = 1))]
    pub parameter: Vec<TuneParameter>,
}

impl TuneSettings {
    /// Names of what nothing is chosen by.
    #[must_use]
    pub fn held_out(&self) -> Vec<String> {
        let last = || self.traces.last().filter(|_| self.traces.len() > 1).cloned().into_iter().collect();
        self.hold_out.clone().unwrap_or_else(last)
    }
}

/// The futures that a robust choice is made for: every combination of least, expected and greatest load and capacity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RobustSettings {
    /// Least and greatest load, times the scenario's own. Default: its own only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<[Positive; 2]>,
    /// Least and greatest capacity of a vLLM upstream, times its own speed. Default: its own only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<[Positive; 2]>,
    /// How the futures become one objective.
    #[serde(default)]
    pub by: RobustBy,
}

/// How several futures become one objective.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RobustBy {
    /// By the worst of them.
    #[default]
    Worst,
    /// By their mean.
    Mean,
    /// By the largest regret: how far the settings stay behind the best that each future alone can have. Each is searched
    /// alone first, with the whole budget.
    Regret,
}

/// How candidates are found and become few.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TuneMethod {
    /// Successive halving of scrambled Sobol points, over simulated time and replications.
    #[default]
    Halving,
    /// Every combination of levels and choices, all run alike.
    Grid,
    /// Scrambled Sobol points, all run alike.
    Sobol,
    /// A model (tree-structured Parzen estimator) proposes the candidates that are then raced.
    Model,
}

/// One setting that may be changed. Either `range` or `choices`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TuneParameter {
    /// Its path: `policy.queue.max_queue_size`.
    pub path: String,
    /// Least and greatest: two whole numbers, two numbers (one with a point), or two durations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub range: Vec<Value>,
    /// How the range is walked.
    #[serde(default)]
    pub scale: TuneScale,
    /// The values to choose from: numbers, names, durations, or `true` and `false`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// Only where an earlier parameter has one of these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<TuneCondition>,
}

/// How a range is walked.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TuneScale {
    /// In equal steps.
    #[default]
    Linear,
    /// In equal factors.
    Log,
}

/// On what a parameter depends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TuneCondition {
    /// Path of an earlier parameter.
    pub path: String,
    /// The values of it under which this parameter is there.
    #[schemars(length(min = 1))]
    pub is: Vec<Value>,
}

fn sixty_four() -> Count {
    Count::new(64).expect("above 0")
}

fn five() -> Count {
    Count::new(5).expect("above 0")
}

fn two_thousand() -> Count {
    Count::new(2_000).expect("above 0")
}

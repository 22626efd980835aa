//! The `[run]` section: how a scenario is run and measured, the same for all variants.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{NotASpan, QUANTITY_PATTERN, Span};
use crate::units::Count;

/// How a scenario is run and measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// Seed of every random draw. Default 1.
    #[serde(default = "one")]
    pub seed: u64,
    /// Independent repetitions, over which intervals are made. Default 10.
    #[serde(default = "ten")]
    pub replications: Count,
    /// Requests arrive from 0 up to this. At most 100 days. Default 10 min.
    #[serde(default = "ten_minutes")]
    pub duration: Span,
    /// Requests that arrive before the end of the warm-up are not measured: a time, or `"mser5"` to find it in stationary
    /// runs. Default 0.
    #[serde(default)]
    pub warmup: Warmup,
    /// How long the run goes on after the last arrival; what is not over by then counts as in flight. Default: the longest
    /// timeout of any variant, or 60 s where nothing times out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Span>,
    /// Whose concurrency load 1.0 is measured at.
    #[serde(default)]
    pub load_of: LoadOf,
    /// How random draws are laid out.
    #[serde(default)]
    pub streams: StreamsOf,
    /// Name of the variant that the others are compared with. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            seed: one(),
            replications: ten(),
            duration: ten_minutes(),
            warmup: Warmup::default(),
            drain: None,
            load_of: LoadOf::default(),
            streams: StreamsOf::default(),
            baseline: None,
        }
    }
}

/// Whose concurrency load 1.0 is measured at: completions per second of a closed loop with the scenario's mix, no timeouts,
/// and this many clients.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadOf {
    /// The upstream's: `max_num_seqs` (or servers) of all replicas.
    #[default]
    Upstream,
    /// The gateway's: `policy.concurrency.max_concurrent_requests`.
    Slots,
}

/// How random draws are laid out.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamsOf {
    /// A stream for each request: every variant meets the same requests.
    #[default]
    Entity,
    /// One stream after another: faster, for plain stations.
    Sequential,
}

/// What is cut off the beginning of a run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// A fixed time.
    Time(Span),
    /// Found in the run: White, "An effective truncation heuristic for bias reduction in simulation output", Simulation
    /// 69:6, 1997, on batches of five.
    Mser5,
}

impl Default for Warmup {
    fn default() -> Self {
        Self::Time(Span::ZERO)
    }
}

impl std::str::FromStr for Warmup {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        if text == "mser5" { Ok(Self::Mser5) } else { text.parse().map(Self::Time) }
    }
}

impl fmt::Display for Warmup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(span) => span.fmt(f),
            Self::Mser5 => f.write_str("mser5"),
        }
    }
}

impl Serialize for Warmup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Warmup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Warmup {
    fn schema_name() -> Cow<'static, str> {
        "Warmup".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "plimsoll-warmup",
            "description": "A duration, or `mser5`.",
            "pattern": format!("{QUANTITY_PATTERN}|^mser5$"),
            "examples": ["60s", "mser5"]
        })
    }
}

const fn one() -> u64 {
    1
}

fn ten() -> Count {
    Count::new(10).expect("above 0")
}

const fn ten_minutes() -> Span {
    Span::from_secs(600)
}

//! The `[upstream]` section of a scenario.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::TokenApiSettings;
use super::presets::PRESETS;
use crate::dist::SpanDist;
use crate::time::{QUANTITY_PATTERN, QuotedQuantity, split_quantity};
use crate::units::{Count, Fraction, NonNegative, Positive};

/// What is protected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum UpstreamSettings {
    /// `servers` identical servers, one request each, in order of arrival.
    Station(StationSettings),
    /// A vLLM server at step level.
    Vllm(Box<VllmSettings>),
    /// A provider that meters tokens and requests a minute, with or without proxies before or behind it. Without limits it
    /// is a pool of proxies alone.
    TokenApi(Box<TokenApiSettings>),
}

impl UpstreamSettings {
    /// The service time of a plain station; the others have none of their own.
    #[must_use]
    pub const fn service(&self) -> Option<&SpanDist> {
        match self {
            Self::Station(station) => Some(&station.service),
            Self::Vllm(_) | Self::TokenApi(_) => None,
        }
    }

    /// Why the calibration of its costs is not to be trusted, where it is not.
    #[must_use]
    pub fn not_validated(&self) -> Option<&str> {
        match self {
            Self::Vllm(vllm) => vllm.calibration.as_ref().filter(|note| !note.validated).map(|note| note.reason.as_str()),
            Self::Station(_) | Self::TokenApi(_) => None,
        }
    }

    /// How many times as fast as its costs say a vLLM server works; the others have no such setting.
    #[must_use]
    pub fn speed(&self) -> Option<f64> {
        match self {
            Self::Vllm(vllm) => Some(vllm.speed.map_or(1.0, Positive::value)),
            Self::Station(_) | Self::TokenApi(_) => None,
        }
    }
}

/// A plain service station.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StationSettings {
    /// Servers.
    pub servers: Count,
    /// Places, servers included; who comes when all are taken is refused. Default: unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Count>,
    /// Service time.
    pub service: SpanDist,
}

/// A vLLM server (V1 scheduler). What is not given comes from the preset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VllmSettings {
    /// Name of a preset . Without one, `cost` and `num_gpu_blocks` are required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = preset_names()))]
    pub preset: Option<String>,
    /// Step cost, over the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostSettings>,
    /// The host around the steps, over the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostSettings>,
    /// vLLM `--max-num-seqs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_num_seqs: Option<Count>,
    /// vLLM `--max-num-batched-tokens`; not below `max_num_seqs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_num_batched_tokens: Option<Count>,
    /// vLLM `--max-model-len`, tokens of prompt and answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<Count>,
    /// KV blocks (`num_gpu_blocks` in the server's log).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_gpu_blocks: Option<Count>,
    /// Tokens in a block. Default 16 (vLLM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size: Option<Count>,
    /// Automatic prefix caching. Default true (vLLM V1), without effect where classes declare no prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_prefix_caching: Option<bool>,
    /// vLLM `--max-num-queued-reqs`: so many requests running and waiting that the next one gets 503. Default: unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_num_queued_reqs: Option<Count>,
    /// vLLM `--max-num-queued-tokens`: prompt tokens waiting, beyond which 503. Default: unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_num_queued_tokens: Option<Count>,
    /// Speed against the preset's: 0.9 is a server whose every step takes 1/0.9 as long. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Positive>,
    /// Spread of that speed from run to run (standard deviation of its logarithm), from calibration. Each replication draws one speed. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_sigma: Option<NonNegative>,
    /// Servers alike behind one router. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Count>,
    /// How the router chooses. Default `round_robin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// Share of the GPU's memory that vLLM takes (`--gpu-memory-utilization`), where KV blocks come from a data sheet. Default 0.9 (vLLM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_memory_utilization: Option<Fraction>,
    /// Where the costs were calibrated: what they are worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationSettings>,
}

/// What `plimsoll calibrate` says of the costs that it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalibrationSettings {
    /// Whether the part of the log that was held out was predicted within tolerance. Where not, every run says so.
    pub validated: bool,
    /// What was held out, and what missed by how much.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// How a router chooses a replica.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the fewest calls, the first of equals.
    LeastLoaded,
}

/// Cost of one engine step: `t0 + t0p*[any prefill] + tp*prefill_tokens + td*decoding_seqs + tk*kv_tokens_attended`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostSettings {
    /// Every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t0: Option<Picos>,
    /// A step with any prefill, on top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t0p: Option<Picos>,
    /// Each prompt token computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tp: Option<Picos>,
    /// Each decoding sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub td: Option<Picos>,
    /// Each token in the KV cache of a scheduled sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tk: Option<Picos>,
}

/// The host: one resource, in order of arrival, that API server and engine core share, and plain delays around it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostSettings {
    /// Work to take in a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Picos>,
    /// Work to take in a cancellation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Picos>,
    /// Work before each step (scheduling).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Picos>,
    /// Work for each token that goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Picos>,
    /// Delay on the way in, after the host's work, that occupies nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_in: Option<Picos>,
    /// Delay on the way out, after the host's work, that occupies nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_out: Option<Picos>,
}

/// A cost in whole picoseconds, the unit in which step times are kept: exact sums, and 213 days in a `u64`.
/// Written as a duration, of which fractions of nanoseconds count: `"39.1ns"`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Picos(pub u64);

impl Picos {
    /// Longest cost that a scenario may state: one hour.
    pub const MAX: Self = Self(3_600_000_000_000_000);

    /// The nearest whole number of picoseconds to `secs`; `None` where negative, not finite or above [`Picos::MAX`].
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        let picos = libm::round(secs * 1e12);
        (picos >= 0.0 && picos <= Self::MAX.0 as f64).then_some(Self(picos as u64))
    }

    /// The cost in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

impl fmt::Display for Picos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}ns", self.0 / 1000, self.0 % 1000)
    }
}

impl Serialize for Picos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is not a cost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cost: write up to an hour with its unit, like \"13.9ms\" or \"39.1ns\"")]
pub struct NotACost(pub String);

impl FromStr for Picos {
    type Err = NotACost;

    #[allow(clippy::cast_precision_loss)]
    fn from_str(text: &str) -> Result<Self, NotACost> {
        let read = split_quantity(text).and_then(|(number, unit)| Self::from_secs_f64(number * unit as f64 / 1e9));
        read.ok_or_else(|| NotACost(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Picos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = QuotedQuantity::deserialize(deserializer)?.0;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Picos {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "plimsoll-cost",
            "description": "A duration of at most an hour, kept to the picosecond.",
            "pattern": QUANTITY_PATTERN,
            "examples": ["13.9ms", "39.1ns"]
        })
    }
}

/// The presets' names, for the schema.
fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

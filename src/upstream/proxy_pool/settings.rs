//! The settings of a pool of proxies: `[upstream.proxy]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dist::SpanDist;
use crate::request::{Country, ProxyMode};
use crate::units::Fraction;

/// Proxies between gateway and API, one pool for each country and mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxySettings {
    /// Whether the connection through the proxy is made before the API meters a call, or after. Default `before`: the call
    /// goes out through the proxy, and one that finds none takes nothing from the API's limits.
    #[serde(default)]
    pub place: ProxyPlace,
    /// Rotating proxies. Default: up 2 h, down 5 min on average (exponential), 1 % errors while up, 800 ms more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotating: Option<QualitySettings>,
    /// Residential proxies. Default: up 1 h, down 10 min, 3 % errors, 1.5 s more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residential: Option<QualitySettings>,
    /// Backbone proxies. Default: up 24 h, down 5 min, 0.5 % errors, 150 ms more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<QualitySettings>,
    /// Single pools whose quality differs from their mode's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pool: Vec<PoolSettings>,
    /// Outages that hit several pools at once, on top of their own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<TogetherSettings>,
}

impl ProxySettings {
    /// What is stated of a mode.
    #[must_use]
    pub const fn of_mode(&self, mode: ProxyMode) -> Option<&QualitySettings> {
        match mode {
            ProxyMode::Rotating => self.rotating.as_ref(),
            ProxyMode::Residential => self.residential.as_ref(),
            ProxyMode::Backbone => self.backbone.as_ref(),
        }
    }
}

/// What comes first on a call's way.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProxyPlace {
    /// The proxy, then the API.
    #[default]
    Before,
    /// The API meters the call, and reaches out through the proxy itself.
    Behind,
}

/// How good a pool's proxies are. What is not given is the mode's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QualitySettings {
    /// How long the pool is up at a time. It is up when the run begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<SpanDist>,
    /// How long it is down at a time: no connection succeeds. A fixed 0 s: it never is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<SpanDist>,
    /// Share of connections that fail while it is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Fraction>,
    /// What a connection through it takes more than a direct one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<SpanDist>,
    /// Share of failures that are fast (refused, reset). Default 0.7; the others are slow (nothing answers).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_share: Option<Fraction>,
    /// How long a fast failure takes. Default 300 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<SpanDist>,
    /// How long a slow failure takes. Default 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<SpanDist>,
}

/// A pool whose quality differs from its mode's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolSettings {
    /// Where its proxies stand.
    pub country: Country,
    /// Their mode.
    #[serde(default)]
    pub mode: ProxyMode,
    /// What differs.
    pub quality: QualitySettings,
}

/// Outages of the proxies' provider: while one lasts, each pool is down with a given probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TogetherSettings {
    /// From the end of one to the beginning of the next.
    pub up: SpanDist,
    /// How long one lasts.
    pub down: SpanDist,
    /// Probability that a pool is hit, drawn for each outage and pool. Default 1.
    #[serde(default = "all")]
    pub share: Fraction,
}

fn all() -> Fraction {
    Fraction::new(1.0).expect("1 is a fraction")
}

//! The settings of a metered provider: `[upstream]` with `kind = "token_api"`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dist::SpanDist;
use crate::time::Span;
use crate::units::{Count, Fraction, NonNegative, Positive};
use crate::upstream::Picos;
use crate::upstream::proxy_pool::ProxySettings;

/// A provider that meters tokens and requests a minute. It serves any number of calls at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenApiSettings {
    /// Tokens a minute (TPM). Default: unmetered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<Count>,
    /// Requests a minute (RPM). Default: unmetered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<Count>,
    /// How both limits are kept. Default `{ kind = "continuous" }`.
    #[serde(default)]
    pub limiter: LimiterSettings,
    /// Whether tokens used beyond those taken at admission (search results of grounded calls) are taken when the call ends.
    /// Default true. `reserve_and_settle` always does, and alone gives back what was not used.
    #[serde(default = "yes")]
    pub charge_excess: bool,
    /// How long answers take.
    #[serde(default)]
    pub latency: LatencySettings,
    /// Latencies of single classes; what is not given there comes from `latency`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_latency: Vec<ClassLatencySettings>,
    /// Share of admitted calls that fail with a 5xx before their first token; they are billed nothing. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Fraction>,
    /// After what time they fail. Default: when the first token would have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_after: Option<SpanDist>,
    /// How long a 429 takes. Default 50 ms (our choice: a round trip).
    #[serde(default = "refused_after")]
    pub refused_after: Span,
    /// Proxies for calls whose vantage policy asks for one. Default: none, such calls go straight to the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Box<ProxySettings>>,
}

/// How a limit of so much a minute is kept.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LimiterSettings {
    /// A token bucket that fills at limit/60 a second.
    Continuous {
        /// What it holds when full, in minutes' limits. Default 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        burst: Option<Positive>,
    },
    /// So much for each quantum: limit/60 a second. A call that needs more than a quantum's share takes a whole one and those
    /// that follow it.
    Quantised {
        /// Default 1 s (`OpenAI`: "60,000 requests/minute may be enforced as 1,000 requests/second").
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quantum: Option<Span>,
    },
    /// A counter that starts anew with each minute of the provider's clock.
    Calendar {
        /// How far into a minute the run begins. Default 0 s.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<Span>,
    },
    /// A continuous bucket out of which a call takes its estimate and `max_tokens`; at its end what it did not use comes
    /// back, and what it used beyond is taken too.
    ReserveAndSettle {
        /// What it holds when full, in minutes' limits. Default 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        burst: Option<Positive>,
    },
}

impl Default for LimiterSettings {
    fn default() -> Self {
        Self::Continuous { burst: None }
    }
}

/// How long an answer takes: `first_token + per_input_token x prompt`, for a grounded call `search` on top, then
/// `per_output_token` for each further token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencySettings {
    /// Time to the first token of an empty prompt. Default 500 ms (our choice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<SpanDist>,
    /// For each prompt token on top. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_input_token: Option<Picos>,
    /// From token to token of the answer. Default 20 ms (our choice: 50 tokens a second).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_output_token: Option<Picos>,
    /// Time that the search of a grounded call takes before its first token. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SpanDist>,
    /// Spread of the time from token to token between calls: standard deviation of its logarithm, the mean being as stated.
    /// Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<NonNegative>,
}

impl LatencySettings {
    /// These, and what is not given here from `other`.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self {
            first_token: self.first_token.clone().or_else(|| other.first_token.clone()),
            per_input_token: self.per_input_token.or(other.per_input_token),
            per_output_token: self.per_output_token.or(other.per_output_token),
            search: self.search.clone().or_else(|| other.search.clone()),
            sigma: self.sigma.or(other.sigma),
        }
    }
}

/// The latency of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassLatencySettings {
    /// The class's name.
    pub class: String,
    /// What differs from the others.
    pub latency: LatencySettings,
}

fn refused_after() -> Span {
    Span::from_millis(50)
}

const fn yes() -> bool {
    true
}

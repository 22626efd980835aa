//! The vocabulary: who asks (request, attempt, call, class) and how it ends (outcome, reason, cause).
//!
//! A *request* is what a user wants; each try at it is an *attempt*; each upstream call made for an attempt is a *call*. A
//! call may outlive its attempt (abandoned work), so the two have separate generational ids.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rng::mix;
use crate::time::{Span, Time};

slotmap::new_key_type! {
    /// One try at a request. Given by the driver from a dense slab, so that it can index arrays.
    pub struct AttemptId;
    /// One upstream call. Given by the gateway.
    pub struct CallId;
}

/// The dense slab index in an id (several ids in a row may share it; no two alive at once do).
#[must_use]
#[allow(clippy::cast_possible_truncation)] // the low half is the index
pub fn slot_of<K: slotmap::Key>(id: K) -> u32 {
    id.data().as_ffi() as u32
}

/// A request's number: unique in a replication, the same under every policy.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// A class of requests, by its position in the scenario.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassId(pub u16);

impl ClassId {
    /// The position as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which prompts start alike: requests of one group share their first `tokens` tokens.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// The group's number, unique in the scenario.
    pub group: u32,
    /// Length of the shared prefix, tokens.
    pub tokens: u32,
}

/// Through which network a call to a metered API looks at the world (seed 002): its own (ALS, the API's location signal),
/// a proxy's, or both.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Vantage {
    /// The API's own signal only.
    AlsOnly,
    /// Both.
    AlsPlusProxy,
    /// A proxy only.
    ProxyOnly,
    /// Neither.
    #[default]
    None,
}

impl Vantage {
    /// Every policy, in order of its discriminant.
    pub const ALL: [Self; 4] = [Self::AlsOnly, Self::AlsPlusProxy, Self::ProxyOnly, Self::None];

    /// The name in scenarios, reports and headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlsOnly => "ALS_ONLY",
            Self::AlsPlusProxy => "ALS_PLUS_PROXY",
            Self::ProxyOnly => "PROXY_ONLY",
            Self::None => "NONE",
        }
    }

    /// Whether the call goes through a proxy.
    #[must_use]
    pub const fn uses_proxy(self) -> bool {
        matches!(self, Self::AlsPlusProxy | Self::ProxyOnly)
    }
}

/// How a proxy is chosen, by its provider's name for it (seed 002).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProxyMode {
    /// Another one for each call (the seed's default).
    #[default]
    Rotating,
    /// One of a household.
    Residential,
    /// One in a data centre.
    Backbone,
}

impl ProxyMode {
    /// Every mode, in order of its discriminant.
    pub const ALL: [Self; 3] = [Self::Rotating, Self::Residential, Self::Backbone];

    /// The name in scenarios, reports and headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rotating => "rotating",
            Self::Residential => "residential",
            Self::Backbone => "backbone",
        }
    }
}

/// A country, by its two capital letters (ISO 3166-1 alpha-2). US by default (seed 002).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Default for Country {
    fn default() -> Self {
        Self(*b"US")
    }
}

/// Why a text is not a country.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a country: write two capital letters, like \"US\" or \"DE\"")]
pub struct NotACountry(pub String);

impl std::str::FromStr for Country {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, NotACountry> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([a, b])),
            _ => Err(NotACountry(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|letter| std::fmt::Write::write_char(f, char::from(*letter)))
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Country {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Country".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "plimsoll-country",
            "description": "Two capital letters (ISO 3166-1 alpha-2).",
            "pattern": "^[A-Z]{2}$",
            "examples": ["US", "DE"]
        })
    }
}

/// What a call to a metered API asks for besides its text (seed 002). Known to policies.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// Whether the API searches before it answers, which it bills as tokens.
    pub grounded: bool,
    /// Its vantage policy.
    pub vantage: Vantage,
    /// Where its proxy stands.
    pub country: Country,
    /// How its proxy is chosen.
    pub proxy_mode: ProxyMode,
}

impl Profile {
    /// Kinds of call that use tokens differently: grounded or not, times the vantage policies.
    pub const KINDS: usize = 2 * Vantage::ALL.len();

    /// The index of its kind, below [`Profile::KINDS`].
    #[must_use]
    pub const fn kind(self) -> usize {
        self.grounded as usize * Vantage::ALL.len() + self.vantage as usize
    }

    /// The name of the kind at `index`: `grounded ALS_ONLY`.
    #[must_use]
    pub fn kind_name(index: usize) -> String {
        let grounded = if index / Vantage::ALL.len() == 1 { "grounded" } else { "ungrounded" };
        format!("{grounded} {}", Vantage::ALL[index % Vantage::ALL.len()].name())
    }
}

/// A request with everything the *world* knows about it. Policies see a [`crate::policy::Attempt`] instead (INV-7).
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// Its class.
    pub class: ClassId,
    /// Who pays: 0 where the scenario has no tenants.
    pub tenant: u32,
    /// Intended first arrival.
    pub arrival: Time,
    /// Prompt length, tokens, at least 1.
    pub input_tokens: u32,
    /// What a gateway would estimate of `input_tokens`.
    pub input_estimate: u32,
    /// Answer length if nothing cuts it short, tokens, at least 1.
    pub output_tokens: u32,
    /// The client's own limit on the answer, tokens.
    pub max_tokens: u32,
    /// Service time at a plain station.
    pub service: Span,
    /// How long the request waits for service at a plain station; `None` = for ever.
    pub patience: Option<Span>,
    /// Shared beginning of the prompt.
    pub prefix: Option<Prefix>,
    /// What it asks of a metered API.
    pub profile: Profile,
    /// Tokens that a metered API bills for it if nothing cuts its answer: prompt, search results and answer together.
    pub usage_tokens: u32,
    /// Seed of later draws: admission and backoff of each attempt ([`crate::rng::mix`]).
    pub later: u64,
}

impl Request {
    /// The random bits by which policies decide about its attempt `number`, from 1.
    #[must_use]
    pub const fn draw(&self, number: u16) -> u64 {
        mix(self.later, 2 * number as u64 + 1)
    }
}

/// Why something in front of the upstream, or the upstream's own bound, refused an attempt.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Graduated rejection at 100 % of the abandoned-work capacity ("Server at full capacity").
    FullCapacity,
    /// Graduated rejection between its start and 100 % ("Server at high capacity").
    HighCapacity,
    /// The queue holds as many requests as it may.
    QueueFull,
    /// The queue holds as many tokens as it may.
    QueueTokens,
    /// CoDel dropped it from a standing queue.
    Codel,
    /// It could not have been served before its deadline.
    Deadline,
    /// The gateway is draining.
    Draining,
    /// The upstream's own bound refused it (503, or no place left at a station).
    UpstreamFull,
    /// The upstream refused it for its rate (429).
    UpstreamRate,
    /// Its reservation is larger than a whole window's budget.
    OverBudget,
    /// The breaker of its proxy is open and no other way is allowed.
    ProxyCircuitOpen,
    /// Adaptive throttling by the upstream's success rate.
    Throttled,
    /// The gateway's own request rate limit.
    RateLimited,
    /// The server's own signals say that it is full.
    Saturated,
}

impl Reason {
    /// Every reason, in order of its discriminant.
    pub const ALL: [Self; 14] = [
        Self::FullCapacity,
        Self::HighCapacity,
        Self::QueueFull,
        Self::QueueTokens,
        Self::Codel,
        Self::Deadline,
        Self::Draining,
        Self::UpstreamFull,
        Self::UpstreamRate,
        Self::OverBudget,
        Self::ProxyCircuitOpen,
        Self::Throttled,
        Self::RateLimited,
        Self::Saturated,
    ];

    /// The name in reports, journals and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullCapacity => "full_capacity",
            Self::HighCapacity => "high_capacity",
            Self::QueueFull => "queue_full",
            Self::QueueTokens => "queue_tokens",
            Self::Codel => "codel",
            Self::Deadline => "deadline",
            Self::Draining => "draining",
            Self::UpstreamFull => "upstream_full",
            Self::UpstreamRate => "upstream_rate",
            Self::OverBudget => "over_budget",
            Self::ProxyCircuitOpen => "proxy_circuit_open",
            Self::Throttled => "throttled",
            Self::RateLimited => "rate_limited",
            Self::Saturated => "saturated",
        }
    }
}

/// How an upstream failed a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The upstream refused for load: 503, before any token.
    Overloaded,
    /// The request can never be served there (prompt longer than the model's context or the KV cache): 400.
    BadRequest,
    /// The upstream broke: 5xx.
    Server,
    /// The connection was reset or the stream cut.
    Connection,
    /// Nothing came for longer than the idle timeout.
    Idle,
    /// The upstream refused for its rate: 429, before any token.
    RateLimited,
    /// The proxy in front of it could not be reached, or gave no connection.
    Proxy,
}

impl Cause {
    /// Every cause, in order of its discriminant.
    pub const ALL: [Self; 7] =
        [Self::Overloaded, Self::BadRequest, Self::Server, Self::Connection, Self::Idle, Self::RateLimited, Self::Proxy];

    /// The name in reports, journals and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::BadRequest => "bad_request",
            Self::Server => "server",
            Self::Connection => "connection",
            Self::Idle => "idle",
            Self::RateLimited => "rate_limited",
            Self::Proxy => "proxy",
        }
    }
}

/// A refusal, as the client sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// HTTP status: 503, 429 or (never admissible) 413 not admitted, 504 timed out; for the upstream's failures 503
    /// overloaded, 400 bad request, 500 server, 502 connection and proxy, 504 idle, 429 rate limited.
    pub status: u16,
    /// What it stands for.
    pub kind: RefusalKind,
    /// How long the client should wait before it tries again, where that can be computed.
    pub retry_after: Option<Span>,
    /// Of a request that never fits (413): its reservation, and the most that a window holds; tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
}

/// What a refused request needs and what there can be at most, in the same unit.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// What it needs.
    pub needs: u64,
    /// The most that there ever is.
    pub limit: u64,
}

/// What a provider's `x-ratelimit-*` headers say: of tokens and of requests. `None` where there is no such limit.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateHeaders {
    /// `x-ratelimit-limit-tokens`, `-remaining-tokens`, `-reset-tokens`.
    pub tokens: Option<RateHeader>,
    /// `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests`.
    pub requests: Option<RateHeader>,
}

/// The figures of one limit.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateHeader {
    /// A minute's.
    pub limit: u32,
    /// What is left now, whole.
    pub remaining: u64,
    /// How long until all of it is there again.
    pub reset: Span,
}

/// What a refusal stands for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// Not admitted.
    Rejected(Reason),
    /// Ended at its deadline, waiting or running.
    TimedOut,
    /// The upstream's failure, passed on.
    Upstream(Cause),
}

/// How a *request* ended, by its last attempt. Exactly one of these columns holds each offered request (INV-1).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Complete, full length, within its SLO.
    Good,
    /// Complete, but its SLO was missed.
    Late,
    /// Complete, but cut short at a limit that a policy lowered.
    Degraded,
    /// Refused.
    Rejected(Reason),
    /// The gateway ended it.
    TimedOut,
    /// The client left.
    GaveUp,
    /// The upstream failed it.
    Failed(Cause),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_call_has_an_index_and_a_name() {
        let mut names = Vec::new();
        for grounded in [false, true] {
            for vantage in Vantage::ALL {
                let profile = Profile { grounded, vantage, ..Profile::default() };
                assert_eq!(profile.kind(), names.len());
                names.push(Profile::kind_name(profile.kind()));
            }
        }
        assert_eq!((names[0].as_str(), names[7].as_str()), ("ungrounded ALS_ONLY", "grounded NONE"));
        assert_eq!(names.len(), Profile::KINDS);
    }
}

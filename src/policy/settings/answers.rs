//! Settings of what is done with the upstream's own refusals and failures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done with the upstream's own refusals and failures.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamErrors {
    /// Refused for its rate (429).
    pub on_429: OnError,
    /// Overloaded or broken (5xx).
    pub on_5xx: OnError,
    /// Whose `x-ratelimit-*` figures correct what the limiter believes to be left.
    pub rate_headers: Heed,
}

impl UpstreamErrors {
    /// Where the section is absent: everything is passed on, and nothing learned from it.
    pub(in crate::policy) const ABSENT: Self =
        Self { on_429: OnError::PassOn, on_5xx: OnError::PassOn, rate_headers: Heed::Never };
}

/// Which answers' `x-ratelimit-*` figures correct the limiter: it believes no more to be left than the provider says, less the
/// headroom. What is missing counts as taken at that moment. Figures that say more than it believes change nothing.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Heed {
    /// None.
    Never,
    /// Those of a refusal (429).
    #[default]
    Refusals,
    /// Those of every answer, and the upstream's own signals where a policy asks for them.
    Always,
}

/// What is done with one failure of the upstream.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It is passed on to the client.
    #[default]
    PassOn,
    /// The attempt waits as long as the upstream asks to, and goes through the stack again: once.
    Wait,
    /// The attempt goes through the stack again at once: once.
    Redispatch,
}

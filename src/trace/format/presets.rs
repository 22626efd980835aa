//! Maps for logs that have no shape of their own.

use super::{Field, Map, Preset, TimeKind};

const S: TimeKind = TimeKind::Seconds;
const ISO: TimeKind = TimeKind::Iso8601;

/// `log_format ... escape=json '{"msec":$msec,"request_time":$request_time,"status":$status,...}'`. `$msec` is when the line
/// was written, at the request's *end*. nginx knows no tokens: they come from headers that the server behind it sets
/// (`$upstream_http_x_prompt_tokens`), under these names.
const NGINX: &[(Field, &str, TimeKind)] = &[
    (Field::End, "msec", TimeKind::UnixSeconds),
    (Field::Duration, "request_time", S),
    (Field::Status, "status", S),
    (Field::Input, "prompt_tokens", S),
    (Field::Output, "completion_tokens", S),
    (Field::Class, "model", S),
    (Field::Tenant, "remote_user", S),
    (Field::Tenant, "remote_addr", S),
    (Field::Request, "request_id", S),
];

/// Observations (generations) exported from Langfuse, as CSV or JSON Lines.
const LANGFUSE: &[(Field, &str, TimeKind)] = &[
    (Field::Arrival, "startTime", ISO),
    (Field::FirstByte, "completionStartTime", ISO),
    (Field::End, "endTime", ISO),
    (Field::Input, "usage.input", S),
    (Field::Input, "usageDetails.input", S),
    (Field::Input, "inputUsage", S),
    (Field::Input, "promptTokens", S),
    (Field::Output, "usage.output", S),
    (Field::Output, "usageDetails.output", S),
    (Field::Output, "outputUsage", S),
    (Field::Output, "completionTokens", S),
    (Field::Class, "model", S),
    (Field::Tenant, "userId", S),
    (Field::Session, "sessionId", S),
    (Field::Request, "id", S),
];

/// Requests exported from Helicone, as CSV or JSON Lines.
const HELICONE: &[(Field, &str, TimeKind)] = &[
    (Field::Arrival, "request_created_at", ISO),
    (Field::End, "response_created_at", ISO),
    (Field::Duration, "delay_ms", TimeKind::Millis),
    (Field::Ttft, "time_to_first_token", TimeKind::Millis),
    (Field::Input, "prompt_tokens", S),
    (Field::Output, "completion_tokens", S),
    (Field::Class, "request_model", S),
    (Field::Class, "model", S),
    (Field::Tenant, "request_user_id", S),
    (Field::Tenant, "user_id", S),
    (Field::Request, "request_id", S),
    (Field::Status, "response_status", S),
    (Field::Status, "status", S),
];

impl Preset {
    /// Its map.
    #[must_use]
    pub fn map(self) -> Map {
        Map::of(match self {
            Self::Nginx => NGINX,
            Self::Langfuse => LANGFUSE,
            Self::Helicone => HELICONE,
        })
    }
}

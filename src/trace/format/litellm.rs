//! `LiteLLM`: its table of spend logs (dates), as CSV or JSON Lines, and its JSON callback (`StandardLoggingPayload`, seconds
//! since 1970 as floats).
//!
//! The callback's `response_time` is the time to the first token where an answer was streamed and the whole time where it was
//! not: it is not used. Answers from the cache never reached the server: those rows are dropped.

use super::recipe::Recipe;
use super::{Field, Format, TimeKind};

const ISO: TimeKind = TimeKind::Iso8601;
const UNIX: TimeKind = TimeKind::UnixSeconds;
const NOTES: &[&str] = &[
    "completionStartTime of an answer that was not streamed is its end: no first token",
    "rows are written when a request ends: a refused one has no lengths",
];

pub(super) const SPEND_LOGS: Recipe = Recipe {
    notes: NOTES,
    ..Recipe::plain(
        Format::LiteLlm,
        &["startTime", "endTime", "prompt_tokens", "completion_tokens"],
        &[
            (Field::Arrival, "startTime", ISO),
            (Field::FirstByte, "completionStartTime", ISO),
            (Field::End, "endTime", ISO),
            (Field::Duration, "request_duration_ms", TimeKind::Millis),
            (Field::Input, "prompt_tokens", ISO),
            (Field::Output, "completion_tokens", ISO),
            (Field::Class, "model_group", ISO),
            (Field::Class, "model", ISO),
            (Field::Tenant, "team_id", ISO),
            (Field::Tenant, "api_key", ISO),
            (Field::Tenant, "end_user", ISO),
            (Field::Session, "session_id", ISO),
            (Field::Request, "request_id", ISO),
            (Field::CacheHit, "cache_hit", ISO),
            (Field::Error, "metadata.error_information.error_code", ISO),
            (Field::Status, "status", ISO),
        ],
    )
};

pub(super) const CALLBACK: Recipe = Recipe {
    notes: NOTES,
    ..Recipe::plain(
        Format::LiteLlmCallback,
        &["startTime", "endTime", "prompt_tokens", "completion_tokens", "response_time"],
        &[
            (Field::Arrival, "startTime", UNIX),
            (Field::FirstByte, "completionStartTime", UNIX),
            (Field::End, "endTime", UNIX),
            (Field::Input, "prompt_tokens", UNIX),
            (Field::Output, "completion_tokens", UNIX),
            (Field::Class, "model_group", UNIX),
            (Field::Class, "model", UNIX),
            (Field::Tenant, "metadata.user_api_key_team_id", UNIX),
            (Field::Tenant, "metadata.user_api_key_hash", UNIX),
            (Field::Tenant, "end_user", UNIX),
            (Field::Session, "trace_id", UNIX),
            (Field::Request, "id", UNIX),
            (Field::CacheHit, "cache_hit", UNIX),
            (Field::Error, "error_information.error_code", UNIX),
            (Field::Status, "status", UNIX),
        ],
    )
};

//! Envoy AI Gateway's access log as JSON. Its keys are chosen by the operator: these are the ones of the project's own
//! examples, and a map says what is called otherwise.
//!
//! `x-envoy-upstream-service-time` is when the response's headers came, which a server that streams sends before the first
//! token: it is not used.

use super::recipe::Recipe;
use super::{Field, Format, TimeKind};
use crate::trace::cell::Cell;
use crate::trace::record::{Ended, Record};

const S: TimeKind = TimeKind::Seconds;

pub(super) const ENVOY: Recipe = Recipe {
    notes: &["x-envoy-upstream-service-time is not the first token: not used"],
    ..Recipe::plain(
        Format::Envoy,
        &["start_time", "duration", "response_code"],
        &[
            (Field::Arrival, "start_time", TimeKind::Iso8601),
            (Field::Duration, "duration", TimeKind::Millis),
            (Field::Input, "gen_ai.usage.input_tokens", S),
            (Field::Input, "gen_ai.usage.prompt_tokens", S),
            (Field::Output, "gen_ai.usage.output_tokens", S),
            (Field::Output, "gen_ai.usage.completion_tokens", S),
            (Field::Class, "gen_ai.request.model", S),
            (Field::Class, "x-ai-eg-model", S),
            (Field::Tenant, "x-tenant-id", S),
            (Field::Session, "x-session-id", S),
            (Field::Request, "x-request-id", S),
            // In this order: a flag says more than the status that goes with it.
            (Field::Status, "response_code", S),
            (Field::Flags, "response_flags", S),
        ],
    )
};

/// What Envoy's response flags say of how a request ended: the first that is known of `DC` (the client left), `UT`, `DT`, `SI`
/// (timed out), `UO`, `RL`, `OM`, `UH` (refused), `NC`, `UAEX`, `RLSE` (failed: no such cluster, access denied, the limiter itself
/// broke), `UF`, `UC`, `LR`, `UR`, `UPE`, `DPE` (broken).
pub(in crate::trace) fn flags(cell: Cell<'_>, record: &mut Record) {
    let Cell::Text(text) = cell else { return };
    let known = text.split(|byte| *byte == b',').find_map(|flag| match flag.trim_ascii() {
        b"DC" => Some(Ended::Left),
        b"UT" | b"DT" | b"SI" => Some(Ended::TimedOut),
        b"UO" | b"RL" | b"OM" | b"UH" => Some(Ended::Refused),
        b"NC" | b"UAEX" | b"RLSE" => Some(Ended::Failed),
        b"UF" | b"UC" | b"LR" | b"UR" | b"UPE" | b"DPE" => Some(Ended::Broken),
        _ => None,
    });
    record.ended = known.or(record.ended);
}

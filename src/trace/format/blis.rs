//! BLIS's `TraceV2`: a table whose times are microseconds since the run's zero, with intended arrival and sending apart. Its
//! header is YAML, in a file of its own or in front of the table.

use super::recipe::Recipe;
use super::{Field, Format, TimeKind};

const US: TimeKind = TimeKind::Micros;

pub(super) const BLIS: Recipe = Recipe {
    notes: &["slo_class is the class, else the model"],
    ..Recipe::plain(
        Format::Blis,
        &["arrival_time_us", "send_time_us", "input_tokens", "output_tokens"],
        &[
            (Field::Arrival, "arrival_time_us", US),
            (Field::Sent, "send_time_us", US),
            (Field::FirstByte, "first_chunk_time_us", US),
            (Field::LastByte, "last_chunk_time_us", US),
            (Field::Input, "input_tokens", US),
            (Field::Output, "output_tokens", US),
            (Field::Class, "slo_class", US),
            (Field::Class, "model", US),
            (Field::Tenant, "tenant_id", US),
            (Field::Tenant, "client_id", US),
            (Field::Session, "session_id", US),
            (Field::Request, "request_id", US),
            (Field::Status, "status", US),
        ],
    )
};

//! Tables and objects without a format of their own. Without a map: `time` in seconds since the recording's own zero,
//! `input_tokens`, `output_tokens`, and where they are there `class`, `tenant`, `session`, `request`, `sent`, `first_byte`,
//! `last_byte`, `end` (seconds), `status`, `images` and `attempt`. With a map that alone counts.

use super::recipe::Recipe;
use super::{Field, Format, TimeKind};

const S: TimeKind = TimeKind::Seconds;
const SIGNATURE: &[&str] = &["time", "input_tokens", "output_tokens"];
const COLUMNS: &[(Field, &str, TimeKind)] = &[
    (Field::Arrival, "time", S),
    (Field::Input, "input_tokens", S),
    (Field::Output, "output_tokens", S),
    (Field::Class, "class", S),
    (Field::Tenant, "tenant", S),
    (Field::Session, "session", S),
    (Field::Request, "request", S),
    (Field::Sent, "sent", S),
    (Field::FirstByte, "first_byte", S),
    (Field::LastByte, "last_byte", S),
    (Field::End, "end", S),
    (Field::Status, "status", S),
    (Field::Images, "images", S),
    (Field::Attempt, "attempt", S),
];

/// Plimsoll's own columns.
pub(super) const CSV: Recipe = Recipe::plain(Format::Csv, SIGNATURE, COLUMNS);
/// The same as JSON Lines.
pub(super) const JSONL: Recipe = Recipe::plain(Format::Jsonl, SIGNATURE, COLUMNS);
/// A table of which a map says everything.
pub(super) const MAPPED_CSV: Recipe = Recipe::plain(Format::Csv, &[], &[]);
/// Objects of which a map says everything.
pub(super) const MAPPED_JSONL: Recipe = Recipe::plain(Format::Jsonl, &[], &[]);

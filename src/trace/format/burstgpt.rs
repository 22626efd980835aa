//! `BurstGPT`, versions 1 to 3: `Timestamp` (seconds since the first day's midnight), `Model`, `Request tokens`, `Response
//! tokens`, `Total tokens`, `Log Type`. Version 3 has `Session ID` and `Elapsed time` behind the first column, so columns go
//! by name. A response of 0 tokens is one that failed in the source.

use super::recipe::Recipe;
use super::{Field, Format, TimeKind};
use crate::trace::assemble::EmptyAnswer;

pub(super) const BURST_GPT: Recipe = Recipe {
    empty_answer: EmptyAnswer::Failed,
    notes: &["a response of 0 tokens failed in the source: kept, with an unknown length"],
    ..Recipe::plain(
        Format::BurstGpt,
        &["Timestamp", "Model", "Request tokens", "Response tokens"],
        &[
            (Field::Arrival, "Timestamp", TimeKind::Seconds),
            (Field::Input, "Request tokens", TimeKind::Seconds),
            (Field::Output, "Response tokens", TimeKind::Seconds),
            (Field::Class, "Model", TimeKind::Seconds),
            (Field::Tenant, "Log Type", TimeKind::Seconds),
            (Field::Session, "Session ID", TimeKind::Seconds),
            (Field::Duration, "Elapsed time", TimeKind::Seconds),
        ],
    )
};

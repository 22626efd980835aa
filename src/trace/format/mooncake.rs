//! Mooncake's traces (FAST '25) and Alibaba Bailian's, which took over its field names but neither its unit of time nor its
//! block size.
//!
//! `timestamp` (Mooncake: milliseconds, Bailian: seconds), `input_length`, `output_length`, `hash_ids` (each block's hash
//! includes all before it; Mooncake: 512 tokens, Bailian: 16). Bailian's are known by their `chat_id`.

use super::recipe::Recipe;
use super::{Field, Format, TimeKind};

pub(super) const MOONCAKE: Recipe = Recipe {
    block_tokens: Some(512),
    ..Recipe::plain(
        Format::Mooncake,
        &["timestamp", "input_length", "output_length"],
        &[
            (Field::Arrival, "timestamp", TimeKind::Millis),
            (Field::Input, "input_length", TimeKind::Seconds),
            (Field::Output, "output_length", TimeKind::Seconds),
            (Field::Blocks, "hash_ids", TimeKind::Seconds),
        ],
    )
};

pub(super) const BAILIAN: Recipe = Recipe {
    block_tokens: Some(16),
    notes: &["`chat_id` tells Bailian's traces from Mooncake's: times in seconds, blocks of 16 tokens"],
    ..Recipe::plain(
        Format::Bailian,
        &["timestamp", "input_length", "output_length", "chat_id"],
        &[
            (Field::Arrival, "timestamp", TimeKind::Seconds),
            (Field::Input, "input_length", TimeKind::Seconds),
            (Field::Output, "output_length", TimeKind::Seconds),
            (Field::Blocks, "hash_ids", TimeKind::Seconds),
            (Field::Class, "type", TimeKind::Seconds),
            (Field::Request, "chat_id", TimeKind::Seconds),
            (Field::Parent, "parent_chat_id", TimeKind::Seconds),
        ],
    )
};

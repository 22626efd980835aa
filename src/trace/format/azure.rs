//! Azure's public traces of LLM inference: 2023 (Splitwise, ISCA 2024), 2024 (a week), 2025 (multimodal).
//!
//! `TIMESTAMP,ContextTokens,GeneratedTokens`, in 2025 also `NumImages`. The years differ in how they write times: 2023 without a
//! zone and with seven digits of a second, 2024 with a zone. Both are read in every file.

use super::recipe::Recipe;
use super::{Field, Format, TimeKind};

const SIGNATURE: &[&str] = &["TIMESTAMP", "ContextTokens", "GeneratedTokens"];
const COLUMNS: &[(Field, &str, TimeKind)] = &[
    (Field::Arrival, "TIMESTAMP", TimeKind::Iso8601),
    (Field::Input, "ContextTokens", TimeKind::Seconds),
    (Field::Output, "GeneratedTokens", TimeKind::Seconds),
    (Field::Images, "NumImages", TimeKind::Seconds),
];

pub(super) const AZURE_2023: Recipe =
    Recipe { notes: &["times have no zone: taken as UTC"], ..Recipe::plain(Format::Azure2023, SIGNATURE, COLUMNS) };
pub(super) const AZURE_2024: Recipe = Recipe::plain(Format::Azure2024, SIGNATURE, COLUMNS);
pub(super) const AZURE_LMM_2025: Recipe =
    Recipe::plain(Format::AzureLmm2025, &["TIMESTAMP", "ContextTokens", "GeneratedTokens", "NumImages"], COLUMNS);

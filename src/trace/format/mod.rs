//! The formats, one file each.

mod azure;
mod blis;
mod burstgpt;
pub(super) mod canonical;
mod driver;
pub(super) mod envoy;
mod flight;
mod generic;
mod journal;
mod litellm;
mod mooncake;
mod objects;
mod otlp;
mod presets;
mod recipe;
pub(super) mod servegen;
mod table;

use std::str::FromStr;

pub(super) use self::objects::{Fields, Objects, objects_in};
pub(super) use self::recipe::Recipe;
pub(super) use self::table::{Table, header};
use super::error::TraceError;
pub use super::map::{Field, Map, Mapped, TimeKind};
use super::reader::{Options, Reader};
use super::source::Source;

/// The formats that are tables; one whose columns are among another's stands behind it.
pub(super) const TABLES: &[Recipe] = &[
    azure::AZURE_LMM_2025,
    azure::AZURE_2023,
    azure::AZURE_2024,
    burstgpt::BURST_GPT,
    litellm::SPEND_LOGS,
    blis::BLIS,
    generic::CSV,
];

/// The formats that are lines of objects, in the same order.
pub(super) const OBJECTS: &[Recipe] =
    &[mooncake::BAILIAN, mooncake::MOONCAKE, litellm::CALLBACK, litellm::SPEND_LOGS, envoy::ENVOY, generic::JSONL];

/// The formats that no map describes: lines of objects, and one table.
pub(super) const SPECIAL: &[(Format, &[&str])] = &[
    (Format::Driver, driver::SIGNATURE),
    (Format::Journal, journal::SIGNATURE),
    (Format::Journal, flight::SIGNATURE),
    (Format::Canonical, canonical::SIGNATURES[0]),
    (Format::Canonical, canonical::SIGNATURES[1]),
];

/// Opens a log whose format is known.
pub(super) fn reader(source: Source, format: Format, options: &Options, by: String) -> Result<Box<dyn Reader>, TraceError> {
    let preset = options.preset.map(Preset::map);
    let own = match (options.map.clone(), preset) {
        (Some(map), Some(preset)) => Some(map.or(preset)),
        (map, preset) => map.or(preset),
    };
    let is_objects = matches!(source.sample.trim_ascii_start().first(), Some(b'{' | b'['));
    let generic = if is_objects { &generic::MAPPED_JSONL } else { &generic::MAPPED_CSV };
    let recipe = match format {
        Format::Csv | Format::Jsonl if own.is_some() => Some(generic),
        _ => (if is_objects { OBJECTS } else { TABLES }).iter().find(|recipe| recipe.format == format),
    };
    match recipe {
        None if format == Format::Canonical => Ok(Box::new(canonical::Canonical::new(source, by)?)),
        None if format == Format::Driver => Ok(Box::new(driver::Driver::new(source, by))),
        None if format == Format::Journal && is_flight(&source) => Ok(Box::new(flight::Flight::new(source, by))),
        None if format == Format::Journal => Ok(Box::new(journal::Journal::new(source, by))),
        None if format == Format::Otlp => Ok(Box::new(otlp::Otlp::new(source, own, by)?)),
        Some(recipe) if is_objects => Ok(Box::new(Objects::new(source, recipe, own, by)?)),
        Some(recipe) => {
            let demanded = options.map.as_ref().map(Map::fields).unwrap_or_default();
            Ok(Box::new(Table::new(source, recipe, own, &demanded, by)?))
        }
        None => {
            Err(TraceError::OtherFormat { file: source.file, claimed: format.name(), why: "another kind of file".to_owned() })
        }
    }
}

/// Whether a journal is a gateway's, and not a simulation's.
fn is_flight(source: &Source) -> bool {
    let is_head = |object: &Fields| flight::SIGNATURE.iter().all(|key| object.contains_key(*key));
    objects_in(&source.sample).first().is_some_and(is_head)
}

/// What a log can be.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A table with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Azure's traces of 2023 (Splitwise).
    Azure2023,
    /// Azure's traces of 2024, a week.
    Azure2024,
    /// Azure's multimodal trace of 2025.
    AzureLmm2025,
    /// Mooncake's traces (FAST '25).
    Mooncake,
    /// Alibaba Bailian's Qwen traces.
    Bailian,
    /// `BurstGPT`, versions 1 to 3.
    BurstGpt,
    /// `ServeGen`'s descriptions of clients, from which arrivals are drawn.
    ServeGen,
    /// `LiteLLM`'s table of spend logs, as CSV or JSON Lines.
    LiteLlm,
    /// `LiteLLM`'s JSON callback (`StandardLoggingPayload`).
    LiteLlmCallback,
    /// Envoy AI Gateway's access log as JSON.
    Envoy,
    /// OpenTelemetry spans as OTLP-JSON.
    Otlp,
    /// BLIS's `TraceV2`.
    Blis,
    /// The load driver's own records.
    Driver,
    /// Plimsoll's journal.
    Journal,
    /// Plimsoll's own table of everything that a record holds.
    Canonical,
}

impl Format {
    /// Every format, in order of its discriminant.
    pub const ALL: [Self; 17] = [
        Self::Csv,
        Self::Jsonl,
        Self::Azure2023,
        Self::Azure2024,
        Self::AzureLmm2025,
        Self::Mooncake,
        Self::Bailian,
        Self::BurstGpt,
        Self::ServeGen,
        Self::LiteLlm,
        Self::LiteLlmCallback,
        Self::Envoy,
        Self::Otlp,
        Self::Blis,
        Self::Driver,
        Self::Journal,
        Self::Canonical,
    ];

    /// The name on the command line and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Azure2023 => "azure-2023",
            Self::Azure2024 => "azure-2024",
            Self::AzureLmm2025 => "azure-lmm-2025",
            Self::Mooncake => "mooncake",
            Self::Bailian => "bailian",
            Self::BurstGpt => "burstgpt",
            Self::ServeGen => "servegen",
            Self::LiteLlm => "litellm",
            Self::LiteLlmCallback => "litellm-callback",
            Self::Envoy => "envoy",
            Self::Otlp => "otlp",
            Self::Blis => "blis",
            Self::Driver => "driver",
            Self::Journal => "journal",
            Self::Canonical => "plimsoll",
        }
    }
}

impl FromStr for Format {
    type Err = TraceError;

    fn from_str(name: &str) -> Result<Self, TraceError> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| TraceError::Map(format!("there is no format `{name}`; the formats are: auto, {}", known())))
    }
}

/// A named map of columns, for logs that have no shape of their own.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// nginx with `log_format ... escape=json`.
    Nginx,
    /// Observations exported from Langfuse.
    Langfuse,
    /// Requests exported from Helicone.
    Helicone,
}

impl Preset {
    /// Every preset, in order of its discriminant.
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Langfuse, Self::Helicone];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Langfuse => "langfuse",
            Self::Helicone => "helicone",
        }
    }
}

impl FromStr for Preset {
    type Err = TraceError;

    fn from_str(name: &str) -> Result<Self, TraceError> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or_else(|| TraceError::Map(format!("there is no preset `{name}`; the presets are: {}", known())))
    }
}

#[cfg(test)]
mod any_bytes_tests;
#[cfg(test)]
mod formats_tests;

//! The scenario file as it is written, before variants and sweeps are laid out. The published schema is made from this.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run::RunSettings;
use super::tune::TuneSettings;
use crate::policy;
use crate::upstream::UpstreamSettings;
use crate::workload::{ArrivalSettings, ClassSettings};

/// A Plimsoll scenario: one question, and the system and load to ask it of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Version of this format.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The question that the scenario answers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// How it is run and measured.
    #[serde(default)]
    pub run: RunSettings,
    /// What is protected.
    pub upstream: UpstreamSettings,
    /// Arrivals that the classes share by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<ArrivalSettings>,
    /// Who sends.
    #[schemars(length(min = 1))]
    pub class: Vec<ClassSettings>,
    /// What stands between them.
    #[serde(default)]
    pub policy: policy::Settings,
    /// Systems to compare, each an overlay on this scenario. Without any there is one, named `base`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variant: Vec<VariantFile>,
    /// Values to try on every variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepSettings>,
    /// A recorded run to lay beside the simulated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredSettings>,
    /// What `plimsoll tune` is to find.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<TuneSettings>,
}

/// A named overlay. Tables merge deeply over the scenario's, lists are replaced, and the result must be a valid scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantFile {
    /// Its name in reports, different from the others'.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Laid over `[upstream]`. Another `kind` replaces it whole.
    #[serde(default, skip_serializing_if = "Overlay::is_empty")]
    pub upstream: Overlay,
    /// Laid over `[arrival]`. Another `process` replaces it whole.
    #[serde(default, skip_serializing_if = "Overlay::is_empty")]
    pub arrival: Overlay,
    /// Instead of the scenario's classes; to change one of them, use `set`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class: Vec<Overlay>,
    /// Laid over `[policy]`.
    #[serde(default, skip_serializing_if = "Overlay::is_empty")]
    pub policy: Overlay,
    /// Single settings by path, after the tables: `{ "class[0].arrival.rate" = 5 }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Value>,
}

/// A piece of a table that is checked once it is laid over the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overlay(pub Map<String, Value>);

impl Overlay {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl JsonSchema for Overlay {
    fn schema_name() -> Cow<'static, str> {
        "Overlay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A piece of a table that is checked once it is laid over the rest.",
            "additionalProperties": true
        })
    }
}

/// Crosses every variant with each value. The copies are named `NAME @ 60 %` for a load, else `NAME @ PATH=VALUE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepSettings {
    /// What to change: `arrival.load`.
    pub path: String,
    /// The values, one after another.
    #[schemars(length(min = 1))]
    pub values: Vec<Value>,
}

/// A recorded run to lay beside the simulated one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasuredSettings {
    /// The load driver's records (`.jsonl`, `.jsonl.zst`), beside the scenario file.
    #[schemars(length(min = 1))]
    pub file: String,
}

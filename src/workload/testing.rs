//! Workloads for tests, written as a person writes them.

use serde::Deserialize;

use super::{ArrivalSettings, ClassSettings, SourceSettings};
use crate::time::Span;

#[derive(Deserialize)]
struct Wrapped {
    arrival: ArrivalSettings,
}

/// A class from its TOML.
pub(crate) fn class(text: &str) -> ClassSettings {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// An arrival process from its TOML value.
pub(crate) fn arrival(text: &str) -> ArrivalSettings {
    let wrapped: Wrapped = toml::from_str(&format!("arrival = {text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
    wrapped.arrival
}

/// Ten minutes of these classes under this shared arrival, with entity streams.
pub(crate) fn settings(classes: Vec<ClassSettings>, shared: Option<&str>) -> SourceSettings {
    SourceSettings {
        arrival: shared.map(arrival),
        classes,
        recorded: Vec::new(),
        pairs: Vec::new(),
        capacity_rps: None,
        service: None,
        entity_streams: true,
        end: Span::from_secs(600),
    }
}

//! Models of what the policies protect: a vLLM server at step level, and a plain service station.

mod io;
mod settings;
mod station;

pub use io::{Call, CallWork, EventKind, Gauges, Output, OutputKind, Totals};
pub use settings::{CostSettings, HostSettings, NotACost, Picos, Routing, StationSettings, UpstreamSettings, VllmSettings};
pub use station::Station;

//! The scenario file: parsed, merged, validated, explained, checked for what cannot go well.
//!
//! ```text
//!  file --+                                              +--> Scenario { run, variants }
//!         +--> tree --> schema --> variants x sweep --> settings --> lints
//!  --set -+    (places)  (rules)   (overlays)            (semantic checks)
//! ```
//!
//! Every value keeps the place it was written at through all of it, so each error names file, line and column, and says
//! what would be right. The rules are those of the published JSON Schema ([`schema::publish`]).

mod diagnostic;
mod expand;
mod file;
pub mod lint;
mod load;
mod overlay;
mod path;
mod run;
pub mod schema;
mod section;
mod semantic;
mod settings_file;
mod source;
mod tree;
mod tune;
mod variant;
mod write;

pub use diagnostic::{Diagnostic, Diagnostics, Located};
pub use file::{MeasuredSettings, Overlay, ScenarioFile, SweepSettings, VariantFile};
pub use load::Scenario;
pub use path::{NotAPath, Path, Step};
pub use run::{LoadOf, RunSettings, StreamsOf, Warmup};
pub use section::{Complaint, Section, parse_settings_and, read_settings_and};
pub use semantic::{REPLICATIONS_MAX, REQUESTS_MAX};
pub use settings_file::{Holds, holds, kind, parse_settings, read_settings};
pub use source::{Place, Position, Sources};
pub use tree::{Entry, Node, Value};
pub use tune::{RobustBy, RobustSettings, TuneCondition, TuneMethod, TuneParameter, TuneScale, TuneSettings};
pub use variant::{FileReference, Variant};
pub use write::write_settings;

/// The sections that differ from variant to variant.
const SECTIONS: [&str; 4] = ["upstream", "arrival", "class", "policy"];

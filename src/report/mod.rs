//! What a person sees: the verdict in words first, then tables; and the same as one JSON object.
//!
//! Everything here is a pure function from results to text: who prints it, and where, is the command's business.

mod assertion;
mod compare;
pub mod draw;
mod envelope;
mod fairness;
pub mod format;
mod load_lines;
mod metered;
pub mod overlay;
pub mod page;
pub mod plot;
pub mod replayed;
mod rungs;
mod table;
mod text;
mod tuned;
mod verdict;

pub use assertion::{Assertion, Judged};
pub use compare::{Figures, compare};
pub use envelope::{
    ClassReport, CountsReport, Envelope, LatencyReport, LoadReport, Mean, MetricsReport, Ordered, PairedReport, PlainMean,
    RecoveryReport, SCHEMA, VariantReport, WaitReport, digest_text,
};
pub use load_lines::LoadLines;
pub use metered::{MeteredReport, MultiplierReport, ReservationsReport};
pub use replayed::Replayed;
pub use table::{overview, variant};
pub use text::text;
pub use tuned::{ClassShare, Tuning};
pub use verdict::verdict;

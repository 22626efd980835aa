//! From tallies to the published figures: counts, metrics with their intervals, labels, recovery, paired differences.

mod label;
mod recovery;
mod warmup;

pub use label::{Evidence, Label, label};
pub use recovery::{Recovery, Spike, seconds_to_recover};
pub use warmup::{WarmUp, warm_up};

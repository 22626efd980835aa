//! The load driver: a scenario's requests sent to a real server, with the clients that the simulator has.
//!
//! ```text
//! workload::Source --request--> workload::Client --attempt--> a task with one HTTP exchange
//!                                     ^                                  |
//!                                     +--- first token, end, refusal ----+
//!                                                                        v
//!                                      Line (one attempt, on disk) --> journal::Tally
//! ```
//!
//! One [`drive`] owns source and clients, and gives them the times at which things were *due*: a request's patience and latency
//! count from its intended arrival, however late it was sent. How late is published ([`Lag`]). Everything measured is computed from
//! the lines, so that a run read back from disk and one just made give the same figures.

mod attempt;
mod body;
mod gauges;
mod lag;
mod limits;
mod line;
mod load;
mod owner;
mod probe;
mod reading;
mod refusal;
mod rules;
mod standing;
mod steps;
mod store;
mod tally;
mod way;

pub use body::{Prompts, VOCABULARY};
pub use gauges::{GaugeWatch, Gauges, Sample, poll_gauges, read_gauges, until_idle};
pub use lag::{Lag, LagVerdict};
pub use limits::{Limits, Told, read_limits};
pub use line::{Line, Stamp, UsageLine, Word, read_lines, write_lines};
pub use load::{Load, Misfit, first_misfit};
pub use owner::{Driven, drive};
pub use probe::{Model, ProbeError, Server, probe};
pub use rules::class_rules;
pub use standing::Standing;
pub use steps::{Order, Step, steps};
pub use store::{Identity, Kept, StepStore, StoreError};
pub use tally::tally;
pub use way::{CLASS, DEADLINE, Key, KeyError, TERMS, Way, class_header, connections};

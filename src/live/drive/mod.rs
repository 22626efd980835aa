//! The load driver: a scenario's workload against a real server, by the clock.
//!
//! ```text
//! Source --request--> Client --attempt--> task: body, connection, stream --> server
//!                       ^                   |
//!                       +-- what was seen --+          each with the time at which it was seen
//! ```
//!
//! Who sends what and when, who loses patience, and who tries again, is decided by the machines that the simulator runs
//! ([`workload::Source`](crate::workload::Source), [`workload::Client`](crate::workload::Client)): the same seed gives the same
//! requests. What the driver adds is lateness, and it says how much ([`Driven::lag`]).

mod attempt;
mod counted;
mod driver;
mod refusal;
mod wire;

pub use attempt::{Ended, Seen, SeenKind};
pub use counted::Counted;
pub use driver::{Drive, Driven, Watcher};
pub use refusal::refusal;
pub use wire::{DEADLINE_HEADER, INPUT_ESTIMATE_HEADER, MAX_TOKENS_HEADER, Wire};

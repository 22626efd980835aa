//! Replay: what a log's own arrivals would have met under other settings, beside what was recorded.
//!
//! A log is read three times at most, a row at a time: once to look it through ([`Survey`]: what there is, from when to when),
//! once to measure what became of its requests ([`Measured`], where it says), and once by each run that replays it
//! ([`Replay::stream`]). Memory does not grow with the log.
//!
//! ```text
//!   Log --open--> records in order --+--> Survey: span, classes, what is missing
//!     (reader, flow)                +--> Measured: outcomes, latencies, over time
//!                                    +--> Recorded rows --> Source (one each run)
//! ```

mod chance;
mod clients;
mod log;
mod measured;
mod prefixes;
mod survey;
mod windows;

pub use chance::chances;
pub use clients::{Clients, as_logged, first_group};
pub use log::{Classes, ClassesError, Log, Replay};
pub use measured::{Measured, Outcomes};
pub use survey::Survey;
pub use windows::{Course, Side, Window, apart};

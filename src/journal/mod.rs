//! What happened: the tally of a replication, its summary, the event record.

mod event;
mod metered;
mod reader;
mod seal;
mod story;
pub mod summary;
mod tally;
mod verify;
mod watched;
mod words;
mod writer;

pub use event::{Event, RunHead, SCHEMA, What, settings_hash};
pub use metered::{Metered, MeteredCounts};
pub use reader::{JournalError, read};
pub use story::{Whose, tell};
pub use tally::{ClassTally, Digest, Halt, Series, Tally, Window};
pub use verify::{Changed, Mismatch, Verified, verify};
pub use watched::{Course, Moment, RejectionBin, Rejections, Watched};
pub use writer::Journal;

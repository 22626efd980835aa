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

pub use event::{Event, RunHead, SCHEMA, SegmentHead, What, segment_name, settings_hash};
pub use metered::{Metered, MeteredCounts};
pub use reader::{JournalError, read};
pub use story::{Whose, tell};
pub use tally::{ClassTally, Digest, Halt, Series, Tally, Window};
pub use verify::{Changed, Mismatch, Verified, verify, verify_segments};
pub use watched::{Course, Moment, RejectionBin, Rejections, Watched};
pub use writer::Journal;

//! What happened: the tally of a replication, its summary, the event record.

pub mod summary;
mod tally;

pub use tally::{ClassTally, Digest, Series, Tally, Window};

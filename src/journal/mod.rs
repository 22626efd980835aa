//! What happened: the tally of a replication, its summary, the event record.

mod tally;

pub use tally::{ClassTally, Digest, Series, Tally, Window};

//! The event record: one JSON object a line, in the order in which things were decided. In a file each line has a check beside
//! (`"k"`), which is no part of the event.

use serde::{Deserialize, Serialize};

use crate::policy::{Action, Input, Settings};
use crate::request::{Outcome, Request, RequestId};
use crate::rng::fnv1a;
use crate::time::Time;
use crate::upstream::OutputKind;

/// Version of the journal's format.
pub const SCHEMA: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, nanoseconds since the run's start.
    pub t: Time,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a journal line tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A replication begins: all that is needed to decide it again.
    Run(Box<RunHead>),
    /// A request arrives, with all that the world knows about it.
    Request(Box<Request>),
    /// The gateway is told something.
    In(Input),
    /// The gateway answers.
    Out(Action),
    /// Something happens to a call upstream.
    Upstream {
        /// Whose call.
        request: RequestId,
        /// What.
        kind: OutputKind,
    },
    /// A request is over.
    Finish {
        /// Which.
        request: RequestId,
        /// Its column.
        outcome: Outcome,
        /// Attempts it took.
        attempts: u16,
        /// Whether it would have been tried again, had the retry budget held a retry.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        retry_denied: bool,
    },
    /// The replication is over.
    End {
        /// Its digest, as 16 hexadecimal digits.
        digest: String,
    },
    /// A segment of a live journal begins: all that is needed to decide it again.
    Segment(Box<SegmentHead>),
    /// The segment is over.
    Closed {
        /// Inputs that it holds.
        inputs: u64,
        /// Inputs behind it that no segment holds.
        missed: u64,
    },
}

/// The head of a segment of a live journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentHead {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of this program, which alone reads its `state`.
    pub version: String,
    /// The segment's number, from 1.
    pub segment: u64,
    /// How many inputs there were before its first one.
    pub first: u64,
    /// How many of them came after the segment before ended.
    pub missed: u64,
    /// The classes' names, by position.
    pub classes: Vec<String>,
    /// The policies' settings.
    pub policy: Settings,
    /// Hash of those settings.
    pub settings_hash: String,
    /// When it begins.
    pub now: Time,
    /// All that the gateway knew then ([`Gateway::state`](crate::policy::Gateway::state)).
    pub state: String,
}

/// File name of a live journal's segment.
#[must_use]
pub fn segment_name(segment: u64) -> String {
    format!("segment-{segment:08}.jsonl.zst")
}

/// The head of a replication's part of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHead {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The variant's name.
    pub variant: String,
    /// The replication's number, from 0.
    pub replication: u32,
    /// The seed, as a string (JSON numbers do not hold 64 bits).
    pub seed: String,
    /// The classes' names, by position.
    pub classes: Vec<String>,
    /// The policies' settings.
    pub policy: Settings,
    /// Hash of those settings, the same in journal, report and statistics.
    pub settings_hash: String,
}

impl What {
    /// The head of a replication.
    #[must_use]
    pub fn run(variant: &str, replication: u32, seed: u64, policy: &Settings, classes: Vec<String>) -> Self {
        Self::Run(Box::new(RunHead {
            schema: SCHEMA,
            variant: variant.to_owned(),
            replication,
            seed: seed.to_string(),
            classes,
            policy: policy.clone(),
            settings_hash: settings_hash(policy),
        }))
    }
}

/// Hash of a gateway's settings: FNV-1a of their JSON, as 16 hexadecimal digits.
#[must_use]
pub fn settings_hash(settings: &Settings) -> String {
    let json = serde_json::to_vec(settings).expect("settings hold strings and finite numbers only");
    format!("{:016x}", fnv1a(&json))
}

//! The source of requests: merges the arrivals of all classes in time order, and draws each request's lengths.

use std::sync::Arc;

use super::{ArrivalSettings, ClassSettings};
use crate::request::Request;
use crate::rng::Streams;
use crate::time::{Span, Time};

/// One row of a recorded list of arrivals.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When it arrives.
    pub at: Time,
    /// Prompt length, tokens.
    pub input_tokens: u32,
    /// Answer length, tokens.
    pub output_tokens: u32,
    /// Class, by position.
    pub class: u16,
}

/// A workload with everything resolved: files read, loads turned into rates.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Arrivals shared by the classes that have none of their own.
    pub arrival: Option<ArrivalSettings>,
    /// The classes.
    pub classes: Vec<ClassSettings>,
    /// The rows behind each `recorded` process, by file name as written.
    pub recorded: Vec<(String, Arc<[Recorded]>)>,
    /// The pairs behind each class's `lengths`, by file name as written: input and output tokens.
    pub pairs: Vec<(String, Arc<[(u32, u32)]>)>,
    /// Requests a second at load 1.0, for processes that state a load; `None` where none does.
    pub capacity_rps: Option<f64>,
    /// Service time at a plain station, if the upstream is one.
    pub service: Option<crate::dist::SpanDist>,
    /// Whether each request has a stream of its own (else one sequential stream serves all).
    pub entity_streams: bool,
    /// No arrival at or after this.
    pub end: Span,
}

/// Generates one replication's requests.
#[derive(Debug)]
pub struct Source;

impl Source {
    /// The requests of one replication.
    #[must_use]
    pub fn new(_settings: &SourceSettings, _streams: Streams) -> Self {
        Self
    }

    /// When the next request arrives; `None` when there is none (closed loop: none until something finishes).
    #[must_use]
    pub fn next_arrival(&self) -> Option<Time> {
        None
    }

    /// The request that arrives at [`Source::next_arrival`].
    pub fn take(&mut self) -> Option<Request> {
        None
    }

    /// A request is over (a closed loop's client thinks, then sends its next one).
    pub fn finished(&mut self, _now: Time, _request: &Request) {}
}

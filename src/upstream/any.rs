//! Any upstream: a station or a fleet, by one enum.

use super::{
    Call, EventKind, Fleet, Gauges, ModelError, Output, Station, StationSettings, Totals, UpstreamSettings, VllmModel, roofline,
};
use crate::latency::Latency;
use crate::request::CallId;
use crate::time::Time;
use crate::units::Count;

/// An upstream's numbers, complete.
#[derive(Clone, Debug, PartialEq)]
pub enum UpstreamModel {
    /// A plain service station.
    Station(StationSettings),
    /// vLLM servers.
    Vllm(Box<VllmModel>),
}

impl UpstreamModel {
    /// The settings, with presets filled in.
    ///
    /// # Errors
    /// As [`VllmModel::resolve`].
    pub fn resolve(settings: &UpstreamSettings) -> Result<Self, ModelError> {
        Ok(match settings {
            UpstreamSettings::Station(settings) => Self::Station(settings.clone()),
            UpstreamSettings::Vllm(settings) => Self::Vllm(Box::new(VllmModel::resolve(settings)?)),
        })
    }

    /// Calls that it serves at once: servers, or `max_num_seqs` of all replicas (`max_num_queued_reqs` where that is less:
    /// it counts the running too).
    #[must_use]
    pub fn parallelism(&self) -> Count {
        match self {
            Self::Station(settings) => settings.servers,
            Self::Vllm(model) => {
                let seats = model.max_num_queued_reqs.map_or(model.max_num_seqs, |most| most.min(model.max_num_seqs));
                Count::new(seats.saturating_mul(model.replicas)).expect("all are at least 1")
            }
        }
    }

    /// The same upstream, refusing nobody for load.
    #[must_use]
    pub fn unbounded(&self) -> Self {
        match self {
            Self::Station(settings) => Self::Station(StationSettings { places: None, ..settings.clone() }),
            Self::Vllm(model) => {
                let model = VllmModel { max_num_queued_reqs: None, max_num_queued_tokens: None, ..(**model).clone() };
                Self::Vllm(Box::new(model))
            }
        }
    }

    /// The longest prompt and answer together, tokens; a station has no limit.
    #[must_use]
    pub fn context(&self) -> u32 {
        match self {
            Self::Station(_) => u32::MAX,
            Self::Vllm(model) => model.context(),
        }
    }

    /// Whether it is a model of known hardware at the very floor of its costs.
    #[must_use]
    pub fn is_physical_floor(&self) -> bool {
        matches!(self, Self::Vllm(model) if model.speed >= 1.0
            && model.hardware.as_ref().is_some_and(|(llm, gpu)| model.cost == roofline(llm, gpu)))
    }

    /// Standard deviation of the logarithm of a run's speed; 0 for a station.
    #[must_use]
    pub fn speed_sigma(&self) -> f64 {
        match self {
            Self::Station(_) => 0.0,
            Self::Vllm(model) => model.speed_sigma,
        }
    }
}

/// What is protected. The contract of its calls stands in [`io`](super::Call).
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // there is one of these in a run
pub enum Upstream {
    /// A plain service station.
    Station(Station),
    /// vLLM servers.
    Fleet(Fleet),
}

macro_rules! each {
    ($self:ident, $upstream:ident => $call:expr) => {
        match $self {
            Upstream::Station($upstream) => $call,
            Upstream::Fleet($upstream) => $call,
        }
    };
}

impl Upstream {
    /// An empty upstream. `speed` is this run's speed against the model's own (1: as the model says; drawn from its
    /// `speed_sigma`); a station has none.
    #[must_use]
    pub fn new(model: &UpstreamModel, speed: f64, classes: usize) -> Self {
        match model {
            UpstreamModel::Station(settings) => Self::Station(Station::new(settings)),
            UpstreamModel::Vllm(model) => Self::Fleet(Fleet::new(model, speed, classes)),
        }
    }

    /// A call comes in.
    pub fn start(&mut self, now: Time, call: &Call) {
        each!(self, upstream => upstream.start(now, call));
    }

    /// A call is wanted no more.
    pub fn cancel(&mut self, now: Time, call: CallId) {
        each!(self, upstream => upstream.cancel(now, call));
    }

    /// When [`Upstream::advance`] is wanted next, and for what.
    #[must_use]
    pub fn next_event(&self) -> Option<(Time, EventKind)> {
        each!(self, upstream => upstream.next_event())
    }

    /// Does all that is due before `now`, and what is due at `now` up to and including `kind`.
    pub fn advance(&mut self, now: Time, kind: EventKind) {
        each!(self, upstream => upstream.advance(now, kind));
    }

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        each!(self, upstream => upstream.poll())
    }

    /// A look at it, as of the last `now` it was told.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        each!(self, upstream => upstream.gauges())
    }

    /// Sums up to `now`.
    pub fn totals(&mut self, now: Time) -> Totals {
        each!(self, upstream => upstream.totals(now))
    }

    /// Inter-token gaps of the measured calls, by class; none at a station.
    pub fn gaps(&mut self) -> &[Latency] {
        match self {
            Self::Station(_) => &[],
            Self::Fleet(fleet) => fleet.gaps(),
        }
    }
}

//! Any upstream: a station, a fleet or a metered API, by one enum.

use super::{
    Call, EventKind, Fleet, Gauges, ModelError, Output, Setup, Station, StationSettings, TokenApi, TokenApiSettings, Totals,
    UpstreamSettings, VllmModel, roofline,
};
use crate::latency::Latency;
use crate::request::{CallId, RateHeaders};
use crate::time::Time;
use crate::units::Count;

/// An upstream's numbers, complete.
#[derive(Clone, Debug, PartialEq)]
pub enum UpstreamModel {
    /// A plain service station.
    Station(StationSettings),
    /// vLLM servers.
    Vllm(Box<VllmModel>),
    /// A metered API.
    TokenApi(Box<TokenApiSettings>),
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
            UpstreamSettings::TokenApi(settings) => Self::TokenApi(settings.clone()),
        })
    }

    /// Calls that it serves at once: servers, or `max_num_seqs` of all replicas (`max_num_queued_reqs` where that is less:
    /// it counts the running too). `None` at a metered API, which serves any number: no closed loop measures its load 1.0.
    #[must_use]
    pub fn parallelism(&self) -> Option<Count> {
        match self {
            Self::Station(settings) => Some(settings.servers),
            Self::TokenApi(_) => None,
            Self::Vllm(model) => {
                let seats = model.max_num_queued_reqs.map_or(model.max_num_seqs, |most| most.min(model.max_num_seqs));
                Some(Count::new(seats.saturating_mul(model.replicas)).expect("all are at least 1"))
            }
        }
    }

    /// Servers alike, at least 1.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        match self {
            Self::Vllm(model) => model.replicas,
            _ => 1,
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
            Self::TokenApi(settings) => {
                let (tokens_per_minute, requests_per_minute) = (None, None);
                Self::TokenApi(Box::new(TokenApiSettings { tokens_per_minute, requests_per_minute, ..(**settings).clone() }))
            }
        }
    }

    /// The longest prompt and answer together, tokens; the others have no limit.
    #[must_use]
    pub fn context(&self) -> u32 {
        match self {
            Self::Station(_) | Self::TokenApi(_) => u32::MAX,
            Self::Vllm(model) => model.context(),
        }
    }

    /// Whether it is a model of known hardware at the very floor of its costs.
    #[must_use]
    pub fn is_physical_floor(&self) -> bool {
        matches!(self, Self::Vllm(model) if model.speed >= 1.0
            && model.hardware.as_ref().is_some_and(|(llm, gpu)| model.cost == roofline(llm, gpu)))
    }

    /// Standard deviation of the logarithm of a run's speed; 0 for all but vLLM servers.
    #[must_use]
    pub fn speed_sigma(&self) -> f64 {
        match self {
            Self::Station(_) | Self::TokenApi(_) => 0.0,
            Self::Vllm(model) => model.speed_sigma,
        }
    }
}

/// What is protected. The contract of its calls stands in [`io`](super::Call).
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // there is one of these in a run
#[repr(u8)] // a tag of its own: which one it is, is asked ten times a request
pub enum Upstream {
    /// A plain service station.
    Station(Station),
    /// vLLM servers.
    Fleet(Fleet),
    /// A metered API.
    TokenApi(TokenApi),
}

macro_rules! each {
    ($self:ident, $upstream:ident => $call:expr) => {
        match $self {
            Upstream::Station($upstream) => $call,
            Upstream::Fleet($upstream) => $call,
            Upstream::TokenApi($upstream) => $call,
        }
    };
}

impl Upstream {
    /// An empty upstream.
    #[must_use]
    pub fn new(model: &UpstreamModel, setup: &Setup<'_>) -> Self {
        match model {
            UpstreamModel::Station(settings) => Self::Station(Station::new(settings)),
            UpstreamModel::Vllm(model) => Self::Fleet(Fleet::new(model, setup.speed, setup.classes.len())),
            UpstreamModel::TokenApi(settings) => Self::TokenApi(TokenApi::new(settings, setup)),
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
        match self {
            Self::Station(station) => station.totals(now),
            Self::Fleet(fleet) => fleet.totals(now),
            Self::TokenApi(api) => api.totals(),
        }
    }

    /// Whether it bills tokens: then a call's [`CallWork`](super::CallWork) is its usage, which only the upstream knows.
    #[must_use]
    pub const fn bills(&self) -> bool {
        matches!(self, Self::TokenApi(_))
    }

    /// Tokens left in a metered API's limit at `now`, which is not before anything it was told.
    #[must_use]
    pub fn remaining_tokens(&self, now: Time) -> Option<u64> {
        match self {
            Self::TokenApi(api) => api.headers(now).tokens.map(|tokens| tokens.remaining),
            Self::Station(_) | Self::Fleet(_) => None,
        }
    }

    /// What a metered API's answers say in their headers at `now`, which is not before anything it was told; `None` where it
    /// has no limits, and for the others.
    #[must_use]
    pub fn rate_headers(&self, now: Time) -> Option<RateHeaders> {
        let Self::TokenApi(api) = self else { return None };
        Some(api.headers(now)).filter(|headers| *headers != RateHeaders::default())
    }

    /// Inter-token gaps of the measured calls, by class; none at a station or a metered API.
    pub fn gaps(&mut self) -> &[Latency] {
        match self {
            Self::Station(_) | Self::TokenApi(_) => &[],
            Self::Fleet(fleet) => fleet.gaps(),
        }
    }
}

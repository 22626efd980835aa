//! The numbers of any upstream: a station, a fleet or a metered API, by one enum.

use super::{ModelError, StationSettings, TokenApiSettings, UpstreamSettings, VllmModel, roofline};
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

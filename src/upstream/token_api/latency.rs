//! How long one call takes, from its own draws.

use super::settings::{LatencySettings, TokenApiSettings};
use crate::dist::{Dist, SpanDist, standard_normal};
use crate::rng::mix;
use crate::time::Span;
use crate::units::NonNegative;
use crate::upstream::proxy_pool::DRAWS;
use crate::upstream::{Call, Picos};

const DRAW_FIRST: u64 = DRAWS;
const DRAW_SEARCH: u64 = DRAWS + 1;
const DRAW_PACE: u64 = DRAWS + 2;
/// Whether the call fails, and when.
pub(super) const DRAW_ERROR: u64 = DRAWS + 3;
pub(super) const DRAW_ERROR_AFTER: u64 = DRAWS + 4;

const FIRST_TOKEN_DEFAULT: Span = Span::from_millis(500);
const PER_OUTPUT_TOKEN_DEFAULT: Picos = Picos(20_000_000_000);

/// A class's latency, lowered from its settings.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    first_token: SpanDist,
    search: Option<SpanDist>,
    per_input_token: Picos,
    per_output_token: Picos,
    sigma: f64,
}

/// When a call's answer comes, from its admission on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// The first token.
    pub first: Span,
    /// From the first to the last.
    pub rest: Span,
}

impl Latency {
    /// One for each class, by position.
    pub(super) fn all(settings: &TokenApiSettings, classes: &[String]) -> Vec<Self> {
        let own = |name: &String| settings.class_latency.iter().find(|class| class.class == *name);
        let of = |name: &String| own(name).map(|class| class.latency.over(&settings.latency));
        classes.iter().map(|name| Self::new(&of(name).unwrap_or_else(|| settings.latency.clone()))).collect()
    }

    fn new(settings: &LatencySettings) -> Self {
        Self {
            first_token: settings.first_token.clone().unwrap_or(Dist::Fixed { value: FIRST_TOKEN_DEFAULT }),
            search: settings.search.clone(),
            per_input_token: settings.per_input_token.unwrap_or_default(),
            per_output_token: settings.per_output_token.unwrap_or(PER_OUTPUT_TOKEN_DEFAULT),
            sigma: settings.sigma.map_or(0.0, NonNegative::value),
        }
    }

    /// The call's own.
    pub(super) fn pace(&self, call: &Call) -> Pace {
        let sample = |dist: &SpanDist, n| Span::from_secs_f64(dist.sample(mix(call.draw, n)));
        let mut first = sample(&self.first_token, DRAW_FIRST) + times(self.per_input_token, call.input_tokens);
        if let Some(search) = self.search.as_ref().filter(|_| call.profile.grounded) {
            first = first + sample(search, DRAW_SEARCH);
        }
        let rest = times(self.per_output_token, call.output_tokens.saturating_sub(1));
        Pace { first, rest: if self.sigma > 0.0 { rest.scaled(self.spread(call.draw)) } else { rest } }
    }

    /// Lognormal with mean 1.
    fn spread(&self, draw: u64) -> f64 {
        libm::exp(self.sigma * standard_normal(mix(draw, DRAW_PACE)) - self.sigma * self.sigma / 2.0)
    }
}

fn times(cost: Picos, tokens: u32) -> Span {
    let picos = u128::from(cost.0) * u128::from(tokens);
    u64::try_from(picos / 1000).map_or(Span::FOREVER, Span::from_nanos)
}

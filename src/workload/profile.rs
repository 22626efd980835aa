//! What a class asks of a metered API: grounded or not, through which network and from where, and what it really uses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ClassSettings;
use crate::dist::TokenDist;
use crate::request::{Country, Profile, ProxyMode, Request, Vantage};
use crate::rng::{Draws, Purpose, open01};
use crate::units::{Fraction, NonNegative};

/// Shares of the vantage policies in a class, relative to each other.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE")]
pub struct VantageWeights {
    /// The API's own location signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub als_only: Option<NonNegative>,
    /// That and a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub als_plus_proxy: Option<NonNegative>,
    /// A proxy alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_only: Option<NonNegative>,
    /// Neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<NonNegative>,
}

impl VantageWeights {
    /// Each policy with its weight.
    #[must_use]
    pub fn all(&self) -> [(f64, Vantage); 4] {
        let weights = [self.als_only, self.als_plus_proxy, self.proxy_only, self.none];
        std::array::from_fn(|i| (weights[i].map_or(0.0, NonNegative::value), Vantage::ALL[i]))
    }
}

/// Shares of the proxy modes in a class, relative to each other.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyModeWeights {
    /// Another one for each call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotating: Option<NonNegative>,
    /// One of a household.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residential: Option<NonNegative>,
    /// One in a data centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<NonNegative>,
}

impl ProxyModeWeights {
    /// Each mode with its weight.
    #[must_use]
    pub fn all(&self) -> [(f64, ProxyMode); 3] {
        let weights = [self.rotating, self.residential, self.backbone];
        std::array::from_fn(|i| (weights[i].map_or(0.0, NonNegative::value), ProxyMode::ALL[i]))
    }
}

/// The share of a country in a class, relative to the others'.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountrySettings {
    /// Two capital letters.
    pub country: Country,
    /// Default 1.
    #[serde(default = "one")]
    pub weight: NonNegative,
}

fn one() -> NonNegative {
    NonNegative::new(1.0).expect("1 is not negative")
}

/// One of several things, drawn by weight.
#[derive(Clone, Debug)]
enum Choice<T> {
    Always(T),
    /// Sums of the weights up to each one whose weight is not zero.
    Weighted(Vec<(f64, T)>),
}

impl<T: Copy> Choice<T> {
    /// `otherwise` where nothing has a weight.
    fn new(weights: impl IntoIterator<Item = (f64, T)>, otherwise: T) -> Self {
        let mut sum = 0.0;
        let weighted = weights.into_iter().filter(|(weight, _)| *weight > 0.0);
        let sums: Vec<(f64, T)> = weighted
            .map(|(weight, one)| {
                sum += weight;
                (sum, one)
            })
            .collect();
        match sums[..] {
            [] => Self::Always(otherwise),
            [(_, only)] => Self::Always(only),
            _ => Self::Weighted(sums),
        }
    }

    const fn varies(&self) -> bool {
        matches!(self, Self::Weighted(_))
    }

    fn draw(&self, bits: u64) -> T {
        match self {
            Self::Always(one) => *one,
            Self::Weighted(sums) => {
                let (total, last) = *sums.last().expect("there are two at least");
                let at = open01(bits) * total;
                sums.iter().find(|(sum, _)| at < *sum).map_or(last, |(_, one)| *one)
            }
        }
    }
}

/// A class's terms with a metered API, lowered from its settings.
#[derive(Clone, Debug)]
pub(super) struct Asks {
    grounded: f64,
    vantage: Choice<Vantage>,
    country: Choice<Country>,
    proxy_mode: Choice<ProxyMode>,
    usage: Option<Box<TokenDist>>,
    grounded_usage: Option<Box<TokenDist>>,
}

impl Asks {
    /// `None` where a request of the class asks nothing that is not the same for all.
    pub(super) fn new(class: &ClassSettings) -> Option<Box<Self>> {
        let shares = class.vantage_policy.is_some() || class.proxy_mode.is_some() || !class.country.is_empty();
        let ratios = class.usage_ratio.is_some() || class.grounded_usage_ratio.is_some();
        if class.grounded.is_none() && !shares && !ratios {
            return None;
        }
        let usage = class.usage_ratio.clone().map(Box::new);
        let countries = class.country.iter().map(|share| (share.weight.value(), share.country));
        Some(Box::new(Self {
            grounded: class.grounded.map_or(0.0, Fraction::value),
            vantage: Choice::new(class.vantage_policy.unwrap_or_default().all(), Vantage::default()),
            country: Choice::new(countries, Country::default()),
            proxy_mode: Choice::new(class.proxy_mode.unwrap_or_default().all(), ProxyMode::default()),
            grounded_usage: class.grounded_usage_ratio.clone().map(Box::new).or_else(|| usage.clone()),
            usage,
        }))
    }

    /// What varies, and so is drawn.
    pub(super) fn needed(&self) -> [(Purpose, bool); 5] {
        let (never, always) = (self.grounded <= 0.0, self.grounded >= 1.0);
        let drawn = |usage: &Option<Box<TokenDist>>| usage.as_ref().is_some_and(|dist| !dist.is_fixed());
        let usage = (!always && drawn(&self.usage)) || (!never && drawn(&self.grounded_usage));
        [
            (Purpose::Grounded, !never && !always),
            (Purpose::Vantage, self.vantage.varies()),
            (Purpose::Country, self.country.varies()),
            (Purpose::ProxyMode, self.proxy_mode.varies()),
            (Purpose::Usage, usage),
        ]
    }

    #[inline]
    pub(super) fn profile(&self, draws: &Draws) -> Profile {
        Profile {
            grounded: self.grounded > 0.0 && open01(draws.bits(Purpose::Grounded)) < self.grounded,
            vantage: self.vantage.draw(draws.bits(Purpose::Vantage)),
            country: self.country.draw(draws.bits(Purpose::Country)),
            proxy_mode: self.proxy_mode.draw(draws.bits(Purpose::ProxyMode)),
        }
    }

    /// What the whole call really uses, tokens: its ratio times what one would estimate; without a ratio prompt and answer.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    pub(super) fn usage(&self, request: &Request, draws: &Draws) -> u32 {
        let ratio = if request.profile.grounded { &self.grounded_usage } else { &self.usage };
        let Some(ratio) = ratio else { return request.input_tokens.saturating_add(request.output_tokens) };
        let estimate = f64::from(request.input_estimate) + f64::from(request.max_tokens);
        (libm::round(estimate * ratio.sample(draws.bits(Purpose::Usage))) as u32).max(1)
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;

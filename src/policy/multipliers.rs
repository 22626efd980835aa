//! Adaptive multipliers (seed 002, section 1): how many tokens a class of calls uses for each token of its estimate.
//!
//! A class is a call's (grounded, vantage policy). Its multiplier is a pure function of the settings and of the ratios that
//! are remembered: fewer than `min_samples` of them, and it is the class's prior; else their 90th percentile, by one of
//! two rules for `n` sorted ratios:
//!
//! - `seed`: number `int(0.9 n)`, counted from zero. Of 20 that is the 19th smallest, of 10 the largest.
//! - `nearest_rank`: number `ceil(0.9 n)`, counted from one (Hyndman and Fan, "Sample quantiles in statistical packages",
//!   The American Statistician 50:4, 1996, definition 1). Of 20 that is the 18th smallest, of 10 the 9th.
//!
//! Either way it is kept between `multiplier_min` and `multiplier_max`; where these contradict each other, the
//! latter holds.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::settings::{Limiter, P90};
use super::state::bounds;
use crate::request::Profile;
use crate::time::{Span, Time};

/// Ratios for which there is room from the start. More than the seed's 20 are rare; room for them is made once.
const ROOM: usize = 64;

/// The multipliers of all classes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Multipliers {
    rules: Rules,
    classes: [Class; Profile::KINDS],
}

/// How ratios become a multiplier.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
struct Rules {
    p90: P90,
    samples: usize,
    min_samples: usize,
    max_age: Option<Span>,
    /// Smallest and largest multiplier.
    #[serde(with = "bounds")]
    bounds: (f64, f64),
}

/// One class and what it has seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Class {
    prior: f64,
    /// Whether the settings name its prior.
    known: bool,
    learns: bool,
    /// Oldest first.
    ratios: VecDeque<(Time, f64)>,
    p90: Quantile,
    current: f64,
}

/// One of the ratios, by how many are smaller. It moves only when a ratio goes from one side of it to the other; then the
/// next one is looked for among all.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
struct Quantile {
    value: f64,
    /// How many are smaller.
    below: usize,
    /// How many are as large.
    equal: usize,
    /// The place, counted from zero, at which it was last looked for.
    place: usize,
}

impl Multipliers {
    /// Every class at its prior.
    pub fn new(settings: &Limiter) -> Self {
        let room = ROOM.min(settings.samples.value() as usize + 1);
        let class = |_| Class { ratios: VecDeque::with_capacity(room), ..Class::default() };
        let mut new = Self { rules: Rules::of(settings), classes: std::array::from_fn(class) };
        new.reconfigure(settings);
        new
    }

    /// New rules for the ratios that are remembered.
    pub fn reconfigure(&mut self, settings: &Limiter) {
        self.rules = Rules::of(settings);
        for (index, class) in self.classes.iter_mut().enumerate() {
            let named = settings.priors.iter().rfind(|prior| {
                Profile { grounded: prior.grounded, vantage: prior.vantage_policy, ..Profile::default() }.kind() == index
            });
            class.known = named.is_some();
            class.learns = class.known || settings.unknown_learns;
            class.prior = named.map_or(settings.unknown_prior, |prior| prior.multiplier).value();
            class.keep_latest(self.rules.samples);
            class.update(&self.rules);
        }
    }

    /// The multiplier of a class, as of the latest [`learn`](Self::learn) or [`forget`](Self::forget).
    pub const fn of(&self, class: usize) -> f64 {
        self.classes[class].current
    }

    /// What it is before anything is learned.
    #[cfg(test)]
    pub fn prior(&self, class: usize) -> f64 {
        self.rules.bounded(self.classes[class].prior)
    }

    /// Whether the settings name the class's prior.
    #[cfg(test)]
    pub const fn is_known(&self, class: usize) -> bool {
        self.classes[class].known
    }

    /// A call of the class used `ratio` times its estimate. What is no finite number of at least 0 teaches nothing: an
    /// estimate of 0 says nothing about ratios (the seed divides by zero there).
    pub fn learn(&mut self, now: Time, class: usize, ratio: f64) {
        let class = &mut self.classes[class];
        let says_something = ratio.is_finite() && ratio >= 0.0;
        if !(class.learns && says_something) {
            return;
        }
        let before = class.ratios.len();
        class.push(now, ratio, self.rules.samples);
        if let Some(max_age) = self.rules.max_age {
            class.keep_younger(now, max_age);
        }
        if class.ratios.len() != before || !class.p90.is_in_place() {
            class.update(&self.rules); // of as many ratios as before the same place is asked for
        }
    }

    /// Whether ratios grow too old.
    pub const fn forgets(&self) -> bool {
        self.rules.max_age.is_some()
    }

    /// Forgets what has grown too old about a class: too few ratios, and it is back at its prior.
    #[inline]
    pub fn forget(&mut self, now: Time, class: usize) {
        let Some(max_age) = self.rules.max_age else { return };
        let class = &mut self.classes[class];
        if class.keep_younger(now, max_age) {
            class.update(&self.rules);
        }
    }
}

impl Rules {
    fn of(settings: &Limiter) -> Self {
        Self {
            p90: settings.p90,
            samples: settings.samples.value() as usize,
            min_samples: settings.min_samples.value() as usize,
            max_age: settings.max_age,
            bounds: (
                settings.multiplier_min.map_or(0.0, crate::units::Positive::value),
                settings.multiplier_max.map_or(f64::INFINITY, crate::units::Positive::value),
            ),
        }
    }

    fn bounded(&self, multiplier: f64) -> f64 {
        multiplier.max(self.bounds.0).min(self.bounds.1)
    }
}

impl Class {
    /// One more, of the latest `samples`: there are not more of them.
    fn push(&mut self, now: Time, ratio: f64, samples: usize) {
        if self.ratios.len() >= samples {
            self.drop_oldest();
        }
        self.ratios.push_back((now, ratio));
        self.p90.below += usize::from(ratio < self.p90.value);
        self.p90.equal += usize::from(is_same(ratio, self.p90.value));
    }

    fn drop_oldest(&mut self) {
        let (_, ratio) = self.ratios.pop_front().expect("only called where there is one");
        self.p90.below -= usize::from(ratio < self.p90.value);
        self.p90.equal -= usize::from(is_same(ratio, self.p90.value));
    }

    fn keep_latest(&mut self, samples: usize) {
        while self.ratios.len() > samples {
            self.drop_oldest();
        }
    }

    /// Whether anything was too old.
    #[inline(never)] // few settings have one
    fn keep_younger(&mut self, now: Time, max_age: Span) -> bool {
        let before = self.ratios.len();
        while self.ratios.front().is_some_and(|(at, _)| now - *at > max_age) {
            self.drop_oldest();
        }
        self.ratios.len() < before
    }

    #[inline(never)] // most ratios move nothing
    fn update(&mut self, rules: &Rules) {
        let n = self.ratios.len();
        let learned = self.learns && n > 0 && n >= rules.min_samples;
        if learned {
            self.p90.place = p90_index(rules.p90, n);
            self.p90.seek(&self.ratios);
        }
        self.current = rules.bounded(if learned { self.p90.value } else { self.prior });
    }
}

impl Quantile {
    /// Whether it is the ratio at its place among the sorted ones.
    fn is_in_place(&self) -> bool {
        self.below <= self.place && self.place - self.below < self.equal
    }

    /// Goes to its place.
    fn seek(&mut self, ratios: &VecDeque<(Time, f64)>) {
        let ratios = || ratios.iter().map(|(_, ratio)| *ratio);
        let count = |value: f64| ratios().filter(|ratio| is_same(*ratio, value)).count();
        while self.place < self.below {
            self.value = ratios().filter(|ratio| *ratio < self.value).fold(f64::NEG_INFINITY, f64::max);
            self.equal = count(self.value);
            self.below -= self.equal;
        }
        while self.place >= self.below + self.equal {
            self.below += self.equal;
            self.value = ratios().filter(|ratio| *ratio > self.value).fold(f64::INFINITY, f64::min);
            self.equal = count(self.value);
        }
    }
}

#[allow(clippy::float_cmp)] // one of the ratios is compared with them all: it is the very same number, or another
fn is_same(ratio: f64, other: f64) -> bool {
    ratio == other
}

/// Place of the 90th percentile among `n` sorted values, counted from zero; `n` is at least 1.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to `n`
fn p90_index(rule: P90, n: usize) -> usize {
    match rule {
        P90::Seed => (n as f64 * 0.9) as usize, // in floating point, as the seed's int(len * 0.9)
        P90::NearestRank => (9 * n).div_ceil(10) - 1,
    }
}

#[cfg(test)]
#[path = "multipliers_tests.rs"]
mod tests;

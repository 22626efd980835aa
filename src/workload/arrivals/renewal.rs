//! Renewal processes: independent gaps of mean 1 in operational time, mapped through the rate.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::{Arrival, RateClock};
use crate::dist::{Sequence, standard_exponential, standard_gamma};

/// The distribution of the gaps, mean 1.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Gaps {
    /// All the same; the first arrival is at time zero.
    Constant,
    /// Exponential: Poisson arrivals.
    Exponential,
    /// Gamma of this shape: vLLM's `--burstiness`.
    Gamma {
        /// Shape, above 0.
        shape: f64,
    },
    /// Weibull.
    Weibull {
        /// One over the shape.
        power: f64,
        /// What brings the mean to 1.
        scale: f64,
    },
}

impl Gaps {
    /// Gamma gaps; of shape 1 they are exponential, drawn the same as Poisson's.
    #[must_use]
    pub fn gamma(shape: f64) -> Self {
        if is_one(shape) { Self::Exponential } else { Self::Gamma { shape } }
    }

    /// Weibull gaps; of shape 1 they are exponential, drawn the same as Poisson's.
    #[must_use]
    pub fn weibull(shape: f64) -> Self {
        if is_one(shape) {
            return Self::Exponential;
        }
        let power = 1.0 / shape;
        Self::Weibull { power, scale: 1.0 / libm::tgamma(1.0 + power) }
    }

    fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Exponential => standard_exponential(rng.next_u64()),
            Self::Gamma { shape } => standard_gamma(shape, &mut Sequence::new(rng.next_u64())) / shape,
            Self::Weibull { power, scale } => scale * libm::pow(standard_exponential(rng.next_u64()), power),
        }
    }
}

fn is_one(shape: f64) -> bool {
    (shape - 1.0).abs() < f64::EPSILON
}

/// A renewal process.
#[derive(Debug)]
pub struct Renewal {
    gaps: Gaps,
    clock: RateClock,
    rng: ChaCha8Rng,
    number: u64,
}

impl Renewal {
    /// Before its first arrival.
    #[must_use]
    pub const fn new(gaps: Gaps, clock: RateClock, rng: ChaCha8Rng) -> Self {
        Self { gaps, clock, rng, number: 0 }
    }

    /// The next arrival; `None` from the end of the run on.
    pub fn next(&mut self) -> Option<Arrival> {
        let at_once = self.gaps == Gaps::Constant && self.number == 0;
        let gap = if at_once { 0.0 } else { self.gaps.draw(&mut self.rng) };
        let at = self.clock.advance(gap)?;
        let number = self.number;
        self.number += 1;
        Some(Arrival { at, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;
    use crate::time::Span;
    use crate::workload::settings::RateSettings;

    fn process(gaps: Gaps, rate: f64, secs: u64) -> Renewal {
        let clock = RateClock::new(&RateSettings::default(), rate, Span::from_secs(secs));
        Renewal::new(gaps, clock, Streams::new(3, 0).named("arrivals/test"))
    }

    /// Mean and squared coefficient of variation of the gaps.
    fn moments(gaps: Gaps) -> (f64, f64) {
        let mut process = process(gaps, 4.0, 100_000);
        let times: Vec<f64> = std::iter::from_fn(|| process.next()).map(|arrival| arrival.at.as_secs_f64()).collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64;
        (mean, variance / (mean * mean))
    }

    #[test]
    fn gaps_have_the_moments_of_their_distribution() {
        let weibull = |shape: f64| libm::tgamma(1.0 + 2.0 / shape) / libm::pow(libm::tgamma(1.0 + 1.0 / shape), 2.0) - 1.0;
        for (gaps, scv) in [
            (Gaps::Exponential, 1.0),
            (Gaps::gamma(0.25), 4.0),
            (Gaps::gamma(3.0), 1.0 / 3.0),
            (Gaps::weibull(0.7), weibull(0.7)),
            (Gaps::weibull(2.0), weibull(2.0)),
        ] {
            let (mean, measured) = moments(gaps);
            assert!((mean - 0.25).abs() < 0.25 * 0.015, "{gaps:?}: mean {mean}");
            assert!((measured / scv - 1.0).abs() < 0.03, "{gaps:?}: scv {measured}, not {scv}");
        }
    }

    #[test]
    fn burstiness_one_is_poisson_arrival_for_arrival() {
        let run = |gaps| {
            let mut process = process(gaps, 10.0, 100);
            std::iter::from_fn(move || process.next()).collect::<Vec<_>>()
        };
        let poisson = run(Gaps::Exponential);
        assert!(poisson.len() > 900 && poisson == run(Gaps::gamma(1.0)) && poisson == run(Gaps::weibull(1.0)));
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_from_zero_on() {
        let mut process = process(Gaps::Constant, 8.0, 1);
        let times: Vec<u64> = std::iter::from_fn(|| process.next()).map(|arrival| arrival.at.as_nanos()).collect();
        assert_eq!(times, (0..8).map(|i| i * 125_000_000).collect::<Vec<_>>());
    }
}

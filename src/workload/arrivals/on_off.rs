//! On/off arrivals: a two-state Markov-modulated Poisson process (Fischer and Meier-Hellstern, "The Markov-modulated Poisson
//! process cookbook", Performance Evaluation 18:2, 1993).
//!
//! It starts in its stationary state: on with probability `mean_on / (mean_on + mean_off)`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::{Arrival, before};
use crate::dist::standard_exponential;
use crate::rng::open01;
use crate::time::Span;

/// A two-state Markov-modulated Poisson process.
#[derive(Debug)]
pub struct OnOff {
    /// Requests a second and mean length in seconds, on and off.
    states: [(f64, f64); 2],
    state: usize,
    /// When the state changes, seconds.
    until: f64,
    /// Seconds.
    at: f64,
    end: Span,
    end_s: f64,
    rng: ChaCha8Rng,
    number: u64,
}

impl OnOff {
    /// At time zero; `states` are the rate and mean length of the on and the off state.
    #[must_use]
    pub fn new(states: [(f64, Span); 2], end: Span, mut rng: ChaCha8Rng) -> Self {
        let states = states.map(|(rate, mean)| (rate, mean.as_secs_f64()));
        let share_on = states[0].1 / (states[0].1 + states[1].1);
        let state = usize::from(open01(rng.next_u64()) >= share_on);
        let until = states[state].1 * standard_exponential(rng.next_u64());
        Self { states, state, until, at: 0.0, end, end_s: end.as_secs_f64(), rng, number: 0 }
    }

    /// The next arrival; `None` from the end of the run on.
    pub fn next(&mut self) -> Option<Arrival> {
        let mut left = standard_exponential(self.rng.next_u64());
        loop {
            let (rate, _) = self.states[self.state];
            let holds = rate * (self.until - self.at);
            if left < holds {
                self.at += left / rate;
                break;
            }
            left -= holds;
            if self.until >= self.end_s {
                return None;
            }
            self.change();
        }
        let at = before(self.at, self.end)?;
        let number = self.number;
        self.number += 1;
        Some(Arrival { at, number })
    }

    fn change(&mut self) {
        self.at = self.until;
        self.state = 1 - self.state;
        self.until += self.states[self.state].1 * standard_exponential(self.rng.next_u64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;

    fn times(states: [(f64, Span); 2], secs: u64) -> Vec<f64> {
        let mut process = OnOff::new(states, Span::from_secs(secs), Streams::new(11, 0).named("arrivals/test"));
        std::iter::from_fn(|| process.next()).map(|arrival| arrival.at.as_secs_f64()).collect()
    }

    /// Mean rate and index of dispersion of counts over long bins, against the closed forms of the interrupted process.
    #[test]
    fn it_has_the_rate_and_dispersion_of_theory() {
        let (on, off, rate) = (2.0, 3.0, 20.0);
        let secs = 400_000;
        let times = times([(rate, Span::from_secs(2)), (0.0, Span::from_secs(3))], secs);
        let mean = rate * on / (on + off);
        assert!((times.len() as f64 / secs as f64 / mean - 1.0).abs() < 0.01);
        let bin = 200.0;
        let mut counts: Vec<f64> = (1..=2_000).map(|i| times.partition_point(|t| *t < bin * f64::from(i)) as f64).collect();
        (1..2_000).rev().for_each(|i| counts[i] -= counts[i - 1]);
        let average = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|n| (n - average) * (n - average)).sum::<f64>() / counts.len() as f64;
        // I(t) = 1 + 2 p_on p_off rate^2 / (mean decay) * (1 - (1 - e^-dt) / (d t)), decay d = 1/on + 1/off
        let (p_on, decay) = (on / (on + off), 1.0 / on + 1.0 / off);
        let growth = 1.0 - (1.0 - libm::exp(-decay * bin)) / (decay * bin);
        let index = 1.0 + 2.0 * p_on * (1.0 - p_on) * rate * rate / (mean * decay) * growth;
        assert!((variance / average / index - 1.0).abs() < 0.1, "{} not {index}", variance / average);
    }

    #[test]
    fn equal_rates_are_a_poisson_process() {
        let times = times([(5.0, Span::from_secs(1)), (5.0, Span::from_secs(1))], 100_000);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 0.2).abs() < 0.002 && (variance / (mean * mean) - 1.0).abs() < 0.02);
    }
}

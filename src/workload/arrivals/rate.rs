//! A rate that changes, and the time change that turns a process of unit rate into one of that rate.
//!
//! Let `R(t)` be the integral of the rate from 0 to `t`. If a process has arrivals at `s_1, s_2, ...` in *operational* time,
//! its arrivals in real time are `R^-1(s_i)` (Çinlar, "Introduction to stochastic processes", 1975, section 4.7, for the
//! Poisson process; Gerhardt and Nelson, "Transforming renewal processes for simulation of nonstationary arrival processes",
//! INFORMS J. Computing 21:4, 2009, for renewal processes). Steps and spikes make `R` piecewise linear, inverted in closed
//! form; a sine is inverted by Newton's method inside a bracket that each iteration narrows, with `libm`, so that the same
//! bits come out everywhere.

use std::f64::consts::TAU;

use crate::time::{Span, Time};
use crate::workload::settings::{RateSettings, SineSettings};

/// Newton iterations at most; bisection alone would need about this many to the last bit.
const ITERATIONS_MAX: u32 = 100;

/// Precision of the inverse, seconds: well below the clock's nanosecond.
const PRECISION_S: f64 = 1e-11;

/// A stretch of time in which steps and spikes do not change.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Piece {
    /// End, seconds.
    until: f64,
    /// Requests a second, before the sine.
    rate: f64,
}

/// A hand that moves through operational time and shows real time.
#[derive(Clone, Debug)]
pub struct RateClock {
    pieces: Vec<Piece>,
    piece: usize,
    /// Real time, seconds.
    at: f64,
    sine: Option<Sine>,
    end: Span,
}

impl RateClock {
    /// At time zero; `rate` in requests a second; shows nothing at or after `end`.
    #[must_use]
    pub fn new(settings: &RateSettings, rate: f64, end: Span) -> Self {
        let sine = settings.sine.filter(|sine| sine.amplitude.value() > 0.0).map(Sine::new);
        Self { pieces: pieces(settings, rate, end), piece: 0, at: 0.0, sine, end }
    }

    /// Moves on by `operational` units (one is the mean distance between two arrivals) and shows the real time; `None`
    /// where that is not before the end.
    pub fn advance(&mut self, operational: f64) -> Option<Time> {
        let mut left = operational;
        while let Some(&Piece { until, rate }) = self.pieces.get(self.piece) {
            let near = self.sine.is_some_and(|sine| rate > 0.0 && sine.bound(self.at, left / rate) <= until);
            let holds = if near { f64::INFINITY } else { rate * self.measure(until) }; // spares the sine where it can
            if left < holds {
                self.at = self.invert(left / rate, until);
                return super::before(self.at, self.end);
            }
            left -= holds;
            self.at = until;
            self.piece += 1;
        }
        None
    }

    /// The integral of the sine's factor (1 without one) from now to `to`.
    fn measure(&self, to: f64) -> f64 {
        self.sine.map_or(to - self.at, |sine| sine.integral(self.at, to))
    }

    /// The time by which the factor's integral from now has grown to `area`; not after `until`.
    fn invert(&self, area: f64, until: f64) -> f64 {
        match self.sine {
            None => (self.at + area).min(until),
            Some(sine) => sine.invert(self.at, area, until),
        }
    }
}

/// The factor `1 + amplitude * sin(2 pi t / period)`.
#[derive(Copy, Clone, Debug)]
struct Sine {
    amplitude: f64,
    period: f64,
}

impl Sine {
    fn new(settings: SineSettings) -> Self {
        Self { amplitude: settings.amplitude.value(), period: settings.period.as_secs_f64() }
    }

    fn factor(self, at: f64) -> f64 {
        1.0 + self.amplitude * libm::sin(TAU * (at / self.period))
    }

    fn integral(self, from: f64, to: f64) -> f64 {
        self.integral_after(self.cosine(from), from, to)
    }

    /// The same where the cosine at `from` is known.
    fn integral_after(self, cosine: f64, from: f64, to: f64) -> f64 {
        (to - from) + self.amplitude * self.period / TAU * (cosine - self.cosine(to))
    }

    fn cosine(self, at: f64) -> f64 {
        libm::cos(TAU * libm::fmod(at / self.period, 1.0))
    }

    /// A time by which the integral from `from` has reached `area`: any whole period holds one period's worth.
    fn bound(self, from: f64, area: f64) -> f64 {
        from + (libm::floor(area / self.period) + 1.0) * self.period
    }

    /// The root of `integral(from, t) = area` in `t`, between `from` and `until`.
    fn invert(self, from: f64, area: f64, until: f64) -> f64 {
        let cosine = self.cosine(from);
        let mut low = from + area / (1.0 + self.amplitude);
        let mut high = self.bound(from, area).min(until).max(low);
        let mut at = (from + area / self.factor(from).max(1.0 - self.amplitude).max(0.01)).clamp(low, high);
        for _ in 0..ITERATIONS_MAX {
            let miss = self.integral_after(cosine, from, at) - area;
            if miss > 0.0 {
                high = at;
            } else {
                low = at;
            }
            let newton = at - miss / self.factor(at); // a zero factor gives infinity or NaN: not inside the bracket
            let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
            let moved = (next - at).abs();
            at = next;
            if moved < PRECISION_S || high - low < PRECISION_S {
                break;
            }
        }
        at
    }
}

/// The stretches between the times at which a step or a spike begins or ends, up to `end`.
fn pieces(settings: &RateSettings, rate: f64, end: Span) -> Vec<Piece> {
    let spikes = settings.spikes.iter().flat_map(|spike| [spike.at, spike.at + spike.lasting]);
    let mut edges: Vec<Span> = settings.steps.iter().map(|step| step.at).chain(spikes).chain([Span::ZERO]).collect();
    edges.retain(|edge| *edge < end);
    edges.push(end);
    edges.sort_unstable();
    edges.dedup();
    let piece = |pair: &[Span]| Piece { until: pair[1].as_secs_f64(), rate: rate * factor(settings, pair[0]) };
    edges.windows(2).map(piece).collect()
}

/// The last step's factor times those of all spikes that hold at `at`.
fn factor(settings: &RateSettings, at: Span) -> f64 {
    let step = settings.steps.iter().rfind(|step| step.at <= at).map_or(1.0, |step| step.factor.value());
    let holding = settings.spikes.iter().filter(|spike| spike.at <= at && at < spike.at + spike.lasting);
    holding.fold(step, |factor, spike| factor * spike.factor.value())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::{Fraction, NonNegative};
    use crate::workload::settings::{SpikeSettings, StepSettings};

    fn step(at: u64, factor: f64) -> StepSettings {
        StepSettings { at: Span::from_secs(at), factor: NonNegative::new(factor).unwrap() }
    }

    fn spike(at: u64, lasting: u64, factor: f64) -> SpikeSettings {
        let factor = NonNegative::new(factor).unwrap();
        SpikeSettings { at: Span::from_secs(at), lasting: Span::from_secs(lasting), factor }
    }

    fn sine(amplitude: f64, period: u64) -> SineSettings {
        SineSettings { amplitude: Fraction::new(amplitude).unwrap(), period: Span::from_secs(period) }
    }

    fn times(settings: &RateSettings, rate: f64, end: u64, gap: f64) -> Vec<f64> {
        let mut clock = RateClock::new(settings, rate, Span::from_secs(end));
        std::iter::from_fn(|| clock.advance(gap)).map(Time::as_secs_f64).collect()
    }

    /// 2/s, from 10 s on nothing, from 20 s on 4/s, five times that from 25 s for 1 s.
    #[test]
    fn steps_and_spikes_by_hand() {
        let settings = RateSettings {
            steps: vec![step(10, 0.0), step(20, 2.0)],
            spikes: vec![spike(25, 1, 5.0)],
            ..RateSettings::default()
        };
        // R: 20 at 10 s, 20 at 20 s, 40 at 25 s, 60 at 26 s.
        assert_eq!(times(&settings, 2.0, 30, 10.0), [5.0, 20.0, 22.5, 25.0, 25.5, 26.0, 28.5]);
    }

    #[test]
    fn overlapping_spikes_multiply() {
        let settings = RateSettings { spikes: vec![spike(0, 4, 2.0), spike(2, 4, 3.0)], ..RateSettings::default() };
        // R: 4 at 2 s, 16 at 4 s, 22 at 6 s, 23 at 7 s.
        assert_eq!(times(&settings, 1.0, 7, 4.0), [2.0, 2.666_666_667, 3.333_333_333, 4.0, 5.333_333_333]);
    }

    #[test]
    fn a_rate_of_zero_to_the_end_shows_nothing_more() {
        let settings = RateSettings { steps: vec![step(1, 0.0)], ..RateSettings::default() };
        assert_eq!(times(&settings, 10.0, 100, 4.0), [0.4, 0.8]);
    }

    proptest! {
        /// Against the definition: the integral of the rate up to the shown time is the operational time.
        #[test]
        fn the_time_change_is_exact(
            amplitude in 0.0f64..=1.0,
            period in 1u64..500,
            rate in 0.01f64..300.0,
            gaps in prop::collection::vec(0.0f64..20.0, 1..60),
            change in 1u64..40,
            by in 0.0f64..4.0,
        ) {
            let settings = RateSettings { sine: Some(sine(amplitude, period)), steps: vec![step(change, by)], ..RateSettings::default() };
            let end = 1_000;
            let mut clock = RateClock::new(&settings, rate, Span::from_secs(end));
            let curve = Sine { amplitude, period: period as f64 };
            let integral = |t: f64| {
                let change = change as f64;
                rate * (curve.integral(0.0, t.min(change)) + if t > change { by * curve.integral(change, t) } else { 0.0 })
            };
            let (mut operational, mut last) = (0.0, Time::ZERO);
            for gap in gaps {
                operational += gap;
                let Some(at) = clock.advance(gap) else {
                    prop_assert!(integral(end as f64) <= operational + 1e-6 * rate.max(1.0));
                    break;
                };
                prop_assert!(at >= last);
                last = at;
                let shown = integral(at.as_secs_f64());
                // A nanosecond's rounding at the highest rate, and sums of many floats.
                prop_assert!((shown - operational).abs() < 1e-6 * rate.max(1.0), "{} shown for {}", shown, operational);
            }
        }
    }

    /// One hour at a mean of 50/s, swinging from 0 to 100: as many as the integral says, and half of a period's in its peak.
    #[test]
    fn a_sine_keeps_its_mean() {
        let settings = RateSettings { sine: Some(sine(1.0, 60)), ..RateSettings::default() };
        let times = times(&settings, 50.0, 3_600, 1.0);
        assert!(times.len().abs_diff(180_000) <= 1, "{}", times.len());
        let rising = times.iter().filter(|t| **t % 60.0 < 30.0).count() as f64;
        assert!((rising / 180_000.0 - (0.5 + 1.0 / std::f64::consts::PI)).abs() < 1e-3);
    }
}

//! What some replications of one candidate show: each objective and each constraint with its interval.

use serde::Serialize;

use crate::stats::{Interval, student_t, variance};
use crate::tune::{Evaluator, Id};

/// Confidence of every interval that a person is shown.
pub const LEVEL: f64 = 0.95;

/// A mean with its interval.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The mean over the replications that show it.
    pub mean: f64,
    /// Its t-interval at [`LEVEL`]; `None` with fewer than two, and where all are the same: what did not vary says nothing of
    /// how much it might.
    pub interval: Option<Interval>,
}

/// Which replications, and how long each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// The first one's number.
    pub from: u32,
    /// How many.
    pub count: u32,
    /// With which part of the full simulated time.
    pub share: f64,
}

impl Series {
    /// Their numbers.
    #[must_use]
    pub const fn replications(&self) -> std::ops::Range<u32> {
        self.from..self.from + self.count
    }
}

/// A candidate's values over a series, replication by replication.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// For each objective its values; `None` where a replication does not show it, for then the others do not speak for it.
    pub objectives: Vec<Option<Vec<f64>>>,
    /// For each constraint its values where replications show them.
    pub constraints: Vec<Vec<f64>>,
    /// What decides between equals, where every replication shows it.
    pub second: Option<Vec<f64>>,
}

impl Measured {
    /// What `evaluator` has seen of `candidate` over `series`, all of which must have been run.
    #[must_use]
    pub fn of(evaluator: &Evaluator<'_>, candidate: Id, series: &Series) -> Self {
        let mut objectives: Vec<Option<Vec<f64>>> = Vec::new();
        let mut constraints: Vec<Vec<f64>> = Vec::new();
        let mut second = Some(Vec::with_capacity(series.count as usize));
        for replication in series.replications() {
            let seen = evaluator.seen(candidate, replication, series.share).expect("the series has been run");
            objectives.resize(seen.objectives.len(), Some(Vec::with_capacity(series.count as usize)));
            constraints.resize(seen.constraints.len(), Vec::new());
            for (values, value) in objectives.iter_mut().zip(&seen.objectives) {
                match value {
                    Some(value) => values.iter_mut().for_each(|values| values.push(*value)),
                    None => *values = None,
                }
            }
            for (values, value) in constraints.iter_mut().zip(&seen.constraints) {
                values.extend(value);
            }
            second = second.zip(seen.second).map(|(mut values, value)| {
                values.push(value);
                values
            });
        }
        Self { objectives, constraints, second }
    }

    /// Mean of the first objective and, for equals, of what decides between them.
    #[must_use]
    pub fn merit(&self) -> Option<(f64, f64)> {
        Some((self.mean(0)?, self.second.as_deref().and_then(crate::stats::mean).unwrap_or(0.0)))
    }

    /// Whether both were the same in every replication: the first objective, and what decides between equals.
    #[must_use]
    pub fn ties(&self, other: &Self) -> bool {
        let (Some(Some(one)), Some(Some(two))) = (self.objectives.first(), other.objectives.first()) else { return false };
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.total_cmp(b).is_eq());
        let seconds = self.second.as_ref().zip(other.second.as_ref());
        same(one, two) && seconds.is_none_or(|(one, two)| same(one, two))
    }

    /// Mean of objective number `k`.
    #[must_use]
    pub fn mean(&self, k: usize) -> Option<f64> {
        crate::stats::mean(self.objectives.get(k)?.as_ref()?)
    }

    /// The means of all objectives; `None` where one was not measured.
    #[must_use]
    pub fn means(&self) -> Option<Vec<f64>> {
        (0..self.objectives.len()).map(|k| self.mean(k)).collect()
    }

    /// Mean slack of constraint number `k`.
    #[must_use]
    pub fn slack(&self, k: usize) -> Option<f64> {
        crate::stats::mean(self.constraints.get(k)?)
    }

    /// Whether every constraint holds on average and is shown at all.
    #[must_use]
    pub fn holds(&self) -> bool {
        (0..self.constraints.len()).all(|k| self.slack(k).is_some_and(|slack| slack >= 0.0))
    }

    /// The objectives as figures.
    #[must_use]
    pub fn objective_figures(&self) -> Vec<Option<Figure>> {
        self.objectives.iter().map(|values| figure(values.as_deref()?)).collect()
    }

    /// The constraints' slacks as figures.
    #[must_use]
    pub fn constraint_figures(&self) -> Vec<Option<Figure>> {
        self.constraints.iter().map(|values| figure(values)).collect()
    }
}

impl Figure {
    /// Whether it lies below 0 for all that was measured: its whole interval or, without one, its mean.
    #[must_use]
    pub fn is_below_zero(self) -> bool {
        self.interval.map_or(self.mean, |interval| interval.hi) < 0.0
    }

    /// Whether it lies above 0 for all that was measured.
    #[must_use]
    pub fn is_above_zero(self) -> bool {
        self.interval.map_or(self.mean, |interval| interval.lo) > 0.0
    }
}

/// Whether a constraint is broken, by its slack: it was not shown, it lies below 0 by its whole interval, or its mean lies further
/// below than `tolerance`, within which inside and outside are not told apart.
#[must_use]
pub fn is_broken(slack: Option<Figure>, tolerance: f64) -> bool {
    slack.is_none_or(|slack| slack.is_below_zero() || slack.mean < -tolerance)
}

/// Whether every constraint holds on average, by its slack; one that was not shown does not.
#[must_use]
pub fn hold(slacks: &[Option<Figure>]) -> bool {
    slacks.iter().all(|slack| slack.is_some_and(|slack| slack.mean >= 0.0))
}

/// The mean of `values` with its interval; `None` without any.
#[must_use]
pub fn figure(values: &[f64]) -> Option<Figure> {
    figure_at(values, LEVEL)
}

/// Share of a value below which two are the same.
const DUST: f64 = 1e-12;

/// The same with an interval at another level.
pub(super) fn figure_at(values: &[f64], level: f64) -> Option<Figure> {
    let mean = crate::stats::mean(values)?;
    // What sums of floats leave behind is no variation.
    let dust = DUST * values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let varies = values.iter().any(|value| (value - values[0]).abs() > dust);
    let interval = half_width(values, level).filter(|_| varies).map(|half| Interval::around(mean, half));
    Some(Figure { mean, interval })
}

/// Half the width of the two-sided t-interval of the mean at `level`; `None` with fewer than two values.
pub(super) fn half_width(values: &[f64], level: f64) -> Option<f64> {
    let variance = variance(values)?;
    let n = values.len();
    Some(if variance > 0.0 { student_t(level, n - 1) * (variance / n as f64).sqrt() } else { 0.0 })
}

/// Which of two merits is the better one, the first objective first.
pub(super) fn by_merit(a: (f64, f64), b: (f64, f64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

/// `a - b`, replication by replication.
pub(super) fn paired(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_varies_has_no_interval() {
        let same = figure(&[0.1; 30]).unwrap();
        assert!((same.mean - 0.1).abs() < 1e-15 && same.interval.is_none());
        assert!(same.is_above_zero() && !same.is_below_zero());
        let varied = figure(&[0.1, 0.1, -0.3]).unwrap();
        assert!(varied.interval.is_some() && !varied.is_above_zero() && !varied.is_below_zero());
        assert_eq!(figure(&[]), None);
    }

    #[test]
    fn what_is_not_shown_does_not_hold() {
        let slack = |mean| Some(Figure { mean, interval: None });
        assert!(hold(&[]) && hold(&[slack(0.0), slack(2.0)]));
        assert!(!hold(&[slack(1.0), slack(-0.1)]) && !hold(&[slack(1.0), None]));
    }
}

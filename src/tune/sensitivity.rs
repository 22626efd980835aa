//! Which parameters matter: Sobol indices over the whole space.
//!
//! The *first-order* index of a parameter is the part of the objective's variance over the space that goes away, on average,
//! when that parameter alone is known; its *total* index is the part that remains when all others are known, interactions
//! included. With matrices A and B of N points each, and AB(i) = A with column i from B:
//!
//! ```text
//! first(i) = mean of f(B) (f(AB(i)) - f(A)) / V        A. Saltelli et al., Computer Physics Communications 181 (2010),
//! total(i) = mean of (f(A) - f(AB(i)))^2 / (2 V)       259-270, table 2 (b) and (f); the latter is M. J. W. Jansen's, 1999
//! ```
//!
//! N (d + 2) candidates are run. The points are scrambled Sobol points; the intervals are bootstrap percentiles over the N rows
//! (G. Archer, A. Saltelli, I. M. Sobol, J. Stat. Comput. Simul. 58 (1997), 99-120). Noise counts as variance that no parameter
//! explains: all candidates meet the same replications, so that little of it is left. An inactive parameter changes nothing.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::Serialize;

use crate::rng::Streams;
use crate::stats::{Interval, mean, quantile, variance};
use crate::tune::halving::observe;
use crate::tune::measure::Series;
use crate::tune::problem::SENSITIVITY_FROM;
use crate::tune::{Evaluator, Id, Space, Stopped, sobol};

/// Bootstrap samples: enough for the 2.5 % quantiles to be steady in their second digit.
const RESAMPLES: usize = 1_000;

/// Rows below which no index is told: bootstrap intervals over fewer are no intervals.
pub const ROWS_MIN: usize = 8;

/// What to run.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Rows N of the two matrices, at least 2 and below 2^16; a power of two keeps the points balanced.
    pub rows: u32,
    /// Replications of each candidate, at least 1.
    pub replications: u32,
    /// Part of the full simulated time: above 0, at most 1.
    pub share: f64,
    /// Seed of scramble and bootstrap.
    pub seed: u64,
}

/// An index with its 95 % bootstrap interval.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Index {
    /// The estimate; may lie a little outside 0 to 1.
    pub value: f64,
    /// Where 95 % of the resamples lie.
    pub interval: Interval,
}

impl Index {
    /// The same inside 0 to 1, where the index itself lies: estimates of few rows may not.
    #[must_use]
    pub fn clipped(self) -> Self {
        let inside = |x: f64| x.clamp(0.0, 1.0);
        let Interval { lo, hi } = self.interval;
        Self { value: inside(self.value), interval: Interval { lo: inside(lo), hi: inside(hi) } }
    }
}

/// The indices of one parameter.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Indices {
    /// What it explains alone.
    pub first: Index,
    /// What it explains alone and together with others.
    pub total: Index,
}

/// The indices of one objective.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SobolIndices {
    /// One for each parameter, in the space's order; empty where the objective does not vary, or fewer than [`ROWS_MIN`] rows
    /// could be used.
    pub parameters: Vec<Indices>,
    /// Rows that were used.
    pub rows: usize,
    /// Rows that were left out because one of their candidates did not show the objective: its settings do not go together, or
    /// nothing happened that it is made of.
    pub dropped: usize,
    /// Mean of the objective over the space.
    pub mean: f64,
    /// Its variance over the space.
    pub variance: f64,
}

/// One row: f at A, at B, and at each AB(i).
struct Row {
    a: f64,
    b: f64,
    mixed: Vec<f64>,
}

/// The Sobol indices of objective number `objective`.
///
/// # Errors
/// Where it was stopped.
pub fn sobol_indices(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    objective: usize,
    plan: &Sensitivity,
) -> Result<SobolIndices, Stopped> {
    let d = space.dimensions();
    let rows: Vec<Vec<Id>> = (0..plan.rows).map(|row| candidates(space, evaluator, row, plan.seed)).collect();
    let mut pool: Vec<Id> = rows.iter().flatten().copied().collect();
    pool.sort_unstable();
    pool.dedup();
    let series = Series { from: SENSITIVITY_FROM, count: plan.replications.max(1), share: plan.share };
    let seen = observe(evaluator, &pool, &series)?;
    let value = |id: &Id| seen[pool.binary_search(id).expect("every row is in the pool")].mean(objective);
    let row = |ids: &Vec<Id>| {
        let values: Option<Vec<f64>> = ids.iter().map(value).collect();
        values.map(|values| Row { a: values[0], b: values[1], mixed: values[2..].to_vec() })
    };
    let complete: Vec<Row> = rows.iter().filter_map(row).collect();
    let dropped = rows.len() - complete.len();
    let both: Vec<f64> = complete.iter().flat_map(|row| [row.a, row.b]).collect();
    let whole: Vec<usize> = (0..complete.len()).collect();
    let enough = complete.len() >= ROWS_MIN;
    let estimates = if enough { indices(&complete, &whole, d) } else { Vec::new() };
    let samples = if enough { bootstrap(&complete, d, plan.seed) } else { Vec::new() };
    let parameters = estimates.iter().enumerate().map(|(i, (first, total))| Indices {
        first: index(*first, samples.iter().map(|sample| sample[i].0)),
        total: index(*total, samples.iter().map(|sample| sample[i].1)),
    });
    Ok(SobolIndices {
        parameters: parameters.collect(),
        rows: complete.len(),
        dropped,
        mean: mean(&both).unwrap_or(0.0),
        variance: variance(&both).unwrap_or(0.0),
    })
}

/// The candidates of a row: A, B, and A with each column from B.
fn candidates(space: &Space, evaluator: &mut Evaluator<'_>, row: u32, seed: u64) -> Vec<Id> {
    let d = u32::try_from(space.dimensions()).expect("a space has at most 128 parameters");
    let a: Vec<f64> = (0..d).map(|k| sobol(row, k, seed)).collect();
    let b: Vec<f64> = (0..d).map(|k| sobol(row, d + k, seed)).collect();
    let mut ids = vec![evaluator.id(&space.decode(&a)), evaluator.id(&space.decode(&b))];
    for i in 0..a.len() {
        let mut mixed = a.clone();
        mixed[i] = b[i];
        ids.push(evaluator.id(&space.decode(&mixed)));
    }
    ids
}

/// (first, total) of each parameter over the rows in `sample`; empty where nothing varies.
fn indices(rows: &[Row], sample: &[usize], d: usize) -> Vec<(f64, f64)> {
    let both: Vec<f64> = sample.iter().flat_map(|i| [rows[*i].a, rows[*i].b]).collect();
    let (Some(centre), Some(variance)) = (mean(&both), variance(&both)) else { return Vec::new() };
    if variance <= 0.0 {
        return Vec::new();
    }
    let n = sample.len() as f64;
    let one = |k: usize| {
        let (mut first, mut total) = (0.0, 0.0);
        for i in sample {
            let row = &rows[*i];
            let change = row.mixed[k] - row.a;
            // Centred: the mean of `change` is 0, so the estimate stays what it is and loses variance.
            first += (row.b - centre) * change;
            total += change * change;
        }
        (first / n / variance, total / (2.0 * n) / variance)
    };
    (0..d).map(one).collect()
}

fn bootstrap(rows: &[Row], d: usize, seed: u64) -> Vec<Vec<(f64, f64)>> {
    let mut rng = Streams::new(seed, 0).named("tune/bootstrap");
    let resample = |rng: &mut ChaCha8Rng| -> Vec<usize> { rows.iter().map(|_| below(rng, rows.len())).collect() };
    let samples = (0..RESAMPLES).map(|_| indices(rows, &resample(&mut rng), d));
    // A resample of equal rows says nothing.
    samples.filter(|sample| !sample.is_empty()).collect()
}

/// A number from 0 to `n` - 1 (D. Lemire's multiplication; its bias is below n / 2^64).
fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    usize::try_from((u128::from(rng.next_u64()) * n as u128) >> 64).expect("below n")
}

fn index(value: f64, samples: impl Iterator<Item = f64>) -> Index {
    let samples: Vec<f64> = samples.collect();
    let at = |q: f64| quantile(&samples, q).unwrap_or(value);
    Index { value, interval: Interval { lo: at(0.025), hi: at(0.975) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Domain, Observation, Parameter, Point, Problem, Scale, Setting};

    /// Ishigami's function, whose indices are known: T. Ishigami, T. Homma, ISUMA 1990, 398-403, with a = 7 and b = 0.1.
    struct Ishigami;

    impl Problem for Ishigami {
        fn run(&self, candidate: &Point, _: u32, _: f64) -> Observation {
            let x: Vec<f64> = (0..3).map(|k| candidate.setting(k).and_then(Setting::number).unwrap()).collect();
            let y = x[0].sin() + 7.0 * x[1].sin().powi(2) + 0.1 * x[2].powi(4) * x[0].sin();
            Observation { objectives: vec![Some(y)], constraints: vec![], second: None, requests: 1 }
        }
    }

    fn cube() -> Space {
        let pi = std::f64::consts::PI;
        let domain = Domain::Real { lo: -pi, hi: pi, scale: Scale::Linear };
        let one = |path: &str| Parameter { path: path.into(), domain: domain.clone(), only_if: None };
        Space::new(vec![one("a"), one("b"), one("c")]).unwrap()
    }

    #[test]
    fn the_indices_of_ishigamis_function() {
        let mut evaluator = Evaluator::quiet(&Ishigami);
        let plan = Sensitivity { rows: 4_096, replications: 1, share: 1.0, seed: 3 };
        let found = sobol_indices(&cube(), &mut evaluator, 0, &plan).unwrap();
        assert_eq!((found.rows, found.dropped, found.parameters.len()), (4_096, 0, 3));
        assert!((found.variance - 13.845).abs() < 0.15, "{}", found.variance);
        let known = [(0.3139, 0.5576), (0.4424, 0.4424), (0.0, 0.2437)];
        for (indices, (first, total)) in found.parameters.iter().zip(known) {
            assert!((indices.first.value - first).abs() < 0.02, "{indices:?} {first}");
            assert!((indices.total.value - total).abs() < 0.02, "{indices:?} {total}");
            assert!(indices.first.interval.holds(indices.first.value) && indices.total.interval.half_width() < 0.05);
        }
    }

    #[test]
    fn what_does_not_vary_has_no_indices() {
        struct Flat;
        impl Problem for Flat {
            fn run(&self, _: &Point, _: u32, _: f64) -> Observation {
                Observation { objectives: vec![Some(4.0)], constraints: vec![], second: None, requests: 1 }
            }
        }
        let mut evaluator = Evaluator::quiet(&Flat);
        let plan = Sensitivity { rows: 16, replications: 1, share: 1.0, seed: 3 };
        let found = sobol_indices(&cube(), &mut evaluator, 0, &plan).unwrap();
        assert!(found.parameters.is_empty() && found.mean.to_bits() == 4.0f64.to_bits());
    }

    /// Half of the space cannot be run: few rows are whole, and of too few no index is told.
    #[test]
    fn too_few_rows_have_no_indices() {
        struct Half;
        impl Problem for Half {
            fn run(&self, candidate: &Point, _: u32, _: f64) -> Observation {
                let x = candidate.setting(0).and_then(Setting::number).unwrap();
                Observation { objectives: vec![(x > 0.0).then_some(x)], constraints: vec![], second: None, requests: 1 }
            }
        }
        let rows = |rows| {
            let plan = Sensitivity { rows, replications: 1, share: 1.0, seed: 3 };
            sobol_indices(&cube(), &mut Evaluator::quiet(&Half), 0, &plan).unwrap()
        };
        let few = rows(16);
        assert!(few.rows < ROWS_MIN && few.dropped == 16 - few.rows && few.parameters.is_empty(), "{few:?}");
        let more = rows(128);
        assert!(more.rows >= ROWS_MIN && more.parameters.len() == 3, "{more:?}");
        let wide = Index { value: -0.1, interval: Interval { lo: -0.4, hi: 1.3 } }.clipped();
        assert_eq!((wide.value, wide.interval.lo, wide.interval.hi), (0.0, 0.0, 1.0));
    }
}

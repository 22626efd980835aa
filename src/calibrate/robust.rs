//! A fit that contention spikes do not bend, and what it is worth.
//!
//! P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964), 73-101: residuals
//! count in full up to 1.345 standard deviations (95 % efficient where they are normal after all) and by their size beyond.
//! Solved by iteratively reweighted least squares (P. W. Holland, R. E. Welsch, "Robust regression using iteratively reweighted
//! least-squares", Communications in Statistics A6 (1977), 813-827), the standard deviation taken from the median absolute
//! residual. Spikes are real time, though: afterwards all coefficients are scaled alike, so that the sum of the fitted values
//! is the sum of the observed ones. So the *shape* comes from the many ordinary steps, and the *mean* from all of them.
//!
//! Intervals: block bootstrap over stretches of a run (H. R. Künsch, "The jackknife and the bootstrap for general stationary
//! observations", Annals of Statistics 17 (1989), 1217-1241), because a machine's speed drifts and neighbouring steps are
//! alike. No resample goes through the rows again (the fast and robust bootstrap of M. Salibian-Barrera, R. H. Zamar,
//! "Bootstrapping robust estimates of regression", Annals of Statistics 30 (2002), 556-582): each stretch is summed up once, with the
//! weights of the fit, and a resample is solved from the sums of its stretches. That is one round of reweighting, which goes only
//! part of the way from the fit to the resample's own; a linear correction, the same for all resamples, carries it there: the
//! round's sums of products over those of the rows inside Huber's bend, which are the slope of the equations that the fit
//! solves. The work is that of one pass over the rows, and of 200 sums over the stretches.

use std::ops::Range;

use rand_chacha::rand_core::Rng;

use super::nnls::{Normal, dot};
use crate::rng::Streams;
use crate::stats::{Interval, median, quantile};

/// Huber's constant.
pub const TUNING: f64 = 1.345;
/// Most rounds of reweighting.
const ROUNDS: u32 = 30;
/// Resamples for the intervals.
pub const RESAMPLES: u32 = 200;
/// Standard deviations per median absolute deviation of a normal distribution: 1 / 0.6745.
const MAD: f64 = 1.482_602_218_505_602;

/// A fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit<const K: usize> {
    /// The coefficients, each at least 0.
    pub coefficients: [f64; K],
    /// 95 % intervals of the coefficients; empty where there were not enough blocks to draw from.
    pub intervals: Vec<Interval>,
    /// Standard deviation of the residuals of ordinary observations.
    pub scale: f64,
    /// Share of the observations that lie more than three such deviations above the fit.
    pub spikes: f64,
    /// By what all coefficients were scaled so that the sums agree.
    pub factor: f64,
}

/// Rows with their observed values.
pub type Rows<const K: usize> = [([f64; K], f64)];

/// Fits `rows`; `blocks` are the stretches of rows that intervals are resampled from, by `seed`. `None` without rows, or where
/// nothing fits but zero.
#[must_use]
pub fn fit<const K: usize>(rows: &Rows<K>, blocks: &[Range<usize>], seed: u64) -> Option<Fit<K>> {
    let (shape, scale) = huber(rows)?;
    let whole = Sums::of(rows, shape, scale);
    let (coefficients, factor) = whole.to_the_sum(shape)?;
    let above = |(row, observed): &&([f64; K], f64)| observed - dot(row, &coefficients) > 3.0 * scale;
    let spikes = rows.iter().filter(above).count() as f64 / rows.len() as f64;
    Some(Fit { coefficients, intervals: intervals(rows, blocks, (shape, scale), &whole, seed), scale, spikes, factor })
}

fn plain<const K: usize>(rows: &Rows<K>) -> [f64; K] {
    let mut normal = Normal::default();
    for (row, observed) in rows {
        normal.add(row, *observed, 1.0);
    }
    normal.solve()
}

/// The coefficients, and the deviation of ordinary residuals.
fn huber<const K: usize>(rows: &Rows<K>) -> Option<([f64; K], f64)> {
    let (mut found, mut scale) = (plain(rows), 0.0);
    for _ in 0..ROUNDS {
        let sizes: Vec<f64> = rows.iter().map(|(row, observed)| (observed - dot(row, &found)).abs()).collect();
        scale = MAD * median(&sizes)?;
        if scale <= 0.0 {
            break; // more than half of the rows fit exactly
        }
        let mut normal = Normal::default();
        for ((row, observed), size) in rows.iter().zip(&sizes) {
            let weight = if *size <= TUNING * scale { 1.0 } else { TUNING * scale / size };
            normal.add(row, *observed, weight);
        }
        let before = std::mem::replace(&mut found, normal.solve());
        if before.map(f64::to_bits) == found.map(f64::to_bits) {
            break; // every further round would give the same
        }
    }
    Some((found, scale))
}

/// What a stretch of rows says near a fit.
struct Sums<const K: usize> {
    /// With the weights of the fit.
    weighted: Normal<K>,
    /// Of the rows inside the bend of Huber's loss alone.
    inside: Normal<K>,
    rows: [f64; K],
    observed: f64,
}

impl<const K: usize> Sums<K> {
    fn none() -> Self {
        Self { weighted: Normal::default(), inside: Normal::default(), rows: [0.0; K], observed: 0.0 }
    }

    /// Those of `rows` near `shape`, where ordinary residuals deviate by `scale`.
    fn of(rows: &Rows<K>, shape: [f64; K], scale: f64) -> Self {
        let bend = if scale > 0.0 { TUNING * scale } else { f64::INFINITY };
        let mut sums = Self::none();
        for (row, observed) in rows {
            let size = (observed - dot(row, &shape)).abs();
            if size <= bend {
                sums.weighted.add(row, *observed, 1.0);
                sums.inside.add(row, *observed, 1.0);
            } else {
                sums.weighted.add(row, *observed, bend / size);
            }
            sums.observed += observed;
            sums.rows.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        sums
    }

    fn merge(&mut self, other: &Self) {
        self.weighted.merge(&other.weighted);
        self.observed += other.observed;
        self.rows.iter_mut().zip(&other.rows).for_each(|(sum, other)| *sum += other);
    }

    /// Scales all coefficients alike until the sum of the fitted values is that of the observed ones.
    fn to_the_sum(&self, shape: [f64; K]) -> Option<([f64; K], f64)> {
        let fitted = dot(&self.rows, &shape);
        if fitted <= 0.0 {
            return None;
        }
        let factor = (self.observed / fitted).max(0.0);
        Some((shape.map(|coefficient| coefficient * factor), factor))
    }
}

fn intervals<const K: usize>(
    rows: &Rows<K>,
    blocks: &[Range<usize>],
    (shape, scale): ([f64; K], f64),
    whole: &Sums<K>,
    seed: u64,
) -> Vec<Interval> {
    const BLOCKS_MIN: usize = 4;
    if blocks.len() < BLOCKS_MIN {
        return Vec::new();
    }
    let blocks: Vec<Sums<K>> = blocks.iter().map(|block| Sums::of(&rows[block.clone()], shape, scale)).collect();
    let free: Vec<usize> = (0..K).filter(|column| shape[*column] > 0.0).collect();
    let mut draws = Streams::new(seed, 0).named("calibrate/bootstrap");
    let mut found: [Vec<f64>; K] = std::array::from_fn(|_| Vec::new());
    for _ in 0..RESAMPLES {
        let mut sums = Sums::none();
        for _ in 0..blocks.len() {
            sums.merge(&blocks[pick(draws.next_u64(), blocks.len())]);
        }
        let round = sums.weighted.solve();
        let step = std::array::from_fn(|column| round[column] - shape[column]);
        let step = whole.weighted.carried(&whole.inside, &step, &free);
        let again = std::array::from_fn(|column| (shape[column] + step[column]).max(0.0));
        if let Some((coefficients, _)) = sums.to_the_sum(again) {
            found.iter_mut().zip(coefficients).for_each(|(all, one)| all.push(one));
        }
    }
    let ends = |all: &Vec<f64>| Some(Interval { lo: quantile(all, 0.025)?, hi: quantile(all, 0.975)? });
    found.iter().map(ends).collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// Which of `count` the bits choose.
fn pick(bits: u64, count: usize) -> usize {
    let high = (u128::from(bits) * count as u128) >> 64;
    usize::try_from(high).expect("below the count")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::standard_normal;

    /// Two thousand observations of 3 + 0.5 x with noise, every fortieth ten times as long.
    fn spiked(noise: f64) -> Vec<([f64; 2], f64)> {
        let mut draws = Streams::new(5, 0).named("test");
        let one = |i: u32| {
            let x = f64::from(i % 20);
            let clean = 3.0 + 0.5 * x + noise * standard_normal(draws.next_u64());
            ([1.0, x], if i % 40 == 7 { 10.0 * clean } else { clean })
        };
        (0..2000).map(one).collect()
    }

    fn blocks(rows: usize) -> Vec<Range<usize>> {
        (0..rows / 50).map(|block| 50 * block..50 * (block + 1)).collect()
    }

    #[test]
    fn spikes_do_not_bend_the_shape_and_are_not_lost_from_the_sum() {
        let rows = spiked(0.1);
        let fit = fit(&rows, &blocks(rows.len()), 1).unwrap();
        let slope = fit.coefficients[1] / fit.coefficients[0];
        assert!((slope - 0.5 / 3.0).abs() < 0.004, "{fit:?}");
        let sums = rows.iter().fold((0.0, 0.0), |(a, b), (row, y)| (a + y, b + dot(row, &fit.coefficients)));
        assert!((sums.0 / sums.1 - 1.0).abs() < 1e-12, "{sums:?}");
        assert!((fit.spikes - 0.025).abs() < 1e-9 && fit.factor > 1.1, "{fit:?}");
        let bent = plain(&rows);
        assert!((bent[1] / bent[0] - slope).abs() > 0.02, "least squares is bent by them: {bent:?}");
    }

    #[test]
    fn intervals_hold_the_truth_and_are_drawn_by_the_seed() {
        let mut draws = Streams::new(6, 0).named("test");
        let rows: Vec<([f64; 2], f64)> = (0..1000)
            .map(|i| ([1.0, f64::from(i % 20)], 3.0 + 0.5 * f64::from(i % 20) + 0.4 * standard_normal(draws.next_u64())))
            .collect();
        let found = fit(&rows, &blocks(rows.len()), 1).unwrap();
        assert!(found.intervals[0].holds(3.0) && found.intervals[1].holds(0.5), "{found:?}");
        assert!(found.intervals[1].half_width() < 0.02, "{found:?}");
        assert_eq!(fit(&rows, &blocks(rows.len()), 1), Some(found.clone()));
        assert_ne!(fit(&rows, &blocks(rows.len()), 2).unwrap().intervals, found.intervals);
        assert_eq!(fit(&rows, &blocks(rows.len())[..3], 1).unwrap().intervals, []);
    }

    /// The sums of the stretches say what fitting every resample anew would say.
    #[test]
    fn intervals_are_those_of_fits_to_each_resample() {
        let rows = spiked(0.4);
        let blocks = blocks(rows.len());
        let quick = fit(&rows, &blocks, 1).unwrap().intervals;
        let mut draws = Streams::new(2, 0).named("test");
        let mut found = [const { Vec::new() }; 2];
        for _ in 0..RESAMPLES {
            let one = |_| rows[blocks[pick(draws.next_u64(), blocks.len())].clone()].to_vec();
            let again: Vec<([f64; 2], f64)> = (0..blocks.len()).flat_map(one).collect();
            let fitted = fit(&again, &[], 1).unwrap().coefficients;
            found.iter_mut().zip(fitted).for_each(|(all, one)| all.push(one));
        }
        for (quick, all) in quick.iter().zip(&found) {
            let half = quick.half_width();
            let ends = [quantile(all, 0.025).unwrap(), quantile(all, 0.975).unwrap()];
            assert!((quick.lo - ends[0]).abs() < 0.3 * half && (quick.hi - ends[1]).abs() < 0.3 * half, "{quick:?} {ends:?}");
            assert!((quick.half_width() / ((ends[1] - ends[0]) / 2.0) - 1.0).abs() < 0.25, "{quick:?} {ends:?}");
        }
    }

    #[test]
    fn of_nothing_nothing_is_fitted() {
        assert_eq!(fit::<2>(&[], &[], 1), None);
        assert_eq!(fit(&[([1.0], 0.0), ([1.0], 0.0)], &[], 1), None);
    }
}

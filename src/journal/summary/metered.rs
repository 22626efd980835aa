//! What the policies in front of a metered API did, over replications: sums of counts, one histogram of reservations, means of
//! multipliers, and the first replication's multipliers over time.

use hdrhistogram::Histogram;

use super::super::{Metered, MeteredCounts, Tally};
use crate::request::Profile;
use crate::stats::{Replicated, mean};
use crate::time::Span;

/// One variant's metered side (seed 002, "Monitoring").
#[derive(Clone, Debug)]
pub struct MeteredSummary {
    /// Reservations of all replications, tokens.
    pub reservations: Histogram<u64>,
    /// The largest of them, exact.
    pub reservation_max: u64,
    /// How often which policy acted.
    pub counts: MeteredCounts,
    /// Answer tokens of good requests in an hour of the window; `None` without a window.
    pub good_tokens_per_hour: Option<Replicated>,
    /// Multipliers of the kinds of call that occurred.
    pub multipliers: Vec<Multiplier>,
    /// How far the multipliers are from the truth at the end: mean of `|learned - true p90| / true p90` over the kinds of call
    /// that arrived, then over replications. `None` without a limiter or without calls.
    pub multiplier_error: Option<f64>,
    /// The class with the shortest answers of those that are never grounded, by index.
    pub lightest: Option<usize>,
    /// Length of a column of [`Multiplier::over_time`].
    pub column: Span,
}

impl MeteredSummary {
    /// A quantile of the reservations, tokens, to three significant digits and never above the largest; `None` without any.
    #[must_use]
    pub fn reservation_quantile(&self, q: f64) -> Option<u64> {
        (!self.reservations.is_empty()).then(|| self.reservations.value_at_quantile(q).min(self.reservation_max))
    }
}

/// The multiplier of one kind of call.
#[derive(Clone, Debug, PartialEq)]
pub struct Multiplier {
    /// The kind's name.
    pub kind: String,
    /// What it began with; `None` without a limiter.
    pub prior: Option<f64>,
    /// What it was at the end, mean over replications; `None` without a limiter.
    pub learned: Option<f64>,
    /// The true 90th percentile of actual usage over estimate, mean over the replications that have one.
    pub true_p90: Option<f64>,
    /// Its value at the end of each column, in the first replication; empty without a limiter.
    pub over_time: Vec<f64>,
}

/// Most columns: they stand in a line of text behind a name.
const COLUMNS_MAX: usize = 64;

/// Gathers replications.
#[derive(Debug, Default)]
pub(super) struct MeteredRows {
    sum: Option<Metered>,
    good_per_hour: Vec<f64>,
    multipliers: Vec<[f64; Profile::KINDS]>,
    true_p90: Vec<[Option<f64>; Profile::KINDS]>,
    bin: Span,
    /// Bins until the last arrival: nothing is learned for long after that.
    bins: usize,
}

impl MeteredRows {
    /// Adds one replication.
    pub(super) fn add(&mut self, tally: &Tally, window_s: f64) {
        let one = &tally.metered;
        if !one.in_use {
            return;
        }
        if window_s > 0.0 {
            self.good_per_hour.push(one.good_tokens as f64 * 3_600.0 / window_s);
        }
        self.multipliers.push(one.multipliers);
        self.true_p90.push(one.true_p90);
        let Some(sum) = &mut self.sum else {
            (self.bin, self.bins) = (tally.series.bin, tally.series.index(tally.window.end).max(1));
            self.sum = Some(one.clone());
            return;
        };
        sum.reservations.add(&one.reservations).expect("all histograms of reservations have the same bounds");
        sum.reservation_max = sum.reservation_max.max(one.reservation_max);
        sum.counts += one.counts;
    }

    /// The figures of all replications added; `None` where no policy of this kind is set.
    pub(super) fn finish(self, lightest: Option<usize>) -> Option<MeteredSummary> {
        let per_column = self.bins.div_ceil(COLUMNS_MAX).max(1);
        let (multipliers, multiplier_error) = (self.multipliers(per_column), self.multiplier_error());
        let column = Span::from_nanos(self.bin.as_nanos() * per_column as u64);
        let sum = self.sum?;
        Some(MeteredSummary {
            reservations: sum.reservations,
            reservation_max: sum.reservation_max,
            counts: sum.counts,
            good_tokens_per_hour: Replicated::of_means(self.good_per_hour).map(|mean| mean.within(0.0, f64::INFINITY)),
            multipliers,
            multiplier_error,
            lightest,
            column,
        })
    }

    /// Of the kinds that were called or whose multiplier has moved.
    fn multipliers(&self, per_column: usize) -> Vec<Multiplier> {
        let Some(sum) = &self.sum else { return Vec::new() };
        let series = &sum.multiplier_series[..self.bins.min(sum.multiplier_series.len())];
        let one = |kind: usize| {
            let prior = sum.priors[kind];
            let learned = mean(&self.multipliers.iter().map(|each| each[kind]).collect::<Vec<_>>())?;
            let true_p90 = mean(&self.true_p90.iter().filter_map(|each| each[kind]).collect::<Vec<_>>());
            let has_moved = self.multipliers.iter().any(|each| each[kind].to_bits() != prior.to_bits());
            let at_end = |bins: &[[f32; Profile::KINDS]]| bins.last().map(|bin| f64::from(bin[kind]));
            // Priors are above zero wherever there is a limiter.
            let limiter = prior > 0.0;
            let over_time = series.chunks(per_column).filter(|_| limiter).filter_map(at_end).collect();
            (true_p90.is_some() || has_moved).then(|| Multiplier {
                kind: Profile::kind_name(kind),
                prior: limiter.then_some(prior),
                learned: limiter.then_some(learned),
                true_p90,
                over_time,
            })
        };
        (0..Profile::KINDS).filter_map(one).collect()
    }

    fn multiplier_error(&self) -> Option<f64> {
        let of_one = |(learned, true_p90): (&[f64; Profile::KINDS], &[Option<f64>; Profile::KINDS])| {
            let kinds = learned.iter().zip(true_p90).filter(|(learned, _)| **learned > 0.0);
            let known = kinds.filter_map(|(learned, truth)| Some((*learned, truth.filter(|truth| *truth > 0.0)?)));
            mean(&known.map(|(learned, truth)| (learned - truth).abs() / truth).collect::<Vec<_>>())
        };
        mean(&self.multipliers.iter().zip(&self.true_p90).filter_map(of_one).collect::<Vec<_>>())
    }
}

#[cfg(test)]
#[path = "metered_tests.rs"]
mod tests;

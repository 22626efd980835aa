//! The figures, as programs read them and people are shown.

use serde::Serialize;

use super::super::flow::Accounts;
use super::super::names::Names;
use super::super::reader::Head;
use super::lengths::Lengths;
use super::{LENGTHS, Stats};
use crate::latency::Latency;
use crate::time::Time;

/// Tenants that are named.
const TENANTS_SHOWN: usize = 10;
/// Quantiles of lengths and of latencies.
const QUANTILES: [f64; 6] = [0.1, 0.5, 0.9, 0.95, 0.99, 1.0];

/// What a person must know of a log before trusting it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The file.
    pub file: String,
    /// What it is.
    pub format: &'static str,
    /// By what that was recognised.
    pub recognised_by: String,
    /// What the reader had to choose.
    pub notes: Vec<String>,
    /// Rows by fate, and what was done with them: [`Accounts::json`].
    pub accounts: serde_json::Value,
    /// Requests behind all that.
    pub requests: u64,
    /// Arrival of the first, nanoseconds since 1970, where the log says when it was taken.
    pub first_unix_ns: Option<i64>,
    /// From the first arrival to the last, seconds.
    pub span_s: f64,
    /// Requests a second over that span; `None` where all came at once.
    pub rate_rps: Option<f64>,
    /// The most in windows of 1, 10 and 60 s from the first arrival on.
    pub peaks: Vec<Peak>,
    /// Coefficient of variation of the time between arrivals; 1 for Poisson arrivals.
    pub interarrival_cv: Option<f64>,
    /// The longest time without an arrival, seconds; `None` of fewer than two arrivals.
    pub longest_gap_s: Option<f64>,
    /// When that began, seconds since the first arrival.
    pub longest_gap_at_s: Option<f64>,
    /// Prompt, answer and total tokens of all requests.
    pub tokens: Vec<Tokens>,
    /// The same by class, the most frequent first; empty where the log names none.
    pub classes: Vec<(String, Vec<Tokens>)>,
    /// Tenants with a name.
    pub tenants: u64,
    /// The tenants with most requests.
    pub top_tenants: Vec<Share>,
    /// How requests ended, by name; `unknown` where the log does not say.
    pub outcomes: Vec<(String, u64)>,
    /// HTTP statuses.
    pub statuses: Vec<(u16, u64)>,
    /// Recorded time to first token of complete requests, seconds.
    pub ttft_s: Option<Quantiles>,
    /// Recorded time to the end of complete requests, seconds.
    pub e2e_s: Option<Quantiles>,
}

/// The busiest window of one length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Peak {
    /// The window's length, seconds.
    pub window_s: f64,
    /// Most arrivals in one.
    pub requests: u64,
    /// The same a second.
    pub rps: f64,
    /// When it began, seconds since the first arrival.
    pub at_s: f64,
    /// Index of dispersion of the counts in all such windows: variance over mean, 1 for Poisson arrivals.
    pub dispersion: Option<f64>,
}

/// Quantiles and mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many values.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// 10 %.
    pub p10: f64,
    /// Median.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %.
    pub p99: f64,
    /// Largest, to three significant digits as all quantiles.
    pub max: f64,
}

/// Lengths of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tokens {
    /// `input`, `output` or `total`.
    pub of: &'static str,
    /// Requests that have it.
    pub known: u64,
    /// All tokens.
    pub sum: u64,
    /// Distribution, tokens; `None` where none is known.
    pub quantiles: Option<Quantiles>,
}

/// One tenant's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The tenant.
    pub name: String,
    /// Its requests.
    pub requests: u64,
    /// Their share of all.
    pub share: f64,
    /// Share of all tokens.
    pub token_share: f64,
}

/// The least value that at least a share `q` of all reach.
fn quantiles(values: &Latency, unit: f64) -> Option<Quantiles> {
    let count = values.count();
    if count == 0 {
        return None;
    }
    let mut cells = values.cells();
    let (mut seen, mut top) = (0, 0);
    let [p10, p50, p90, p95, p99, max] = QUANTILES.map(|q| {
        while (seen as f64) < q * count as f64 {
            let Some((cell, more)) = cells.next() else { break };
            (top, seen) = (cell, seen + more);
        }
        top as f64 * unit
    });
    let mean = values.sum as f64 / count as f64 * unit;
    Some(Quantiles { count, mean, p10, p50, p90, p95, p99, max })
}

fn tokens(lengths: &Lengths) -> Vec<Tokens> {
    let of = |(which, of): (usize, &&'static str)| Tokens {
        of,
        known: lengths.known(which),
        sum: u64::try_from(lengths.sum(which)).unwrap_or(u64::MAX),
        quantiles: quantiles(lengths.histogram(which), 1.0)
            .map(|quantiles| Quantiles { max: lengths.longest(which) as f64, ..quantiles }),
    };
    LENGTHS.iter().enumerate().map(of).collect()
}

impl Stats {
    /// The figures.
    #[must_use]
    pub fn summary(&self, head: &Head, names: &Names, accounts: &Accounts) -> Summary {
        let (first, last) = self.ends.unwrap_or((Time::ZERO, Time::ZERO));
        let span_s = (last - first).as_secs_f64();
        let mut classes: Vec<(String, u64, Vec<Tokens>)> = (self.classes.classes().iter().zip(names.classes.all()))
            .filter(|(lengths, _)| lengths.requests > 0)
            .map(|(lengths, name)| (name.clone(), lengths.requests, tokens(lengths)))
            .collect();
        classes.sort_by_key(|(_, requests, _)| std::cmp::Reverse(*requests));
        Summary {
            file: head.file.clone(),
            format: head.format.name(),
            recognised_by: head.recognised_by.clone(),
            notes: head.notes.clone(),
            accounts: accounts.json(),
            requests: self.requests,
            first_unix_ns: self.ends.and_then(|(first, _)| head.origin.unix_ns_at(first)),
            span_s,
            rate_rps: (span_s > 0.0).then(|| (self.requests - 1) as f64 / span_s),
            peaks: self.peaks(),
            interarrival_cv: self.gaps.cv(),
            longest_gap_s: self.gaps.longest().map(|(gap, _)| gap.as_secs_f64()),
            longest_gap_at_s: self.gaps.longest().map(|(_, begun)| (begun - first).as_secs_f64()),
            tokens: tokens(self.classes.all()),
            classes: classes.into_iter().map(|(name, _, tokens)| (name, tokens)).collect(),
            tenants: self.tenants.of.iter().filter(|(requests, _)| *requests > 0).count() as u64,
            top_tenants: self.top_tenants(names),
            outcomes: self.outcomes.iter().map(|(how, n)| (how.map_or("unknown", |how| how.name()).to_owned(), *n)).collect(),
            statuses: self.statuses.iter().map(|(status, n)| (*status, *n)).collect(),
            ttft_s: quantiles(&self.ttft, 1e-9),
            e2e_s: quantiles(&self.e2e, 1e-9),
        }
    }

    fn peaks(&self) -> Vec<Peak> {
        let peak = |rate: &super::Rate| {
            let ((requests, at), window_s) = (rate.peak(), rate.window.as_secs_f64());
            let (rps, at_s) = (requests as f64 / window_s, at.as_secs_f64());
            Peak { window_s, requests, rps, at_s, dispersion: rate.dispersion() }
        };
        self.rates.iter().map(peak).collect()
    }

    fn top_tenants(&self, names: &Names) -> Vec<Share> {
        let all = &self.tenants.of;
        let tokens: u64 = all.iter().map(|(_, tokens)| tokens).sum();
        let mut order: Vec<usize> = (0..all.len()).filter(|place| all[*place].0 > 0).collect();
        order.sort_by_key(|place| std::cmp::Reverse(all[*place].0));
        let share = |place: usize| Share {
            name: names.tenants.all().get(place).cloned().unwrap_or_default(),
            requests: all[place].0,
            share: all[place].0 as f64 / self.requests.max(1) as f64,
            token_share: all[place].1 as f64 / tokens.max(1) as f64,
        };
        order.into_iter().take(TENANTS_SHOWN).map(share).collect()
    }
}

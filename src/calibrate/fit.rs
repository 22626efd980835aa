//! From runs to the costs of the model: step, host, spread of speed.
//!
//! - **Step** ([`crate::upstream::Cost`]): what the step lines say, on `1, any prefill, prefill tokens, decoding sequences, KV tokens`.
//! - **Between steps**: from one step's tokens to the next's, less that step, on `1, any prefill, decoding sequences`. The model's host
//!   has one constant before each step, `host.step`; what grows with the batch or comes with a prompt is charged to the
//!   step (`td`, `t0p`): both stand on the path from one step to the next, and there they are the same. The model's work for each
//!   token (`host.token`) is done while the next step runs, and would not be seen there.
//! - **Way in and out**: what is left of a lone request's time to first token beside its steps and the scheduler's job before
//!   and after them. Runs do not tell in from out: each gets half.
//! - **Spread** (`speed_sigma`): standard deviation of the logarithm of observed over predicted time, in stretches of ten
//!   seconds, over which a queue builds up.
//!
//! Steps come one after another, and their times add up to the time that went by while the engine worked. Rows that are whole
//! answers lie beside each other, dozens at a time: there the clock on the wall says which belong to one stretch.

use std::ops::Range;

use super::align::{Laid, Lone, Observed, Row, align};
use super::clusters::from_tokens;
use super::ends::from_ends;
use super::nnls::dot;
use super::robust::{self, Fit};
use super::served::Fate;
use super::source::Run;
use super::steps::{LATE_LINES_MAX, Step};
use crate::stats::{median, variance};
use crate::upstream::{Cost, Host, Picos};

/// Stretches that intervals are resampled from, seconds.
const BLOCK_S: f64 = 5.0;
/// Stretches whose speeds are compared, seconds; a shorter run counts where it has a fifth of that.
pub const SPREAD_S: f64 = 10.0;
/// A run's first and last stretch may be this much shorter, as a share.
const SPREAD_MIN: f64 = 0.2;
/// Fewest steps that a fit is made from.
pub const STEPS_MIN: usize = 30;

/// What must be known of the server beside its logs.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct KvCache {
    /// Tokens that it holds.
    pub tokens: f64,
    /// Tokens in a block.
    pub block: f64,
}

/// How a run was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Step lines, with the requests laid over them.
    Exact,
    /// Step lines alone: KV tokens by the log's rounded figure. With the reason where there were requests.
    StepsAlone(Option<String>),
    /// Tokens' times alone.
    TokensAlone,
    /// First and last tokens' times alone.
    EndsAlone,
}

/// One run's part in a calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The run.
    pub run: String,
    /// How it was read.
    pub reading: Reading,
    /// Its steps.
    pub steps: usize,
    /// Observed over predicted time, all of it.
    pub ratio: f64,
}

/// A server's costs as they were fitted, seconds, and what stands behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Step: every step, any prefill, prompt token, decoding sequence, KV token.
    pub step: Fit<5>,
    /// Between steps: every step, any prefill, decoding sequence; `None` where no run tells.
    pub between: Option<Fit<3>>,
    /// Way in and out together; `None` where no request was alone.
    pub way_s: Option<f64>,
    /// Lone requests behind it.
    pub lone: usize,
    /// Observed over predicted time in each stretch, by run.
    pub stretches: Vec<(String, f64)>,
    /// Standard deviation of the logarithm of those; `None` with fewer than three.
    pub speed_sigma: Option<f64>,
    /// The runs.
    pub parts: Vec<Part>,
    /// Each step's predicted and observed time, seconds.
    pub residuals: Vec<(f64, f64)>,
}

/// Why there is no calibration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too little to fit from.
    #[error("the runs to fit have {0} steps; at least {STEPS_MIN} are needed")]
    TooFew(usize),
    /// The same of logs with first and last tokens' times alone.
    #[error(
        "the runs to fit have {0} complete answers of two tokens or more, each of which is one row where a log has the times of the first \
         and the last token alone; at least {STEPS_MIN} are needed"
    )]
    TooFewAnswers(usize),
    /// Nothing but zero fits.
    #[error("the steps of the runs to fit take no time")]
    NoTime,
    /// Every step costs something in the model.
    #[error("the runs to fit do not tell what a step costs by itself (`t0` comes out as 0): they need steps of several sizes")]
    NoBase,
}

/// Fits the model to `runs`; intervals are resampled by `seed`.
///
/// # Errors
/// Where there is too little to fit from.
pub fn calibrate(runs: &[&Run], kv: KvCache, seed: u64) -> Result<Calibration, Unfit> {
    let laid: Vec<(&Run, Reading, Laid)> =
        runs.iter().map(|run| lay(run, kv)).filter(|(_, _, laid)| !laid.steps.is_empty()).collect();
    let steps: Vec<&Observed> = laid.iter().flat_map(|(_, _, laid)| &laid.steps).collect();
    if steps.len() < STEPS_MIN {
        let answers = !runs.is_empty() && laid.iter().all(|(_, reading, _)| *reading == Reading::EndsAlone);
        return Err(if answers { Unfit::TooFewAnswers(steps.len()) } else { Unfit::TooFew(steps.len()) });
    }
    let rows: Vec<(Row, f64)> = steps.iter().map(|step| (step.row, step.took_s)).collect();
    let step = robust::fit(&rows, &blocks(&laid), seed).ok_or(Unfit::NoTime)?;
    if step.coefficients[0] <= 0.0 {
        return Err(Unfit::NoBase);
    }
    let between = between(&steps, seed);
    let lone: Vec<f64> =
        laid.iter().flat_map(|(_, _, laid)| &laid.lone).map(|lone| rest(lone, &step, between.as_ref())).collect();
    let stretches = stretches(&laid, &step);
    let logs: Vec<f64> = stretches.iter().map(|(_, ratio)| libm::log(*ratio)).collect();
    let ratio = |laid: &Laid| ratio(&laid.steps, &step);
    Ok(Calibration {
        way_s: median(&lone).map(|way| way.max(0.0)),
        lone: lone.len(),
        speed_sigma: (logs.len() >= 3).then(|| variance(&logs).map(f64::sqrt)).flatten(),
        parts: laid
            .iter()
            .map(|(run, reading, laid)| Part {
                run: run.name.clone(),
                reading: reading.clone(),
                steps: laid.steps.len(),
                ratio: ratio(laid),
            })
            .collect(),
        residuals: rows.iter().map(|(row, took)| (dot(row, &step.coefficients), *took)).collect(),
        stretches,
        between,
        step,
    })
}

/// The best that can be made of one run, or of the part of it that is fitted to.
fn lay(run: &Run, kv: KvCache) -> (&Run, Reading, Laid) {
    match run.until_s {
        None => lay_whole(run, kv),
        // Laid before it is cut: what is under way at the cut says what the steps before it did.
        Some(until_s) => {
            let (_, reading, laid) = match lay_whole(run, kv) {
                // Step lines alone do not say when a step was.
                (_, Reading::StepsAlone(_), _) => from_times(run),
                found => found,
            };
            (run, reading, laid.before(until_s))
        }
    }
}

/// From the clients' times alone.
fn from_times(run: &Run) -> (&Run, Reading, Laid) {
    let complete = || run.served.iter().filter(|one| one.fate == Fate::Complete);
    let with_all = complete().filter(|one| one.has_all_times()).count();
    if 2 * with_all >= complete().count() {
        return (run, Reading::TokensAlone, from_tokens(&run.served));
    }
    (run, Reading::EndsAlone, from_ends(&run.served))
}

fn lay_whole(run: &Run, kv: KvCache) -> (&Run, Reading, Laid) {
    if run.steps.is_empty() {
        return from_times(run);
    }
    if run.served.is_empty() {
        return (run, Reading::StepsAlone(None), steps_alone(&run.steps, kv));
    }
    // A run's first lines may be the last ones of the run before, written late.
    let all = align(&run.steps, &run.served);
    let later = (1..=LATE_LINES_MAX.min(run.steps.len())).filter_map(|late| align(&run.steps[late..], &run.served).ok());
    match all.as_ref().ok().cloned().into_iter().chain(later).next() {
        Some(laid) => (run, Reading::Exact, laid),
        None => (run, Reading::StepsAlone(all.err().map(|misfit| misfit.to_string())), steps_alone(&run.steps, kv)),
    }
}

/// Steps with their KV tokens by the log's own figure: whole blocks, of which half of one is empty for each sequence; of a
/// step in which something ended, by the figure before.
fn steps_alone(steps: &[Step], kv: KvCache) -> Laid {
    let mut before = 0.0;
    let one = |step: &Step| {
        let sequences = f64::from(step.prefilling) + f64::from(step.decoding);
        let held = step.kv_use.max(before) * kv.tokens - sequences * (kv.block - 1.0) / 2.0;
        before = step.kv_use;
        let (prefill, decoding) = (f64::from(step.prefill_tokens), f64::from(step.decoding));
        let any = if step.prefill_tokens > 0 { 1.0 } else { 0.0 };
        Observed {
            row: [1.0, any, prefill, decoding, held.max(prefill + decoding)],
            took_s: step.elapsed_s,
            between_s: None,
            at_s: None,
        }
    };
    Laid { steps: steps.iter().map(one).collect(), lone: Vec::new() }
}

/// One run's rows in pieces of about `length_s`, each within the run.
fn pieces(reading: &Reading, steps: &[Observed], length_s: f64) -> Vec<Range<usize>> {
    if *reading == Reading::EndsAlone {
        let piece_of = |step: &Observed| (step.at_s.unwrap_or(0.0) / length_s).floor();
        let same = |a: &Observed, b: &Observed| piece_of(a) <= piece_of(b) && piece_of(b) <= piece_of(a);
        let mut start = 0;
        let ranges = steps.chunk_by(same).map(|some| {
            start += some.len();
            start - some.len()..start
        });
        return ranges.collect();
    }
    let (mut pieces, mut start, mut took) = (Vec::new(), 0, 0.0);
    for (at, step) in steps.iter().enumerate() {
        took += step.took_s;
        if took >= length_s {
            pieces.push(start..at + 1);
            (start, took) = (at + 1, 0.0);
        }
    }
    if start < steps.len() {
        pieces.push(start..steps.len());
    }
    pieces
}

/// Stretches of rows that intervals are resampled from, none over the end of a run: of about [`BLOCK_S`], and where rows lie
/// beside each other twice as long as they last on average, so that most of those that shared steps stay together.
fn blocks(laid: &[(&Run, Reading, Laid)]) -> Vec<Range<usize>> {
    let (mut blocks, mut start) = (Vec::new(), 0);
    for (_, reading, laid) in laid {
        let length_s = match reading {
            Reading::EndsAlone => {
                let took: f64 = laid.steps.iter().map(|step| step.took_s).sum();
                BLOCK_S.max(2.0 * took / laid.steps.len() as f64)
            }
            _ => BLOCK_S,
        };
        blocks.extend(pieces(reading, &laid.steps, length_s).into_iter().map(|piece| start + piece.start..start + piece.end));
        start += laid.steps.len();
    }
    blocks
}

fn between(steps: &[&Observed], seed: u64) -> Option<Fit<3>> {
    let known = steps.iter().filter_map(|step| Some(([1.0, step.row[1], step.row[3]], step.between_s?)));
    let rows: Vec<([f64; 3], f64)> = known.collect();
    let size = rows.len().div_ceil(20).max(1);
    let blocks: Vec<Range<usize>> = (0..rows.len()).step_by(size).map(|start| start..(start + size).min(rows.len())).collect();
    (rows.len() >= STEPS_MIN).then(|| robust::fit(&rows, &blocks, seed)).flatten()
}

/// What is left of a lone request's time to first token, seconds.
fn rest(lone: &Lone, step: &Fit<5>, between: Option<&Fit<3>>) -> f64 {
    let took = lone.took_s.unwrap_or_else(|| lone.rows.iter().map(|row| dot(row, &step.coefficients)).sum());
    let [job, prefill, _] = between.map_or([0.0; 3], |fit| fit.coefficients);
    // The scheduler's job comes before each step, and once more before the token goes out.
    let jobs = lone.rows.len() as f64 * (job + prefill) + job;
    lone.ttft_s - took - jobs
}

fn ratio(steps: &[Observed], step: &Fit<5>) -> f64 {
    let observed: f64 = steps.iter().map(|one| one.took_s).sum();
    let predicted: f64 = steps.iter().map(|one| dot(&one.row, &step.coefficients)).sum();
    if predicted > 0.0 { observed / predicted } else { 1.0 }
}

fn stretches(laid: &[(&Run, Reading, Laid)], step: &Fit<5>) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for (run, reading, laid) in laid {
        let stretches = pieces(reading, &laid.steps, SPREAD_S).into_iter().map(|piece| &laid.steps[piece]);
        let long = |some: &&[Observed]| some.iter().map(|one| one.took_s).sum::<f64>() >= SPREAD_MIN * SPREAD_S;
        found.extend(stretches.filter(long).map(|some| (run.name.clone(), ratio(some, step))));
    }
    found.retain(|(_, ratio)| *ratio > 0.0);
    found
}

impl Calibration {
    /// What passes between steps: every step, any prefill, decoding sequence, seconds; zeros where no run tells.
    #[must_use]
    pub fn between_s(&self) -> [f64; 3] {
        self.between.as_ref().map_or([0.0; 3], |fit| fit.coefficients)
    }

    /// How many times as long as predicted the steps of another run took, where its step lines say it: how slow the machine
    /// was then, whatever waited.
    #[must_use]
    pub fn pace(&self, run: &Run, kv: KvCache) -> Option<f64> {
        let (_, reading, laid) = lay(run, kv);
        let timed = matches!(reading, Reading::Exact | Reading::StepsAlone(_));
        (timed && laid.steps.len() >= STEPS_MIN).then(|| ratio(&laid.steps, &self.step))
    }

    /// The model's step cost: the step's own and what passes between steps with a prompt or with the batch.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let ([t0, t0p, tp, td, tk], [_, prefill, sequence]) = (self.step.coefficients, self.between_s());
        Cost { t0: picos(t0).max(1), t0p: picos(t0p + prefill), tp: picos(tp), td: picos(td + sequence), tk: picos(tk) }
    }

    /// The model's host.
    #[must_use]
    pub fn host(&self) -> Host {
        let way = picos(self.way_s.unwrap_or(0.0) / 2.0);
        Host { step: picos(self.between_s()[0]), delay_in: way, delay_out: way, ..Host::default() }
    }
}

fn picos(secs: f64) -> u64 {
    Picos::from_secs_f64(secs).unwrap_or(Picos::MAX).0
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;

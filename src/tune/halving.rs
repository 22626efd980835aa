//! Successive halving over simulated time and replications, with common random numbers.
//!
//! K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016; L. Li et
//! al., "Hyperband", JMLR 18:185 (2018), 1-52. All candidates are run briefly; the best 1 / `eta` of them are run `eta` times as
//! much, and so on down to a few finalists. Two resources grow from rung to rung: first the *share* of the simulated time (on
//! the ladder 1, 1/eta, 1/eta^2, ...), then, once runs have their full length, the *replications*. Every rung costs about the
//! same, and what an earlier rung has run at the same share is not run again. In each rung all candidates meet the same
//! requests, so that what is compared is the settings and not their luck.
//!
//! A candidate goes for one of two reasons, and the record says which. *Separated*: it is worse than the rung's best beyond a
//! one-sided paired t bound at `alpha / rungs / (candidates - 1)`: over all rungs the best of the pool is lost this way with a
//! probability of at most `alpha` (Bonferroni; B. L. Nelson et al., "Simple procedures for selecting the best simulated system
//! when the number of alternatives is large", Operations Research 49 (2001), 950-963, as far as short runs rank like long
//! ones). *Ranked out*: there was no budget to keep it. For that no bound exists; `docs/TUNING.md` has how often the whole
//! procedure chose well.

use serde::Serialize;

use crate::stats::mean;
use crate::tune::measure::{Figure, Measured, Series, half_width, paired};
use crate::tune::rank::{may_hold, order};
use crate::tune::{Evaluator, Id, Job, Spent, Stage, Stopped};

/// How to race.
#[derive(Clone, Debug, PartialEq)]
pub struct Halving {
    /// One in how many goes on to the next rung, and how much more it is run there; at least 2.
    pub eta: u32,
    /// Replications that a rung wants before it makes them longer; at least 1.
    pub replications: u32,
    /// The shortest share of the simulated time that shows anything (above 0, at most 1).
    pub share_min: f64,
}

impl Default for Halving {
    /// `eta` = 3 is the value that Li et al. (2018, section 2.6) recommend; 3 replications give a variance from the first rung
    /// on; runs of less than a ninth of the time mostly show how a system fills.
    fn default() -> Self {
        Self { eta: 3, replications: 3, share_min: 1.0 / 9.0 }
    }
}

/// One rung as planned.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// How many candidates are run.
    pub candidates: usize,
    /// Replications of each.
    pub replications: u32,
    /// Part of the full simulated time of each replication.
    pub share: f64,
}

impl Step {
    /// What it costs at most, in simulations.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.candidates as f64 * f64::from(self.replications) * self.share
    }
}

/// The rungs of a race.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// From the first, with all candidates, to the last before the finalists.
    pub steps: Vec<Step>,
    /// How many the last rung keeps.
    pub finalists: usize,
}

/// The budget does not even pay for the shortest runs.
#[derive(Copy, Clone, Debug, PartialEq, thiserror::Error)]
#[error("the budget of {budget} simulations is too small: racing {candidates} candidates takes at least {needed}")]
pub struct TooLittle {
    /// What there is, in simulations.
    pub budget: f64,
    /// How many candidates there are.
    pub candidates: usize,
    /// What the shortest race takes, in simulations.
    pub needed: f64,
}

impl Plan {
    /// The race of `candidates` down to `finalists` (at least 1) for at most `budget` simulations.
    ///
    /// # Errors
    /// Where the budget does not pay for one replication of the shortest share in the first rung, growing from there.
    pub fn new(candidates: usize, finalists: usize, budget: f64, halving: &Halving) -> Result<Self, TooLittle> {
        if candidates <= finalists {
            // All are finalists: a look at each says how large the objective is, and drops who is surely worse.
            let plan = Self::fixed(candidates, finalists, halving.replications.max(1));
            let needed = plan.cost();
            return if needed <= budget { Ok(plan) } else { Err(TooLittle { budget, candidates, needed }) };
        }
        let sizes = sizes(candidates, finalists, halving.eta);
        let eta = f64::from(halving.eta);
        let weights: Vec<f64> = (0..sizes.len()).map(|r| eta.powi(i32::try_from(r).unwrap_or(i32::MAX))).collect();
        let units: f64 = sizes.iter().zip(&weights).map(|(n, w)| *n as f64 * w).sum();
        let shortest = shares(halving).last().copied().unwrap_or(1.0);
        // A unit buys at least one shortest run.
        if budget < units * shortest * (1.0 - 1e-9) {
            return Err(TooLittle { budget, candidates, needed: (units * shortest).ceil() });
        }
        let step = |(candidates, weight): (&usize, &f64)| {
            let (replications, share) = spend(budget / units * weight, halving);
            Step { candidates: *candidates, replications, share }
        };
        Ok(Self { steps: sizes.iter().zip(&weights).map(step).collect(), finalists })
    }

    /// One rung of full length for all: no racing.
    #[must_use]
    pub fn fixed(candidates: usize, finalists: usize, replications: u32) -> Self {
        Self { steps: vec![Step { candidates, replications: replications.max(1), share: 1.0 }], finalists }
    }

    /// What it costs at most, in simulations.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.steps.iter().map(Step::cost).sum()
    }
}

/// How many stand in each rung.
fn sizes(candidates: usize, finalists: usize, eta: u32) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut left = candidates;
    while left > finalists.max(1) {
        sizes.push(left);
        left = left.div_ceil(eta.max(2) as usize);
    }
    sizes
}

/// The ladder of shares, from 1 down to the shortest allowed.
fn shares(halving: &Halving) -> Vec<f64> {
    let step = 1.0 / f64::from(halving.eta.max(2));
    let ladder = std::iter::successors(Some(1.0), |share| Some(share * step));
    // A ninth is a third of a third only up to its last bit.
    let ladder: Vec<f64> = ladder.take_while(|share| *share >= halving.share_min * (1.0 - 1e-9)).take(16).collect();
    if ladder.is_empty() { vec![1.0] } else { ladder }
}

/// How to spend `cost` simulations on one candidate: the longest runs that leave the wanted replications, else the shortest.
fn spend(cost: f64, halving: &Halving) -> (u32, f64) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    let fits = |share: f64| (cost / share * (1.0 + 1e-9)) as u32;
    let ladder = shares(halving);
    let share = ladder.iter().copied().find(|share| fits(*share) >= halving.replications.max(1));
    let share = share.or(ladder.last().copied()).unwrap_or(1.0);
    (fits(share).max(1), share)
}

/// Why a candidate goes no further, or that it does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes on.
    Kept,
    /// It is worse than the rung's best beyond the bound.
    Separated,
    /// Others ranked before it, and there was no budget for more.
    RankedOut,
    /// A constraint is broken beyond its bound.
    Infeasible,
    /// An objective could not be measured.
    Unmeasured,
}

/// One candidate in one rung.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Visit {
    /// Which candidate.
    pub candidate: Id,
    /// Its objectives.
    pub objectives: Vec<Option<Figure>>,
    /// Its constraints' slacks.
    pub constraints: Vec<Option<Figure>>,
    /// Place in the rung's order, from 0.
    pub rank: usize,
    /// What became of it.
    pub verdict: Verdict,
}

/// What proposed the candidates of a rung.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A rung of the race.
    Race,
    /// A batch that the model proposed.
    Model,
}

/// One rung as it went: the racing history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rung {
    /// Race or model.
    pub kind: Kind,
    /// Which replications, and how long.
    pub series: Series,
    /// Every candidate in it.
    pub visits: Vec<Visit>,
    /// What it cost beyond what earlier rungs had run already.
    pub spent: Spent,
}

/// How a race ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Raced {
    /// The rungs that were run to their end.
    pub rungs: Vec<Rung>,
    /// Who is left, the best first.
    pub left: Vec<Id>,
    /// Whether somebody stopped it.
    pub stopped: bool,
}

/// Races `pool` along `plan`. `alpha` is the error that separation may make over all rungs.
#[must_use]
pub fn race(evaluator: &mut Evaluator<'_>, pool: &[Id], plan: &Plan, alpha: f64) -> Raced {
    let mut left = pool.to_vec();
    let mut rungs = Vec::new();
    for (r, step) in plan.steps.iter().enumerate() {
        let keep = plan.steps.get(r + 1).map_or(plan.finalists, |next| next.candidates);
        let series = Series { from: 0, count: step.replications, share: step.share };
        let alpha = alpha / plan.steps.len() as f64;
        let Ok(rung) = one_rung(evaluator, &left, series, keep, alpha) else {
            return Raced { rungs, left, stopped: true };
        };
        left = kept(&rung);
        evaluator.tell(Stage::Screening { left: left.len() }, best(&rung));
        rungs.push(rung);
    }
    Raced { rungs, left, stopped: false }
}

/// Who is first in a rung, with the mean of its first objective.
fn best(rung: &Rung) -> Option<(Id, f64)> {
    let first = rung.visits.iter().min_by_key(|visit| visit.rank)?;
    Some((first.candidate, first.objectives.first()?.as_ref()?.mean))
}

/// The candidates that go on, the best first.
fn kept(rung: &Rung) -> Vec<Id> {
    let mut kept: Vec<&Visit> = rung.visits.iter().filter(|visit| visit.verdict == Verdict::Kept).collect();
    kept.sort_by_key(|visit| visit.rank);
    kept.into_iter().map(|visit| visit.candidate).collect()
}

fn one_rung(evaluator: &mut Evaluator<'_>, pool: &[Id], series: Series, keep: usize, alpha: f64) -> Result<Rung, Stopped> {
    let before = evaluator.spent();
    let all = observe(evaluator, pool, &series)?;
    let order = order(&all);
    let verdicts = verdicts(&all, &order, keep, alpha);
    let visits = visits(pool, &all, &order, &verdicts);
    Ok(Rung { kind: Kind::Race, series, visits, spent: since(evaluator.spent(), before) })
}

/// Runs `series` for all of `pool` and says what it shows.
pub(super) fn observe(evaluator: &mut Evaluator<'_>, pool: &[Id], series: &Series) -> Result<Vec<Measured>, Stopped> {
    evaluator.run(&jobs(pool, series))?;
    Ok(pool.iter().map(|id| Measured::of(evaluator, *id, series)).collect())
}

/// `series` of all of `pool`: replication by replication, so that a stop leaves whole replications of all rather than all of some.
pub(super) fn jobs(pool: &[Id], series: &Series) -> Vec<Job> {
    let job = |replication| pool.iter().map(move |candidate| Job { candidate: *candidate, replication, share: series.share });
    series.replications().flat_map(job).collect()
}

/// What was spent since `before`.
pub(super) fn since(now: Spent, before: Spent) -> Spent {
    Spent {
        simulations: now.simulations - before.simulations,
        runs: now.runs - before.runs,
        requests: now.requests - before.requests,
    }
}

/// The record of each candidate of `pool`.
pub(super) fn visits(pool: &[Id], all: &[Measured], order: &[usize], verdicts: &[Verdict]) -> Vec<Visit> {
    let mut ranks = vec![0; pool.len()];
    order.iter().enumerate().for_each(|(rank, place)| ranks[*place] = rank);
    let visit = |place: usize| Visit {
        candidate: pool[place],
        objectives: all[place].objective_figures(),
        constraints: all[place].constraint_figures(),
        rank: ranks[place],
        verdict: verdicts[place],
    };
    (0..pool.len()).map(visit).collect()
}

/// Who goes on: the first `keep` of the order, less those that are surely worse than the rung's best.
fn verdicts(all: &[Measured], order: &[usize], keep: usize, alpha: f64) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::RankedOut; all.len()];
    let alpha = alpha / (all.len() - 1).max(1) as f64;
    let best = order.iter().copied().find(|place| all[*place].means().is_some() && surely_holds(&all[*place], alpha));
    for (rank, place) in order.iter().copied().enumerate() {
        verdicts[place] = if all[place].means().is_none() {
            // With nobody measured there is nothing to rank by: longer runs may show more.
            let blind = all.iter().all(|measured| measured.means().is_none());
            if blind && rank < keep { Verdict::Kept } else { Verdict::Unmeasured }
        } else {
            let separated = best.is_some_and(|best| separated(&all[best], &all[place], alpha));
            match (rank < keep, separated) {
                (true, false) => Verdict::Kept,
                _ if !may_hold(&all[place]) => Verdict::Infeasible,
                (_, true) => Verdict::Separated,
                (false, false) => Verdict::RankedOut,
            }
        };
    }
    verdicts
}

/// Whether `best` beats `other` in the one objective beyond the one-sided paired bound at `alpha`. With several objectives
/// nothing is, for a candidate need not win any of them to be of use.
fn separated(best: &Measured, other: &Measured, alpha: f64) -> bool {
    let ([Some(best)], [Some(other)]) = (best.objectives.as_slice(), other.objectives.as_slice()) else { return false };
    let differences = paired(best, other);
    match (mean(&differences), half_width(&differences, 1.0 - 2.0 * alpha)) {
        // Replications that all differ by the same amount say nothing about how much others would.
        (Some(mean), Some(half)) => half > 0.0 && mean > half,
        _ => false,
    }
}

/// Whether every constraint holds beyond a one-sided bound at `alpha`: only such a candidate may push others out.
fn surely_holds(measured: &Measured, alpha: f64) -> bool {
    measured.constraints.iter().all(|slacks| match (mean(slacks), half_width(slacks, 1.0 - 2.0 * alpha)) {
        (Some(mean), Some(half)) => mean >= half,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_keeps_its_budget_and_grows_by_eta() {
        let plan = Plan::new(1_000, 8, 600.0, &Halving { share_min: 1.0 / 27.0, ..Halving::default() }).unwrap();
        let steps: Vec<usize> = plan.steps.iter().map(|step| step.candidates).collect();
        assert_eq!(steps, [1_000, 334, 112, 38, 13]);
        assert!(plan.cost() <= 600.0 && plan.cost() > 400.0, "{}", plan.cost());
        let each: Vec<f64> = plan.steps.iter().map(|step| f64::from(step.replications) * step.share).collect();
        assert!(each.windows(2).all(|two| two[1] > 2.0 * two[0] && two[1] < 4.5 * two[0]), "{each:?}");
        assert!(plan.steps.windows(2).all(|two| two[0].share <= two[1].share));
        // Replications grow only once runs are long.
        assert!(plan.steps.iter().all(|step| step.replications < 9 || step.share > 0.99), "{plan:?}");
    }

    #[test]
    fn too_little_says_what_would_do() {
        let halving = Halving::default();
        let lacks = Plan::new(1_000, 8, 100.0, &halving).unwrap_err();
        assert!(Plan::new(1_000, 8, lacks.needed, &halving).is_ok());
        assert!(lacks.to_string().contains("racing 1000 candidates takes at least"), "{lacks}");
        assert!(Plan::new(5, 8, 14.0, &halving).is_err());
        assert_eq!(Plan::new(5, 8, 15.0, &halving).unwrap().steps[0].replications, 3);
    }

    fn measured(values: &[f64]) -> Measured {
        Measured { objectives: vec![Some(values.to_vec())], constraints: vec![], second: None }
    }

    #[test]
    fn who_is_surely_worse_goes_even_where_there_is_room() {
        let luck = [5.0, -3.0, 8.0, 0.0, 1.0];
        let shifted = |by: f64, wobble: f64| -> Vec<f64> {
            luck.iter().enumerate().map(|(i, x)| x - by + wobble * [1.0, -1.0][i % 2]).collect()
        };
        let all = [measured(&luck), measured(&shifted(0.2, 0.5)), measured(&shifted(9.0, 0.5)), measured(&shifted(0.4, 0.5))];
        let verdicts = |keep| verdicts(&all, &order(&all), keep, 0.05);
        assert_eq!(verdicts(4), [Verdict::Kept, Verdict::Kept, Verdict::Separated, Verdict::Kept]);
        assert_eq!(verdicts(2)[3], Verdict::RankedOut);
    }
}

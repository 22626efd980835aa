//! A whole search: screening, selection on fresh replications, confirmation on fresher ones.
//!
//! The budget is split before anything runs: first what the confirmation takes (at most a quarter), of the rest three fifths
//! for the screening; the selection has what is then left. The phases use replications that have nothing in common, so that
//! the luck that brought a candidate through one phase is not counted in the next.

use std::collections::BTreeSet;

use crate::tune::closest::{closest, closest_in, leader_in};
use crate::tune::halving::{observe, since};
use crate::tune::measure::{Measured, Series, figure, paired};
use crate::tune::outcome::{Binding, Confirmation, Ended, Errors, Front, Outcome, Spending};
use crate::tune::problem::CONFIRMATION_FROM;
use crate::tune::select::{Limits, Selected, measure_all, select, select_at_once};
use crate::tune::tied::break_tie;
use crate::tune::unchanged::{Small, put_back};
use crate::tune::{
    Evaluator, Halving, Id, Kind, Method, Plan, Point, Pool, Raced, Rung, SearchFault, Settings, Space, Spent, Stage, Stopped,
    Terms, TooLittle, Visit, Zone, hypervolume, model, race,
};

/// The screening's part of what the confirmation leaves.
pub(super) const SCREENING: f64 = 0.6;

/// The confirmation's part of the budget at most.
const CONFIRMATION: f64 = 0.25;

/// Of several candidates which do not fail on what nothing is chosen by.
pub type Fits<'a> = dyn Fn(&[Point]) -> Result<Vec<bool>, Stopped> + 'a;

/// What is known of today's settings.
pub struct Today<'a> {
    /// The candidate that stands for them.
    pub laid: &'a Point,
    /// The same as they are in force, parameter by parameter; `None` where they cannot be written so.
    pub in_force: Option<Point>,
    /// Of candidates that nothing else tells apart, which do not fail on what nothing is chosen by.
    pub fits: &'a Fits<'a>,
}

/// Searches `space` on `evaluator`; `baseline`, the current settings, takes part as a candidate and is what the choice is
/// compared with.
///
/// The outcome depends on the settings, the seed and the problem alone: not on the number of threads, nor on what was preloaded.
///
/// # Errors
/// Where a setting is out of range, the budget does not pay for the shortest search, or no run shows an objective.
pub fn search(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    settings: &Settings,
    baseline: Option<&Point>,
) -> Result<Outcome, SearchFault> {
    let fits = |points: &[Point]| Ok(vec![true; points.len()]);
    let today = baseline.map(|laid| Today { laid, in_force: None, fits: &fits });
    search_from(space, evaluator, settings, today.as_ref())
}

/// The same from what is known of `today`: of finalists that tie, the one nearest to it is chosen, and what makes no difference
/// stays as it is.
///
/// # Errors
/// As [`search`].
pub fn search_from(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    settings: &Settings,
    today: Option<&Today<'_>>,
) -> Result<Outcome, SearchFault> {
    settings.check()?;
    let baseline = today.map(|today| evaluator.id(today.laid));
    let shares = Shares::of(settings, baseline.is_some())?;
    let begun = evaluator.spent();
    let (mut raced, plan) = screen(space, evaluator, settings, baseline, &shares)?;
    let last = last_looks(&raced.rungs);
    let leader = last.as_ref().and_then(leader_in);
    // Short runs may rank wrongly; what is recommended must have met the current settings in whole ones. They come first, so that
    // a tie is theirs.
    if let Some(baseline) = baseline.filter(|_| !raced.stopped) {
        raced.left.retain(|candidate| *candidate != baseline);
        raced.left.insert(0, baseline);
    }
    let screened = since(evaluator.spent(), begun);
    let mut outcome = begin(raced.rungs, plan, baseline, screened, shares.errors);
    outcome.confirmation_most = f64::from(settings.confirmation) * if baseline.is_some() { 2.0 } else { 1.0 };
    if raced.stopped {
        outcome.ended = Ended::InScreening;
    } else {
        let room = shares.room_for(raced.left.len(), settings.first).max(1);
        raced.left.extend(closest(&outcome.rungs, &raced.left, room));
        outcome.without_chance = !evaluator.has_chance(&raced.left);
        let terms = Terms {
            alpha: shares.errors.selection,
            zone: zone(settings.zone, outcome.rungs.last()),
            tolerances: settings.tolerances.clone(),
            first: settings.first,
        };
        finish(evaluator, settings, &shares, &raced.left, &terms, &mut outcome)?;
        settle(space, evaluator, (settings, &shares), today, &terms, &mut outcome);
    }
    if outcome.selection.is_none() {
        // Nothing but the screening speaks for it, and against it.
        outcome.choice = leader;
        outcome.closest = last.as_ref().filter(|_| leader.is_none()).and_then(closest_in);
    }
    if let Some(choice) = outcome.choice {
        outcome.bindings = bindings(&outcome, choice, &settings.tolerances);
    }
    outcome.points = evaluator.points().to_vec();
    Ok(outcome)
}

/// All that the latest look at the candidates shows: the last rung or, of a model that was stopped, all of its batches, which are ranked as
/// one.
fn last_looks(rungs: &[Rung]) -> Option<Rung> {
    let last = rungs.last()?;
    let batches = rungs.iter().filter(|rung| rung.kind == Kind::Model && last.kind == Kind::Model);
    let visits: Vec<Visit> = batches.flat_map(|rung| rung.visits.iter().cloned()).collect();
    Some(if visits.is_empty() { last.clone() } else { Rung { visits, ..last.clone() } })
}

/// The outcome of a screening.
fn begin(rungs: Vec<Rung>, plan: Plan, baseline: Option<Id>, screening: Spent, errors: Errors) -> Outcome {
    Outcome {
        points: Vec::new(),
        choice: None,
        tie: None,
        unchanged: None,
        rungs,
        plan,
        selection: None,
        closest: None,
        baseline,
        confirmation: None,
        confirmation_most: 0.0,
        bindings: Vec::new(),
        front: None,
        spent: Spending { screening, ..Spending::default() },
        errors,
        ended: Ended::Complete,
        without_chance: false,
    }
}

/// The budget and the error, split.
struct Shares {
    screening: f64,
    selection_and_rest: f64,
    confirmation: u32,
    finalists: usize,
    errors: Errors,
}

impl Shares {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    fn of(settings: &Settings, baseline: bool) -> Result<Self, SearchFault> {
        // The baseline is measured beside the choice, and meets the finalists.
        let (measured, least) = if baseline { (2.0, 3.0) } else { (1.0, 2.0) };
        let affordable = (settings.budget * CONFIRMATION / measured) as u32;
        let confirmation = settings.confirmation.min(affordable.max(2));
        let rest = settings.budget - measured * f64::from(confirmation);
        let selection = rest * (1.0 - SCREENING);
        let looks = if settings.one_look { 1.0 } else { 2.0 };
        let finalists = (selection / (looks * f64::from(settings.first))) as usize;
        if finalists < 1 || selection < least * f64::from(settings.first) {
            let needed = (least * f64::from(settings.first) / (1.0 - SCREENING) / (1.0 - CONFIRMATION)).ceil();
            return Err(SearchFault::NoChoice { budget: settings.budget, needed });
        }
        let errors = Errors {
            screening: settings.alpha * settings.alpha_screening,
            selection: settings.alpha * (1.0 - settings.alpha_screening),
        };
        let finalists = finalists.clamp(2, settings.finalists);
        Ok(Self { screening: rest * SCREENING, selection_and_rest: rest, confirmation, finalists, errors })
    }

    /// How many finalists more than `finalists` the selection's budget has a first look at, with `first` replications of each.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    fn room_for(&self, finalists: usize, first: u32) -> usize {
        let affordable = (self.selection_and_rest * (1.0 - SCREENING) / f64::from(first)) as usize;
        affordable.saturating_sub(finalists)
    }
}

fn screen(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    settings: &Settings,
    baseline: Option<Id>,
    shares: &Shares,
) -> Result<(Raced, Plan), SearchFault> {
    let (pool, plan, before) = match &settings.method {
        Method::Fixed { pool, replications } => {
            let pool = pool.candidates(space, settings.seed, evaluator, baseline);
            let plan = fixed(settings, shares, pool.len(), *replications)?;
            (pool, plan, Vec::new())
        }
        Method::Halving { pool, halving } => {
            let pool = pool.candidates(space, settings.seed, evaluator, baseline);
            let plan = planned(evaluator, &pool, shares, shares.screening, halving);
            (pool, whole(settings, plan)?, Vec::new())
        }
        Method::Model { model, halving } => {
            let proposed = model::propose(space, evaluator, model, settings.seed, shares.screening, baseline);
            let model::Proposed { pool, rungs, stopped } = proposed;
            if stopped {
                let plan = Plan { steps: Vec::new(), finalists: shares.finalists };
                return Ok((Raced { rungs, left: pool, stopped }, plan));
            }
            let budget = shares.screening * (1.0 - model::EXPLORE);
            let plan = planned(evaluator, &pool, shares, budget, halving);
            (pool, whole(settings, plan)?, rungs)
        }
    };
    if pool.is_empty() {
        return Err(SearchFault::NoCandidate);
    }
    let mut raced = race(evaluator, &pool, &plan, shares.errors.screening);
    raced.rungs.splice(0..0, before);
    Ok((raced, plan))
}

/// The race of `pool`. Without chance it needs no replications, and runs are as long as they can be instead.
fn planned(evaluator: &Evaluator<'_>, pool: &[Id], shares: &Shares, budget: f64, halving: &Halving) -> Result<Plan, TooLittle> {
    if evaluator.has_chance(pool) {
        return Plan::new(pool.len(), shares.finalists, budget, halving);
    }
    let mut plan = Plan::new(pool.len(), shares.finalists, budget, &Halving { replications: 1, ..halving.clone() })?;
    plan.steps.iter_mut().for_each(|step| step.replications = 1);
    Ok(plan)
}

/// What a race lacks, said of the whole budget.
fn whole(settings: &Settings, plan: Result<Plan, TooLittle>) -> Result<Plan, SearchFault> {
    plan.map_err(|lacks| {
        let needed = (lacks.needed / lacks.budget * settings.budget).ceil();
        TooLittle { budget: settings.budget, needed, ..lacks }.into()
    })
}

/// The selection.
fn finish(
    evaluator: &mut Evaluator<'_>,
    settings: &Settings,
    shares: &Shares,
    finalists: &[Id],
    terms: &Terms,
    outcome: &mut Outcome,
) -> Result<(), SearchFault> {
    let begun = evaluator.spent();
    let budget = shares.selection_and_rest - outcome.spent.screening.simulations;
    let limits = Limits { budget, replications_max: settings.replications_max };
    let Ok(selected) = choose(evaluator, finalists, terms, limits, outcome) else {
        outcome.spent.selection = since(evaluator.spent(), begun);
        outcome.ended = Ended::InSelection;
        return Ok(());
    };
    outcome.spent.selection = since(evaluator.spent(), begun);
    if selected.stopped {
        outcome.ended = Ended::InSelection;
        // Without a whole replication of all there is nothing to choose by, or even to show.
        if selected.selection.finalists.iter().all(|finalist| finalist.replications == 0) {
            return Ok(());
        }
    } else {
        fault(&selected, outcome)?;
    }
    outcome.choice = selected.choice;
    outcome.closest = selected.closest;
    outcome.selection = Some(selected.selection);
    if outcome.choice.is_none() && !selected.stopped {
        if settings.tolerances.is_empty() {
            return Err(SearchFault::Patchy);
        }
        outcome.ended = Ended::NothingFeasible;
    }
    Ok(())
}

/// What a selection that was not stopped never saw.
fn fault(selected: &Selected, outcome: &Outcome) -> Result<(), SearchFault> {
    if outcome.spent.screening.requests + outcome.spent.selection.requests == 0 {
        return Err(SearchFault::NoRequest);
    }
    if let Some(constraint) = never_shown(selected) {
        return Err(SearchFault::NeverShown(constraint));
    }
    let seen = |k: usize| {
        let visits = outcome.rungs.iter().flat_map(|rung| &rung.visits);
        visits.into_iter().any(|visit| visit.objectives.get(k).is_some_and(Option::is_some))
    };
    // What some run showed is patchy.
    match unmeasured(selected) {
        None => Ok(()),
        Some(objective) if seen(objective) => Err(SearchFault::Patchy),
        Some(objective) => Err(SearchFault::Unmeasured(objective)),
    }
}

/// Breaks a tie, puts back what need not change, and measures what is then recommended once more.
fn settle(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    (settings, shares): (&Settings, &Shares),
    today: Option<&Today<'_>>,
    terms: &Terms,
    outcome: &mut Outcome,
) {
    let (Some(mut choice), Ended::Complete) = (outcome.choice, outcome.ended) else { return };
    if let Some(selection) = outcome.selection.as_mut().filter(|_| outcome.front.is_none())
        && let Some((chosen, tie)) = break_tie(space, evaluator, today, outcome.baseline, selection)
    {
        (choice, outcome.choice, outcome.tie) = (chosen, Some(chosen), Some(tie));
    }
    // With several objectives there is no zone in which all of them are as good.
    let in_force = today.and_then(|today| today.in_force.as_ref()).filter(|_| outcome.front.is_none());
    if let Some(in_force) = in_force.filter(|_| Some(choice) != outcome.baseline) {
        let begun = evaluator.spent();
        let small = Small { zone: terms.zone, tolerances: &settings.tolerances };
        let found = put_back(space, evaluator, choice, in_force, small, settings.first);
        outcome.spent.unchanged = since(evaluator.spent(), begun);
        match found {
            Ok(Some((found, unchanged))) => {
                let all_back = evaluator.point(found) == in_force;
                choice = outcome.baseline.filter(|_| all_back).unwrap_or(found);
                outcome.unchanged = Some(unchanged);
            }
            Ok(None) => choice = outcome.baseline.unwrap_or(choice),
            Err(Stopped) => {
                outcome.ended = Ended::InConfirmation;
                return;
            }
        }
    }
    outcome.choice = Some(choice);
    let begun = evaluator.spent();
    let count = if outcome.without_chance { 1 } else { shares.confirmation };
    match confirm(evaluator, choice, outcome.baseline, count) {
        Ok(confirmation) => outcome.confirmation = Some(confirmation),
        Err(Stopped) => outcome.ended = Ended::InConfirmation,
    }
    outcome.spent.confirmation = since(evaluator.spent(), begun);
}

fn choose(
    evaluator: &mut Evaluator<'_>,
    finalists: &[Id],
    terms: &Terms,
    limits: Limits,
    outcome: &mut Outcome,
) -> Result<Selected, Stopped> {
    if outcome.rungs.last().and_then(|rung| rung.visits.first()).is_none_or(|visit| visit.objectives.len() < 2) {
        return if outcome.without_chance {
            select_at_once(evaluator, finalists, terms)
        } else {
            Ok(select(evaluator, finalists, terms, limits))
        };
    }
    let (selected, all) = measure_all(evaluator, finalists, terms, limits)?;
    outcome.front = Some(front_of(finalists, &all));
    Ok(selected)
}

/// The zone in the objective's unit. Relative to the best mean that the screening kept; to 1 where it says nothing.
fn zone(zone: Zone, last: Option<&Rung>) -> f64 {
    let share = match zone {
        Zone::Absolute(zone) => return zone,
        Zone::Relative(share) => share,
    };
    let first = |rung: &Rung| {
        let mut visits: Vec<_> = rung.visits.iter().collect();
        visits.sort_by_key(|visit| visit.rank);
        let means = visits.iter().filter_map(|visit| visit.objectives.first()?.map(|figure| figure.mean.abs()));
        means.into_iter().find(|mean| *mean > 0.0)
    };
    share * last.and_then(first).unwrap_or(1.0)
}

/// An objective that no finalist showed.
fn unmeasured(selected: &Selected) -> Option<usize> {
    let finalists = &selected.selection.finalists;
    let objectives = finalists.first()?.objectives.len();
    (0..objectives).find(|k| finalists.iter().all(|finalist| finalist.objectives[*k].is_none()))
}

/// A constraint whose figure no finalist showed in any run.
fn never_shown(selected: &Selected) -> Option<usize> {
    let finalists = &selected.selection.finalists;
    let constraints = finalists.first()?.constraints.len();
    (0..constraints).find(|k| finalists.iter().all(|finalist| finalist.constraints[*k].is_none()))
}

fn front_of(finalists: &[Id], all: &[Measured]) -> Front {
    let means: Vec<(Id, Vec<f64>, bool)> =
        finalists.iter().zip(all).filter_map(|(id, m)| Some((*id, m.means()?, m.holds()))).collect();
    let objectives = means.first().map_or(0, |(_, means, _)| means.len());
    let worst = |k: usize| means.iter().map(|(_, means, _)| means[k]).fold(f64::INFINITY, f64::min);
    let reference: Vec<f64> = (0..objectives).map(worst).collect();
    let feasible: Vec<&(Id, Vec<f64>, bool)> = means.iter().filter(|(_, _, holds)| *holds).collect();
    let points: Vec<&[f64]> = feasible.iter().map(|(_, means, _)| means.as_slice()).collect();
    let mut on = crate::tune::front(&points);
    on.sort_by(|a, b| points[*b][0].total_cmp(&points[*a][0]));
    let hypervolume = hypervolume(&points, &reference);
    Front { members: on.into_iter().map(|i| feasible[i].0).collect(), reference, hypervolume }
}

fn confirm(evaluator: &mut Evaluator<'_>, choice: Id, baseline: Option<Id>, count: u32) -> Result<Confirmation, Stopped> {
    evaluator.tell(Stage::Confirmation, None);
    let series = Series { from: CONFIRMATION_FROM, count, share: 1.0 };
    let both: Vec<Id> = std::iter::once(choice).chain(baseline).collect();
    let all = observe(evaluator, &both, &series)?;
    let gain = |base: &Measured| {
        let pairs = all[0].objectives.iter().zip(&base.objectives);
        pairs.map(|(choice, base)| figure(&paired(choice.as_ref()?, base.as_ref()?))).collect()
    };
    let base = all.get(1);
    Ok(Confirmation {
        series,
        objectives: all[0].objective_figures(),
        constraints: all[0].constraint_figures(),
        baseline_objectives: base.map(Measured::objective_figures).unwrap_or_default(),
        baseline_constraints: base.map(Measured::constraint_figures).unwrap_or_default(),
        gain: base.map(gain).unwrap_or_default(),
    })
}

/// Makes sure that a search can be made, as far as that can be told without running anything: settings in their ranges, and a
/// budget that pays for the shortest race of the candidates. What a model will propose is not known before.
///
/// # Errors
/// As [`search`].
pub fn affordable(space: &Space, settings: &Settings, baseline: Option<&Point>) -> Result<(), SearchFault> {
    settings.check()?;
    let shares = Shares::of(settings, baseline.is_some())?;
    let count = |pool: &Pool| -> usize {
        let points = pool.points(space, settings.seed).into_iter().chain(baseline.cloned());
        points.collect::<BTreeSet<Point>>().len()
    };
    match &settings.method {
        Method::Fixed { pool, replications } => fixed(settings, &shares, count(pool), *replications).map(drop),
        Method::Halving { pool, halving } => {
            whole(settings, Plan::new(count(pool), shares.finalists, shares.screening, halving)).map(drop)
        }
        Method::Model { .. } => Ok(()),
    }
}

/// All candidates run alike at full length.
fn fixed(settings: &Settings, shares: &Shares, candidates: usize, replications: u32) -> Result<Plan, SearchFault> {
    let plan = Plan::fixed(candidates, shares.finalists, replications);
    if plan.cost() > shares.screening {
        let needed = (plan.cost() / SCREENING / (1.0 - CONFIRMATION)).ceil();
        return Err(TooLittle { budget: settings.budget, candidates, needed }.into());
    }
    Ok(plan)
}

fn bindings(outcome: &Outcome, choice: Id, tolerances: &[f64]) -> Vec<Binding> {
    let selected = outcome.selected().unwrap_or(choice);
    let finalist = outcome.selection.as_ref().and_then(|s| s.finalists.iter().find(|f| f.candidate == selected));
    let visits = || outcome.rungs.iter().rev().flat_map(|rung| &rung.visits);
    let visit = || visits().find(|visit| visit.candidate == selected);
    let slacks = match (&outcome.confirmation, finalist) {
        (Some(confirmation), _) => &confirmation.constraints,
        (None, Some(finalist)) => &finalist.constraints,
        (None, None) => match visit() {
            Some(visit) => &visit.constraints,
            None => return Vec::new(),
        },
    };
    let one = |(constraint, slack): (usize, &Option<crate::tune::Figure>)| {
        let tolerance = tolerances.get(constraint).copied().unwrap_or(0.0);
        let near = slack.is_some_and(|figure| figure.interval.map_or(figure.mean, |interval| interval.lo) <= tolerance);
        Binding { constraint, slack: *slack, near, costs: costs(&outcome.rungs, selected, constraint) }
    };
    slacks.iter().enumerate().map(one).collect()
}

/// By how much the best that breaks `constraint` beat `choice`, in the last rung that has both.
fn costs(rungs: &[Rung], choice: Id, constraint: usize) -> Option<f64> {
    let mean = |visit: &Visit| visit.objectives.first()?.map(|figure| figure.mean);
    let in_rung = |rung: &Rung| {
        let own = mean(rung.visits.iter().find(|visit| visit.candidate == choice)?)?;
        let breaks =
            |visit: &&Visit| visit.constraints.get(constraint).copied().flatten().is_some_and(|slack| slack.mean < 0.0);
        let best = rung.visits.iter().filter(breaks).filter_map(mean).reduce(f64::max)?;
        Some((best > own).then_some(best - own))
    };
    rungs.iter().rev().find_map(in_rung).flatten()
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;

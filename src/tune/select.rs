//! The final selection: runs finalists on fresh replications through the [`Contest`] until it is decided or paid out.

use crate::tune::halving::{jobs, observe};
use crate::tune::measure::{Measured, Series, by_merit, figure, paired};
use crate::tune::outcome::{Finalist, Selection, Standing};
use crate::tune::problem::SELECTION_FROM;
use crate::tune::rank;
use crate::tune::{Contest, Evaluator, Fate, Id, Job, Stage, Stopped, Terms};

/// Jobs in a batch at least, so that many threads have work when two finalists are left. A constant: the number of threads
/// must not change what is run.
const BATCH: usize = 16;

/// What a selection may spend.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Limits {
    /// Simulations.
    pub budget: f64,
    /// Replications of one finalist.
    pub replications_max: u32,
}

/// A selection with the choice it leads to.
pub(super) struct Selected {
    pub selection: Selection,
    pub choice: Option<Id>,
    pub closest: Option<Id>,
    pub stopped: bool,
}

/// One objective: the sequential contest.
pub(super) fn select(evaluator: &mut Evaluator<'_>, finalists: &[Id], terms: &Terms, limits: Limits) -> Selected {
    let mut contest = Contest::new(finalists.len(), terms.clone());
    let begun = evaluator.spent().simulations;
    let mut stopped = false;
    while !contest.decided() && contest.replications() < limits.replications_max {
        let open = contest.open().count();
        let left = limits.budget - (evaluator.spent().simulations - begun);
        let count = batch(&contest, open, left, terms.first, limits.replications_max);
        if count == 0 {
            break;
        }
        // What was whole when it was stopped may have decided it.
        if feed(evaluator, &mut contest, finalists, count).is_err() && !contest.decided() {
            stopped = true;
            break;
        }
        let leader = contest.leader().map(|i| (i, measured(evaluator, finalists[i], &contest, i)));
        let best = leader.and_then(|(i, measured)| Some((finalists[i], measured.mean(0)?)));
        evaluator.tell(Stage::Selection { left: contest.open().count() }, best);
    }
    let leader = contest.leader();
    let all: Vec<Measured> = (0..finalists.len()).map(|i| measured(evaluator, finalists[i], &contest, i)).collect();
    let finalist = |i: usize| describe(finalists, &all, &contest, i, leader);
    let decided = contest.decided();
    let selection = Selection {
        finalists: (0..finalists.len()).map(finalist).collect(),
        alpha: terms.alpha,
        zone: Some(terms.zone),
        first: terms.first,
        decided,
        capped: contest.replications() >= limits.replications_max,
        beyond: !decided && contest.is_beyond(limits.replications_max),
        needed: contest.left_at_most().filter(|_| !decided),
    };
    let closest = if leader.is_some() { None } else { closest(finalists, &all) };
    Selected { selection, choice: leader.map(|i| finalists[i]), closest, stopped }
}

/// How many replications to run next; 0 where the budget does not pay for one of each open system.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
fn batch(contest: &Contest, open: usize, left: f64, first: u32, most: u32) -> u32 {
    let wanted = if contest.replications() < first { first - contest.replications() } else { BATCH.div_ceil(open) as u32 };
    let affordable = (left / open.max(1) as f64 * (1.0 + 1e-9)).max(0.0) as u32;
    wanted.min(affordable).min(most - contest.replications())
}

fn feed(evaluator: &mut Evaluator<'_>, contest: &mut Contest, finalists: &[Id], count: u32) -> Result<(), Stopped> {
    let from = SELECTION_FROM + contest.replications();
    let open: Vec<usize> = contest.open().collect();
    let job = |replication| open.iter().map(move |i| Job { candidate: finalists[*i], replication, share: 1.0 });
    let jobs: Vec<Job> = (from..from + count).flat_map(job).collect();
    let ran = evaluator.run(&jobs);
    // Of a batch that was stopped the whole replications count.
    for replication in from..from + count {
        let open: Vec<usize> = contest.open().collect();
        let seen: Option<Vec<_>> = open.iter().map(|i| evaluator.seen(finalists[*i], replication, 1.0)).collect();
        let Some(seen) = seen else { break };
        let row: Vec<(Option<f64>, &[Option<f64>])> =
            seen.iter().map(|seen| (seen.objectives.first().copied().flatten(), seen.constraints.as_slice())).collect();
        let seconds: Vec<Option<f64>> = seen.iter().map(|seen| seen.second).collect();
        contest.take(&row, &seconds);
        if contest.decided() {
            break;
        }
    }
    ran
}

/// How many replications system `i` took part in.
fn took_part(contest: &Contest, i: usize) -> u32 {
    match contest.fates()[i] {
        Fate::Open => contest.replications(),
        Fate::Beaten { at, .. } | Fate::Infeasible { at, .. } | Fate::Unmeasured { at } => at,
    }
}

fn measured(evaluator: &Evaluator<'_>, id: Id, contest: &Contest, i: usize) -> Measured {
    Measured::of(evaluator, id, &Series { from: SELECTION_FROM, count: took_part(contest, i), share: 1.0 })
}

fn describe(finalists: &[Id], all: &[Measured], contest: &Contest, i: usize, leader: Option<usize>) -> Finalist {
    let standing = match contest.fates()[i] {
        Fate::Open if leader == Some(i) => Standing::Chosen,
        Fate::Open => Standing::Open,
        // Of one whose constraints are open it is not known whether it may be chosen at all.
        Fate::Beaten { by, at } => match leader.filter(|leader| contest.feasible(i) && all[*leader].ties(&all[i])) {
            Some(leader) => Standing::Tied { with: finalists[leader] },
            None => Standing::Beaten { by: finalists[by], at },
        },
        Fate::Infeasible { constraint, at } => Standing::Infeasible { constraint, at },
        Fate::Unmeasured { at } => Standing::Unmeasured { at },
    };
    Finalist {
        candidate: finalists[i],
        replications: took_part(contest, i),
        objectives: all[i].objective_figures(),
        constraints: all[i].constraint_figures(),
        standing,
        unsure: contest.unsure(i),
        behind: leader.filter(|leader| *leader != i).and_then(|leader| behind(&all[leader], &all[i])),
    }
}

fn behind(choice: &Measured, other: &Measured) -> Option<crate::tune::Figure> {
    let (choice, other) = (choice.objectives.first()?.as_ref()?, other.objectives.first()?.as_ref()?);
    figure(&paired(choice, other))
}

/// The finalist that breaks the constraints least.
fn closest(finalists: &[Id], all: &[Measured]) -> Option<Id> {
    let scales = rank::scales(all);
    let measured = all.iter().zip(finalists).filter(|(measured, _)| measured.means().is_some());
    let violations = measured.map(|(measured, id)| (rank::violation(measured, &scales), *id));
    violations.reduce(|a, b| if b.0 < a.0 { b } else { a }).map(|(_, id)| id)
}

/// One objective without chance: one run of each finalist, and the best of those that hold the constraints is the choice.
pub(super) fn select_at_once(evaluator: &mut Evaluator<'_>, finalists: &[Id], terms: &Terms) -> Result<Selected, Stopped> {
    let all = observe(evaluator, finalists, &Series { from: SELECTION_FROM, count: 1, share: 1.0 })?;
    let mut selected = ranked(finalists, &all, terms, 1);
    selected.selection.zone = Some(terms.zone);
    let Some(by) = selected.choice else { return Ok(selected) };
    let own = finalists.iter().position(|id| *id == by).expect("the choice is a finalist");
    for (finalist, seen) in selected.selection.finalists.iter_mut().zip(&all) {
        if finalist.standing == Standing::Open {
            let tied = all[own].ties(seen);
            finalist.standing = if tied { Standing::Tied { with: by } } else { Standing::Beaten { by, at: 1 } };
        }
    }
    Ok(selected)
}

/// Several objectives: all finalists are run equally often, and whoever ranks first is the choice.
pub(super) fn measure_all(
    evaluator: &mut Evaluator<'_>,
    finalists: &[Id],
    terms: &Terms,
    limits: Limits,
) -> Result<(Selected, Vec<Measured>), Stopped> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    let affordable = (limits.budget / finalists.len() as f64) as u32;
    // More would show differences that nobody asked for.
    let count = affordable.clamp(2, limits.replications_max).min(terms.first.saturating_mul(3));
    let count = if evaluator.has_chance(finalists) { count } else { 1 };
    let series = Series { from: SELECTION_FROM, count, share: 1.0 };
    let ran = evaluator.run(&jobs(finalists, &series));
    // Where it was stopped the whole replications count, if there are any.
    let count = evaluator.whole(finalists, &series);
    if count == 0 {
        ran?;
    }
    let series = Series { count, ..series };
    let all: Vec<Measured> = finalists.iter().map(|id| Measured::of(evaluator, *id, &series)).collect();
    let selected = Selected { stopped: ran.is_err(), ..ranked(finalists, &all, terms, count) };
    Ok((selected, all))
}

/// A selection in which nothing is eliminated: the best by its mean in the first objective, of those that hold the constraints.
fn ranked(finalists: &[Id], all: &[Measured], terms: &Terms, count: u32) -> Selected {
    // Of equals, as they rank.
    let feasible = rank::order(all).into_iter().filter(|i| all[*i].holds() && all[*i].means().is_some());
    let better = |i: usize, than: usize| all[i].merit().zip(all[than].merit()).is_some_and(|(a, b)| by_merit(a, b).is_gt());
    let best = |best: usize, i: usize| if better(i, best) { i } else { best };
    let choice = feasible.reduce(best);
    let finalist = |i: usize| Finalist {
        candidate: finalists[i],
        replications: count,
        objectives: all[i].objective_figures(),
        constraints: all[i].constraint_figures(),
        standing: standing_of_many(&all[i], choice == Some(i), count),
        unsure: Vec::new(),
        behind: choice.filter(|c| *c != i).and_then(|c| behind(&all[c], &all[i])),
    };
    let selection = Selection {
        finalists: (0..finalists.len()).map(finalist).collect(),
        alpha: terms.alpha,
        zone: None,
        first: count,
        decided: true,
        capped: false,
        beyond: false,
        needed: None,
    };
    let closest = if choice.is_some() { None } else { closest(finalists, all) };
    Selected { selection, choice: choice.map(|i| finalists[i]), closest, stopped: false }
}

fn standing_of_many(measured: &Measured, chosen: bool, at: u32) -> Standing {
    if chosen {
        return Standing::Chosen;
    }
    if measured.means().is_none() {
        return Standing::Unmeasured { at };
    }
    let broken = (0..measured.constraints.len()).find(|k| measured.slack(*k).is_none_or(|slack| slack < 0.0));
    broken.map_or(Standing::Open, |constraint| Standing::Infeasible { constraint, at })
}

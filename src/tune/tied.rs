//! Finalists that tie: the same in every replication, down to what decides between equals. Which of them is chosen is no matter of
//! the objective, so it is told, and decided by what else there is: today's settings before all, then whoever does not fail on
//! what was held out, then the one that changes least.

use serde::Serialize;

use crate::tune::outcome::{Selection, Standing};
use crate::tune::search::Today;
use crate::tune::{Evaluator, Id, Point, Space};

/// Finalists that nothing tells apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tie {
    /// All of them, the choice included, as the screening ranked them.
    pub members: Vec<Id>,
    /// Those of them that fail on what was held out: they lose to today's settings there, or break a constraint. What is held out
    /// is no longer fresh to a choice that it has passed before others.
    pub failed: Vec<Id>,
    /// What decided.
    pub broken_by: TieBreak,
}

/// What decides between equals.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// Today's settings are among them.
    Today,
    /// All others fail on what was held out.
    HeldOut,
    /// Nearest to today's settings: the fewest changed, then the least way.
    Nearest,
    /// Only the screening's order: today's settings are not known, or cannot be written as a candidate.
    Order,
}

/// Breaks the tie that the choice of `selection` is in, if it is in one; `selection` then has the new choice.
pub(super) fn break_tie(
    space: &Space,
    evaluator: &Evaluator<'_>,
    today: Option<&Today<'_>>,
    baseline: Option<Id>,
    selection: &mut Selection,
) -> Option<(Id, Tie)> {
    let is_in = |standing: Standing| matches!(standing, Standing::Chosen | Standing::Tied { .. });
    let members: Vec<Id> = selection.finalists.iter().filter(|one| is_in(one.standing)).map(|one| one.candidate).collect();
    if members.len() < 2 {
        return None;
    }
    let (chosen, failed, broken_by) = match baseline.filter(|baseline| members.contains(baseline)) {
        Some(baseline) => (baseline, Vec::new(), TieBreak::Today),
        None => among(space, evaluator, today, &members),
    };
    choose(selection, chosen);
    Some((chosen, Tie { members, failed, broken_by }))
}

/// Who is chosen of `members`, who of them fails on what was held out, and what decided.
fn among(space: &Space, evaluator: &Evaluator<'_>, today: Option<&Today<'_>>, members: &[Id]) -> (Id, Vec<Id>, TieBreak) {
    let points: Vec<Point> = members.iter().map(|id| evaluator.point(*id).clone()).collect();
    // Where somebody stops it, nothing is known against any of them.
    let fits = today.and_then(|today| (today.fits)(&points).ok()).unwrap_or_else(|| vec![true; members.len()]);
    let of = |wanted: bool| members.iter().zip(&fits).filter(move |(_, fits)| **fits == wanted).map(|(id, _)| *id);
    let (fit, failed): (Vec<Id>, Vec<Id>) = (of(true).collect(), of(false).collect());
    if let [one] = fit[..] {
        return (one, failed, TieBreak::HeldOut);
    }
    let left = if fit.is_empty() { members } else { &fit };
    let Some(in_force) = today.and_then(|today| today.in_force.as_ref()) else { return (left[0], failed, TieBreak::Order) };
    let far = |id: &Id| space.distance(evaluator.point(*id), in_force);
    let nearer = |a: Id, b: Id| {
        let ((count_a, far_a), (count_b, far_b)) = (far(&a), far(&b));
        if count_b.cmp(&count_a).then(far_b.total_cmp(&far_a)).is_lt() { b } else { a }
    };
    (left.iter().copied().reduce(nearer).unwrap_or(members[0]), failed, TieBreak::Nearest)
}

/// Makes `chosen` the choice of `selection`, in which it ties with the present one.
fn choose(selection: &mut Selection, chosen: Id) {
    let level = selection.finalists.iter().find(|one| one.candidate == chosen).and_then(|one| one.behind);
    for one in &mut selection.finalists {
        match one.standing {
            Standing::Tied { .. } if one.candidate == chosen => {
                one.standing = Standing::Chosen;
                one.behind = None;
            }
            Standing::Chosen if one.candidate != chosen => {
                one.standing = Standing::Tied { with: chosen };
                one.behind = level;
            }
            Standing::Tied { .. } => one.standing = Standing::Tied { with: chosen },
            _ => (),
        }
    }
}

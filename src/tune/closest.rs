//! Who comes closest to holding the constraints, of all that a search has seen: where nobody holds them, that is what a person
//! wants to know.

use crate::tune::rank;
use crate::tune::{Id, Rung, Verdict, Visit};

/// Where nobody seems to hold the constraints: of each rung, the latest first, the candidate that breaks them least, as far as it
/// is not among `finalists` already; at most `room` of them. Short runs may flatter, so that which is really the closest is for
/// the selection's whole runs to say.
pub(super) fn closest(rungs: &[Rung], finalists: &[Id], room: usize) -> Vec<Id> {
    let holds = |visit: &Visit| visit.constraints.iter().all(|slack| slack.is_some_and(|slack| slack.mean >= 0.0));
    let mut found: Vec<Id> = Vec::new();
    if rungs.last().is_none_or(|rung| rung.visits.iter().any(holds)) {
        return found;
    }
    for rung in rungs.iter().rev() {
        let closest = closest_in(rung).filter(|id| !finalists.contains(id) && !found.contains(id));
        found.extend(closest.filter(|_| found.len() < room));
    }
    found
}

/// The best candidate of a rung that seems to hold the constraints. Of several objectives it is the best in the first: the order of
/// a front begins with its ends.
pub(super) fn leader_in(rung: &Rung) -> Option<Id> {
    let holds = |visit: &&Visit| {
        visit.verdict != Verdict::Unmeasured
            && visit.constraints.iter().all(|slack| slack.is_some_and(|slack| slack.mean >= 0.0))
    };
    let holding = rung.visits.iter().filter(holds);
    if rung.visits.first().is_some_and(|visit| visit.objectives.len() > 1) {
        let first = |visit: &Visit| visit.objectives[0].map_or(f64::NEG_INFINITY, |figure| figure.mean);
        let best = holding.reduce(|best, one| if first(one) > first(best) { one } else { best });
        return best.map(|visit| visit.candidate);
    }
    holding.min_by_key(|visit| visit.rank).map(|visit| visit.candidate)
}

/// Who breaks the constraints least in one rung, as [`rank::violation`] has it.
pub(super) fn closest_in(rung: &Rung) -> Option<Id> {
    let means = |visit: &Visit| -> Vec<Option<f64>> { visit.constraints.iter().map(|of| of.map(|slack| slack.mean)).collect() };
    let measured = rung.visits.iter().filter(|visit| visit.verdict != Verdict::Unmeasured);
    let all: Vec<(Id, Vec<Option<f64>>)> = measured.map(|visit| (visit.candidate, means(visit))).collect();
    let slacks: Vec<&[Option<f64>]> = all.iter().map(|(_, slacks)| slacks.as_slice()).collect();
    let scales = rank::scales_of(&slacks);
    let violations = all.iter().map(|(id, slacks)| (rank::violation_of(slacks, &scales), *id));
    violations.reduce(|a, b| if b.0 < a.0 { b } else { a }).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Figure, Kind, Series, Spent};

    fn visit(candidate: usize, slack: f64, verdict: Verdict) -> Visit {
        let figure = |mean| vec![Some(Figure { mean, interval: None })];
        Visit { candidate: Id(candidate), objectives: figure(1.0), constraints: figure(slack), rank: candidate, verdict }
    }

    fn rung(visits: Vec<Visit>) -> Rung {
        Rung { kind: Kind::Race, series: Series { from: 0, count: 1, share: 1.0 }, visits, spent: Spent::default() }
    }

    #[test]
    fn of_each_rung_the_one_that_breaks_them_least() {
        let dropped = |candidate, slack| visit(candidate, slack, Verdict::RankedOut);
        let first = rung(vec![dropped(0, -5.0), dropped(1, -1.0), visit(2, -0.5, Verdict::Unmeasured), dropped(3, -9.0)]);
        let last = rung(vec![dropped(0, -5.0), dropped(3, -9.0)]);
        assert_eq!(closest(&[first.clone(), last.clone()], &[Id(0)], 9), [Id(1)], "1 was closest before it was dropped");
        assert_eq!(closest(&[first.clone(), last], &[Id(3)], 1), [Id(0)], "there is room for one");
        let held = rung(vec![dropped(0, -5.0), visit(3, 0.1, Verdict::Kept)]);
        assert_eq!((leader_in(&first), leader_in(&held)), (None, Some(Id(3))), "the best one breaks them");
        assert!(closest(&[first, held], &[Id(3)], 9).is_empty(), "somebody holds them");
    }
}

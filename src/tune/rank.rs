//! The order of candidates on what has been measured so far: objectives, constraints, and what was not measured at all.
//!
//! With one objective the higher mean comes first, of equal ones the higher mean of what decides between equals. With several,
//! candidates that no other dominates come first, then those that only these dominate, and so on; inside a layer those that stand alone come first (K. Deb et al., "A fast and elitist
//! multiobjective genetic algorithm: NSGA-II", IEEE Trans. Evol. Comput. 6 (2002), 182-197).
//!
//! With constraints the best settings often lie where one binds, where half of all short runs show it broken. So the order
//! takes turns: the best of those that seem feasible, then the best of those that may be (no constraint is broken beyond a
//! one-sided 95 % bound), and so on. Those that surely are not come after them all, the least violation first.

use crate::stats::variance;
use crate::tune::measure::{Measured, half_width};

/// Level of the two-sided interval whose upper end is the one-sided 95 % bound.
const ONE_SIDED: f64 = 0.90;

/// The places of `all`, the best first. Ties keep their order.
#[must_use]
pub fn order(all: &[Measured]) -> Vec<usize> {
    let merit = by_merit(all);
    let seems: Vec<usize> = merit.iter().copied().filter(|i| all[*i].holds()).collect();
    let may: Vec<usize> = merit.iter().copied().filter(|i| may_hold(&all[*i])).collect();
    let mut taken = vec![false; all.len()];
    let mut order = Vec::with_capacity(all.len());
    let (mut seems, mut may) = (seems.into_iter(), may.into_iter());
    loop {
        let turns = [next_free(&mut seems, &mut taken), next_free(&mut may, &mut taken)];
        if turns == [None, None] {
            break;
        }
        order.extend(turns.into_iter().flatten());
    }
    let scales = scales(all);
    let mut broken: Vec<(f64, usize)> =
        merit.into_iter().filter(|i| !taken[*i]).map(|i| (violation(&all[i], &scales), i)).collect();
    broken.sort_by(|a, b| a.0.total_cmp(&b.0)); // stable: of equal ones the better objective
    order.extend(broken.iter().map(|(_, i)| *i));
    for (i, measured) in all.iter().enumerate() {
        if measured.means().is_none() {
            order.push(i);
        }
    }
    order
}

fn next_free(of: &mut impl Iterator<Item = usize>, taken: &mut [bool]) -> Option<usize> {
    let found = of.find(|i| !taken[*i])?;
    taken[found] = true;
    Some(found)
}

/// Whether no constraint is broken beyond doubt.
#[must_use]
pub fn may_hold(measured: &Measured) -> bool {
    measured.constraints.iter().all(|values| match (crate::stats::mean(values), half_width(values, ONE_SIDED)) {
        (Some(mean), Some(half)) => mean + half >= 0.0,
        _ => true,
    })
}

/// By how much constraints are broken on average, each in standard deviations of that constraint between candidates; what was
/// never shown counts as one.
#[must_use]
pub fn violation(measured: &Measured, scales: &[f64]) -> f64 {
    violation_of(&slacks(measured), scales)
}

/// The same of mean slacks.
pub(super) fn violation_of(slacks: &[Option<f64>], scales: &[f64]) -> f64 {
    slacks.iter().zip(scales).map(|(slack, scale)| slack.map_or(1.0, |slack| (-slack).max(0.0) / scale)).sum()
}

/// The standard deviation of each constraint between candidates; 1 where there is none.
#[must_use]
pub fn scales(all: &[Measured]) -> Vec<f64> {
    let all: Vec<Vec<Option<f64>>> = all.iter().map(slacks).collect();
    scales_of(&all.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The same of each candidate's mean slacks.
pub(super) fn scales_of(all: &[&[Option<f64>]]) -> Vec<f64> {
    let constraints = all.first().map_or(0, |slacks| slacks.len());
    let scale = |k: usize| {
        let slacks: Vec<f64> = all.iter().filter_map(|slacks| slacks[k]).collect();
        variance(&slacks).filter(|v| *v > 0.0 && v.is_finite()).map_or(1.0, f64::sqrt)
    };
    (0..constraints).map(scale).collect()
}

fn slacks(measured: &Measured) -> Vec<Option<f64>> {
    (0..measured.constraints.len()).map(|k| measured.slack(k)).collect()
}

/// Those whose objectives were all measured, the best first, whatever their constraints.
fn by_merit(all: &[Measured]) -> Vec<usize> {
    let means: Vec<(usize, Vec<f64>)> = all.iter().enumerate().filter_map(|(i, m)| Some((i, m.means()?))).collect();
    let mut order: Vec<usize> = (0..means.len()).collect();
    if means.first().is_none_or(|(_, objectives)| objectives.len() == 1) {
        let merit = |place: usize| all[means[place].0].merit().unwrap_or((f64::NEG_INFINITY, 0.0));
        order.sort_by(|a, b| super::measure::by_merit(merit(*b), merit(*a)));
    } else {
        let points: Vec<&[f64]> = means.iter().map(|(_, objectives)| objectives.as_slice()).collect();
        order = super::pareto::layers_in_order(&points);
    }
    order.into_iter().map(|place| means[place].0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(objective: Option<f64>, slack: &[f64]) -> Measured {
        Measured {
            objectives: vec![objective.map(|x| vec![x; 4])],
            constraints: if slack.is_empty() { vec![] } else { vec![slack.to_vec()] },
            second: None,
        }
    }

    #[test]
    fn without_constraints_the_mean_decides_and_the_unmeasured_come_last() {
        let all = [one(Some(1.0), &[]), one(None, &[]), one(Some(3.0), &[]), one(Some(1.0), &[])];
        assert_eq!(order(&all), [2, 0, 3, 1]);
    }

    #[test]
    fn of_equals_what_decides_between_them_does() {
        let of = |objective: f64, second: f64| Measured { second: Some(vec![second; 4]), ..one(Some(objective), &[]) };
        assert_eq!(order(&[of(1.0, 9.0), of(2.0, 1.0), of(2.0, 3.0), of(2.0, 2.0)]), [2, 3, 1, 0]);
    }

    #[test]
    fn the_feasible_and_the_possible_take_turns() {
        let doubtful = [-1.0, 0.9, -1.0, 0.9];
        let all = [
            one(Some(5.0), &[-1.0, -1.1, -0.9, -1.0]), // surely broken
            one(Some(1.0), &[1.0; 4]),
            one(Some(2.0), &[1.0; 4]),
            one(Some(4.0), &doubtful),
            one(Some(3.0), &doubtful),
            one(Some(9.0), &[-9.0, -9.1, -9.0, -9.0]), // more so
        ];
        assert_eq!(order(&all), [2, 3, 1, 4, 0, 5]);
    }

    #[test]
    fn a_constraint_that_nobody_shows_leaves_the_objective() {
        let silent = |x: f64| Measured { objectives: vec![Some(vec![x])], constraints: vec![vec![]], second: None };
        assert_eq!(order(&[silent(1.0), silent(2.0)]), [1, 0]);
    }
}

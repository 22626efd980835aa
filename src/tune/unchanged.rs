//! What need not change: parameters of the choice that can go back to today's value at no cost.
//!
//! A search says which settings are best, and moves every parameter on its way, those too that do not matter. So each parameter
//! that the choice changes is put back, one after the other, those that may go back staying back, and run beside the choice on
//! requests that nothing was chosen by. It stays as it is today where the choice is not better by the indifference zone, beyond a
//! one-sided paired bound at 95 % over all parameters that are tried (Bonferroni), and where every constraint still holds: its slack is
//! no less than the choice's, to within the tolerance, or surely above the tolerance. All are compared with the choice itself, so that
//! what is lost in all is less than one zone. Where both are the same in the objective, what
//! decides between equals must not be the worse for it either.

use serde::Serialize;

use crate::tune::halving::observe;
use crate::tune::measure::{Figure, Measured, Series, figure, half_width, paired};
use crate::tune::problem::UNCHANGED_FROM;
use crate::tune::{Evaluator, Id, Point, Space, Stage, Stopped};

/// Probability of putting back something that costs more than the zone.
pub const PUT_BACK_ERROR: f64 = 0.05;

/// What became of the parameters that the selection's choice changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unchanged {
    /// The selection's choice.
    pub from: Id,
    /// Which replications each was tried on.
    pub series: Series,
    /// Each parameter that was tried, in order.
    pub trials: Vec<Trial>,
}

impl Unchanged {
    /// Places of the parameters that stay as they are today.
    pub fn kept(&self) -> impl Iterator<Item = usize> + '_ {
        self.trials.iter().filter(|trial| trial.kept).map(|trial| trial.parameter)
    }
}

/// One parameter put back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Which parameter, by its place in the space.
    pub parameter: usize,
    /// The candidate: the choice with this and all earlier ones that stay.
    pub candidate: Id,
    /// How much better it is than the selection's choice in the first objective.
    pub change: Option<Figure>,
    /// Whether it stays as it is today.
    pub kept: bool,
}

/// How much does not matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small<'a> {
    pub zone: f64,
    pub tolerances: &'a [f64],
}

/// Puts the parameters of `choice` back to `today` that make no difference, on `replications` of each. Returns what is then
/// recommended, and what was tried; `None` where nothing differs.
///
/// # Errors
/// Where somebody stopped it.
pub(super) fn put_back(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    choice: Id,
    today: &Point,
    small: Small<'_>,
    replications: u32,
) -> Result<Option<(Id, Unchanged)>, Stopped> {
    let own = evaluator.point(choice).clone();
    let changed: Vec<usize> = (0..space.dimensions()).filter(|k| differs(&own, today, *k)).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    evaluator.tell(Stage::Confirmation, None);
    let all_back: Vec<Id> = changed.iter().map(|k| evaluator.id(&space.back(&own, today, *k))).collect();
    let count = if evaluator.has_chance(&all_back) || evaluator.has_chance(&[choice]) { replications } else { 1 };
    let series = Series { from: UNCHANGED_FROM, count, share: 1.0 };
    let base = observe(evaluator, &[choice], &series)?.remove(0);
    let level = 1.0 - 2.0 * PUT_BACK_ERROR / changed.len() as f64;
    let (mut point, mut trials) = (own, Vec::new());
    for parameter in changed {
        // An earlier one may have taken it along.
        if !differs(&point, today, parameter) {
            continue;
        }
        let back = space.back(&point, today, parameter);
        let candidate = evaluator.id(&back);
        let seen = observe(evaluator, &[candidate], &series)?.remove(0);
        let kept = costs_nothing(&seen, &base, small, level);
        let pair = seen.objectives[0].as_ref().zip(base.objectives[0].as_ref());
        trials.push(Trial { parameter, candidate, change: pair.and_then(|(a, b)| figure(&paired(a, b))), kept });
        if kept {
            point = back;
        }
    }
    let chosen = evaluator.id(&point);
    Ok(Some((chosen, Unchanged { from: choice, series, trials })))
}

fn differs(point: &Point, today: &Point, parameter: usize) -> bool {
    point.setting(parameter).is_some() && point.setting(parameter) != today.setting(parameter)
}

/// Whether `seen` loses less than the zone against `base`, and is no worse in any constraint, beyond one-sided bounds.
fn costs_nothing(seen: &Measured, base: &Measured, small: Small<'_>, level: f64) -> bool {
    let (Some(Some(objective)), Some(Some(own))) = (seen.objectives.first(), base.objectives.first()) else { return false };
    let constraints = seen.constraints.iter().zip(&base.constraints).zip(small.tolerances);
    let lost = paired(objective, own);
    // Of several futures the worst may be the same, and the choice may be one for the others.
    let is_level = lost.iter().all(|lost| lost.abs() <= 0.0);
    let seconds = seen.second.as_ref().zip(base.second.as_ref()).filter(|_| is_level);
    not_below(&lost, -small.zone, level)
        && seconds.is_none_or(|(second, own)| not_below(&paired(second, own), -small.zone, level))
        && constraints.into_iter().all(|((slacks, own), tolerance)| {
            let mean = |slacks: &[f64]| crate::stats::mean(slacks);
            let holds = mean(slacks).is_some_and(|slack| slack >= 0.0 || mean(own).is_some_and(|own| slack >= own));
            let alike = slacks.len() == own.len() && not_below(&paired(slacks, own), -tolerance, level);
            slacks.len() >= own.len() && holds && (alike || not_below(slacks, *tolerance, level))
        })
}

/// Whether the mean of `values` lies above `least` beyond the lower end of its interval at `level`.
fn not_below(values: &[f64], least: f64, level: f64) -> bool {
    let half = half_width(values, level).unwrap_or(0.0);
    crate::stats::mean(values).is_some_and(|mean| mean - half > least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Domain, Observation, Parameter, Problem, Scale, Setting};

    /// The first number matters, the second not at all, the third by little; the last is bound by a constraint alone.
    struct Some4;

    impl Problem for Some4 {
        fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
            let x: Vec<f64> = (0..4).map(|k| candidate.setting(k).and_then(Setting::number).unwrap_or(0.0)).collect();
            let luck = f64::from(replication % 5) - 2.0;
            Observation {
                objectives: vec![Some(x[0] + 0.01 * x[2] + luck)],
                constraints: vec![Some(x[3] - 2.5)],
                second: None,
                requests: 1,
            }
        }
    }

    fn space() -> Space {
        let one = |path: &str| {
            let domain = Domain::Integer { lo: 0, hi: 9, scale: Scale::Linear };
            Parameter { path: path.into(), domain, only_if: None }
        };
        Space::new(["a", "b", "c", "d"].map(one).into()).unwrap()
    }

    fn point(settings: [i64; 4]) -> Point {
        Point(settings.map(|x| Some(Setting::Integer(x))).into())
    }

    fn back(choice: [i64; 4], today: [i64; 4]) -> Option<(Point, Unchanged)> {
        let mut evaluator = Evaluator::quiet(&Some4);
        let choice = evaluator.id(&point(choice));
        let small = Small { zone: 0.05, tolerances: &[0.1] };
        let found = put_back(&space(), &mut evaluator, choice, &point(today), small, 10).unwrap();
        found.map(|(id, unchanged)| (evaluator.point(id).clone(), unchanged))
    }

    #[test]
    fn what_makes_no_difference_stays_as_it_is_today() {
        let (found, unchanged) = back([7, 7, 7, 7], [1, 2, 4, 3]).unwrap();
        assert_eq!(found, point([7, 2, 4, 3]), "only the first is worth a change");
        assert_eq!(unchanged.kept().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(unchanged.trials[0].change, Some(Figure { mean: -6.0, interval: None }));
        // Back at 1 the constraint would break.
        assert_eq!(back([1, 2, 4, 7], [1, 2, 4, 1]).unwrap().0, point([1, 2, 4, 7]));
        assert!(back([1, 2, 4, 7], [1, 2, 4, 7]).is_none());
    }

    /// Two futures: the first number matters in the better one alone, so that the worst case says nothing of it.
    #[test]
    fn what_decides_between_equal_worst_cases_is_not_put_back() {
        struct Worst;
        impl Problem for Worst {
            fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
                let x = candidate.setting(0).and_then(Setting::number).unwrap_or(0.0);
                let luck = f64::from(replication % 5);
                Observation { objectives: vec![Some(luck)], constraints: vec![], second: Some(luck + x), requests: 1 }
            }
        }
        let mut evaluator = Evaluator::quiet(&Worst);
        let choice = evaluator.id(&point([7, 7, 7, 7]));
        let small = Small { zone: 0.5, tolerances: &[] };
        let (id, _) =
            put_back(&space(), &mut evaluator, choice, &point([1, 2, 3, 4]), small, 10).unwrap().expect("they differ");
        assert_eq!(evaluator.point(id), &point([7, 2, 3, 4]));
    }

    /// Each step back costs less than the zone, and all together more: the last ones stay changed.
    #[test]
    fn small_losses_do_not_add_up() {
        struct Sum;
        impl Problem for Sum {
            fn run(&self, candidate: &Point, _: u32, _: f64) -> Observation {
                let sum: f64 = (0..4).filter_map(|k| candidate.setting(k).and_then(Setting::number)).sum();
                Observation { objectives: vec![Some(sum)], constraints: vec![], second: None, requests: 1 }
            }
        }
        let mut evaluator = Evaluator::quiet(&Sum);
        let choice = evaluator.id(&point([5, 5, 5, 5]));
        let small = Small { zone: 2.5, tolerances: &[] };
        let (id, _) =
            put_back(&space(), &mut evaluator, choice, &point([4, 4, 4, 4]), small, 10).unwrap().expect("they differ");
        assert_eq!(evaluator.point(id), &point([4, 4, 5, 5]));
    }
}

//! What the choice and the current settings do in one future: another load, another capacity, another scenario.

use serde::Serialize;

use crate::tune::halving::observe;
use crate::tune::measure::{Figure, Measured, Series, figure, paired};
use crate::tune::problem::SENSITIVITY_FROM;
use crate::tune::{Case, Evaluator, Id, Point, Stopped};

/// Both settings in one future.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Elsewhere {
    /// Which future.
    pub case: Case,
    /// Whether nothing was chosen by it.
    pub held_out: bool,
    /// Replications of each.
    pub replications: u32,
    /// The choice's objectives.
    pub choice: Vec<Option<Figure>>,
    /// How far inside each constraint it is.
    pub constraints: Vec<Option<Figure>>,
    /// The current settings' objectives.
    pub current: Vec<Option<Figure>>,
    /// The current settings' slacks.
    pub current_constraints: Vec<Option<Figure>>,
    /// How much better the choice is, replication by replication.
    pub gain: Vec<Option<Figure>>,
    /// How far the choice's first objective stays behind the best that holds the constraints here: of the current settings and
    /// the rivals, replication by replication. `None` without rivals. The best of several that are noisy lies a little too high;
    /// the choice is among them, so that it is never below 0 on average.
    pub regret: Option<Figure>,
    /// The settings that are best in this future alone, where regret was asked for.
    pub alone: Option<AloneThere>,
}

/// What a future's own best settings, chosen on other replications, do in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AloneThere {
    /// The settings.
    pub point: Point,
    /// Their first objective.
    pub objective: Option<Figure>,
    /// How much better it is than the choice's, replication by replication.
    pub ahead: Option<Figure>,
}

/// Runs the choice, the current settings, the choice's rivals and the best settings of this future alone, where they are known, on
/// `evaluator`, which is in `case`, with fresh replications.
///
/// # Errors
/// Where somebody stopped it.
pub fn elsewhere(
    evaluator: &mut Evaluator<'_>,
    (case, held_out): (Case, bool),
    [choice, current]: [&Point; 2],
    (rivals, alone): (&[Point], Option<&Point>),
    replications: u32,
) -> Result<Elsewhere, Stopped> {
    let mut points = vec![choice, current];
    for rival in rivals.iter().chain(alone) {
        if !points.contains(&rival) {
            points.push(rival);
        }
    }
    let ids: Vec<Id> = points.iter().map(|point| evaluator.id(point)).collect();
    let series = Series { from: SENSITIVITY_FROM, count: replications, share: 1.0 };
    let seen: Vec<Measured> = observe(evaluator, &ids, &series)?;
    let pairs = seen[0].objectives.iter().zip(&seen[1].objectives);
    let gain = pairs.map(|(choice, base)| figure(&paired(choice.as_ref()?, base.as_ref()?))).collect();
    Ok(Elsewhere {
        case,
        held_out,
        replications,
        choice: seen[0].objective_figures(),
        constraints: seen[0].constraint_figures(),
        current: seen[1].objective_figures(),
        current_constraints: seen[1].constraint_figures(),
        gain,
        regret: if points.len() > 2 || alone.is_some() { regret(&seen) } else { None },
        alone: alone.and_then(|alone| Some(there(alone, &seen[points.iter().position(|one| *one == alone)?], &seen[0]))),
    })
}

fn there(point: &Point, seen: &Measured, choice: &Measured) -> AloneThere {
    let first = |measured: &Measured| measured.objectives.first().cloned().flatten();
    let pair = first(seen).zip(first(choice));
    let ahead = pair.and_then(|(alone, choice)| figure(&paired(&alone, &choice)));
    AloneThere { point: point.clone(), objective: first(seen).and_then(|values| figure(&values)), ahead }
}

/// How far the first of `seen` stays behind the best of all.
fn regret(seen: &[Measured]) -> Option<Figure> {
    let able = seen.iter().skip(1).filter(|one| one.holds()).chain(&seen[..1]).filter(|one| one.mean(0).is_some());
    let best = able.reduce(|best, one| if one.mean(0) > best.mean(0) { one } else { best })?;
    figure(&paired(best.objectives.first()?.as_ref()?, seen[0].objectives.first()?.as_ref()?))
}

/// The futures of a search together: mean, worst, and where.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Together {
    /// Mean of the first objective over the futures, each alike.
    pub mean: f64,
    /// The lowest of their means, and its place in the list.
    pub worst: (usize, f64),
}

impl Together {
    /// Of one figure in each of `all`; `None` where one lacks it, or there are none.
    #[must_use]
    pub fn of(all: &[Elsewhere], figure: impl Fn(&Elsewhere) -> Option<Figure>) -> Option<Self> {
        let means: Vec<f64> = all.iter().map(|one| Some(figure(one)?.mean)).collect::<Option<_>>()?;
        let lowest = |a: (usize, f64), b: (usize, f64)| if b.1 < a.1 { b } else { a };
        let worst = means.iter().copied().enumerate().reduce(lowest)?;
        Some(Self { mean: crate::stats::mean(&means)?, worst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Observation, Problem, Setting};

    /// As good as it lies near its centre; what lies above 8 breaks the constraint.
    struct Bowl(f64);

    impl Problem for Bowl {
        fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
            let x = candidate.setting(0).and_then(Setting::number).unwrap();
            let luck = f64::from(replication % 2) - 0.5;
            Observation {
                objectives: vec![Some(-(x - self.0).abs() + luck)],
                constraints: vec![Some(8.0 - x)],
                second: None,
                requests: 3,
            }
        }
    }

    fn at(x: f64) -> Point {
        Point(vec![Some(Setting::Real(x))])
    }

    #[test]
    fn regret_is_to_the_best_that_holds() {
        let problem = Bowl(10.0);
        let mut evaluator = Evaluator::quiet(&problem);
        let mut one = |choice: f64, rivals: &[f64]| {
            let rivals: Vec<Point> = rivals.iter().map(|x| at(*x)).collect();
            elsewhere(&mut evaluator, (Case::EXPECTED, false), [&at(choice), &at(1.0)], (&rivals, None), 4).unwrap()
        };
        let found = one(4.0, &[4.0, 7.0, 9.0]);
        let mean = |figure: Option<Figure>| figure.map(|figure| figure.mean);
        assert_eq!((mean(found.choice[0]), mean(found.gain[0])), (Some(-6.0), Some(3.0)));
        assert_eq!(mean(found.regret), Some(3.0), "9 would be nearer, but breaks the constraint");
        assert_eq!(mean(one(7.0, &[4.0, 9.0]).regret), Some(0.0));
        assert_eq!(mean(one(7.0, &[]).regret), None);
    }

    /// The best of a future alone stands beside the choice; where both are the same, it is ahead by nothing.
    #[test]
    fn the_best_alone_is_told_with_its_value() {
        let problem = Bowl(6.0);
        let mut evaluator = Evaluator::quiet(&problem);
        let mut one = |choice: f64| {
            let both = [&at(choice), &at(1.0)];
            elsewhere(&mut evaluator, (Case::EXPECTED, false), both, (&[], Some(&at(6.0))), 4).unwrap()
        };
        let found = one(4.0);
        let alone = found.alone.unwrap();
        assert_eq!((alone.point, alone.objective.unwrap().mean), (at(6.0), 0.0));
        assert_eq!((alone.ahead.unwrap().mean, found.regret.unwrap().mean), (2.0, 2.0));
        let same = one(6.0);
        assert_eq!(
            (same.alone.unwrap().ahead.unwrap(), same.regret.unwrap().mean),
            (Figure { mean: 0.0, interval: None }, 0.0)
        );
    }

    #[test]
    fn the_worst_is_named() {
        let (low, high) = (Bowl(0.0), Bowl(10.0));
        let all: Vec<Elsewhere> = [&low, &high]
            .map(|bowl| {
                let mut evaluator = Evaluator::quiet(bowl);
                elsewhere(&mut evaluator, (Case::EXPECTED, false), [&at(4.0), &at(1.0)], (&[], None), 2).unwrap()
            })
            .into();
        let together = Together::of(&all, |one| one.choice[0]).unwrap();
        assert_eq!((together.mean, together.worst), (-5.0, (1, -6.0)));
        assert_eq!(Together::of(&[], |one| one.choice[0]), None);
    }
}

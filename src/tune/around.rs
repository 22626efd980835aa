//! Around the choice: the tornado of 20 % less and more, and the plateau of each parameter.
//!
//! Both change one parameter at a time, with the others as chosen, and compare with the choice replication by replication on
//! requests that nothing was chosen by.

use serde::Serialize;

use crate::tune::halving::observe;
use crate::tune::measure::{Figure, Measured, Series, figure, paired};
use crate::tune::problem::SENSITIVITY_FROM;
use crate::tune::{Evaluator, Id, Point, Setting, Space, Stopped};

/// How far below the choice still counts as being on its plateau: 2 %.
pub const PLATEAU: f64 = 0.02;

/// One parameter at another setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Its setting.
    pub setting: Setting,
    /// The candidate.
    pub candidate: Id,
    /// How much better it is than the choice, for each objective.
    pub change: Vec<Option<Figure>>,
    /// Whether the constraints hold there on average.
    pub feasible: bool,
}

/// What one parameter does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// Which parameter, by its place in the space.
    pub parameter: usize,
    /// The settings beside the choice: less and more where it is a number, all others where it is a choice.
    pub sides: Vec<Side>,
}

/// Where one parameter may stand without losing more than [`PLATEAU`] of the first objective.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plateau {
    /// Which parameter, by its place in the space.
    pub parameter: usize,
    /// Lowest setting of the run of levels around the choice that stay within.
    pub from: Setting,
    /// Highest one.
    pub to: Setting,
    /// Whether the levels end before the plateau does, below and above: it may go on outside the range.
    pub open: (bool, bool),
    /// Every level that was looked at, in order, the choice's own left out.
    pub levels: Vec<Side>,
}

/// The tornado: each active parameter at 20 % less and more (or at its other choices), `replications` (at least 1) of each.
///
/// # Errors
/// Where it was stopped.
pub fn tornado(space: &Space, evaluator: &mut Evaluator<'_>, choice: &Point, replications: u32) -> Result<Vec<Bar>, Stopped> {
    let active = (0..space.dimensions()).filter(|k| choice.setting(*k).is_some());
    let asked: Vec<(usize, Vec<Point>)> = active.map(|k| (k, space.neighbours(choice, k))).collect();
    let sides = sides(evaluator, choice, &asked, replications)?;
    Ok(asked.iter().zip(sides).map(|((parameter, _), sides)| Bar { parameter: *parameter, sides }).collect())
}

/// The plateau of each active number: `levels` (at least 2) over its range, `replications` (at least 1) of each. A level counts
/// where its mean loss against the choice is at most [`PLATEAU`] of the choice's mean, and the constraints hold on average; the
/// plateau is the unbroken run of such levels around the choice.
///
/// # Errors
/// Where it was stopped.
pub fn plateaus(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    choice: &Point,
    levels: usize,
    replications: u32,
) -> Result<Vec<Plateau>, Stopped> {
    let numeric = |k: &usize| choice.setting(*k).is_some() && space.parameters()[*k].domain.is_numeric();
    let at_levels = |k: usize| {
        let settings = space.parameters()[k].domain.levels(levels.max(2));
        let others = settings.into_iter().filter(|setting| Some(setting) != choice.setting(k));
        (k, others.map(|setting| space.with(choice, k, &setting)).collect())
    };
    let asked: Vec<(usize, Vec<Point>)> = (0..space.dimensions()).filter(numeric).map(at_levels).collect();
    let sides = sides(evaluator, choice, &asked, replications)?;
    let id = evaluator.id(choice);
    let mean = Measured::of(evaluator, id, &series(replications)).mean(0).unwrap_or(0.0);
    let loss_max = PLATEAU * mean.abs();
    let plateau = |((parameter, _), levels): (&(usize, Vec<Point>), Vec<Side>)| {
        plateau(*parameter, choice.setting(*parameter).expect("an active parameter").clone(), levels, loss_max)
    };
    Ok(asked.iter().zip(sides).map(plateau).collect())
}

fn plateau(parameter: usize, own: Setting, levels: Vec<Side>, loss_max: f64) -> Plateau {
    let within =
        |side: &&Side| side.feasible && side.change.first().copied().flatten().is_some_and(|change| change.mean >= -loss_max);
    let split = levels.partition_point(|side| side.setting < own);
    let below = levels[..split].iter().rev().take_while(within).count();
    let above = levels[split..].iter().take_while(within).count();
    let from = if below > 0 { levels[split - below].setting.clone() } else { own.clone() };
    let to = if above > 0 { levels[split + above - 1].setting.clone() } else { own };
    let open = (below == split, above == levels.len() - split);
    Plateau { parameter, from, to, open, levels }
}

fn series(replications: u32) -> Series {
    Series { from: SENSITIVITY_FROM, count: replications.max(1), share: 1.0 }
}

/// Runs the choice and all others, and compares.
fn sides(
    evaluator: &mut Evaluator<'_>,
    choice: &Point,
    asked: &[(usize, Vec<Point>)],
    replications: u32,
) -> Result<Vec<Vec<Side>>, Stopped> {
    let series = series(replications);
    let own = evaluator.id(choice);
    let ids: Vec<Vec<Id>> = asked.iter().map(|(_, points)| points.iter().map(|point| evaluator.id(point)).collect()).collect();
    let pool: Vec<Id> = std::iter::once(own).chain(ids.iter().flatten().copied()).collect();
    let seen = observe(evaluator, &pool, &series)?;
    let mut others = seen[1..].iter();
    let compare = |((parameter, points), ids): (&(usize, Vec<Point>), &Vec<Id>)| {
        let side = |((point, id), other): ((&Point, &Id), &Measured)| Side {
            setting: point.setting(*parameter).expect("what was changed is active").clone(),
            candidate: *id,
            change: change(other, &seen[0]),
            feasible: other.holds(),
        };
        points.iter().zip(ids).zip(others.by_ref()).map(side).collect()
    };
    Ok(asked.iter().zip(&ids).map(compare).collect())
}

fn change(other: &Measured, choice: &Measured) -> Vec<Option<Figure>> {
    let pairs = other.objectives.iter().zip(&choice.objectives);
    pairs.map(|(other, choice)| figure(&paired(other.as_ref()?, choice.as_ref()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Domain, Observation, Parameter, Problem, Scale};

    /// Best at 5, where it is 10, and 1 less for each step away; whole numbers above 7 are not allowed. All meet one luck.
    struct Roof;

    impl Problem for Roof {
        fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
            let x = candidate.setting(0).and_then(Setting::number).unwrap();
            let luck = f64::from(replication % 7);
            let objective = 100.0 - (x - 5.0).abs() + luck;
            Observation { objectives: vec![Some(objective)], constraints: vec![Some(7.5 - x)], requests: 1 }
        }
    }

    fn space() -> Space {
        let domain = Domain::Integer { lo: 0, hi: 9, scale: Scale::Linear };
        let on = Parameter { path: "on".into(), domain: Domain::Bool, only_if: None };
        Space::new(vec![Parameter { path: "x".into(), domain, only_if: None }, on]).unwrap()
    }

    fn five() -> Point {
        Point(vec![Some(Setting::Integer(5)), Some(Setting::Bool(true))])
    }

    #[test]
    fn the_tornado_says_what_each_side_changes() {
        let mut evaluator = Evaluator::quiet(&Roof);
        let bars = tornado(&space(), &mut evaluator, &five(), 7).unwrap();
        let changes: Vec<(Setting, f64)> =
            bars[0].sides.iter().map(|side| (side.setting.clone(), side.change[0].unwrap().mean)).collect();
        assert_eq!(changes, [(Setting::Integer(4), -1.0), (Setting::Integer(6), -1.0)]);
        assert_eq!(bars[1].sides.len(), 1);
        // Paired: luck that both share leaves no width.
        assert_eq!(bars[1].sides[0].change[0], Some(Figure { mean: 0.0, interval: None }));
    }

    #[test]
    fn the_plateau_ends_where_it_falls_or_a_constraint_breaks() {
        let mut evaluator = Evaluator::quiet(&Roof);
        let plateaus = plateaus(&space(), &mut evaluator, &five(), 10, 7).unwrap();
        assert_eq!(plateaus.len(), 1, "a switch has no plateau");
        // 2 % of 103 is 2.06: three steps are too many.
        assert_eq!((&plateaus[0].from, &plateaus[0].to), (&Setting::Integer(3), &Setting::Integer(7)));
        assert_eq!((plateaus[0].open, plateaus[0].levels.len()), ((false, false), 9));
    }
}

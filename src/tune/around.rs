//! Around the choice: the tornado of 20 % less and more, and the plateau of each parameter.
//!
//! Both change one parameter at a time, with the others as chosen, and compare with the choice replication by replication on
//! requests that nothing was chosen by.

use serde::Serialize;

use crate::tune::halving::observe;
use crate::tune::measure::{Figure, LEVEL, Measured, Series, figure, figure_at, paired};
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
    /// The first of these with a wider interval: those of all settings beside the choice hold together at [`LEVEL`]
    /// (Bonferroni). Whoever picks one of many to say something of needs it.
    pub together: Option<Figure>,
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
    /// Every setting that was looked at, the tornado's too, in order, the choice's own left out.
    pub levels: Vec<Side>,
}

impl Plateau {
    /// The first settings that were tried beyond it, below and above.
    #[must_use]
    pub fn next(&self) -> [Option<&Side>; 2] {
        let below = self.levels.iter().rev().find(|side| side.setting < self.from);
        let above = self.levels.iter().find(|side| side.setting > self.to);
        [below, above]
    }
}

/// What stands around `choice`, `replications` (at least 1) of each setting. The tornado: each active parameter at 20 % less and
/// more (or at its other choices). The plateau of each active number: `levels` (at least 2) over its range, and what the tornado
/// tried of it; a setting counts where its mean loss against the choice is at most [`PLATEAU`] of the choice's mean, and the
/// constraints hold on average, and the plateau is the unbroken run of such levels around the choice.
///
/// # Errors
/// Where it was stopped.
pub fn around(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    choice: &Point,
    levels: usize,
    replications: u32,
) -> Result<(Vec<Bar>, Vec<Plateau>), Stopped> {
    let active: Vec<usize> = (0..space.dimensions()).filter(|k| choice.setting(*k).is_some()).collect();
    let beside: Vec<(usize, Vec<Point>)> = active.iter().map(|k| (*k, space.neighbours(choice, *k))).collect();
    let at_levels = |k: &usize| {
        let settings = space.parameters()[*k].domain.levels(levels.max(2));
        let others = settings.into_iter().filter(|setting| Some(setting) != choice.setting(*k));
        (*k, others.map(|setting| space.with(choice, *k, &setting)).collect())
    };
    let numeric = active.iter().filter(|k| space.parameters()[**k].domain.is_numeric());
    let over: Vec<(usize, Vec<Point>)> = numeric.map(at_levels).collect();
    let compared = beside.iter().chain(&over).map(|(_, points)| points.len()).sum();
    let bars = sides(evaluator, choice, &beside, replications, compared)?;
    let bars = beside.iter().zip(bars).map(|((parameter, _), sides)| Bar { parameter: *parameter, sides });
    let bars: Vec<Bar> = bars.collect();
    let sides = sides(evaluator, choice, &over, replications, compared)?;
    let id = evaluator.id(choice);
    let mean = Measured::of(evaluator, id, &series(replications)).mean(0).unwrap_or(0.0);
    let loss_max = PLATEAU * mean.abs();
    let plateau = |((parameter, _), mut levels): (&(usize, Vec<Point>), Vec<Side>)| {
        // What the tornado tried is known as well as a level.
        levels.extend(bars.iter().filter(|bar| bar.parameter == *parameter).flat_map(|bar| bar.sides.iter().cloned()));
        levels.sort_by(|a, b| a.setting.cmp(&b.setting));
        levels.dedup_by(|a, b| a.setting == b.setting);
        plateau(*parameter, choice.setting(*parameter).expect("an active parameter").clone(), levels, loss_max)
    };
    let plateaus = over.iter().zip(sides).map(plateau).collect();
    Ok((bars, plateaus))
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

/// Runs the choice and all others, and compares. `compared` are all settings of which intervals hold together.
fn sides(
    evaluator: &mut Evaluator<'_>,
    choice: &Point,
    asked: &[(usize, Vec<Point>)],
    replications: u32,
    compared: usize,
) -> Result<Vec<Vec<Side>>, Stopped> {
    let level = 1.0 - (1.0 - LEVEL) / compared.max(1) as f64;
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
            together: together(other, &seen[0], level),
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

fn together(other: &Measured, choice: &Measured, level: f64) -> Option<Figure> {
    let (other, choice) = (other.objectives.first()?.as_ref()?, choice.objectives.first()?.as_ref()?);
    figure_at(&paired(other, choice), level)
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
            Observation { objectives: vec![Some(objective)], constraints: vec![Some(7.5 - x)], second: None, requests: 1 }
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
        let (bars, _) = around(&space(), &mut evaluator, &five(), 10, 7).unwrap();
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
        let (_, plateaus) = around(&space(), &mut evaluator, &five(), 10, 7).unwrap();
        assert_eq!(plateaus.len(), 1, "a switch has no plateau");
        // 2 % of 103 is 2.06: three steps are too many.
        assert_eq!((&plateaus[0].from, &plateaus[0].to), (&Setting::Integer(3), &Setting::Integer(7)));
        assert_eq!((plateaus[0].open, plateaus[0].levels.len()), ((false, false), 9));
        let next = plateaus[0].next().map(|side| side.map(|side| (side.setting.clone(), side.feasible)));
        assert_eq!(next, [Some((Setting::Integer(2), true)), Some((Setting::Integer(8), false))]);
    }

    /// Nothing matters, and each setting has luck of its own: of many one is above 0 by its own interval nearly always, by the
    /// common one as rarely as it says.
    #[test]
    fn of_many_that_are_alike_none_is_called_better() {
        struct Alike(u64);
        impl Problem for Alike {
            fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
                let x = candidate.setting(0).and_then(Setting::number).unwrap();
                let bits = crate::rng::mix(self.0, crate::rng::mix(x.to_bits(), u64::from(replication)));
                Observation { objectives: vec![Some(crate::rng::open01(bits))], constraints: vec![], second: None, requests: 1 }
            }
        }
        let one =
            Parameter { path: "x".into(), domain: Domain::Real { lo: 0.0, hi: 1.0, scale: Scale::Linear }, only_if: None };
        let space = Space::new(vec![one]).unwrap();
        let better = |of: fn(&Side) -> Option<Figure>| {
            let any = |seed: &u64| {
                let problem = Alike(*seed);
                let mut evaluator = Evaluator::quiet(&problem);
                let choice = Point(vec![Some(Setting::Real(0.5))]);
                let (bars, plateaus) = around(&space, &mut evaluator, &choice, 41, 10).unwrap();
                let sides = bars.iter().flat_map(|bar| &bar.sides).chain(plateaus.iter().flat_map(|one| &one.levels));
                sides.filter_map(of).any(Figure::is_above_zero)
            };
            (0..60).filter(any).count()
        };
        let (alone, together) = (better(|side| side.change[0]), better(|side| side.together));
        assert!(alone > 10 && together <= 6, "{alone} and {together} of 60");
    }
}

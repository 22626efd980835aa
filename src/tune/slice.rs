//! A slice through the space at the choice: the objective over the two numbers that matter most, all else as chosen.

use serde::Serialize;

use crate::tune::halving::observe;
use crate::tune::measure::{Figure, LEVEL, Measured, Series, figure, figure_at, paired};
use crate::tune::problem::SENSITIVITY_FROM;
use crate::tune::{Bar, Domain, Evaluator, Point, Setting, SobolIndices, Space, Stopped};

/// Levels of each of the two.
const LEVELS: usize = 7;
/// Replications of each cell at most: cells meet the same requests, so that few tell them apart.
const REPLICATIONS_MAX: u32 = 4;

/// What one pair of settings gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SliceCell {
    /// The settings of the two.
    pub settings: [Setting; 2],
    /// The first objective.
    pub objective: Option<Figure>,
    /// Whether the constraints hold there on average.
    pub feasible: bool,
    /// Whether it holds the constraints and is better than the choice, both beyond its 95 % intervals, on the replications that all
    /// cells have.
    pub better: bool,
}

/// The slice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    /// The two parameters by their places in the space, the one that matters more first.
    pub parameters: [usize; 2],
    /// Replications of each cell.
    pub replications: u32,
    /// Every pair of levels; the choice is one.
    pub cells: Vec<SliceCell>,
}

/// Measures the slice at `choice`. What matters most is told by the total `indices` where they were measured, else by the
/// `tornado`. `None` where the choice has no two numbers.
///
/// # Errors
/// Where it was stopped.
pub fn slice(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    choice: &Point,
    (tornado, indices): (&[Bar], Option<&SobolIndices>),
    replications: u32,
) -> Result<Option<Slice>, Stopped> {
    // Too few rows, or an objective that does not vary, leave no index of any parameter.
    let weight = |k: usize| match indices.filter(|indices| !indices.parameters.is_empty()) {
        Some(indices) => indices.parameters.get(k).map_or(0.0, |index| index.total.value),
        None => tornado.iter().find(|bar| bar.parameter == k).map_or(0.0, swing),
    };
    let numeric = |k: &usize| choice.setting(*k).is_some() && space.parameters()[*k].domain.is_numeric();
    let mut order: Vec<usize> = (0..space.dimensions()).filter(numeric).collect();
    order.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)));
    let [x, y, ..] = order[..] else { return Ok(None) };
    let levels = [x, y].map(|k| levels(&space.parameters()[k].domain, choice.setting(k)));
    let pairs: Vec<[Setting; 2]> =
        levels[1].iter().flat_map(|y| levels[0].iter().map(move |x| [x.clone(), y.clone()])).collect();
    let ids: Vec<_> =
        pairs.iter().map(|[of_x, of_y]| evaluator.id(&space.with(&space.with(choice, x, of_x), y, of_y))).collect();
    let replications = if evaluator.has_chance(&ids) { replications.clamp(1, REPLICATIONS_MAX) } else { 1 };
    let seen = observe(evaluator, &ids, &Series { from: SENSITIVITY_FROM, count: replications, share: 1.0 })?;
    let own = pairs.iter().position(|[of_x, of_y]| choice.setting(x) == Some(of_x) && choice.setting(y) == Some(of_y));
    let own = own.map(|own| seen[own].clone());
    // So many are compared that some seem better by luck.
    let level = 1.0 - (1.0 - LEVEL) / (pairs.len().max(2) - 1) as f64;
    let sure = replications > 1 || !evaluator.has_chance(&ids); // one run of many says nothing of the others
    let cell = |(settings, seen): ([Setting; 2], Measured)| SliceCell {
        settings,
        objective: seen.objectives.first().and_then(|values| figure(values.as_deref()?)),
        feasible: seen.holds(),
        better: sure && own.as_ref().is_some_and(|own| is_better(&seen, own, level)),
    };
    Ok(Some(Slice { parameters: [x, y], replications, cells: pairs.into_iter().zip(seen).map(cell).collect() }))
}

/// Whether `seen` surely holds the constraints, and is better than `own` at `level`, replication by replication.
fn is_better(seen: &Measured, own: &Measured, level: f64) -> bool {
    let pair = || Some((seen.objectives.first()?.as_ref()?, own.objectives.first()?.as_ref()?));
    let gain = pair().and_then(|(seen, own)| figure_at(&paired(seen, own), level));
    let holds = |slack: &Option<Figure>| slack.is_some_and(|slack| slack.is_above_zero() || slack == EXACTLY);
    gain.is_some_and(Figure::is_above_zero) && seen.constraint_figures().iter().all(holds)
}

/// A constraint that is kept to the hair in every replication.
const EXACTLY: Figure = Figure { mean: 0.0, interval: None };

/// What it takes at most, in simulations, at `replications` of each setting beside the choice.
pub(super) fn cost(replications: u32) -> u64 {
    (LEVELS * LEVELS) as u64 * u64::from(replications.min(REPLICATIONS_MAX))
}

/// How much a parameter's neighbours differ from the choice.
fn swing(bar: &Bar) -> f64 {
    let changes = bar.sides.iter().filter_map(|side| side.change.first().copied().flatten());
    changes.map(|change| change.mean.abs()).fold(0.0, f64::max)
}

/// Levels over the range, of which the nearest gives way to the choice's own.
fn levels(domain: &Domain, own: Option<&Setting>) -> Vec<Setting> {
    let mut levels = domain.levels(LEVELS);
    let Some(own) = own else { return levels };
    let off = |setting: &Setting| (domain.unit_of(setting) - domain.unit_of(own)).abs();
    if let Some(nearest) = levels.iter_mut().min_by(|a, b| off(a).total_cmp(&off(b))) {
        *nearest = own.clone();
    }
    levels.sort();
    levels.dedup();
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Observation, Parameter, Problem, Scale, around};

    /// The third number matters most, then the first; the last is a switch.
    struct Slope;

    impl Problem for Slope {
        fn run(&self, candidate: &Point, _: u32, _: f64) -> Observation {
            let at = |k: usize| candidate.setting(k).and_then(Setting::number).unwrap_or(0.0);
            Observation {
                objectives: vec![Some(at(0) + 10.0 * at(2))],
                constraints: vec![Some(8.0 - at(2))],
                second: None,
                requests: 1,
            }
        }
    }

    #[test]
    fn a_slice_goes_through_the_choice_along_the_two_that_matter_most() {
        let number = |path: &str| {
            let domain = Domain::Integer { lo: 0, hi: 12, scale: Scale::Linear };
            Parameter { path: path.into(), domain, only_if: None }
        };
        let on = Parameter { path: "on".into(), domain: Domain::Bool, only_if: None };
        let space = Space::new(vec![number("a"), number("b"), number("c"), on]).unwrap();
        let choice = Point(vec![
            Some(Setting::Integer(5)),
            Some(Setting::Integer(3)),
            Some(Setting::Integer(12)),
            Some(Setting::Bool(true)),
        ]);
        let mut evaluator = Evaluator::quiet(&Slope);
        let (bars, _) = around(&space, &mut evaluator, &choice, 2, 3).unwrap();
        let slice = slice(&space, &mut evaluator, &choice, (&bars, None), 9).unwrap().unwrap();
        assert_eq!((slice.parameters, slice.replications, slice.cells.len()), ([2, 0], 4, 49));
        let own = [Setting::Integer(12), Setting::Integer(5)];
        let at_choice = slice.cells.iter().find(|cell| cell.settings == own).unwrap();
        assert_eq!(at_choice.objective.map(|figure| figure.mean), Some(125.0));
        assert!(!at_choice.feasible && slice.cells[0].feasible);
        assert!(slice.cells.iter().all(|cell| !cell.better), "what is better breaks the constraint");
        let low = Point(vec![
            Some(Setting::Integer(5)),
            Some(Setting::Integer(3)),
            Some(Setting::Integer(2)),
            Some(Setting::Bool(true)),
        ]);
        let slice = super::slice(&space, &mut evaluator, &low, (&bars, None), 9).unwrap().unwrap();
        let better = |cell: &&SliceCell| cell.better;
        let values = slice.cells.iter().filter(better).filter_map(|cell| cell.objective.map(|figure| figure.mean));
        assert!(slice.cells.iter().filter(better).all(|cell| cell.feasible), "{slice:?}");
        assert!(values.clone().count() > 3 && values.fold(f64::INFINITY, f64::min) > 25.0, "{slice:?}");
    }

    #[test]
    fn one_number_has_no_slice() {
        let domain = Domain::Integer { lo: 0, hi: 12, scale: Scale::Linear };
        let space = Space::new(vec![Parameter { path: "a".into(), domain, only_if: None }]).unwrap();
        let choice = Point(vec![Some(Setting::Integer(5))]);
        assert_eq!(slice(&space, &mut Evaluator::quiet(&Slope), &choice, (&[], None), 9).unwrap(), None);
    }
}

//! What the choice and the current settings do where load or capacity are not the expected ones.

use serde::Serialize;

use crate::tune::halving::observe;
use crate::tune::measure::{Figure, Measured, Series, figure, paired};
use crate::tune::problem::SENSITIVITY_FROM;
use crate::tune::{Case, Evaluator, Id, Point, Problem, Stopped};

/// Both settings in one other case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Elsewhere {
    /// Which case.
    pub case: Case,
    /// The choice's objectives.
    pub choice: Vec<Option<Figure>>,
    /// How far inside each constraint it is.
    pub constraints: Vec<Option<Figure>>,
    /// The current settings' objectives.
    pub current: Vec<Option<Figure>>,
    /// How much better the choice is, replication by replication.
    pub gain: Vec<Option<Figure>>,
}

/// Runs both on `problem`, the scenario in `case`, with fresh replications.
///
/// # Errors
/// Where `stop` asked for it.
pub fn elsewhere(
    problem: &dyn Problem,
    stop: &(dyn Fn() -> bool + Sync),
    case: Case,
    [choice, current]: [&Point; 2],
    replications: u32,
) -> Result<Elsewhere, Stopped> {
    let mut evaluator = Evaluator::new(problem, &|_| (), stop);
    let ids: [Id; 2] = [evaluator.id(choice), evaluator.id(current)];
    let series = Series { from: SENSITIVITY_FROM, count: replications, share: 1.0 };
    let seen: Vec<Measured> = observe(&mut evaluator, &ids, &series)?;
    let pairs = seen[0].objectives.iter().zip(&seen[1].objectives);
    let gain = pairs.map(|(choice, base)| figure(&paired(choice.as_ref()?, base.as_ref()?))).collect();
    Ok(Elsewhere {
        case,
        choice: seen[0].objective_figures(),
        constraints: seen[0].constraint_figures(),
        current: seen[1].objective_figures(),
        gain,
    })
}

//! A whole tuning: the search, and then what stands around its answer.

use serde::Serialize;

use crate::scenario::{TuneMethod, TuneSettings};
use crate::tune::{
    Bar, Case, Elsewhere, Ended, Evaluator, Halving, Method, Model, Outcome, Plateau, Point, Pool, ScenarioProblem,
    SearchFault, Sensitivity, Settings, Slice, SobolIndices, Stopped, Task, Zone, elsewhere, plateaus, search, slice,
    sobol_indices, tornado,
};

/// Levels of each number at which the plateau is looked for.
const LEVELS: usize = 9;
/// Where the choice is looked at besides the scenario's own load, where nothing else is asked for.
const OTHERS: [Case; 2] = [Case { load: 0.8, ..Case::EXPECTED }, Case { load: 1.2, ..Case::EXPECTED }];
/// How much around a constraint's bound does not matter, as a share of the bound.
const TOLERANCE: f64 = 0.01;
/// The same where the bound is 0.
const TOLERANCE_AT_ZERO: f64 = 1e-6;
/// Part of the budget that a method without a race may spend on its screening, so that the selection has enough.
const FIXED_SHARE: f64 = 0.4;

/// What is wanted beside the search itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Around {
    /// Replications at each setting beside the choice; 0 leaves plateaus, tornado, slice and other loads out.
    pub replications: u32,
    /// Rows of the Sobol indices' matrices; 0 leaves the indices out.
    pub rows: u32,
    /// The cases that the search was made for, the expected one first.
    pub cases: Vec<Case>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Tuned {
    /// The search.
    pub outcome: Outcome,
    /// Where each number may stand without losing more than 2 %.
    pub plateaus: Vec<Plateau>,
    /// What a fifth less and more of each parameter does.
    pub tornado: Vec<Bar>,
    /// How much of the objective's variance each parameter explains.
    pub indices: Option<SobolIndices>,
    /// The objective over the two numbers that matter most, around the choice.
    pub slice: Option<Slice>,
    /// The choice at other loads, and in every case that the search was made for.
    pub elsewhere: Vec<Elsewhere>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

impl Task {
    /// The search that `settings` ask for.
    #[must_use]
    pub fn settings(&self, settings: &TuneSettings, seed: u64) -> Settings {
        let budget = f64::from(settings.simulations.value());
        let points = settings.candidates.value() as usize;
        let fixed = |pool, candidates: u64| {
            let each = budget * FIXED_SHARE / candidates.max(1) as f64;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
            Method::Fixed { pool, replications: (each as u32).max(1) }
        };
        let method = match settings.method {
            TuneMethod::Halving => Method::Halving { pool: Pool::Sobol { points }, halving: Halving::default() },
            TuneMethod::Sobol => fixed(Pool::Sobol { points }, points as u64),
            TuneMethod::Grid => {
                let levels = settings.levels.value() as usize;
                fixed(Pool::Grid { levels }, self.space.grid_size(levels))
            }
            TuneMethod::Model => Method::Model { model: Model::default(), halving: Halving::default() },
        };
        let tolerance = |number: f64| if number == 0.0 { TOLERANCE_AT_ZERO } else { TOLERANCE * number.abs() };
        let mut search = Settings::halving(points, budget, seed);
        search.method = method;
        search.tolerances = self.constraints.iter().map(|(_, bound)| tolerance(bound.number)).collect();
        search.zone = settings.indifference.map_or(search.zone, |zone| Zone::Absolute(zone.value()));
        search.alpha = settings.error.map_or(search.alpha, crate::units::Fraction::value);
        search
    }
}

/// Searches, and looks around what was found. `in_case` makes the same problem in another case.
///
/// # Errors
/// As [`search`].
pub fn tune<'a>(
    task: &Task,
    evaluator: &mut Evaluator<'_>,
    settings: &Settings,
    around: &Around,
    in_case: impl Fn(Case) -> ScenarioProblem<'a>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Tuned, SearchFault> {
    let outcome = search(&task.space, evaluator, settings, Some(&task.current()))?;
    let whole = matches!(outcome.ended, Ended::Complete);
    let choice = outcome.choice.map(|id| outcome.point(id).clone());
    let mut tuned = Tuned {
        outcome,
        plateaus: Vec::new(),
        tornado: Vec::new(),
        indices: None,
        slice: None,
        elsewhere: Vec::new(),
        stopped: !whole,
    };
    if let Some(choice) = choice.filter(|_| whole) {
        tuned.stopped = look_around(task, evaluator, settings, around, (&choice, &in_case), stop, &mut tuned).is_err();
    }
    Ok(tuned)
}

fn look_around<'a>(
    task: &Task,
    evaluator: &mut Evaluator<'_>,
    settings: &Settings,
    around: &Around,
    (choice, in_case): (&Point, &impl Fn(Case) -> ScenarioProblem<'a>),
    stop: &(dyn Fn() -> bool + Sync),
    tuned: &mut Tuned,
) -> Result<(), Stopped> {
    let current = task.current();
    if around.replications > 0 {
        // Where nothing is laid over the variant there is nothing to vary.
        if *choice != current {
            tuned.tornado = tornado(&task.space, evaluator, choice, around.replications)?;
            tuned.plateaus = plateaus(&task.space, evaluator, choice, LEVELS, around.replications)?;
        }
        // A search for several cases has measured what becomes of all of them, and not even the expected one by itself.
        let cases = if around.cases.len() > 1 { &around.cases } else { &OTHERS[..] };
        for case in cases.iter().copied() {
            tuned.elsewhere.push(elsewhere(&in_case(case), stop, case, [choice, &current], around.replications)?);
        }
    }
    if around.rows >= 2 {
        let plan = Sensitivity { rows: around.rows, replications: 1, share: 1.0, seed: settings.seed };
        tuned.indices = Some(sobol_indices(&task.space, evaluator, 0, &plan)?);
    }
    if around.replications > 0 && *choice != current {
        let known = (&tuned.tornado[..], tuned.indices.as_ref());
        tuned.slice = slice(&task.space, evaluator, choice, known, around.replications)?;
    }
    Ok(())
}

//! A whole tuning: the search, and then what stands around its answer.

use std::cell::Cell;

use serde::Serialize;

use crate::journal::summary::{Bound, Measure};
use crate::scenario::{RobustBy, Scenario, TuneMethod, TuneSettings};
use crate::tune::halving::since;
use crate::tune::{
    Against, Bar, Case, Combine, Elsewhere, Ended, Evaluator, GRID_MAX, Halving, Host, Method, Model, Outcome, Plateau, Point,
    Pool, Problem, Robust, ScenarioProblem, Scene, SearchFault, Sensitivity, Settings, Slice, SobolIndices, Spent, Stage,
    Stopped, Task, Today, Zone, around, elsewhere, search, search_from, slice, sobol_indices,
};

/// Levels of each number at which the plateau is looked for.
pub(super) const LEVELS: usize = 9;
/// Where the choice is looked at besides the scenario's own load and capacity, where nothing else is asked for.
pub(super) const OTHERS: [Case; 4] = [
    Case { load: 0.8, ..Case::EXPECTED },
    Case { load: 1.2, ..Case::EXPECTED },
    Case { capacity: 0.8, ..Case::EXPECTED },
    Case { capacity: 1.1, ..Case::EXPECTED },
];
/// Replications in what is held out, at least.
pub(super) const HELD_OUT_MIN: u32 = 10;
/// How much around a constraint's bound does not matter, as a share of the bound.
const TOLERANCE: f64 = 0.01;
/// A race's shortest runs last at least so many times as long as the drain, which is the longest that anybody waits: before
/// that, a queue that will be far too long is not yet full, and looks like the best of all.
const DRAINS: f64 = 3.0;
/// Finalists at most, of several objectives: so many make a front.
const FRONT_FINALISTS: usize = 16;
/// Part of the budget that a method without a race may spend on its screening, so that the selection has enough.
const FIXED_SHARE: f64 = 0.4;

impl Task {
    /// The search that `settings` ask for in `scenarios`.
    #[must_use]
    pub fn settings(&self, settings: &TuneSettings, scenarios: &[&Scenario], seed: u64) -> Settings {
        let halving = Halving { share_min: share_min(scenarios), ..Halving::default() };
        let budget = f64::from(settings.simulations.value());
        let points = settings.candidates.value() as usize;
        let fixed = |pool, candidates: u64| {
            let each = budget * FIXED_SHARE / candidates.max(1) as f64;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
            Method::Fixed { pool, replications: (each as u32).max(1) }
        };
        let method = match settings.method {
            TuneMethod::Halving => Method::Halving { pool: Pool::Sobol { points }, halving },
            TuneMethod::Sobol => fixed(Pool::Sobol { points }, points as u64),
            TuneMethod::Grid => {
                let levels = settings.levels.value() as usize;
                fixed(Pool::Grid { levels }, self.space.grid_size(levels, GRID_MAX))
            }
            TuneMethod::Model => Method::Model {
                model: Model { share: halving.share_min.max(Model::default().share), ..Model::default() },
                halving,
            },
        };
        let mut search = Settings::halving(points, budget, seed);
        search.method = method;
        if self.objectives.len() > 1 {
            search.one_look = true;
            search.finalists = FRONT_FINALISTS;
        }
        search.tolerances = self.tolerances();
        search.zone = settings.indifference.map_or(search.zone, |zone| Zone::Absolute(zone.value()));
        search.alpha = settings.error.map_or(search.alpha, crate::units::Fraction::value);
        search
    }

    /// How much around each constraint's bound does not matter, in its unit: a hundredth of the bound, and no less than a report
    /// can show.
    #[must_use]
    pub fn tolerances(&self) -> Vec<f64> {
        let of = |(measure, bound): &(Measure, Bound)| (TOLERANCE * bound.number.abs()).max(measure.resolution());
        self.constraints.iter().map(of).collect()
    }
}

/// The shortest part of the simulated time that shows in all of `scenarios` how settings do.
fn share_min(scenarios: &[&Scenario]) -> f64 {
    let least = |scenario: &&Scenario| DRAINS * scenario.drain().as_secs_f64() / scenario.run.duration.as_secs_f64();
    scenarios.iter().map(least).fold(Halving::default().share_min, f64::max).min(1.0)
}

/// The futures that a search is made for.
#[derive(Debug)]
pub struct Futures<'a> {
    /// Where they take place; the first is the scenario that asks.
    pub scenes: &'a [Scene],
    /// Those that count, the expected one first.
    pub cases: Vec<Case>,
    /// Those that the choice is only tried in.
    pub held_out: Vec<Case>,
    /// How those that count become one objective.
    pub by: RobustBy,
}

/// What is wanted beside the search itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// Replications at each setting beside the choice; 0 leaves plateaus, tornado, slice and other futures out.
    pub replications: u32,
    /// Rows of the Sobol indices' matrices; 0 leaves the indices out.
    pub rows: u32,
}

/// What the parts beside the search itself cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Beside {
    /// The search of each future alone, where regret was asked for, and their best settings on what the candidates met.
    pub alone: Spent,
    /// Plateaus, tornado and slice.
    pub around: Spent,
    /// The Sobol indices.
    pub sensitivity: Spent,
    /// The choice, today's settings and rivals in other futures.
    pub elsewhere: Spent,
    /// Finalists that tie, on what was held out.
    pub ties: Spent,
}

/// The best settings of one future alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alone {
    /// Which future.
    pub case: Case,
    /// The settings; where nothing holds the constraints in it, those that come closest.
    pub point: Point,
    /// Their first objective, as its own search confirmed it.
    pub best: f64,
}

/// Candidates whose settings do not go together: they lose without a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// How many of the search's candidates.
    pub count: usize,
    /// Why the first of them was refused.
    pub first: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Tuned {
    /// The search.
    pub outcome: Outcome,
    /// The best of each future alone, where regret was asked for: of each that counts, in order.
    pub alone: Vec<Alone>,
    /// What plateaus, tornado and slice stand around: the choice or, where that is today's settings, these as they are in force.
    /// `None` where nothing was looked at around it.
    pub centre: Option<Point>,
    /// Where each number may stand without losing more than 2 %.
    pub plateaus: Vec<Plateau>,
    /// What a fifth less and more of each parameter does.
    pub tornado: Vec<Bar>,
    /// How much of the objective's variance each parameter explains.
    pub indices: Option<SobolIndices>,
    /// The objective over the two numbers that matter most, around the choice.
    pub slice: Option<Slice>,
    /// The choice in other futures: in those that it was made for where there are several, and in those held out.
    pub elsewhere: Vec<Elsewhere>,
    /// What the parts beside the search cost.
    pub beside: Beside,
    /// Candidates that could not be run.
    pub refused: Refused,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// One search: everything that its parts need.
struct Tuning<'a> {
    task: &'a Task,
    settings: Settings,
    around: Around,
    futures: &'a Futures<'a>,
    problems: Vec<ScenarioProblem<'a>>,
    host: &'a dyn Host,
    beside: Beside,
    /// What ties took: asked for from inside the search.
    ties: Cell<Spent>,
}

/// Searches, and looks around what was found. `host` keeps problem 0, the futures that count as one, apart from 1, 2, ... (each
/// future alone), and from the last one (what the futures are on average, where the search is for regret).
///
/// # Errors
/// As [`search`]; where the search for regret was stopped too early.
pub fn tune(
    task: &Task,
    futures: &Futures<'_>,
    settings: &Settings,
    around: Around,
    host: &dyn Host,
) -> Result<Tuned, SearchFault> {
    let problems = futures.cases.iter().map(|case| problem(futures, task, *case, host)).collect();
    let mut tuning = Tuning {
        task,
        settings: settings.clone(),
        around,
        futures,
        problems,
        host,
        beside: Beside::default(),
        ties: Cell::default(),
    };
    let alone = if tuning.by_regret() { tuning.alone()? } else { Vec::new() };
    let problem = tuning.together(&alone);
    let mut evaluator = Evaluator::new(&problem, 0, host);
    let fits = |points: &[Point]| tuning.fits(points);
    let today = Today { laid: &task.current(), in_force: tuning.in_force(), fits: &fits };
    let outcome = search_from(&task.space, &mut evaluator, &tuning.settings, Some(&today))?;
    let mut beside = tuning.beside.clone();
    beside.alone += problem.references(&evaluator.asked());
    beside.ties = tuning.ties.get();
    let stopped = matches!(outcome.ended, Ended::InScreening | Ended::InSelection | Ended::InConfirmation);
    let choice = outcome.choice.map(|id| outcome.point(id).clone());
    let refused = tuning.refused(&outcome);
    let mut tuned = Tuned {
        outcome,
        alone,
        centre: None,
        plateaus: Vec::new(),
        tornado: Vec::new(),
        indices: None,
        slice: None,
        elsewhere: Vec::new(),
        beside,
        refused,
        stopped,
    };
    if let Some(choice) = choice.filter(|_| !stopped) {
        tuned.stopped = tuning.look_around(&mut evaluator, &choice, &mut tuned).is_err();
    }
    Ok(tuned)
}

/// The task in one future, broken off when `host` is interrupted.
fn problem<'a>(futures: &Futures<'a>, task: &'a Task, case: Case, host: &'a dyn Host) -> ScenarioProblem<'a> {
    ScenarioProblem::new(futures.scenes, task, case).until(host.interrupted())
}

impl Tuning<'_> {
    /// Candidates of the search that one future at least refuses.
    fn refused(&self, outcome: &Outcome) -> Refused {
        let refusal = |point: &Point| self.problems.iter().find_map(|problem| problem.refusal(point));
        let mut refusals = outcome.points.iter().filter_map(refusal);
        let first = refusals.next();
        Refused { count: usize::from(first.is_some()) + refusals.count(), first }
    }

    /// Of one future the best has no regret: it is the best.
    fn by_regret(&self) -> bool {
        self.futures.by == RobustBy::Regret && self.problems.len() > 1
    }

    /// Today's settings as they are in force.
    fn in_force(&self) -> Option<Point> {
        let scene = &self.futures.scenes[0];
        self.task.in_force(&scene.scenario, scene.variant)
    }

    /// Which of `points` neither lose to today's settings nor break a constraint on what is held out.
    fn fits(&self, points: &[Point]) -> Result<Vec<bool>, Stopped> {
        let mut fits = vec![true; points.len()];
        for (of, (case, held_out)) in (1..).zip(self.cases()) {
            if !held_out {
                continue;
            }
            let problem = problem(self.futures, self.task, case, self.host);
            let mut evaluator = Evaluator::new(&problem, of, self.host);
            for (point, fits) in points.iter().zip(&mut fits) {
                let both = [point, &self.task.current()];
                let there = elsewhere(&mut evaluator, (case, true), both, (&[], None), HELD_OUT_MIN)?;
                // What is no gain is none for all of them: they are the same where they were chosen.
                let counts = |against: &Against| !matches!(against, Against::NoGain(_));
                *fits &= !there.against(false, &self.settings.tolerances).iter().any(counts);
            }
            let mut ties = self.ties.get();
            ties += evaluator.spent();
            self.ties.set(ties);
        }
        Ok(fits)
    }

    /// The best settings of each future alone. The zone becomes a share of them: regret itself may be nothing.
    fn alone(&mut self) -> Result<Vec<Alone>, SearchFault> {
        let mut bests = Vec::new();
        for ((of, problem), case) in (1..).zip(&self.problems).zip(&self.futures.cases) {
            let mut evaluator = Evaluator::new(problem, of, self.host);
            let outcome = search(&self.task.space, &mut evaluator, &self.settings, Some(&self.task.current()))?;
            self.beside.alone += evaluator.spent();
            if !matches!(outcome.ended, Ended::Complete | Ended::NothingFeasible) {
                return Err(SearchFault::CutShort);
            }
            let found = outcome.choice.or(outcome.closest).zip(outcome.best());
            let (id, best) = found.ok_or(SearchFault::Unmeasured(0))?;
            bests.push(Alone { case: *case, point: outcome.point(id).clone(), best });
        }
        if let Zone::Relative(share) = self.settings.zone {
            let sizes: Vec<f64> = bests.iter().map(|alone| alone.best.abs()).collect();
            let size = crate::stats::mean(&sizes).filter(|size| *size > 0.0).unwrap_or(1.0);
            self.settings.zone = Zone::Absolute(share * size);
        }
        Ok(bests)
    }

    /// The futures as one problem.
    fn together(&self, alone: &[Alone]) -> Robust<'_> {
        let combine = match self.futures.by {
            RobustBy::Mean => Combine::Mean,
            RobustBy::Regret if self.by_regret() => Combine::Regret(alone.iter().map(|alone| alone.point.clone()).collect()),
            RobustBy::Worst | RobustBy::Regret => Combine::Worst,
        };
        self.combined(combine)
    }

    fn combined(&self, combine: Combine) -> Robust<'_> {
        let each = self.problems.iter().map(|problem| problem as &dyn Problem).collect();
        Robust::new(each, combine).expect("there is a future at least, and the best of each")
    }

    fn look_around(&self, evaluator: &mut Evaluator<'_>, choice: &Point, tuned: &mut Tuned) -> Result<(), Stopped> {
        evaluator.tell(Stage::Around, None);
        // A share of a regret that is next to nothing says nothing: what a setting costs is a share of the mean then.
        if self.by_regret() {
            let problem = self.combined(Combine::Mean);
            let last = 1 + u32::try_from(self.cases().len()).expect("few futures");
            self.nearby(&mut Evaluator::new(&problem, last, self.host), choice, tuned)?;
        } else {
            self.nearby(evaluator, choice, tuned)?;
        }
        self.elsewhere(choice, tuned)
    }

    fn nearby(&self, evaluator: &mut Evaluator<'_>, choice: &Point, tuned: &mut Tuned) -> Result<(), Stopped> {
        let Around { replications, rows } = self.around;
        let space = &self.task.space;
        let begun = evaluator.spent();
        let centre = self.centre(choice).filter(|_| replications > 0);
        if let Some(centre) = &centre {
            (tuned.tornado, tuned.plateaus) = around(space, evaluator, centre, LEVELS, replications)?;
            tuned.centre = Some(centre.clone());
        }
        tuned.beside.around += since(evaluator.spent(), begun);
        if rows >= 2 {
            let begun = evaluator.spent();
            let plan = Sensitivity { rows, replications: 1, share: 1.0, seed: self.settings.seed };
            tuned.indices = Some(sobol_indices(space, evaluator, 0, &plan)?);
            tuned.beside.sensitivity += since(evaluator.spent(), begun);
        }
        if let Some(centre) = &centre {
            let begun = evaluator.spent();
            let known = (&tuned.tornado[..], tuned.indices.as_ref());
            tuned.slice = slice(space, evaluator, centre, known, replications)?;
            tuned.beside.around += since(evaluator.spent(), begun);
        }
        Ok(())
    }

    /// The point around which parameters are changed: today's settings lay nothing over the variant, and are read from it.
    fn centre(&self, choice: &Point) -> Option<Point> {
        if *choice != self.task.current() {
            return Some(choice.clone());
        }
        self.in_force()
    }

    /// The futures that the choice is looked at in, each with whether it is held out.
    fn cases(&self) -> Vec<(Case, bool)> {
        let counting: &[Case] = &self.futures.cases;
        let scene = &self.futures.scenes[0];
        let has_speed = scene.scenario.variants[scene.variant].upstream.speed().is_some();
        let beside = OTHERS.iter().filter(|case| counting.len() == 1 && (has_speed || !case.varies_capacity()));
        let held_out = self.futures.held_out.iter().map(|case| (*case, true));
        counting.iter().chain(beside).map(|case| (*case, false)).chain(held_out).collect()
    }

    fn elsewhere(&self, choice: &Point, tuned: &mut Tuned) -> Result<(), Stopped> {
        let several = self.futures.cases.len() > 1;
        let finalists = tuned.outcome.selection.iter().flat_map(|selection| &selection.finalists);
        let rivals: Vec<Point> = finalists.map(|finalist| tuned.outcome.point(finalist.candidate).clone()).collect();
        for (of, (case, held_out)) in (1..).zip(self.cases()) {
            // Of one future that counts the outcome has told already.
            if !several && case == Case::EXPECTED {
                continue;
            }
            let replications = self.around.replications.max(if held_out { HELD_OUT_MIN } else { 0 });
            if replications == 0 {
                continue;
            }
            let problem = problem(self.futures, self.task, case, self.host);
            let mut evaluator = Evaluator::new(&problem, of, self.host);
            let rivals = if several && !held_out { rivals.as_slice() } else { &[] };
            let both = [choice, &self.task.current()];
            let alone = tuned.alone.iter().find(|alone| alone.case == case && !held_out).map(|alone| alone.point.clone());
            let others = (rivals, alone.as_ref());
            tuned.elsewhere.push(elsewhere(&mut evaluator, (case, held_out), both, others, replications)?);
            tuned.beside.elsewhere += evaluator.spent();
        }
        Ok(())
    }
}

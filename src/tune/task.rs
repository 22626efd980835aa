//! A scenario's `[tune]` section as a problem: its parameters as a space, its figures as objectives and constraints.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use crate::journal::summary::{Bound, Measure, VariantBuilder, VariantSummary};
use crate::scenario::{Diagnostics, Scenario, TuneSettings};
use crate::sim::{self, Plan, World};
use crate::tune::parameters::{self, like};
use crate::tune::{Case, Observation, Parameter, Point, Problem, Scene, Space, Unfit, limits};

/// An objective: a figure, to be made large or small.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The figure.
    pub measure: Measure,
    /// 1 where more is better, -1 where less is.
    pub sign: f64,
}

/// What a `[tune]` section asks for, understood.
#[derive(Clone, Debug)]
pub struct Task {
    /// Position of the variant whose settings are tuned.
    pub variant: usize,
    /// What may be changed.
    pub space: Space,
    /// What is wanted, the first foremost.
    pub objectives: Vec<Objective>,
    /// What must hold.
    pub constraints: Vec<(Measure, Bound)>,
}

impl Task {
    /// Reads the section of `scenario`.
    ///
    /// # Errors
    /// The first setting that makes no sense in this scenario.
    pub fn read(scenario: &Scenario, settings: &TuneSettings) -> Result<Self, Unfit> {
        let variant = variant_of(scenario, settings.variant.as_deref())?;
        let varies_capacity = settings.robust.as_ref().is_some_and(|robust| robust.capacity.is_some());
        if varies_capacity && scenario.variants[variant].upstream.speed().is_none() {
            return Err(Unfit::new("tune.robust.capacity", "only a vLLM upstream has a speed that can be varied"));
        }
        let space = parameters::space(&settings.parameter)?;
        limits::check(settings, &space)?;
        let measure = |path: &str, text: &str| measure(scenario, variant, text).map_err(|why| Unfit::new(path, why));
        let mut objectives = vec![Objective::of(measure("tune.objective", &settings.objective)?)];
        for (index, text) in settings.pareto.iter().enumerate() {
            objectives.push(Objective::of(measure(&format!("tune.pareto[{index}]"), text)?));
        }
        let mut constraints = Vec::new();
        for (index, text) in settings.constraints.iter().enumerate() {
            let path = format!("tune.constraints[{index}]");
            let (left, bound) = Bound::split(text).map_err(|why| Unfit::new(&path, why))?;
            let of = measure(&path, left)?;
            of.check_bound(bound).map_err(|why| Unfit::new(&path, why))?;
            constraints.push((of, bound));
        }
        Ok(Self { variant, space, objectives, constraints })
    }

    /// Position in `scenario` of the variant that this task would tune there, `variant` by name or its baseline.
    ///
    /// # Errors
    /// Where it lacks that variant, or what the task asks about.
    pub fn fits(&self, scenario: &Scenario, variant: Option<&str>) -> Result<usize, Unfit> {
        let variant = variant_of(scenario, variant)?;
        let measures = self.objectives.iter().map(|of| &of.measure).chain(self.constraints.iter().map(|(of, _)| of));
        for of in measures {
            shows(scenario, variant, of).map_err(|why| Unfit::new("tune.objective", why))?;
        }
        Ok(variant)
    }

    /// The settings of `point` as `path=value`, as they stand in a scenario.
    #[must_use]
    pub fn sets(&self, point: &Point) -> Vec<String> {
        let parameters = self.space.parameters().iter().enumerate();
        parameters.filter_map(|(place, of)| Some(format!("{}={}", of.path, point.setting(place)?))).collect()
    }

    /// The current settings: nothing is laid over the variant.
    #[must_use]
    pub fn current(&self) -> Point {
        Point(vec![None; self.space.dimensions()])
    }

    /// Today's settings as they are in force in that variant of `scenario`, defaults included: a point like any other, from
    /// which parameters can be changed one by one. What is not in force (an engine that is off) stays away. `None` where they
    /// cannot be written as a point, which then would be another system.
    #[must_use]
    pub fn in_force(&self, scenario: &Scenario, variant: usize) -> Option<Point> {
        let value = |parameter: &Parameter| scenario.in_force(variant, &parameter.path.parse().ok()?);
        let point = self.space.with_settings(|parameter| like(&parameter.domain, &value(parameter)?));
        let laid = scenario.candidate(variant, &self.sets(&point)).ok()?;
        laid.is_same_system(&scenario.variants[variant]).then_some(point)
    }

    /// Makes sure that both ends of every range, and every choice, are settings that the variant can have: with the others as
    /// they are today, or in the middle of their domains, or at their least, or at their greatest. An end that goes with none of
    /// these may be one that goes with nothing.
    ///
    /// # Errors
    /// The first parameter of which that is not so, by its place in the section, with what `scenario` says of it.
    pub fn try_ends(&self, scenario: &Scenario, variant: usize) -> Result<(), Unfit> {
        let at = |unit: f64| self.space.decode(&vec![unit; self.space.dimensions()]);
        let others = [at(0.5), self.current(), at(0.0), at(1.0)];
        for (place, parameter) in self.space.parameters().iter().enumerate() {
            let others = others.each_ref().map(|others| self.with_conditions(others.clone(), place));
            for setting in parameter.domain.levels(2) {
                let tried = others.each_ref().map(|others| self.space.with(others, place, &setting));
                self.try_any(scenario, variant, &tried).map_err(|wrong| blame(&self.space, &tried[0], place, &wrong))?;
            }
        }
        Ok(())
    }

    /// Whether one of `points` can be run; if not, what is wrong with the first.
    fn try_any(&self, scenario: &Scenario, variant: usize, points: &[Point]) -> Result<(), Diagnostics> {
        let run = |point: &Point| {
            let candidate = scenario.candidate(variant, &self.sets(point))?;
            sim::inspect_model(scenario, variant, &candidate)
        };
        let mut first = None;
        for point in points {
            match run(point) {
                Ok(()) => return Ok(()),
                Err(wrong) => first = first.or(Some(wrong)),
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// `point` with every parameter that the one at `place` depends on set so that it is there.
    fn with_conditions(&self, point: Point, place: usize) -> Point {
        let Some(condition) = &self.space.parameters()[place].only_if else { return point };
        let point = self.with_conditions(point, condition.parameter);
        condition.is.first().map_or(point.clone(), |setting| self.space.with(&point, condition.parameter, setting))
    }
}

impl Objective {
    fn of(measure: Measure) -> Self {
        let sign = if measure.larger_is_better() { 1.0 } else { -1.0 };
        Self { measure, sign }
    }
}

/// What is wrong with `point`, of which parameter number `tried` is tried: where the path of any leads nowhere, its path is to
/// blame, else its range or choices.
fn blame(space: &Space, point: &Point, tried: usize, wrong: &Diagnostics) -> Unfit {
    let Some(first) = wrong.located().next() else {
        return Unfit::new(format!("tune.parameter[{tried}]"), wrong.to_string());
    };
    // Candidates are laid over as `path=value`, and what is wrong with one says where in that.
    let laid = |place: &usize| {
        let setting = point.setting(*place)?;
        (first.file.as_deref() == Some(&format!("--set '{}={setting}'", space.parameters()[*place].path))).then_some(())
    };
    let place = (0..space.dimensions()).find(|place| laid(place).is_some());
    let at = place.unwrap_or(tried);
    let (entry, parameter) = (format!("tune.parameter[{at}]"), &space.parameters()[at]);
    if place.is_some() && first.column.is_some_and(|column| column <= parameter.path.chars().count()) {
        return Unfit::new(format!("{entry}.path"), first.message).help(first.help);
    }
    let part = if parameter.domain.is_numeric() { "range" } else { "choices" };
    let value = point
        .setting(at)
        .map_or(String::new(), |setting| format!("{} = {setting} is no setting that can be run: ", parameter.path));
    Unfit::new(format!("{entry}.{part}"), value + &first.message).help(first.help)
}

fn variant_of(scenario: &Scenario, name: Option<&str>) -> Result<usize, Unfit> {
    let Some(name) = name else { return Ok(scenario.baseline()) };
    scenario.variants.iter().position(|variant| variant.is_of(name)).ok_or_else(|| {
        let known: Vec<&str> = scenario.variants.iter().map(|variant| variant.name.as_str()).collect();
        Unfit::new(
            "tune.variant",
            format!("there is no variant `{name}` in `{}`; there are: {}", scenario.name, known.join(", ")),
        )
    })
}

fn measure(scenario: &Scenario, variant: usize, text: &str) -> Result<Measure, String> {
    let measure: Measure = text.parse()?;
    shows(scenario, variant, &measure)?;
    Ok(measure)
}

/// Whether the variant has what the figure is made of.
fn shows(scenario: &Scenario, variant: usize, measure: &Measure) -> Result<(), String> {
    let of = &scenario.variants[variant];
    let known: Vec<&str> = of.classes.iter().map(|class| class.name.as_str()).collect();
    measure.check_class(&known)?;
    measure.check_spikes(of.has_spikes())
}

/// A task in one future, ready to be searched.
#[derive(Debug)]
pub struct ScenarioProblem<'a> {
    scene: &'a Scene,
    task: &'a Task,
    case: Case,
    /// Up from when on nobody waits for a run.
    stop: Option<&'a AtomicBool>,
    /// Plans of the candidates that were run; `None` for settings that do not go together.
    plans: Mutex<BTreeMap<Point, Option<Arc<Plan>>>>,
}

impl<'a> ScenarioProblem<'a> {
    /// `task` in `case`, whose scene is one of `scenes`.
    #[must_use]
    pub fn new(scenes: &'a [Scene], task: &'a Task, case: Case) -> Self {
        Self { scene: &scenes[case.scene], task, case, stop: None, plans: Mutex::new(BTreeMap::new()) }
    }

    /// The same, whose runs are broken off where they are once `stop` is up; what they then show means nothing.
    #[must_use]
    pub const fn until(mut self, stop: Option<&'a AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    fn plan(&self, point: &Point) -> Option<Arc<Plan>> {
        if let Some(known) = self.plans.lock().unwrap_or_else(PoisonError::into_inner).get(point) {
            return known.clone();
        }
        let made = self.make(point).map(Arc::new);
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).insert(point.clone(), made.clone());
        made
    }

    fn make(&self, point: &Point) -> Option<Plan> {
        let Scene { scenario, prepared, variant, .. } = self.scene;
        let mut sets = self.task.sets(point);
        if self.case.varies_capacity() {
            let own = scenario.candidate(*variant, &sets).ok()?.upstream.speed()?;
            sets.push(format!("upstream.speed={:?}", own * self.case.capacity));
        }
        let candidate = scenario.candidate(*variant, &sets).ok()?;
        let plan = sim::replan(scenario, prepared, *variant, &candidate).ok()?;
        if self.case.varies_load() { plan.at_load(self.case.load) } else { Some(plan) }
    }

    /// Why the settings of `point` do not go together; `None` where they do.
    #[must_use]
    pub fn refusal(&self, point: &Point) -> Option<String> {
        if self.plan(point).is_some() {
            return None;
        }
        let Scene { scenario, prepared, variant, .. } = self.scene;
        let candidate = scenario.candidate(*variant, &self.task.sets(point));
        let wrong = candidate.and_then(|candidate| sim::replan(scenario, prepared, *variant, &candidate)).err();
        let first = wrong.and_then(|wrong| wrong.located().next().map(|first| first.message));
        Some(first.unwrap_or_else(|| "they cannot be had at this load or capacity".to_owned()))
    }

    fn observe(&self, summary: &VariantSummary) -> Observation {
        let finite = |x: f64| x.is_finite().then_some(x);
        let objective = |of: &Objective| of.measure.of(summary).map(|found| of.sign * found).and_then(finite);
        let slack = |(measure, bound): &(Measure, Bound)| measure.of(summary).map(|found| bound.slack(found)).and_then(finite);
        Observation {
            objectives: self.task.objectives.iter().map(objective).collect(),
            constraints: self.task.constraints.iter().map(slack).collect(),
            second: None,
            requests: summary.counts.offered,
        }
    }

    /// Settings that do not go together, or a run that had to be broken off, show nothing: such a candidate loses.
    fn nothing(&self) -> Observation {
        Observation {
            objectives: vec![None; self.task.objectives.len()],
            constraints: vec![None; self.task.constraints.len()],
            second: None,
            requests: 0,
        }
    }
}

impl Problem for ScenarioProblem<'_> {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let Some(plan) = self.plan(candidate) else { return self.nothing() };
        let shortened;
        let plan = if share < 1.0 {
            shortened = plan.shortened(share);
            &shortened
        } else {
            &*plan
        };
        let tally = World::new(plan, replication, None).until(self.stop).run();
        if tally.halted.is_some() {
            return self.nothing();
        }
        let mut builder = VariantBuilder::new(&plan.name, &self.scene.prepared.context);
        builder.add(&tally);
        self.observe(&builder.finish())
    }

    fn has_chance(&self, candidate: &Point) -> bool {
        // The workload is the same for nearly all candidates: no plan is made where it says enough.
        let Scene { scenario, prepared, variant, .. } = self.scene;
        let name = &scenario.variants[*variant].name;
        let own = prepared.plans.iter().find(|plan| plan.name == *name);
        own.is_none_or(|plan| plan.workload.draws()) || self.plan(candidate).is_some_and(|plan| plan.has_chance())
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;

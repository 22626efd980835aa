//! A scenario's `[tune]` section as a problem: its parameters as a space, its figures as objectives and constraints.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::journal::summary::{Bound, Measure, VariantBuilder, VariantSummary};
use crate::scenario::{Diagnostics, Scenario, TuneParameter, TuneScale, TuneSettings};
use crate::sim::{self, Plan, World};
use crate::time::Span;
use crate::tune::{Case, Condition, Domain, Observation, Parameter, Point, Problem, Scale, Scene, Setting, Space};

/// What is wrong with a `[tune]` section, by the path of the setting that is to blame.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Unfit {
    /// The setting: `tune.parameter[0].range`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

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
            return Err(unfit("tune.robust.capacity", "only a vLLM upstream has a speed that can be varied"));
        }
        let space = space(&settings.parameter)?;
        let measure = |path: &str, text: &str| measure(scenario, variant, text).map_err(|why| unfit(path, why));
        let mut objectives = vec![Objective::of(measure("tune.objective", &settings.objective)?)];
        for (index, text) in settings.pareto.iter().enumerate() {
            objectives.push(Objective::of(measure(&format!("tune.pareto[{index}]"), text)?));
        }
        let mut constraints = Vec::new();
        for (index, text) in settings.constraints.iter().enumerate() {
            let path = format!("tune.constraints[{index}]");
            let (left, bound) = Bound::split(text).map_err(|why| unfit(&path, why))?;
            constraints.push((measure(&path, left)?, bound));
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
            shows(scenario, variant, of).map_err(|why| unfit("tune.objective", why))?;
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

    /// Makes sure that both ends of every range, and every choice, are settings that the variant can have.
    ///
    /// # Errors
    /// What is wrong with the first that is not.
    pub fn try_ends(&self, scene: &Scene) -> Result<(), Diagnostics> {
        let Scene { scenario, prepared, variant, .. } = scene;
        for (place, parameter) in self.space.parameters().iter().enumerate() {
            let there = self.with_conditions(self.space.decode(&[]), place);
            for setting in parameter.domain.levels(2) {
                let point = self.space.with(&there, place, &setting);
                let candidate = scenario.candidate(*variant, &self.sets(&point))?;
                sim::replan(scenario, prepared, *variant, &candidate)?;
            }
        }
        Ok(())
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

fn unfit(path: &str, message: impl Into<String>) -> Unfit {
    Unfit { path: path.to_owned(), message: message.into() }
}

fn variant_of(scenario: &Scenario, name: Option<&str>) -> Result<usize, Unfit> {
    let Some(name) = name else { return Ok(scenario.baseline()) };
    scenario.variants.iter().position(|variant| variant.is_of(name)).ok_or_else(|| {
        let known: Vec<&str> = scenario.variants.iter().map(|variant| variant.name.as_str()).collect();
        unfit("tune.variant", format!("there is no variant `{name}` in `{}`; there are: {}", scenario.name, known.join(", ")))
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
    let has_spikes = of.arrivals().any(|(_, arrival)| arrival.rate().is_some_and(|rate| !rate.spikes.is_empty()));
    if measure.needs_spikes() && !has_spikes {
        return Err(format!("`{measure}` is timed from a spike, and the arrivals have no `spikes`"));
    }
    Ok(())
}

fn space(parameters: &[TuneParameter]) -> Result<Space, Unfit> {
    let mut read: Vec<Parameter> = Vec::with_capacity(parameters.len());
    for (index, parameter) in parameters.iter().enumerate() {
        let path = format!("tune.parameter[{index}]");
        let domain = domain(parameter).map_err(|why| unfit(&path, why))?;
        let only_if = match &parameter.only_if {
            None => None,
            Some(condition) => {
                let on = read.iter().position(|earlier| earlier.path == condition.path).ok_or_else(|| {
                    unfit(
                        &format!("{path}.only_if.path"),
                        format!("no parameter before this one has the path `{}`", condition.path),
                    )
                })?;
                let settings = condition.is.iter().map(|value| like(&read[on].domain, value));
                let is: Option<Vec<Setting>> = settings.collect();
                let wrong = || unfit(&format!("{path}.only_if.is"), format!("`{}` never has these values", condition.path));
                Some(Condition { parameter: on, is: is.ok_or_else(wrong)? })
            }
        };
        read.push(Parameter { path: parameter.path.clone(), domain, only_if });
        // After each, so that what is wrong is told where it stands.
        Space::new(read.clone()).map_err(|fault| unfit(&path, fault.to_string()))?;
    }
    Space::new(read).map_err(|fault| unfit("tune.parameter", fault.to_string()))
}

fn domain(parameter: &TuneParameter) -> Result<Domain, String> {
    let scale = match parameter.scale {
        TuneScale::Linear => Scale::Linear,
        TuneScale::Log => Scale::Log,
    };
    match (&parameter.range[..], &parameter.choices[..]) {
        ([lo, hi], []) => range(lo, hi, scale)
            .ok_or_else(|| format!("a range is two numbers or two durations, and not {lo} and {hi}: write `range = [1, 100]`")),
        ([], [_, ..]) => {
            let settings: Option<Vec<Setting>> = parameter.choices.iter().map(setting).collect();
            let settings = settings.ok_or("choices are numbers, names, durations, or true and false")?;
            let both = [Setting::Bool(false), Setting::Bool(true)];
            let is_switch = settings.len() == 2 && both.iter().all(|one| settings.contains(one));
            Ok(if is_switch { Domain::Bool } else { Domain::Choice(settings) })
        }
        ([], []) => Err("give a `range = [least, greatest]`, or `choices = [...]`".to_owned()),
        ([..], []) => Err(format!("a range has two ends, and not {}", parameter.range.len())),
        ([..], [..]) => Err("give a `range` or `choices`, not both".to_owned()),
    }
}

fn range(lo: &Value, hi: &Value, scale: Scale) -> Option<Domain> {
    if let (Some(lo), Some(hi)) = (lo.as_i64(), hi.as_i64()) {
        return Some(Domain::Integer { lo, hi, scale });
    }
    if let (Some(lo), Some(hi)) = (lo.as_f64(), hi.as_f64()) {
        return Some(Domain::Real { lo, hi, scale });
    }
    let span = |value: &Value| value.as_str()?.parse::<Span>().ok();
    Some(Domain::Duration { lo: span(lo)?, hi: span(hi)?, scale })
}

/// A choice, read as what it looks like. Durations stay names: nothing is computed with them.
fn setting(value: &Value) -> Option<Setting> {
    match value {
        Value::Bool(on) => Some(Setting::Bool(*on)),
        Value::Number(number) => number.as_i64().map(Setting::Integer).or_else(|| number.as_f64().map(Setting::Real)),
        Value::String(text) => Some(Setting::Text(text.clone())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `value` as a setting of `domain`.
fn like(domain: &Domain, value: &Value) -> Option<Setting> {
    match domain {
        Domain::Real { .. } => value.as_f64().map(Setting::Real),
        Domain::Duration { .. } => value.as_str()?.parse().ok().map(Setting::Duration),
        Domain::Integer { .. } | Domain::Choice(_) | Domain::Bool => setting(value),
    }
}

/// A task in one future, ready to be searched.
#[derive(Debug)]
pub struct ScenarioProblem<'a> {
    scene: &'a Scene,
    task: &'a Task,
    case: Case,
    /// Plans of the candidates that were run; `None` for settings that do not go together.
    plans: Mutex<BTreeMap<Point, Option<Arc<Plan>>>>,
}

impl<'a> ScenarioProblem<'a> {
    /// `task` in `case`, whose scene is one of `scenes`.
    #[must_use]
    pub fn new(scenes: &'a [Scene], task: &'a Task, case: Case) -> Self {
        Self { scene: &scenes[case.scene], task, case, plans: Mutex::new(BTreeMap::new()) }
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
            requests: summary.counts.offered,
        }
    }

    /// Settings that do not go together, or a run that had to be broken off, show nothing: such a candidate loses.
    fn nothing(&self) -> Observation {
        Observation {
            objectives: vec![None; self.task.objectives.len()],
            constraints: vec![None; self.task.constraints.len()],
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
        let tally = World::new(plan, replication, None).run();
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

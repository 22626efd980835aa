//! Runs the search: prepares the scenes, keeps every observation, shows how it stands, stops when it is told to.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::scenes::Place;
use super::{Arguments, OBSERVATIONS};
use crate::cli::Failure;
use crate::cli::progress::Progress;
use crate::journal::summary::{Context, Summary};
use crate::report::format::number;
use crate::rng::fnv1a;
use crate::scenario::{RobustBy, Scenario, TuneSettings};
use crate::sim::{self, Plan};
use crate::time::Span;
use crate::tune::{
    self, Around, CONFIRMATION_FROM, Case, Ended, Evaluator, Finished, Futures, Host, News, Scene, SearchFault, Stage, Store,
    StoreError, Task, Tuned, Unfit,
};

/// What a process that was interrupted exits with.
const INTERRUPTED: i32 = 130;
/// What the recommended settings are called beside today's.
const RECOMMENDED: &str = "recommended settings";
/// What today's are.
const TODAY: &str = "today's settings";
/// Simulations in steps of the progress bar: short runs count too.
const STEPS: f64 = 1_000.0;

/// What was found, and where.
#[derive(Debug)]
pub(super) struct Found {
    pub scenes: Vec<Scene>,
    pub tuned: Tuned,
    /// Today's settings and the recommended ones on the replications of the confirmation, in the first future; without
    /// variants where the time was over before.
    pub beside: Summary,
    /// The futures that it was made for.
    pub futures: Vec<Case>,
    /// How many futures are held out of it.
    pub held_out: usize,
}

/// Prepares `places`, whose variants [`check`] found, and searches.
///
/// # Errors
/// What is wrong with a scene, a store that cannot be used, a search that cannot be made or was interrupted.
pub(super) fn search(
    arguments: &Arguments,
    places: Vec<(Place, usize)>,
    settings: &TuneSettings,
    task: &Task,
    folder: &Path,
) -> Result<Found, Failure> {
    let scenarios: Vec<&Scenario> = places.iter().map(|(place, _)| &place.scenario).collect();
    let asked = task.settings(settings, &scenarios, scenarios[0].run.seed);
    let progress = Progress::of_budget(arguments.quiet);
    let fingerprint = fingerprint(places.iter().map(|(place, _)| place), settings, arguments.class.as_deref());
    let (held_out, counting): (Vec<usize>, Vec<usize>) = (0..places.len()).partition(|i| places[*i].0.held_out);
    let scenes = prepare(places)?;
    let store = Store::open(&folder.join(OBSERVATIONS), &fingerprint, arguments.fresh).map_err(refused)?;
    if store.held() > 0 && !arguments.quiet {
        let _ = writeln!(std::io::stderr(), "note: going on with {} observations of an earlier run", store.held());
    }
    let futures = Futures {
        scenes: &scenes,
        cases: Case::all(&counting, settings.robust.as_ref()),
        held_out: Case::all(&held_out, None),
        by: settings.robust.as_ref().map_or(RobustBy::default(), |robust| robust.by),
    };
    let alone = if futures.by == RobustBy::Regret && futures.cases.len() > 1 { futures.cases.len() } else { 0 };
    progress.begin(steps(f64::from(settings.simulations.value())) * (1 + alone) as u64);
    let objective = tune::of_futures(&task.objectives[0].measure.to_string(), futures.by, futures.cases.len());
    let host = Desk { store, progress, task, objective, deadline: deadline(settings.time), interrupted: interrupted()? };
    host.progress.advance(steps(host.store.simulations()));
    let around = Around { replications: arguments.around, rows: arguments.sensitivity };
    let found = tune::tune(task, &futures, &asked, around, &host);
    let (futures, held_out) = (futures.cases, futures.held_out.len());
    let over = host.is_over();
    let Desk { store, interrupted, .. } = host;
    store.finish().map_err(refused)?;
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::Interrupted(folder.join(OBSERVATIONS)));
    }
    let tuned = found.map_err(|fault| fruitless(&fault, task, arguments))?;
    let told = tuned.outcome.choice.or(tuned.outcome.closest).is_some() || tuned.outcome.ended == Ended::NothingFeasible;
    if !told {
        let help = "give it more time (`tune.time`): the same command goes on from here";
        return Err(Failure::TimeOver(format!(
            "the time was over before anything was measured that could be chosen by\n  = {help}"
        )));
    }
    let beside = if over { Summary::of(Vec::new()) } else { beside(&scenes[0], task, &tuned, &interrupted)? };
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::Interrupted(folder.join(OBSERVATIONS)));
    }
    Ok(Found { scenes, tuned, beside, futures, held_out })
}

/// Today's settings and, where there are others, the recommended ones: everything that is known of a run.
fn beside(scene: &Scene, task: &Task, tuned: &Tuned, stop: &AtomicBool) -> Result<Summary, Failure> {
    let Scene { scenario, prepared, variant, .. } = scene;
    let outcome = &tuned.outcome;
    let own = &scenario.variants[*variant];
    let mut plans = vec![Plan { name: TODAY.to_owned(), ..sim::replan(scenario, prepared, *variant, own)? }];
    if let Some(choice) = outcome.choice.filter(|choice| Some(*choice) != outcome.baseline) {
        let candidate = scenario.candidate(*variant, &task.sets(outcome.point(choice)))?;
        plans.push(Plan { name: RECOMMENDED.to_owned(), ..sim::replan(scenario, prepared, *variant, &candidate)? });
    }
    let confirmed = outcome.confirmation.as_ref().map(|confirmation| confirmation.series.count);
    let count = confirmed.unwrap_or(scenario.run.replications.value());
    let context = Context { detailed: true, ..prepared.context.clone() };
    Ok(sim::run_from(&plans, CONFIRMATION_FROM, count, &context, Some(stop)))
}

/// Makes sure that `places` can be searched, without measuring or running anything. Returns the position of the variant that is
/// tuned in each.
///
/// # Errors
/// A file that cannot be read, a parameter that a place cannot have, a class that it lacks, a budget that pays for nothing.
pub(super) fn check(
    places: &[Place],
    settings: &TuneSettings,
    task: &Task,
    arguments: &Arguments,
) -> Result<Vec<usize>, Failure> {
    let mut variants = Vec::new();
    let varies_capacity = settings.robust.as_ref().is_some_and(|robust| robust.capacity.is_some());
    for (index, Place { name, scenario, given, .. }) in places.iter().enumerate() {
        // What is wrong with the scenario that asks stands in its file; of another one it is told by name.
        let unfit = |unfit: Unfit| match unfit {
            unfit if index == 0 => Failure::from(unfit.diagnose(scenario)),
            Unfit { message, help, .. } => {
                let help = help.map_or(String::new(), |help| format!("\n  = {help}"));
                Failure::Input(format!("`{name}` cannot be tuned for: {message}{help}"))
            }
        };
        sim::inspect_given(scenario, given)?;
        let variant = task.fits(scenario, settings.variant.as_deref()).map_err(unfit)?;
        if varies_capacity && scenario.variants[variant].upstream.speed().is_none() {
            return Err(Failure::Input(format!("`{name}` has no vLLM upstream, whose speed alone can be varied")));
        }
        task.try_ends(scenario, variant).map_err(unfit)?;
        variants.push(variant);
    }
    let counting: Vec<usize> = (0..places.len()).filter(|place| !places[*place].held_out).collect();
    tune::check_futures(settings, &counting).map_err(|unfit| unfit.diagnose(&places[0].scenario))?;
    let scenarios: Vec<&Scenario> = places.iter().map(|place| &place.scenario).collect();
    let asked = task.settings(settings, &scenarios, scenarios[0].run.seed);
    let paid = tune::affordable(&task.space, &asked, Some(&task.current()));
    // Where the file says it, and nothing else was typed, it is shown there.
    let shown = |what: String, needed: f64, fewer: &str| {
        let help = format!("raise it to {} at least{fewer}", number(needed));
        Failure::from(Unfit::new("tune.simulations", what).help(help).diagnose(&places[0].scenario))
    };
    paid.map_err(|fault| match fault {
        SearchFault::TooLittle(lacks) if arguments.simulations.is_none() => {
            shown(lacks.to_string(), lacks.needed, ", or try fewer candidates")
        }
        SearchFault::NoChoice { needed, .. } if arguments.simulations.is_none() => shown(fault.to_string(), needed, ""),
        fault => fruitless(&fault, task, arguments),
    })?;
    Ok(variants)
}

fn prepare(places: Vec<(Place, usize)>) -> Result<Vec<Scene>, Failure> {
    let one = |(Place { name, scenario, given, .. }, variant)| {
        let prepared = sim::prepare_given(&scenario, &given)?;
        Ok(Scene { name, scenario, prepared, variant })
    };
    places.into_iter().map(one).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative; `as` saturates
fn steps(simulations: f64) -> u64 {
    (simulations * STEPS) as u64
}

/// Where the search reports to.
struct Desk<'a> {
    store: Store,
    progress: Progress,
    task: &'a Task,
    /// The first objective, with what it is combined of.
    objective: String,
    deadline: Option<Instant>,
    interrupted: Arc<AtomicBool>,
}

impl Host for Desk<'_> {
    fn remember(&self, evaluator: &mut Evaluator<'_>) {
        self.store.preload(evaluator);
    }

    fn keep(&self, finished: &Finished<'_>) {
        self.store.keep(finished);
        self.progress.advance(steps(finished.share));
    }

    fn stop(&self) -> bool {
        self.store.has_failed() || self.interrupted.load(Ordering::Relaxed) || self.is_over()
    }

    fn interrupted(&self) -> Option<&AtomicBool> {
        Some(&self.interrupted)
    }

    fn hear(&self, news: &News<'_>) {
        self.progress.tell(self.words(news));
    }
}

impl Desk<'_> {
    /// Whether the budget of time is spent. The one place where a result may depend on a clock, and it says so.
    #[allow(clippy::disallowed_methods)] // a budget of time is about the clock on the wall
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// `screening, 24 candidates left; best so far goodput_rps 56.6 with max_queue_size=35`.
    fn words(&self, news: &News<'_>) -> String {
        let mut text = match news.stage {
            Stage::Screening { left } => format!("screening, {left} candidates left"),
            Stage::Selection { left } => format!("selection, {left} finalists left"),
            Stage::Confirmation => "confirmation".to_owned(),
            Stage::Around => "around the choice".to_owned(),
        };
        if news.of > 0 {
            text = format!("future {} alone: {text}", news.of);
        }
        if let Some((point, mean)) = news.best {
            let objective = &self.task.objectives[0];
            let name = if news.of > 0 { objective.measure.to_string() } else { self.objective.clone() };
            let sets = self.task.sets(point);
            let last = |set: &String| {
                set.split_once('=')
                    .map_or_else(|| set.clone(), |(path, value)| format!("{}={value}", path.rsplit('.').next().unwrap_or(path)))
            };
            let sets: Vec<String> = sets.iter().map(last).collect();
            let with = if sets.is_empty() { "today's settings".to_owned() } else { sets.join(", ") };
            // A String takes everything.
            let _ = write!(text, "; best so far {name} {} with {with}", number(objective.sign * mean));
        }
        text
    }
}

#[allow(clippy::disallowed_methods)] // see `Desk::is_over`
fn deadline(time: Option<Span>) -> Option<Instant> {
    time.map(|time| Instant::now() + Duration::from_nanos(time.as_nanos()))
}

/// A flag that goes up when somebody interrupts or ends the program; a second time ends it at once.
fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let heard = signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&flag))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)));
        heard.map_err(|why| Failure::Input(format!("cannot listen for signals: {why}")))?;
    }
    Ok(flag)
}

fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::Io { path, why } => Failure::Write { path, why },
        other => Failure::Input(other.to_string()),
    }
}

fn fruitless(fault: &SearchFault, task: &Task, arguments: &Arguments) -> Failure {
    let budget = if arguments.simulations.is_some() { "--simulations" } else { "tune.simulations" };
    if *fault == SearchFault::CutShort {
        return Failure::TimeOver(format!("{fault}\n  = give it more time: the same command goes on from here"));
    }
    Failure::Input(match fault {
        SearchFault::Unmeasured(objective) => {
            format!(
                "no run of any candidate shows `{}`: nothing that it is made of ever happens",
                task.objectives[*objective].measure
            )
        }
        SearchFault::Patchy => {
            format!(
                "no candidate shows `{}` in all of its runs\n  = make the runs longer (`run.duration`), or ask for a figure that \
                 every run has",
                task.objectives[0].measure
            )
        }
        SearchFault::NeverShown(constraint) => {
            format!(
                "no run of any candidate shows `{}`, which a constraint is about: nothing that it is made of ever happens",
                task.constraints[*constraint].0
            )
        }
        SearchFault::NoRequest => format!(
            "{fault}\n  = let requests arrive between the warm-up and the end of the run (`run.duration`, `run.warmup`), in \
             settings that go together"
        ),
        SearchFault::TooLittle(lacks) => format!("{lacks}\n  = raise `{budget}`, or try fewer candidates"),
        SearchFault::NoChoice { .. } => format!("{fault}\n  = raise `{budget}`"),
        other => other.to_string(),
    })
}

/// Of everything that an observation depends on.
fn fingerprint<'a>(places: impl Iterator<Item = &'a Place>, settings: &TuneSettings, class: Option<&str>) -> String {
    let paths: Vec<&str> = settings.parameter.iter().map(|parameter| parameter.path.as_str()).collect();
    let wanted = (&settings.variant, &settings.objective, &settings.pareto, &settings.constraints, &settings.robust, paths);
    let mut text = format!("{} {wanted:?}", env!("CARGO_PKG_VERSION"));
    if let Some(class) = class {
        let _ = write!(text, " {class}"); // a String takes everything
    }
    // Regret is measured from each future's own best, and what is found as that depends on how it was looked for.
    if settings.robust.as_ref().is_some_and(|robust| robust.by == RobustBy::Regret) {
        let looked = TuneSettings { time: None, ..settings.clone() };
        let _ = write!(text, " {looked:?}"); // a String takes everything
    }
    for Place { name, scenario, held_out, .. } in places {
        let _ = write!(text, " {name} {held_out} {:?} {:?}", scenario.run, scenario.variants); // a String takes everything
        for file in scenario.files() {
            // What cannot be read was told when the scenario was prepared.
            let bytes = std::fs::read(&file.resolved).unwrap_or_default();
            let _ = write!(text, " {} {:016x}", file.path, fnv1a(&bytes));
        }
    }
    format!("{:016x}", fnv1a(text.as_bytes()))
}

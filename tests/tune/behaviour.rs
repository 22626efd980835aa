//! How a search behaves: the same everywhere, resumable, within its budget, and plain about what it could not do.

use std::sync::Mutex;

use plimsoll::tune::{
    Domain, Ended, Evaluator, Finished, Halving, Host, Method, Model, Observation, Outcome, Parameter, Point, Pool, Problem,
    Scale, SearchFault, Setting, Settings, Space, Standing, TooLittle, Verdict, Zone, search,
};

use crate::problems::{Bowls, Known, Limit, normal};

fn settings(problem: &dyn Known, method: Method) -> Settings {
    Settings {
        method,
        zone: Zone::Absolute(problem.zone()),
        tolerances: problem.tolerances(),
        ..Settings::halving(0, 400.0, 7)
    }
}

fn racing(points: usize) -> Method {
    Method::Halving { pool: Pool::Sobol { points }, halving: Halving::default() }
}

fn modelling() -> Method {
    Method::Model { model: Model::default(), halving: Halving::default() }
}

fn found(problem: &dyn Known, method: Method) -> Outcome {
    let mut evaluator = Evaluator::quiet(problem);
    search(&problem.space(), &mut evaluator, &settings(problem, method), None).unwrap()
}

fn text(outcome: &Outcome) -> String {
    serde_json::to_string(outcome).unwrap()
}

/// Also the middle of the space, as the current settings.
fn middle(problem: &dyn Known) -> Point {
    problem.space().decode(&[])
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for method in [racing(150), modelling()] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| text(&found(&Bowls(3), method.clone())))
        };
        assert_eq!(with(1), with(4));
    }
}

/// Writes everything down, and stops after so many observations.
struct Stopping {
    after: usize,
    seen: Mutex<Vec<(Point, u32, f64, Observation)>>,
}

impl Host for Stopping {
    fn keep(&self, one: &Finished<'_>) {
        self.seen.lock().unwrap().push((one.point.clone(), one.replication, one.share, one.observation.clone()));
    }

    fn stop(&self) -> bool {
        self.seen.lock().unwrap().len() >= self.after
    }
}

/// A search that is stopped after any number of observations and goes on from what it had written ends with the same bytes,
/// whatever the order in which the store gives them back, and runs nothing twice.
#[test]
fn an_interrupted_search_ends_the_same() {
    let problem = Limit(5);
    let outcome = found(&problem, racing(100));
    let (whole, spent) = (text(&outcome), outcome.spent);
    let screened = usize::try_from(spent.screening.runs).unwrap();
    let selected = screened + usize::try_from(spent.selection.runs).unwrap();
    for after in [1, screened / 2, screened + 20, selected + 5] {
        let host = Stopping { after, seen: Mutex::default() };
        let mut evaluator = Evaluator::new(&problem, 0, &host);
        let cut = search(&problem.space(), &mut evaluator, &settings(&problem, racing(100)), None).unwrap();
        assert_ne!(cut.ended, Ended::Complete, "after {after}");
        let finalists = cut.selection.iter().flat_map(|selection| &selection.finalists);
        assert!(finalists.map(|finalist| finalist.objectives.len()).all(|shown| shown == 1), "after {after}");
        assert!(cut.choice.is_some() || cut.ended == Ended::InScreening, "after {after}: the best so far");
        let written = host.seen.into_inner().unwrap();
        assert!(written.len() >= after);
        let mut evaluator = Evaluator::quiet(&problem);
        let stored = written.len() as u64;
        for (point, replication, share, observation) in written.into_iter().rev() {
            evaluator.preload(&point, replication, share, observation);
        }
        let resumed = search(&problem.space(), &mut evaluator, &settings(&problem, racing(100)), None).unwrap();
        assert_eq!(text(&resumed), whole, "after {after}");
        assert_eq!(evaluator.fresh().runs + stored, evaluator.spent().runs);
    }
}

#[test]
fn the_budget_is_kept() {
    for method in [racing(100), racing(20), modelling(), Method::Fixed { pool: Pool::Sobol { points: 100 }, replications: 2 }] {
        let outcome = found(&Bowls(1), method);
        let spent = outcome.spent;
        let all = spent.screening.simulations + spent.selection.simulations + spent.confirmation.simulations;
        assert!(all <= 400.0 + 1e-6, "{all}");
        assert_eq!(outcome.ended, Ended::Complete);
    }
}

#[test]
fn a_budget_too_small_says_how_much_would_do() {
    let problem = Bowls(1);
    let small = Settings { budget: 60.0, ..settings(&problem, racing(2_000)) };
    let run = |settings: &Settings| search(&problem.space(), &mut Evaluator::quiet(&problem), settings, None);
    let mut settings = small;
    for _ in 0..6 {
        match run(&settings) {
            Err(SearchFault::TooLittle(TooLittle { needed, .. }) | SearchFault::NoChoice { needed, .. }) => {
                assert!(needed > settings.budget, "{needed}");
                settings.budget = needed;
            }
            Ok(outcome) => {
                assert_eq!(outcome.ended, Ended::Complete);
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("what was said to be enough never was");
}

#[test]
fn the_record_says_why_each_candidate_went() {
    let outcome = found(&Limit(2), racing(300));
    let visits = || outcome.rungs.iter().flat_map(|rung| &rung.visits);
    let count = |verdict: Verdict| visits().filter(|visit| visit.verdict == verdict).count();
    let counts = [Verdict::Kept, Verdict::RankedOut, Verdict::Infeasible].map(count);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    for (rung, next) in outcome.rungs.iter().zip(&outcome.rungs[1..]) {
        let kept = rung.visits.iter().filter(|visit| visit.verdict == Verdict::Kept).count();
        assert_eq!(kept, next.visits.len());
    }
    let binding = &outcome.bindings[0];
    assert!(binding.costs.is_some(), "the latency limit binds: {binding:?}");
    let selection = outcome.selection.as_ref().unwrap();
    let chosen = selection.finalists.iter().filter(|one| one.standing == Standing::Chosen).map(|one| one.candidate);
    assert_eq!(chosen.collect::<Vec<_>>(), [outcome.choice.unwrap()]);
}

#[test]
fn the_baseline_is_compared_on_fresh_replications() {
    let problem = Bowls(4);
    let mut evaluator = Evaluator::quiet(&problem);
    let baseline = middle(&problem);
    let outcome = search(&problem.space(), &mut evaluator, &settings(&problem, racing(150)), Some(&baseline)).unwrap();
    let gain = outcome.confirmation.unwrap().gain[0].unwrap();
    let truth = problem.value(&outcome.points[outcome.choice.unwrap().0]) - problem.value(&baseline);
    assert!((gain.mean - truth).abs() < 0.1 && gain.interval.unwrap().lo > 0.0, "{gain:?} {truth}");
}

/// What nobody can meet, or nobody shows.
struct Bad {
    objective: Option<f64>,
    slack: f64,
}

impl Problem for Bad {
    fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
        let Some(Setting::Integer(x)) = candidate.setting(0) else { panic!("a whole number") };
        let luck = normal(&mut plimsoll::rng::Streams::new(1, replication).named("luck"));
        Observation {
            objectives: vec![self.objective.map(|y| y + luck)],
            constraints: vec![Some(self.slack - *x as f64 + 0.1 * luck)],
            second: None,
            requests: 1,
        }
    }
}

fn nine() -> Space {
    let domain = Domain::Integer { lo: 1, hi: 9, scale: Scale::Linear };
    Space::new(vec![Parameter { path: "x".into(), domain, only_if: None }]).unwrap()
}

#[test]
fn constraints_that_nobody_meets_name_the_closest() {
    let problem = Bad { objective: Some(1.0), slack: -2.0 };
    let settings = Settings { tolerances: vec![0.1], ..Settings::halving(9, 300.0, 1) };
    let outcome = search(&nine(), &mut Evaluator::quiet(&problem), &settings, None).unwrap();
    assert_eq!((outcome.ended, outcome.choice), (Ended::NothingFeasible, None));
    assert_eq!(outcome.point(outcome.closest.unwrap()), &Point(vec![Some(Setting::Integer(1))]));
}

#[test]
fn an_objective_that_nobody_shows_is_a_fault() {
    let problem = Bad { objective: None, slack: 20.0 };
    let settings = Settings { tolerances: vec![0.1], ..Settings::halving(9, 300.0, 1) };
    let fault = search(&nine(), &mut Evaluator::quiet(&problem), &settings, None).unwrap_err();
    assert_eq!(fault, SearchFault::Unmeasured(0));
}

/// Two objectives that pull apart: x and 10 - x, and a third of all settings dominated.
struct Apart;

impl Problem for Apart {
    fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
        let Some(Setting::Integer(x)) = candidate.setting(0) else { panic!("a whole number") };
        let luck = 0.01 * normal(&mut plimsoll::rng::Streams::new(1, replication).named("luck"));
        let (a, b) = if *x % 3 == 0 { (0.0, 0.0) } else { (*x as f64, 10.0 - *x as f64) };
        Observation { objectives: vec![Some(a + luck), Some(b - luck)], constraints: vec![], second: None, requests: 1 }
    }
}

#[test]
fn several_objectives_give_a_front() {
    let outcome = search(&nine(), &mut Evaluator::quiet(&Apart), &Settings::halving(9, 600.0, 1), None).unwrap();
    let front = outcome.front.as_ref().unwrap();
    let on: Vec<String> = front.members.iter().map(|id| outcome.point(*id).setting(0).unwrap().to_string()).collect();
    assert_eq!(on, ["8", "7", "5", "4", "2", "1"]);
    // Rectangles above (0, 0): steps of the stairs x -> 10 - x.
    let stairs = [(8.0, 2.0), (7.0, 3.0), (5.0, 5.0), (4.0, 6.0), (2.0, 8.0), (1.0, 9.0), (0.0, 0.0)];
    let volume: f64 = stairs.windows(2).map(|two: &[(f64, f64)]| (two[0].0 - two[1].0) * two[0].1).sum();
    assert!((front.hypervolume - volume).abs() < 0.5, "{} {volume}", front.hypervolume);
    assert!(outcome.selection.unwrap().zone.is_none());
}

/// With the same budget the model finds better settings than Sobol points do, in more dimensions than points can fill.
#[test]
fn the_model_finds_more_than_sobol_points_in_eight_dimensions() {
    struct Deep(u64);
    impl Problem for Deep {
        fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
            let luck = normal(&mut plimsoll::rng::Streams::new(self.0, replication).named("luck"));
            let objective = deep(candidate) + 0.05 * luck / share.sqrt();
            Observation { objectives: vec![Some(objective)], constraints: vec![], second: None, requests: 1 }
        }
    }
    fn deep(point: &Point) -> f64 {
        (0..8).map(|k| -(point.setting(k).and_then(Setting::number).unwrap() - 0.3).powi(2)).sum()
    }
    let domain = Domain::Real { lo: 0.0, hi: 1.0, scale: Scale::Linear };
    let one = |k: usize| Parameter { path: k.to_string(), domain: domain.clone(), only_if: None };
    let space = Space::new((0..8).map(one).collect()).unwrap();
    let best = |method: &Method, seed: u64| {
        let problem = Deep(seed);
        let settings = Settings { method: method.clone(), ..Settings::halving(0, 600.0, seed) };
        let outcome = search(&space, &mut Evaluator::quiet(&problem), &settings, None).unwrap();
        deep(outcome.point(outcome.choice.unwrap()))
    };
    let mean = |method: Method| (0..8).map(|seed| best(&method, seed)).sum::<f64>() / 8.0;
    let (model, sobol) = (mean(modelling()), mean(racing(300)));
    assert!(model > sobol / 1.5, "the model's loss must be less than two thirds: {model} {sobol}");
}

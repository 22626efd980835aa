//! Whole searches of problems whose answers are known.

use super::*;
use crate::tune::{Domain, Ended, Observation, Parameter, Problem, Scale, SearchFault, Setting, Standing, TieBreak};

fn space(hi: i64) -> Space {
    let domain = Domain::Integer { lo: 1, hi, scale: Scale::Linear };
    Space::new(vec![Parameter { path: "x".into(), domain, only_if: None }]).unwrap()
}

fn x(point: &Point) -> i64 {
    let Some(Setting::Integer(x)) = point.setting(0) else { panic!("a whole number") };
    *x
}

fn settings(points: usize) -> Settings {
    Settings { tolerances: vec![0.1], ..Settings::halving(points, 600.0, 1) }
}

/// The more of x the better, and the more is the constraint broken; the luck of a replication hides by how much.
struct Greedy;

impl Problem for Greedy {
    fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
        let luck = [-30.0, 20.0, 0.0][replication as usize % 3];
        let x = x(candidate) as f64;
        Observation { objectives: vec![Some(x)], constraints: vec![Some(luck - 0.1 * x)], second: None, requests: 1 }
    }
}

#[test]
fn what_a_constraint_costs_is_of_the_longest_runs_that_show_both() {
    let figure = |mean: f64| Some(crate::tune::Figure { mean, interval: None });
    let visit = |candidate, objective, slack| Visit {
        candidate: Id(candidate),
        objectives: vec![figure(objective)],
        constraints: vec![figure(slack)],
        rank: candidate,
        verdict: crate::tune::Verdict::Kept,
    };
    let rung = |choice, breaker| Rung {
        kind: crate::tune::Kind::Race,
        series: Series { from: 0, count: 1, share: 1.0 },
        visits: vec![visit(0, choice, 1.0), visit(1, breaker, -1.0)],
        spent: Spent::default(),
    };
    // The short runs flattered who breaks it.
    assert_eq!(costs(&[rung(0.90, 0.93), rung(0.95, 0.94)], Id(0), 0), None);
    assert_eq!(costs(&[rung(0.95, 0.94), rung(0.5, 0.75)], Id(0), 0), Some(0.25));
}

#[test]
fn the_closest_is_of_the_whole_search_and_not_of_the_finalists() {
    let outcome = search(&space(60), &mut Evaluator::quiet(&Greedy), &settings(60), None).unwrap();
    assert_eq!(outcome.ended, Ended::NothingFeasible);
    let last = outcome.rungs.last().unwrap();
    let kept = last.visits.iter().filter(|visit| visit.verdict == crate::tune::Verdict::Kept);
    assert!(kept.map(|visit| x(outcome.point(visit.candidate))).all(|x| x > 20), "by merit alone large ones are kept");
    let lowest = outcome.points.iter().map(x).min().unwrap();
    assert_eq!(x(outcome.point(outcome.closest.unwrap())), lowest);
}

/// Best at 7, nothing drawn; from 50 on the constraint is broken.
struct Clockwork;

impl Problem for Clockwork {
    fn run(&self, candidate: &Point, _: u32, _: f64) -> Observation {
        let x = x(candidate) as f64;
        let objective = if x >= 50.0 { 90.0 } else { -(x - 7.0).abs() };
        Observation { objectives: vec![Some(objective)], constraints: vec![Some(49.5 - x)], second: None, requests: 1 }
    }

    fn has_chance(&self, _: &Point) -> bool {
        false
    }
}

#[test]
fn without_chance_one_run_of_each_decides() {
    let today = Point(vec![Some(Setting::Integer(30))]);
    let outcome = search(&space(60), &mut Evaluator::quiet(&Clockwork), &settings(60), Some(&today)).unwrap();
    assert!(outcome.without_chance);
    assert_eq!(x(outcome.point(outcome.choice.unwrap())), 7);
    let selection = outcome.selection.as_ref().unwrap();
    assert!(selection.decided && selection.finalists.iter().all(|one| one.replications == 1));
    assert!(selection.finalists.iter().all(|one| one.standing != Standing::Open));
    let confirmation = outcome.confirmation.as_ref().unwrap();
    assert_eq!((confirmation.series.count, outcome.spent.confirmation.runs), (1, 0), "it is the selection's run");
    let text = serde_json::to_string(&outcome).unwrap();
    assert!(!text.contains("\"interval\":{"), "no interval of a thing that cannot vary");
    // A run of each at each length, and no more.
    assert!(outcome.spent.screening.runs + outcome.spent.selection.runs <= 61 * 3, "{:?}", outcome.spent);
}

/// Shows neither requests nor constraint.
struct Empty {
    requests: u64,
    slack: Option<f64>,
}

impl Problem for Empty {
    fn run(&self, _: &Point, _: u32, _: f64) -> Observation {
        Observation { objectives: vec![Some(0.0)], constraints: vec![self.slack], second: None, requests: self.requests }
    }
}

#[test]
fn a_search_that_measured_nothing_is_a_fault() {
    let fault = |requests, slack| {
        let problem = Empty { requests, slack };
        search(&space(9), &mut Evaluator::quiet(&problem), &settings(9), None).unwrap_err()
    };
    assert_eq!(fault(0, Some(1.0)), SearchFault::NoRequest);
    assert_eq!(fault(5, None), SearchFault::NeverShown(0));
}

/// The same from 5 on, worse below; nothing drawn.
struct Level;

impl Problem for Level {
    fn run(&self, candidate: &Point, _: u32, _: f64) -> Observation {
        Observation { objectives: vec![Some((x(candidate) as f64).min(5.0))], constraints: vec![], second: None, requests: 1 }
    }

    fn has_chance(&self, _: &Point) -> bool {
        false
    }
}

fn from_today(today: i64, fits: &Fits<'_>) -> Outcome {
    let laid = Point(vec![Some(Setting::Integer(today))]);
    let today = Today { laid: &laid, in_force: Some(laid.clone()), fits };
    let settings = Settings::halving(9, 600.0, 1);
    search_from(&space(9), &mut Evaluator::quiet(&Level), &settings, Some(&today)).unwrap()
}

/// Finalists that tie are told, and decided by today's settings: themselves, else the nearest to them that what is held out lets
/// pass.
#[test]
fn a_tie_is_told_and_goes_to_whoever_changes_least() {
    let all = |points: &[Point]| Ok(vec![true; points.len()]);
    let own = from_today(7, &all);
    assert_eq!((own.choice, own.tie.unwrap().broken_by), (own.baseline, TieBreak::Today));
    let near = from_today(2, &all);
    let tie = near.tie.clone().unwrap();
    assert!(tie.failed.is_empty());
    assert_eq!((x(near.point(near.choice.unwrap())), tie.broken_by), (5, TieBreak::Nearest));
    assert!(tie.members.len() > 1);
    let selection = near.selection.as_ref().unwrap();
    let tied = |one: &&crate::tune::Finalist| one.standing == Standing::Tied { with: near.choice.unwrap() };
    assert_eq!(selection.finalists.iter().filter(tied).count(), tie.members.len() - 1, "and nobody is said to be beaten by it");
    let only_8 = |points: &[Point]| Ok(points.iter().map(|point| x(point) == 8).collect());
    let held_out = from_today(2, &only_8);
    assert_eq!((x(held_out.point(held_out.choice.unwrap())), held_out.tie.unwrap().broken_by), (8, TieBreak::HeldOut));
    let none = |points: &[Point]| Ok(vec![false; points.len()]);
    assert_eq!(from_today(2, &none).tie.unwrap().broken_by, TieBreak::Nearest);
}

/// Two numbers, of which the second makes no difference; the luck of a replication is common to all.
struct First;

impl Problem for First {
    fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
        let luck = f64::from(replication % 7);
        Observation {
            objectives: vec![Some(100.0 - (x(candidate) as f64 - 4.0).abs() + luck)],
            constraints: vec![Some(1.0 + luck)],
            second: None,
            requests: 1,
        }
    }
}

#[test]
fn what_makes_no_difference_stays_as_it_is_today() {
    let one = |path: &str| {
        let domain = Domain::Integer { lo: 1, hi: 9, scale: Scale::Linear };
        Parameter { path: path.into(), domain, only_if: None }
    };
    let space = Space::new(vec![one("a"), one("b")]).unwrap();
    let at = |a: i64, b: i64| Point(vec![Some(Setting::Integer(a)), Some(Setting::Integer(b))]);
    let fits = |points: &[Point]| Ok(vec![true; points.len()]);
    let found = |laid: Point| {
        let today = Today { laid: &laid, in_force: Some(laid.clone()), fits: &fits };
        search_from(&space, &mut Evaluator::quiet(&First), &settings(81), Some(&today)).unwrap()
    };
    let moved = found(at(9, 9));
    let choice = moved.point(moved.choice.unwrap());
    assert_eq!(choice, &at(4, 9), "{:?}", moved.unchanged);
    assert!(moved.spent.unchanged.runs <= 30, "{:?}", moved.spent);
    let gain = moved.confirmation.as_ref().unwrap().gain[0].unwrap();
    assert!((gain.mean - 5.0).abs() < 1e-9, "what is recommended is what was confirmed");
    assert_eq!(found(at(4, 9)).choice, found(at(4, 9)).baseline, "today's are as good as any");
}

/// Stops after so many runs.
struct Stopping {
    after: u64,
    runs: std::sync::atomic::AtomicU64,
}

impl crate::tune::Host for Stopping {
    fn keep(&self, _: &crate::tune::Finished<'_>) {
        self.runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn stop(&self) -> bool {
        self.runs.load(std::sync::atomic::Ordering::Relaxed) >= self.after
    }
}

/// On one thread: which runs are finished when the stop is seen is then no matter of luck.
fn stopped(problem: &(dyn Problem + Sync), settings: &Settings, after: u64) -> (Outcome, u64) {
    let host = Stopping { after, runs: std::sync::atomic::AtomicU64::new(0) };
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let outcome = alone.install(|| search(&space(60), &mut Evaluator::new(problem, 0, &host), settings, None).unwrap());
    (outcome, host.runs.into_inner())
}

/// The more the better, but for luck of its own, and from 20 on the constraint is broken; 13 shows its objective in the first three whole
/// runs only.
struct Bound;

impl Problem for Bound {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let whole = x(candidate);
        let x = whole as f64;
        let (own, luck) = ((i64::from(replication % 100) * 7 + whole * 3) % 5, f64::from(replication % 5) / 10.0);
        let shown = whole != 13 || share < 1.0 || replication < 3;
        Observation {
            objectives: vec![shown.then_some(x + own as f64)],
            constraints: vec![Some(19.5 - x + luck)],
            second: None,
            requests: 1,
        }
    }
}

/// A search cut in the screening has chosen somebody who seems to hold the constraints, with what is known of them.
#[test]
fn who_is_best_so_far_holds_the_constraints() {
    let whole = search(&space(60), &mut Evaluator::quiet(&Bound), &settings(60), None).unwrap();
    let first = whole.rungs[0].spent.runs;
    let (cut, _) = stopped(&Bound, &settings(60), first + 3);
    assert_eq!(cut.ended, Ended::InScreening);
    assert!(x(cut.point(cut.choice.unwrap())) < 20, "larger ones are better and break the constraint");
    assert!(cut.bindings[0].slack.is_some_and(|slack| slack.mean >= 0.0));
    let (cut, _) = stopped(&Greedy, &settings(60), first + 3);
    assert_eq!((cut.ended, cut.choice, cut.closest.is_some()), (Ended::InScreening, None, true), "nobody holds them so far");
}

/// What the model proposed before the stop is not lost, nor is what it cost.
#[test]
fn a_model_that_is_stopped_keeps_its_batches() {
    let method = Method::Model { model: crate::tune::Model::default(), halving: Halving::default() };
    let modelled = Settings { method, ..settings(60) };
    let (cut, runs) = stopped(&Bound, &modelled, 80);
    assert_eq!(cut.ended, Ended::InScreening);
    assert!(cut.rungs.len() >= 2, "{} batches", cut.rungs.len());
    let holds = |visit: &&Visit| visit.constraints[0].is_some_and(|slack| slack.mean >= 0.0) && visit.objectives[0].is_some();
    let best = cut.rungs.iter().flat_map(|rung| &rung.visits).filter(holds).min_by_key(|visit| visit.rank);
    assert_eq!(cut.choice, best.map(|visit| visit.candidate), "the best of all batches, not of the last");
    assert!(!cut.bindings.is_empty());
    assert_eq!(cut.spent.screening.runs, runs);
}

/// One finalist that cannot be measured says nothing against the replications of the others.
#[test]
fn one_unmeasured_finalist_does_not_discard_the_selection() {
    let pool = Pool::List([13, 14, 15, 16].map(|x| Point(vec![Some(Setting::Integer(x))])).into());
    let halving = Halving { share_min: 1.0 / 9.0, ..Halving::default() };
    let racing = Settings { zone: Zone::Absolute(0.01), method: Method::Halving { pool, halving }, ..settings(4) };
    let whole = search(&space(60), &mut Evaluator::quiet(&Bound), &racing, None).unwrap();
    let screened = whole.spent.screening.runs;
    let (cut, _) = stopped(&Bound, &racing, screened + 22);
    assert_eq!(cut.ended, Ended::InSelection, "{:?}", (screened, cut.spent, &cut.selection));
    let selection = cut.selection.expect("whole replications of all were run");
    assert!(selection.finalists.iter().all(|one| one.replications < selection.first));
    let unmeasured = |one: &&crate::tune::Finalist| matches!(one.standing, Standing::Unmeasured { .. });
    assert!(selection.finalists.iter().filter(unmeasured).count() == 1 && cut.choice.is_some(), "{selection:?}");
}

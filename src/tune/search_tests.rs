//! Whole searches of problems whose answers are known.

use super::*;
use crate::tune::{Domain, Ended, Observation, Parameter, Problem, Scale, SearchFault, Setting, Standing};

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
        Observation { objectives: vec![Some(x)], constraints: vec![Some(luck - 0.1 * x)], requests: 1 }
    }
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
        Observation { objectives: vec![Some(objective)], constraints: vec![Some(49.5 - x)], requests: 1 }
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
        Observation { objectives: vec![Some(0.0)], constraints: vec![self.slack], requests: self.requests }
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

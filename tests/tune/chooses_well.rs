//! Does it choose well, and for how much less than a grid?

use plimsoll::stats::wilson;
use plimsoll::tune::{Evaluator, Halving, Method, Model, Point, Settings, Spent, Zone, search};
use rayon::prelude::*;

use crate::problems::{Known, all};

/// The one-sided 95 % lower bound of the share of right choices must not lie below.
const BOUND: f64 = 0.92;

fn settings(problem: &dyn Known, method: Method, budget: f64, seed: u64) -> Settings {
    Settings {
        method,
        zone: Zone::Absolute(problem.zone()),
        tolerances: problem.tolerances(),
        alpha: 0.05,
        ..Settings::halving(0, budget, seed)
    }
}

fn racing() -> Halving {
    Halving { share_min: 1.0 / 27.0, ..Halving::default() }
}

/// Seeds from here on. Noise, zones and budgets of the problems were set on seeds from 1,000 on (`PLIMSOLL_FIRST_SEED`), which
/// take no part here.
const FIRST_SEED: u64 = 400_000;

fn first_seed() -> u64 {
    std::env::var("PLIMSOLL_FIRST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(FIRST_SEED)
}

/// How often a method was right, and what it took on average.
struct Measure {
    right: u64,
    seeds: u64,
    requests: f64,
    simulations: f64,
    undecided: u64,
}

impl Measure {
    fn lower(&self) -> f64 {
        wilson(self.right, self.seeds, 0.90).unwrap().lo
    }
}

/// What one search came to.
struct One {
    right: bool,
    decided: bool,
    spent: Spent,
}

/// Screening and selection on each seed's own luck. What the confirmation takes is left out: it chooses nothing.
fn measure(problem: &dyn Known, budget: f64, seeds: u64, method: &(dyn Fn() -> Method + Sync)) -> Measure {
    let space = problem.space();
    let best = problem.best(&space.grid(problem.levels()));
    let first = first_seed();
    let one = |seed: u64| {
        let lucky = problem.reseeded(first + seed);
        let problem: &dyn Known = lucky.as_ref();
        let mut evaluator = Evaluator::quiet(problem);
        let outcome = search(&space, &mut evaluator, &settings(problem, method(), budget, seed), None).unwrap();
        let mut spent = outcome.spent.screening;
        spent += outcome.spent.selection;
        let right = outcome.choice.is_some_and(|id| problem.right(outcome.point(id), best));
        One { right, decided: outcome.selection.unwrap().decided, spent }
    };
    let all: Vec<One> = (0..seeds).into_par_iter().map(one).collect();
    let count = |of: &dyn Fn(&&One) -> bool| all.iter().filter(of).count() as u64;
    let mean = |of: &dyn Fn(&One) -> f64| all.iter().map(of).sum::<f64>() / seeds as f64;
    Measure {
        right: count(&|one| one.right),
        seeds,
        requests: mean(&|one| one.spent.requests as f64),
        simulations: mean(&|one| one.spent.simulations),
        undecided: count(&|one| !one.decided),
    }
}

/// The full grid, each candidate run `1..=most` times, and the best by its mean: for each number of replications, on how many
/// seeds it is right.
fn grid_right(problem: &dyn Known, seeds: u64, most: u32) -> Vec<u64> {
    let candidates: Vec<Point> = problem.space().grid(problem.levels());
    let best = problem.best(&candidates);
    let first = first_seed();
    let one = |seed: u64| -> Vec<bool> {
        let lucky = problem.reseeded(first + seed);
        let mut totals = vec![(0.0, 0.0); candidates.len()];
        let mut right_after = |replication: u32| {
            for (point, (objective, slack)) in candidates.iter().zip(&mut totals) {
                let shown = lucky.run(point, replication, 1.0);
                *objective += shown.objectives[0].unwrap();
                *slack += shown.constraints.first().copied().flatten().unwrap_or(0.0);
            }
            // What a person does with a grid: the best mean of those that seem feasible.
            let feasible = totals.iter().enumerate().filter(|(_, (_, slack))| *slack >= 0.0);
            let choice = feasible.reduce(|a, b| if b.1.0 > a.1.0 { b } else { a });
            choice.is_some_and(|(i, _)| problem.right(&candidates[i], best))
        };
        (0..most).map(&mut right_after).collect()
    };
    let by_seed: Vec<Vec<bool>> = (0..seeds).into_par_iter().map(one).collect();
    (0..most as usize).map(|r| by_seed.iter().filter(|right| right[r]).count() as u64).collect()
}

/// The smallest number of replications from which on the grid is right at least as often; `None` where `most` do not do.
fn replications_for(right: &[u64], wanted: u64) -> Option<u32> {
    let last_below = right.iter().rposition(|right| *right < wanted);
    let first = last_below.map_or(0, |place| place + 1);
    (first < right.len()).then(|| u32::try_from(first + 1).unwrap())
}

fn halving(problem: &dyn Known) -> impl Fn() -> Method + Sync + use<> {
    let pool = problem.pool();
    move || Method::Halving { pool: pool.clone(), halving: racing() }
}

/// The grid's replications that make it right on at least `wanted` seeds from there on, looked for up to `most`.
fn grid_needs(problem: &dyn Known, seeds: u64, wanted: u64, most: u32) -> Option<u32> {
    let mut tries = [8, 24].into_iter().take_while(|some| *some < most).chain([most]);
    tries.find_map(|some| replications_for(&grid_right(problem, seeds, some), wanted))
}

/// Replications of the grid at most: it may need more.
const GRID_MOST: u32 = 72;

fn row(problem: &dyn Known, seeds: u64, most: u32) -> (Measure, f64) {
    let candidates = problem.space().grid(problem.levels()).len();
    let halving = measure(problem, problem.budget(), seeds, &halving(problem));
    let replications = grid_needs(problem, seeds, halving.right, most);
    // Where even `most` do not do, the ratio is at least what they cost.
    let requests = f64::from(replications.unwrap_or(most)) * candidates as f64 * 2_000.0;
    let ratio = requests / halving.requests;
    println!(
        "| {} | {candidates} | {} of {seeds} | {:.3} | {:.0} | {:.2} | {} | {} | {:.1} | {ratio:.1} |",
        problem.name(),
        halving.right,
        halving.lower(),
        halving.simulations,
        halving.requests / 1e6,
        halving.undecided,
        replications.map_or(format!("over {most}"), |r| r.to_string()),
        requests / 1e6,
    );
    (halving, ratio)
}

/// 200 seeds each, and the grid beside it (`PLIMSOLL_SEEDS` for others, `PLIMSOLL_PROBLEM` for those with that in their name):
/// `cargo test --release --test tune -- --ignored --nocapture chooses_well_and_cheaply`
#[test]
#[ignore = "takes minutes"]
fn it_chooses_well_and_cheaply() {
    let seeds = std::env::var("PLIMSOLL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200);
    println!(
        "| problem | candidates | right | lower bound | simulations | million requests | undecided | grid: replications | million requests | times fewer |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let only = std::env::var("PLIMSOLL_PROBLEM").unwrap_or_default();
    let problems = all().into_iter().filter(|problem| problem.name().contains(&only));
    let rows: Vec<(Measure, f64)> = problems.map(|problem| row(problem.as_ref(), seeds, GRID_MOST)).collect();
    assert!(rows.iter().all(|(halving, _)| halving.lower() >= BOUND));
    // Over all problems: one problem's ratio moves by half with a single replication of the grid.
    let all: f64 = rows.iter().map(|(halving, _)| halving.requests).sum();
    let grid: f64 = rows.iter().map(|(halving, ratio)| halving.requests * ratio).sum();
    println!("all: {:.2} and {:.1} million requests, {:.1} times fewer", all / 1e6, grid / 1e6, grid / all);
    assert!(grid >= 10.0 * all);
}

/// The problems for a model: those with several parameters and an objective that rises towards its best.
fn modelled() -> Vec<Box<dyn Known>> {
    all().into_iter().filter(|problem| problem.model().is_some()).collect()
}

fn modelling(model: Model) -> impl Fn() -> Method + Sync {
    move || Method::Model { model: model.clone(), halving: racing() }
}

/// The model on the problems that are for it, a row each.
fn model_rows(seeds: u64) -> Vec<(Box<dyn Known>, Measure)> {
    let only = std::env::var("PLIMSOLL_PROBLEM").unwrap_or_default();
    let problems = modelled().into_iter().filter(|problem| problem.name().contains(&only));
    let row = |problem: Box<dyn Known>| {
        let model = problem.model().expect("one for a model");
        let found = measure(problem.as_ref(), problem.budget(), seeds, &modelling(model));
        println!(
            "| {} | {} of {seeds} | {:.3} | {:.0} | {:.2} | {} |",
            problem.name(),
            found.right,
            found.lower(),
            found.simulations,
            found.requests / 1e6,
            found.undecided
        );
        (problem, found)
    };
    problems.map(row).collect()
}

/// 200 seeds each (`PLIMSOLL_SEEDS` for others, `PLIMSOLL_PROBLEM` for those with that in their name):
/// `cargo test --release --test tune -- --ignored --nocapture the_model_chooses_well`
#[test]
#[ignore = "takes minutes"]
fn the_model_chooses_well() {
    let seeds = std::env::var("PLIMSOLL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200);
    println!("| problem | right | lower bound | simulations | million requests | undecided |");
    println!("|---|---|---|---|---|---|");
    for (problem, found) in model_rows(seeds).iter().filter(|(problem, _)| problem.model_is_right()) {
        assert!(found.lower() >= BOUND, "{}: {} of {seeds}", problem.name(), found.right);
    }
}

/// The light one for the model: two problems, and fewer seeds.
#[test]
fn the_model_chooses() {
    let problems = modelled().into_iter().filter(|problem| problem.model_is_right() && problem.budget() <= 1_000.0);
    for problem in problems.take(2) {
        let model = problem.model().expect("one for a model");
        let found = measure(problem.as_ref(), problem.budget(), 12, &modelling(model));
        // 9 of 12 is what a method that is right 95 times in 100 falls below once in 400.
        assert!(found.right >= 9, "{}: {} of 12", problem.name(), found.right);
    }
}

/// The light one: fewer seeds, and no grid.
#[test]
fn it_chooses_well() {
    let problems = all();
    for problem in problems.iter().filter(|problem| problem.budget() <= 1_000.0) {
        let found = measure(problem.as_ref(), problem.budget(), 24, &halving(problem.as_ref()));
        // 20 of 24 is what a method that is right 95 times in 100 falls below once in 150.
        assert!(found.right >= 20, "{}: {} of 24", problem.name(), found.right);
    }
}

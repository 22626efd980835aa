//! Does it choose well, and for how much less than a grid?

use plimsoll::stats::wilson;
use plimsoll::tune::{Evaluator, Halving, Job, Measured, Method, Point, Pool, Series, Settings, Zone, search};
use rayon::prelude::*;

use crate::problems::{Known, all};

/// The share that issue the promise of: its one-sided 95 % lower bound must not lie below.
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

/// How often a method was right, and what it took on average.
struct Measure {
    right: u64,
    seeds: u64,
    requests: f64,
    simulations: f64,
    undecided: u64,
}

impl Measure {
    fn share(&self) -> f64 {
        self.right as f64 / self.seeds as f64
    }

    fn lower(&self) -> f64 {
        wilson(self.right, self.seeds, 0.90).unwrap().lo
    }
}

/// Screening and selection on each seed's own luck. What the confirmation takes is left out: it chooses nothing.
fn measure(problem: &dyn Known, budget: f64, seeds: u64, method: &(dyn Fn() -> Method + Sync)) -> Measure {
    let space = problem.space();
    let best = problem.best(&space.grid(problem.levels()));
    let one = |seed: u64| {
        let lucky = problem.reseeded(1_000 + seed);
        let problem: &dyn Known = lucky.as_ref();
        let mut evaluator = Evaluator::quiet(problem);
        let outcome = search(&space, &mut evaluator, &settings(problem, method(), budget, seed), None).unwrap();
        let right = outcome.choice.is_some_and(|id| problem.right(outcome.point(id), best));
        let (a, b) = (outcome.spent.screening, outcome.spent.selection);
        (right, a.requests + b.requests, a.simulations + b.simulations, !outcome.selection.unwrap().decided)
    };
    let all: Vec<(bool, u64, f64, bool)> = (0..seeds).into_par_iter().map(one).collect();
    let mean = |of: &dyn Fn(&(bool, u64, f64, bool)) -> f64| all.iter().map(of).sum::<f64>() / seeds as f64;
    Measure {
        right: all.iter().filter(|one| one.0).count() as u64,
        seeds,
        requests: mean(&|one| one.1 as f64),
        simulations: mean(&|one| one.2),
        undecided: all.iter().filter(|one| one.3).count() as u64,
    }
}

/// The full grid, each candidate run `1..=most` times, and the best by its mean: for each number of replications, on how many
/// seeds it is right.
fn grid_right(problem: &dyn Known, seeds: u64, most: u32) -> Vec<u64> {
    let space = problem.space();
    let candidates: Vec<Point> = space.grid(problem.levels());
    let best = problem.best(&candidates);
    let one = |seed: u64| -> Vec<bool> {
        let lucky = problem.reseeded(1_000 + seed);
        let problem: &dyn Known = lucky.as_ref();
        let mut evaluator = Evaluator::quiet(problem);
        let ids: Vec<_> = candidates.iter().map(|point| evaluator.id(point)).collect();
        let job = |replication| ids.iter().map(move |id| Job { candidate: *id, replication, share: 1.0 });
        evaluator.run(&(0..most).flat_map(job).collect::<Vec<_>>()).unwrap();
        let right_after = |count: u32| {
            let series = Series { from: 0, count, share: 1.0 };
            let all: Vec<Measured> = ids.iter().map(|id| Measured::of(&evaluator, *id, &series)).collect();
            // What a person does with a grid: the best mean of those that seem feasible.
            let seems = all.iter().enumerate().filter(|(_, measured)| measured.holds());
            let choice = seems.reduce(|a, b| if b.1.mean(0) > a.1.mean(0) { b } else { a });
            choice.is_some_and(|(i, _)| problem.right(&candidates[i], best))
        };
        (1..=most).map(right_after).collect()
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

const BUDGET: f64 = 800.0;
const SEEDS: u64 = 20;

fn halving(problem: &dyn Known) -> impl Fn() -> Method + Sync + use<> {
    let levels = problem.levels();
    move || Method::Halving { pool: Pool::Grid { levels }, halving: racing() }
}

/// 200 seeds each, and the grid beside it. Takes minutes:
/// `cargo test --release --test tune -- --ignored --nocapture chooses_well_and_cheaply`
#[test]
#[ignore = "takes minutes"]
fn it_chooses_well_and_cheaply() {
    const MOST: u32 = 30;
    println!(
        "| problem | candidates | halving: right | lower bound | requests | undecided | grid: replications | requests | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for problem in all() {
        let problem = problem.as_ref();
        let candidates = problem.space().grid(problem.levels()).len();
        let halving = measure(problem, BUDGET, SEEDS, &halving(problem));
        let grid = grid_right(problem, SEEDS, MOST);
        let replications = replications_for(&grid, halving.right);
        let requests = f64::from(replications.unwrap_or(MOST + 1)) * candidates as f64 * 2_000.0;
        println!(
            "| {} | {candidates} | {} of 200 | {:.3} | {:.0} ({:.0} sims) | {} | {} ({:?}) | {requests:.0} | {:.1} |",
            problem.name(),
            halving.right,
            halving.lower(),
            halving.requests,
            halving.simulations,
            halving.undecided,
            replications.map_or(format!("> {MOST}"), |r| r.to_string()),
            [grid[0], grid[4], grid[9], grid[29], grid[29]],
            requests / halving.requests,
        );
    }
}

//! Intervals hold the truth as often as they say: of the choice, and of what it gains over the current settings.

use plimsoll::stats::wilson;
use plimsoll::tune::{Evaluator, Halving, Method, Pool, Settings, Zone, search};
use rayon::prelude::*;

use crate::problems::{Crowd, Known};

/// Of `runs` whole searches: how many 95 % intervals of the choice's objective and of its gain held the true values.
fn held(runs: u64) -> (u64, u64) {
    let one = |seed: u64| {
        let problem = Crowd(90_000 + seed);
        let space = problem.space();
        let baseline = space.decode(&[0.5]);
        let pool = Pool::List((0..40).map(|i| space.decode(&[f64::from(i) / 40.0])).collect());
        let settings = Settings {
            method: Method::Halving { pool, halving: Halving::default() },
            zone: Zone::Absolute(1.5),
            ..Settings::halving(0, 240.0, seed)
        };
        let outcome = search(&space, &mut Evaluator::quiet(&problem), &settings, Some(&baseline)).unwrap();
        let choice = outcome.point(outcome.choice.unwrap());
        let confirmation = outcome.confirmation.as_ref().unwrap();
        let holds = |figure: plimsoll::tune::Figure, truth: f64| figure.interval.unwrap().holds(truth);
        let (value, base) = (problem.value(choice), problem.value(&baseline));
        (holds(confirmation.objectives[0].unwrap(), value), holds(confirmation.gain[0].unwrap(), value - base))
    };
    let all: Vec<(bool, bool)> = (0..runs).into_par_iter().map(one).collect();
    (all.iter().filter(|one| one.0).count() as u64, all.iter().filter(|one| one.1).count() as u64)
}

/// `cargo test --release --test tune -- --ignored --nocapture intervals_cover`
#[test]
#[ignore = "takes a minute"]
fn intervals_cover_the_truth_in_two_thousand_searches() {
    let (choice, gain) = held(2_000);
    println!("| the choice's objective | {choice} of 2000 | {:.2} % |", choice as f64 / 20.0);
    println!("| its gain over the current settings | {gain} of 2000 | {:.2} % |", gain as f64 / 20.0);
    for held in [choice, gain] {
        assert!((1_870..=1_930).contains(&held), "{held} of 2000");
    }
}

/// The light one: 300 searches, against the binomial spread of so many.
#[test]
fn intervals_cover_the_truth() {
    let (choice, gain) = held(300);
    for held in [choice, gain] {
        assert!(wilson(held, 300, 0.999).unwrap().holds(0.95), "{held} of 300");
    }
}

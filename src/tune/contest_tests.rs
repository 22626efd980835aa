//! The contest: its constants, its error, and what it does with constraints.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::rng::open01;
use crate::stats::wilson;

fn terms(zone: f64, tolerances: &[f64]) -> Terms {
    Terms { alpha: 0.05, zone, tolerances: tolerances.to_vec(), first: 10 }
}

/// Standard normal, by Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (open01(rng.next_u64()), open01(rng.next_u64()));
    libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * std::f64::consts::PI * v)
}

/// Kim and Nelson (2001), section 2, with c = 1: (1 + 2 eta)^(-(n0 - 1) / 2) / 2 = beta.
#[test]
fn eta_solves_its_equation() {
    for (beta, n0) in [(0.05, 10), (0.01, 24), (0.005, 5)] {
        let freedom = f64::from(n0 - 1);
        let eta = h_squared(beta, n0) / (2.0 * freedom);
        let g = 0.5 * libm::pow(1.0 + 2.0 * eta, -freedom / 2.0);
        assert!((g - beta).abs() < 1e-12, "{g} {beta}");
    }
}

/// Runs a contest until it is decided; returns the choice and the replications.
fn run(means: &[f64], slack: &[f64], common: f64, zone: f64, seed: u64) -> (Option<usize>, u32) {
    let tolerances: &[f64] = if slack.is_empty() { &[] } else { &[0.5] };
    let mut contest = Contest::new(means.len(), terms(zone, tolerances));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    while !contest.decided() {
        let shared = normal(&mut rng);
        let draws: Vec<(f64, f64)> = means.iter().map(|_| (normal(&mut rng), normal(&mut rng))).collect();
        let open: Vec<usize> = contest.open().collect();
        let slacks: Vec<Vec<Option<f64>>> =
            open.iter().map(|i| slack.get(*i).map(|s| Some(s + draws[*i].1)).into_iter().collect()).collect();
        let row: Vec<(Option<f64>, &[Option<f64>])> = open
            .iter()
            .zip(&slacks)
            .map(|(i, slacks)| (Some(means[*i] + common * shared + draws[*i].0), slacks.as_slice()))
            .collect();
        contest.take(&row, &[]);
        assert!(contest.replications() < 100_000);
    }
    (contest.open().next(), contest.replications())
}

/// The least favourable case: all but the best exactly the zone worse.
#[test]
fn the_best_is_chosen_as_often_as_promised() {
    let mut means = vec![0.0; 8];
    means[5] = 1.0;
    let right = (0..400).filter(|seed| run(&means, &[], 0.0, 1.0, *seed).0 == Some(5)).count();
    let lower = wilson(right as u64, 400, 0.90).unwrap().lo;
    assert!(lower >= 0.95, "{right} of 400: at least {lower}");
}

/// What all systems share takes no replications: only differences count.
#[test]
fn common_noise_costs_nothing() {
    let replications = |common: f64| (0..40).map(|seed| run(&[0.0, 1.0, 0.3], &[], common, 0.5, seed).1).sum::<u32>();
    assert_eq!(replications(0.0), replications(8.0));
}

/// The better one breaks the constraint; the one that holds it is chosen, and the reason is said.
#[test]
fn the_best_feasible_one_is_chosen() {
    let right = (0..200).filter(|seed| run(&[3.0, 1.0, 0.0], &[-1.0, 1.0, 1.0], 0.0, 1.0, *seed).0 == Some(1)).count();
    assert!(wilson(right as u64, 200, 0.90).unwrap().lo >= 0.95, "{right} of 200");
    let nobody = run(&[1.0, 0.0], &[-2.0, -2.0], 0.0, 1.0, 1);
    assert_eq!(nobody.0, None);
}

/// Two alike: decided when the triangle closes, for one of them.
#[test]
fn equal_systems_end_too() {
    let (choice, replications) = run(&[0.0, 0.0], &[], 0.0, 1.0, 3);
    assert!(choice.is_some() && replications < 200, "{replications}");
    let mut same = Contest::new(2, terms(1.0, &[]));
    for r in 0..10 {
        same.take(&[(Some(f64::from(r)), &[]), (Some(f64::from(r)), &[])], &[]);
    }
    assert_eq!(same.fates(), [Fate::Open, Fate::Beaten { by: 0, at: 10 }]);
}

/// Of systems that never differ the one with the better second key stays, however little better it is.
#[test]
fn what_comes_second_decides_between_equals_only() {
    let fates = |first: [f64; 2], second: [f64; 2]| {
        let mut contest = Contest::new(2, terms(1.0, &[]));
        for r in 0..10 {
            let luck = f64::from(r % 3);
            let row = first.map(|x| (Some(x + luck), &[][..]));
            contest.take(&row, &second.map(Some));
        }
        contest.fates().to_vec()
    };
    assert_eq!(fates([1.0, 1.0], [0.1, 0.1001]), [Fate::Beaten { by: 1, at: 10 }, Fate::Open]);
    assert_eq!(fates([1.0, 1.0], [0.1, 0.1]), [Fate::Open, Fate::Beaten { by: 0, at: 10 }]);
    assert_eq!(fates([9.0, 1.0], [0.1, 0.2]), [Fate::Open, Fate::Beaten { by: 0, at: 10 }]);
}

/// Two that differ by little compared with their noise need more replications than there are: that is known beforehand.
#[test]
fn what_no_budget_decides_is_known() {
    let mut contest = Contest::new(2, terms(0.01, &[]));
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..10 {
        contest.take(&[(Some(normal(&mut rng)), &[]), (Some(normal(&mut rng)), &[])], &[]);
    }
    assert!(contest.is_beyond(1_000) && !contest.is_beyond(100_000_000));
}

#[test]
fn a_system_that_shows_nothing_goes() {
    let mut contest = Contest::new(2, terms(1.0, &[]));
    contest.take(&[(None, &[]), (Some(1.0), &[])], &[]);
    assert_eq!(contest.fates()[0], Fate::Unmeasured { at: 1 });
    for _ in 0..9 {
        contest.take(&[(Some(1.0), &[])], &[]);
    }
    assert!(contest.decided());
    assert_eq!((contest.leader(), contest.left_at_most()), (Some(1), Some(0.0)));
}

#[test]
fn what_is_left_is_a_bound() {
    let mut contest = Contest::new(2, terms(0.2, &[]));
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut bound = None;
    while !contest.decided() {
        contest.take(&[(Some(normal(&mut rng)), &[]), (Some(normal(&mut rng)), &[])], &[]);
        if contest.replications() == 10 {
            bound = Some(10.0 + contest.left_at_most().unwrap() / 2.0);
        }
    }
    assert!(f64::from(contest.replications()) <= bound.unwrap(), "{} {bound:?}", contest.replications());
}

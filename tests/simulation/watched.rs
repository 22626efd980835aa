//! Watching a run for those who draw it changes nothing in it, and what is seen agrees with what is counted.

use plimsoll::journal::Tally;
use plimsoll::policy::rejection_probability;
use plimsoll::sim::World;
use plimsoll::stats::mean;

use crate::common::prepared;

/// An overloaded server that abandons calls, behind a queue, slots that adapt, and a gate that counts what is abandoned.
const OVERLOAD: &str = r#"
schema = 1
run = { seed = 3, replications = 1, duration = "120s", warmup = "10s" }
[upstream]
kind = "vllm"
preset = "cpu-16m"
num_gpu_blocks = 260
[[class]]
name = "chat"
input = { dist = "uniform", min = 64, max = 256 }
output = { dist = "exponential", mean = 60 }
arrival = { process = "poisson", load = 1.5 }
retry = { max_attempts = 2 }
[policy]
queue = { max_queue_size = 12 }
concurrency = { max_concurrent_requests = 16 }
timeout = { request_timeout = "1s", on_timeout = "abandon" }
graduated = { max_abandoned = 8, forget = "decay", half_life = "5s", vllm_rejection_threshold = 0.5 }
"#;

fn runs() -> (Tally, Tally) {
    let prepared = prepared(OVERLOAD);
    let plan = &prepared.plans[0];
    (World::new(plan, 0, None).run(), World::new(plan, 0, None).watched(true).run())
}

#[test]
fn a_watched_run_is_the_same_run() {
    let (plain, watched) = runs();
    assert!(plain.watched.is_none());
    assert_eq!((plain.digest, plain.events, plain.turns), (watched.digest, watched.events, watched.turns));
    let counts = |tally: &Tally| format!("{:?} {:?} {:?}", tally.classes[0].rejected, tally.series, tally.classes[0].good);
    assert_eq!(counts(&plain), counts(&watched));
}

#[test]
fn what_is_seen_agrees_with_what_is_counted() {
    let (_, tally) = runs();
    let watched = tally.watched.as_ref().unwrap();
    let course = watched.course.as_ref().unwrap();
    assert_eq!(course.moments.len(), tally.series.offered.len());
    let sum = |of: fn(&plimsoll::journal::Moment) -> u32| course.moments.iter().map(|at| u64::from(of(at))).sum::<u64>();
    let (attempts, started, rejected) = (sum(|at| at.attempts), sum(|at| at.started), sum(|at| at.rejected));
    let offered: u64 = tally.series.offered.iter().map(|n| u64::from(*n)).sum();
    assert!(attempts > offered, "some try again: {attempts} of {offered}");
    assert!(started > 0 && rejected > 0 && started + rejected <= attempts, "{started} + {rejected} of {attempts}");
    assert!(course.has_kv && course.moments.iter().any(|at| at.kv_use > 0.1 && at.running > 0));
    assert!(course.moments.iter().all(|at| at.limit == Some(16) && at.in_use <= 16 && at.kv_use <= 1.0 && at.waiting <= 12));
    assert!(course.moments.iter().all(|at| at.ttft_p99_s.is_some() == at.e2e_p99_s.is_some() && at.ttft_p99_s <= at.e2e_p99_s));
    let e2e: Vec<f64> = course.moments.iter().filter_map(|at| at.e2e_p99_s).collect();
    assert!(mean(&e2e).unwrap() > 0.05, "{e2e:?}");
}

#[test]
fn measured_rejection_follows_the_formula() {
    let prepared = prepared(OVERLOAD);
    let mut bins: Vec<(u64, u64, f64)> = Vec::new();
    for replication in 0..20 {
        let tally = World::new(&prepared.plans[0], replication, None).watched(false).run();
        let watched = tally.watched.unwrap();
        assert!(watched.course.is_none(), "the run over time was not asked for");
        let rejections = watched.rejections.unwrap();
        assert_eq!((rejections.start, rejections.max_abandoned), (0.5, 8));
        bins.resize(rejections.bins.len(), (0, 0, 0.0));
        for (sum, bin) in bins.iter_mut().zip(&rejections.bins) {
            *sum = (sum.0 + bin.attempts, sum.1 + bin.refused, sum.2 + bin.used);
        }
    }
    let known: Vec<&(u64, u64, f64)> = bins.iter().filter(|(attempts, ..)| *attempts >= 100).collect();
    assert!(known.len() >= 8, "{bins:?}");
    for (attempts, refused, used) in known {
        let (n, share) = (*attempts as f64, *refused as f64 / *attempts as f64);
        let probability = rejection_probability(used / n * 8.0, 8, 0.5);
        // Four standard errors, and what the formula bends inside a bin.
        let slack = 4.0 * (probability * (1.0 - probability) / n).sqrt() + 0.02;
        assert!((share - probability).abs() <= slack, "at {}: {share} of {attempts}, not {probability}", used / n);
    }
}

//! Swarm: random scenarios, each run short, with every invariant asserted inside and an auditor outside.
//!
//! The quick run takes two hundred scenarios, always the same. For ten minutes of others:
//! `cargo test --release --test simulation -- --ignored swarm_for_ten_minutes` (`SWARM_SEED=N` begins elsewhere). A failure names
//! its seed; `SWARM_SEED=N SWARM_COUNT=1 cargo test --test simulation the_swarm` repeats it alone.

use std::path::Path;

use plimsoll::journal::{self, Journal, Tally};
use plimsoll::scenario::Scenario;
use plimsoll::sim::World;
use plimsoll::upstream::UpstreamModel;
use rayon::prelude::*;

use crate::audit::Auditor;
use crate::common::plans;
use crate::random::scenario;

/// Load 1.0 where a random scenario states a load: not measured, any number will do.
const CAPACITY_RPS: f64 = 5.0;
const QUICK: u64 = 200;
/// About ten minutes on two cores.
const LONG: u64 = 40_000;

fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

/// Runs the scenario of `seed` with a journal in `folder`, and checks all that can be checked.
fn check(seed: u64, folder: &Path) {
    let text = scenario(seed);
    let scenario = Scenario::parse("random.toml", &text, &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    let plan = &plans(&scenario, CAPACITY_RPS)[0];
    let path = folder.join(format!("{seed}.jsonl"));
    let mut journal = Journal::create(&path).expect("a temporary file");
    let tally = World::new(plan, 0, Some(&mut journal)).run();
    journal.finish().expect("room for a journal");

    let mut auditor = Auditor::new(plan);
    journal::read(&path, |_, event| {
        auditor.read(event);
        true
    })
    .expect("a journal that we wrote");
    auditor.close(&tally);
    let verified = journal::verify(&path).expect("a journal that we wrote");
    assert_eq!((verified.runs, verified.mismatch), (1, None), "INV-8");
    std::fs::remove_file(&path).expect("our own file");

    bounds(&tally);
    // What calls use beyond what they took lets a metered API bill more than its limit.
    let most = if matches!(plan.upstream, UpstreamModel::TokenApi(_)) { f64::INFINITY } else { 1.0 + 1e-9 };
    assert!((0.0..=most).contains(&tally.utilisation), "utilisation {}", tally.utilisation);
    let again = World::new(plan, 0, None).run();
    assert_eq!(again.digest, tally.digest, "the journal changes nothing");
}

/// What must hold between the figures of any run.
fn bounds(tally: &Tally) {
    assert_eq!(tally.system_area, tally.residence, "INV-10");
    assert!(tally.queue_area <= tally.system_area, "who waits is in the system");
    for class in &tally.classes {
        assert_eq!(class.offered, class.accounted(), "INV-1");
        assert!(class.retried <= class.offered && class.waited <= class.offered && class.offered <= class.attempts);
        assert!(class.wasted_tokens <= class.computed_tokens, "{} of {}", class.wasted_tokens, class.computed_tokens);
        assert_eq!(class.completed(), class.e2e.count());
        assert_eq!(class.completed(), class.ttft.count());
        assert_eq!(class.completed(), class.wait.count());
        assert!(class.tpot.count() <= class.completed());
        assert!(class.ttft.sum <= class.e2e.sum && class.wait.sum <= class.e2e.sum);
    }
    let series = &tally.series;
    assert_eq!(sum(&series.answered), sum(&series.completed));
    assert!(series.good.iter().zip(&series.offered).all(|(good, offered)| good <= offered));
}

fn sum(bins: &[u32]) -> u64 {
    bins.iter().copied().map(u64::from).sum()
}

/// Checks `seeds` in parallel; panics with the seeds that failed.
fn swarm(seeds: impl IntoParallelIterator<Item = u64>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrong: Vec<String> = seeds
        .into_par_iter()
        .filter_map(|seed| {
            let failed = std::panic::catch_unwind(|| check(seed, folder.path())).err()?;
            let text = failed.downcast_ref::<String>().cloned();
            let text = text.or_else(|| failed.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
            Some(format!("SWARM_SEED={seed}: {text}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} scenarios failed:\n{}\n{}", wrong.len(), wrong.join("\n"), first_text(&wrong));
}

fn first_text(wrong: &[String]) -> String {
    let seed = wrong.first().and_then(|line| line.strip_prefix("SWARM_SEED=")?.split(':').next()?.parse().ok());
    seed.map(scenario).unwrap_or_default()
}

#[test]
fn the_swarm_is_conserved() {
    let first = environment("SWARM_SEED", 1);
    swarm(first..first + environment("SWARM_COUNT", QUICK));
}

#[test]
#[ignore = "ten minutes: cargo test --release --test simulation -- --ignored swarm_for_ten_minutes"]
fn swarm_for_ten_minutes() {
    let first = environment("SWARM_SEED", 1_000_000);
    swarm(first..first + environment("SWARM_COUNT", LONG));
}

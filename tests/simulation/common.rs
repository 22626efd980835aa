//! What the tests of the simulator share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll::journal::Window;
use plimsoll::journal::summary::Summary;
use plimsoll::rng::mix;
use plimsoll::scenario::{Scenario, StreamsOf, Variant, Warmup};
use plimsoll::sim::{self, Plan, Prepared};
use plimsoll::time::Time;
use plimsoll::upstream::UpstreamModel;
use plimsoll::workload::SourceSettings;

/// A file of this project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A scenario written in the test, ready to run.
pub fn prepared(text: &str) -> Prepared {
    let scenario = Scenario::parse("test.toml", text, &[]).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
    sim::prepare(&scenario).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"))
}

/// Runs and sums up.
pub fn summary(prepared: &Prepared, replications: u32) -> Summary {
    sim::run(&prepared.plans, replications, &prepared.context, None, &|| {})
}

/// The plans of a scenario without files, load 1.0 being `capacity_rps`: what [`sim::prepare`] makes of it, without
/// measuring the capacity.
pub fn plans(scenario: &Scenario, capacity_rps: f64) -> Vec<Plan> {
    let end = Time::ZERO + scenario.run.duration;
    let Warmup::Time(warmup) = scenario.run.warmup else { panic!("a fixed warm-up is wanted") };
    let window = Window { start: Time::ZERO + warmup, end, drained: end + scenario.drain() };
    let plan = |variant: &Variant| Plan {
        name: variant.name.clone(),
        policy: variant.policy.clone(),
        upstream: UpstreamModel::resolve(&variant.upstream).unwrap_or_else(|wrong| panic!("{wrong}")),
        workload: Arc::new(SourceSettings {
            arrival: variant.arrival.clone(),
            classes: variant.classes.clone(),
            recorded: Vec::new(),
            pairs: Vec::new(),
            capacity_rps: Some(capacity_rps),
            service: variant.upstream.service().cloned(),
            entity_streams: scenario.run.streams == StreamsOf::Entity,
            end: scenario.run.duration,
        }),
        window,
        seed: scenario.run.seed,
    };
    scenario.variants.iter().map(plan).collect()
}

/// Random choices that a seed stands for.
pub struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// One of 0 to `bound - 1`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn) % bound
    }

    /// `true` once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("an index")].clone()
    }
}

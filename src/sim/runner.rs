//! Many replications of many variants, in parallel, with results that do not depend on the number of threads.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::{Plan, World};
use crate::journal::summary::{Context, Summary, VariantBuilder};
use crate::journal::{Journal, Tally};

/// Replications that run before their tallies are summed up and dropped: bounds the memory, and keeps threads busy.
const AT_ONCE: usize = 64;

/// Runs every plan `replications` times and sums up, the first plan being the baseline.
///
/// With a journal everything runs on one thread, plan by plan and replication by replication, and stands in the journal in
/// that order. `done` is called after each replication, from any thread, for progress.
#[must_use]
pub fn run(
    plans: &[Plan],
    replications: u32,
    context: &Context,
    journal: Option<&mut Journal>,
    done: &(dyn Fn() + Sync),
) -> Summary {
    run_these(plans, 0..replications, context, journal, (done, None))
}

/// The same for `count` replications from number `from` on, which need not be the first: those that nothing was chosen by. Once
/// `stop` is up they are broken off, and the summary means nothing.
#[must_use]
pub fn run_from(plans: &[Plan], from: u32, count: u32, context: &Context, stop: Option<&AtomicBool>) -> Summary {
    run_these(plans, from..from + count, context, None, (&|| (), stop))
}

fn run_these(
    plans: &[Plan],
    replications: Range<u32>,
    context: &Context,
    mut journal: Option<&mut Journal>,
    (done, stop): (&(dyn Fn() + Sync), Option<&AtomicBool>),
) -> Summary {
    let mut builders: Vec<VariantBuilder<'_>> = plans.iter().map(|plan| VariantBuilder::new(&plan.name, context)).collect();
    let jobs: Vec<(usize, u32)> = (0..plans.len()).flat_map(|plan| replications.clone().map(move |r| (plan, r))).collect();
    let one = |plan: usize, r: u32, journal: Option<&mut Journal>| {
        let world = World::new(&plans[plan], r, journal).until(stop);
        // The first replication is drawn over time.
        if context.detailed { world.watched(r == replications.start).run() } else { world.run() }
    };
    for some in jobs.chunks(AT_ONCE) {
        let tallies: Vec<Tally> = if let Some(journal) = journal.as_deref_mut() {
            some.iter().map(|&(plan, r)| one(plan, r, Some(&mut *journal))).inspect(|_| done()).collect()
        } else {
            some.par_iter().map(|&(plan, r)| one(plan, r, None)).inspect(|_| done()).collect()
        };
        for (&(plan, _), tally) in some.iter().zip(&tallies) {
            builders[plan].add(tally);
        }
    }
    Summary::of(builders.into_iter().map(VariantBuilder::finish).collect())
}

/// The tallies themselves, plan by plan and replication by replication, for short runs that somebody wants to look into.
#[must_use]
pub fn run_all(plans: &[Plan], replications: u32) -> Vec<Vec<Tally>> {
    let of_plan = |plan: &Plan| (0..replications).into_par_iter().map(|r| World::new(plan, r, None).run()).collect();
    plans.iter().map(of_plan).collect()
}

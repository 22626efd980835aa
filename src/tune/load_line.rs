//! The load line: the greatest load that a system sustains.
//!
//! A load is *sustained* in a replication where the run is labelled stable and every service level holds in it. In each
//! replication the line is bracketed by itself: all arrivals are scaled by a factor that doubles (halves) from 1 until the
//! load is no longer (again) sustained, and the bracket is then halved on a logarithmic scale until its ends are within the
//! tolerance. The replication's line is the bracket's lower end, the largest factor that was seen to be sustained. Replication
//! r meets the same requests (the same draws, closer together) at every load and in every variant, so lines differ by what the
//! systems do and not by luck; the interval is a t-interval over the replications, and differences are paired.
//!
//! A service level holds where its figure is shown and keeps the bound. At low loads hardly anybody comes, and who came may have been
//! lucky: where fewer came than at the scenario's own load, and fewer than a hundred, the run is made so much longer. So the lowest
//! loads say what a request meets that is as good as alone, and a level that even this one breaks is held at no load.
//!
//! Bracketing takes for granted that what breaks at one load breaks at higher ones; where a system is worse at low load than
//! at high (a batch that waits to fill) the line found is one of several.

use rayon::prelude::*;

use crate::journal::Tally;
use crate::journal::summary::{Bound, Context, Label, Measure, VariantBuilder, VariantSummary};
use crate::sim::{Plan, World};
use crate::stats::{Difference, Replicated};
use crate::workload::{ArrivalSettings, ClassSettings};

/// A factor of the scenario's own load is looked for between these.
const FACTOR_MIN: f64 = 1.0 / 1_024.0;
/// See [`FACTOR_MIN`].
const FACTOR_MAX: f64 = 1_024.0;
/// Requests offered in a replication beyond which no higher load is tried.
const OFFERED_MAX: u64 = 20_000_000;

/// Requests that a service level is judged by, at least, where as many come at the scenario's own load: a 99th percentile of
/// fewer is the slowest of them.
const ENOUGH: u64 = 100;
/// A run at a low load is made longer by this factor at most.
const LONGER_MAX: f64 = 1_024.0;

/// What is asked of every variant.
#[derive(Clone, Debug)]
pub struct Question {
    /// Service levels that must hold, beside the stable label.
    pub levels: Vec<(Measure, Bound)>,
    /// Independent replications.
    pub replications: u32,
    /// The bracket's ends are this close at last, as a share: 0.01 is one percent.
    pub tolerance: f64,
}

/// Why a bracket has an upper end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The run there was not stable.
    Unstable(Label),
    /// A service level broke there, by its position.
    Level(usize),
    /// A service level could not be told there, by its position: nobody came that far. It was not seen to hold.
    NotShown(usize),
    /// The run there was broken off: more was under way than fits.
    Halted,
    /// Nothing broke at the highest load that was tried.
    NotReached,
}

/// What one replication of one variant found.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Bracket {
    /// Largest factor that was seen to be sustained; 0 where even the smallest was not.
    pub sustained: f64,
    /// Requests offered a second at that factor, by the count; 0 where there is none.
    pub offered_rps: f64,
    /// What broke just above.
    pub end: End,
    /// Where no load was sustained because of a service level: its figure at the least load that was tried, where a request is as
    /// good as alone.
    pub alone: Option<f64>,
    /// Simulated requests that it took.
    pub requests: u64,
}

/// A variant's load line.
#[derive(Clone, Debug)]
pub struct LoadLine {
    /// The variant.
    pub name: String,
    /// One for each replication.
    pub brackets: Vec<Bracket>,
    /// Requests a second, over the replications.
    pub rps: Replicated,
}

impl LoadLine {
    fn new(plan: &Plan, brackets: Vec<Bracket>, unit_rps: f64) -> Self {
        let closed = is_closed(plan);
        let rps = |bracket: &Bracket| if closed { bracket.offered_rps } else { bracket.sustained * unit_rps };
        let rps = brackets.iter().map(rps).collect();
        let rps = Replicated::of_means(rps).expect("there is a replication at least").within(0.0, f64::INFINITY);
        Self { name: plan.name.clone(), brackets, rps }
    }

    /// What broke just above the line, with how many replications it broke in, the most frequent first.
    #[must_use]
    pub fn ends(&self) -> Vec<(End, usize)> {
        let mut ends: Vec<(End, usize)> = Vec::new();
        for bracket in &self.brackets {
            match ends.iter_mut().find(|(end, _)| *end == bracket.end) {
                Some((_, count)) => *count += 1,
                None => ends.push((bracket.end, 1)),
            }
        }
        ends.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        ends
    }

    /// How much further this line lies than `base`'s, requests a second, with its interval at `level`.
    #[must_use]
    pub fn minus(&self, base: &Self, level: f64) -> Option<Difference> {
        self.rps.minus(&base.rps, level)
    }
}

/// The load lines of `plans`. `done` is called after each bracket, from any thread.
///
/// # Panics
/// Without replications.
#[must_use]
pub fn load_lines(plans: &[Plan], context: &Context, question: &Question, done: &(dyn Fn() + Sync)) -> Vec<LoadLine> {
    let jobs: Vec<(usize, u32)> =
        (0..plans.len()).flat_map(|plan| (0..question.replications).map(move |r| (plan, r))).collect();
    let brackets: Vec<Bracket> = jobs
        .par_iter()
        .map(|&(plan, replication)| Search::new(&plans[plan], replication, context, question).bracket())
        .inspect(|_| done())
        .collect();
    let of_plan: Vec<&[Bracket]> = brackets.chunks(question.replications as usize).collect();
    let line = |(plan, brackets): (&Plan, &&[Bracket])| {
        // One unit for all with the same arrivals: where their lines differ, they differ by their factors and not by how many
        // requests chanced to come.
        let alike = plans.iter().zip(&of_plan).filter(|(other, _)| arrive_alike(plan, other));
        let sustained = alike.flat_map(|(_, brackets)| brackets.iter()).filter(|bracket| bracket.sustained > 0.0);
        let shown: Vec<f64> = sustained.map(|bracket| bracket.offered_rps / bracket.sustained).collect();
        LoadLine::new(plan, brackets.to_vec(), crate::stats::mean(&shown).unwrap_or(0.0))
    };
    plans.iter().zip(&of_plan).map(line).collect()
}

/// Whether two plans are offered the same requests at the same factor.
fn arrive_alike(one: &Plan, other: &Plan) -> bool {
    let (one, other) = (&one.workload, &other.workload);
    let own = |classes: &[ClassSettings]| classes.iter().map(|class| (class.weight, class.arrival.clone())).collect::<Vec<_>>();
    (&one.arrival, one.end, own(&one.classes)) == (&other.arrival, other.end, own(&other.classes))
}

/// Whether anybody waits for an answer before asking again: then twice the clients are not twice the requests.
fn is_closed(plan: &Plan) -> bool {
    let own = plan.workload.classes.iter().filter_map(|class| class.arrival.as_ref());
    plan.workload.arrival.iter().chain(own).any(|arrival| matches!(arrival, ArrivalSettings::ClosedLoop { .. }))
}

/// The search for one bracket.
struct Search<'a> {
    plan: &'a Plan,
    replication: u32,
    context: &'a Context,
    question: &'a Question,
    requests: u64,
    /// Of each level how many requests came that it is about, at the scenario's own load.
    came: Vec<u64>,
}

/// What a run at one load showed.
#[derive(Copy, Clone)]
struct Seen {
    factor: f64,
    offered: u64,
    offered_rps: f64,
    broke: Option<End>,
    /// What the level that broke came to.
    figure: Option<f64>,
}

impl<'a> Search<'a> {
    const fn new(plan: &'a Plan, replication: u32, context: &'a Context, question: &'a Question) -> Self {
        Self { plan, replication, context, question, requests: 0, came: Vec::new() }
    }

    fn bracket(mut self) -> Bracket {
        let mut low: Option<Seen> = None;
        let mut high: Option<Seen> = None;
        let mut factor = 1.0;
        while (FACTOR_MIN..=FACTOR_MAX).contains(&factor) {
            let seen = self.look(factor);
            let sustained = seen.broke.is_none();
            *if sustained { &mut low } else { &mut high } = Some(seen);
            let exhausted = sustained && seen.offered > OFFERED_MAX / 2;
            if low.is_some() && high.is_some() || exhausted {
                break;
            }
            factor *= if sustained { 2.0 } else { 0.5 };
        }
        if let (Some(low), Some(high)) = (&mut low, &mut high) {
            while high.factor > low.factor * (1.0 + self.question.tolerance) {
                let seen = self.look(libm::sqrt(low.factor * high.factor));
                *if seen.broke.is_none() { &mut *low } else { &mut *high } = seen;
            }
        }
        Bracket {
            alone: high.filter(|_| low.is_none()).and_then(|seen| seen.figure),
            sustained: low.map_or(0.0, |seen| seen.factor),
            offered_rps: low.map_or(0.0, |seen| seen.offered_rps),
            end: high.and_then(|seen| seen.broke).unwrap_or(End::NotReached),
            requests: self.requests,
        }
    }

    fn look(&mut self, factor: f64) -> Seen {
        let broken_off = Seen { factor, offered: 0, offered_rps: 0.0, broke: Some(End::Halted), figure: None };
        let Some(plan) = self.plan.at_load(factor) else { return broken_off };
        let (tally, summary) = self.run(&plan);
        let offered = tally.classes.iter().map(|class| class.offered).sum();
        let window_s = (tally.window.end - tally.window.start).as_secs_f64();
        if self.came.is_empty() {
            self.came = self.question.levels.iter().map(|(measure, _)| came(measure, &summary)).collect();
        }
        let longer = self.longer(factor, &summary);
        let (broke, figure) = if tally.halted.is_none() && longer > 1.0 {
            let (tally, summary) = self.run(&plan.shortened(longer));
            self.judge(&tally, &summary)
        } else {
            self.judge(&tally, &summary)
        };
        Seen { factor, offered, offered_rps: offered as f64 / window_s, broke, figure }
    }

    fn run(&mut self, plan: &Plan) -> (Tally, VariantSummary) {
        let tally = World::new(plan, self.replication, None).run();
        self.requests += tally.classes.iter().map(|class| class.offered).sum::<u64>();
        let mut builder = VariantBuilder::new(&self.plan.name, self.context);
        builder.add(&tally);
        (tally, builder.finish())
    }

    /// How much longer a run at `factor` must be for enough requests of every level; 1 where they came.
    fn longer(&self, factor: f64, summary: &VariantSummary) -> f64 {
        let levels = self.question.levels.iter().zip(&self.came);
        let lacks = levels.filter_map(|((measure, _), at_own_load)| {
            let enough = ENOUGH.min(*at_own_load);
            (came(measure, summary) < enough).then(|| enough as f64 / (*at_own_load as f64 * factor))
        });
        lacks.fold(1.0, f64::max).min(LONGER_MAX)
    }

    /// What broke, if anything did, and what that level came to.
    fn judge(&self, tally: &Tally, summary: &VariantSummary) -> (Option<End>, Option<f64>) {
        if tally.halted.is_some() {
            return (Some(End::Halted), None);
        }
        if let Some(label) = summary.label.overall().filter(|label| *label != Label::Stable) {
            return (Some(End::Unstable(label)), None);
        }
        let broken = |(place, (measure, bound)): (usize, &(Measure, Bound))| match measure.of(summary) {
            Some(found) if bound.holds(found) => None,
            Some(found) => Some((End::Level(place), Some(found))),
            None => Some((End::NotShown(place), None)),
        };
        let applies = |(_, (measure, _)): &(usize, &(Measure, Bound))| self.has_class(measure);
        let found = self.question.levels.iter().enumerate().filter(applies).find_map(broken);
        found.map_or((None, None), |(end, figure)| (Some(end), figure))
    }

    /// Whether the variant has the class that a level is about: another variant may be the one that has it.
    fn has_class(&self, measure: &Measure) -> bool {
        measure.class.as_ref().is_none_or(|class| self.plan.workload.classes.iter().any(|one| one.name == *class))
    }
}

/// How many requests were offered of those that `measure` is about.
fn came(measure: &Measure, summary: &VariantSummary) -> u64 {
    match &measure.class {
        None => summary.counts.offered,
        Some(class) => summary.classes.iter().find(|one| one.name == *class).map_or(0, |one| one.counts.offered),
    }
}

#[cfg(test)]
#[path = "load_line_tests.rs"]
mod tests;

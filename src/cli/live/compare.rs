//! What the scenario's model of the server says of the same requests.

use rayon::prelude::*;

use super::Arguments;
use super::session::Lived;
use crate::calibrate::{middle_of, of_parts};
use crate::journal::Tally;
use crate::journal::summary::{Context, Summary, VariantBuilder, VariantSummary};
use crate::report::overlay::{AtSpeed, Figure, Forecast, Overlay};
use crate::sim::{Plan, Prepared, World};
use crate::stats::Interval;
use crate::upstream::{UpstreamModel, VllmModel};

/// Both sides.
pub(super) struct Beside {
    /// The simulated variants, all speeds together.
    pub simulated: Summary,
    /// The comparison.
    pub overlay: Overlay,
}

/// Simulates the requests that were driven, at every speed that the machine may have.
pub(super) fn run(arguments: &Arguments, prepared: &Prepared, lived: &Lived) -> Beside {
    let rounds = arguments.replication..arguments.replication + arguments.repeat.get();
    let forecasts: Vec<Forecast> = prepared
        .plans
        .iter()
        .map(|plan| {
            let speeds = Speeds::of(plan, arguments.speeds);
            let tallies = speeds.simulate(plan, rounds.clone());
            speeds.forecast(&plan.name, &prepared.context, &tallies)
        })
        .collect();
    let simulated = Summary::of(forecasts.iter().map(|forecast| forecast.summary.clone()).collect());
    let speeds = prepared.plans.iter().map(|plan| Speeds::of(plan, arguments.speeds).0.len()).max().unwrap_or(0);
    let speeds = u32::try_from(speeds).unwrap_or(u32::MAX);
    Beside { overlay: Overlay::new(&lived.summary, &forecasts, &simulated, speeds), simulated }
}

/// Equally likely speeds against the model's own, rising.
struct Speeds(Vec<f64>);

impl Speeds {
    /// One where the model does not spread.
    fn of(plan: &Plan, parts: u32) -> Self {
        let sigma = plan.upstream.speed_sigma();
        if sigma <= 0.0 {
            return Self(vec![1.0]);
        }
        Self((0..parts).map(|i| libm::exp(sigma * middle_of(i, parts))).collect())
    }

    /// For each speed all rounds.
    fn simulate(&self, plan: &Plan, rounds: std::ops::Range<u32>) -> Vec<Vec<Tally>> {
        let middle = self.0.len() / 2;
        let at_speed = |(i, speed): (usize, &f64)| -> Vec<Tally> {
            let plan = Plan { upstream: faster(&plan.upstream, *speed), ..plan.clone() };
            let run = |round| {
                let world = World::new(&plan, round, None);
                // The one that is drawn over time.
                if i == middle && round == rounds.start { world.watched(true).run() } else { world.run() }
            };
            rounds.clone().map(run).collect()
        };
        self.0.par_iter().enumerate().map(at_speed).collect()
    }

    fn forecast(&self, name: &str, context: &Context, tallies: &[Vec<Tally>]) -> Forecast {
        // What is drawn over time is the first: that of the middle speed.
        let mut order: Vec<usize> = (0..tallies.len()).collect();
        order.sort_by_key(|i| i.abs_diff(tallies.len() / 2));
        let all = order.iter().flat_map(|i| &tallies[*i]);
        let each: Vec<VariantSummary> = tallies.iter().map(|runs| summary(name, context, runs.iter())).collect();
        let band = |figure: Figure| {
            let values: Vec<f64> = each.iter().filter_map(|one| figure.of(one)).collect();
            (each.len() > 1).then_some(())?;
            Some(Interval { lo: of_parts(&values, 0.025)?, hi: of_parts(&values, 0.975)? })
        };
        let speeds = self
            .0
            .iter()
            .zip(&each)
            .map(|(speed, one)| AtSpeed { speed: *speed, figures: Figure::ALL.map(|figure| figure.of(one)) });
        Forecast {
            summary: summary(name, context, all),
            bands: Figure::ALL.map(band),
            amplification: self.amplification(&each),
            swing: self.swing(&each),
            speeds: speeds.collect(),
        }
    }

    /// One standard deviation slower, one faster, and how far they lie apart (logarithm).
    fn ends(&self, each: &[VariantSummary]) -> Option<(usize, usize, f64)> {
        let last = each.len().checked_sub(1)?;
        let slow = each.len() * 159 / 1_000;
        let fast = last - slow.min(last);
        let times = libm::log(self.0[fast] / self.0[slow]);
        (times > 0.0).then_some((slow, fast, times))
    }

    /// By how much the share of good requests moves over one percent of speed.
    fn swing(&self, each: &[VariantSummary]) -> Option<f64> {
        let (slow, fast, times) = self.ends(each)?;
        let good = |i: usize| Figure::GoodShare.of(&each[i]);
        Some((good(fast)? - good(slow)?).abs() / times / 100.0)
    }

    /// By how many percent the time to first token grows where the server is one percent slower, from one standard deviation
    /// faster to one slower: 15.9 % of the speeds lie beyond either.
    fn amplification(&self, each: &[VariantSummary]) -> Option<f64> {
        let (slow, fast, times) = self.ends(each)?;
        let of = |figure: Figure| {
            let at = |i: usize| figure.of(&each[i]).filter(|value| *value > 0.0);
            Some(libm::log(at(slow)? / at(fast)?) / times)
        };
        [Figure::TtftP50S, Figure::TtftP90S].into_iter().filter_map(of).reduce(f64::max)
    }
}

fn summary<'a>(name: &str, context: &Context, tallies: impl Iterator<Item = &'a Tally>) -> VariantSummary {
    let mut builder = VariantBuilder::new(name, context);
    tallies.for_each(|tally| builder.add(tally));
    builder.finish()
}

/// The same server at another speed, which is steady.
fn faster(upstream: &UpstreamModel, speed: f64) -> UpstreamModel {
    match upstream {
        UpstreamModel::Vllm(model) => {
            let speed = model.speed * speed;
            UpstreamModel::Vllm(Box::new(VllmModel { speed, speed_sigma: 0.0, ..VllmModel::clone(model) }))
        }
        other => other.clone(),
    }
}

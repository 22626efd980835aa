//! The order of variants by goodput, live and simulated.

use serde::Serialize;

use crate::journal::summary::{PairedMetric, Summary};

/// Variants by goodput, the best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ranking {
    /// As it was.
    pub live: Vec<String>,
    /// As simulated.
    pub simulated: Vec<String>,
    /// Pairs whose simulated gap's interval excludes 0.
    pub told_apart: usize,
    /// Those of them whose live order is the other one.
    pub swaps: Vec<Swap>,
}

/// Two variants whose order live is not the simulated one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Swap {
    /// Better in the simulation.
    pub simulated_better: String,
    /// Better live.
    pub live_better: String,
}

impl Ranking {
    pub(super) fn new(live: &Summary, simulated: &Summary) -> Self {
        let mut ranking = Self { live: by_goodput(live), simulated: by_goodput(simulated), told_apart: 0, swaps: Vec::new() };
        for pair in simulated.paired.iter().filter(|pair| pair.metric == PairedMetric::GoodputRps) {
            let Some(difference) = pair.difference else { continue };
            if difference.interval.is_none_or(|interval| interval.holds(0.0)) {
                continue;
            }
            ranking.told_apart += 1;
            let (better, worse) = if difference.mean > 0.0 { (&pair.b, &pair.a) } else { (&pair.a, &pair.b) };
            let (Some(of_better), Some(of_worse)) = (goodput(live, better), goodput(live, worse)) else { continue };
            if of_better < of_worse {
                ranking.swaps.push(Swap { simulated_better: better.clone(), live_better: worse.clone() });
            }
        }
        ranking
    }
}

fn goodput(summary: &Summary, variant: &str) -> Option<f64> {
    Some(summary.variant(variant)?.metrics.goodput_rps.as_ref()?.mean)
}

fn by_goodput(summary: &Summary) -> Vec<String> {
    let mut all: Vec<(f64, &str)> = summary
        .variants
        .iter()
        .map(|variant| (variant.metrics.goodput_rps.as_ref().map_or(0.0, |goodput| goodput.mean), variant.name.as_str()))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, name)| name.to_owned()).collect()
}

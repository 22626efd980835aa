//! Live beside simulated, variant by variant: distributions, quantiles against quantiles, the course over time.

use super::{Drawn, Frame, Place, head, latency, timeline};
use crate::journal::summary::{LatencyMetric, Summary, VariantSummary};
use crate::report::plot::{QuantilePanel, Quantiles};

/// Shares that quantiles are taken at: every half percent, as curves have them.
const STEPS: u32 = 200;

/// The pictures of `live` beside `simulated`, which have the same variants in the same order.
pub fn overlay(live: &Summary, simulated: &Summary, frame: &Frame<'_>, drawn: &mut Drawn) {
    for (number, (live, simulated)) in live.variants.iter().zip(&simulated.variants).enumerate() {
        let mut own = Drawn::default();
        own.add(quantiles(number, live, simulated, frame).plot());
        let pair = pair(live, simulated);
        let place = Place::default();
        let frame = Frame { variants: vec![place.clone(), place], capacity: None, ..frame.clone() };
        latency::draw(&pair, &frame, &mut own);
        timeline::draw(&pair, &frame, &mut own);
        for plot in &mut own.plots {
            // The plots of the live variants alone have these names too.
            if !plot.name.starts_with("quantiles") {
                plot.name = format!("{}-beside-{}", plot.name, number + 1);
            }
        }
        drawn.plots.extend(own.plots);
        drawn.left_out.extend(own.left_out);
    }
}

/// Both as variants of one result.
fn pair(live: &VariantSummary, simulated: &VariantSummary) -> Summary {
    let named = |of: &VariantSummary, what: &str| VariantSummary { name: format!("{}, {what}", of.name), ..of.clone() };
    Summary::of(vec![named(live, "live"), named(simulated, "simulated")])
}

fn quantiles(number: usize, live: &VariantSummary, simulated: &VariantSummary, frame: &Frame<'_>) -> Quantiles {
    let (ours, theirs) = (&simulated.metrics, &live.metrics);
    let panels = [
        ("Time to first token", &ours.ttft, &theirs.ttft),
        ("Time per output token", &ours.tpot, &theirs.tpot),
        ("End to end", &ours.e2e, &theirs.e2e),
    ];
    let panel = |(title, x, y): (&str, &LatencyMetric, &LatencyMetric)| QuantilePanel {
        title: title.to_owned(),
        points: (1..STEPS).filter_map(|step| at(f64::from(step) / f64::from(STEPS), x, y)).collect(),
    };
    let what = format!("Of answered requests, \"{}\". Simulated: all speeds together.", live.name);
    Quantiles {
        head: head(
            format!("quantiles-{}", number + 1),
            format!("Latencies live against simulated: {}", live.name),
            frame.caption(live.label.each.len(), &what),
        ),
        x_name: "Simulated".to_owned(),
        y_name: "Live".to_owned(),
        panels: panels.into_iter().map(panel).collect(),
    }
}

/// The same quantile of both.
fn at(share: f64, x: &LatencyMetric, y: &LatencyMetric) -> Option<(f64, f64, f64)> {
    let of = |metric: &LatencyMetric| metric.curve.iter().find(|(_, reached)| *reached >= share).map(|(seconds, _)| *seconds);
    Some((share, of(x)?, of(y)?))
}

//! Load lines on the goodput curves, from runs at loads around the greatest line.

use super::{Drawn, Frame, estimate, head, loads, offered_rps};
use crate::journal::summary::{Summary, VariantSummary};
use crate::report::plot::{GoodputCurve, GoodputCurves, LoadPoint, OutcomeShares, Outcomes};
use crate::tune::LoadLine;

/// The goodput curves with the lines: `sweep` holds a summary for each load, its variants in the order of `lines`. Runs that were
/// broken off are left out.
#[must_use]
pub fn capacity(lines: &[LoadLine], sweep: &[Summary], frame: &Frame<'_>) -> Drawn {
    let mut drawn = Drawn::default();
    let replications = sweep.first().map_or(0, |summary| summary.replications);
    let halted = sweep.iter().flat_map(|summary| &summary.variants).filter(|variant| variant.halted.is_some()).count();
    if halted > 0 {
        drawn.leave_out(format!("{halted} runs at high load were broken off, and are no points of the curves."));
    }
    let curve = |(index, line): (usize, &LoadLine)| {
        let at = sweep.iter().filter_map(|summary| summary.variants.get(index)).filter(|variant| variant.halted.is_none());
        let point = |variant: &VariantSummary| {
            let goodput = estimate(variant.metrics.goodput_rps.as_ref()?, 1.0);
            Some(LoadPoint { offered: offered_rps(variant)?, goodput })
        };
        GoodputCurve {
            name: line.name.clone(),
            points: at.filter_map(point).collect(),
            sustained: Some(estimate(&line.rps, 1.0)),
        }
    };
    let what = "Bands are 95 % intervals over replications; a triangle marks the greatest sustained load, with its interval.";
    let plot = GoodputCurves {
        head: head("goodput", "Goodput against offered load, and the load lines", frame.caption(replications, what)),
        unit: "req/s".to_owned(),
        capacity: frame.capacity.clone(),
        curves: lines.iter().enumerate().map(curve).collect(),
    };
    drawn.add(plot.plot());
    drawn.add(outcomes(lines, sweep, frame).plot());
    drawn
}

fn outcomes(lines: &[LoadLine], sweep: &[Summary], frame: &Frame<'_>) -> OutcomeShares {
    let panel = |(index, line): (usize, &LoadLine)| {
        let at = sweep.iter().filter_map(|summary| summary.variants.get(index)).filter(|variant| variant.halted.is_none());
        Outcomes {
            name: line.name.clone(),
            points: at.filter_map(|variant| Some(loads::shares(variant, offered_rps(variant)?))).collect(),
        }
    };
    let replications = sweep.first().map_or(0, |summary| summary.replications);
    OutcomeShares {
        head: loads::outcomes_head(frame, replications),
        unit: "req/s".to_owned(),
        outcomes: loads::OUTCOMES.map(ToOwned::to_owned).to_vec(),
        variants: lines.iter().enumerate().take(loads::PANELS_MAX).map(panel).collect(),
    }
}

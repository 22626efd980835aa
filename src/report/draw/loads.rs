//! Goodput and outcomes against offered load.

use super::{Drawn, Frame, Swept, estimate, head, offered_rps};
use crate::journal::summary::{Counts, Summary, VariantSummary};
use crate::report::plot::{GoodputCurve, GoodputCurves, Head, LoadPoint, OutcomePoint, OutcomeShares, Outcomes};

/// The columns of the counts, from the bottom of a stack up.
pub(super) const OUTCOMES: [&str; 8] = ["good", "late", "degraded", "rejected", "timed out", "gave up", "failed", "in flight"];

/// Panels of one picture: more are too small to read on any screen.
pub(super) const PANELS_MAX: usize = 24;

/// How offered load is written.
struct Scale {
    unit: &'static str,
    /// Requests a second of one unit.
    rps: f64,
    capacity: Option<(f64, String)>,
}

impl Scale {
    fn of(frame: &Frame<'_>) -> Self {
        let loads = frame.variants.iter().all(|place| matches!(place.at, Some(Swept::Load(_)))) && !frame.variants.is_empty();
        match &frame.capacity {
            Some((rps, name)) if loads => Self { unit: "× load 1.0", rps: *rps, capacity: Some((1.0, name.clone())) },
            capacity => Self { unit: "req/s", rps: 1.0, capacity: capacity.clone() },
        }
    }

    /// Where a variant stands: what was asked for where that is known exactly, else what was counted.
    fn offered(&self, at: Option<&Swept>, variant: &VariantSummary) -> f64 {
        match at {
            Some(Swept::Load(load)) if self.unit != "req/s" => *load,
            Some(Swept::Rate(rate)) => *rate,
            _ => offered_rps(variant).map_or(f64::NAN, |rps| rps / self.rps),
        }
    }
}

/// Both plots of a run: curves where a load was swept, otherwise outcomes alone.
pub(super) fn draw(summary: &Summary, frame: &Frame<'_>, drawn: &mut Drawn) {
    let swept = frame.variants.iter().all(|place| place.at.as_ref().is_some_and(Swept::is_load)) && !frame.variants.is_empty();
    let scale = Scale::of(frame);
    if swept {
        drawn.add(curves(summary, frame, &scale).plot());
    } else {
        drawn.leave_out(
            "Goodput against offered load needs several loads: sweep `arrival.load`, or use `plimsoll capacity --out`.",
        );
    }
    let (outcomes, more) = outcomes(summary, frame, &scale, swept);
    drawn.add(outcomes.plot());
    if more > 0 {
        drawn.leave_out(format!(
            "{more} more variants have no panel among the outcomes: {PANELS_MAX} is the most that can be read."
        ));
    }
}

fn curves(summary: &Summary, frame: &Frame<'_>, scale: &Scale) -> GoodputCurves {
    let mut curves: Vec<GoodputCurve> = Vec::new();
    for (index, variant) in summary.variants.iter().enumerate() {
        let Some(goodput) = &variant.metrics.goodput_rps else { continue };
        let offered = scale.offered(frame.place(index).at.as_ref(), variant);
        let point = LoadPoint { offered, goodput: estimate(goodput, 1.0 / scale.rps) };
        let name = frame.name(index, variant);
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(GoodputCurve { name: name.to_owned(), points: vec![point], sustained: None }),
        }
    }
    let caption = frame.caption(summary.replications, "Bands are 95 % intervals over replications.");
    GoodputCurves {
        head: head("goodput", "How much of the offered load becomes good answers", caption),
        unit: scale.unit.to_owned(),
        capacity: scale.capacity.clone(),
        curves,
    }
}

/// The plot, and how many variants did not fit.
fn outcomes(summary: &Summary, frame: &Frame<'_>, scale: &Scale, swept: bool) -> (OutcomeShares, usize) {
    let mut variants: Vec<Outcomes> = Vec::new();
    for (index, variant) in summary.variants.iter().enumerate() {
        let point = shares(variant, scale.offered(frame.place(index).at.as_ref(), variant));
        let name = if swept { frame.name(index, variant) } else { &variant.name };
        match variants.iter_mut().find(|panel| panel.name == name) {
            Some(panel) => panel.points.push(point),
            None => variants.push(Outcomes { name: name.to_owned(), points: vec![point] }),
        }
    }
    let more = variants.len().saturating_sub(PANELS_MAX);
    variants.truncate(PANELS_MAX);
    let head = outcomes_head(frame, summary.replications);
    let outcomes = OUTCOMES.map(ToOwned::to_owned).to_vec();
    (OutcomeShares { head, unit: scale.unit.to_owned(), outcomes, variants }, more)
}

pub(super) fn outcomes_head(frame: &Frame<'_>, replications: usize) -> Head {
    let caption = frame.caption(replications, "Every request ends in exactly one outcome, by its last attempt.");
    head("outcomes", "What becomes of the offered requests", caption)
}

/// What became of a variant's requests at that offered load.
pub(super) fn shares(variant: &VariantSummary, offered: f64) -> OutcomePoint {
    let share = |n: u64| variant.counts.share(n).unwrap_or(f64::NAN);
    OutcomePoint { offered, shares: columns(&variant.counts).map(share).to_vec() }
}

fn columns(counts: &Counts) -> [u64; 8] {
    [
        counts.good,
        counts.late,
        counts.degraded,
        counts.rejected_in_all(),
        counts.timed_out,
        counts.gave_up,
        counts.failed_in_all(),
        counts.in_flight,
    ]
}

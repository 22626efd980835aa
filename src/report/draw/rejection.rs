//! How often graduated rejection refused against the capacity used, over what its settings say.

use super::{Drawn, Frame, estimate, head};
use crate::journal::summary::{RejectionCurve, Summary};
use crate::report::plot::{Rejection, RejectionPoint};
use crate::stats::significant;

/// Variants whose points can still be told apart.
const VARIANTS_MAX: usize = 6;

/// One plot of all variants that have graduated rejection; of a sweep, at its last value.
pub(super) fn draw(summary: &Summary, frame: &Frame<'_>, drawn: &mut Drawn) {
    let mut groups = frame.groups(summary);
    let several = groups.len() > 1;
    let Some(group) = groups.pop() else { return };
    let curves = group.variants.iter().filter_map(|(name, variant)| Some((*name, variant.rejections.as_ref()?)));
    let mut curves: Vec<(&str, &RejectionCurve)> = curves.collect();
    if curves.is_empty() {
        return drawn.leave_out("Rejection against capacity used needs graduated rejection (`policy.graduated`).");
    }
    curves.retain(|(_, curve)| curve.shares.iter().any(|share| share.used > 0.0));
    if curves.is_empty() {
        return drawn
            .leave_out("Rejection against capacity used is not drawn: the gate hardly ever counted an abandoned call.");
    }
    if several {
        drawn.leave_out(format!("Rejection against capacity used is drawn {} only.", group.at));
    }
    if curves.len() > VARIANTS_MAX {
        drawn.leave_out(format!("Rejection against capacity used is drawn of the first {VARIANTS_MAX} variants only."));
    }
    let shown = &curves[..curves.len().min(VARIANTS_MAX)];
    let what = "Capacity used: abandoned calls as the policy counts them over `max_abandoned`, as the gate saw it at each attempt, \
                the warm-up's too. Each mark is of the attempts that came within 2.5 % of it (20 of them at least), with its 95 % \
                interval over replications; several variants' stand beside each other, and at 150 % all beyond.";
    let plot = Rejection {
        head: head(
            "rejection",
            format!("How often graduated rejection refuses{}", group.suffix()),
            frame.caption(summary.replications, what),
        ),
        x_name: "Capacity used".to_owned(),
        theory: theories(shown),
        measured: shown.iter().map(|(name, curve)| ((*name).to_owned(), points(curve))).collect(),
    };
    drawn.add(plot.plot());
}

fn points(curve: &RejectionCurve) -> Vec<RejectionPoint> {
    let point = |share: &crate::journal::summary::RejectionShare| RejectionPoint {
        used: share.used.min(MOST),
        attempts: share.attempts,
        rejected: estimate(&share.refused, 1.0),
    };
    curve.shares.iter().map(point).collect()
}

/// Where those beyond stand.
const MOST: f64 = 1.5;

/// A line for each start that any variant has: 0 before it, 1 from the whole capacity on, straight between.
fn theories(curves: &[(&str, &RejectionCurve)]) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut starts: Vec<f64> = curves.iter().map(|(_, curve)| curve.start).collect();
    starts.sort_by(f64::total_cmp);
    starts.dedup();
    let most = curves.iter().flat_map(|(_, curve)| &curve.shares).map(|share| share.used.min(MOST)).fold(1.1, f64::max);
    let theory = |start: f64| {
        let half = if start < 1.0 { 0.5 } else { 0.0 };
        let name = if start < 1.0 {
            format!("rises from {} %", significant(100.0 * start, 4))
        } else {
            "all or nothing at 100 %".to_owned()
        };
        (name, vec![(0.0, 0.0), (start, 0.0), (f64::midpoint(start, 1.0), half), (1.0, 1.0), (most, 1.0)])
    };
    starts.into_iter().map(theory).collect()
}

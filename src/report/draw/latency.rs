//! Distributions of latencies over all offered requests, class by class; who got no answer has waited for ever.

use super::{Drawn, Frame, Group, head, spread};
use crate::journal::summary::{Counts, LatencyMetric, Metrics, Summary};
use crate::report::plot::{LatencyCdf, LatencyCdfs, LatencyPanel};

/// Curves of one panel that can still be told apart.
const CURVES_MAX: usize = 8;
/// Panels of one picture, two in a row.
const PANELS_MAX: usize = 12;

/// Which latency.
#[derive(Copy, Clone, PartialEq)]
enum Kind {
    Ttft,
    E2e,
}

/// One plot for each value of a sweep, or one for all.
pub(super) fn draw(summary: &Summary, frame: &Frame<'_>, drawn: &mut Drawn) {
    let groups = frame.groups(summary);
    if groups.len() > super::GROUPS_MAX {
        drawn.leave_out("Latencies are drawn at the first, the middle and the last value of the sweep.");
    }
    let many = groups.len() > 1;
    for (number, group) in spread(groups).iter().enumerate() {
        let name = if many { format!("latency-{}", number + 1) } else { "latency".to_owned() };
        let title = format!("How long an answer takes, over all offered requests{}", group.suffix());
        let what = "Distributions of all replications together.";
        let hidden = group.variants.len().saturating_sub(CURVES_MAX);
        let rest = if hidden > 0 { format!(" Variants after the first {CURVES_MAX} are not drawn.") } else { String::new() };
        let head = head(name, title, frame.caption(summary.replications, &format!("{what}{rest}")));
        drawn.add(LatencyCdfs { head, panels: panels(group, frame) }.plot());
    }
}

/// One variant: a curve for each class. Several: a panel for each class, with a curve for each variant.
fn panels(group: &Group<'_>, frame: &Frame<'_>) -> Vec<LatencyPanel> {
    let Some((_, first)) = group.variants.first() else { return Vec::new() };
    let kinds: &[Kind] = if streamed(group) { &[Kind::Ttft, Kind::E2e] } else { &[Kind::E2e] };
    if group.variants.len() == 1 {
        let panel = |kind: &Kind| LatencyPanel {
            title: kind.title().to_owned(),
            classes: (first.classes.iter().enumerate())
                .map(|(i, class)| kind.curve(&class.name, &class.metrics, &class.counts, kind.slo(frame, i)))
                .collect(),
        };
        return kinds.iter().map(panel).collect();
    }
    let panel = |index: usize, name: &str, kind: Kind| {
        let variants = group.variants.iter().take(CURVES_MAX);
        let curves = variants.filter_map(|(variant, summary)| {
            let class = summary.classes.get(index)?;
            Some(kind.curve(variant, &class.metrics, &class.counts, None))
        });
        // A curve of no answers is its absence, and said in words.
        let (mut classes, none): (Vec<_>, Vec<_>) = curves.partition(|curve: &LatencyCdf| !curve.points.is_empty());
        if let Some(first) = classes.first_mut() {
            first.slo_s = kind.slo(frame, index); // one line for all: they share the objective
        }
        let name = if first.classes.len() > 1 { format!("{name}: ") } else { String::new() };
        let silent = match none.len() {
            0 => String::new(),
            n => format!(" ({n} of {} answer none)", n + classes.len()),
        };
        LatencyPanel { title: format!("{name}{}{silent}", kind.title()), classes }
    };
    let classes = first.classes.iter().enumerate();
    let all = classes.flat_map(|(i, class)| kinds.iter().map(move |kind| (i, class, *kind)));
    let panels = all.map(|(i, class, kind)| panel(i, &class.name, kind));
    panels.filter(|panel| !panel.classes.is_empty()).take(PANELS_MAX).collect()
}

/// Whether any answer had a first token before its end.
fn streamed(group: &Group<'_>) -> bool {
    let classes = group.variants.iter().flat_map(|(_, variant)| &variant.classes);
    classes.into_iter().any(|class| class.metrics.ttft.curve != class.metrics.e2e.curve)
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Ttft => "Time to first token",
            Self::E2e => "End to end",
        }
    }

    const fn of(self, metrics: &Metrics) -> &LatencyMetric {
        match self {
            Self::Ttft => &metrics.ttft,
            Self::E2e => &metrics.e2e,
        }
    }

    fn slo(self, frame: &Frame<'_>, class: usize) -> Option<f64> {
        let slo = frame.slos.get(class)?;
        if self == Self::Ttft { slo.ttft_s } else { slo.e2e_s }
    }

    fn curve(self, name: &str, metrics: &Metrics, counts: &Counts, slo_s: Option<f64>) -> LatencyCdf {
        let latency = self.of(metrics);
        let answered = counts.share(latency.count).unwrap_or(f64::NAN);
        let points = latency.curve.iter().map(|(seconds, share)| (*seconds, answered * share)).collect();
        LatencyCdf { name: name.to_owned(), points, slo_s }
    }
}

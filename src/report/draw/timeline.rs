//! The first replication over time: arrivals and answers, what became of each moment's arrivals, backlog, latency, abandoned.

use super::{Drawn, Frame, head};
use crate::journal::summary::{Summary, Timeline, VariantSummary};
use crate::report::plot::{Burst, Row, Trace};

/// Bins that a picture shows: about one for three pixels.
const SHOWN_MAX: usize = 240;
/// Bins that it shows at least.
const SHOWN_MIN: usize = 40;
/// Arrivals that a bin wants: shares of two or three requests are noise.
const ARRIVALS: u64 = 12;
/// Variants that get a picture.
const VARIANTS_MAX: usize = 12;

/// A plot for each variant; of a sweep, at its last value.
pub(super) fn draw(summary: &Summary, frame: &Frame<'_>, drawn: &mut Drawn) {
    let mut groups = frame.groups(summary);
    let several = groups.len() > 1;
    let Some(group) = groups.pop() else { return };
    if several {
        drawn.leave_out(format!("Time series are drawn {} only.", group.at));
    }
    if group.variants.len() > VARIANTS_MAX {
        drawn.leave_out(format!("Time series are drawn of the first {VARIANTS_MAX} variants only."));
    }
    for (number, (name, variant)) in group.variants.iter().take(VARIANTS_MAX).enumerate() {
        let Some(timeline) = &variant.timeline else { continue };
        let stem = if group.variants.len() > 1 { format!("time-{:02}", number + 1) } else { "time".to_owned() };
        let title = format!("Through the run: {name}{}", group.suffix());
        let what = "The first replication. Good and answered are shares of the requests that arrived at that time.";
        drawn.add(burst(timeline, variant, head(stem, title, frame.caption(summary.replications, what))).plot());
    }
}

fn burst(timeline: &Timeline, variant: &VariantSummary, head: crate::report::plot::Head) -> Burst {
    let series = &timeline.series;
    let each = together(&series.offered);
    let bin_s = series.bin.as_secs_f64();
    let times_s = (0..series.offered.len().div_ceil(each)).map(|i| (i as f64 + 0.5) * each as f64 * bin_s).collect();
    let sums = |values: &[u32]| -> Vec<f64> {
        values.chunks(each).map(|bins| bins.iter().map(|n| u64::from(*n)).sum::<u64>() as f64).collect()
    };
    let rate = |values: &[u32]| -> Vec<f64> {
        let lengths = values.chunks(each).map(|bins| bins.len() as f64 * bin_s);
        sums(values).into_iter().zip(lengths).map(|(n, seconds)| n / seconds).collect()
    };
    let (offered, answered) = (sums(&series.offered), sums(&series.answered));
    let latency: Vec<f64> = series.e2e_s.chunks(each).map(|bins| bins.iter().sum()).collect();
    let mut rows = vec![
        row("Requests", "req/s", [("arrive", rate(&series.offered)), ("are answered", rate(&series.completed))]),
        row(
            "Of those that arrive",
            "%",
            [("good", ratio(&sums(&series.good), &offered)), ("answered in the end", ratio(&answered, &offered))],
        ),
        row("Backlog: requests not over", "requests", [("backlog", highest(&floats(&series.backlog), each))]),
        row("Mean end to end of those that arrive", "s", [("end to end", ratio(&latency, &answered))]),
    ];
    let truly = floats(&series.abandoned_true);
    if truly.iter().chain(&series.abandoned_counted).any(|n| *n > 0.0) {
        let counted = highest(&series.abandoned_counted, each);
        rows.push(row("Abandoned calls", "calls", [("true", highest(&truly, each)), ("counted by the policy", counted)]));
    }
    Burst { head, times_s, rows, spans: spans(timeline, variant) }
}

/// How many bins make one of the picture's: few enough bins to see, and enough arrivals in each to say something.
fn together(offered: &[u32]) -> usize {
    let all: u64 = offered.iter().map(|n| u64::from(*n)).sum();
    let full = usize::try_from(all / ARRIVALS).unwrap_or(usize::MAX);
    offered.len().div_ceil(full.clamp(SHOWN_MIN, SHOWN_MAX)).max(1)
}

fn row<const N: usize>(title: &str, unit: &str, traces: [(&str, Vec<f64>); N]) -> Row {
    let traces = traces.into_iter().map(|(name, values)| Trace { name: name.to_owned(), values }).collect();
    Row { title: title.to_owned(), unit: unit.to_owned(), traces }
}

fn floats(values: &[u32]) -> Vec<f64> {
    values.iter().map(|n| f64::from(*n)).collect()
}

/// The highest of every `each` bins: a peak must not vanish.
fn highest(values: &[f64], each: usize) -> Vec<f64> {
    values.chunks(each).map(|bins| bins.iter().copied().fold(0.0, f64::max)).collect()
}

/// Not a number where nothing is to be divided by.
fn ratio(parts: &[f64], wholes: &[f64]) -> Vec<f64> {
    parts.iter().zip(wholes).map(|(part, whole)| if *whole > 0.0 { part / whole } else { f64::NAN }).collect()
}

/// What lies outside the measured time, and the spikes.
fn spans(timeline: &Timeline, variant: &VariantSummary) -> Vec<(f64, f64, String)> {
    let window = timeline.window;
    let [start, end, drained] = [window.start, window.end, window.drained].map(crate::time::Time::as_secs_f64);
    let outside = [(0.0, start, "warm-up, not measured"), (end, drained, "drain: no new arrivals")];
    let spikes = variant.recovery.iter().map(|recovery| recovery.spike);
    let spikes = spikes.map(|spike| (spike.start.as_secs_f64(), spike.end.as_secs_f64(), "spike"));
    let all = outside.into_iter().chain(spikes).filter(|(from, to, _)| to > from);
    all.map(|(from, to, what)| (from, to, what.to_owned())).collect()
}

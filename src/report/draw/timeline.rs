//! The first replication over time: what comes, what is let in and what became of it; what waits and runs; abandoned calls;
//! rolling percentiles.

use super::course::{self, REJECTED};
use super::{Drawn, Frame, head};
use crate::journal::Series;
use crate::journal::summary::{Summary, Timeline, VariantSummary};
use crate::report::plot::{Burst, Head, Row, TimeSpan, Trace};

/// Bins that a picture shows: about one for three pixels.
const SHOWN_MAX: usize = 240;
/// Bins that it shows at least.
const SHOWN_MIN: usize = 40;
/// Arrivals that a bin wants: shares of two or three requests are noise.
const ARRIVALS: u64 = 12;
/// What a spike is called.
const SPIKE: &str = "spike";
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
        let what = "The first replication. Good and answered are shares of the requests that arrived at that time. Of what stands \
                    (waiting, under way, abandoned, KV cache) lines show the highest of each bin. Where lines are alike the first named lies on \
                    top.";
        drawn.add(burst(timeline, variant, head(stem, title, frame.caption(summary.replications, what))).plot());
    }
}

fn burst(timeline: &Timeline, variant: &VariantSummary, head: Head) -> Burst {
    let series = &timeline.series;
    let bins = Bins::of(series);
    let (offered, answered) = (bins.sums(&series.offered), bins.sums(&series.answered));
    let mut requests = vec![trace("arrive", 0, bins.rates(&series.offered))];
    let mut inside = Vec::new();
    if let Some(course) = &timeline.course {
        requests.extend(course::requests(course, series, &bins));
        inside = course::rows(course, &bins);
    }
    let refused = requests.iter().any(|trace| trace.name == REJECTED);
    if !refused {
        requests.push(trace("answered", 3, bins.rates(&series.completed)));
    }
    let mut rows = vec![
        row("Requests", "req/s", requests),
        row(
            "Of those that arrive",
            "%",
            vec![
                trace("good", 2, ratio(&bins.sums(&series.good), &offered)),
                trace("answered in the end", 3, ratio(&answered, &offered)),
            ],
        ),
    ];
    rows.append(&mut inside);
    rows.extend(abandoned(series, variant, &bins));
    rows.extend(timeline.course.as_ref().and_then(|course| course::percentiles(course, &bins)));
    let mut burst = Burst { head, times_s: bins.times_s(), rows, spans: spans(timeline, variant), began_unix_ns: None };
    end_with_the_last(&mut burst);
    burst
}

/// Leaves out the end of a drain in which nothing happens any more, but for one bin that shows it. Bounds and rolling percentiles, whose
/// unit is time, say nothing of that.
pub(super) fn end_with_the_last(burst: &mut Burst) {
    let bins = burst.times_s.len();
    let traces = || burst.rows.iter().filter(|row| row.unit != "s").flat_map(|row| &row.traces);
    let busy = |at: usize| traces().any(|trace| trace.look.is_some() && trace.values[at] > 0.0);
    let shown = (0..bins).rev().find(|at| busy(*at)).map_or(bins, |last| (last + 2).min(bins));
    let Some(end_s) = burst.times_s.get(shown).copied() else { return };
    burst.times_s.truncate(shown);
    burst.rows.iter_mut().flat_map(|row| &mut row.traces).for_each(|trace| trace.values.truncate(shown));
    burst.spans.iter_mut().for_each(|span| span.to_s = span.to_s.min(end_s));
    burst.spans.retain(|span| span.to_s > span.from_s);
}

/// Abandoned calls, where there are any, with the count from which on graduated rejection refuses.
fn abandoned(series: &Series, variant: &VariantSummary, bins: &Bins) -> Option<Row> {
    let truly = floats(&series.abandoned_true);
    if !truly.iter().chain(&series.abandoned_counted).any(|n| *n > 0.0) {
        return None;
    }
    let mut traces = vec![trace("true", 0, bins.highest(&truly))];
    if series.abandoned_counted.iter().any(|n| *n > 0.0) {
        traces.push(trace("counted by the policy", 1, bins.highest(&series.abandoned_counted)));
    }
    if let Some(curve) = &variant.rejections {
        let from = curve.start * f64::from(curve.max_abandoned);
        traces.push(bound("refused from", vec![from; bins.shown()]));
    }
    Some(row("Abandoned calls", "calls", traces))
}

/// How many bins make one of the picture's: few enough bins to see, and enough arrivals in each to say something.
fn together(offered: &[u32]) -> usize {
    let all: u64 = offered.iter().map(|n| u64::from(*n)).sum();
    let full = usize::try_from(all / ARRIVALS).unwrap_or(usize::MAX);
    offered.len().div_ceil(full.clamp(SHOWN_MIN, SHOWN_MAX)).max(1)
}

pub(super) fn row(title: &str, unit: &str, traces: Vec<Trace>) -> Row {
    Row { title: title.to_owned(), unit: unit.to_owned(), traces }
}

pub(super) fn trace(name: &str, look: usize, values: Vec<f64>) -> Trace {
    Trace { name: name.to_owned(), look: Some(look), values }
}

/// What bounds the other lines of its row.
pub(super) fn bound(name: &str, values: Vec<f64>) -> Trace {
    Trace { name: name.to_owned(), look: None, values }
}

fn floats(values: &[u32]) -> Vec<f64> {
    values.iter().map(|n| f64::from(*n)).collect()
}

/// How the run's bins become the picture's.
pub(super) struct Bins {
    /// How many make one.
    each: usize,
    bin_s: f64,
    /// How many there are.
    count: usize,
}

impl Bins {
    pub(super) fn of(series: &Series) -> Self {
        Self { each: together(&series.offered), bin_s: series.bin.as_secs_f64(), count: series.offered.len() }
    }

    /// How many the picture has.
    fn shown(&self) -> usize {
        self.count.div_ceil(self.each)
    }

    pub(super) fn times_s(&self) -> Vec<f64> {
        (0..self.shown()).map(|i| (i as f64 + 0.5) * self.each as f64 * self.bin_s).collect()
    }

    pub(super) fn sums(&self, values: &[u32]) -> Vec<f64> {
        values.chunks(self.each).map(|bins| bins.iter().map(|n| u64::from(*n)).sum::<u64>() as f64).collect()
    }

    /// How many come in a second.
    pub(super) fn rates(&self, values: &[u32]) -> Vec<f64> {
        let lengths = values.chunks(self.each).map(|bins| bins.len() as f64 * self.bin_s);
        self.sums(values).into_iter().zip(lengths).map(|(n, seconds)| n / seconds).collect()
    }

    /// The highest of those that make one: a peak must not vanish. Not a number where there is none.
    pub(super) fn highest(&self, values: &[f64]) -> Vec<f64> {
        values.chunks(self.each).map(|bins| bins.iter().copied().fold(f64::NAN, f64::max)).collect()
    }

    /// The lowest, in the same way.
    pub(super) fn lowest(&self, values: &[f64]) -> Vec<f64> {
        values.chunks(self.each).map(|bins| bins.iter().copied().fold(f64::NAN, f64::min)).collect()
    }
}

/// Not a number where nothing is to be divided by.
pub(super) fn ratio(parts: &[f64], wholes: &[f64]) -> Vec<f64> {
    parts.iter().zip(wholes).map(|(part, whole)| if *whole > 0.0 { part / whole } else { f64::NAN }).collect()
}

/// What lies outside the measured time, and the spikes.
pub(super) fn spans(timeline: &Timeline, variant: &VariantSummary) -> Vec<TimeSpan> {
    let window = timeline.window;
    let [start, end, drained] = [window.start, window.end, window.drained].map(crate::time::Time::as_secs_f64);
    let outside = [(0.0, start, "warm-up, not measured"), (end, drained, "drain: no new arrivals")];
    let spikes = variant.recovery.iter().map(|recovery| recovery.spike);
    let spikes = spikes.map(|spike| (spike.start.as_secs_f64(), spike.end.as_secs_f64(), SPIKE));
    let all = outside.into_iter().chain(spikes).filter(|(from, to, _)| to > from);
    let span = |(from_s, to_s, what): (f64, f64, &str)| TimeSpan { from_s, to_s, name: what.to_owned(), marked: what == SPIKE };
    all.map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::Head;

    #[test]
    fn a_picture_ends_where_nothing_happens_any_more() {
        let times_s: Vec<f64> = (0..10).map(f64::from).collect();
        let until = |last: usize| (0..10).map(|at| if at <= last { 2.0 } else { 0.0 }).collect::<Vec<f64>>();
        let rows = vec![
            row("Requests", "req/s", vec![trace("arrive", 0, until(2)), trace("answered", 3, until(4))]),
            row("Inside", "requests", vec![bound("limit", vec![8.0; 10])]),
            row("p99", "s", vec![trace("end to end", 4, until(9))]),
        ];
        let span = |from_s, to_s| TimeSpan { from_s, to_s, name: "drain".to_owned(), marked: false };
        let head = Head { name: "time".to_owned(), title: String::new(), caption: String::new() };
        let mut burst = Burst { head, times_s, rows, spans: vec![span(3.0, 9.5), span(8.0, 9.0)], began_unix_ns: None };
        end_with_the_last(&mut burst);
        assert_eq!(burst.times_s, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "one bin more than the last answer's");
        assert!(burst.rows.iter().flat_map(|row| &row.traces).all(|trace| trace.values.len() == 6));
        assert_eq!(burst.spans, [span(3.0, 6.0)]);
    }
}

//! A replay: outcomes, latencies and the course over time, recorded beside every policy.

use super::timeline::{row, trace};
use super::{Drawn, Frame, head, latency, timeline};
use crate::journal::summary::{Summary, curve};
use crate::latency::Latency;
use crate::replay::Measured;
use crate::report::plot::{Burst, LatencyCdf, LatencyCdfs, LatencyPanel, OutcomePoint, OutcomeShares, Outcomes, Row, Trace};
use crate::report::replayed::{RECORDED, clock, columns, recorded_columns};

/// Lines of one panel that can still be told apart.
const LINES_MAX: usize = 7;
/// Bins of the pictures, about.
const SHOWN: usize = 240;

/// What the pictures need besides the run.
#[derive(Debug)]
pub struct Beside<'a> {
    /// What the log says became of its requests.
    pub measured: Option<&'a Measured>,
    /// The wall-clock time of the first arrival, nanoseconds since 1970.
    pub began_unix_ns: Option<i64>,
}

/// The plots of a replay: those that lay the recording beside the policies first, then each policy's own.
#[must_use]
pub fn replay(summary: &Summary, frame: &Frame<'_>, beside: &Beside<'_>) -> Drawn {
    let mut drawn = Drawn::default();
    if summary.variants.len() > LINES_MAX {
        drawn.leave_out(format!("Beside each other the first {LINES_MAX} policies are drawn."));
    }
    drawn.add(outcomes(summary, frame, beside).plot());
    drawn.add(over_time(summary, frame, beside).plot());
    match beside.measured.filter(|measured| measured.e2e.count() > 0) {
        Some(measured) => drawn.add(latencies(summary, frame, measured).plot()),
        None => latency::draw(summary, frame, &mut drawn),
    }
    timeline::draw(summary, frame, &mut drawn);
    drawn
}

fn outcomes(summary: &Summary, frame: &Frame<'_>, beside: &Beside<'_>) -> OutcomeShares {
    // `not said` is what the log alone can have; it has no colour of its own among the outcomes.
    let kept = |all: [(&str, u64); 9]| -> Vec<f64> {
        let sum: u64 = all.iter().map(|(_, n)| n).sum();
        all.iter().take(8).map(|(_, n)| if sum > 0 { *n as f64 / sum as f64 } else { 0.0 }).collect()
    };
    let one = |name: &str, all: [(&str, u64); 9], seconds: f64| {
        let offered: u64 = all.iter().map(|(_, n)| n).sum();
        let point = OutcomePoint { offered: offered as f64 / seconds.max(1e-9), shares: kept(all) };
        Outcomes { name: name.to_owned(), points: vec![point] }
    };
    let seconds = summary.variants.first().map_or(1.0, |variant| variant.window_s / summary.replications.max(1) as f64);
    let recorded = beside.measured.map(|measured| one(RECORDED, recorded_columns(measured), seconds));
    let variants = summary.variants.iter().map(|variant| one(&variant.name, columns(&variant.counts), variant.window_s));
    let names = columns(&crate::journal::summary::Counts::default()).map(|(name, _)| name.to_owned());
    OutcomeShares {
        head: head("recorded-outcomes", "What became of the same requests", frame.caption(summary.replications, "")),
        unit: "req/s".to_owned(),
        outcomes: names[..8].to_vec(),
        variants: recorded.into_iter().chain(variants).collect(),
    }
}

fn latencies(summary: &Summary, frame: &Frame<'_>, measured: &Measured) -> LatencyCdfs {
    let offered = measured.outcomes.offered.max(1) as f64;
    let own = |latency: &Latency| LatencyCdf {
        name: RECORDED.to_owned(),
        points: curve(latency).into_iter().map(|(at, share)| (at, share * latency.count() as f64 / offered)).collect(),
        slo_s: None,
    };
    let panel = |title: &str, latency: &Latency, e2e: bool| {
        let variants = summary.variants.iter().take(LINES_MAX).map(|variant| {
            let metric = if e2e { &variant.metrics.e2e } else { &variant.metrics.ttft };
            let answered = variant.counts.share(metric.count).unwrap_or(f64::NAN);
            let points = metric.curve.iter().map(|(at, share)| (*at, answered * share)).collect();
            LatencyCdf { name: variant.name.clone(), points, slo_s: None }
        });
        let classes = std::iter::once(own(latency)).chain(variants).filter(|curve| !curve.points.is_empty()).collect();
        LatencyPanel { title: title.to_owned(), classes }
    };
    let mut panels = Vec::new();
    if measured.ttft.count() > 0 {
        panels.push(panel("Time to first token", &measured.ttft, false));
    }
    panels.push(panel("End to end", &measured.e2e, true));
    let title = "How long an answer takes, recorded and replayed, over all requests";
    LatencyCdfs { head: head("recorded-latency", title, frame.caption(summary.replications, "All classes together.")), panels }
}

fn over_time(summary: &Summary, frame: &Frame<'_>, beside: &Beside<'_>) -> Burst {
    let timelines: Vec<_> = summary
        .variants
        .iter()
        .take(LINES_MAX)
        .filter_map(|variant| Some((&variant.name, variant.timeline.as_ref()?)))
        .collect();
    let (bin_s, bins, end_s) = timelines.first().map_or((1.0, 0, 0.0), |(_, timeline)| {
        let series = &timeline.series;
        (series.bin.as_secs_f64(), series.offered.len(), timeline.window.end.as_secs_f64())
    });
    let each = bins.div_ceil(SHOWN).max(1);
    let inside = move |at: usize| (at as f64) * bin_s < end_s;
    let sums =
        |values: &[u32]| -> Vec<f64> { values.chunks(each).map(|some| some.iter().map(|n| f64::from(*n)).sum()).collect() };
    let rate = |values: &[u32]| -> Vec<f64> { sums(values).into_iter().map(|n| n / (each as f64 * bin_s)).collect() };
    let highest = |values: Vec<f64>| -> Vec<f64> {
        values.chunks(each).map(|some| some.iter().copied().fold(f64::NAN, f64::max)).collect()
    };
    let share = |parts: &[u32], wholes: &[u32]| -> Vec<f64> {
        let shares = sums(parts).into_iter().zip(sums(wholes));
        shares.map(|(part, whole)| if whole > 0.0 { part / whole } else { f64::NAN }).collect()
    };
    let recorded = beside.measured;
    let mut rows: Vec<Row> = Vec::new();
    if let Some((_, timeline)) = timelines.first() {
        rows.push(row("Requests arrive", "req/s", vec![trace("arrive", 0, rate(&timeline.series.offered))]));
    }
    let mut panel = |title: &str,
                     unit: &str,
                     own: Option<Vec<f64>>,
                     of: &dyn Fn(&crate::journal::summary::Timeline) -> Option<Vec<f64>>| {
        let own = own.map(|values| trace(RECORDED, 0, values));
        let variants = timelines.iter().enumerate();
        let variants = variants.filter_map(|(i, (name, timeline))| Some(trace(name, i + 1, of(timeline)?)));
        let traces: Vec<Trace> = own.into_iter().chain(variants).collect();
        if traces.iter().any(|trace| trace.values.iter().any(|value| value.is_finite())) {
            rows.push(row(title, unit, traces));
        }
    };
    let good = recorded.map(|measured| share(&measured.good, &measured.offered));
    panel("Good, of those that arrive", "%", good, &|timeline| Some(share(&timeline.series.good, &timeline.series.offered)));
    let refused = recorded.map(|measured| rate(&measured.rejected));
    panel("Refused", "req/s", refused, &|timeline| {
        let moments = &timeline.course.as_ref()?.moments;
        Some(padded(rate(&moments.iter().map(|moment| moment.rejected).collect::<Vec<u32>>()), bins.div_ceil(each)))
    });
    panel("Waiting", "requests", None, &|timeline| {
        let moments = &timeline.course.as_ref()?.moments;
        let waiting = moments.iter().map(|moment| f64::from(moment.waiting + moment.queued)).collect();
        Some(padded(highest(waiting), bins.div_ceil(each)))
    });
    let p99 = recorded.map(|measured| highest(measured.e2e_p99_s.clone()));
    panel("End to end, rolling p99", "s", p99, &|timeline| {
        let moments = &timeline.course.as_ref()?.moments;
        let p99 = moments.iter().map(|moment| moment.e2e_p99_s.unwrap_or(f64::NAN)).collect();
        Some(padded(highest(p99), bins.div_ceil(each)))
    });
    let times_s = (0..bins.div_ceil(each)).map(|i| (i as f64 + 0.5) * each as f64 * bin_s).collect();
    // What lies behind the last arrival is the drain.
    for values in rows.iter_mut().flat_map(|row| &mut row.traces).map(|trace| &mut trace.values) {
        values.iter_mut().enumerate().filter(|(i, _)| !inside(i * each)).for_each(|(_, value)| *value = f64::NAN);
    }
    let what = match beside.began_unix_ns {
        Some(began) => format!("First replication. 0 s is {}.", clock(began)),
        None => "First replication. 0 s is the first arrival.".to_owned(),
    };
    let head = head("recorded-time", "The log's own time: recorded and replayed", frame.caption(summary.replications, &what));
    Burst { head, times_s, rows, spans: Vec::new(), began_unix_ns: beside.began_unix_ns }
}

/// As many values as there are times.
fn padded(mut values: Vec<f64>, count: usize) -> Vec<f64> {
    values.resize(count, f64::NAN);
    values
}

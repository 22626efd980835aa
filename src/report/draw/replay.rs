//! A replay: outcomes, latencies and the course over time, recorded beside every policy.

use super::timeline::{row, trace};
use super::{Drawn, Frame, head, latency, timeline};
use crate::journal::Moment;
use crate::journal::summary::{Summary, Timeline, curve};
use crate::latency::Latency;
use crate::replay::Measured;
use crate::report::plot::{Burst, LatencyCdf, LatencyCdfs, LatencyPanel, OutcomePoint, OutcomeShares, Outcomes, Row, Trace};
use crate::report::replayed::{RECORDED, clock, columns, recorded_columns};

/// Lines of one panel that can still be told apart.
const LINES_MAX: usize = 7;
/// Bins that a picture over time shows at most, and at least.
const SHOWN_MAX: usize = 240;
const SHOWN_MIN: usize = 40;
/// Arrivals that a bin wants: shares of two or three requests are noise.
const ARRIVALS: u64 = 20;

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
    let offered = (measured.outcomes.offered - measured.outcomes.unknown).max(1) as f64;
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

/// The bins of a picture: those of the runs up to the last arrival, some of them together.
struct Shown {
    each: usize,
    bin_s: f64,
    /// Of the runs' bins, those that are drawn.
    inside: usize,
}

impl Shown {
    fn of(summary: &Summary) -> Self {
        let Some(timeline) = summary.variants.first().and_then(|variant| variant.timeline.as_ref()) else {
            return Self { each: 1, bin_s: 1.0, inside: 0 };
        };
        let (series, end) = (&timeline.series, timeline.window.end);
        let inside = series.index(end) + 1;
        let inside = inside.min(series.offered.len());
        let offered: u64 = series.offered.iter().map(|n| u64::from(*n)).sum();
        let full = usize::try_from(offered / ARRIVALS).unwrap_or(usize::MAX).clamp(SHOWN_MIN, SHOWN_MAX);
        Self { each: inside.div_ceil(full).max(1), bin_s: series.bin.as_secs_f64(), inside }
    }

    fn chunks<'a, T>(&self, values: &'a [T]) -> impl Iterator<Item = &'a [T]> {
        values[..values.len().min(self.inside)].chunks(self.each)
    }

    fn count(&self) -> usize {
        self.inside.div_ceil(self.each)
    }

    fn times_s(&self) -> Vec<f64> {
        (0..self.count()).map(|i| (i as f64 + 0.5) * self.each as f64 * self.bin_s).collect()
    }

    /// As many values as there are times.
    fn padded(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut values: Vec<f64> = values.collect();
        values.resize(self.count(), f64::NAN);
        values
    }

    fn rate(&self, values: &[u32]) -> Vec<f64> {
        self.padded(self.chunks(values).map(|some| sum(some) / (some.len() as f64 * self.bin_s)))
    }

    fn share(&self, parts: &[u32], wholes: &[u32]) -> Vec<f64> {
        let both = self.chunks(parts).zip(self.chunks(wholes)).map(|(parts, wholes)| (sum(parts), sum(wholes)));
        self.padded(both.map(|(part, whole)| if whole > 0.0 { part / whole } else { f64::NAN }))
    }

    fn highest(&self, values: &[f64]) -> Vec<f64> {
        self.padded(self.chunks(values).map(|some| some.iter().copied().fold(f64::NAN, f64::max)))
    }
}

fn sum(values: &[u32]) -> f64 {
    values.iter().map(|n| f64::from(*n)).sum()
}

/// A panel: the recorded line, if there is one, and each policy's.
type OfTimeline<'a> = &'a dyn Fn(&Timeline) -> Option<Vec<f64>>;

fn panel(title: &str, unit: &str, summary: &Summary, recorded: Option<Vec<f64>>, of: OfTimeline<'_>) -> Option<Row> {
    let recorded = recorded.map(|values| trace(RECORDED, 0, values));
    let variants = summary.variants.iter().take(LINES_MAX).enumerate();
    let variants = variants.filter_map(|(i, variant)| Some(trace(&variant.name, i + 1, of(variant.timeline.as_ref()?)?)));
    let traces: Vec<Trace> = recorded.into_iter().chain(variants).collect();
    let finite = traces.iter().any(|trace| trace.values.iter().any(|value| value.is_finite()));
    finite.then(|| row(title, unit, traces))
}

fn over_time(summary: &Summary, frame: &Frame<'_>, beside: &Beside<'_>) -> Burst {
    let shown = Shown::of(summary);
    let measured = beside.measured;
    let moments = |timeline: &Timeline, of: fn(&Moment) -> f64| {
        let values: Vec<f64> = timeline.course.as_ref()?.moments.iter().map(of).collect();
        Some(shown.highest(&values))
    };
    let arrive = summary.variants.first().and_then(|variant| variant.timeline.as_ref());
    let arrive =
        arrive.map(|timeline| row("Requests arrive", "req/s", vec![trace("arrive", 0, shown.rate(&timeline.series.offered))]));
    let good = measured.map(|measured| shown.share(&measured.good, &measured.offered));
    let refused = measured.map(|measured| shown.rate(&measured.rejected));
    let p99 = measured.map(|measured| shown.highest(&measured.e2e_p99_s));
    let rows = [
        arrive,
        panel("Good, of those that arrive", "%", summary, good, &|timeline| {
            Some(shown.share(&timeline.series.good, &timeline.series.offered))
        }),
        panel("Attempts refused", "req/s", summary, refused, &|timeline| {
            let refused: Vec<u32> = timeline.course.as_ref()?.moments.iter().map(|moment| moment.rejected).collect();
            Some(shown.rate(&refused))
        }),
        panel("Waiting, in gateway and server", "requests", summary, None, &|timeline| {
            moments(timeline, |moment| f64::from(moment.waiting) + f64::from(moment.queued))
        }),
        panel("End to end, rolling p99", "s", summary, p99, &|timeline| {
            moments(timeline, |moment| moment.e2e_p99_s.unwrap_or(f64::NAN))
        }),
    ];
    let began = beside.began_unix_ns.map_or_else(|| "0 s".to_owned(), clock);
    // A row of nothing is said, not drawn.
    let empty = |row: &Row| row.unit != "%" && !row.traces.iter().any(|trace| trace.values.iter().any(|value| *value > 0.0));
    let (nothing, rows): (Vec<Row>, Vec<Row>) = rows.into_iter().flatten().partition(empty);
    let nothing: Vec<String> = nothing.iter().map(|row| format!(" {}: none.", row.title)).collect();
    let what = format!(
        "The log begins at {began}. Of the policies the first replication; of waiting requests the most in each bin.{}",
        nothing.concat()
    );
    let title = if measured.is_some() { "recorded and replayed" } else { "replayed" };
    let head = head("recorded-time", format!("Over the log's own time: {title}"), frame.caption(summary.replications, &what));
    Burst { head, times_s: shown.times_s(), rows, spans: Vec::new(), began_unix_ns: beside.began_unix_ns }
}

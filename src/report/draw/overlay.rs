//! Live beside simulated, variant by variant: distributions, quantiles against quantiles, the course over time.

use super::timeline::{Bins, end_with_the_last, ratio, row, spans, trace};
use super::{Drawn, Frame, Place, head, latency};
use crate::journal::summary::{LatencyMetric, Summary, Timeline, VariantSummary};
use crate::journal::{Moment, Series};
use crate::report::plot::{Burst, QuantilePanel, Quantiles, Row, Trace};

/// Shares that quantiles are taken at: every half percent, as curves have them.
const STEPS: u32 = 200;

/// Longest that a look at the server stands for what comes after it, seconds.
const LOOK_HOLDS_S: f64 = 2.5;

/// What the server said of itself.
#[derive(Copy, Clone, Debug)]
pub struct Look {
    /// When, seconds since the run began.
    pub t_s: f64,
    /// Requests that it served.
    pub running: f64,
    /// Requests that waited there.
    pub waiting: f64,
}

/// The pictures of `live` beside `simulated`, which have the same variants in the same order. `looks` are those of each variant's
/// first run.
pub fn overlay(live: &Summary, simulated: &Summary, looks: &[Vec<Look>], frame: &Frame<'_>, drawn: &mut Drawn) {
    for (number, (live, simulated)) in live.variants.iter().zip(&simulated.variants).enumerate() {
        let mut own = Drawn::default();
        own.add(quantiles(number, live, simulated, frame).plot());
        if let (Some(ours), Some(theirs)) = (&live.timeline, &simulated.timeline) {
            let looks = looks.get(number).map_or(&[][..], Vec::as_slice);
            own.add(course(live, (ours, looks), theirs, frame).plot());
        }
        let pair = pair(live, simulated);
        let place = Place::default();
        let frame = Frame { variants: vec![place.clone(), place], capacity: None, ..frame.clone() };
        latency::draw(&pair, &frame, &mut own);
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

/// Both on one time axis.
fn course(variant: &VariantSummary, (live, looks): (&Timeline, &[Look]), simulated: &Timeline, frame: &Frame<'_>) -> Burst {
    let bins = Bins::of(&live.series);
    let times_s = bins.times_s();
    let of_series = |of: &dyn Fn(&Series) -> Vec<f64>| (of(&live.series), of(&simulated.series));
    let inside = |seen: fn(&Look) -> f64, was: fn(&Moment) -> f64| {
        let moments = simulated.course.as_ref().map_or(Vec::new(), |course| course.moments.iter().map(was).collect());
        (looked(looks, seen, &times_s), bins.highest(&moments))
    };
    let pairs = [
        ("Answered", "req/s", of_series(&|series| bins.rates(&series.completed))),
        ("Good, of those that arrive", "%", of_series(&|series| ratio(&bins.sums(&series.good), &bins.sums(&series.offered)))),
        ("Running in the server", "requests", inside(|look| look.running, |moment| f64::from(moment.running))),
        ("Waiting in the server", "requests", inside(|look| look.waiting, |moment| f64::from(moment.queued))),
    ];
    let both = |(title, unit, (live, simulated)): (&str, &str, (Vec<f64>, Vec<f64>))| {
        let fitted = |mut values: Vec<f64>| {
            values.resize(times_s.len(), f64::NAN);
            values
        };
        row(title, unit, vec![trace("live", 1, fitted(live)), trace("simulated", 0, fitted(simulated))])
    };
    // A server that does not tell what is in it is not drawn, nor what never was anywhere.
    let known = |trace: &Trace| trace.values.iter().any(|value| value.is_finite());
    let is_any = |trace: &Trace| trace.values.iter().any(|value| *value > 0.0);
    let said = |row: &Row| row.unit != "requests" || (row.traces.iter().all(known) && row.traces.iter().any(is_any));
    let what = "The first round; simulated at the middle speed. What runs and waits in the server is, live, what its /metrics said once a \
                second; of simulated ones the most in each bin.";
    let rows = pairs.map(both).into_iter().filter(said).collect();
    let title = format!("Through the run, live beside simulated: {}", variant.name);
    let head = head("time".to_owned(), title, frame.caption(variant.label.each.len(), what));
    let mut burst = Burst { head, times_s, rows, spans: spans(live, variant), began_unix_ns: None };
    end_with_the_last(&mut burst);
    burst
}

/// What the latest look before each time saw; not a number where that is too long ago.
fn looked(looks: &[Look], seen: fn(&Look) -> f64, times_s: &[f64]) -> Vec<f64> {
    let latest = |time: f64| looks.iter().take_while(|look| look.t_s <= time).last();
    let value = |time: &f64| latest(*time).filter(|look| time - look.t_s <= LOOK_HOLDS_S).map_or(f64::NAN, seen);
    times_s.iter().map(value).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_holds_until_the_next_one_but_not_for_ever() {
        let look = |t_s: f64, running: f64| Look { t_s, running, waiting: 0.0 };
        let seen = looked(&[look(1.0, 3.0), look(2.0, 5.0)], |look| look.running, &[0.5, 1.0, 1.9, 2.5, 4.4, 4.6]);
        assert!(seen[0].is_nan() && seen[5].is_nan(), "{seen:?}");
        assert_eq!(seen[1..5], [3.0, 3.0, 5.0, 5.0]);
    }
}

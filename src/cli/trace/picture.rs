//! A log's figures as plots.

use super::shown;
use crate::report::plot::{Arrivals, Head, LengthCdf, LengthCdfs, Moment, Plot, PlotError};
use crate::trace::stats::{LENGTHS, Stats, Summary};

/// The rate over time and the distributions of lengths; what there is nothing of is left out.
pub fn plots(stats: &Stats, summary: &Summary) -> Vec<Result<Plot, PlotError>> {
    let mut plots = Vec::new();
    if summary.requests > 0 {
        plots.push(arrivals(stats, summary).plot());
    }
    if summary.tokens.iter().any(|tokens| tokens.known > 0) {
        plots.push(lengths(stats, summary).plot());
    }
    plots
}

fn head(name: &str, title: &str, summary: &Summary) -> Head {
    let since = summary.first_unix_ns.map_or(String::new(), |first| format!(", first request {}", shown::utc(first)));
    let caption = format!("{} ({}), {} requests{since}.", summary.file, summary.format, summary.requests);
    Head { name: name.to_owned(), title: title.to_owned(), caption }
}

fn arrivals(stats: &Stats, summary: &Summary) -> Arrivals {
    let course = stats.course();
    let length = course.length().as_secs_f64();
    let moment = |(place, bin): (usize, &crate::trace::stats::Bin)| {
        // The log's end cuts the last bin.
        let from_s = place as f64 * length;
        let lasting = (summary.span_s - from_s).clamp(1.0, length);
        Moment { from_s, mean_rps: bin.count as f64 / lasting, peak_rps: bin.peak as f64 }
    };
    Arrivals {
        head: head("arrivals", "Requests a second over the log", summary),
        bin_s: length,
        moments: course.bins().iter().enumerate().map(moment).collect(),
    }
}

fn lengths(stats: &Stats, summary: &Summary) -> LengthCdfs {
    let lengths = stats.lengths();
    let curve = |(which, name): (usize, &&str)| {
        let known = lengths.known(which) as f64;
        let mut below = 0;
        let points = lengths.of(which).map(|(tokens, count)| {
            below += count;
            (tokens as f64, below as f64 / known)
        });
        LengthCdf { name: (*name).to_owned(), points: points.collect() }
    };
    let curves = LENGTHS.iter().enumerate().map(curve).filter(|curve| !curve.points.is_empty()).collect();
    LengthCdfs { head: head("lengths", "How long requests are", summary), curves }
}

//! Plot 12: how many requests came, over the whole of a log: the mean of each piece, and its busiest second.

use super::axis::{Axis, extent};
use super::palette::Ink;
use super::panel::{Axes, filled, lined};
use super::picture::Dash;
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};

const HEIGHT: f64 = 300.0;

/// Hover columns across the picture.
const COLUMNS: usize = 120;

/// One piece of the log.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Moment {
    /// Where it begins, seconds since the first request.
    pub from_s: f64,
    /// Requests a second, on the mean.
    pub mean_rps: f64,
    /// Requests in its busiest second.
    pub peak_rps: f64,
}

/// Arrivals over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals {
    /// Name, title and caption.
    pub head: Head,
    /// How long each piece is, seconds.
    pub bin_s: f64,
    /// The pieces, in order.
    pub moments: Vec<Moment>,
}

impl Arrivals {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or there is nothing finite to show.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let finite = |moment: &&Moment| moment.from_s.is_finite() && moment.mean_rps.is_finite();
        let moments: Vec<Moment> = self.moments.iter().filter(finite).copied().collect();
        let rates = moments.iter().flat_map(|moment| [moment.mean_rps, moment.peak_rps]);
        let (_, most) = extent(rates).ok_or_else(|| self.head.no_data())?;
        let end = moments.last().map_or(1.0, |moment| moment.from_s + self.bin_s.max(1e-9));
        let (unit, unit_s) = unit(end);
        let peaks = self.bin_s > 1.0;
        let mut keys = vec![Key::new(format!("mean over {}", one(self.bin_s, Unit::Seconds)), Swatch::Field(Ink::Series(0)))];
        keys.extend(peaks.then(|| Key::new("busiest second of it", Swatch::Line(Ink::Series(1), Dash::Solid))));
        let sheet = Sheet::new(&self.head, HEIGHT, &keys);
        let axes = Axes {
            x: Axis::snug((0.0, end / unit_s), 8, Unit::Number),
            y: Axis::linear((0.0, most.max(1e-9)), 5, Unit::Number),
            x_name: &format!("Time since the first request [{unit}]"),
            y_name: "Requests a second",
            title: "",
            left: None,
            grid: (false, true),
        };
        let panel = sheet.panel(sheet.body, &axes);
        let steps = |of: fn(&Moment) -> f64| -> Vec<(f64, f64)> {
            let sides = |moment: &Moment| [moment.from_s, moment.from_s + self.bin_s].map(|at| (at / unit_s, of(moment)));
            moments.iter().flat_map(sides).collect()
        };
        if peaks {
            panel.line(&steps(|moment| moment.peak_rps), lined(Ink::Series(1), 1.0));
        }
        let mean = steps(|moment| moment.mean_rps);
        let area: Vec<(f64, f64, f64)> = mean.iter().map(|(at, rate)| (*at, 0.0, *rate)).collect();
        panel.band(&area, filled(Ink::Series(0), 0.35));
        panel.line(&mean, lined(Ink::Series(0), 1.4));
        let every = moments.len().div_ceil(COLUMNS).max(1);
        let width = panel.inner().width / moments.len().div_ceil(every) as f64;
        for moment in moments.iter().step_by(every) {
            let at = one(moment.from_s / unit_s, Unit::Number);
            let (mean, peak) = (one(moment.mean_rps, Unit::Number), one(moment.peak_rps, Unit::Number));
            let title = format!("{at} {unit}\nmean {mean} req/s\nbusiest second {peak}");
            panel.hover(Some(title), |panel| panel.column((moment.from_s + self.bin_s / 2.0) / unit_s, width));
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["from [s]", "to [s]", "mean [req/s]", "busiest second [req/s]"]);
        for Moment { from_s, mean_rps, peak_rps } in &self.moments {
            row!(table, *from_s, from_s + self.bin_s, *mean_rps, *peak_rps);
        }
        table
    }
}

/// The unit that a log of that length is read in, and its length in seconds.
fn unit(span_s: f64) -> (&'static str, f64) {
    match span_s {
        _ if span_s >= 2.0 * 86_400.0 => ("days", 86_400.0),
        _ if span_s >= 4.0 * 3_600.0 => ("h", 3_600.0),
        _ if span_s >= 300.0 => ("min", 60.0),
        _ => ("s", 1.0),
    }
}

//! Plot 15: quantiles of one distribution against the same quantiles of another. On the diagonal both are the same.

use super::axis::{Axis, extent};
use super::palette::Ink;
use super::panel::{Axes, Look, Marker, filled, lined};
use super::picture::Dash;
use super::sheet::{Key, Sheet, Swatch, tiles};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};

const HEIGHT: f64 = 340.0;
/// Quantiles that a mark shows the value of.
const MARKED: [f64; 3] = [0.5, 0.9, 0.99];

/// Quantiles of one latency.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantilePanel {
    /// Which: `Time to first token`.
    pub title: String,
    /// (share, this quantile of the one along the x axis, of the other), seconds; shares rising.
    pub points: Vec<(f64, f64, f64)>,
}

/// Quantiles against quantiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiles {
    /// Name, title and caption.
    pub head: Head,
    /// What the x axis is of: `Simulated`.
    pub x_name: String,
    /// And the y axis: `Live`.
    pub y_name: String,
    /// Side by side.
    pub panels: Vec<QuantilePanel>,
}

impl Quantiles {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or no quantile is above 0 and finite.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let keys = [
            Key::new("quantiles, with the 50th, 90th and 99th percentile", Swatch::Series(Look::of(0))),
            Key::new("the same on both sides", Swatch::Line(Ink::Muted, Dash::Dashed)),
        ];
        let panels: Vec<&QuantilePanel> = self.panels.iter().filter(|panel| panel.extent().is_some()).collect();
        if panels.is_empty() {
            return Err(self.head.no_data());
        }
        let sheet = Sheet::new(&self.head, HEIGHT * panels.len().div_ceil(2) as f64, &keys);
        for (shown, place) in panels.iter().zip(tiles(sheet.body, panels.len(), 2, HEIGHT)) {
            let Some((lo, hi)) = shown.extent() else { continue };
            let (lo, hi) = (0.9 * lo, 1.1 * hi);
            let axes = Axes {
                x: Axis::log((lo, hi), Unit::Seconds),
                y: Axis::log((lo, hi), Unit::Seconds),
                x_name: &self.x_name,
                y_name: &self.y_name,
                title: &shown.title,
                left: None,
                grid: (true, true),
            };
            let panel = sheet.panel(place, &axes);
            panel.line(&[(lo, lo), (hi, hi)], lined(Ink::Muted, 1.0));
            let line: Vec<(f64, f64)> = shown.shown().map(|(_, x, y)| (x, y)).collect();
            panel.line(&line, lined(Ink::Series(0), 1.6));
            for share in MARKED {
                let Some((_, x, y)) = shown.shown().find(|(at, ..)| *at >= share - 1e-9) else { continue };
                let (x_text, y_text) = (one(x, Unit::Seconds), one(y, Unit::Seconds));
                let title = format!("p{}\n{} {x_text}\n{} {y_text}", share * 100.0, self.x_name, self.y_name);
                panel.hover(Some(title), |panel| {
                    panel.mark(x, y, Marker::Circle, 3.6, filled(Ink::Series(0), 1.0));
                    panel.target(x, y);
                });
            }
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["latency", "share", &format!("{} [s]", self.x_name), &format!("{} [s]", self.y_name)]);
        for panel in &self.panels {
            for (share, x, y) in &panel.points {
                row!(table, panel.title.as_str(), *share, *x, *y);
            }
        }
        table
    }
}

impl QuantilePanel {
    fn shown(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.points.iter().copied().filter(|(_, x, y)| *x > 0.0 && *y > 0.0 && x.is_finite() && y.is_finite())
    }

    fn extent(&self) -> Option<(f64, f64)> {
        extent(self.shown().flat_map(|(_, x, y)| [x, y]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_on_the_diagonal_where_both_are_alike() {
        let points = (1..=200).map(|i| (f64::from(i) / 200.0, 1e-2 * f64::from(i), 1.1e-2 * f64::from(i))).collect();
        let head = Head { name: "quantiles-a".into(), title: "Live against simulated".into(), caption: String::new() };
        let panel = QuantilePanel { title: "End to end".into(), points };
        let quantiles =
            Quantiles { head, x_name: "Simulated".into(), y_name: "Live".into(), panels: vec![panel.clone(), panel] };
        let plot = quantiles.plot().unwrap();
        assert_eq!(plot.csv.lines().count(), 401);
        assert!(plot.svg.contains("p99"), "{}", &plot.svg[..400]);
        let none =
            Quantiles { panels: vec![QuantilePanel { title: String::new(), points: vec![(0.5, 0.0, 1.0)] }], ..quantiles };
        assert!(matches!(none.plot(), Err(PlotError::NoData { .. })));
    }
}

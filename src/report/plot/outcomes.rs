//! Plot 2: what becomes of the offered requests, stacked to 100 %, against offered load; one panel per variant.

use super::axis::{Axis, extent};
use super::palette::{Ink, OUTCOMES};
use super::panel::{Axes, Panel, filled, lined};
use super::sheet::{Key, Sheet, Swatch, tiles};
use super::table::{Cell, Table};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};

/// Shares at one offered load.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomePoint {
    /// Offered load, in [`OutcomeShares::unit`].
    pub offered: f64,
    /// Of all offered requests, between 0 and 1, one for each of [`OutcomeShares::outcomes`].
    pub shares: Vec<f64>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    /// Its name.
    pub name: String,
    /// In any order.
    pub points: Vec<OutcomePoint>,
}

/// Outcomes against offered load.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeShares {
    /// Name, title and caption.
    pub head: Head,
    /// Of the offered load: `req/s`, or `load 1.0`.
    pub unit: String,
    /// Names from the bottom up, at most eight: good, late, degraded, rejected, timed out, gave up, failed, in flight have
    /// their colours in this order.
    pub outcomes: Vec<String>,
    /// One panel each.
    pub variants: Vec<Outcomes>,
}

impl OutcomeShares {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name, there is no point to show, or a point has not one share for each outcome.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.check()?;
        let points = || self.variants.iter().flat_map(|variant| &variant.points);
        let loads = extent(points().map(|point| point.offered)).ok_or_else(|| self.head.no_data())?;
        let across = if self.variants.len() <= 4 { 2 } else { 3 };
        let height = if self.variants.len() == 1 { 340.0 } else { 230.0 };
        let rows = self.variants.len().div_ceil(across);
        let keys = self.outcomes.iter().enumerate().map(|(i, name)| Key::new(name, Swatch::Field(Ink::Outcome(i))));
        let sheet = Sheet::new(&self.head, height * rows as f64, &keys.collect::<Vec<_>>());
        let name = format!("Offered load [{}]", self.unit);
        for (i, (variant, place)) in
            self.variants.iter().zip(tiles(sheet.body, self.variants.len(), across, height)).enumerate()
        {
            let first = i % across == 0;
            let axes = Axes {
                x: x_axis(loads),
                y: Axis::snug((0.0, 1.0), 5, Unit::Percent),
                x_name: if i + across >= self.variants.len() { &name } else { "" },
                y_name: if first { "Share of offered" } else { "" },
                title: &variant.name,
                left: None,
                grid: (false, true),
            };
            self.variant(&sheet.panel(place, axes), variant, loads);
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn check(&self) -> Result<(), PlotError> {
        self.head.check()?;
        self.head.expect("outcomes at most", self.outcomes.len().min(OUTCOMES), self.outcomes.len())?;
        let points = self.variants.iter().flat_map(|variant| &variant.points);
        points.map(|point| self.head.expect("shares in each point", self.outcomes.len(), point.shares.len())).collect()
    }

    fn variant(&self, panel: &Panel, variant: &Outcomes, (lo, hi): (f64, f64)) {
        let stacks: Vec<(f64, Vec<f64>)> = variant.stacked();
        // Bars as wide as half the shortest distance, where areas would need points that were not measured.
        let bars = stacks.len() < 3;
        let half = if hi > lo { (hi - lo) / 40.0 } else { 0.05 * hi.abs().max(1.0) };
        for (i, name) in self.outcomes.iter().enumerate() {
            let ink = Ink::Outcome(i);
            let layer: Vec<_> = stacks.iter().map(|(load, heights)| (*load, heights[i], heights[i + 1])).collect();
            panel.hover(Some(format!("{}: {name}", variant.name)), |panel| {
                if bars {
                    layer.iter().for_each(|(x, from, to)| panel.rect((x - half, *from), (x + half, *to), filled(ink, 1.0)));
                } else {
                    panel.band(&layer, filled(ink, 1.0));
                    let edge: Vec<_> = layer.iter().map(|(x, _, to)| (*x, *to)).collect();
                    panel.line(&edge, lined(Ink::Paper, 0.8));
                }
            });
        }
        for point in &variant.points {
            panel.hover(Some(self.tooltip(variant, point)), |panel| panel.column(point.offered, 12.0));
        }
    }

    fn tooltip(&self, variant: &Outcomes, point: &OutcomePoint) -> String {
        let mut text = format!("{}\noffered {} {}", variant.name, one(point.offered, Unit::Number), self.unit);
        for (name, share) in self.outcomes.iter().zip(&point.shares).rev().filter(|(_, share)| **share != 0.0) {
            text.push_str(&format!("\n{name} {}", one(*share, Unit::Percent)));
        }
        text
    }

    fn table(&self) -> Table {
        let shares = self.outcomes.iter().map(|name| format!("{name} [share of offered]"));
        let header: Vec<String> =
            ["variant".to_owned(), format!("offered [{}]", self.unit)].into_iter().chain(shares).collect();
        let mut table = Table::new(header.iter().map(String::as_str));
        for variant in &self.variants {
            for point in variant.sorted() {
                let shares = point.shares.iter().map(|share| Cell::from(*share));
                table.row([Cell::from(&variant.name), Cell::from(point.offered)].into_iter().chain(shares));
            }
        }
        table
    }
}

fn x_axis((lo, hi): (f64, f64)) -> Axis {
    let air = (hi - lo) / 40.0;
    if hi > lo { Axis::snug((lo - air, hi + air), 5, Unit::Number) } else { Axis::linear((lo, hi), 4, Unit::Number) }
}

impl Outcomes {
    fn sorted(&self) -> Vec<&OutcomePoint> {
        let mut points: Vec<_> = self.points.iter().collect();
        points.sort_by(|a, b| a.offered.total_cmp(&b.offered));
        points
    }

    /// Per load the heights between which the outcomes lie; a share that is no number counts as none.
    fn stacked(&self) -> Vec<(f64, Vec<f64>)> {
        let heights = |point: &&OutcomePoint| {
            let sums = point.shares.iter().scan(0.0, |sum, share| {
                *sum += if share.is_finite() { *share } else { 0.0 };
                Some(*sum)
            });
            (point.offered, [0.0].into_iter().chain(sums).collect())
        };
        self.sorted().iter().map(heights).collect()
    }
}

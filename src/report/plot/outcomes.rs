//! Plot 2: what becomes of the offered requests, stacked to 100 %, against offered load; one panel per variant.

use super::axis::Axis;
use super::palette::{Ink, OUTCOMES};
use super::panel::{Area, Axes, Panel, filled, lined};
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
        let loads = self.loads();
        if loads.is_empty() {
            return Err(self.head.no_data());
        }
        let count = self.variants.len();
        let across = if count <= 4 { 2 } else { 3 }.min(count);
        let height = if count == 1 { 320.0 } else { 214.0 };
        let keys = self.outcomes.iter().enumerate().map(|(i, name)| Key::new(name, Swatch::Field(Ink::Outcome(i))));
        let sheet = Sheet::new(&self.head, height * count.div_ceil(across) as f64 + 18.0, &keys.collect::<Vec<_>>());
        let name = format!("Offered load [{}]", self.unit);
        for (i, (variant, place)) in self.variants.iter().zip(tiles(sheet.body, count, across, height)).enumerate() {
            let lowest = i + across >= count;
            let axes = Axes {
                x: loads_axis(&loads, place.width),
                y: Axis::snug((0.0, 1.0), 5, Unit::Percent),
                x_name: if lowest { &name } else { "" },
                y_name: if i % across == 0 { "Share of offered" } else { "" },
                title: &variant.name,
                left: Some(62.0),
                grid: (false, true),
            };
            let place = Area { height: if lowest { height + 18.0 } else { height }, ..place };
            self.variant(&sheet.panel(place, &axes), variant, &loads);
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    /// All finite loads, rising, each once.
    fn loads(&self) -> Vec<f64> {
        let points = self.variants.iter().flat_map(|variant| &variant.points);
        let mut loads: Vec<f64> = points.map(|point| point.offered).filter(|load| load.is_finite()).collect();
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        loads
    }

    fn check(&self) -> Result<(), PlotError> {
        self.head.check()?;
        self.head.expect("outcomes at most", self.outcomes.len().min(OUTCOMES), self.outcomes.len())?;
        let mut points = self.variants.iter().flat_map(|variant| &variant.points);
        points.try_for_each(|point| self.head.expect("shares in each point", self.outcomes.len(), point.shares.len()))
    }

    fn variant(&self, panel: &Panel, variant: &Outcomes, loads: &[f64]) {
        let bars = loads.len() < 3;
        let place = |load: f64| match loads.iter().position(|known| *known >= load) {
            Some(bar) if bars => bar as f64,
            _ => load,
        };
        let stacks = variant.stacked();
        for (i, name) in self.outcomes.iter().enumerate() {
            let ink = Ink::Outcome(i);
            let layer: Vec<_> = stacks.iter().map(|(load, heights)| (place(*load), heights[i], heights[i + 1])).collect();
            panel.hover(Some(format!("{}: {name}", variant.name)), |panel| {
                if bars {
                    for (x, from, to) in &layer {
                        panel.rect((x - 0.3, *from), (x + 0.3, *to), filled(ink, 1.0));
                    }
                } else {
                    panel.band(&layer, filled(ink, 1.0));
                    let edge: Vec<_> = layer.iter().map(|(x, _, to)| (*x, *to)).collect();
                    panel.line(&edge, lined(Ink::Paper, 0.8));
                }
            });
        }
        for point in &variant.points {
            panel.hover(Some(self.tooltip(variant, point)), |panel| panel.column(place(point.offered), 12.0));
        }
    }

    fn tooltip(&self, variant: &Outcomes, point: &OutcomePoint) -> String {
        let mut text = format!("{}\noffered {} {}", variant.name, one(point.offered, Unit::Number), self.unit);
        for (name, share) in self.outcomes.iter().zip(&point.shares).rev().filter(|(_, share)| **share != 0.0) {
            text.extend(["\n", name, " ", &one(*share, Unit::Percent)]);
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

/// Areas between less than three loads would show what nobody measured: then there is a bar for each load.
fn loads_axis(loads: &[f64], width: f64) -> Axis {
    if loads.len() > 2 {
        return Axis::snug((loads[0], loads[loads.len() - 1]), 5, Unit::Number);
    }
    let names: Vec<String> = loads.iter().map(|load| one(*load, Unit::Number)).collect();
    Axis::choices(&names, width / 3.0)
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

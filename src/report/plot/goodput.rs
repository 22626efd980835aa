//! Plot 1: goodput against offered load, a curve per variant, with the ideal, the capacity and the load lines.

use super::axis::{Axis, extent};
use super::palette::Ink;
use super::panel::{Axes, Look, Panel, filled, lined};
use super::picture::Dash;
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Estimate, Head, Plot, PlotError};

const HEIGHT: f64 = 400.0;

/// What came of one offered load.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LoadPoint {
    /// Offered load, in [`GoodputCurves::unit`].
    pub offered: f64,
    /// Goodput of all offered requests, in the same unit.
    pub goodput: Estimate,
}

/// One variant.
#[derive(Clone, Debug, PartialEq)]
pub struct GoodputCurve {
    /// Its name.
    pub name: String,
    /// In any order.
    pub points: Vec<LoadPoint>,
    /// Its load line, the greatest offered load that it sustains, where that was measured.
    pub sustained: Option<Estimate>,
}

/// Goodput of offered load against offered load.
#[derive(Clone, Debug, PartialEq)]
pub struct GoodputCurves {
    /// Name, title and caption.
    pub head: Head,
    /// Of both axes: `req/s`, or `× load 1.0` where loads are multiples of the capacity.
    pub unit: String,
    /// The capacity in that unit, and what it is: `load 1.0: a closed loop that fills the upstream`.
    pub capacity: Option<(f64, String)>,
    /// One or more variants.
    pub curves: Vec<GoodputCurve>,
}

impl GoodputCurves {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or there is no point to show.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let points = || self.curves.iter().flat_map(|curve| &curve.points).filter(|point| point.goodput.mean.is_finite());
        let sustained = || self.curves.iter().filter_map(|curve| curve.sustained);
        let loads = points()
            .map(|point| point.offered)
            .chain(self.capacity.iter().map(|(at, _)| *at))
            .chain(sustained().flat_map(Estimate::all));
        let (_, x) = extent(points().map(|point| point.offered))
            .and_then(|_| extent(loads.chain([0.0])))
            .ok_or_else(|| self.head.no_data())?;
        let (_, y) =
            extent(points().flat_map(|point| point.goodput.all()).chain(self.capacity.iter().map(|(at, _)| *at)).chain([0.0]))
                .ok_or_else(|| self.head.no_data())?;
        let sheet = Sheet::new(&self.head, HEIGHT, &self.keys());
        let names = (format!("Offered load [{}]", self.unit), format!("Goodput [{}]", self.unit));
        let axes = Axes {
            x: Axis::linear((0.0, x), 7, Unit::Number),
            y: Axis::linear((0.0, y), 6, Unit::Number),
            x_name: &names.0,
            y_name: &names.1,
            title: "",
            left: None,
            grid: (false, true),
        };
        let panel = sheet.panel(sheet.body, &axes);
        self.references(&panel, axes.x.ends().1.min(axes.y.ends().1));
        for (i, curve) in self.curves.iter().enumerate() {
            curve.draw(&panel, Look::of(i), &self.unit);
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn keys(&self) -> Vec<Key> {
        let curves = self.curves.iter().enumerate().map(|(i, curve)| Key::new(&curve.name, Swatch::Series(Look::of(i))));
        let ideal = [Key::new("ideal: all offered is good", Swatch::Line(Ink::Muted, Dash::Dashed))];
        let capacity = self.capacity.iter().map(|(_, name)| Key::new(name, Swatch::Line(Ink::Text, Dash::Dotted)));
        let marked = self.curves.iter().any(|curve| curve.sustained.is_some());
        let sustained = marked.then(|| Key::new("greatest sustained load, 95 % interval", Swatch::Foot));
        curves.chain(ideal).chain(capacity).chain(sustained).collect()
    }

    fn references(&self, panel: &Panel, corner: f64) {
        panel.group(Some("ideal: all offered load is good".to_owned()), Dash::Dashed, |panel| {
            panel.line(&[(0.0, 0.0), (corner, corner)], lined(Ink::Muted, 1.2));
        });
        if let Some((capacity, name)) = &self.capacity {
            let title = format!("{name}: {} {}", one(*capacity, Unit::Number), self.unit);
            panel.group(Some(title), Dash::Dotted, |panel| {
                panel.line(&[(*capacity, 0.0), (*capacity, f64::MAX)], lined(Ink::Text, 1.5));
            });
        }
    }

    fn table(&self) -> Table {
        let unit = &self.unit;
        let columns = ["offered", "goodput", "goodput lower", "goodput upper"].map(|name| format!("{name} [{unit}]"));
        let mut table = Table::new(["kind", "variant"].into_iter().chain(columns.iter().map(String::as_str)));
        for curve in &self.curves {
            for LoadPoint { offered, goodput } in curve.sorted() {
                row!(table, "point", &curve.name, offered, goodput.mean, goodput.lo, goodput.hi);
            }
            if let Some(load) = curve.sustained {
                row!(table, "sustained load", &curve.name, load.mean, f64::NAN, f64::NAN, f64::NAN);
                row!(table, "sustained load lower", &curve.name, load.lo, f64::NAN, f64::NAN, f64::NAN);
                row!(table, "sustained load upper", &curve.name, load.hi, f64::NAN, f64::NAN, f64::NAN);
            }
        }
        if let Some((capacity, name)) = &self.capacity {
            row!(table, "capacity", name, *capacity, f64::NAN, f64::NAN, f64::NAN);
        }
        table
    }
}

impl GoodputCurve {
    fn sorted(&self) -> Vec<LoadPoint> {
        let mut points = self.points.clone();
        points.sort_by(|a, b| a.offered.total_cmp(&b.offered));
        points
    }

    fn draw(&self, panel: &Panel, look: Look, unit: &str) {
        let points = self.sorted();
        let band: Vec<_> = points.iter().map(|point| (point.offered, point.goodput.lo, point.goodput.hi)).collect();
        let line: Vec<_> = points.iter().map(|point| (point.offered, point.goodput.mean)).collect();
        panel.hover(Some(self.name.clone()), |panel| panel.band(&band, filled(look.ink, 0.16)));
        panel.group(Some(self.name.clone()), look.dash, |panel| panel.line(&line, lined(look.ink, 2.0)));
        for LoadPoint { offered, goodput } in &points {
            let (load, good) = (one(*offered, Unit::Number), goodput.text(Unit::Number));
            panel.hover(Some(format!("{}\noffered {load} {unit}\ngoodput {good} {unit}", self.name)), |panel| {
                if points.len() == 1 {
                    panel.interval(*offered, (goodput.lo, goodput.hi), look.ink);
                }
                panel.mark(*offered, goodput.mean, look.marker, 3.2, filled(look.ink, 1.0));
                panel.target(*offered, goodput.mean);
            });
        }
        if let Some(load) = self.sustained {
            let title = format!("{}\nsustains up to {} {unit}", self.name, load.text(Unit::Number));
            panel.hover(Some(title), |panel| panel.at_foot(load, look.ink));
        }
    }
}

//! Plot 13: distributions of lengths in tokens.

use super::axis::{Axis, extent};
use super::panel::{Axes, Look, filled, lined};
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};

const HEIGHT: f64 = 340.0;

/// One distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct LengthCdf {
    /// Whose: `input`.
    pub name: String,
    /// (tokens, share of requests that have at most as many), both rising.
    pub points: Vec<(f64, f64)>,
}

/// Cumulative distributions of lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct LengthCdfs {
    /// Name, title and caption.
    pub head: Head,
    /// In one panel.
    pub curves: Vec<LengthCdf>,
}

impl LengthCdfs {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or no length is above 0 and finite.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let all = self.curves.iter().flat_map(LengthCdf::shown).map(|(tokens, _)| tokens);
        let (lo, hi) = extent(all).ok_or_else(|| self.head.no_data())?;
        let keys: Vec<Key> =
            self.curves.iter().enumerate().map(|(i, c)| Key::new(&c.name, Swatch::Series(Look::of(i)))).collect();
        let sheet = Sheet::new(&self.head, HEIGHT, &keys);
        let axes = Axes {
            x: Axis::log((lo.clamp(1e-250, 1e250), hi.clamp(1e-250, 1e250)), Unit::Number),
            y: Axis::snug((0.0, 1.0), 5, Unit::Percent),
            x_name: "Tokens",
            y_name: "Share of requests",
            title: "",
            left: None,
            grid: (true, true),
        };
        let panel = sheet.panel(sheet.body, &axes);
        for (i, curve) in self.curves.iter().enumerate() {
            let (look, steps) = (Look::of(i), curve.steps());
            panel.group(Some(curve.name.clone()), look.dash, |panel| panel.line(&steps, lined(look.ink, 2.0)));
            for quantile in [0.1, 0.5, 0.9, 0.99] {
                let Some((tokens, _)) = curve.shown().find(|(_, share)| *share >= quantile) else { continue };
                let (share, shown) = (one(quantile, Unit::Percent), one(tokens, Unit::Number));
                panel.hover(Some(format!("{}\n{share} have at most {shown} tokens", curve.name)), |panel| {
                    panel.mark(tokens, quantile, look.marker, 3.2, filled(look.ink, 1.0));
                    panel.target(tokens, quantile);
                });
            }
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["length", "at most [tokens]", "share of requests"]);
        for curve in &self.curves {
            for (tokens, share) in &curve.points {
                row!(table, &curve.name, *tokens, *share);
            }
        }
        table
    }
}

impl LengthCdf {
    /// What a logarithmic axis can show.
    fn shown(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(tokens, share)| *tokens > 0.0 && tokens.is_finite() && share.is_finite())
    }

    /// The corners of the curve: lengths are whole numbers, and many requests can share one.
    fn steps(&self) -> Vec<(f64, f64)> {
        let mut before = 0.0;
        let corners =
            self.shown().flat_map(|(tokens, share)| [(tokens, std::mem::replace(&mut before, share)), (tokens, share)]);
        corners.collect()
    }
}

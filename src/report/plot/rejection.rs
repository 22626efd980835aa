//! Plot 8: how likely a request is rejected against how much of the capacity is used: measured over what theory says.

use super::axis::{Axis, extent};
use super::palette::Ink;
use super::panel::{Axes, Look, Marker, filled, lined};
use super::picture::Dash;
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Estimate, Head, Plot, PlotError};

const HEIGHT: f64 = 360.0;

/// What was measured where that much was used.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct RejectionPoint {
    /// Capacity used when the request came, as a share: 1 is full.
    pub used: f64,
    /// How many requests that were.
    pub attempts: u64,
    /// Share of such requests that were rejected.
    pub rejected: Estimate,
}

/// Rejection against use.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// Name, title and caption.
    pub head: Head,
    /// What uses the capacity: `Slots in use`.
    pub x_name: String,
    /// Lines of the theory by name: corners (share used, probability) in order; a step is two corners above each other.
    pub theory: Vec<(String, Vec<(f64, f64)>)>,
    /// Measured points by variant.
    pub measured: Vec<(String, Vec<RejectionPoint>)>,
}

impl Rejection {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or there is nothing to show.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let measured = || self.measured.iter().flat_map(|(_, points)| points).filter(|point| point.rejected.mean.is_finite());
        let theory = || self.theory.iter().flat_map(|(_, corners)| corners).filter(|(_, share)| share.is_finite());
        let used = measured().map(|point| point.used).chain(theory().map(|(used, _)| *used));
        let (_, most) = extent(used).and_then(|ends| extent([ends.0, ends.1, 0.0])).ok_or_else(|| self.head.no_data())?;
        let series = self.measured.iter().enumerate().map(|(i, (name, _))| Key::new(name, Swatch::Mark(Look::of(i))));
        let lines = self
            .theory
            .iter()
            .enumerate()
            .map(|(i, (name, _))| Key::new(format!("theory: {name}"), Swatch::Line(Ink::Text, dash(i))));
        let sheet = Sheet::new(&self.head, HEIGHT, &lines.chain(series).collect::<Vec<_>>());
        let axes = Axes {
            x: Axis::snug((-0.035 * most, 1.035 * most), 6, Unit::Percent),
            // A little air, so that lines along 0 and 100 % are seen whole.
            y: Axis::snug((-0.03, 1.03), 5, Unit::Percent),
            x_name: &self.x_name,
            y_name: "Probability of rejection",
            title: "",
            left: None,
            grid: (false, true),
        };
        let panel = sheet.panel(sheet.body, &axes);
        for (i, (name, corners)) in self.theory.iter().enumerate() {
            panel.group(Some(format!("theory: {name}")), dash(i), |panel| panel.line(corners, lined(Ink::Text, 1.6)));
            // The corners between the ends are what the theory is told by.
            for (used, share) in corners.iter().skip(1).take(corners.len().saturating_sub(2)) {
                let title = format!("theory: {name}\n{} used\n{}", one(*used, Unit::Percent), one(*share, Unit::Percent));
                panel.hover(Some(title), |panel| {
                    panel.mark(*used, *share, Marker::Circle, 4.6, filled(Ink::Text, 1.0));
                    panel.mark(*used, *share, Marker::Circle, 3.0, filled(Ink::Paper, 1.0));
                    panel.target(*used, *share);
                });
            }
        }
        for (i, (name, points)) in self.measured.iter().enumerate() {
            let look = Look::of(i);
            // Points at the same use stand side by side.
            let aside = 7.0 * (i as f64 - (self.measured.len() - 1) as f64 / 2.0) * 1.07 * most / panel.inner().width;
            for RejectionPoint { used, attempts, rejected } in points {
                let (at, share) = (one(*used, Unit::Percent), rejected.text(Unit::Percent));
                panel.hover(Some(format!("{name}\n{at} used\n{share} of {attempts} rejected")), |panel| {
                    panel.interval(used + aside, (rejected.lo, rejected.hi), look.ink);
                    panel.mark(used + aside, rejected.mean, look.marker, 3.8, filled(look.ink, 1.0));
                    panel.target(used + aside, rejected.mean);
                });
            }
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn table(&self) -> Table {
        let header = [
            "kind",
            "name",
            "capacity used [share]",
            "attempts",
            "rejected [share]",
            "rejected lower [share]",
            "rejected upper [share]",
        ];
        let mut table = Table::new(header);
        for (name, corners) in &self.theory {
            for (used, share) in corners {
                row!(table, "theory", name, *used, f64::NAN, *share, f64::NAN, f64::NAN);
            }
        }
        for (name, points) in &self.measured {
            for RejectionPoint { used, attempts, rejected } in points {
                row!(table, "measured", name, *used, *attempts as f64, rejected.mean, rejected.lo, rejected.hi);
            }
        }
        table
    }
}

fn dash(line: usize) -> Dash {
    [Dash::Solid, Dash::Dashed, Dash::Mixed, Dash::Dotted][line % 4]
}

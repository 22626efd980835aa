//! Plot 9: who gets what share of the goodput for their share of the demand. On the diagonal everybody gets their due.

use super::axis::{Axis, extent};
use super::labels::{self, Wanted};
use super::palette::Ink;
use super::panel::{Axes, Look, filled, lined};
use super::picture::Dash;
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Estimate, Head, Plot, PlotError};

const HEIGHT: f64 = 420.0;

/// One class or tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct FairShare {
    /// Its name.
    pub name: String,
    /// Its share of the demand, between 0 and 1.
    pub demand: f64,
    /// Its share of the goodput.
    pub goodput: Estimate,
}

/// Shares of goodput against shares of demand.
#[derive(Clone, Debug, PartialEq)]
pub struct Fairness {
    /// Name, title and caption.
    pub head: Head,
    /// In what shares are counted: `requests`, `tokens`.
    pub unit: String,
    /// Variants by name, and what is written beside each (an index of fairness, for example), which may be empty.
    pub variants: Vec<(String, String, Vec<FairShare>)>,
}

impl Fairness {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or there is no share to show.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let shares = || self.variants.iter().flat_map(|(_, _, shares)| shares).filter(|share| share.goodput.mean.is_finite());
        let both = shares().flat_map(|share| share.goodput.all().into_iter().chain([share.demand]));
        let (_, most) =
            extent(both).filter(|_| shares().any(|share| share.demand.is_finite())).ok_or_else(|| self.head.no_data())?;
        let sheet = Sheet::new(&self.head, HEIGHT, &self.keys());
        let axis = Axis::linear((0.0, most.clamp(0.01, 1.0)), 5, Unit::Percent);
        let called = (format!("Share of demand [{}]", self.unit), format!("Share of goodput [{}]", self.unit));
        let end = axis.ends().1;
        let frame =
            Axes { x: axis.clone(), y: axis, x_name: &called.0, y_name: &called.1, title: "", left: None, grid: (true, true) };
        let panel = sheet.panel(sheet.body, &frame);
        panel.group(Some("as much goodput as demand".to_owned()), Dash::Dashed, |panel| {
            panel.line(&[(0.0, 0.0), (end, end)], lined(Ink::Muted, 1.2));
        });
        let mut points = Vec::new();
        let mut wanted = Vec::new();
        for (i, (variant, _, shares)) in self.variants.iter().enumerate() {
            let look = Look::of(i);
            for FairShare { name, demand, goodput } in shares {
                let (asked, got) = (one(*demand, Unit::Percent), goodput.text(Unit::Percent));
                panel.hover(Some(format!("{name}, {variant}\n{asked} of the demand\n{got} of the goodput")), |panel| {
                    panel.interval(*demand, (goodput.lo, goodput.hi), look.ink);
                    panel.mark(*demand, goodput.mean, look.marker, 4.0, filled(look.ink, 1.0));
                    panel.target(*demand, goodput.mean);
                });
                points.push((*demand, goodput.mean));
                wanted.push(Wanted { at: (*demand, goodput.mean), name, ink: Ink::Text });
            }
        }
        // Those furthest from their due are named first.
        wanted.sort_by(|a, b| (b.at.1 - b.at.0).abs().total_cmp(&(a.at.1 - a.at.0).abs()));
        labels::write(&panel, &wanted, &points);
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn keys(&self) -> Vec<Key> {
        let variants = self.variants.iter().enumerate().map(|(i, (name, note, _))| {
            let name = if note.is_empty() { name.clone() } else { format!("{name} ({note})") };
            Key::new(name, Swatch::Mark(Look::of(i)))
        });
        variants.chain([Key::new("as much goodput as demand", Swatch::Line(Ink::Muted, Dash::Dashed))]).collect()
    }

    fn table(&self) -> Table {
        let unit = &self.unit;
        let columns = ["demand", "goodput", "goodput lower", "goodput upper"].map(|name| format!("{name} [share of {unit}]"));
        let mut table = Table::new(["variant", "name"].into_iter().chain(columns.iter().map(String::as_str)));
        for (variant, _, shares) in &self.variants {
            for FairShare { name, demand, goodput } in shares {
                row!(table, variant, name, *demand, goodput.mean, goodput.lo, goodput.hi);
            }
        }
        table
    }
}

//! Plot 7: which parameters matter. Left the tornado around the choice, right Sobol's indices over the whole space.

use super::axis::{Axis, extent};
use super::labels::last_keys;
use super::palette::Ink;
use super::panel::{Area, Axes, Look, Marker, Panel, filled, lined};
use super::picture::Dash;
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Cell, Table};
use super::ticks::{Unit, one};
use super::{Estimate, Head, Plot, PlotError};

/// Pixels of a parameter.
const ROW: f64 = 30.0;

/// Pixels of the parameters' names.
const NAMES: f64 = 190.0;

/// What a step of one parameter to either side of the choice does.
#[derive(Clone, Debug, PartialEq)]
pub struct Swing {
    /// The parameter's path. Its row is called by the last key, the table and what is hovered have the whole.
    pub name: String,
    /// The objective with the parameter stepped down, in its unit, with the interval of the change; its mean is not a number where
    /// there is no such step.
    pub down: Estimate,
    /// The objective with the parameter stepped up.
    pub up: Estimate,
}

/// How much of the objective's variance one parameter explains.
#[derive(Clone, Debug, PartialEq)]
pub struct SobolIndex {
    /// The parameter.
    pub name: String,
    /// First-order index: alone. A share of the variance.
    pub first: Estimate,
    /// Total index: with all its interactions.
    pub total: Estimate,
}

/// Sensitivity of the objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Name, title and caption.
    pub head: Head,
    /// The objective with its unit: `goodput [req/s]`.
    pub objective: String,
    /// How its values are written.
    pub unit: Unit,
    /// The objective at the choice.
    pub at_choice: f64,
    /// The step of the tornado: `20 %`.
    pub step: String,
    /// The tornado; may be empty if there are indices.
    pub swings: Vec<Swing>,
    /// Sobol's indices; may be empty if there are swings.
    pub indices: Vec<SobolIndex>,
}

/// An estimate inside 0 to 1, where an index itself lies; the table keeps what was computed.
fn inside(estimate: Estimate) -> Estimate {
    let inside = |x: f64| x.clamp(0.0, 1.0);
    Estimate { mean: inside(estimate.mean), lo: inside(estimate.lo), hi: inside(estimate.hi) }
}

impl Sensitivity {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or there is neither a swing nor an index to show.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let objectives = extent(self.swings.iter().flat_map(|swing| [swing.down, swing.up]).flat_map(Estimate::all));
        let explained = extent(self.indices.iter().flat_map(|index| [index.first.mean, index.total.mean]));
        if objectives.is_none() && explained.is_none() {
            return Err(self.head.no_data());
        }
        let names = self.ordered();
        let sheet = Sheet::new(&self.head, ROW * names.len() as f64 + 72.0, &self.keys());
        let rows = Axis::choices(&last_keys(&names), NAMES - 16.0).reversed();
        let both = objectives.is_some() && explained.is_some();
        let half = if both { (sheet.body.width - NAMES) / 2.0 } else { sheet.body.width - NAMES };
        if let Some((lo, hi)) = objectives {
            let place = Area { width: NAMES + half, ..sheet.body };
            let ends = extent([lo, hi, self.at_choice]).unwrap_or((lo, hi));
            self.tornado(
                &sheet
                    .panel(place, &axes(&rows, Axis::linear(ends, 4, self.unit), &self.objective, "Tornado around the choice")),
                &names,
            );
        }
        if explained.is_some() {
            let rows = if both { rows.clone().silent() } else { rows };
            let (x, width) =
                if both { (sheet.body.x + NAMES + half + 4.0, half - 4.0) } else { (sheet.body.x, sheet.body.width) };
            let ends = extent(
                self.indices
                    .iter()
                    .flat_map(|index| inside(index.first).all().into_iter().chain(inside(index.total).all()))
                    .chain([0.0]),
            );
            let x_axis = Axis::linear(ends.unwrap_or((0.0, 1.0)), 5, Unit::Percent);
            let place = Area { x, width, ..sheet.body };
            let mut frame = axes(&rows, x_axis, "Share of the variance", "Sobol indices over the space");
            if both {
                frame.left = Some(12.0);
            }
            self.sobol(&sheet.panel(place, &frame), &names);
        }
        Ok(sheet.finish(&self.head, self.table(&names)))
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        if !self.swings.is_empty() {
            keys.push(Key::new(format!("parameter {} less", self.step), Swatch::Field(Ink::Series(0))));
            keys.push(Key::new(format!("{} more", self.step), Swatch::Field(Ink::Series(4))));
            keys.push(Key::new(
                format!("at the choice: {}", one(self.at_choice, self.unit)),
                Swatch::Line(Ink::Text, Dash::Solid),
            ));
        }
        if !self.indices.is_empty() {
            let look = |ink, marker| Swatch::Mark(Look { ink, dash: Dash::Solid, marker });
            keys.push(Key::new("first index", look(Ink::Series(2), Marker::Circle)));
            keys.push(Key::new("total index, 95 % intervals", look(Ink::Series(3), Marker::Diamond)));
        }
        keys
    }

    /// All parameters, those that matter most first: by the total index, then by the swing.
    fn ordered(&self) -> Vec<&str> {
        let mut names: Vec<(&str, f64, f64)> = Vec::new();
        let weight = |x: f64| if x.is_finite() { x } else { f64::NEG_INFINITY };
        for index in &self.indices {
            names.push((&index.name, weight(index.total.mean), 0.0));
        }
        for swing in &self.swings {
            let width = weight((swing.up.mean - swing.down.mean).abs());
            match names.iter_mut().find(|(name, ..)| *name == swing.name) {
                Some(known) => known.2 = width,
                None => names.push((&swing.name, f64::NEG_INFINITY, width)),
            }
        }
        names.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.total_cmp(&a.2)));
        names.into_iter().map(|(name, ..)| name).collect()
    }

    fn tornado(&self, panel: &Panel, names: &[&str]) {
        for swing in &self.swings {
            let Some(place) = names.iter().position(|name| *name == swing.name) else { continue };
            let y = place as f64;
            let (down, up) = (swing.down.text(self.unit), swing.up.text(self.unit));
            let title = format!("{}\n{} less: {down}\n{} more: {up}\n{}", swing.name, self.step, self.step, self.objective);
            // Both halves of a row, so that steps to the same side both show.
            panel.hover(Some(title), |panel| {
                panel.rect((self.at_choice, y - 0.32), (swing.down.mean, y), filled(Ink::Series(0), 1.0));
                panel.rect((self.at_choice, y), (swing.up.mean, y + 0.32), filled(Ink::Series(4), 1.0));
                panel.interval_across(y - 0.16, (swing.down.lo, swing.down.hi), Ink::Text);
                panel.interval_across(y + 0.16, (swing.up.lo, swing.up.hi), Ink::Text);
            });
        }
        panel.line(&[(self.at_choice, -0.5), (self.at_choice, names.len() as f64 - 0.5)], lined(Ink::Text, 1.2));
    }

    fn sobol(&self, panel: &Panel, names: &[&str]) {
        for index in &self.indices {
            let Some(place) = names.iter().position(|name| *name == index.name) else { continue };
            let kinds = [
                ("first", inside(index.first), Ink::Series(2), Marker::Circle, -0.16),
                ("total", inside(index.total), Ink::Series(3), Marker::Diamond, 0.16),
            ];
            for (kind, estimate, ink, marker, off) in kinds {
                let y = place as f64 + off;
                panel.hover(Some(format!("{}\n{kind} index {}", index.name, estimate.text(Unit::Percent))), |panel| {
                    panel.interval_across(y, (estimate.lo, estimate.hi), ink);
                    panel.mark(estimate.mean, y, marker, 3.6, filled(ink, 1.0));
                    panel.target(estimate.mean, y);
                });
            }
        }
    }

    fn table(&self, names: &[&str]) -> Table {
        let objective = &self.objective;
        let (down, up) = (format!("{} less: {objective}", self.step), format!("{} more: {objective}", self.step));
        let choice = format!("at the choice: {objective}");
        let indices = ["first index", "first lower", "first upper", "total index", "total lower", "total upper"];
        let ends = [&down, &up].map(|name| (format!("{name}, lower"), format!("{name}, upper")));
        let swings = ["parameter", &choice, &down, &ends[0].0, &ends[0].1, &up, &ends[1].0, &ends[1].1];
        let mut table = Table::new(swings.into_iter().chain(indices));
        for name in names {
            let swing = self.swings.iter().find(|swing| swing.name == *name);
            let index = self.indices.iter().find(|index| index.name == *name);
            let none = Estimate::exact(f64::NAN);
            let (down, up) = swing.map_or((none, none), |swing| (swing.down, swing.up));
            let (first, total) = index.map_or((none, none), |index| (index.first, index.total));
            let own = [self.at_choice, down.mean, down.lo, down.hi, up.mean, up.lo, up.hi];
            let indices = [first.mean, first.lo, first.hi, total.mean, total.lo, total.hi];
            let cells = own.into_iter().chain(indices).map(Cell::from);
            table.row([Cell::from(*name)].into_iter().chain(cells));
        }
        table
    }
}

/// A panel with a row for each parameter.
fn axes<'a>(rows: &Axis, x: Axis, x_name: &'a str, title: &'a str) -> Axes<'a> {
    Axes { x, y: rows.clone(), x_name, y_name: "", title, left: Some(NAMES), grid: (true, false) }
}

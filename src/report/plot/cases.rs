//! What several settings give in each of several cases: a row for each case, a mark with its interval for each of the settings.

use super::axis::{Axis, TICK_SIZE, extent};
use super::font;
use super::palette::Ink;
use super::panel::{Axes, Look, Marker, Panel, filled, lined};
use super::picture::Dash;
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Estimate, Head, Plot, PlotError};

/// Pixels of a case.
const ROW: f64 = 34.0;
/// Pixels of the cases' names, beside the axis: as many as the longest wants, up to this share of the picture.
const NAMES_SHARE: f64 = 0.42;
/// Pixels between a name and the axis.
const GAP: f64 = 16.0;

/// One of the settings that are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Its name: `recommended`.
    pub name: String,
    /// What it gives in each case; the mean is not a number where it was not measured.
    pub values: Vec<Estimate>,
    /// Whether the constraints hold in each case. What is not asked about holds.
    pub feasible: Vec<bool>,
}

/// Settings over cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Cases {
    /// Name, title and caption.
    pub head: Head,
    /// The objective with its unit: `goodput [req/s]`.
    pub objective: String,
    /// How its values are written.
    pub unit: Unit,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// The cases, from the top down.
    pub cases: Vec<String>,
    /// What is compared.
    pub compared: Vec<Compared>,
}

impl Cases {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name, nothing is finite, or one of those compared has not one value for each case.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        for compared in &self.compared {
            self.head.expect("values of each", self.cases.len(), compared.values.len())?;
            self.head.expect("verdicts on the constraints", self.cases.len(), compared.feasible.len())?;
        }
        let values = self.compared.iter().flat_map(|compared| &compared.values).filter(|value| value.mean.is_finite());
        let ends = extent(values.flat_map(|value| value.all())).ok_or_else(|| self.head.no_data())?;
        let sheet = Sheet::new(&self.head, ROW * self.cases.len() as f64 + 50.0, &self.keys());
        let axis_name = format!("{}, {} is better", self.objective, if self.more_is_better { "more" } else { "less" });
        let names = self.names(NAMES_SHARE * sheet.body.width);
        let axes = Axes {
            x: Axis::linear(ends, 6, self.unit),
            y: Axis::choices(&self.cases, names).reversed(),
            x_name: &axis_name,
            y_name: "",
            title: "",
            left: Some(names + GAP),
            grid: (true, true),
        };
        let panel = sheet.panel(sheet.body, &axes);
        for i in 0..self.compared.len() {
            self.draw(&panel, i);
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    /// Pixels of the names, of `most`.
    fn names(&self, most: f64) -> f64 {
        self.cases.iter().map(|name| font::width(name, TICK_SIZE, false).ceil()).fold(0.0, f64::max).min(most)
    }

    fn keys(&self) -> Vec<Key> {
        let compared = self.compared.iter().enumerate();
        let mut keys: Vec<Key> = compared.map(|(i, one)| Key::new(&one.name, Swatch::Mark(Look::of(i)))).collect();
        if self.cases.len() > 1 {
            keys.push(Key::new("worst case of each", Swatch::Line(Ink::Muted, Dash::Dashed)));
        }
        if self.compared.iter().any(|compared| compared.feasible.contains(&false)) {
            keys.push(Key::new("white inside: does not hold the constraints", Swatch::Hollow(HOLLOW)));
        }
        keys
    }

    /// The case in which it does worst.
    fn worst(&self, compared: &Compared) -> Option<usize> {
        let better = |a: f64, b: f64| if self.more_is_better { a > b } else { a < b };
        let known = (0..self.cases.len()).filter(|case| compared.values[*case].mean.is_finite());
        known.reduce(|worst, case| if better(compared.values[worst].mean, compared.values[case].mean) { case } else { worst })
    }

    fn draw(&self, panel: &Panel, which: usize) {
        let (compared, look) = (&self.compared[which], Look::of(which));
        let worst = self.worst(compared);
        // Side by side, and all in their row.
        let off = 0.3 * (which as f64 + 0.5 - self.compared.len() as f64 / 2.0);
        if let Some(value) = worst.filter(|_| self.cases.len() > 1).map(|case| compared.values[case].mean) {
            let title = format!("{}\nworst case: {}", compared.name, one(value, self.unit));
            panel.group(Some(title), Dash::Dashed, |panel| {
                panel.line(&[(value, -0.5), (value, self.cases.len() as f64 - 0.5)], lined(look.ink, 1.2));
            });
        }
        for (case, value) in compared.values.iter().enumerate() {
            let y = case as f64 + off;
            let note = match (worst == Some(case), compared.feasible[case]) {
                (true, true) => "\nits worst case",
                (true, false) => "\nits worst case, does not hold the constraints",
                (false, true) => "",
                (false, false) => "\ndoes not hold the constraints",
            };
            let (name, figure) = (&self.cases[case], value.text(self.unit));
            panel.hover(Some(format!("{}\n{name}\n{}: {figure}{note}", compared.name, self.objective)), |panel| {
                panel.interval_across(y, (value.lo, value.hi), look.ink);
                panel.mark(value.mean, y, look.marker, 4.4, filled(look.ink, 1.0));
                if !compared.feasible[case] {
                    panel.mark(value.mean, y, look.marker, 2.4, filled(Ink::Paper, 1.0));
                }
                panel.target(value.mean, y);
            });
        }
    }

    fn table(&self) -> Table {
        let objective = &self.objective;
        let (lower, upper) = (format!("{objective} lower"), format!("{objective} upper"));
        let mut table = Table::new(["settings", "case", objective, &lower, &upper, "feasible", "worst"]);
        for compared in &self.compared {
            let worst = self.worst(compared);
            for (case, value) in compared.values.iter().enumerate() {
                let (name, feasible) = (&self.cases[case], compared.feasible[case]);
                row!(table, &compared.name, name, value.mean, value.lo, value.hi, feasible, worst == Some(case));
            }
        }
        table
    }
}

/// Of the legend: which settings it is, the colour says.
const HOLLOW: Look = Look { ink: Ink::Pale, dash: Dash::Solid, marker: Marker::Circle };

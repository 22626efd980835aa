//! Plot 3: the objective over two parameters, cell by cell as measured: nothing is interpolated.

use super::axis::{Axis, extent};
use super::labels::last_keys;
use super::palette::{Ink, LEVELS};
use super::panel::{Area, Axes, Look, Marker, Panel, filled, lined};
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Cell, Table};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};

/// The settings of one parameter, each of which has cells of the same size: what was measured are the settings themselves, and
/// nothing between them.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Rising numbers, in the parameter's unit.
    Numbers(Vec<f64>),
    /// Names.
    Choices(Vec<String>),
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Along {
    /// Its path with its unit: `throttle.interval [s]`. The axis is called by the last key, the table and what is hovered have the
    /// whole.
    pub name: String,
    /// Its settings.
    pub values: Values,
}

/// What one pair of settings gave.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct HeatmapCell {
    /// The objective; not a number where it was not measured.
    pub value: f64,
    /// Whether every constraint holds on average.
    pub feasible: bool,
    /// Whether it surely holds every constraint and is surely better than what is recommended.
    pub better: bool,
}

/// The objective over two parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    /// Name, title and caption.
    pub head: Head,
    /// To the right.
    pub x: Along,
    /// Upwards.
    pub y: Along,
    /// Name of the objective with its unit: `goodput [req/s]`.
    pub objective: String,
    /// How its values are written.
    pub unit: Unit,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// The plateau: feasible cells whose objective falls behind that of what is recommended by at most this share of it, for example
    /// 0.02.
    pub within: f64,
    /// The cell of what is recommended, where it is one of them; none where there is no cell of that number.
    pub chosen: Option<usize>,
    /// Row by row from the bottom, each row from the left.
    pub cells: Vec<HeatmapCell>,
}

impl Heatmap {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name, settings do not rise, no cell was measured, or there is not one cell for each pair of settings.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let (columns, rows) = (self.x.values.len(), self.y.values.len());
        for along in [&self.x, &self.y] {
            if !along.values.rise() {
                return Err(PlotError::Order { name: self.head.name.clone(), what: format!("settings of `{}`", along.name) });
            }
        }
        self.head.expect("cells", columns * rows, self.cells.len())?;
        let measured = extent(self.cells.iter().map(|cell| cell.value)).ok_or_else(|| self.head.no_data())?;
        let height = (60.0 + 26.0 * rows as f64).clamp(240.0, 460.0);
        let sheet = Sheet::new(&self.head, height, &self.keys());
        let Area { width, .. } = sheet.body;
        let place = Area { width: width - 110.0, ..sheet.body };
        let room = (width - 240.0) / columns as f64;
        let names = last_keys(&[&self.x.name, &self.y.name]);
        let axes = Axes {
            x: self.x.values.axis(room),
            y: self.y.values.axis(120.0),
            x_name: &names[0],
            y_name: &names[1],
            title: "",
            left: None,
            grid: (false, false),
        };
        let panel = sheet.panel(place, &axes);
        self.draw(&panel, measured);
        self.scale(&sheet, &panel, measured);
        Ok(sheet.finish(&self.head, self.table()))
    }

    /// The cell of what is recommended, where it was measured.
    fn recommended(&self) -> Option<usize> {
        self.chosen.filter(|chosen| self.cells.get(*chosen).is_some_and(|cell| cell.value.is_finite()))
    }

    /// The best of the cells that are surely better than what is recommended.
    fn better(&self) -> Option<usize> {
        let surely = (0..self.cells.len()).filter(|i| self.cells[*i].better && self.cells[*i].value.is_finite());
        surely.reduce(|best, i| if self.is_above(self.cells[i].value, self.cells[best].value) { i } else { best })
    }

    fn is_above(&self, a: f64, b: f64) -> bool {
        if self.more_is_better { a > b } else { a < b }
    }

    /// Whether each cell belongs to the plateau around what is recommended; none does where nothing is.
    fn plateau(&self) -> Vec<bool> {
        let level = self.recommended().map_or(f64::NAN, |i| self.cells[i].value);
        let loss = |value: f64| if self.more_is_better { level - value } else { value - level };
        self.cells.iter().map(|cell| cell.feasible && loss(cell.value) <= self.within * level.abs()).collect()
    }

    /// Brighter is better, whichever way the objective points.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the number of levels
    fn ink(&self, value: f64, (lo, hi): (f64, f64)) -> Ink {
        let part = if hi > lo { (value - lo) / (hi - lo) } else { 0.5 };
        let goodness = if self.more_is_better { part } else { 1.0 - part };
        Ink::Level((goodness.clamp(0.0, 1.0) * LEVELS as f64) as usize)
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        let mark = |marker| Swatch::Mark(Look { ink: Ink::Mark, dash: super::picture::Dash::Solid, marker });
        let told = |what: &str, cell: usize| {
            let (x, y) = self.settings(cell);
            format!("{what}: {} at {x}, {y}", one(self.cells[cell].value, self.unit))
        };
        if let Some(cell) = self.recommended() {
            keys.push(Key::new(told("recommended", cell), mark(Marker::Diamond)));
            keys.push(Key::new(format!("at most {} worse", one(self.within, Unit::Percent)), Swatch::Frame));
        }
        if let Some(cell) = self.better() {
            keys.push(Key::new(told("surely better", cell), mark(Marker::Triangle)));
        }
        if self.cells.iter().any(|cell| !cell.feasible) {
            keys.push(Key::new("does not hold the constraints", Swatch::Hatch));
        }
        keys
    }

    /// How the settings of a cell are written.
    fn settings(&self, cell: usize) -> (String, String) {
        let columns = self.x.values.len();
        (self.x.values.text(cell % columns), self.y.values.text(cell / columns))
    }

    fn draw(&self, panel: &Panel, measured: (f64, f64)) {
        let columns = self.x.values.len();
        let edges = |along: &Along| -> Vec<f64> { (0..=along.values.len()).map(|i| i as f64 - 0.5).collect() };
        let (across, up) = (edges(&self.x), edges(&self.y));
        for (i, cell) in self.cells.iter().enumerate() {
            let (x, y) = (i % columns, i / columns);
            let (low, high) = ((across[x], up[y]), (across[x + 1], up[y + 1]));
            panel.hover(Some(self.tooltip(i)), |panel| {
                if !cell.value.is_finite() {
                    return panel.rect(low, high, filled(Ink::Grid, 1.0));
                }
                panel.rect(low, high, filled(self.ink(cell.value, measured), if cell.feasible { 1.0 } else { 0.45 }));
                if !cell.feasible {
                    panel.hatch(low, high, lined(Ink::Text, 0.9));
                }
            });
        }
        let outline = self.outline(&across, &up);
        panel.pieces(&outline, lined(Ink::Paper, 4.5));
        panel.pieces(&outline, lined(Ink::Text, 2.0));
        let marks = [(self.recommended(), "recommended", Marker::Diamond), (self.better(), "surely better", Marker::Triangle)];
        for (cell, what, marker) in marks.into_iter().filter_map(|(cell, what, marker)| Some((cell?, what, marker))) {
            let (x, y) = ((cell % columns) as f64, (cell / columns) as f64);
            panel.hover(Some(format!("{what}\n{}", self.tooltip(cell))), |panel| {
                panel.mark(x, y, marker, 7.0, filled(Ink::Paper, 1.0));
                panel.mark(x, y, marker, 5.0, filled(Ink::Mark, 1.0));
                panel.target(x, y);
            });
        }
    }

    fn tooltip(&self, i: usize) -> String {
        let (cell, (x, y)) = (self.cells[i], self.settings(i));
        let value = if cell.value.is_nan() { "not measured".to_owned() } else { one(cell.value, self.unit) };
        let note = if cell.feasible { "" } else { "\ndoes not hold the constraints" };
        format!("{} = {x}\n{} = {y}\n{}: {value}{note}", self.x.name, self.y.name, self.objective)
    }

    /// The edges between cells of the plateau and others.
    fn outline(&self, across: &[f64], up: &[f64]) -> Vec<[(f64, f64); 2]> {
        let inside = self.plateau();
        let (columns, rows) = (across.len() - 1, up.len() - 1);
        let is = |x: Option<usize>, y: Option<usize>| match (x, y) {
            (Some(x), Some(y)) if x < columns && y < rows => inside[y * columns + x],
            _ => false,
        };
        let mut edges = Vec::new();
        for y in 0..=rows {
            for x in 0..=columns {
                if x < columns && is(Some(x), Some(y)) != is(Some(x), y.checked_sub(1)) {
                    edges.push([(across[x], up[y]), (across[x + 1], up[y])]);
                }
                if y < rows && is(Some(x), Some(y)) != is(x.checked_sub(1), Some(y)) {
                    edges.push([(across[x], up[y]), (across[x], up[y + 1])]);
                }
            }
        }
        edges
    }

    /// The scale of colours at the right.
    fn scale(&self, sheet: &Sheet, panel: &Panel, measured: (f64, f64)) {
        let inner = panel.inner();
        let place =
            Area { x: sheet.body.x + sheet.body.width - 110.0, y: sheet.body.y, width: 110.0, height: inner.height + 11.0 };
        let spread = if measured.1 > measured.0 { measured } else { (measured.0 - 0.5, measured.1 + 0.5) };
        let axes = Axes {
            x: Axis::snug((0.0, 1.0), 1, Unit::Number).ticked(Vec::new()),
            y: Axis::snug(spread, 5, self.unit),
            x_name: "",
            y_name: &self.objective,
            title: "",
            left: None,
            grid: (false, false),
        };
        let scale = sheet.panel(place, &axes);
        let step = (spread.1 - spread.0) / LEVELS as f64;
        for i in 0..LEVELS {
            let from = spread.0 + step * i as f64;
            scale.rect((0.0, from), (1.0, from + step), filled(self.ink(from + step / 2.0, spread), 1.0));
        }
    }

    fn table(&self) -> Table {
        let header =
            [self.x.name.as_str(), &self.y.name, &self.objective, "feasible", "surely better", "recommended", "within"];
        let plateau = self.plateau();
        let mut table = Table::new(header);
        let columns = self.x.values.len();
        for (i, cell) in self.cells.iter().enumerate() {
            let settings = [self.x.values.cell(i % columns), self.y.values.cell(i / columns)];
            let rest = [
                Cell::from(cell.value),
                cell.feasible.into(),
                cell.better.into(),
                (self.chosen == Some(i)).into(),
                plateau[i].into(),
            ];
            table.row(settings.into_iter().chain(rest));
        }
        table
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Choices(names) => names.len(),
        }
    }

    /// Whether numbers are finite and rise.
    fn rise(&self) -> bool {
        match self {
            Self::Choices(_) => true,
            Self::Numbers(values) => values.iter().all(|x| x.is_finite()) && values.windows(2).all(|pair| pair[0] < pair[1]),
        }
    }

    fn text(&self, i: usize) -> String {
        match self {
            Self::Numbers(values) => one(values[i], Unit::Number),
            Self::Choices(names) => names[i].clone(),
        }
    }

    fn cell(&self, i: usize) -> Cell {
        match self {
            Self::Numbers(values) => values[i].into(),
            Self::Choices(names) => (&names[i]).into(),
        }
    }

    /// A place for each setting; a name gets `room` pixels.
    fn axis(&self, room: f64) -> Axis {
        let names: Vec<String> = (0..self.len()).map(|i| self.text(i)).collect();
        // A number cut short would be another one.
        let room = if matches!(self, Self::Numbers(_)) { f64::INFINITY } else { room };
        Axis::choices(&names, room)
    }
}

//! Plot 3: the objective over two parameters, cell by cell as measured: nothing is interpolated.

use super::axis::{Axis, extent};
use super::labels::last_keys;
use super::palette::{Ink, LEVELS};
use super::panel::{Area, Axes, Look, Marker, Panel, filled, lined};
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Cell, Table};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};

/// The settings of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Rising numbers; on a logarithmic axis if `log` and all are above 0.
    Numbers {
        /// In the parameter's unit.
        values: Vec<f64>,
        /// Whether the axis is logarithmic.
        log: bool,
    },
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
    /// Whether every constraint holds.
    pub feasible: bool,
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
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// The plateau: feasible cells whose objective is off the best by at most this share of it, for example 0.02.
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

    /// The best feasible cell.
    fn best(&self) -> Option<usize> {
        let usable = (0..self.cells.len()).filter(|i| self.cells[*i].feasible && self.cells[*i].value.is_finite());
        usable.reduce(|best, i| if self.better(self.cells[i].value, self.cells[best].value) { i } else { best })
    }

    /// The recommended cell where it is not the best one.
    fn chosen_apart(&self) -> Option<usize> {
        let best = self.best();
        self.chosen.filter(|chosen| *chosen < self.cells.len() && best != Some(*chosen))
    }

    fn better(&self, a: f64, b: f64) -> bool {
        if self.more_is_better { a > b } else { a < b }
    }

    /// Whether each cell belongs to the plateau around the best.
    fn plateau(&self) -> Vec<bool> {
        let best = self.best().map_or(f64::NAN, |i| self.cells[i].value);
        self.cells.iter().map(|cell| cell.feasible && (cell.value - best).abs() <= self.within * best.abs()).collect()
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
        if let Some(best) = self.best() {
            let (x, y) = self.settings(best);
            let name = format!("best: {}", one(self.cells[best].value, Unit::Number));
            let look = Look { ink: Ink::Mark, dash: super::picture::Dash::Solid, marker: Marker::Diamond };
            keys.push(Key::new(format!("{name} at {x}, {y}"), Swatch::Mark(look)));
            if self.chosen_apart().is_some() {
                keys.push(Key::new("recommended", Swatch::Mark(Look { marker: Marker::Circle, ..look })));
            }
            keys.push(Key::new(format!("within {} of the best", one(self.within, Unit::Percent)), Swatch::Frame));
        }
        if self.cells.iter().any(|cell| !cell.feasible) {
            keys.push(Key::new("breaks a constraint", Swatch::Hatch));
        }
        keys
    }

    /// How the settings of a cell are written.
    fn settings(&self, cell: usize) -> (String, String) {
        let columns = self.x.values.len();
        (self.x.values.text(cell % columns), self.y.values.text(cell / columns))
    }

    fn draw(&self, panel: &Panel, measured: (f64, f64)) {
        let (across, up) = (self.x.values.edges(), self.y.values.edges());
        let columns = self.x.values.len();
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
        let marks = [(self.best(), "best", Marker::Diamond), (self.chosen_apart(), "recommended", Marker::Circle)];
        for (cell, what, marker) in marks.into_iter().filter_map(|(cell, what, marker)| Some((cell?, what, marker))) {
            let (x, y) = (self.x.values.centre(cell % columns), self.y.values.centre(cell / columns));
            panel.hover(Some(format!("{what}\n{}", self.tooltip(cell))), |panel| {
                panel.mark(x, y, marker, 7.0, filled(Ink::Paper, 1.0));
                panel.mark(x, y, marker, 5.0, filled(Ink::Mark, 1.0));
                panel.target(x, y);
            });
        }
    }

    fn tooltip(&self, i: usize) -> String {
        let (cell, (x, y)) = (self.cells[i], self.settings(i));
        let value = if cell.value.is_nan() { "not measured".to_owned() } else { one(cell.value, Unit::Number) };
        let note = if cell.feasible { "" } else { "\nbreaks a constraint" };
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
            y: Axis::snug(spread, 5, Unit::Number),
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
        let header = [self.x.name.as_str(), &self.y.name, &self.objective, "feasible", "best", "recommended", "within"];
        let (best, plateau) = (self.best(), self.plateau());
        let mut table = Table::new(header);
        let columns = self.x.values.len();
        for (i, cell) in self.cells.iter().enumerate() {
            let settings = [self.x.values.cell(i % columns), self.y.values.cell(i / columns)];
            let rest = [
                Cell::from(cell.value),
                cell.feasible.into(),
                (best == Some(i)).into(),
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
            Self::Numbers { values, .. } => values.len(),
            Self::Choices(names) => names.len(),
        }
    }

    /// Whether numbers are finite, rise, and can stand on their axis.
    fn rise(&self) -> bool {
        match self {
            Self::Choices(_) => true,
            Self::Numbers { values, .. } => {
                values.iter().all(|x| x.is_finite()) && values.windows(2).all(|pair| pair[0] < pair[1])
            }
        }
    }

    fn is_log(&self) -> bool {
        matches!(self, Self::Numbers { values, log: true } if values.iter().all(|x| *x > 0.0))
    }

    fn centre(&self, i: usize) -> f64 {
        match self {
            Self::Numbers { values, .. } => values[i],
            Self::Choices(_) => i as f64,
        }
    }

    fn text(&self, i: usize) -> String {
        match self {
            Self::Numbers { values, .. } => one(values[i], Unit::Number),
            Self::Choices(names) => names[i].clone(),
        }
    }

    fn cell(&self, i: usize) -> Cell {
        match self {
            Self::Numbers { values, .. } => values[i].into(),
            Self::Choices(names) => (&names[i]).into(),
        }
    }

    /// Half way between neighbours, on the axis's own scale; the outermost as far as the next.
    fn edges(&self) -> Vec<f64> {
        let values = match self {
            Self::Choices(names) => return (0..=names.len()).map(|i| i as f64 - 0.5).collect(),
            Self::Numbers { values, .. } => values,
        };
        let log = self.is_log();
        let on = |x: f64| if log { libm::log10(x) } else { x };
        let off = |x: f64| if log { libm::pow(10.0, x) } else { x };
        let at: Vec<f64> = values.iter().map(|x| on(*x)).collect();
        let (Some(first), Some(last)) = (at.first(), at.last()) else { return vec![0.0] };
        let single = if log { 0.1 } else { 0.5 * first.abs().max(1.0) };
        let gap = |a: usize, b: usize| if at.len() > 1 { (at[b] - at[a]) / 2.0 } else { single };
        let inner = at.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
        let end = at.len() - 1;
        let ends = (first - gap(0, 1.min(end)), last + gap(end.saturating_sub(1), end));
        [ends.0].into_iter().chain(inner).chain([ends.1]).map(off).collect()
    }

    /// Ticks stand at the settings themselves while there are few.
    fn axis(&self, room: f64) -> Axis {
        let values = match self {
            Self::Choices(names) => return Axis::choices(names, room),
            Self::Numbers { values, .. } => values,
        };
        let edges = self.edges();
        let ends = (edges[0], edges[edges.len() - 1]);
        let axis = if self.is_log() { Axis::log(ends, Unit::Number) } else { Axis::snug(ends, 6, Unit::Number) };
        let crowded =
            values.len() > 12 || values.iter().any(|x| 1.3 * super::font::width(&one(*x, Unit::Number), 11.0, false) > room);
        if crowded { axis } else { axis.ticked(values.clone()) }
    }
}

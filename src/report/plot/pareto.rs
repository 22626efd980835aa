//! Plot 4: two objectives at once. The front, its staircase, and the points that something else beats in both.

use std::collections::BTreeSet;

use super::axis::{Axis, extent};
use super::labels::{self, Wanted};
use super::palette::Ink;
use super::panel::{Axes, Look, Marker, Panel, filled, lined};
use super::picture::{Dash, Shape};
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Estimate, Head, Plot, PlotError};

const HEIGHT: f64 = 400.0;

/// Dominated points above this number share a tooltip, and those on the same pixels are drawn once.
const DOMINATED_MAX: usize = 1_000;

/// One candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct ParetoPoint {
    /// Its settings, in short.
    pub name: String,
    /// First objective.
    pub x: f64,
    /// Second objective.
    pub y: f64,
    /// Whether it is the one recommended.
    pub chosen: bool,
    /// Whether no other of those compared beats it in all objectives, these two and any others.
    pub on_front: bool,
    /// How well it is known.
    pub kind: ParetoKind,
}

/// Who a candidate is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ParetoKind {
    /// One of those that were compared.
    Finalist,
    /// Today's settings, one of those that were compared.
    Today,
    /// Seen in the screening only: no part of the front, whatever it showed there.
    Screened,
}

/// Two objectives against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct ParetoFront {
    /// Name, title and caption.
    pub head: Head,
    /// The first objective with its unit, and whether more of it is better.
    pub x: (String, bool),
    /// The second.
    pub y: (String, bool),
    /// In any order.
    pub points: Vec<ParetoPoint>,
    /// Whether these two are all objectives there are: only then the front is a staircase.
    pub all_objectives: bool,
    /// Hypervolume of the front, in the product of both units, and the reference point (x, y) it is measured from.
    pub hypervolume: Option<(Estimate, (f64, f64))>,
}

impl ParetoFront {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or there is no point to show.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let shown = || self.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
        let x = extent(shown().map(|point| point.x)).ok_or_else(|| self.head.no_data())?;
        let y = extent(shown().map(|point| point.y)).ok_or_else(|| self.head.no_data())?;
        let front = self.front();
        let head = Head { caption: self.caption(), ..self.head.clone() };
        let sheet = Sheet::new(&head, HEIGHT, &self.keys(front.len()));
        let names = (axis_name(&self.x), axis_name(&self.y));
        let axes = Axes {
            x: Axis::linear(x, 7, Unit::Number),
            y: Axis::linear(y, 6, Unit::Number),
            x_name: &names.0,
            y_name: &names.1,
            title: "",
            left: None,
            grid: (true, true),
        };
        let panel = sheet.panel(sheet.body, &axes);
        self.dominated(&panel, &front);
        self.staircase(&panel, &front);
        let on_front: Vec<(f64, f64)> = front.iter().map(|i| (self.points[*i].x, self.points[*i].y)).collect();
        // The chosen one, today's and both ends are named; the others tell when hovered.
        let chosen = front.iter().copied().find(|i| self.points[*i].chosen);
        let today = (0..self.points.len()).find(|i| self.points[*i].kind == ParetoKind::Today);
        let mut labelled: Vec<usize> = Vec::new();
        for i in chosen.into_iter().chain(today).chain(front.first().copied()).chain(front.last().copied()) {
            if !labelled.contains(&i) {
                labelled.push(i);
            }
        }
        let label =
            |i: &usize| Wanted { at: (self.points[*i].x, self.points[*i].y), name: &self.points[*i].name, ink: Ink::Text };
        let wanted: Vec<Wanted<'_>> = labelled.iter().map(label).collect();
        let finalists = self.points.iter().filter(|point| point.kind != ParetoKind::Screened).map(|point| (point.x, point.y));
        let taken: Vec<(f64, f64)> = finalists.chain(along(&stairs(&on_front))).collect();
        labels::write(&panel, &wanted, &taken);
        Ok(sheet.finish(&head, self.table(&front)))
    }

    fn caption(&self) -> String {
        if !self.all_objectives {
            let only = "The front is by all objectives, of which these are the first two.";
            return [only, &self.head.caption].join(" ").trim().to_owned();
        }
        let volume = self.hypervolume.map(|(volume, (x, y))| {
            let from = format!("{}, {}", one(x, Unit::Number), one(y, Unit::Number));
            format!("Hypervolume {} from the reference point ({from}).", volume.text(Unit::Number))
        });
        [volume.unwrap_or_default(), self.head.caption.clone()].join(" ").trim().to_owned()
    }

    /// Indices of the points on the front, from the best of x on.
    fn front(&self) -> Vec<usize> {
        let (x, y) = (|i: usize| signed(self.points[i].x, self.x.1), |i: usize| signed(self.points[i].y, self.y.1));
        let on = (0..self.points.len()).filter(|i| self.points[*i].on_front);
        let mut order: Vec<usize> = on.filter(|i| x(*i).is_finite() && y(*i).is_finite()).collect();
        order.sort_by(|a, b| x(*b).total_cmp(&x(*a)).then(y(*b).total_cmp(&y(*a))).then(a.cmp(b)));
        order
    }

    fn keys(&self, front: usize) -> Vec<Key> {
        let screened = self.points.iter().filter(|point| point.kind == ParetoKind::Screened).count();
        let compared = self.points.len() - screened;
        let mut keys = vec![Key::new(format!("Pareto front: {front} of {compared}"), Swatch::Series(Look::of(0)))];
        if self.points.iter().any(|point| point.chosen) {
            keys.push(Key::new("chosen", Swatch::Mark(Look { ink: Ink::Mark, dash: Dash::Solid, marker: Marker::Diamond })));
        }
        let mark = |ink, marker| Swatch::Mark(Look { ink, dash: Dash::Solid, marker });
        if front < compared {
            keys.push(Key::new("dominated", mark(Ink::Muted, Marker::Circle)));
        }
        if screened > 0 {
            keys.push(Key::new("screened only", mark(Ink::Pale, Marker::Circle)));
        }
        keys
    }

    fn dominated(&self, panel: &Panel, front: &[usize]) {
        let front: BTreeSet<usize> = front.iter().copied().collect();
        let behind: Vec<usize> = (0..self.points.len()).filter(|i| !front.contains(i)).collect();
        if behind.len() <= DOMINATED_MAX {
            for point in behind.iter().map(|i| &self.points[*i]) {
                panel.hover(Some(self.tooltip(point)), |panel| draw_point(panel, point, false));
            }
            return;
        }
        let mut taken = BTreeSet::new();
        let mut runs = Vec::new();
        for (x, y) in behind.iter().filter_map(|i| panel.at(self.points[*i].x, self.points[*i].y)) {
            #[allow(clippy::cast_possible_truncation)] // pixels on a page
            if taken.insert(((x / 4.0) as i32, (y / 4.0) as i32)) {
                runs.push(vec![(x - 1.8, y), (x, y - 1.8), (x + 1.8, y), (x, y + 1.8)]);
            }
        }
        let title = Some(format!("{} dominated candidates", behind.len()));
        panel.hover(title, |panel| panel.shape(Shape::Path { runs, closed: true, paint: filled(Ink::Pale, 0.8) }));
        for point in behind.iter().map(|i| &self.points[*i]).filter(|point| point.chosen) {
            panel.hover(Some(self.tooltip(point)), |panel| draw_point(panel, point, false));
        }
    }

    fn staircase(&self, panel: &Panel, front: &[usize]) {
        let on_front: Vec<(f64, f64)> = front.iter().map(|i| (self.points[*i].x, self.points[*i].y)).collect();
        if self.all_objectives {
            panel.line(&stairs(&on_front), lined(Ink::Series(0), 1.6));
        }
        for point in front.iter().map(|i| &self.points[*i]) {
            panel.hover(Some(self.tooltip(point)), |panel| draw_point(panel, point, true));
        }
    }

    fn tooltip(&self, point: &ParetoPoint) -> String {
        let (x, y) = (one(point.x, Unit::Number), one(point.y, Unit::Number));
        format!("{}\n{}: {x}\n{}: {y}", point.name, self.x.0, self.y.0)
    }

    fn table(&self, front: &[usize]) -> Table {
        let front: BTreeSet<usize> = front.iter().copied().collect();
        let mut table = Table::new(["candidate", &self.x.0, &self.y.0, "on the front", "chosen", "screened only"]);
        for (i, point) in self.points.iter().enumerate() {
            let screened = point.kind == ParetoKind::Screened;
            row!(table, &point.name, point.x, point.y, front.contains(&i), point.chosen, screened);
        }
        table
    }
}

/// The line through the points of a front, in order: between two of them what is surely reached is the worse of both in each
/// objective.
fn stairs(front: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for (x, y) in front {
        if let Some((_, worse)) = steps.last().copied() {
            steps.push((*x, worse));
        }
        steps.push((*x, *y));
    }
    steps
}

/// Points along a line, close enough that no name finds room between two of them.
fn along(line: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    const PARTS: u32 = 60;
    line.windows(2).flat_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        (0..=PARTS).map(move |part| {
            let part = f64::from(part) / f64::from(PARTS);
            (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1))
        })
    })
}

fn axis_name((name, more): &(String, bool)) -> String {
    format!("{name}, {} is better", if *more { "more" } else { "less" })
}

fn draw_point(panel: &Panel, point: &ParetoPoint, on_front: bool) {
    let ParetoPoint { x, y, chosen, kind, .. } = *point;
    if chosen {
        panel.mark(x, y, Marker::Diamond, 6.5, filled(Ink::Paper, 1.0));
        panel.mark(x, y, Marker::Diamond, 5.0, filled(Ink::Mark, 1.0));
    } else if on_front {
        panel.mark(x, y, Marker::Circle, 3.6, filled(Ink::Series(0), 1.0));
    } else {
        let ink = if kind == ParetoKind::Screened { Ink::Pale } else { Ink::Muted };
        panel.mark(x, y, Marker::Circle, 2.8, filled(ink, 0.8));
    }
    panel.target(x, y);
}

/// `x`, so that more is better.
fn signed(x: f64, more_is_better: bool) -> f64 {
    if more_is_better { x } else { -x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(x_more: bool, y_more: bool, points: &[(f64, f64)]) -> Vec<usize> {
        let points = points
            .iter()
            .map(|(x, y)| ParetoPoint {
                name: String::new(),
                x: *x,
                y: *y,
                chosen: false,
                on_front: *x > 1.0,
                kind: ParetoKind::Finalist,
            })
            .collect();
        let plot = ParetoFront {
            head: Head::default(),
            x: ("x".to_owned(), x_more),
            y: ("y".to_owned(), y_more),
            points,
            all_objectives: true,
            hypervolume: None,
        };
        plot.front()
    }

    #[test]
    fn the_front_goes_from_the_best_of_x_on_with_all_that_are_on_it() {
        let points = [(1.0, 5.0), (2.0, 4.0), (4.0, 1.0), (f64::NAN, 9.0), (0.5, 5.0), (4.0, 1.0), (3.0, 2.0)];
        assert_eq!(front(true, true, &points), [2, 5, 6, 1]);
        assert_eq!(front(false, true, &points), [1, 6, 2, 5]);
    }
}

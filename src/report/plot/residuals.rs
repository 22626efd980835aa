//! Plot 12: what a fit leaves over. Each observation over what was predicted of it, against that or against time, with the medians
//! along the way.

use std::collections::BTreeSet;

use super::axis::{Axis, extent};
use super::palette::Ink;
use super::panel::{Axes, Look, Marker, filled, lined};
use super::picture::{Dash, Shape};
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};
use crate::report::format::count;

const HEIGHT: f64 = 360.0;
/// Groups of equally many observations that medians are taken of.
const GROUPS: usize = 12;
/// Ratios shown: a spike beyond is drawn at the edge.
const RATIOS: (f64, f64) = (0.25, 4.0);

/// One observation, seconds.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Residual {
    /// When it ended.
    pub at: f64,
    /// What was predicted.
    pub predicted: f64,
    /// What it was.
    pub observed: f64,
}

/// What residuals are drawn against.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// What was predicted: is the form of the fit right?
    Predicted,
    /// Time: does what was measured drift?
    Time,
}

/// Observed over predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Residuals {
    /// Name, title and caption.
    pub head: Head,
    /// Against what.
    pub against: Against,
    /// Its name: `Predicted step`.
    pub x_name: String,
    /// What one observation is called, of many: `steps`.
    pub what: &'static str,
    /// The observations.
    pub points: Vec<Residual>,
}

impl Residuals {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or there is nothing to show.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let some = |point: &&Residual| point.predicted > 0.0 && point.observed > 0.0;
        let place = |point: &Residual| if self.against == Against::Time { point.at } else { point.predicted };
        let shown: Vec<(f64, f64)> =
            self.points.iter().filter(some).map(|point| (place(point), point.observed / point.predicted)).collect();
        let x = extent(shown.iter().map(|(x, _)| *x)).ok_or_else(|| self.head.no_data())?;
        let (x, scale) = match self.against {
            Against::Predicted => ((0.95 * x.0, 1.05 * x.1), Axis::log((0.95 * x.0, 1.05 * x.1), Unit::Seconds)),
            Against::Time => ((0.0, x.1), Axis::snug((0.0, x.1), 8, Unit::Seconds)),
        };
        let medians = medians(&shown);
        let keys = [
            Key::new(
                format!("{} {}", count(shown.len() as u64), self.what),
                Swatch::Mark(Look { ink: Ink::Pale, dash: Dash::Solid, marker: Marker::Circle }),
            ),
            Key::new("medians, with the middle half", Swatch::Series(Look::of(0))),
        ];
        let sheet = Sheet::new(&self.head, HEIGHT, &keys);
        let axes = Axes {
            x: scale,
            y: Axis::log(RATIOS, Unit::Number),
            x_name: &self.x_name,
            y_name: "Observed over predicted",
            title: "",
            left: None,
            grid: (false, true),
        };
        let panel = sheet.panel(sheet.body, &axes);
        let (mut taken, mut runs) = (BTreeSet::new(), Vec::new());
        for (x, ratio) in &shown {
            let Some((x, y)) = panel.at(*x, ratio.clamp(RATIOS.0, RATIOS.1)) else { continue };
            #[allow(clippy::cast_possible_truncation)] // pixels on a page
            if taken.insert(((x / 2.0) as i32, (y / 2.0) as i32)) {
                runs.push(vec![(x - 1.2, y), (x, y - 1.2), (x + 1.2, y), (x, y + 1.2)]);
            }
        }
        panel.shape(Shape::Path { runs, closed: true, paint: filled(Ink::Pale, 0.8) });
        panel.line(&[(x.0, 1.0), (x.1, 1.0)], lined(Ink::Text, 1.0));
        let line: Vec<(f64, f64)> = medians.iter().map(|group| (group.x, group.ratio)).collect();
        panel.line(&line, lined(Ink::Series(0), 1.6));
        for group in &medians {
            let title = format!(
                "around {}\nmedian {}\n{} {}",
                one(group.x, Unit::Seconds),
                one(group.ratio, Unit::Number),
                group.count,
                self.what
            );
            panel.hover(Some(title), |panel| {
                panel.interval(group.x, group.half, Ink::Series(0));
                panel.mark(group.x, group.ratio, Marker::Circle, 3.6, filled(Ink::Series(0), 1.0));
                panel.target(group.x, group.ratio);
            });
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["ended [s]", "predicted [s]", "observed [s]"]);
        for point in &self.points {
            row!(table, point.at, point.predicted, point.observed);
        }
        table
    }
}

/// The observations of one part of the axis.
struct Group {
    x: f64,
    ratio: f64,
    half: (f64, f64),
    count: usize,
}

fn medians(shown: &[(f64, f64)]) -> Vec<Group> {
    let mut sorted = shown.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = sorted.len().div_ceil(GROUPS).max(1);
    let group = |some: &[(f64, f64)]| {
        let quantile = |of: fn(&(f64, f64)) -> f64, q| crate::stats::quantile(&some.iter().map(of).collect::<Vec<_>>(), q);
        let ratio = |q| quantile(|(_, ratio)| *ratio, q);
        Some(Group {
            x: quantile(|(x, _)| *x, 0.5)?,
            ratio: ratio(0.5)?,
            half: (ratio(0.25)?, ratio(0.75)?),
            count: some.len(),
        })
    };
    sorted.chunks(size).filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_are_drawn_with_their_medians_and_all_of_them_are_in_the_table() {
        let point = |i: u32| Residual { at: f64::from(i), predicted: 1e-3 * f64::from(i), observed: 1.1e-3 * f64::from(i) };
        let head = Head { name: "residuals".into(), title: "What is left".into(), caption: String::new() };
        let of = |against, points| Residuals { head: head.clone(), against, x_name: "x".into(), what: "steps", points };
        for against in [Against::Predicted, Against::Time] {
            let plot = of(against, (1..200).map(point).collect()).plot().unwrap();
            assert_eq!(plot.csv.lines().count(), 200);
            assert!(plot.svg.contains("199 steps") && plot.svg.contains("median 1.1"), "{}", &plot.svg[..400]);
            let middle = if against == Against::Time { "around 9 s" } else { "around 9 ms" };
            assert!(plot.svg.contains(middle), "{}", plot.svg);
            let none = of(against, vec![Residual { predicted: 0.0, ..point(1) }]);
            assert!(matches!(none.plot(), Err(PlotError::NoData { .. })));
        }
    }
}

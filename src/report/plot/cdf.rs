//! Plot 6: distributions of latencies over all offered requests. Who never got an answer has waited for ever: such curves end
//! below 100 %, and what is missing is marked at the right edge.

use super::axis::{Axis, TICK_SIZE, extent};
use super::font;
use super::palette::Ink;
use super::panel::{Area, Axes, Look, Panel, filled, lined};
use super::picture::{Anchor, Dash, Shape, Text};
use super::sheet::{Key, Sheet, Swatch, tiles};
use super::table::{Table, row};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};
use crate::report::format;

const HEIGHT: f64 = 360.0;

/// One class.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyCdf {
    /// Its name: the same name has the same colour in every panel.
    pub name: String,
    /// (latency in seconds, share of all offered requests that took at most as long), both rising; the last share falls short
    /// of 1 by those that were refused, failed or gave up.
    pub points: Vec<(f64, f64)>,
    /// Its objective in seconds, if it has one; drawn for each panel and time once.
    pub slo_s: Option<f64>,
}

/// One panel: a latency.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyPanel {
    /// Which: `TTFT`, `End to end`.
    pub title: String,
    /// Per class.
    pub classes: Vec<LatencyCdf>,
}

/// Cumulative distributions of latencies.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyCdfs {
    /// Name, title and caption.
    pub head: Head,
    /// Side by side.
    pub panels: Vec<LatencyPanel>,
}

/// Pixels right of a panel in which it says how many never get an answer.
const NEVER: f64 = 62.0;

impl LatencyCdfs {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name or no latency is above 0 and finite.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        let all = || self.panels.iter().flat_map(|panel| &panel.classes);
        extent(all().flat_map(LatencyCdf::shown).map(|(latency, _)| latency)).ok_or_else(|| self.head.no_data())?;
        let names = self.names();
        let rows = self.panels.len().div_ceil(2);
        let mut keys: Vec<_> = names.iter().enumerate().map(|(i, name)| Key::new(*name, Swatch::Series(Look::of(i)))).collect();
        if all().any(|class| class.slo_s.is_some()) {
            keys.push(Key::new("SLO", Swatch::Line(Ink::Muted, Dash::Dashed)));
        }
        keys.push(Key::new("never: refused, failed, gave up, or in flight at the end", Swatch::Line(Ink::Muted, Dash::Dotted)));
        let sheet = Sheet::new(&self.head, HEIGHT * rows as f64, &keys);
        for (i, (panel, place)) in self.panels.iter().zip(tiles(sheet.body, self.panels.len(), 2, HEIGHT)).enumerate() {
            let latencies = panel.classes.iter().flat_map(LatencyCdf::shown).map(|(latency, _)| latency);
            let slos = panel.classes.iter().filter_map(|class| class.slo_s).filter(|slo| *slo > 0.0);
            let Some((lo, hi)) = extent(latencies.chain(slos)) else { continue };
            let (lo, hi) = (lo.clamp(1e-250, 1e250), hi.clamp(1e-250, 1e250));
            // Room at the right for what never ends.
            let hi = hi * libm::pow((hi / lo).max(2.0), 0.14);
            let axes = Axes {
                x: Axis::log((lo, hi), Unit::Seconds),
                y: Axis::snug((0.0, 1.0), 5, Unit::Percent),
                x_name: "Latency",
                y_name: if i % 2 == 0 { "Share of offered requests" } else { "" },
                title: &panel.title,
                left: None,
                grid: (true, true),
            };
            let place = Area { width: place.width - NEVER, ..place };
            let axes = Axes { x: thinned(axes.x, place.width / 60.0, (lo, hi)), ..axes };
            panel.draw(&sheet.panel(place, &axes), &names, hi);
        }
        Ok(sheet.finish(&self.head, self.table()))
    }

    /// Every class once, in the order they come.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for class in self.panels.iter().flat_map(|panel| &panel.classes) {
            if !names.contains(&class.name.as_str()) {
                names.push(&class.name);
            }
        }
        names
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["latency", "class", "kind", "seconds [s]", "share of offered"]);
        for panel in &self.panels {
            for class in &panel.classes {
                for (latency, share) in &class.points {
                    row!(table, &panel.title, &class.name, "at most", *latency, *share);
                }
                row!(table, &panel.title, &class.name, "never", f64::INFINITY, class.never());
                if let Some(slo) = class.slo_s {
                    row!(table, &panel.title, &class.name, "SLO", slo, f64::NAN);
                }
            }
        }
        table
    }
}

/// With powers of ten only where 1-2-5 would be crowded.
fn thinned(axis: Axis, room: f64, (lo, hi): (f64, f64)) -> Axis {
    let ticks = super::ticks::log(lo, hi);
    if (ticks.len() as f64) <= room {
        return axis;
    }
    let powers = ticks.iter().copied().filter(|tick| (libm::log10(*tick) - libm::log10(*tick).round()).abs() < 1e-6);
    let powers: Vec<f64> = powers.collect();
    if powers.len() >= 2 { axis.ticked(powers) } else { axis }
}

impl LatencyCdf {
    /// What a logarithmic axis can show.
    fn shown(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(latency, share)| *latency > 0.0 && latency.is_finite() && share.is_finite())
    }

    /// The share that never got an answer.
    fn never(&self) -> f64 {
        1.0 - self.points.iter().map(|(_, share)| *share).filter(|share| share.is_finite()).fold(0.0, f64::max)
    }

    /// The least latency that at least `share` of all offered requests kept to.
    fn at(&self, share: f64) -> Option<f64> {
        self.shown().find(|(_, reached)| *reached >= share).map(|(latency, _)| latency)
    }

    fn draw(&self, panel: &Panel, look: Look, right: f64) {
        let steps: Vec<(f64, f64)> = self.shown().collect();
        panel.group(Some(self.name.clone()), look.dash, |panel| panel.line(&steps, lined(look.ink, 2.0)));
        let never = self.never();
        if let Some((last, share)) = steps.last().copied().filter(|_| never > 0.0005) {
            let title = format!("{}\n{} of offered requests never got an answer", self.name, one(never, Unit::Percent));
            panel.hover(Some(title), |panel| {
                panel.group(None, Dash::Dotted, |panel| panel.line(&[(last, share), (right, share)], lined(look.ink, 1.5)));
                panel.mark(right, share, look.marker, 3.6, filled(look.ink, 1.0));
                panel.target(right, share);
            });
        }
        for quantile in [0.5, 0.9, 0.95, 0.99] {
            let Some(latency) = self.at(quantile) else { continue };
            let title =
                format!("{}\n{} of offered within {}", self.name, one(quantile, Unit::Percent), one(latency, Unit::Seconds));
            panel.hover(Some(title), |panel| {
                panel.mark(latency, quantile, look.marker, 3.0, filled(look.ink, 1.0));
                panel.target(latency, quantile);
            });
        }
    }
}

impl LatencyPanel {
    /// The objectives as lines of no class's colour, each with its time, and with whose it is where they differ.
    fn objectives(&self, panel: &Panel, edge: f64) {
        let mut slos: Vec<(f64, Vec<&str>)> = Vec::new();
        for (slo, name) in
            self.classes.iter().filter_map(|class| Some((class.slo_s?, &class.name))).filter(|(slo, _)| *slo > 0.0)
        {
            match slos.iter_mut().find(|(known, _)| known.to_bits() == slo.to_bits()) {
                Some((_, names)) => names.push(name),
                None => slos.push((slo, vec![name])),
            }
        }
        let inner = panel.inner();
        for (slo, names) in &slos {
            let time = one(*slo, Unit::Seconds);
            let text = if slos.len() > 1 { format!("SLO {time}, {}", names.join(", ")) } else { format!("SLO {time}") };
            panel.group(Some(format!("{}: SLO {time}", names.join(", "))), Dash::Dashed, |panel| {
                panel.line(&[(*slo, 0.0), (*slo, 1.0)], lined(Ink::Muted, 1.2));
            });
            let Some((x, y)) = panel.at(*slo, 0.0) else { continue };
            // Along its line: beside each other two would be taken for one another's.
            let right = if x + 16.0 <= inner.x + inner.width { 12.0 } else { -4.0 };
            let text = font::shorten(&text, inner.height - 12.0, TICK_SIZE, false);
            let long = 1.05 * font::width(&text, TICK_SIZE, false);
            let lifted = self.lifted(panel, (x + right - 12.0, x + right + 4.0), long, edge);
            let at = (x + right, y - 6.0 - lifted);
            panel.shape(Shape::Text(Text {
                text,
                at,
                size: TICK_SIZE,
                bold: false,
                anchor: Anchor::Start,
                turned_at: Some(at),
                ink: Ink::Muted,
                halo: true,
            }));
        }
    }

    /// How far above the foot a text of `long` pixels finds room between the curves that pass `columns`, on their way to `edge`; at
    /// the foot where there is none.
    fn lifted(&self, panel: &Panel, (from, to): (f64, f64), long: f64, edge: f64) -> f64 {
        /// Pixels between text and curves.
        const GAP: f64 = 5.0;
        let inner = panel.inner();
        let foot = inner.y + inner.height - 6.0;
        // Heights above the foot that curves take.
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for class in &self.classes {
            let mut points: Vec<(f64, f64)> = class.shown().collect();
            points.extend(points.last().copied().map(|(_, share)| (edge, share)));
            let pixels: Vec<(f64, f64)> = points.iter().filter_map(|(x, y)| panel.at(*x, *y)).collect();
            let crossing = pixels.windows(2).filter(|pair| pair[0].0 <= to && pair[1].0 >= from);
            taken.extend(crossing.map(|pair| (foot - pair[0].1.max(pair[1].1), foot - pair[0].1.min(pair[1].1))));
        }
        taken.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free_from = 0.0;
        for (low, high) in taken {
            if low - GAP >= free_from + long {
                break;
            }
            free_from = f64::max(free_from, high + GAP);
        }
        if free_from + long <= inner.height - 12.0 { free_from } else { 0.0 }
    }

    fn draw(&self, panel: &Panel, names: &[&str], right: f64) {
        for class in &self.classes {
            let series = names.iter().position(|name| *name == class.name).unwrap_or(0);
            class.draw(panel, Look::of(series), right);
        }
        // Over the curves, so that none of them runs through what is written.
        self.objectives(panel, right);
        // What is missing, in figures right of the edge; those that would meet are pushed down.
        let mut missing: Vec<f64> = self.classes.iter().map(LatencyCdf::never).filter(|never| *never > 0.0005).collect();
        missing.sort_by(f64::total_cmp);
        let inner = panel.inner();
        let mut above = f64::NEG_INFINITY;
        for never in missing {
            let y = (inner.height * never + 4.0).max(above + 13.0);
            panel.say((right, 1.0), (9.0, y), Anchor::Start, &format!("{} never", format::percent(never)), Ink::Muted);
            above = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_the_rest() {
        let class = LatencyCdf {
            name: "chat".to_owned(),
            points: vec![(0.1, 0.4), (0.2, 0.75), (f64::INFINITY, f64::NAN)],
            slo_s: None,
        };
        assert!((class.never() - 0.25).abs() < 1e-12);
        assert_eq!((class.at(0.5), class.at(0.9)), (Some(0.2), None));
    }
}

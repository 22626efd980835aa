//! Plot 5: what happens through a burst: panels above each other on one time axis.

use super::axis::{Axis, extent};
use super::clock;
use super::font;
use super::palette::Ink;
use super::panel::{Area, Axes, Look, Marker, Panel, filled, lined};
use super::picture::{Anchor, Dash, Shape, Text};
use super::sheet::{Key, Sheet, Swatch};
use super::table::{Cell, Table};
use super::ticks::{Unit, one};
use super::{Head, Plot, PlotError};

const ROW: f64 = 108.0;

/// Hover columns across the picture.
const COLUMNS: usize = 120;

/// One line of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What it counts: `admitted`.
    pub name: String,
    /// Which look it has, from 0: the same name looks alike in every picture of a result. `None` is a bound of the others, dashed.
    pub look: Option<usize>,
    /// One value for each of [`Burst::times_s`], in the row's unit; not a number where there is none.
    pub values: Vec<f64>,
}

/// One panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it shows: `Queue`.
    pub title: String,
    /// Of its values: `req/s`, `requests`; `%` shows shares from 0 to 1 in percent, `s` shows times with their unit.
    pub unit: String,
    /// Its lines.
    pub traces: Vec<Trace>,
}

/// A span of time that is told from the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeSpan {
    /// Seconds since the start of the run.
    pub from_s: f64,
    /// The same.
    pub to_s: f64,
    /// What it is: `burst`.
    pub name: String,
    /// Whether it is what the picture is about, or stands aside as what is not measured does.
    pub marked: bool,
}

/// Time series on one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Burst {
    /// Name, title and caption.
    pub head: Head,
    /// Seconds since the start of the run, rising.
    pub times_s: Vec<f64>,
    /// From the top down.
    pub rows: Vec<Row>,
    /// Spans of time that are shaded in every panel.
    pub spans: Vec<TimeSpan>,
    /// The wall-clock time of 0 s, nanoseconds since 1970: then the time axis has a clock's times.
    pub began_unix_ns: Option<i64>,
}

impl Burst {
    /// The plot.
    ///
    /// # Errors
    /// If the name is no name, nothing is finite, or a line has not one value for each time.
    pub fn plot(&self) -> Result<Plot, PlotError> {
        self.head.check()?;
        for trace in self.rows.iter().flat_map(|row| &row.traces) {
            self.head.expect("values in each series", self.times_s.len(), trace.values.len())?;
        }
        let times = self.span().ok_or_else(|| self.head.no_data())?;
        extent(self.rows.iter().flat_map(Row::values)).ok_or_else(|| self.head.no_data())?;
        let count = self.rows.len();
        let first = |(i, span): &(usize, &TimeSpan)| self.spans[..*i].iter().all(|before| before.name != span.name);
        let spans = self.spans.iter().enumerate().filter(first);
        let keys: Vec<Key> = spans.map(|(_, span)| Key::new(&span.name, Swatch::Band(span.ink()))).collect();
        let time_name = self.time_name(times);
        let sheet = Sheet::new(&self.head, ROW * count as f64 + 36.0, &keys);
        let left = self.rows.iter().map(|row| row.axis().label_room() + 12.0).fold(30.0, f64::max);
        let mut panels = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            let last = i + 1 == count;
            let x = self.began_unix_ns.map_or_else(|| Axis::snug(times, 8, Unit::Number), |began| Axis::clock(times, began));
            let place =
                Area { y: sheet.body.y + ROW * i as f64, height: if last { ROW + 36.0 } else { ROW + 4.0 }, ..sheet.body };
            // Shares and times have their unit at every tick.
            let bare = row.unit.is_empty() || row.kind() != Unit::Number;
            let title = if bare { row.title.clone() } else { format!("{} [{}]", row.title, row.unit) };
            let axes = Axes {
                x: if last { x } else { x.silent() },
                y: row.axis(),
                x_name: if last { &time_name } else { "" },
                y_name: "",
                title: &title,
                left: Some(left),
                grid: (true, true),
            };
            let panel = sheet.panel(place, &axes);
            self.row(&panel, row, &title);
            panels.push(panel);
        }
        self.hover(&panels);
        Ok(sheet.finish(&self.head, self.table()))
    }

    /// From half a step before the first time to half a step behind the last: each stands for the middle of its bin.
    fn span(&self) -> Option<(f64, f64)> {
        let (first, last) = extent(self.times_s.iter().copied())?;
        let half = self.times_s.windows(2).next().map_or(0.0, |pair| (pair[1] - pair[0]) / 2.0);
        if half.is_finite() { Some(((first - half).max(first.min(0.0)), last + half)) } else { Some((first, last)) }
    }

    fn time_name(&self, times: (f64, f64)) -> String {
        self.began_unix_ns.map_or_else(|| "Time since the start of the run [s]".to_owned(), |began| clock::name(times, began))
    }

    /// A time as it is told when hovered: on the clock, where there is one.
    fn moment(&self, time: f64) -> String {
        self.began_unix_ns.map_or_else(|| format!("{} s", one(time, Unit::Number)), |began| clock::moment(time, began))
    }

    fn row(&self, panel: &Panel, row: &Row, title: &str) {
        for span in &self.spans {
            let (one, other) = ((span.from_s, f64::MIN), (span.to_s, f64::MAX));
            panel.hover(Some(span.name.clone()), |panel| panel.rect(one, other, filled(span.ink(), 0.1)));
        }
        // The first ones on top: where all are alike, it is they who show.
        for trace in row.traces.iter().rev() {
            let look = trace.look();
            let line: Vec<(f64, f64)> = self.times_s.iter().copied().zip(trace.values.iter().copied()).collect();
            panel.group(Some(trace.name.clone()), look.dash, |panel| panel.line(&line, lined(look.ink, 1.4)));
        }
        if row.traces.len() > 1 {
            legend(panel, row, title);
        }
    }

    /// Columns over all panels that tell every value at their time.
    fn hover(&self, panels: &[Panel]) {
        let (Some(first), Some(last)) = (panels.first(), panels.last()) else { return };
        let (top, bottom) = (first.inner(), last.inner());
        let stride = self.times_s.len().div_ceil(COLUMNS).max(1);
        let width = top.width / self.times_s.len().div_ceil(stride) as f64;
        for (i, time) in self.times_s.iter().enumerate().step_by(stride) {
            let Some((x, _)) = first.at(*time, first.floor()) else { continue };
            let mut title = self.moment(*time);
            for row in &self.rows {
                for trace in &row.traces {
                    let value = one(trace.values[i], row.kind());
                    let unit = if row.kind() == Unit::Number { row.unit.as_str() } else { "" };
                    title.push_str(format!("\n{}: {value} {unit}", trace.name).trim_end());
                }
            }
            first.hover(Some(title), |panel| {
                let corner = (x - width / 2.0, top.y);
                panel.shape(Shape::Target { corner, width, height: bottom.y + bottom.height - top.y });
            });
        }
    }

    fn table(&self) -> Table {
        let traces = || self.rows.iter().flat_map(|row| row.traces.iter().map(move |trace| (row, trace)));
        let clock = self.began_unix_ns.map(|_| "clock [UTC]".to_owned());
        let names = ["time [s]".to_owned()].into_iter().chain(clock);
        let header: Vec<String> = names.chain(traces().map(|(row, trace)| row.header(trace))).collect();
        let mut table = Table::new(header.iter().map(String::as_str));
        for (i, time) in self.times_s.iter().enumerate() {
            let clock = self.began_unix_ns.map(|began| clock::moment(*time, began));
            let times = [Cell::from(*time)].into_iter().chain(clock.as_deref().map(Cell::from));
            table.row(times.chain(traces().map(|(_, trace)| Cell::from(trace.values[i]))));
        }
        table
    }
}

impl TimeSpan {
    const fn ink(&self) -> Ink {
        if self.marked { Ink::Mark } else { Ink::Muted }
    }
}

impl Trace {
    fn look(&self) -> Look {
        let bound = Look { ink: Ink::Muted, dash: Dash::Dashed, marker: Marker::Circle };
        self.look.map_or(bound, Look::of)
    }
}

impl Row {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.traces.iter().flat_map(|trace| trace.values.iter().copied())
    }

    fn kind(&self) -> Unit {
        match self.unit.as_str() {
            "%" => Unit::Percent,
            "s" => Unit::Seconds,
            _ => Unit::Number,
        }
    }

    fn axis(&self) -> Axis {
        let ends = extent(self.values().chain([0.0])).unwrap_or((0.0, 1.0));
        // Air above: what stands at its bound is not to look like the panel's edge.
        Axis::linear(ends, 3, self.kind()).roomy(ends.1)
    }

    fn header(&self, trace: &Trace) -> String {
        let unit = if self.unit == "%" { "share" } else { &self.unit };
        format!("{}: {} [{unit}]", self.title, trace.name)
    }
}

/// The names of a row's lines, right to left on the line of its title.
fn legend(panel: &Panel, row: &Row, title: &str) {
    let inner = panel.inner();
    let mut right = inner.x + inner.width;
    let free = right - inner.x - font::width(title, 12.0, true) - 24.0;
    let wide = |trace: &Trace| 1.05 * font::width(&trace.name, 11.0, false) + 34.0;
    // Only where they do not all fit is any cut, and each to its share.
    let crowded = row.traces.iter().map(wide).sum::<f64>() > free;
    let room = if crowded { (free / row.traces.len() as f64 - 34.0).max(20.0) } else { f64::INFINITY };
    for trace in row.traces.iter().rev() {
        let look = trace.look();
        let shown = font::shorten(&trace.name, room, 11.0, false);
        right -= 1.05 * font::width(&shown, 11.0, false);
        let (at, cut) = ((right, inner.y - 8.0), (shown != trace.name).then(|| trace.name.clone()));
        let text = Text {
            text: shown,
            at,
            size: 11.0,
            bold: false,
            anchor: Anchor::Start,
            turned_at: None,
            ink: Ink::Text,
            halo: false,
        };
        panel.hover(cut, |panel| panel.shape(Shape::Text(text)));
        panel.group(None, look.dash, |panel| {
            let runs = vec![vec![(right - 20.0, at.1 - 4.0), (right - 5.0, at.1 - 4.0)]];
            panel.shape(Shape::Path { runs, closed: false, paint: lined(look.ink, 2.0) });
        });
        right -= 34.0;
    }
}

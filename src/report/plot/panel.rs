//! One pair of axes, and what is drawn between them in the units of the data.

use std::convert::Infallible;

use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{PathElement, Polygon, Rectangle};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, IntoTextStyle, ShapeStyle};

use super::Estimate;
use super::axis::{Axis, TICK_SIZE};
use super::backend::{Backend, FINE};
use super::decimate::decimated;
use super::font;
use super::palette::Ink;
use super::picture::{Anchor, Dash, Paint, Point, Shape, Text};

/// Pixels right of a panel, for half of the last label.
const RIGHT: f64 = 18.0;

/// A place on the sheet, in pixels.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// What stands around a panel.
#[derive(Clone, Debug)]
pub(super) struct Axes<'a> {
    pub x: Axis,
    pub y: Axis,
    /// Under the horizontal axis; empty for none.
    pub x_name: &'a str,
    /// Along the vertical axis; empty for none.
    pub y_name: &'a str,
    /// Above the panel; empty for none.
    pub title: &'a str,
    /// Pixels left of the vertical axis, where several panels must agree.
    pub left: Option<f64>,
    /// Whether lines are drawn behind the data at the ticks of (x, y).
    pub grid: (bool, bool),
}

impl Axes<'_> {
    /// Pixels that labels and name need left of the vertical axis.
    pub(super) fn left_room(&self) -> f64 {
        self.left.unwrap_or_else(|| self.y.label_room() + 12.0 + if self.y_name.is_empty() { 0.0 } else { 20.0 })
    }

    fn bottom_room(&self) -> f64 {
        let labels = if self.x.label_room() > 0.0 { 20.0 } else { 5.0 };
        labels + if self.x_name.is_empty() { 0.0 } else { 18.0 }
    }
}

/// A way to mark a point.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Diamond,
    Triangle,
}

impl Marker {
    /// The marker of the series of that number.
    pub(super) fn of(series: usize) -> Self {
        [Self::Circle, Self::Square, Self::Diamond, Self::Triangle][series % 4]
    }

    /// The shape around `at`, all of about the same area.
    pub(super) fn shape(self, at: Point, radius: f64, paint: Paint) -> Shape {
        let (x, y) = at;
        let r = radius;
        let corners = match self {
            Self::Circle => return Shape::Circle { at, radius, paint },
            Self::Square => vec![
                (x - 0.9 * r, y - 0.9 * r),
                (x + 0.9 * r, y - 0.9 * r),
                (x + 0.9 * r, y + 0.9 * r),
                (x - 0.9 * r, y + 0.9 * r),
            ],
            Self::Diamond => vec![(x, y - 1.3 * r), (x + 1.3 * r, y), (x, y + 1.3 * r), (x - 1.3 * r, y)],
            Self::Triangle => vec![(x, y - 1.25 * r), (x + 1.2 * r, y + 0.9 * r), (x - 1.2 * r, y + 0.9 * r)],
        };
        Shape::Path { runs: vec![corners], closed: true, paint }
    }
}

/// How a series is told from others: colour, dashes and marker.
#[derive(Copy, Clone, Debug)]
pub(super) struct Look {
    pub ink: Ink,
    pub dash: Dash,
    pub marker: Marker,
}

impl Look {
    /// The look of the series of that number: 24 different ones.
    pub(super) fn of(series: usize) -> Self {
        let dash = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::Mixed][series / super::palette::SERIES % 4];
        Self { ink: Ink::Series(series), dash, marker: Marker::of(series) }
    }
}

/// Filled with `ink`.
pub(super) fn filled(ink: Ink, opacity: f64) -> Paint {
    Paint { ink, opacity, line: None }
}

/// A line of `width` pixels.
pub(super) fn lined(ink: Ink, width: f64) -> Paint {
    Paint { ink, opacity: 1.0, line: Some(width) }
}

/// Radius of a point of a line that stands alone, in widths of the line.
const ALONE: f64 = 1.1;

/// As plotters wants it.
fn style(paint: Paint) -> ShapeStyle {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few pixels
    let stroke_width = (paint.line.unwrap_or(0.0) * f64::from(FINE)).round() as u32;
    ShapeStyle { color: paint.ink.carried().mix(paint.opacity), filled: paint.line.is_none(), stroke_width }
}

/// Drawing into memory has no error of its own, and nothing holds the picture while plotters draws.
fn drawn<T>(result: Result<T, DrawingAreaErrorKind<Infallible>>) -> T {
    result.expect("a picture in memory takes every shape")
}

/// Tenths of pixels, as plotters counts.
#[allow(clippy::cast_possible_truncation)] // pixels on a page; `as` saturates
fn fine(pixels: f64) -> i32 {
    (pixels * f64::from(FINE)).round() as i32
}

/// A pair of axes on the sheet.
pub(super) struct Panel {
    area: DrawingArea<Backend, Cartesian2d<Axis, Axis>>,
    backend: Backend,
    x: Axis,
    y: Axis,
}

impl Panel {
    /// Draws the axes around `place` on `root`.
    pub(super) fn new(root: &DrawingArea<Backend, Shift>, backend: &Backend, place: Area, axes: &Axes<'_>) -> Self {
        let (left, bottom) = (axes.left_room(), axes.bottom_room());
        let top = if axes.title.is_empty() { 6.0 } else { 22.0 };
        let outer =
            root.clone().shrink((fine(place.x), fine(place.y + top)), (fine(place.width - RIGHT), fine(place.height - top)));
        let across = axes.x.clone().uncrowded(place.width - RIGHT - left);
        let mut chart = drawn(
            ChartBuilder::on(&outer)
                .y_label_area_size(fine(left))
                .x_label_area_size(fine(bottom))
                .build_cartesian_2d(across, axes.y.clone()),
        );
        let font = FontDesc::new(FontFamily::Name("Inter"), TICK_SIZE * f64::from(FINE), FontStyle::Normal);
        let muted = Ink::Muted.carried();
        let mut mesh = chart.configure_mesh();
        mesh.bold_line_style(style(lined(Ink::Grid, 1.0)))
            .axis_style(style(lined(Ink::Muted, 1.0)))
            .label_style(font.into_text_style(&outer).color(&muted))
            .set_all_tick_mark_size(fine(4.0));
        if !axes.grid.0 {
            mesh.disable_x_mesh();
        }
        if !axes.grid.1 {
            mesh.disable_y_mesh();
        }
        drawn(mesh.draw());
        let area = chart.plotting_area().clone();
        let panel = Self { area, backend: backend.clone(), x: axes.x.clone(), y: axes.y.clone() };
        panel.names(place, axes);
        panel
    }

    fn names(&self, place: Area, axes: &Axes<'_>) {
        let inner = self.inner();
        let middle = (inner.x + inner.width / 2.0, inner.y + inner.height / 2.0);
        if !axes.title.is_empty() {
            let shown = font::shorten(axes.title, inner.width, 12.0, true);
            self.hover((shown != axes.title).then(|| axes.title.to_owned()), |panel| {
                panel.put(shown, (inner.x, place.y + 14.0), 12.0, Anchor::Start, Ink::Text, true, None);
            });
        }
        let shown = font::shorten(axes.x_name, place.width, 12.0, false);
        self.put(shown, (middle.0, place.y + place.height - 3.0), 12.0, Anchor::Middle, Ink::Text, false, None);
        // As far up as down from the middle of the panel: beyond its place stand a legend and other panels.
        let room = 2.0 * (middle.1 - place.y).min(place.y + place.height - middle.1);
        let shown = font::shorten(axes.y_name, room, 12.0, false);
        let at = (place.x + 12.0, middle.1);
        self.put(shown, at, 12.0, Anchor::Middle, Ink::Text, false, Some(at));
    }

    #[allow(clippy::too_many_arguments)] // what a text is
    fn put(&self, text: String, at: Point, size: f64, anchor: Anchor, ink: Ink, bold: bool, turned_at: Option<Point>) {
        if !text.is_empty() {
            self.shape(Shape::Text(Text { text, at, size, bold, anchor, turned_at, ink, halo: false }));
        }
    }

    /// Where data can stand, in pixels.
    pub(super) fn inner(&self) -> Area {
        let (x, y) = self.area.get_pixel_range();
        let tenth = |fine: i32| f64::from(fine) / f64::from(FINE);
        Area { x: tenth(x.start), y: tenth(y.start), width: tenth(x.end - x.start), height: tenth(y.end - y.start) }
    }

    /// The lower end of the vertical axis.
    pub(super) fn floor(&self) -> f64 {
        self.y.ends().0
    }

    /// The pixel of a point; `None` where it is not finite or outside the axes.
    pub(super) fn at(&self, x: f64, y: f64) -> Option<Point> {
        (self.x.shows(x) && self.y.shows(y)).then(|| self.pixel(x, y))
    }

    fn pixel(&self, x: f64, y: f64) -> Point {
        let (x, y) = self.area.map_coordinate(&(x, y));
        (f64::from(x) / f64::from(FINE), f64::from(y) / f64::from(FINE))
    }

    /// Draws a shape in pixels.
    pub(super) fn shape(&self, shape: Shape) {
        self.backend.0.borrow_mut().add(shape);
    }

    /// What `draw` draws says `title` when hovered.
    pub(super) fn hover(&self, title: Option<String>, draw: impl FnOnce(&Self)) {
        self.group(title, Dash::Solid, draw);
    }

    /// What `draw` draws says `title` when hovered, and its lines are dashed.
    pub(super) fn group(&self, title: Option<String>, dash: Dash, draw: impl FnOnce(&Self)) {
        let plain = title.is_none() && dash == Dash::Solid;
        if plain {
            return draw(self);
        }
        self.backend.0.borrow_mut().open(title, dash);
        draw(self);
        self.backend.0.borrow_mut().close();
    }

    /// A polyline; it breaks where a point is not finite, and ends beyond an axis are drawn at the axis.
    pub(super) fn line(&self, points: &[(f64, f64)], paint: Paint) {
        for run in points.split(|(x, y)| !(x.is_finite() && y.is_finite())) {
            #[allow(clippy::cast_possible_truncation)] // pixels on a page
            let column = |x: f64| self.pixel(self.x.clamped(x), self.y.ends().0).0.floor() as i64;
            let kept = decimated(run, column);
            let shown: Vec<(f64, f64)> =
                kept.into_iter().map(|i| (self.x.clamped(run[i].0), self.y.clamped(run[i].1))).collect();
            match shown[..] {
                [] => {}
                // What stands alone between two gaps would not be seen.
                [(x, y)] => {
                    let radius = ALONE * paint.line.unwrap_or(1.0);
                    self.mark(x, y, Marker::Circle, radius, filled(paint.ink, paint.opacity));
                }
                _ => drawn(self.area.draw(&PathElement::new(shown, style(paint)))),
            }
        }
    }

    /// The area between two heights; it breaks where one is not finite. Each point is (x, lower, upper).
    pub(super) fn band(&self, points: &[(f64, f64, f64)], paint: Paint) {
        for run in points.split(|(x, lo, hi)| !(x.is_finite() && lo.is_finite() && hi.is_finite())) {
            let upper = run.iter().map(|(x, _, hi)| (*x, *hi));
            let lower = run.iter().rev().map(|(x, lo, _)| (*x, *lo));
            let edge: Vec<(f64, f64)> = upper.chain(lower).map(|(x, y)| (self.x.clamped(x), self.y.clamped(y))).collect();
            if run.len() > 1 {
                drawn(self.area.draw(&Polygon::new(edge, style(paint))));
            }
        }
    }

    /// A rectangle between two corners.
    pub(super) fn rect(&self, one: (f64, f64), other: (f64, f64), paint: Paint) {
        let corner = |(x, y): (f64, f64)| (self.x.clamped(x), self.y.clamped(y));
        if [one.0, one.1, other.0, other.1].iter().all(|x| x.is_finite()) {
            drawn(self.area.draw(&Rectangle::new([corner(one), corner(other)], style(paint))));
        }
    }

    /// A marked point; nothing where it cannot be shown.
    pub(super) fn mark(&self, x: f64, y: f64, marker: Marker, radius: f64, paint: Paint) {
        if let Some(at) = self.at(x, y) {
            self.shape(marker.shape(at, radius, paint));
        }
    }

    /// The vertical bar of an interval, with ends across where there is room between them.
    pub(super) fn interval(&self, x: f64, (lo, hi): (f64, f64), ink: Ink) {
        if !(self.x.shows(x) && lo.is_finite() && hi.is_finite()) {
            return;
        }
        let ((x, top), (_, bottom)) = (self.pixel(x, self.y.clamped(hi)), self.pixel(x, self.y.clamped(lo)));
        self.bar(
            vec![vec![(x, top), (x, bottom)], vec![(x - 3.0, top), (x + 3.0, top)], vec![(x - 3.0, bottom), (x + 3.0, bottom)]],
            bottom - top,
            ink,
        );
    }

    /// The same, lying.
    pub(super) fn interval_across(&self, y: f64, (lo, hi): (f64, f64), ink: Ink) {
        if !(self.y.shows(y) && lo.is_finite() && hi.is_finite()) {
            return;
        }
        let ((left, y), (right, _)) = (self.pixel(self.x.clamped(lo), y), self.pixel(self.x.clamped(hi), y));
        self.bar(
            vec![vec![(left, y), (right, y)], vec![(left, y - 3.0), (left, y + 3.0)], vec![(right, y - 3.0), (right, y + 3.0)]],
            right - left,
            ink,
        );
    }

    fn bar(&self, runs: Vec<Vec<Point>>, length: f64, ink: Ink) {
        if length > 0.5 {
            self.shape(Shape::Path { runs, closed: false, paint: lined(ink, 1.2) });
        }
    }

    /// Diagonal lines inside a rectangle.
    pub(super) fn hatch(&self, one: (f64, f64), other: (f64, f64), paint: Paint) {
        let ((ax, ay), (bx, by)) = (self.pixel(one.0, one.1), self.pixel(other.0, other.1));
        let (left, right, top, bottom) = (ax.min(bx), ax.max(bx), ay.min(by), ay.max(by));
        let mut runs = Vec::new();
        // Lines x + y = c, c a multiple of the gap, so that neighbours continue each other.
        let gap = 6.0;
        let mut c = ((left + top) / gap).ceil() * gap;
        while c < right + bottom {
            let from = if c - top <= right { (c - top, top) } else { (right, c - right) };
            let to = if c - left <= bottom { (left, c - left) } else { (c - bottom, bottom) };
            runs.push(vec![from, to]);
            c += gap;
        }
        if !runs.is_empty() {
            self.shape(Shape::Path { runs, closed: false, paint });
        }
    }

    /// Straight pieces between points of the data, drawn as one.
    pub(super) fn pieces(&self, pieces: &[[(f64, f64); 2]], paint: Paint) {
        if !pieces.is_empty() {
            let runs = pieces.iter().map(|piece| piece.iter().map(|(x, y)| self.pixel(*x, *y)).collect()).collect();
            self.shape(Shape::Path { runs, closed: false, paint });
        }
    }

    /// A small text `off` pixels from a point.
    pub(super) fn say(&self, (x, y): (f64, f64), off: Point, anchor: Anchor, text: &str, ink: Ink) {
        if x.is_finite() && y.is_finite() {
            let (x, y) = self.pixel(self.x.clamped(x), self.y.clamped(y));
            let at = (x + off.0, y + off.1);
            let text = text.to_owned();
            self.shape(Shape::Text(Text { text, at, size: TICK_SIZE, bold: false, anchor, turned_at: None, ink, halo: true }));
        }
    }

    /// An invisible target around a place on the horizontal axis, `width` pixels wide and as high as the panel.
    pub(super) fn column(&self, x: f64, width: f64) {
        if let Some((x, _)) = self.at(x, self.y.ends().0) {
            let inner = self.inner();
            self.shape(Shape::Target { corner: (x - width / 2.0, inner.y), width, height: inner.height });
        }
    }

    /// A load line at the foot of the panel: its interval lies on the axis, a triangle points at the estimate.
    pub(super) fn at_foot(&self, estimate: Estimate, ink: Ink) {
        let (floor, _) = self.y.ends();
        if let (Some((left, y)), Some((right, _))) = (self.at(estimate.lo, floor), self.at(estimate.hi, floor)) {
            let runs = vec![vec![(left, y), (right, y)]];
            self.shape(Shape::Path { runs, closed: false, paint: lined(ink, 4.0) });
        }
        if let Some((x, y)) = self.at(estimate.mean, floor) {
            let runs = vec![vec![(x, y - 1.0), (x - 5.5, y - 12.0), (x + 5.5, y - 12.0)]];
            self.shape(Shape::Path { runs, closed: true, paint: filled(ink, 1.0) });
        }
    }

    /// An invisible target of 14 pixels around a point, so that its group is easy to hover.
    pub(super) fn target(&self, x: f64, y: f64) {
        if let Some((x, y)) = self.at(x, y) {
            self.shape(Shape::Target { corner: (x - 7.0, y - 7.0), width: 14.0, height: 14.0 });
        }
    }
}

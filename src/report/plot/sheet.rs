//! The paper of a plot: title above, legend under it where it can never cover data, panels, caption below.

use std::cell::RefCell;
use std::rc::Rc;

use plotters::drawing::IntoDrawingArea;

use super::backend::Backend;
use super::font;
use super::palette::Ink;
use super::panel::{Area, Axes, Look, Panel, filled, lined};
use super::picture::{Anchor, Dash, Picture, Shape, Text};
use super::table::Table;
use super::{Head, Plot};

/// Width of every plot, in pixels.
pub(super) const WIDTH: f64 = 760.0;

const MARGIN: f64 = 16.0;
const TITLE: f64 = 15.0;
const SMALL: f64 = 11.0;
const KEY_LINE: f64 = 19.0;

/// Pixels of what stands before a name of the legend.
const SWATCH: f64 = 26.0;

/// Names and captions are allowed this much more than measured, for a browser with a wider font.
const WIDER: f64 = 1.08;

/// A name of the legend gets a line of its own at most, in pixels.
const KEY_ROOM: f64 = (WIDTH - 2.0 * MARGIN - SWATCH) / WIDER;

/// What a legend shows beside a name.
#[derive(Copy, Clone, Debug)]
pub(super) enum Swatch {
    /// A line with its marker.
    Series(Look),
    /// A line without.
    Line(Ink, Dash),
    /// A filled field.
    Field(Ink),
    /// A pale band.
    Band(Ink),
    /// A marker alone.
    Mark(Look),
    /// A marker with paper inside.
    Hollow(Look),
    /// Diagonal lines.
    Hatch,
    /// A load line's triangle.
    Foot,
    /// A frame.
    Frame,
}

/// One entry of a legend.
#[derive(Clone, Debug)]
pub(super) struct Key {
    name: String,
    swatch: Swatch,
}

impl Key {
    /// A name, whole unless it is longer than the sheet is wide.
    pub(super) fn new(name: impl Into<String>, swatch: Swatch) -> Self {
        Self { name: name.into(), swatch }
    }

    fn shown(&self) -> String {
        font::shorten(&self.name, KEY_ROOM, SMALL, false)
    }

    /// Pixels that it takes in its line.
    fn room(&self) -> f64 {
        SWATCH + WIDER * font::width(&self.shown(), SMALL, false) + 16.0
    }
}

/// A plot in the making.
pub(super) struct Sheet {
    backend: Backend,
    /// Where panels can stand.
    pub body: Area,
}

impl Sheet {
    /// A sheet with room for panels of `height` pixels under a legend of `keys`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a page
    pub(super) fn new(head: &Head, height: f64, keys: &[Key]) -> Self {
        let room = WIDTH - 2.0 * MARGIN;
        let titles = font::wrap(&head.title, room, TITLE, true);
        let rows = laid(keys, room);
        let captions = font::wrap(&head.caption, room / WIDER, SMALL, false);
        let top = 12.0 + 20.0 * titles.len() as f64 + if rows.is_empty() { 4.0 } else { 8.0 + KEY_LINE * rows.len() as f64 };
        let bottom = if captions.is_empty() { 8.0 } else { 14.0 + 15.0 * captions.len() as f64 };
        let whole = (top + height + bottom).ceil();
        let picture = Picture { width: WIDTH as u32, height: whole as u32, shapes: Vec::new() };
        let body = Area { x: MARGIN, y: top, width: room, height };
        let sheet = Self { backend: Backend(Rc::new(RefCell::new(picture))), body };
        let corners = vec![(0.0, 0.0), (WIDTH, 0.0), (WIDTH, whole), (0.0, whole)];
        sheet.shape(Shape::Path { runs: vec![corners], closed: true, paint: filled(Ink::Paper, 1.0) });
        for (i, line) in titles.into_iter().enumerate() {
            sheet.text(line, (MARGIN, 26.0 + 20.0 * i as f64), TITLE, Ink::Text);
        }
        let first = top - KEY_LINE * rows.len() as f64;
        for (i, row) in rows.into_iter().enumerate() {
            for (key, x) in row {
                sheet.key(key, (MARGIN + x, first + KEY_LINE * i as f64 + 6.0));
            }
        }
        for (i, line) in captions.into_iter().enumerate() {
            sheet.text(line, (MARGIN, top + height + 18.0 + 15.0 * i as f64), SMALL, Ink::Muted);
        }
        sheet
    }

    fn shape(&self, shape: Shape) {
        self.backend.0.borrow_mut().add(shape);
    }

    fn text(&self, text: String, at: (f64, f64), size: f64, ink: Ink) {
        let bold = size > SMALL;
        self.shape(Shape::Text(Text { text, at, size, bold, anchor: Anchor::Start, turned_at: None, ink, halo: false }));
    }

    fn key(&self, key: &Key, (x, y): (f64, f64)) {
        let shown = key.shown();
        let cut = (shown != key.name).then(|| key.name.clone());
        let titled = cut.is_some();
        if titled {
            self.backend.0.borrow_mut().open(cut, Dash::Solid);
        }
        self.swatch(key.swatch, (x, y));
        self.text(shown, (x + SWATCH, y + 4.0), SMALL, Ink::Text);
        if titled {
            self.backend.0.borrow_mut().close();
        }
    }

    fn swatch(&self, swatch: Swatch, (x, y): (f64, f64)) {
        let field = vec![vec![(x, y - 5.0), (x + 20.0, y - 5.0), (x + 20.0, y + 5.0), (x, y + 5.0)]];
        let line = |ink, dash, width| {
            self.backend.0.borrow_mut().open(None, dash);
            self.shape(Shape::Path { runs: vec![vec![(x, y), (x + 20.0, y)]], closed: false, paint: lined(ink, width) });
            self.backend.0.borrow_mut().close();
        };
        match swatch {
            Swatch::Series(look) => {
                line(look.ink, look.dash, 2.0);
                self.shape(look.marker.shape((x + 10.0, y), 3.2, filled(look.ink, 1.0)));
            }
            Swatch::Line(ink, dash) => line(ink, dash, 1.5),
            Swatch::Mark(look) => self.shape(look.marker.shape((x + 14.0, y), 4.0, filled(look.ink, 1.0))),
            Swatch::Hollow(look) => {
                self.shape(look.marker.shape((x + 14.0, y), 4.4, filled(look.ink, 1.0)));
                self.shape(look.marker.shape((x + 14.0, y), 2.4, filled(Ink::Paper, 1.0)));
            }
            Swatch::Field(ink) => self.shape(Shape::Path { runs: field, closed: true, paint: filled(ink, 1.0) }),
            Swatch::Band(ink) => self.shape(Shape::Path { runs: field, closed: true, paint: filled(ink, 0.2) }),
            Swatch::Foot => {
                let runs = vec![vec![(x + 10.0, y + 4.0), (x + 4.5, y - 6.0), (x + 15.5, y - 6.0)]];
                self.shape(Shape::Path { runs, closed: true, paint: filled(Ink::Muted, 1.0) });
                let runs = vec![vec![(x, y + 5.0), (x + 20.0, y + 5.0)]];
                self.shape(Shape::Path { runs, closed: false, paint: lined(Ink::Muted, 3.0) });
            }
            Swatch::Frame => self.shape(Shape::Path { runs: field, closed: true, paint: lined(Ink::Text, 2.0) }),
            Swatch::Hatch => {
                let runs = (0..4).map(|i| vec![(x + 5.0 * f64::from(i), y + 5.0), (x + 5.0 * f64::from(i) + 5.0, y - 5.0)]);
                self.shape(Shape::Path { runs: runs.collect(), closed: false, paint: lined(Ink::Muted, 1.0) });
                self.shape(Shape::Path { runs: field, closed: true, paint: lined(Ink::Muted, 0.8) });
            }
        }
    }

    /// Axes in `place`.
    pub(super) fn panel(&self, place: Area, axes: &Axes<'_>) -> Panel {
        Panel::new(&self.backend.clone().into_drawing_area(), &self.backend, place, axes)
    }

    /// The plot, with the numbers it shows.
    pub(super) fn finish(self, head: &Head, table: Table) -> Plot {
        let picture = self.backend.0.take();
        Plot::new(head, picture, table.text())
    }
}

/// Keys in rows of `room` pixels, each with its distance from the left.
fn laid(keys: &[Key], room: f64) -> Vec<Vec<(&Key, f64)>> {
    let mut rows: Vec<Vec<(&Key, f64)>> = Vec::new();
    let mut x = f64::INFINITY;
    for key in keys {
        if x + key.room() > room + 16.0 {
            rows.push(Vec::new());
            x = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push((key, x));
        }
        x += key.room();
    }
    rows
}

/// Rows and columns of `count` panels, at most `across` beside each other.
pub(super) fn tiles(body: Area, count: usize, across: usize, height: f64) -> Vec<Area> {
    let across = across.min(count).max(1);
    let width = (body.width + 10.0) / across as f64 - 10.0;
    let tile = |i: usize| Area {
        x: body.x + (width + 10.0) * (i % across) as f64,
        y: body.y + height * (i / across) as f64,
        width,
        height,
    };
    (0..count).map(tile).collect()
}

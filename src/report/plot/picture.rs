//! What a plot is before it becomes SVG or PNG: a list of shapes in pixels, so that both show the same.

use super::palette::Ink;

/// A place in pixels, y downwards.
pub(super) type Point = (f64, f64);

/// Dashes of a line.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Dash {
    /// An unbroken line.
    #[default]
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// Dashes and dots by turns.
    Mixed,
}

impl Dash {
    /// Lengths of strokes and gaps, in pixels.
    pub(super) fn lengths(self) -> &'static [f32] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[6.0, 3.5],
            Self::Dotted => &[1.5, 3.0],
            Self::Mixed => &[7.0, 3.0, 1.5, 3.0],
        }
    }
}

/// How an area or a line is inked.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Paint {
    /// What it means.
    pub ink: Ink,
    /// From 0, invisible, to 1.
    pub opacity: f64,
    /// Width of a line in pixels; `None` fills.
    pub line: Option<f64>,
}

/// Where a text stands relative to its place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// One text on one baseline.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_field_names)] // a text has a text
pub(super) struct Text {
    pub text: String,
    /// On the baseline.
    pub at: Point,
    /// Pixels to the em.
    pub size: f64,
    pub bold: bool,
    pub anchor: Anchor,
    /// Reads upwards: a quarter turn to the left around `turned_at`.
    pub turned_at: Option<Point>,
    pub ink: Ink,
    /// Whether a rim of paper parts it from what lies behind.
    pub halo: bool,
}

/// One thing to draw.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// What follows, up to the matching [`Shape::Close`], belongs together: hovering shows `title`, lines are dashed.
    Open { title: Option<String>, dash: Dash },
    /// Ends the group opened last.
    Close,
    /// Polylines or polygons, drawn as one.
    Path { runs: Vec<Vec<Point>>, closed: bool, paint: Paint },
    /// A filled rectangle on whole pixels, so that neighbours leave no seam.
    Rect { corner: Point, width: f64, height: f64, paint: Paint },
    /// A circle around a point.
    Circle { at: Point, radius: f64, paint: Paint },
    /// Catches the pointer for its group; invisible.
    Target { corner: Point, width: f64, height: f64 },
    /// Letters.
    Text(Text),
}

/// Shapes in the order they are drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Picture {
    pub width: u32,
    pub height: u32,
    pub shapes: Vec<Shape>,
}

impl Picture {
    /// Opens a group that says `title` when hovered.
    pub(super) fn open(&mut self, title: Option<String>, dash: Dash) {
        self.shapes.push(Shape::Open { title, dash });
    }

    /// Closes the group opened last, which vanishes if nothing was drawn in it.
    pub(super) fn close(&mut self) {
        if matches!(self.shapes.last(), Some(Shape::Open { .. })) {
            self.shapes.pop();
        } else {
            self.shapes.push(Shape::Close);
        }
    }

    /// Draws `shape`.
    pub(super) fn add(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }
}

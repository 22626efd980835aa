//! A picture as PNG, at twice its size, on light paper.

use tiny_skia::{Color, FillRule, LineJoin, Paint as Brush, Path, PathBuilder, Pixmap, Stroke, StrokeDash, Transform};

use super::font;
use super::palette::Ink;
use super::picture::{Anchor, Dash, Paint, Picture, Point, Shape, Text};

/// Pixels of the PNG to one of the picture.
pub(super) const SCALE: u32 = 2;

/// The bytes of the file, or `None` where the picture has no area or does not fit in memory.
pub(super) fn png(picture: &Picture) -> Option<Vec<u8>> {
    let mut pixels = Pixmap::new(SCALE * picture.width, SCALE * picture.height)?;
    let [r, g, b] = Ink::Paper.light();
    pixels.fill(Color::from_rgba8(r, g, b, 255));
    let mut dashes = vec![Dash::Solid];
    for shape in &picture.shapes {
        match shape {
            // A group of its own dashes keeps them; one without takes those around it, as in SVG.
            Shape::Open { dash, .. } if *dash == Dash::Solid => dashes.push(dashes.last().copied().unwrap_or_default()),
            Shape::Open { dash, .. } => dashes.push(*dash),
            Shape::Close => drop(dashes.pop()),
            Shape::Target { .. } => {}
            Shape::Path { runs, closed, paint } => {
                ink(&mut pixels, outline(runs, *closed), *paint, dashes.last().copied().unwrap_or_default());
            }
            Shape::Rect { corner, width, height, paint } => {
                let (x, y) = single(*corner);
                let rect = tiny_skia::Rect::from_xywh(x, y, narrow(*width), narrow(*height)).map(PathBuilder::from_rect);
                ink(&mut pixels, rect, *paint, Dash::Solid);
            }
            Shape::Circle { at, radius, paint } => {
                let (x, y) = single(*at);
                let circle = PathBuilder::from_circle(x, y, narrow(*radius));
                ink(&mut pixels, circle, *paint, dashes.last().copied().unwrap_or_default());
            }
            Shape::Text(text) => write(&mut pixels, text),
        }
    }
    pixels.encode_png().ok()
}

#[allow(clippy::cast_possible_truncation)] // pixels on a page
fn narrow(x: f64) -> f32 {
    x as f32
}

fn single((x, y): Point) -> (f32, f32) {
    (narrow(x), narrow(y))
}

fn outline(runs: &[Vec<Point>], closed: bool) -> Option<Path> {
    let mut pen = PathBuilder::new();
    for run in runs {
        for (i, at) in run.iter().enumerate() {
            let (x, y) = single(*at);
            if i == 0 { pen.move_to(x, y) } else { pen.line_to(x, y) }
        }
        if closed {
            pen.close();
        }
    }
    pen.finish()
}

/// Fills or strokes `path`; nothing where it has no extent.
fn ink(pixels: &mut Pixmap, path: Option<Path>, paint: Paint, dash: Dash) {
    let Some(path) = path else { return };
    let brush = brush(paint.ink, paint.opacity);
    let scaled = Transform::from_scale(SCALE as f32, SCALE as f32);
    match paint.line {
        None => pixels.fill_path(&path, &brush, FillRule::Winding, scaled, None),
        Some(width) => {
            let dash = StrokeDash::new(dash.lengths().to_vec(), 0.0);
            let stroke = Stroke { width: narrow(width), line_join: LineJoin::Round, dash, ..Stroke::default() };
            pixels.stroke_path(&path, &brush, &stroke, scaled, None);
        }
    }
}

fn brush(ink: Ink, opacity: f64) -> Brush<'static> {
    let [r, g, b] = ink.light();
    let mut brush = Brush::default();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 255; `as` saturates
    brush.set_color_rgba8(r, g, b, (255.0 * opacity).round() as u8);
    brush
}

fn write(pixels: &mut Pixmap, letters: &Text) {
    let Text { text, at, size, bold, anchor, turned_at, ink, halo } = letters;
    let mut pen = PathBuilder::new();
    font::outline(text, *size, *bold, &mut pen);
    let Some(path) = pen.finish() else { return };
    let width = font::width(text, *size, *bold);
    let before = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => width / 2.0,
        Anchor::End => width,
    };
    let (x, y) = single((at.0 - before, at.1));
    let turn = turned_at.map_or_else(Transform::identity, |around| {
        let (x, y) = single(around);
        Transform::from_rotate_at(-90.0, x, y)
    });
    let scaled = Transform::from_scale(SCALE as f32, SCALE as f32);
    let placed = scaled.pre_concat(turn).pre_concat(Transform::from_translate(x, y));
    if *halo {
        let stroke = Stroke { width: 3.0, line_join: LineJoin::Round, ..Stroke::default() };
        pixels.stroke_path(&path, &brush(Ink::Paper, 1.0), &stroke, placed, None);
    }
    pixels.fill_path(&path, &brush(*ink, 1.0), FillRule::Winding, placed, None);
}

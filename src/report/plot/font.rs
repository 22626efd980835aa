//! The typeface of the plots: how wide a text is before it is drawn, and its outlines for the PNG.
//!
//! Inter travels with the program (`assets/inter/`, SIL Open Font License 1.1), so that nothing here depends on what the
//! machine has installed. A browser that lacks Inter takes the next family of [`FAMILIES`]; most are narrower.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Inter at weight 400, as a TrueType file: for a page that wants to bring it along.
pub const REGULAR: &[u8] = include_bytes!("../../../assets/inter/Inter-Regular.ttf");

/// Inter at weight 600.
pub const SEMIBOLD: &[u8] = include_bytes!("../../../assets/inter/Inter-SemiBold.ttf");

/// What an SVG asks for, in this order.
pub(super) const FAMILIES: &str = "Inter,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";

static FACES: LazyLock<[Face<'static>; 2]> =
    LazyLock::new(|| [REGULAR, SEMIBOLD].map(|bytes| Face::parse(bytes, 0).expect("the font in the program is a font")));

fn face(bold: bool) -> &'static Face<'static> {
    &FACES[usize::from(bold)]
}

/// A character that the font lacks takes the place of its missing-glyph box.
fn glyph(face: &Face, c: char) -> GlyphId {
    face.glyph_index(c).unwrap_or(GlyphId(0))
}

/// How wide `text` is at `size` pixels to the em, in pixels.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let face = face(bold);
    let units: u64 = text.chars().map(|c| u64::from(face.glyph_hor_advance(glyph(face, c)).unwrap_or(0))).sum();
    units as f64 * size / f64::from(face.units_per_em())
}

/// `text`, cut in the middle with an ellipsis where it is wider than `room` pixels: names of settings differ at both ends.
pub(super) fn shorten(text: &str, room: f64, size: f64, bold: bool) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let cut = |kept: usize| -> String {
        let head = letters[..kept - kept / 2].iter();
        let tail = letters[letters.len() - kept / 2..].iter();
        head.chain(&['…']).chain(tail).collect()
    };
    // Cutting more never makes it wider, so the longest that fits is found by bisection.
    let (mut fits, mut too_long) = (0, letters.len());
    while fits + 1 < too_long {
        let middle = usize::midpoint(fits, too_long);
        if width(&cut(middle), size, bold) <= room { fits = middle } else { too_long = middle }
    }
    cut(fits)
}

/// Breaks `text` between words into lines of at most `room` pixels; a longer word stands on a line of its own, shortened.
pub(super) fn wrap(text: &str, room: f64, size: f64, bold: bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}")).filter(|line| width(line, size, bold) <= room);
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) => *line = longer,
            _ => lines.push(shorten(word, room, size, bold)),
        }
    }
    lines
}

/// Draws `text` from the origin of the baseline to the right, y downwards, into `pen`, in pixels.
pub(super) fn outline(text: &str, size: f64, bold: bool, pen: &mut tiny_skia::PathBuilder) {
    let face = face(bold);
    #[allow(clippy::cast_possible_truncation)] // pixels on a page
    let scale = (size / f64::from(face.units_per_em())) as f32;
    let mut pen = Pen { path: pen, x: 0.0, scale };
    for c in text.chars() {
        let id = glyph(face, c);
        let _ = face.outline_glyph(id, &mut pen); // a blank has none
        pen.x += f32::from(face.glyph_hor_advance(id).unwrap_or(0)) * scale;
    }
}

struct Pen<'a> {
    path: &'a mut tiny_skia::PathBuilder,
    x: f32,
    scale: f32,
}

impl Pen<'_> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Pen<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_signs_of_axes_are_in_both_weights() {
        for bold in [false, true] {
            let missing: Vec<char> =
                "0123456789 %.,;:()≤≥−±×µλσρ…–∞≈→²".chars().filter(|c| face(bold).glyph_index(*c).is_none()).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    }

    #[test]
    fn both_ends_of_a_long_name_survive() {
        let short = shorten("policies.admission.graduated.threshold_high", 120.0, 11.0, false);
        assert!(short.starts_with("policies") && short.ends_with("high") && short.contains('…'), "{short}");
        assert_eq!(shorten("queue", 120.0, 11.0, false), "queue");
    }

    proptest! {
        #[test]
        fn what_is_shortened_fits_and_what_is_wrapped_is_whole(text in "[a-z_. ]{0,80}", room in 40.0..200.0_f64) {
            prop_assert!(width(&shorten(&text, room, 11.0, false), 11.0, false) <= room);
            let lines = wrap(&text, room, 11.0, false);
            prop_assert!(lines.iter().all(|line| width(line, 11.0, false) <= room));
            if !lines.iter().any(|line| line.contains('…')) {
                prop_assert_eq!(lines.join(" "), text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
}

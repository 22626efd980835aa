//! Where plotters draws: into a [`Picture`], in tenths of a pixel, so that curves do not stagger between whole ones.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle, FontTransform,
};

use plotters_backend::text_anchor::{HPos, VPos};

use super::font;
use super::palette::Ink;
use super::picture::{Anchor, Paint, Picture, Point, Shape, Text};

/// Units of plotters' whole numbers to one pixel.
pub(super) const FINE: i32 = 10;

/// Inter's capitals reach this far above the baseline, in ems.
const CAPITAL_EM: f64 = 0.727;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// A handle: whoever holds a clone draws into the same picture.
#[derive(Clone)]
pub(super) struct Backend(pub Rc<RefCell<Picture>>);

impl Backend {
    fn path(&mut self, run: Vec<Point>, closed: bool, paint: Paint) {
        if paint.opacity > 0.0 && !run.is_empty() {
            self.0.borrow_mut().add(Shape::Path { runs: vec![run], closed, paint });
        }
    }
}

/// In pixels, from plotters' tenths.
fn pixels((x, y): BackendCoord) -> Point {
    (f64::from(x) / f64::from(FINE), f64::from(y) / f64::from(FINE))
}

fn paint<S: BackendStyle>(style: &S, fill: bool) -> Paint {
    let BackendColor { alpha, rgb } = style.color();
    let line = (!fill).then(|| f64::from(style.stroke_width()) / f64::from(FINE));
    Paint { ink: Ink::from_carried(rgb), opacity: alpha, line }
}

impl DrawingBackend for Backend {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        let picture = self.0.borrow();
        (picture.width * FINE.unsigned_abs(), picture.height * FINE.unsigned_abs())
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        let corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)].map(pixels);
        self.path(corners.to_vec(), true, paint(&color, true));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.path(vec![pixels(from), pixels(to)], false, paint(style, false));
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, (x0, y0): BackendCoord, (x1, y1): BackendCoord, style: &S, fill: bool) -> Drawn {
        let (from, to) = (pixels((x0.min(x1), y0.min(y1))), pixels((x0.max(x1), y0.max(y1))));
        if !fill {
            let corners = vec![from, (to.0, from.1), to, (from.0, to.1)];
            self.path(corners, true, paint(style, fill));
            return Ok(());
        }
        let corner = (from.0.round(), from.1.round());
        let (width, height) = (to.0.round() - corner.0, to.1.round() - corner.1);
        if width > 0.0 && height > 0.0 {
            self.0.borrow_mut().add(Shape::Rect { corner, width, height, paint: paint(style, fill) });
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.path(path.into_iter().map(pixels).collect(), false, paint(style, false));
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        self.0.borrow_mut().add(Shape::Circle {
            at: pixels(center),
            radius: f64::from(radius) / f64::from(FINE),
            paint: paint(style, fill),
        });
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vert: I, style: &S) -> Drawn {
        self.path(vert.into_iter().map(pixels).collect(), true, paint(style, true));
        Ok(())
    }

    fn draw_text<TStyle: BackendTextStyle>(&mut self, text: &str, style: &TStyle, pos: BackendCoord) -> Drawn {
        if text.is_empty() {
            return Ok(());
        }
        let size = style.size() / f64::from(FINE);
        let place = style.anchor();
        let anchor = match place.h_pos {
            HPos::Left => Anchor::Start,
            HPos::Center => Anchor::Middle,
            HPos::Right => Anchor::End,
        };
        let below = match place.v_pos {
            VPos::Top => CAPITAL_EM,
            VPos::Center => CAPITAL_EM / 2.0,
            VPos::Bottom => 0.0,
        };
        let at = pixels(pos);
        self.0.borrow_mut().add(Shape::Text(Text {
            text: text.to_owned(),
            at: (at.0, at.1 + below * size),
            size,
            bold: matches!(style.style(), FontStyle::Bold),
            anchor,
            turned_at: matches!(style.transform(), FontTransform::Rotate270).then_some(at),
            ink: Ink::from_carried(style.color().rgb),
            halo: false,
        }));
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a length, and `as` saturates
    fn estimate_text_size<TStyle: BackendTextStyle>(
        &self,
        text: &str,
        style: &TStyle,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let bold = matches!(style.style(), FontStyle::Bold);
        Ok((font::width(text, style.size(), bold).ceil() as u32, style.size().ceil() as u32))
    }
}

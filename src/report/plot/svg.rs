//! A picture as SVG: text stays text, colours are attributes with classes beside them, tooltips are `<title>` elements.
//!
//! Without its style sheet the SVG is the light picture, for every viewer; browsers take the dark rules where the reader
//! asked for dark. There are no ids, so that several plots can stand in one page. Byte for byte the same each time.

use std::fmt::Write as _;

use super::font::FAMILIES;
use super::palette::{Ink, dark_rules, hex};
use super::picture::{Anchor, Paint, Picture, Point, Shape, Text};

/// The whole file.
pub(super) fn document(picture: &Picture, title: &str) -> String {
    let sheet = format!("<style>@media screen and (prefers-color-scheme:dark){{{}}}</style>", dark_rules(".plimsoll-plot"));
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", element(picture, title, &sheet))
}

/// The `<svg>` element, with `sheet` before everything else.
pub(super) fn element(picture: &Picture, title: &str, sheet: &str) -> String {
    let mut out = String::with_capacity(64 * picture.shapes.len() + sheet.len() + 512);
    let Picture { width, height, .. } = picture;
    write(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plimsoll-plot\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-label=\"{}\" font-family=\"{FAMILIES}\" fill=\"none\" stroke-linejoin=\"round\">{sheet}",
            escaped(title)
        ),
    );
    for shape in &picture.shapes {
        draw(&mut out, shape);
    }
    out.push_str("</svg>");
    out
}

fn write(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what); // a String takes everything
}

fn draw(out: &mut String, shape: &Shape) {
    match shape {
        Shape::Open { title, dash } => {
            out.push_str("<g");
            if !dash.lengths().is_empty() {
                let lengths: Vec<String> = dash.lengths().iter().map(ToString::to_string).collect();
                write(out, format_args!(" stroke-dasharray=\"{}\"", lengths.join(" ")));
            }
            out.push('>');
            if let Some(title) = title {
                write(out, format_args!("<title>{}</title>", escaped(title)));
            }
        }
        Shape::Close => out.push_str("</g>"),
        Shape::Path { runs, closed, paint } => {
            write(out, format_args!("<path{} d=\"{}\"/>", painted(*paint), path(runs, *closed)));
        }
        Shape::Rect { corner, width, height, paint } => write(
            out,
            format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" shape-rendering=\"crispEdges\"{}/>",
                px(corner.0),
                px(corner.1),
                px(*width),
                px(*height),
                painted(*paint)
            ),
        ),
        Shape::Circle { at, radius, paint } => {
            let (x, y) = (px(at.0), px(at.1));
            write(out, format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\"{}/>", px(*radius), painted(*paint)));
        }
        Shape::Target { corner, width, height } => write(
            out,
            format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" pointer-events=\"all\"/>",
                px(corner.0),
                px(corner.1),
                px(*width),
                px(*height)
            ),
        ),
        Shape::Text(letters) => text(out, letters),
    }
}

fn text(out: &mut String, letters: &Text) {
    let Text { text, at, size, bold, anchor, turned_at, ink, halo } = letters;
    let anchor = match anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if *bold { " font-weight=\"600\"" } else { "" };
    let turned = turned_at.map_or_else(String::new, |(x, y)| format!(" transform=\"rotate(-90 {} {})\"", px(x), px(y)));
    let paper = hex(Ink::Paper.light());
    let rim = if *halo {
        format!(" class=\"f-{} k-paper\" stroke=\"{paper}\" stroke-width=\"3\" paint-order=\"stroke\"", ink.class())
    } else {
        format!(" class=\"f-{}\"", ink.class())
    };
    write(
        out,
        format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{weight}{anchor}{turned}{rim} fill=\"{}\">{}</text>",
            px(at.0),
            px(at.1),
            px(*size),
            hex(ink.light()),
            escaped(text)
        ),
    );
}

/// The attributes of a paint.
fn painted(paint: Paint) -> String {
    let (class, colour) = (paint.ink.class(), hex(paint.ink.light()));
    let mut text = match paint.line {
        Some(width) => format!(" class=\"k-{class}\" stroke=\"{colour}\" stroke-width=\"{}\"", px(width)),
        None => format!(" class=\"f-{class}\" fill=\"{colour}\""),
    };
    if paint.opacity < 1.0 {
        write(&mut text, format_args!(" opacity=\"{:.2}\"", paint.opacity));
    }
    text
}

/// The data of a path.
fn path(runs: &[Vec<Point>], closed: bool) -> String {
    let mut data = String::new();
    for run in runs {
        for (i, (x, y)) in run.iter().enumerate() {
            let step = match i {
                0 => "M",
                1 => "L",
                _ => " ",
            };
            write(&mut data, format_args!("{step}{} {}", px(*x), px(*y)));
        }
        if closed {
            data.push('Z');
        }
    }
    data
}

/// Pixels with at most one digit after the point.
fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// `text` as XML writes it; characters that XML 1.0 forbids become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_short() {
        assert_eq!([0.0, -0.01, 3.04, 3.06, -12.5].map(px), ["0", "0", "3", "3.1", "-12.5"]);
    }

    #[test]
    fn nothing_that_xml_forbids_comes_through() {
        assert_eq!(escaped("a<b>&\"c\"\u{0}\u{1b}[0m\u{ffff}"), "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}\u{fffd}[0m\u{fffd}");
    }
}

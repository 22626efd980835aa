//! A plot's files on the page: the picture made part of it, its data in a table.

use super::html::{escaped, table};

/// Rows of data that the page shows; the file has them all.
const ROWS_MAX: usize = 30;
/// Elements that our plots are made of: nothing else is let onto the page.
const ELEMENTS: [&str; 9] = ["svg", "g", "title", "text", "path", "rect", "circle", "style", "line"];

/// What is no plot of ours.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Foreign(String);

/// One plot, read from its files.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The stem of its files.
    pub name: String,
    title: String,
    svg: String,
    csv: String,
}

impl Figure {
    /// Takes the texts of `NAME.svg` and `NAME.csv`.
    ///
    /// # Errors
    /// If the picture is not one that this program draws: it would become part of a page that people trust.
    pub fn read(name: &str, svg: &str, csv: String) -> Result<Self, Foreign> {
        let start = svg.find("<svg").ok_or_else(|| Foreign("there is no <svg> in it".to_owned()))?;
        let svg = svg[start..].trim_end();
        check(svg)?;
        let label = svg.split_once("aria-label=\"").and_then(|(_, rest)| rest.split_once('"'));
        // Already escaped, as an attribute.
        let title = label.map_or_else(|| escaped(name), |(title, _)| title.to_owned());
        Ok(Self { name: name.to_owned(), title, svg: without_style(svg), csv })
    }

    /// Which kind of plot: `latency` of `latency-2`.
    pub(super) fn family(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }

    /// The title as HTML.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The picture with its data behind it.
    pub(super) fn html(&self) -> String {
        let Self { name, svg, .. } = self;
        format!("<figure id=\"{name}\"><div class=\"plot\" tabindex=\"0\">{svg}</div>{}</figure>", self.data())
    }

    /// A line in its place, where there is no room for it.
    pub(super) fn link(&self) -> String {
        let Self { name, title, .. } = self;
        format!("<p id=\"{name}\">{title}: <a href=\"plots/{name}.svg\">plots/{name}.svg</a></p>")
    }

    fn data(&self) -> String {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(self.csv.as_bytes());
        let header: Vec<String> = reader.headers().map_or_else(|_| Vec::new(), |names| names.iter().map(short).collect());
        let records = reader.records().filter_map(Result::ok);
        let rows: Vec<Vec<String>> = records.map(|row| row.iter().map(short).collect()).collect();
        let shown = &rows[..rows.len().min(ROWS_MAX)];
        let numeric: Vec<bool> = (0..header.len()).map(|i| shown.iter().all(|row| is_number(row.get(i)))).collect();
        let names: Vec<&str> = header.iter().map(String::as_str).collect();
        let name = &self.name;
        let files = format!(
            "<a href=\"plots/{name}.csv\">CSV</a>, <a href=\"plots/{name}.png\">PNG</a>, <a href=\"plots/{name}.svg\">SVG</a>"
        );
        let some = if rows.len() > shown.len() {
            format!("The first {} of {} rows. ", shown.len(), rows.len())
        } else {
            String::new()
        };
        format!(
            "<details class=\"data\"><summary>Data</summary><p>{some}All of it beside this page: {files}.</p>{}</details>",
            table(&names, &numeric, shown)
        )
    }
}

/// A figure to six digits; the file has them all.
fn short(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(x) if x.is_finite() && cell.len() > 8 => {
            let rounded = crate::stats::significant(x, 6);
            format!("{rounded}")
        }
        _ => cell.to_owned(),
    }
}

fn is_number(cell: Option<&String>) -> bool {
    cell.is_none_or(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
}

/// The page has the dark colours once, for all its plots.
fn without_style(svg: &str) -> String {
    match (svg.find("<style>"), svg.find("</style>")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &svg[..from], &svg[to + "</style>".len()..]),
        _ => svg.to_owned(),
    }
}

/// Goes through the tags: only our elements, no handlers, no references.
fn check(svg: &str) -> Result<(), Foreign> {
    let mut rest = svg;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        let (tag, after) = tag(rest).ok_or_else(|| Foreign("a tag in it does not end".to_owned()))?;
        let mut words = tag.split_whitespace();
        let element = words.next().unwrap_or_default().trim_start_matches('/').trim_end_matches('/');
        if !ELEMENTS.contains(&element) {
            return Err(Foreign(format!("it has an element <{element}>")));
        }
        if let Some(word) = words.find(|word| word.starts_with("on") || word.contains("href")) {
            return Err(Foreign(format!("it has an attribute `{word}`")));
        }
        rest = after;
    }
    if svg.ends_with("</svg>") { Ok(()) } else { Err(Foreign("it does not end with </svg>".to_owned())) }
}

/// The tag at the beginning of `text` with the values of its attributes left out, and what follows it.
fn tag(text: &str) -> Option<(String, &str)> {
    let mut bare = String::new();
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((bare, &text[i + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => {
                quote = None;
                bare.push(' '); // attributes need no space between them to be read
            }
            (None, c) => bare.push(if c == '/' && !bare.is_empty() { ' ' } else { c }),
            (Some(_), _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Result<Figure, Foreign> {
        let svg = format!("<?xml version=\"1.0\"?>\n<svg aria-label=\"A &amp; B\"><style>x</style>{inside}</svg>\n");
        Figure::read("a-1", &svg, "x,y [s]\n1,0.12345678901\n".to_owned())
    }

    #[test]
    fn a_plot_becomes_part_of_the_page() {
        let figure = read("<g><title>on top</title><path d=\"M0 0\"/></g>").unwrap();
        assert_eq!((figure.family(), figure.title()), ("a", "A &amp; B"));
        let html = figure.html();
        assert!(html.contains("<svg aria-label=\"A &amp; B\"><g>"), "no style of its own: {html}");
        assert!(html.contains("<td class=\"n\">0.123457</td>"), "{html}");
    }

    #[test]
    fn what_could_act_is_no_plot() {
        for bad in [
            "<script>alert(1)</script>",
            "<g onclick=\"x\"/>",
            "<g class=\"a\"onclick=\"x\"/>",
            "<g/onload='x'/>",
            "<image href='x'/>",
            "<path xlink:href=\"x\"/>",
            "<!-- x --><g/>",
            "<path d=\"",
            "<foreignObject/>",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(Figure::read("a", "<html></html>", String::new()).is_err());
    }
}

//! The page's sections that are told from the files: head, verdict, plots, the whole text, how it was made.

use super::figure::Figure;
use std::fmt::Write as _;

use super::html::{each, escaped};
use super::{Folder, Kind, words};

/// Pictures of one family that are open from the start; the rest unfold.
const OPEN_MAX: usize = 2;

pub(super) fn head(folder: &Folder) -> String {
    let families = families(folder);
    let links = each(&families, |(family, _)| format!("<a href=\"#s-{family}\">{}</a>", words::title(family)));
    format!(
        "<header><p class=\"kind\">Plimsoll · {}</p><h1>{}</h1><nav><a href=\"#figures\">Figures</a>{links}<a href=\"#text\">Everything</a><a \
         href=\"#meaning\">Formulas</a><a href=\"#limits\">Limits</a><a href=\"#made\">How it was made</a></nav></header><main>",
        folder.kind.title(),
        escaped(folder.scenario())
    )
}

/// The first block of the text report, paragraph by paragraph.
pub(super) fn verdict(folder: &Folder) -> String {
    let paragraphs = paragraphs(&folder.text);
    let said = each(&paragraphs, |paragraph| format!("<p>{}</p>", together(paragraph)));
    format!("<section class=\"verdict\" aria-label=\"Verdict\">{said}{}</section>", command(folder))
}

/// A paragraph as HTML: a figure and its percent sign stay on one line, and what stands between backticks is code.
fn together(paragraph: &str) -> String {
    let html = escaped(paragraph).replace(" %", "&nbsp;%");
    if html.matches('`').count() % 2 == 1 {
        return html;
    }
    let parts = html.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

/// The first block's paragraphs: their further lines begin with spaces.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        match paragraphs.last_mut().filter(|_| line.starts_with("  ")) {
            Some(paragraph) => {
                paragraph.push(' ');
                paragraph.push_str(line.trim());
            }
            None => paragraphs.push(line.trim().to_owned()),
        }
    }
    paragraphs
}

fn command(folder: &Folder) -> String {
    let command = folder.json["made"]["command"].as_str().unwrap_or_default();
    format!("<pre class=\"command\" tabindex=\"0\"><code>{}</code></pre>", escaped(command))
}

/// The plots by family, each in the order of its first.
fn families(folder: &Folder) -> Vec<(&str, Vec<&Figure>)> {
    let mut families: Vec<(&str, Vec<&Figure>)> = Vec::new();
    for figure in &folder.figures {
        match families.iter_mut().find(|(family, _)| *family == figure.family()) {
            Some((_, figures)) => figures.push(figure),
            None => families.push((figure.family(), vec![figure])),
        }
    }
    families
}

/// All plots, in at most about `room` bytes.
pub(super) fn figures(folder: &Folder, room: usize) -> String {
    let mut left = room;
    let mut out = String::new(); // which takes everything that is written
    for (family, figures) in families(folder) {
        let _ =
            write!(out, "<section id=\"s-{family}\"><h2>{}</h2><p>{}</p>", words::title(family), words::how_to_read(family));
        for (number, figure) in figures.into_iter().enumerate() {
            let html = figure.html();
            if html.len() + 1_000 > left {
                out.push_str(&figure.link());
                continue;
            }
            left -= html.len();
            if number < OPEN_MAX {
                out.push_str(&html);
            } else {
                let _ = write!(out, "<details class=\"more\"><summary>{}</summary>{html}</details>", figure.title());
            }
        }
        out.push_str("</section>");
    }
    let not_drawn = folder.json["made"]["left_out"].as_array().into_iter().flatten().filter_map(|why| why.as_str());
    let not_drawn = each(not_drawn, |why| format!("<li>{}</li>", escaped(why)));
    if !not_drawn.is_empty() {
        let _ = write!(out, "<section class=\"quiet\"><h2>Not drawn</h2><ul>{not_drawn}</ul></section>");
    }
    out
}

/// The whole text report.
pub(super) fn text(folder: &Folder, most: usize) -> String {
    let text = &folder.text;
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let cut = if end < text.len() { "<p>Cut here; the rest stands in result.txt.</p>" } else { "" };
    format!(
        "<section id=\"text\"><h2>Everything, as text</h2><div class=\"wide\" tabindex=\"0\"><pre>{}</pre></div>{cut}</section>",
        escaped(&text[..end])
    )
}

/// What it takes to get the same page again.
pub(super) fn made(folder: &Folder) -> String {
    let json = &folder.json;
    let of = if folder.kind == Kind::Calibration { ("Logs", "logs") } else { ("Scenario", "scenario") };
    let mut facts: Vec<(&str, String)> = vec![(of.0, folder.scenario().to_owned())];
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("Variant", json["tune"]["variant"].as_str().map(ToOwned::to_owned));
    fact("Server", json["live"]["target"].as_str().map(ToOwned::to_owned));
    fact("Model", json["live"]["server"]["model"]["id"].as_str().map(ToOwned::to_owned));
    let seed = &json["seed"];
    fact("Seed", seed.as_str().map(ToOwned::to_owned).or_else(|| seed.as_u64().map(|seed| seed.to_string())));
    fact("Replications", json["replications"].as_u64().map(|n| n.to_string()));
    fact(
        if folder.kind == Kind::Live { "Digest of the requests" } else { "Digest of all events" },
        json["digest"].as_str().map(ToOwned::to_owned),
    );
    let capacity = json["load"]["capacity_rps"].as_f64().zip(json["load"]["clients"].as_u64());
    let load = |(rps, clients): (f64, u64)| {
        format!("{} requests/s: a closed loop of {clients} clients", crate::report::format::number(rps))
    };
    fact("Load 1.0", capacity.map(load));
    fact("Plimsoll", json["made"]["version"].as_str().map(|version| format!("version {version}")));
    let rows = each(&facts, |(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escaped(value)));
    let settings = match folder.kind {
        Kind::Tune => {
            "<p>The recommended settings stand beside this page: settings.toml. What of them has a name there stands in settings.flags and settings.env.</p>"
        }
        Kind::Calibration => "<p>The scenario section with these costs stands beside this page: upstream.toml.</p>",
        Kind::Run | Kind::Live | Kind::Capacity => "",
    };
    let again = if folder.kind == Kind::Live {
        "The same command and scenario send the same requests; what comes of them is the server's.".to_owned()
    } else {
        format!("The same command, {} and version give the same bytes on any number of threads.", of.1)
    };
    format!(
        "<section id=\"made\"><h2>How it was made</h2>{}<dl>{rows}</dl>{settings}<p>{again} Options that change no figure (where \
         it is written, on how many threads) are left out of the command.</p></section>",
        command(folder)
    )
}

//! Lays out the variants: each overlay on the scenario, each crossed with the sweep's values.

use super::SECTIONS;
use super::diagnostic::Diagnostic;
use super::overlay::{merge, set};
use super::path::{NotAPath, Path};
use super::source::Place;
use super::tree::{Entry, Node, Value};

/// A variant's own copy of the four sections.
#[derive(Clone, Debug)]
pub struct Laid {
    /// Its name, with the sweep's value if there is one.
    pub name: String,
    /// Its name without.
    pub of: String,
    /// The sections.
    pub tree: Node,
}

/// All variants of the scenario in `tree`, in its order; within each, the sweep's values in theirs.
pub fn variants(tree: &Node, found: &mut Vec<Diagnostic>) -> Vec<Laid> {
    let written = tree.child("variant").map_or(&[][..], Node::items);
    let base = sections(tree);
    let overlaid: Vec<Laid> = match written {
        [] => vec![Laid { name: "base".to_owned(), of: "base".to_owned(), tree: base }],
        _ => written.iter().map(|variant| overlay(&base, variant, found)).collect(),
    };
    match tree.child("sweep") {
        Some(sweep) => overlaid.iter().flat_map(|laid| cross(laid, sweep, found)).collect(),
        None => overlaid,
    }
}

fn sections(tree: &Node) -> Node {
    let entries = SECTIONS.iter().filter_map(|section| tree.entry(section)).cloned().collect();
    Node { place: tree.place, value: Value::Table(entries) }
}

fn overlay(base: &Node, variant: &Node, found: &mut Vec<Diagnostic>) -> Laid {
    let name = variant.child("name").and_then(Node::text).unwrap_or("").to_owned();
    let mut tree = base.clone();
    merge(&mut tree, &sections(variant));
    if let Some(Node { value: Value::Table(settings), .. }) = variant.child("set") {
        for setting in settings {
            if let Err(wrong) = set_quoted(&mut tree, setting) {
                found.push(wrong);
            }
        }
    }
    Laid { of: name.clone(), name, tree }
}

/// A path that is a quoted key: `"class[0].arrival.rate" = 5`.
fn set_quoted(tree: &mut Node, setting: &Entry) -> Result<(), Diagnostic> {
    let path = shared_path(&setting.key, setting.place)?;
    set(tree, &path, setting.node.clone(), within(setting.place, &setting.key))
}

fn cross(laid: &Laid, sweep: &Node, found: &mut Vec<Diagnostic>) -> Vec<Laid> {
    let (Some(at), Some(values)) = (sweep.child("path"), sweep.child("values")) else { return Vec::new() };
    let text = at.text().unwrap_or("");
    let path = match shared_path(text, at.place) {
        Ok(path) => path,
        Err(wrong) => {
            found.push(wrong);
            return Vec::new();
        }
    };
    let copies = values.items().iter().map(|value| {
        let mut tree = laid.tree.clone();
        if let Err(wrong) = set(&mut tree, &path, value.clone(), within(at.place, text)) {
            found.push(wrong);
        }
        Laid { name: format!("{} @ {}", laid.of, shown(&path, value)), of: laid.of.clone(), tree }
    });
    copies.collect()
}

/// A path into what variants may change.
fn shared_path(text: &str, place: Place) -> Result<Path, Diagnostic> {
    let path: Path = text.parse().map_err(|error| Diagnostic::at(place, format!("{error}")).help(NotAPath::HELP.to_owned()))?;
    match path.first_key() {
        Some(key) if SECTIONS.contains(&key) => Ok(path),
        Some(key) => {
            let message = format!("variants and sweeps cannot change `{key}`");
            Err(Diagnostic::at(place, message)
                .help("they can change `upstream`, `arrival`, `class[i]` and `policy`".to_owned()))
        }
        None => Err(Diagnostic::at(place, "there is no path here".to_owned())),
    }
}

/// Where the bytes of a string stand that was written between plain quotes (with escapes in it: the whole string).
fn within(place: Place, text: &str) -> impl Fn(usize, usize) -> Place + use<> {
    let quotes = match place.len().checked_sub(text.len()) {
        Some(0) => Some(0),
        Some(2) => Some(1),
        _ => None,
    };
    move |start, end| quotes.map_or(place, |quote| place.part(quote + start, end - start))
}

fn shown(path: &Path, value: &Node) -> String {
    let json = value.to_json();
    match (path.last_key(), json.as_f64()) {
        // Rounded to the hundred-millionth, or 0.07 would show as 7.000000000000001 %.
        (Some("load"), Some(load)) => format!("{} %", libm::round(load * 1e8) / 1e6),
        (key, _) => {
            // A sweep has one path, so its last key is enough to tell the values apart by.
            let value = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            key.map_or_else(|| format!("{path}={value}"), |key| format!("{key}={value}"))
        }
    }
}

/// What is wrong with the variants and not yet in `known`. What only some of them suffer from says which.
pub fn attribute(laid: &[Laid], wrong: &[Vec<Diagnostic>], known: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut list: Vec<Diagnostic> = Vec::new();
    let mut seen: Vec<&Diagnostic> = Vec::new();
    for diagnostic in wrong.iter().flatten() {
        if known.contains(diagnostic) || seen.contains(&diagnostic) {
            continue;
        }
        seen.push(diagnostic);
        let suffers: Vec<bool> = wrong.iter().map(|wrong| wrong.contains(diagnostic)).collect();
        let mut diagnostic = diagnostic.clone();
        if suffers.contains(&false) {
            let names = sufferers(laid, &suffers);
            let plural = if names.len() == 1 { "" } else { "s" };
            diagnostic.message = format!("{} (in variant{plural} {})", diagnostic.message, names.join(", "));
        }
        list.push(diagnostic);
    }
    list
}

/// The names of those who suffer; a variant that suffers at all values of the sweep goes by its own.
fn sufferers(laid: &[Laid], suffers: &[bool]) -> Vec<String> {
    let mut names = Vec::new();
    for one in laid.iter().zip(suffers).filter_map(|(one, suffers)| suffers.then_some(one)) {
        let everywhere = laid.iter().zip(suffers).all(|(other, suffers)| *suffers || other.of != one.of);
        let name = format!("`{}`", if everywhere { &one.of } else { &one.name });
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

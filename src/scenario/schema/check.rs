//! Holds a tree against the rules, and says of everything that does not fit where it stands and what would be right.

use super::rule::{Format, Keys, Rule, Union};
use super::words::{advice, found, list, nearest, wanted};
use crate::request::Country;
use crate::scenario::Warmup;
use crate::scenario::diagnostic::Diagnostic;
use crate::scenario::source::Place;
use crate::scenario::tree::{Entry, Node, Value};
use crate::time::Span;
use crate::upstream::Picos;

/// All that is wrong with `node` under `rule`.
#[must_use]
pub fn check(rule: &Rule, node: &Node) -> Vec<Diagnostic> {
    let mut checker = Checker { root: rule, found: Vec::new() };
    checker.value(rule, node, node.place, "");
    checker.found
}

struct Checker<'a> {
    root: &'a Rule,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    /// `place` is where to point for what is missing; `path` is empty at the root.
    fn value(&mut self, rule: &Rule, node: &Node, place: Place, path: &str) {
        match (rule, &node.value) {
            (Rule::Table(keys), Value::Table(entries)) => self.table(keys, None, entries, place, path),
            (Rule::Union(union), Value::Table(entries)) => self.union(union, node, entries, place, path),
            (Rule::List { items, min, max }, Value::List(nodes)) => {
                if nodes.len() < *min {
                    let message = format!("`{path}` needs {min} or more entries and has {}", nodes.len());
                    self.found.push(Diagnostic::at(node.place, message));
                }
                if nodes.len() > *max {
                    let message = format!("`{path}` takes at most {max} entries and has {}", nodes.len());
                    self.found.push(Diagnostic::at(node.place, message));
                }
                for (index, item) in nodes.iter().enumerate() {
                    self.value(items, item, item.place, &format!("{path}[{index}]"));
                }
            }
            _ => self.scalar(rule, node, path),
        }
    }

    fn scalar(&mut self, rule: &Rule, node: &Node, path: &str) {
        let fits = match (rule, &node.value) {
            (Rule::Any, _) | (Rule::Boolean, Value::Boolean(_)) => true,
            (Rule::Names(names), Value::Text(text)) => names.contains(text),
            (Rule::Text { format, min }, Value::Text(text)) => text.chars().count() >= *min && reads(*format, text),
            (Rule::Number(bounds), Value::Integer(number)) => bounds.hold(*number as f64),
            (Rule::Number(bounds), Value::Float(number)) => bounds.hold(*number),
            (Rule::Integer { min, max }, Value::Integer(number)) => min <= number && number <= max,
            _ => false,
        };
        if !fits {
            let message = format!("`{path}` must be {}, not {}", wanted(rule), described(rule, node));
            self.found.push(Diagnostic::at(node.place, message).help(correction(rule, node)));
        }
    }

    fn table(&mut self, keys: &Keys, kind: Option<(&Union, &str)>, entries: &[Entry], place: Place, path: &str) {
        for entry in entries {
            let inner = join(path, &entry.key);
            match keys.known.get(&entry.key) {
                Some(rule) => self.value(rule, &entry.node, point_at(entry), &inner),
                None if keys.open => {}
                None => self.unknown(keys, kind, entry, path),
            }
        }
        for key in keys.required.iter().filter(|key| entries.iter().all(|entry| entry.key != **key)) {
            let rule = keys.known.get(key).map_or_else(String::new, |rule| format!(": {}", wanted(rule)));
            let message = format!("{} needs `{key}`{rule}", named(path, kind));
            self.found.push(Diagnostic::at(place, message));
        }
        if entries.len() < keys.count.0 || entries.len() > keys.count.1 {
            let others = keys.known.keys().filter(|key| !keys.required.contains(key));
            let message = format!("{} needs exactly one of {}", named(path, kind), list(others.map(String::as_str)));
            self.found.push(Diagnostic::at(place, message));
        }
    }

    fn union(&mut self, union: &Union, node: &Node, entries: &[Entry], place: Place, path: &str) {
        let tags = || union.kinds.iter().filter_map(|(names, _)| names.first()).map(String::as_str);
        let Some(tag) = node.child(&union.tag) else {
            let message = format!("{} needs `{}`, which says of what kind it is", named(path, None), union.tag);
            self.found.push(Diagnostic::at(place, message).help(format!("one of {}", list(tags()))));
            self.unknown_to_all(union, entries, path);
            return;
        };
        let kind = tag.text().and_then(|text| union.kinds.iter().find(|(names, _)| names.iter().any(|name| name == text)));
        if let Some((names, keys)) = kind {
            self.table(keys, Some((union, &names[0])), entries, place, path);
        } else {
            let message = format!("`{}` must be one of {}, not {}", join(path, &union.tag), list(tags()), found(tag));
            let meant = nearest(tag.text().unwrap_or(""), tags());
            self.found.push(Diagnostic::at(tag.place, message).help(meant.map(|name| format!("did you mean \"{name}\"?"))));
        }
    }

    /// Without its tag a table can still be told that no kind knows a key of it.
    fn unknown_to_all(&mut self, union: &Union, entries: &[Entry], path: &str) {
        let mut all = Keys::default();
        for (_, keys) in &union.kinds {
            all.known.extend(keys.known.clone());
        }
        for entry in entries.iter().filter(|entry| !all.known.contains_key(&entry.key)) {
            self.unknown(&all, None, entry, path);
        }
    }

    fn unknown(&mut self, keys: &Keys, kind: Option<(&Union, &str)>, entry: &Entry, path: &str) {
        let known: Vec<&str> = keys.known.keys().map(String::as_str).collect();
        let message = format!("unknown key `{}` in {}", entry.key, named(path, kind));
        let help = self.home_of(&entry.key, kind).filter(|_| nearest(&entry.key, known.clone()).is_none());
        let help = help.unwrap_or_else(|| advice(&entry.key, known, "the keys known here are"));
        self.found.push(Diagnostic::at(entry.place, message).help(help));
    }

    /// Where a key that is unknown here would be known.
    fn home_of(&self, key: &str, kind: Option<(&Union, &str)>) -> Option<String> {
        if let Some((union, _)) = kind {
            let owners = union.kinds.iter().filter(|(_, keys)| keys.known.contains_key(key));
            let owners: Vec<&str> = owners.filter_map(|(names, _)| names.first()).map(String::as_str).collect();
            if !owners.is_empty() {
                let owners: Vec<String> = owners.iter().map(|owner| format!("\"{owner}\"")).collect();
                return Some(format!("`{key}` belongs to {} {}", union.tag, owners.join(", ")));
            }
        }
        let mut homes = Vec::new();
        homes_of(self.root, key, "", &mut homes);
        match homes.as_slice() {
            [only] => Some(format!("it belongs in `{only}`")),
            _ => None,
        }
    }
}

fn homes_of(rule: &Rule, key: &str, path: &str, homes: &mut Vec<String>) {
    for keys in rule.tables() {
        if keys.known.contains_key(key) && !homes.iter().any(|home| home == path) && !path.is_empty() {
            homes.push(path.to_owned());
        }
        for (name, inner) in &keys.known {
            let inner = match inner {
                Rule::List { items, .. } => (items.as_ref(), format!("{}[]", join(path, name))),
                other => (other, join(path, name)),
            };
            homes_of(inner.0, key, &inner.1, homes);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn named(path: &str, kind: Option<(&Union, &str)>) -> String {
    match (path, kind) {
        ("", _) => "the scenario".to_owned(),
        (path, None) => format!("`{path}`"),
        (path, Some((union, name))) => format!("`{path}` of {} \"{name}\"", union.tag),
    }
}

/// A table is pointed at by its key: its own place may be all the lines it fills.
fn point_at(entry: &Entry) -> Place {
    match entry.node.value {
        Value::Table(_) => entry.place,
        _ => entry.node.place,
    }
}

fn reads(format: Format, text: &str) -> bool {
    match format {
        Format::Plain => true,
        Format::Duration => text.parse::<Span>().is_ok(),
        Format::Cost => text.parse::<Picos>().is_ok(),
        Format::Warmup => text.parse::<Warmup>().is_ok(),
        Format::Country => text.parse::<Country>().is_ok(),
    }
}

fn described(rule: &Rule, node: &Node) -> String {
    match (rule, node.text()) {
        (Rule::Text { .. }, Some("")) => "empty".to_owned(),
        _ => found(node),
    }
}

/// What was probably meant, where that can be told.
fn correction(rule: &Rule, node: &Node) -> Option<String> {
    match (rule, &node.value) {
        (Rule::Names(names), Value::Text(text)) => {
            nearest(text, names.iter().map(String::as_str)).map(|name| format!("did you mean \"{name}\"?"))
        }
        (Rule::Text { format: Format::Country, .. }, Value::Text(text)) => {
            let meant = text.trim().to_uppercase();
            meant.parse::<Country>().ok().map(|country| format!("write \"{country}\""))
        }
        (Rule::Text { format: Format::Country, .. }, _) => None,
        (Rule::Text { format, .. }, Value::Integer(number)) if *format != Format::Plain && *number >= 0 => {
            Some(format!("if seconds are meant, write \"{number}s\""))
        }
        (Rule::Text { format, .. }, Value::Float(number)) if *format != Format::Plain && *number >= 0.0 => {
            Some(format!("if seconds are meant, write \"{number}s\""))
        }
        (Rule::Text { format, .. }, Value::Text(text)) if *format != Format::Plain => unit(text),
        (Rule::Number(bounds), Value::Integer(_) | Value::Float(_)) if bounds.max == Some(1.0) => {
            let number = node.to_json().as_f64().filter(|number| *number >= 2.0 && *number <= 100.0)?;
            Some(format!("if {number} % is meant, write {}", number / 100.0))
        }
        (Rule::Number(_) | Rule::Integer { .. }, Value::Text(text)) => text
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(|_| format!("write {} without quotes", text.trim())),
        _ => None,
    }
}

/// The unit that a word for one stands for.
fn unit(text: &str) -> Option<String> {
    spelled(text).map(|written| format!("write \"{written}\""))
}

/// How a duration is written that `text` was meant to be: `1s` for `1 sec`; `None` where it cannot be told.
#[must_use]
pub fn spelled(text: &str) -> Option<String> {
    let text = text.trim();
    let cut = text.find(|c: char| c.is_alphabetic())?;
    let unit = match text[cut..].to_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "msec" | "msecs" | "millis" | "milliseconds" => "ms",
        "usec" | "µs" | "micros" | "microseconds" => "us",
        _ => return None,
    };
    let number = text[..cut].trim();
    let written = format!("{number}{unit}");
    written.parse::<Span>().ok().map(|_| written)
}

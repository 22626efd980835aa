//! How rules and values are named to a person.

use super::rule::{Bounds, Format, Rule};
use crate::scenario::tree::{Node, Value};

/// Likeness (Jaro-Winkler, 0 to 1) from which on a word is taken to be meant.
const LIKENESS_MIN: f64 = 0.82;

/// The one of `known` that `word` was most likely meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    let scored = known.into_iter().map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate));
    let best = scored.filter(|(score, _)| *score >= LIKENESS_MIN).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, candidate)| candidate)
}

/// "did you mean `x`?" or, where nothing is near, the list of what is known.
pub fn advice<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone, what: &str) -> String {
    match nearest(word, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{what}: {}", list(known)),
    }
}

/// `a`, `b`, `c`.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// What a rule wants: "a number above 0".
pub fn wanted(rule: &Rule) -> String {
    match rule {
        Rule::Any => "anything".to_owned(),
        Rule::Table(_) => "a table".to_owned(),
        Rule::Union(union) => {
            let first = union.kinds.first().and_then(|(names, _)| names.first()).map_or("", String::as_str);
            format!("a table with its `{}`, like {{ {} = \"{first}\", ... }}", union.tag, union.tag)
        }
        Rule::Names(names) => match names.as_slice() {
            [only] => format!("\"{only}\""),
            _ => format!("one of {}", list(names.iter().map(String::as_str))),
        },
        Rule::List { .. } => "a list".to_owned(),
        Rule::Text { format: Format::Plain, .. } => "a text in quotes".to_owned(),
        Rule::Text { format: Format::Duration, .. } => {
            "a duration in quotes with its unit, like \"300s\", \"5m\" or \"1.5ms\"".to_owned()
        }
        Rule::Text { format: Format::Cost, .. } => {
            "a duration of at most an hour in quotes with its unit, like \"13.9ms\" or \"39.1ns\"".to_owned()
        }
        Rule::Text { format: Format::Warmup, .. } => "a duration in quotes, like \"60s\", or \"mser5\"".to_owned(),
        Rule::Number(bounds) => number(bounds),
        Rule::Integer { min, max } if min == max => format!("{min}"),
        Rule::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Rule::Boolean => "`true` or `false`".to_owned(),
    }
}

fn number(bounds: &Bounds) -> String {
    match (bounds.min, bounds.above, bounds.max) {
        (Some(min), _, Some(max)) => format!("a number from {min} to {max}"),
        (_, Some(above), _) => format!("a number above {above}"),
        (Some(min), ..) => format!("a number of at least {min}"),
        (None, None, Some(max)) => format!("a number of at most {max}"),
        (None, None, None) => "a finite number".to_owned(),
    }
}

/// What a value is: "the number -3".
pub fn found(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => format!("the text \"{}\"", shorten(text)),
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(truth) => format!("`{truth}`"),
        Value::Moment(moment) => format!("the date {moment}"),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > SHOWN { shown + "..." } else { shown }
}

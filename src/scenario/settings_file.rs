//! A file of settings alone: a `[policy]` table or its content, by the same rules as a scenario's.

use std::path::Path as FilePath;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::load::read_text;
use super::schema::{self, Rule};
use super::semantic;
use super::source::Sources;
use super::tree::{Entry, Node, Value};
use crate::policy::Settings;

/// The key of the settings' table in a scenario.
const TABLE: &str = "policy";
/// Keys that only a scenario has.
const SCENARIO_KEYS: [&str; 3] = ["schema", "upstream", "class"];

/// What a file that names policies holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A whole scenario.
    Scenario,
    /// Settings alone.
    Settings,
}

/// Whether the file at `path` is a scenario or settings alone. What cannot be read or is no TOML counts as a scenario, whose
/// reader says what is wrong.
#[must_use]
pub fn holds(path: &FilePath) -> Holds {
    let tree = read_text(path).ok().and_then(|text| Node::parse_document(0, &text).ok());
    let is_scenario = |tree: Node| SCENARIO_KEYS.iter().any(|key| tree.child(key).is_some());
    if tree.is_none_or(is_scenario) { Holds::Scenario } else { Holds::Settings }
}

/// Reads a file of settings alone.
///
/// # Errors
/// All that is wrong with it.
pub fn read_settings(path: &FilePath) -> Result<Settings, Diagnostics> {
    let shown = path.display().to_string();
    match read_text(path) {
        Ok(text) => parse_settings(&shown, &text),
        Err(why) => {
            let wrong = Diagnostic::whole(format!("cannot read the settings `{shown}`: {why}"));
            Err(Diagnostics::new(Sources::default(), vec![wrong]))
        }
    }
}

/// The same from a text, `shown` being its name in messages.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_settings(shown: &str, text: &str) -> Result<Settings, Diagnostics> {
    let mut sources = Sources::default();
    let source = sources.add_file(shown, text);
    let refuse = |found: Vec<Diagnostic>| Diagnostics::new(sources.clone(), found);
    let tree = wrapped(Node::parse_document(source, text).map_err(|wrong| refuse(vec![wrong]))?);
    let found = schema::check(&rule(), &tree);
    if !found.is_empty() {
        return Err(refuse(found));
    }
    let content = tree.child(TABLE).map_or_else(|| tree.to_json(), Node::to_json);
    let settings: Settings =
        serde_json::from_value(content).map_err(|error| refuse(vec![Diagnostic::whole(error.to_string())]))?;
    let found = semantic::check_settings(&settings, &tree);
    if found.is_empty() { Ok(settings) } else { Err(refuse(found)) }
}

/// The content in its table, so that messages name each setting as a scenario does.
fn wrapped(tree: Node) -> Node {
    if tree.child(TABLE).is_some() {
        return tree;
    }
    let place = tree.place;
    Node { place, value: Value::Table(vec![Entry { key: TABLE.to_owned(), place, node: tree }]) }
}

/// A scenario's rules, of which only the settings' table stays.
fn rule() -> Rule {
    match schema::sections_rule().clone() {
        Rule::Table(mut keys) => {
            keys.retain(&[TABLE]);
            Rule::Table(keys)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_its_content_are_the_same() {
        let content = "[queue]\nmax_queue_size = 7\n[limiter]\ntpm_limit = 90000\n";
        let table = content.replace('[', "[policy.");
        let settings = parse_settings("a.toml", content).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(settings.queue.as_ref().map(|queue| queue.max_queue_size.value()), Some(7));
        assert_eq!(parse_settings("a.toml", &table), Ok(settings));
        assert_eq!(parse_settings("a.toml", ""), Ok(Settings::default()));
    }

    #[test]
    fn every_setting_that_is_written_reads_back() {
        for settings in [Settings::seed_adapter(), Settings::seed(crate::units::Count::new(10).unwrap())] {
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(parse_settings("a.toml", &text), Ok(settings), "{text}");
        }
    }

    #[test]
    fn mistakes_have_places_and_the_names_that_scenarios_use() {
        let said = |text: &str| parse_settings("a.toml", text).unwrap_err().to_string();
        let unknown = said("[queue]\nmax_queue_sise = 7\n");
        assert!(unknown.contains("unknown key `max_queue_sise` in `policy.queue`"), "{unknown}");
        assert!(unknown.contains("a.toml:2:1") && unknown.contains("did you mean `max_queue_size`?"), "{unknown}");
        let other = said("[policy.queue]\n[run]\nseed = 1\n");
        assert!(other.contains("unknown key `run`") && other.contains("a.toml:2:"), "{other}");
        let headroom = said("limiter.headroom = 1\n");
        assert!(headroom.contains("a.toml:1:20") && headroom.contains("headroom"), "{headroom}");
    }
}

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
/// Sections beside it that are read by the program that runs the settings ([`Section`](super::Section)), and by nobody else.
const OTHERS: [&str; 1] = ["serve"];
/// Keys that only a scenario has.
const SCENARIO_KEYS: [&str; 3] = ["schema", "upstream", "class"];

/// What a file that names policies holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A whole scenario.
    Scenario,
    /// Settings alone.
    Settings,
    /// A running system's environment.
    Environment,
}

/// What the file at `path` holds. What cannot be read or is no TOML counts as a scenario, whose reader says what is wrong.
#[must_use]
pub fn holds(path: &FilePath) -> Holds {
    let Ok(text) = read_text(path) else { return Holds::Scenario };
    let or_settings = || if Node::parse_document(0, &text).is_ok() { Holds::Settings } else { Holds::Scenario };
    kind(&text).unwrap_or_else(or_settings)
}

/// What a text plainly holds; `None` where it could be anything.
#[must_use]
pub fn kind(text: &str) -> Option<Holds> {
    if begins_an_environment(text) {
        return Some(Holds::Environment);
    }
    let tree = Node::parse_document(0, text).ok()?;
    if SCENARIO_KEYS.iter().any(|key| tree.child(key).is_some()) {
        return Some(Holds::Scenario);
    }
    let Value::Table(entries) = &tree.value else { return None };
    let alone = !entries.is_empty() && entries.iter().all(|entry| is_ours(&entry.key));
    alone.then_some(Holds::Settings)
}

/// Whether the first line that says anything is `NAME=value`, the name in capitals as no key of ours is.
fn begins_an_environment(text: &str) -> bool {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#'));
    let name = first.and_then(|line| line.strip_prefix("export ").unwrap_or(line).split_once('=')).map(|(name, _)| name.trim());
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

/// Whether a file of settings has such a key.
fn is_ours(key: &str) -> bool {
    key == TABLE || OTHERS.contains(&key) || is_section(key)
}

/// Whether the settings' table has such a section.
fn is_section(key: &str) -> bool {
    let Rule::Table(keys) = schema::sections_rule() else { return false };
    matches!(keys.known.get(TABLE), Some(Rule::Table(sections)) if sections.known.contains_key(key))
}

/// What is wrong with a text that is plainly no scenario, and what to do with it.
pub(super) fn not_a_scenario(shown: &str, text: &str) -> Option<Diagnostic> {
    let (what, help) = match kind(text)? {
        Holds::Scenario => return None,
        Holds::Settings => (
            "settings alone",
            format!(
                "put them into a scenario's `[policy]` (`plimsoll export {shown} --as toml` writes one) and name that scenario"
            ),
        ),
        Holds::Environment => (
            "an environment (lines `NAME=value`)",
            format!("name a scenario here, and this file behind `--from-env`: `SCENARIO --from-env {shown}`"),
        ),
    };
    Some(Diagnostic::whole(format!("`{shown}` holds {what}, and no scenario")).help(help))
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
    let read = Node::parse_document(source, text).map(wrapped).map_err(|wrong| vec![wrong]).and_then(|mut tree| {
        if let Value::Table(entries) = &mut tree.value {
            entries.retain(|entry| !OTHERS.contains(&entry.key.as_str())); // checked by who reads them
        }
        settings_in(&tree, &rule())
    });
    read.map_err(|found| Diagnostics::new(sources, found))
}

/// The settings in a tree that must be as `rule` says.
pub(super) fn settings_in(tree: &Node, rule: &Rule) -> Result<Settings, Vec<Diagnostic>> {
    let found = schema::check(rule, tree);
    if !found.is_empty() {
        return Err(found);
    }
    let content = tree.child(TABLE).map_or_else(|| serde_json::json!({}), Node::to_json);
    let settings: Settings = serde_json::from_value(content).map_err(|error| vec![Diagnostic::whole(error.to_string())])?;
    let found = semantic::check_settings(&settings, tree);
    if found.is_empty() { Ok(settings) } else { Err(found) }
}

/// The content in its table, so that messages name each setting as a scenario does.
pub(super) fn wrapped(tree: Node) -> Node {
    if tree.child(TABLE).is_some() {
        return tree;
    }
    let place = tree.place;
    let (others, content) = match tree.value {
        Value::Table(entries) => entries.into_iter().partition(|entry| OTHERS.contains(&entry.key.as_str())),
        _ => (Vec::new(), Vec::new()), // a document is a table
    };
    let node = Node { place, value: Value::Table(content) };
    let mut entries = vec![Entry { key: TABLE.to_owned(), place, node }];
    entries.extend::<Vec<Entry>>(others);
    Node { place, value: Value::Table(entries) }
}

/// A scenario's rules, of which only the settings' table stays.
pub(super) fn rule() -> Rule {
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
    fn kinds_of_files_are_told_apart() {
        let environments = ["OPENAI_TPM_LIMIT=1\n", "# ours\n\nexport  A_1 = x y\n", "\u{feff}OTHER='1'\nnonsense"];
        assert!(environments.iter().all(|text| kind(text) == Some(Holds::Environment)));
        for text in
            ["[queue]\n", "queue.max_queue_size = 7\n[limiter]\n", "[policy]\n", "policy.queue = {}\n[lane]\n", "[serve]\n"]
        {
            assert_eq!(kind(text), Some(Holds::Settings), "{text}");
        }
        assert!(
            ["schema = 1\n", "[upstream]\n[policy]\n", "[[class]]\n"].iter().all(|text| kind(text) == Some(Holds::Scenario))
        );
        for text in ["", "# nothing", "dear reader", "[run]\n[policy]\n", "[queu]\n", "a = 1\n", "A b = 1\n", "=1", "1A=1\n"] {
            assert_eq!(kind(text), None, "{text}");
        }
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

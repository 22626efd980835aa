//! A file of settings with a section beside them for the program that runs them: its types stand in a room above, its
//! mistakes are told as all others are.

use std::path::Path as FilePath;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::load::read_text;
use super::schema::{self, Rule};
use super::settings_file::{rule, settings_in, wrapped};
use super::source::Sources;
use super::tree::{Node, Value};
use crate::policy::Settings;

/// A section beside `[policy]`. Where it is absent, its default holds.
pub trait Section: DeserializeOwned + JsonSchema + Default {
    /// Its key; one of those that files of settings may have.
    const KEY: &'static str;

    /// What is wrong with values that are each in range.
    fn complaints(&self, settings: &Settings) -> Vec<Complaint>;
}

/// Something wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Which, from the file's top: `serve.class[1].name`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// Reads a file of settings with a section beside them.
///
/// # Errors
/// All that is wrong with it.
pub fn read_settings_and<T: Section>(path: &FilePath) -> Result<(Settings, T), Diagnostics> {
    let shown = path.display().to_string();
    match read_text(path) {
        Ok(text) => parse_settings_and(&shown, &text),
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
pub fn parse_settings_and<T: Section>(shown: &str, text: &str) -> Result<(Settings, T), Diagnostics> {
    let mut sources = Sources::default();
    let source = sources.add_file(shown, text);
    read::<T>(source, shown, text).map_err(|found| Diagnostics::new(sources, found))
}

fn read<T: Section>(source: usize, shown: &str, text: &str) -> Result<(Settings, T), Vec<Diagnostic>> {
    let document = Node::parse_document(source, text).map_err(|wrong| vec![wrong])?;
    // An editor that empties a file before it writes must not take all policies away.
    if matches!(&document.value, Value::Table(entries) if entries.is_empty()) {
        let nothing = Diagnostic::whole(format!("`{shown}` says nothing"));
        return Err(vec![nothing.help("name the policies, or write `[policy]` alone to serve without any".to_owned())]);
    }
    let tree = wrapped(document);
    let settings = settings_in(&tree, &rule_with::<T>())?;
    let section = match tree.child(T::KEY).map(Node::to_json) {
        None => T::default(),
        Some(content) => serde_json::from_value(content).map_err(|error| vec![Diagnostic::whole(error.to_string())])?,
    };
    let place = |path: &str| tree.locate(&path.parse().expect("a section names its settings by well-formed paths"));
    let found: Vec<Diagnostic> = section
        .complaints(&settings)
        .into_iter()
        .map(|Complaint { path, message, help }| Diagnostic::at(place(&path), message).help(help))
        .collect();
    if found.is_empty() { Ok((settings, section)) } else { Err(found) }
}

fn rule_with<T: Section>() -> Rule {
    let section = Rule::compile(&schema::publish_of::<T>());
    match rule() {
        Rule::Table(mut keys) => {
            keys.known.insert(T::KEY.to_owned(), section.expect("a section's types use what rules can express"));
            Rule::Table(keys)
        }
        other => other,
    }
}

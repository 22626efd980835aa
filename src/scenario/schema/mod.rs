//! The published JSON Schema, and the rules made from it: what is published and what is enforced are the same thing.
//!
//! schemars makes a schema from the settings' Rust types; [`publish`] puts it into the plain form that both an editor and
//! our own [`Rule`]s understand (no nulls, which TOML has not; each variant of a tagged union one closed object).

mod check;
mod rule;
mod words;

pub use check::{check, spelled};
pub use rule::{Bounds, Format, Keys, Rule, Union, UnknownKeyword};
pub use words::{list, nearest};

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::file::ScenarioFile;

/// The JSON Schema (draft 2020-12) of scenario files.
#[must_use]
pub fn publish() -> Value {
    let mut schema = publish_of::<ScenarioFile>();
    schema["$id"] = json!("urn:plimsoll:scenario:1");
    schema["title"] = json!("Plimsoll scenario");
    schema
}

/// The same of another type, in the form that [`Rule`]s are made from.
#[must_use]
pub fn publish_of<T: JsonSchema>() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    let definitions = schema["$defs"].clone();
    normalise(&mut schema, &definitions);
    schema
}

/// The rules of a whole scenario file.
#[must_use]
pub fn file_rule() -> &'static Rule {
    static RULE: LazyLock<Rule> =
        LazyLock::new(|| Rule::compile(&publish()).expect("a test shows that every keyword of the schema is understood"));
    &RULE
}

/// The rules of the four sections that variants overlay.
#[must_use]
pub fn sections_rule() -> &'static Rule {
    static RULE: LazyLock<Rule> = LazyLock::new(|| match file_rule().clone() {
        Rule::Table(mut keys) => {
            keys.retain(&super::SECTIONS);
            Rule::Table(keys)
        }
        other => other,
    });
    &RULE
}

fn normalise(schema: &mut Value, definitions: &Value) {
    match schema {
        Value::Object(object) => {
            drop_null(object);
            inline_reference(object, definitions);
            object.values_mut().for_each(|value| normalise(value, definitions));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| normalise(item, definitions)),
        _ => {}
    }
}

/// `anyOf: [X, null]` and `type: [T, null]` become X and T: TOML has no null, what is absent is not written.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            object["type"] = only.clone();
        }
    }
    let null = json!({ "type": "null" });
    let only = object.get("anyOf").and_then(Value::as_array).and_then(|any| match any.as_slice() {
        [only, last] if *last == null => only.as_object().cloned(),
        _ => None,
    });
    if let Some(only) = only {
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
}

/// A variant of a tagged union that holds a struct comes as `$ref` beside the tag's property, where neither part may be
/// closed to the other's keys. Both become one closed object.
fn inline_reference(object: &mut Map<String, Value>, definitions: &Value) {
    if !object.contains_key("properties") {
        return;
    }
    let Some(Value::String(reference)) = object.remove("$ref") else { return };
    let target = &definitions[reference.trim_start_matches("#/$defs/")];
    for key in ["properties", "required"] {
        match (object.get_mut(key), &target[key]) {
            (Some(Value::Object(own)), Value::Object(theirs)) => own.extend(theirs.clone()),
            (Some(Value::Array(own)), Value::Array(theirs)) => own.extend(theirs.clone()),
            _ => {}
        }
    }
    object.insert("additionalProperties".to_owned(), json!(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_of_the_published_schema_is_enforced() {
        assert_eq!(Rule::compile(&publish()).map(|_| ()), Ok(()));
    }

    #[test]
    fn every_object_is_closed_but_the_overlays() {
        fn walk(schema: &Value, path: &str) {
            if let Value::Object(object) = schema {
                if object.contains_key("properties") {
                    assert_eq!(object.get("additionalProperties"), Some(&json!(false)), "{path} is open");
                }
                for (key, value) in object {
                    walk(value, &format!("{path}/{key}"));
                }
            } else if let Value::Array(items) = schema {
                for item in items {
                    walk(item, path);
                }
            }
        }
        walk(&publish(), "");
    }

    #[test]
    fn the_schema_knows_no_null() {
        assert!(!publish().to_string().contains("\"null\""));
    }
}

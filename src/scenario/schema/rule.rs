//! The rules behind a JSON Schema, in the form that values are checked against.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Deepest nesting of references; none of our settings contains itself.
const DEPTH_MAX: usize = 32;

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Anything.
    Any,
    /// A table.
    Table(Keys),
    /// A table that says by a tag which kind it is.
    Union(Union),
    /// One of these strings.
    Names(Vec<String>),
    /// A list.
    List {
        /// What each item must be.
        items: Box<Rule>,
        /// Least number of them.
        min: usize,
        /// Greatest number of them.
        max: usize,
    },
    /// A string.
    Text {
        /// What it must read as.
        format: Format,
        /// Least number of characters.
        min: usize,
    },
    /// A finite number.
    Number(Bounds),
    /// A whole number.
    Integer {
        /// Smallest.
        min: i128,
        /// Largest.
        max: i128,
    },
    /// `true` or `false`.
    Boolean,
}

/// What a string must read as.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Any text.
    Plain,
    /// A [`crate::time::Span`].
    Duration,
    /// A [`crate::upstream::Picos`].
    Cost,
    /// A [`crate::scenario::Warmup`].
    Warmup,
    /// A [`crate::request::Country`].
    Country,
}

/// Bounds of a number.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Smallest.
    pub min: Option<f64>,
    /// Greater than this.
    pub above: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
}

impl Bounds {
    /// Whether a number is finite and within.
    #[must_use]
    pub fn hold(&self, number: f64) -> bool {
        number.is_finite()
            && self.min.is_none_or(|min| number >= min)
            && self.above.is_none_or(|above| number > above)
            && self.max.is_none_or(|max| number <= max)
    }
}

/// The keys of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    /// Those known, with what their values must be.
    pub known: BTreeMap<String, Rule>,
    /// Those that must be there.
    pub required: Vec<String>,
    /// Whether others may be there.
    pub open: bool,
    /// How many there must be at least and at most.
    pub count: (usize, usize),
}

impl Keys {
    /// Forgets all keys but these.
    pub fn retain(&mut self, names: &[&str]) {
        self.known.retain(|key, _| names.contains(&key.as_str()));
        self.required.retain(|key| names.contains(&key.as_str()));
    }
}

/// A union told apart by a tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Union {
    /// The key that tells.
    pub tag: String,
    /// Its spellings (the first is the main one) and the keys of each kind.
    pub kinds: Vec<(Vec<String>, Keys)>,
}

/// A part of a schema that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema's `{0}` is not understood")]
pub struct UnknownKeyword(String);

/// Keywords that tell people something and ask nothing of values.
const ANNOTATIONS: [&str; 9] =
    ["$schema", "$id", "$defs", "title", "description", "default", "examples", "pattern", "additionalProperties"];

impl Rule {
    /// The rules behind a schema.
    ///
    /// # Errors
    /// Where the schema uses what these rules cannot express: the caller's types have outgrown this file.
    pub fn compile(schema: &Value) -> Result<Self, UnknownKeyword> {
        Compiler { definitions: &schema["$defs"] }.rule(schema, 0)
    }

    /// The keys of a table, whatever its kind.
    pub fn tables(&self) -> impl Iterator<Item = &Keys> {
        let one = match self {
            Self::Table(keys) => Some(keys),
            _ => None,
        };
        let kinds = match self {
            Self::Union(union) => union.kinds.as_slice(),
            _ => &[],
        };
        one.into_iter().chain(kinds.iter().map(|(_, keys)| keys))
    }
}

struct Compiler<'a> {
    definitions: &'a Value,
}

impl Compiler<'_> {
    fn rule(&self, schema: &Value, depth: usize) -> Result<Rule, UnknownKeyword> {
        let Value::Object(object) = schema else {
            return if *schema == Value::Bool(true) { Ok(Rule::Any) } else { unknown(schema) };
        };
        if depth > DEPTH_MAX {
            return unknown(schema);
        }
        if let Some(Value::String(reference)) = object.get("$ref") {
            only(object, &["$ref"])?;
            return self.rule(&self.definitions[reference.trim_start_matches("#/$defs/")], depth + 1);
        }
        if let Some(Value::Array(choices)) = object.get("oneOf") {
            only(object, &["oneOf"])?;
            return self.choice(choices, depth);
        }
        match object.get("type").and_then(Value::as_str) {
            Some("object") => Ok(Rule::Table(self.keys(object, depth)?)),
            Some("array") => {
                only(object, &["type", "items", "minItems", "maxItems"])?;
                let items = object.get("items").map_or(Ok(Rule::Any), |items| self.rule(items, depth + 1))?;
                let (min, max) = (size(object, "minItems", 0), size(object, "maxItems", usize::MAX));
                Ok(Rule::List { items: Box::new(items), min, max })
            }
            Some("string") => text(object),
            Some("number") => {
                only(object, &["type", "format", "minimum", "exclusiveMinimum", "maximum"])?;
                let bound = |name: &str| object.get(name).and_then(Value::as_f64);
                Ok(Rule::Number(Bounds { min: bound("minimum"), above: bound("exclusiveMinimum"), max: bound("maximum") }))
            }
            Some("integer") => integer(object),
            Some("boolean") => only(object, &["type"]).map(|()| Rule::Boolean),
            Some(_) => unknown(schema),
            None => only(object, &[]).map(|()| Rule::Any),
        }
    }

    fn choice(&self, choices: &[Value], depth: usize) -> Result<Rule, UnknownKeyword> {
        if choices.iter().all(|choice| choice["type"] == "string") {
            return Ok(Rule::Names(choices.iter().flat_map(spellings).collect()));
        }
        let tag = tag(choices).ok_or_else(|| UnknownKeyword("oneOf".to_owned()))?;
        let kinds = choices.iter().map(|choice| {
            let object = choice.as_object().ok_or_else(|| UnknownKeyword("oneOf".to_owned()))?;
            Ok((spellings(&choice["properties"][&tag]), self.keys(object, depth)?))
        });
        Ok(Rule::Union(Union { kinds: kinds.collect::<Result<_, _>>()?, tag }))
    }

    fn keys(&self, object: &Map<String, Value>, depth: usize) -> Result<Keys, UnknownKeyword> {
        only(object, &["type", "properties", "required", "minProperties", "maxProperties"])?;
        let mut keys = Keys {
            open: object.get("additionalProperties") != Some(&Value::Bool(false)),
            count: (size(object, "minProperties", 0), size(object, "maxProperties", usize::MAX)),
            ..Keys::default()
        };
        for (name, schema) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            keys.known.insert(name.clone(), self.rule(schema, depth + 1)?);
        }
        let required = object.get("required").and_then(Value::as_array).into_iter().flatten();
        keys.required = required.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        Ok(keys)
    }
}

/// The property that has fixed spellings in every choice.
fn tag(choices: &[Value]) -> Option<String> {
    let mut candidates = choices.first()?["properties"].as_object()?.keys();
    candidates.find(|key| choices.iter().all(|choice| !spellings(&choice["properties"][key]).is_empty())).cloned()
}

fn spellings(schema: &Value) -> Vec<String> {
    let names = schema["enum"].as_array().map_or(std::slice::from_ref(&schema["const"]), Vec::as_slice);
    names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn text(object: &Map<String, Value>) -> Result<Rule, UnknownKeyword> {
    only(object, &["type", "format", "const", "enum", "minLength"])?;
    let names = spellings(&Value::Object(object.clone()));
    if !names.is_empty() {
        return Ok(Rule::Names(names));
    }
    let format = match object.get("format").and_then(Value::as_str) {
        None if object.contains_key("pattern") => return Err(UnknownKeyword("pattern".to_owned())),
        None => Format::Plain,
        Some("plimsoll-duration") => Format::Duration,
        Some("plimsoll-cost") => Format::Cost,
        Some("plimsoll-warmup") => Format::Warmup,
        Some("plimsoll-country") => Format::Country,
        Some(other) => return Err(UnknownKeyword(other.to_owned())),
    };
    Ok(Rule::Text { format, min: size(object, "minLength", 0) })
}

fn integer(object: &Map<String, Value>) -> Result<Rule, UnknownKeyword> {
    only(object, &["type", "format", "minimum", "maximum"])?;
    let (min, max) = match object.get("format").and_then(Value::as_str) {
        Some("uint8") => (0, i128::from(u8::MAX)),
        Some("uint16") => (0, i128::from(u16::MAX)),
        Some("uint32") => (0, i128::from(u32::MAX)),
        Some("uint64") => (0, i128::from(u64::MAX)),
        None => (i128::from(i64::MIN), i128::from(i64::MAX)),
        Some(other) => return Err(UnknownKeyword(other.to_owned())),
    };
    let bound = |name: &str| object.get(name).and_then(Value::as_i64).map(i128::from);
    Ok(Rule::Integer { min: bound("minimum").unwrap_or(min).max(min), max: bound("maximum").unwrap_or(max).min(max) })
}

fn size(object: &Map<String, Value>, name: &str, default: usize) -> usize {
    object.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok()).unwrap_or(default)
}

fn only(object: &Map<String, Value>, keywords: &[&str]) -> Result<(), UnknownKeyword> {
    let stranger = object.keys().find(|key| !keywords.contains(&key.as_str()) && !ANNOTATIONS.contains(&key.as_str()));
    stranger.map_or(Ok(()), |key| Err(UnknownKeyword(key.clone())))
}

fn unknown<T>(schema: &Value) -> Result<T, UnknownKeyword> {
    Err(UnknownKeyword(schema.to_string()))
}

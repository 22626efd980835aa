//! A scenario as a tree of values, each of which knows where it was written.
//!
//! Overlays and `--set` change the tree; a value keeps the place it came from, so that what is wrong with it can be shown
//! there, whatever it was merged into.

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::path::{Path, Step};
use super::source::Place;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// A TOML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i128),
    /// A float, which may be infinite or no number.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or a time of day, of which no setting is made.
    Moment(String),
    /// An array, or an array of tables.
    List(Vec<Node>),
    /// A table, its keys different.
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub place: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Reads a whole document.
    ///
    /// # Errors
    /// The first place at which it is not TOML.
    pub fn parse_document(source: usize, text: &str) -> Result<Self, Diagnostic> {
        match DeTable::parse(text) {
            Ok(table) => {
                let reader = Reader { source, offset: 0 };
                Ok(Self { place: Place::new(source, 0, 0), value: reader.table(table.get_ref())? })
            }
            Err(error) => {
                let span = error.span().unwrap_or(text.len()..text.len());
                let message = format!("this is not TOML: {}", error.message());
                Err(Diagnostic::at(Place::new(source, span.start, span.end), message))
            }
        }
    }

    /// Reads one value that stands at byte `offset` of its source: TOML if it can be read as such, else a string.
    #[must_use]
    pub fn parse_value(source: usize, offset: usize, text: &str) -> Self {
        let reader = Reader { source, offset };
        DeValue::parse(text).ok().and_then(|value| reader.node(&value).ok()).unwrap_or_else(|| Self {
            place: Place::new(source, offset, offset + text.len()),
            value: Value::Text(text.to_owned()),
        })
    }

    /// An empty table.
    #[must_use]
    pub const fn empty(place: Place) -> Self {
        Self { place, value: Value::Table(Vec::new()) }
    }

    /// The entry under `key`, if this is a table that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value under `key`.
    #[must_use]
    pub fn child(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The string, if this is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The place of the value at `path`, or of the last thing there is on the way to it.
    #[must_use]
    pub fn locate(&self, path: &Path) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in path.steps() {
            let next = match step {
                Step::Key(key) => node.child(key),
                Step::Index(index) => node.items().get(*index),
            };
            match next {
                Some(next) => (node, place) = (next, next.place),
                None => break,
            }
        }
        place
    }

    /// The same without places, as JSON. A float that JSON cannot hold becomes null (a schema takes neither).
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Text(text) | Value::Moment(text) => Json::from(text.as_str()),
            Value::Integer(number) => {
                i64::try_from(*number).map(Json::from).or_else(|_| u64::try_from(*number).map(Json::from)).unwrap_or(Json::Null)
            }
            Value::Float(number) => Json::from(*number),
            Value::Boolean(truth) => Json::from(*truth),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
        }
    }
}

/// Turns the parser's values into ours.
struct Reader {
    source: usize,
    offset: usize,
}

impl Reader {
    fn place<T>(&self, spanned: &Spanned<T>) -> Place {
        let span = spanned.span();
        Place::new(self.source, self.offset + span.start, self.offset + span.end)
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Result<Node, Diagnostic> {
        let place = self.place(value);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(number) => {
                let read = i128::from_str_radix(number.as_str(), number.radix());
                Value::Integer(read.map_err(|_| Diagnostic::at(place, "this number is too large".to_owned()))?)
            }
            DeValue::Float(number) => {
                let read = number.as_str().parse();
                Value::Float(read.map_err(|_| Diagnostic::at(place, "this is not a number".to_owned()))?)
            }
            DeValue::Boolean(truth) => Value::Boolean(*truth),
            DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?),
            DeValue::Table(table) => self.table(table)?,
        };
        Ok(Node { place, value })
    }

    fn table(&self, table: &DeTable<'_>) -> Result<Value, Diagnostic> {
        let entries = table.iter().map(|(key, value)| {
            let node = self.node(value)?;
            Ok(Entry { key: key.get_ref().clone().into_owned(), place: self.place(key), node })
        });
        Ok(Value::Table(entries.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_where_it_stands() {
        let text = "a = 1\n[b]\nc = [1.5, \"x\"]\n";
        let tree = Node::parse_document(0, text).unwrap();
        let place = tree.locate(&"b.c[1]".parse().unwrap());
        assert_eq!(place, Place::new(0, 20, 23));
        assert_eq!(&text[20..23], "\"x\"");
        assert_eq!(tree.to_json(), serde_json::json!({"a": 1, "b": {"c": [1.5, "x"]}}));
    }

    #[test]
    fn a_value_that_is_not_toml_is_a_string() {
        assert_eq!(Node::parse_value(1, 4, "2s").value, Value::Text("2s".into()));
        assert_eq!(Node::parse_value(1, 4, "0.5").value, Value::Float(0.5));
        assert_eq!(Node::parse_value(1, 4, "0.5").place, Place::new(1, 4, 7));
        assert_eq!(Node::parse_value(1, 4, "1 2").value, Value::Text("1 2".into()));
    }
}

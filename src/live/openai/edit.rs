//! A request's body with a few bytes of it changed: the answer's limit, and the wish for its usage.

use super::fields::{Object, object};
use super::request::{Endpoint, NotARequest};

/// What to change in a body.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The limit on the answer, tokens: in place of the one that stands there, or added.
    pub max_tokens: Option<u32>,
    /// Asks for the usage at the end of the stream.
    pub include_usage: bool,
}

impl Edit {
    /// Whether there is nothing to change.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.max_tokens.is_none() && !self.include_usage
    }

    /// The same body with these changes, every other byte as it was. What is added stands at the end: of two fields with one
    /// name readers of JSON take the last.
    ///
    /// # Errors
    /// A body that is no JSON object.
    pub fn apply(&self, endpoint: Endpoint, body: &[u8]) -> Result<Vec<u8>, NotARequest> {
        let whole = object(body, 0).ok_or_else(NotARequest::no_object)?;
        let mut patches = Vec::new();
        let mut added = Vec::new();
        if let Some(most) = self.max_tokens {
            limit(endpoint, body, &whole, most, &mut patches, &mut added);
        }
        if self.include_usage {
            ask_for_usage(body, &whole, &mut patches, &mut added);
        }
        if !added.is_empty() {
            let comma = if whole.fields.is_empty() { "" } else { "," };
            patches.push((whole.close..whole.close, format!("{comma}{}", added.join(","))));
        }
        Ok(patched(body, patches))
    }
}

type Patch = (std::ops::Range<usize>, String);

fn values<'a>(body: &'a [u8], object: &'a Object, name: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    let named = move |field: &&super::fields::Field| &body[field.name.clone()] == name.as_bytes();
    object.fields.iter().filter(named).map(|field| field.value.clone())
}

fn limit(endpoint: Endpoint, body: &[u8], whole: &Object, most: u32, patches: &mut Vec<Patch>, added: &mut Vec<String>) {
    let names = ["max_tokens", "max_completion_tokens"];
    let written = names.into_iter().flat_map(|name| values(body, whole, name));
    let (nulls, stated): (Vec<_>, Vec<_>) = written.partition(|value| &body[value.clone()] == b"null");
    let replaced = if stated.is_empty() { nulls } else { stated };
    if replaced.is_empty() {
        let name = if endpoint == Endpoint::Chat { names[1] } else { names[0] };
        added.push(format!("\"{name}\":{most}"));
    }
    patches.extend(replaced.into_iter().map(|value| (value, most.to_string())));
}

fn ask_for_usage(body: &[u8], whole: &Object, patches: &mut Vec<Patch>, added: &mut Vec<String>) {
    let Some(options) = values(body, whole, "stream_options").last() else {
        added.push("\"stream_options\":{\"include_usage\":true}".to_owned());
        return;
    };
    let Some(inner) = object(body, options.start) else {
        patches.push((options, "{\"include_usage\":true}".to_owned()));
        return;
    };
    if let Some(value) = values(body, &inner, "include_usage").last() {
        patches.push((value, "true".to_owned()));
    } else {
        let comma = if inner.fields.is_empty() { "" } else { "," };
        patches.push((inner.close..inner.close, format!("{comma}\"include_usage\":true")));
    }
}

fn patched(body: &[u8], mut patches: Vec<Patch>) -> Vec<u8> {
    patches.sort_by_key(|(range, _)| range.start);
    let mut changed = Vec::with_capacity(body.len() + 64);
    let mut from = 0;
    for (range, text) in patches {
        changed.extend_from_slice(&body[from..range.start]);
        changed.extend_from_slice(text.as_bytes());
        from = range.end;
    }
    changed.extend_from_slice(&body[from..]);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str, edit: Edit) -> String {
        let bytes = edit.apply(Endpoint::Completions, body.as_bytes()).expect("an object");
        String::from_utf8(bytes).expect("still a text")
    }

    #[test]
    fn nothing_else_moves() {
        let both = Edit { max_tokens: Some(7), include_usage: true };
        for (before, after) in [
            (
                r#"{"prompt": "é \"max_tokens\": 1",  "max_tokens" :16 , "n":1}"#,
                r#"{"prompt": "é \"max_tokens\": 1",  "max_tokens" :7 , "n":1,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"max_completion_tokens":9,"max_tokens":16,"stream_options":null}"#,
                r#"{"max_completion_tokens":7,"max_tokens":7,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":false,"x":[1,2]},"max_tokens":null}"#,
                r#"{"stream_options":{"include_usage":true,"x":[1,2]},"max_tokens":7}"#,
            ),
            (r#"{"stream_options": {} }"#, r#"{"stream_options": {"include_usage":true} ,"max_tokens":7}"#),
            ("{ }", r#"{ "max_tokens":7,"stream_options":{"include_usage":true}}"#),
        ] {
            assert_eq!(edited(before, both), after);
        }
        assert_eq!(edited(r#"{"a":1}"#, Edit::default()), r#"{"a":1}"#);
        assert!(Edit::default().apply(Endpoint::Chat, b"[1]").is_err());
    }
}

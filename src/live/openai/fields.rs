//! Where the fields of a JSON object stand in its text, for those who change a few bytes and leave the others alone.

use std::ops::Range;

/// A field: where its name (without quotes, escapes as written) and its value stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub name: Range<usize>,
    pub value: Range<usize>,
}

/// An object's fields in order, and where its closing brace stands.
pub(super) struct Object {
    pub fields: Vec<Field>,
    pub close: usize,
}

/// The text of a field of a JSON object, as written; of several with this name the last. `None` where there is none, or where
/// `body` is no object. The name is compared as written: an escape in it hides it.
#[must_use]
pub fn field<'a>(body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let object = object(body, 0)?;
    let last = object.fields.into_iter().rfind(|field| &body[field.name.clone()] == name.as_bytes())?;
    Some(&body[last.value])
}

/// The object that begins at or after `from`, behind white space. What is not well-formed is found out only as far as it
/// matters here: `body` has been read as JSON before.
pub(super) fn object(body: &[u8], from: usize) -> Option<Object> {
    let mut at = expect(body, from, b'{')?;
    let mut fields = Vec::new();
    if let Some(close) = expect(body, at, b'}') {
        return Some(Object { fields, close: close - 1 });
    }
    loop {
        let open = expect(body, at, b'"')?;
        let name = open..string_end(body, open)? - 1;
        let start = blank(body, expect(body, name.end + 1, b':')?);
        let value = start..value_end(body, start)?;
        at = value.end;
        fields.push(Field { name, value });
        match expect(body, at, b',') {
            Some(next) => at = next,
            None => return expect(body, at, b'}').map(|close| Object { fields, close: close - 1 }),
        }
    }
}

/// Behind white space.
fn blank(body: &[u8], from: usize) -> usize {
    let white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    from + body[from.min(body.len())..].iter().take_while(|byte| white(byte)).count()
}

/// Behind `byte`, where it comes next.
fn expect(body: &[u8], from: usize, byte: u8) -> Option<usize> {
    let at = blank(body, from);
    (body.get(at) == Some(&byte)).then_some(at + 1)
}

/// Behind the closing quote of a string whose opening quote is before `from`.
fn string_end(body: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match body.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Behind the value that begins at `from`.
fn value_end(body: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth) = (from, 0_usize);
    loop {
        match body.get(at)? {
            b'"' => at = string_end(body, at + 1)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b',' if depth == 0 => break,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
        if depth == 0 && matches!(body[at - 1], b'"' | b'}' | b']') {
            break;
        }
    }
    let white = body[from..at].iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
    (at > from + white).then_some(at - white)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_found_as_written() {
        let body = br#" { "a" : 1.5 ,"b":"x\"},{","c":[{"a":2},"]"], "d":null , "a":true} "#;
        let text = |name| field(body, name).map(|value| std::str::from_utf8(value).expect("ASCII"));
        assert_eq!(text("a"), Some("true"));
        assert_eq!(text("b"), Some(r#""x\"},{""#));
        assert_eq!(text("c"), Some(r#"[{"a":2},"]"]"#));
        assert_eq!(text("d"), Some("null"));
        assert_eq!(text("e"), None);
        assert_eq!(object(b"{}", 0).map(|object| (object.fields.len(), object.close)), Some((0, 1)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(body in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ a1".to_vec()), 0..40)) {
            if let Some(object) = object(&body, 0) {
                prop_assert!(object.fields.iter().all(|field| field.value.end <= object.close));
                prop_assert_eq!(body[object.close], b'}');
            }
        }

        #[test]
        fn it_agrees_with_a_parser(map in prop::collection::btree_map("[a-c]{1,2}", any::<(f64, String, Vec<u8>)>(), 0..5)) {
            let text = serde_json::to_vec_pretty(&map).expect("can be written");
            let read: serde_json::Value = serde_json::from_slice(&text).expect("was written");
            for name in map.keys() {
                let value: serde_json::Value = serde_json::from_slice(field(&text, name).expect("is there")).expect("a value");
                prop_assert_eq!(&value, &read[name]);
            }
        }
    }
}

//! Objects out of a JSON document that is too large to hold: the elements of an array, one at a time.
//!
//! Only the structure is followed (strings, brackets, keys); each object that is wanted is cut out as text and parsed by itself.

use std::io::{self, BufRead, Read};

use super::source::ROW_BYTES_MAX;

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 128;
/// Bytes looked at in one go.
const CHUNK_BYTES: u64 = 64 << 10;
/// Longest key that is remembered.
const KEY_BYTES_MAX: usize = 32;

/// Which objects are wanted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The elements of an array that is the whole document.
    Elements,
    /// The elements of each array under this key, wherever it stands.
    Under(&'static str),
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Its text.
    Text(Vec<u8>),
    /// Longer than [`ROW_BYTES_MAX`].
    TooLong,
}

/// Cuts objects out of a stream of bytes.
pub(super) struct Pieces {
    bytes: Box<dyn BufRead>,
    chunk: Vec<u8>,
    at: usize,
    wanted: Wanted,
    line: u64,
    stack: Vec<u8>,
    /// Depth of the array whose elements are wanted, inside it.
    array: Option<usize>,
    /// The latest string, as far as it may be a key.
    key: Vec<u8>,
    /// Whether `key` is followed by a colon.
    keyed: bool,
    text: Text,
    held: Option<Vec<u8>>,
    too_long: bool,
}

/// Where in a string.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

impl Pieces {
    pub fn new(bytes: Box<dyn BufRead>, wanted: Wanted) -> Self {
        Self {
            bytes,
            chunk: Vec::new(),
            at: 0,
            wanted,
            line: 1,
            stack: Vec::new(),
            array: None,
            key: Vec::new(),
            keyed: false,
            text: Text::Outside,
            held: None,
            too_long: false,
        }
    }

    /// The line that is being read, from 1.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// The next object and the line on which it ends; `None` at the end of the bytes.
    pub fn next(&mut self) -> io::Result<Option<(u64, Piece)>> {
        loop {
            while let Some(byte) = self.chunk.get(self.at).copied() {
                self.at += 1;
                if self.see(byte)? {
                    let text = self.held.take().unwrap_or_default();
                    let piece = if std::mem::take(&mut self.too_long) { Piece::TooLong } else { Piece::Text(text) };
                    return Ok(Some((self.line, piece)));
                }
            }
            self.at = 0;
            self.chunk.clear();
            if self.bytes.by_ref().take(CHUNK_BYTES).read_to_end(&mut self.chunk)? == 0 {
                return if self.stack.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Takes one byte in; says whether it ends an object that is wanted.
    fn see(&mut self, byte: u8) -> io::Result<bool> {
        self.line += u64::from(byte == b'\n');
        self.hold(byte);
        if self.text != Text::Outside {
            self.see_in_string(byte);
            return Ok(false);
        }
        match byte {
            b'"' => {
                self.text = Text::Inside;
                self.keyed = false;
                self.key.clear();
            }
            b':' => self.keyed = true,
            b'{' | b'[' => self.open(byte)?,
            b'}' | b']' => return self.close(byte),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keyed = false,
        }
        Ok(false)
    }

    fn see_in_string(&mut self, byte: u8) {
        match byte {
            _ if self.text == Text::Escaped => self.text = Text::Inside,
            b'\\' => self.text = Text::Escaped,
            b'"' => self.text = Text::Outside,
            _ if self.key.len() <= KEY_BYTES_MAX => self.key.push(byte),
            _ => {}
        }
    }

    fn open(&mut self, byte: u8) -> io::Result<()> {
        if self.stack.len() == DEPTH_MAX {
            return Err(io::Error::other(format!("nested more than {DEPTH_MAX} deep")));
        }
        if byte == b'{' && self.array == Some(self.stack.len()) {
            self.held = Some(vec![byte]);
        }
        let wanted = match self.wanted {
            Wanted::Elements => self.stack.is_empty(),
            Wanted::Under(key) => self.keyed && self.key == key.as_bytes(),
        };
        self.stack.push(byte);
        if byte == b'[' && wanted && self.array.is_none() {
            self.array = Some(self.stack.len());
        }
        self.keyed = false;
        Ok(())
    }

    fn close(&mut self, byte: u8) -> io::Result<bool> {
        let opened = if byte == b'}' { b'{' } else { b'[' };
        if self.stack.pop() != Some(opened) {
            return Err(io::Error::other(format!("`{}` closes nothing: not JSON", char::from(byte))));
        }
        if self.array.is_some_and(|inside| self.stack.len() < inside) {
            self.array = None;
        }
        self.keyed = false;
        Ok(self.held.is_some() && self.array == Some(self.stack.len()))
    }

    fn hold(&mut self, byte: u8) {
        let Some(held) = &mut self.held else { return };
        if held.len() < ROW_BYTES_MAX {
            held.push(byte);
        } else {
            self.too_long = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn all(text: &str, wanted: Wanted) -> Result<Vec<String>, String> {
        let mut pieces = Pieces::new(Box::new(Cursor::new(text.to_owned().into_bytes())), wanted);
        let mut found = Vec::new();
        while let Some((_, piece)) = pieces.next().map_err(|error| error.to_string())? {
            let Piece::Text(text) = piece else { panic!("short") };
            found.push(String::from_utf8(text).unwrap());
        }
        Ok(found)
    }

    #[test]
    fn elements_are_cut_out_whatever_stands_around_and_inside_them() {
        let spans = Wanted::Under("spans");
        let text = r#"{"a":{"x":"spans"},"scopeSpans":[{"spans" : [ {"b":"}]\""}, {"c":{"spans":[{}]}} ]}]}
            {"spans":[],"spans":[{"d":1}]}"#;
        assert_eq!(all(text, spans).unwrap(), [r#"{"b":"}]\""}"#, r#"{"c":{"spans":[{}]}}"#, r#"{"d":1}"#]);
        assert_eq!(all(r#"["spans",[{}],{"e":[{}]},1,{}]"#, Wanted::Elements).unwrap(), [r#"{"e":[{}]}"#, "{}"]);
    }

    #[test]
    fn what_is_no_document_is_an_error() {
        for text in ["{", "[{", "[}", "}", "{\"a", "[\"", &"[".repeat(200)] {
            let spans = all(text, Wanted::Under("spans"));
            assert!(spans.is_err() || text.ends_with("\"a"), "{text}: {spans:?}");
        }
    }

    #[test]
    fn an_object_that_is_too_long_is_passed_over_without_being_held() {
        let (head, tail) = (&b"[{\"a\":\""[..], &b"\"},{}]"[..]);
        let bytes = head.chain(io::repeat(b'x').take(20 << 20)).chain(tail);
        let mut pieces = Pieces::new(Box::new(io::BufReader::new(bytes)), Wanted::Elements);
        assert_eq!(pieces.next().unwrap(), Some((1, Piece::TooLong)));
        assert_eq!(pieces.next().unwrap(), Some((1, Piece::Text(b"{}".to_vec()))));
        assert_eq!(pieces.next().unwrap(), None);
    }

    proptest! {
        /// Whatever the bytes, an answer and no panic.
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[\\[\\]{}\":,a\\\\ ]{0,60}") {
            for bytes in [bytes, text.into_bytes()] {
                for wanted in [Wanted::Elements, Wanted::Under("a")] {
                    let mut pieces = Pieces::new(Box::new(Cursor::new(bytes.clone())), wanted);
                    while let Ok(Some(_)) = pieces.next() {}
                }
            }
        }
    }
}

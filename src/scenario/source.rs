//! The texts that a scenario comes from, and places in them.

/// A stretch of bytes in one of the [`Sources`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    source: usize,
    start: usize,
    end: usize,
}

impl Place {
    /// Bytes `start..end` of the source that [`Sources::add_file`] or [`Sources::add_set`] numbered `source`.
    #[must_use]
    pub fn new(source: usize, start: usize, end: usize) -> Self {
        Self { source, start, end: end.max(start) }
    }

    /// A part of this place: `len` bytes from `offset` on, or the whole where the place is not that long.
    #[must_use]
    pub fn part(self, offset: usize, len: usize) -> Self {
        let start = self.start + offset;
        if start + len <= self.end { Self { start, end: start + len, ..self } } else { self }
    }

    /// The source's number.
    #[must_use]
    pub const fn source(self) -> usize {
        self.source
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it is a point between two bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// What kind of text a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The scenario file, by the name it was given.
    File(String),
    /// One `--set` option.
    Set,
}

/// The scenario file and the `--set` texts laid over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    texts: Vec<(Kind, String)>,
}

/// A [`Place`] as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// The file's name, or `--set 'text'`.
    pub name: String,
    /// Line from 1; `None` in a `--set`.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line itself.
    pub text: &'a str,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
}

impl Sources {
    /// Takes in the scenario file; its number.
    pub fn add_file(&mut self, name: &str, text: &str) -> usize {
        self.add(Kind::File(name.to_owned()), text)
    }

    /// Takes in a `--set` text; its number.
    pub fn add_set(&mut self, text: &str) -> usize {
        self.add(Kind::Set, text)
    }

    fn add(&mut self, kind: Kind, text: &str) -> usize {
        self.texts.push((kind, text.to_owned()));
        self.texts.len() - 1
    }

    /// Where `place` is, for a person. Offsets inside a character count as its beginning.
    #[must_use]
    pub fn position(&self, place: Place) -> Option<Position<'_>> {
        let (kind, text) = self.texts.get(place.source)?;
        let start = floor_boundary(text, place.start);
        let end = floor_boundary(text, place.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let shown = text[line_start..line_end].trim_end_matches('\r');
        let width = text[start..end.min(line_end)].trim_end().chars().count().max(1);
        Some(Position {
            name: match kind {
                Kind::File(name) => name.clone(),
                Kind::Set => format!("--set '{text}'"),
            },
            line: matches!(kind, Kind::File(_)).then(|| text[..start].matches('\n').count() + 1),
            column: text[line_start..start].chars().count() + 1,
            text: shown,
            width,
        })
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let mut sources = Sources::default();
        let file = sources.add_file("a.toml", "x = 1\r\né = 22\n");
        let at = sources.position(Place::new(file, 12, 14)).unwrap();
        assert_eq!((at.line, at.column, at.text, at.width), (Some(2), 5, "é = 22", 2));
        let inside = sources.position(Place::new(file, 8, 8)).unwrap();
        assert_eq!((inside.line, inside.column), (Some(2), 1));
        let past = sources.position(Place::new(file, 99, 120)).unwrap();
        assert_eq!((past.line, past.column, past.text), (Some(3), 1, ""));
    }
}

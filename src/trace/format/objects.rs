//! Reading objects: JSON Lines or an array of objects, keys found by name or by path.

use std::io;

use serde_json::{Map as Object, Value};

use super::recipe::Recipe;
use super::{Field, Map};
use crate::trace::assemble::Assembler;
use crate::trace::cell::{Cell, Cells};
use crate::trace::error::{RowProblem, TraceError, broken_off, excerpt, excerpt_of};
use crate::trace::names::Names;
use crate::trace::pieces::{Piece, Pieces, Wanted};
use crate::trace::reader::{Dropped, Head, Reader, Row};
use crate::trace::source::{Line, Lines, Source};

/// A JSON object.
pub(in crate::trace) type Fields = Object<String, Value>;

/// A line's number from 1, and what it holds.
pub(in crate::trace) type Numbered = (u64, Result<Fields, RowProblem>);

/// JSON objects: one on each line, or the elements of an array.
pub(in crate::trace) struct ObjectLines {
    supply: Supply,
    file: String,
    any: bool,
    done: bool,
}

enum Supply {
    Lines(Lines),
    Array(Box<Pieces>),
}

impl Supply {
    fn next(&mut self) -> io::Result<Option<Numbered>> {
        Ok(match self {
            Self::Lines(lines) => lines.next()?.map(|(row, line)| match line {
                Line::Text(text) => (row, object(text)),
                Line::TooLong => (row, Err(RowProblem::TooLong)),
            }),
            Self::Array(pieces) => pieces.next()?.map(|(row, piece)| match piece {
                Piece::Text(text) => (row, object(&text)),
                Piece::TooLong => (row, Err(RowProblem::TooLong)),
            }),
        })
    }
}

impl ObjectLines {
    pub fn new(source: Source) -> Self {
        let is_array = source.sample.trim_ascii_start().starts_with(b"[");
        let supply = if is_array {
            Supply::Array(Box::new(Pieces::new(source.bytes, Wanted::Elements)))
        } else {
            Supply::Lines(Lines::new(source.bytes))
        };
        Self { supply, file: source.file, any: false, done: false }
    }

    /// The next object and its line; `None` at the end, and from then on.
    pub fn next(&mut self) -> Result<Option<Numbered>, TraceError> {
        if self.done {
            return Ok(None);
        }
        let line = match &self.supply {
            Supply::Lines(lines) => lines.line(),
            Supply::Array(pieces) => pieces.line(),
        };
        let found = self.supply.next().map_err(|error| failed(&self.file, line, &error));
        self.done = !matches!(found, Ok(Some(_)));
        if self.done && !self.any && found.is_ok() {
            return Err(TraceError::Empty { file: self.file.clone() });
        }
        self.any = true;
        found
    }
}

fn failed(file: &str, line: u64, error: &io::Error) -> TraceError {
    TraceError::Read { file: file.to_owned(), line, reason: broken_off(error) }
}

/// What a line holds.
pub(in crate::trace) fn object(text: &[u8]) -> Result<Fields, RowProblem> {
    let text = str::from_utf8(text).map_err(|_| RowProblem::NotUtf8 { text: excerpt_of(text) })?;
    serde_json::from_str(text).map_err(|error| not_json(&error, text))
}

/// Why a text is not the JSON that it should be.
pub(in crate::trace) fn not_json(error: &serde_json::Error, text: &str) -> RowProblem {
    RowProblem::Json { column: error.column(), reason: error.to_string(), text: excerpt(text) }
}

/// Objects that are made of named values.
pub(in crate::trace) struct Objects {
    lines: ObjectLines,
    paths: Vec<String>,
    assembler: Assembler,
}

impl Objects {
    /// Opens a log of a format; what `own` maps stands before the format's own keys.
    pub fn new(source: Source, recipe: &Recipe, own: Option<Map>, recognised_by: String) -> Result<Self, TraceError> {
        let head = recipe.head(&source.file, recognised_by);
        let map = own.unwrap_or_default().or(recipe.map());
        some_have_a_time(&source, &map)?;
        let places: Vec<Option<usize>> = (0..map.columns.len()).map(Some).collect();
        let assembler = Assembler::new(head, &map, &places, recipe.empty_answer)?;
        let paths = map.columns.into_iter().map(|mapped| mapped.column).collect();
        Ok(Self { lines: ObjectLines::new(source), paths, assembler })
    }
}

/// The objects that fit into a sample whole, as many as are looked at for what they are.
pub(in crate::trace) fn objects_in(sample: &[u8]) -> Vec<Fields> {
    const MOST: usize = 100;
    let sample = sample.trim_ascii_start();
    if sample.starts_with(b"[") {
        let mut pieces = Pieces::new(Box::new(io::Cursor::new(sample.to_vec())), Wanted::Elements);
        let texts = std::iter::from_fn(|| pieces.next().ok().flatten());
        let objects = texts.filter_map(|(_, piece)| if let Piece::Text(text) = piece { object(&text).ok() } else { None });
        return objects.take(MOST).collect();
    }
    let lines = sample.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).take(MOST);
    lines.filter_map(|line| object(line).ok()).collect()
}

/// Keys are not promised by a header: a log of whose first objects none says a time is of another kind.
fn some_have_a_time(source: &Source, map: &Map) -> Result<(), TraceError> {
    let objects = objects_in(&source.sample);
    let times = map.columns.iter().filter(|mapped| matches!(mapped.field, Field::Arrival | Field::End));
    let columns: Vec<&str> = times.map(|mapped| mapped.column.as_str()).collect();
    let has = |object: &Fields| columns.iter().any(|column| !Cell::at_path(object, column).is_missing());
    let Some(first) = objects.first() else { return Ok(()) };
    if objects.iter().any(has) {
        return Ok(());
    }
    let column = columns.first().map_or("arrival", |column| column).to_owned();
    Err(TraceError::MissingColumn { file: source.file.clone(), line: 1, column, header: first.keys().cloned().collect() })
}

struct Keyed<'a> {
    object: &'a Fields,
    paths: &'a [String],
}

impl Cells for Keyed<'_> {
    fn cell(&self, at: usize) -> Cell<'_> {
        Cell::at_path(self.object, &self.paths[at])
    }
}

impl Reader for Objects {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        let Some((row, found)) = self.lines.next()? else { return Ok(None) };
        Ok(Some(match found {
            Ok(object) => self.assembler.row(row, &Keyed { object: &object, paths: &self.paths }),
            Err(problem) => Row::Dropped(Dropped { row, problem }),
        }))
    }

    fn head(&self) -> &Head {
        &self.assembler.head
    }

    fn names(&self) -> &Names {
        &self.assembler.names
    }
}

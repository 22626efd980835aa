//! Reading tables: CSV with a header, columns found by name, and what stands inside of a column of JSON by its path.

use std::cell::OnceCell;
use std::io;

use serde_json::Value;

use super::recipe::Recipe;
use super::{Field, Map};
use crate::trace::assemble::Assembler;
use crate::trace::cell::{Cell, Cells};
use crate::trace::error::{RowProblem, TraceError, broken_off};
use crate::trace::names::Names;
use crate::trace::reader::{Dropped, Head, Reader, Row};
use crate::trace::rows::Rows;
use crate::trace::source::Source;

/// A CSV file with a header.
pub(in crate::trace) struct Table {
    rows: Rows,
    width: usize,
    inside: Vec<Inside>,
    any: bool,
    done: bool,
    assembler: Assembler,
}

/// The header of a CSV file, or of its sample.
pub(in crate::trace) fn header(rows: &mut Rows) -> io::Result<Option<(u64, Vec<String>)>> {
    Ok(rows.next()?.filter(|row| !row.too_long).map(|row| (row.line, rows.texts())))
}

impl Table {
    /// Opens a table of a format; what `own` maps stands before the format's own columns, and what is `demanded` must be there.
    pub fn new(
        source: Source,
        recipe: &Recipe,
        own: Option<Map>,
        demanded: &[Field],
        recognised_by: String,
    ) -> Result<Self, TraceError> {
        let file = source.file.clone();
        let head = recipe.head(&file, recognised_by);
        let mut rows = Rows::after(source.bytes, source.passed);
        let failed = |error: io::Error| TraceError::Read { file: file.clone(), line: 0, reason: broken_off(&error) };
        let Some((line, header)) = header(&mut rows).map_err(failed)? else { return Err(TraceError::Empty { file }) };
        let missing = |column: &str| TraceError::MissingColumn {
            file: file.clone(),
            line,
            column: column.to_owned(),
            header: header.clone(),
        };
        let map = own.unwrap_or_default().or(recipe.map());
        let mut inside = Vec::new();
        let mut place = |column: &str| {
            let own = header.iter().position(|name| name == column);
            own.or_else(|| {
                inside.push(Inside::find(&header, column)?);
                Some(header.len() + inside.len() - 1)
            })
        };
        let places: Vec<Option<usize>> = map.columns.iter().map(|mapped| place(&mapped.column)).collect();
        let arrival: &[Field] = if map.has(Field::Arrival) { &[Field::Arrival] } else { &[Field::End, Field::Duration] };
        let needed = [arrival, &[Field::Input, Field::Output], demanded].concat();
        absent(&map, &places, &needed).map_or(Ok(()), |column| Err(missing(&column)))?;
        let assembler = Assembler::new(head, &map, &places, recipe.empty_answer)?;
        Ok(Self { rows, width: header.len(), inside, any: false, done: false, assembler })
    }

    fn row(&mut self) -> io::Result<Option<Row>> {
        let Some(at) = self.rows.next()? else { return Ok(None) };
        let dropped =
            |problem: RowProblem| Some(Row::Dropped(Dropped { row: at.line, problem: problem.of_lines(at.line, at.last) }));
        if at.too_long {
            return Ok(dropped(RowProblem::TooLong));
        }
        let found = self.rows.fields();
        if found != self.width {
            return Ok(dropped(RowProblem::Width { found: found as u64, expected: self.width as u64 }));
        }
        Ok(match self.assembler.row(at.line, &Fields { rows: &self.rows, inside: &self.inside, parsed: OnceCell::new() }) {
            Row::Dropped(Dropped { problem, .. }) => dropped(problem),
            row @ Row::Record(_) => Some(row),
        })
    }
}

/// The first column of a needed field of which no column is there.
fn absent(map: &Map, places: &[Option<usize>], needed: &[Field]) -> Option<String> {
    needed.iter().find_map(|field| {
        let mut columns = map.columns.iter().zip(places).filter(|(mapped, _)| mapped.field == *field);
        let first = columns.next();
        let any = first.is_some_and(|(_, at)| at.is_some()) || columns.any(|(_, at)| at.is_some());
        (!any).then(|| first.map_or_else(|| field.name().to_owned(), |(mapped, _)| mapped.column.clone()))
    })
}

/// What stands at a path inside of a column of JSON: `metadata.error_information.error_code`.
#[derive(Clone, Debug)]
struct Inside {
    /// The column that holds the JSON.
    column: usize,
    path: String,
}

impl Inside {
    /// The column whose name `wanted` begins with, and the path behind it.
    fn find(header: &[String], wanted: &str) -> Option<Self> {
        wanted.match_indices('.').find_map(|(dot, _)| {
            let column = header.iter().position(|name| *name == wanted[..dot])?;
            Some(Self { column, path: wanted[dot + 1..].to_owned() })
        })
    }

    /// The JSON of a row, if it may hold what is looked for: most rows do not, and need not be parsed.
    fn parse(&self, text: &[u8]) -> Value {
        let key = self.path.rsplit('.').next().unwrap_or(&self.path).as_bytes();
        let may_hold = text.windows(key.len()).any(|part| part == key);
        if may_hold { serde_json::from_slice(text).unwrap_or_default() } else { Value::Null }
    }
}

/// A row's fields, and behind them what stands inside of some.
struct Fields<'a> {
    rows: &'a Rows,
    inside: &'a [Inside],
    parsed: OnceCell<Vec<Value>>,
}

impl Cells for Fields<'_> {
    fn cell(&self, at: usize) -> Cell<'_> {
        let Some(place) = at.checked_sub(self.rows.fields()) else { return Cell::of_text(self.rows.field(at)) };
        let parse = || self.inside.iter().map(|inside| inside.parse(self.rows.field(inside.column))).collect();
        match self.parsed.get_or_init(parse).get(place) {
            Some(Value::Object(object)) => Cell::at_path(object, &self.inside[place].path),
            _ => Cell::Missing,
        }
    }
}

impl Reader for Table {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        if self.done {
            return Ok(None);
        }
        let read = self.row();
        let file = &self.assembler.head.file;
        let failed = |error: io::Error| TraceError::Read {
            file: file.clone(),
            line: self.rows.line().saturating_sub(1),
            reason: broken_off(&error),
        };
        let read = read.map_err(failed);
        self.done = !matches!(read, Ok(Some(_)));
        if matches!(read, Ok(None)) && !self.any {
            return Err(TraceError::Empty { file: file.clone() });
        }
        self.any = true;
        read
    }

    fn head(&self) -> &Head {
        &self.assembler.head
    }

    fn names(&self) -> &Names {
        &self.assembler.names
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::trace::{DropReason, Ended, Fates, Options, Row, open_bytes};

    #[test]
    fn what_stands_inside_of_a_column_of_json_is_found_by_its_path() {
        let text = "request_id,startTime,endTime,prompt_tokens,completion_tokens,status,metadata\n\
                    a,2026-01-01T00:00:00Z,2026-01-01T00:00:01Z,10,5,success,\"{\"\"x\"\":1}\"\n\
                    b,2026-01-01T00:00:02Z,2026-01-01T00:00:02Z,0,0,failure,\"{\"\"error_information\"\":{\"\"error_code\"\":\"\"429\"\"}}\"\n\
                    c,2026-01-01T00:00:03Z,2026-01-01T00:00:03Z,0,0,failure,not json error_code\n";
        let mut reader = open_bytes(Cursor::new(text), "spend.csv", &Options::default()).unwrap();
        let mut seen = Vec::new();
        while let Some(Row::Record(record)) = reader.next().unwrap() {
            seen.push((record.status, record.ended));
        }
        let expected = [(None, Ended::Complete), (Some(429), Ended::Refused), (None, Ended::Failed)];
        assert_eq!(seen, expected.map(|(status, ended)| (status, Some(ended))));
    }

    fn read(text: &'static str) -> Fates {
        let mut reader = open_bytes(Cursor::new(text), "log.csv", &Options::default()).unwrap();
        let mut fates = Fates::default();
        while let Some(row) = reader.next().unwrap() {
            fates.count(&row);
        }
        fates
    }

    #[test]
    fn rows_that_a_stray_quote_joined_are_named_by_their_lines() {
        let fates = read("time,input_tokens,output_tokens,class\n1,2,3,a\n2,\"3,4,a\n3,4,5,b\n4,5,6,\"b\n5,6,7,a\n");
        let lost = &fates.dropped[&DropReason::Width];
        assert_eq!((lost.count, lost.first.row, fates.records), (1, 3, 2));
        let said = lost.first.problem.to_string();
        assert_eq!(said, "lines 3 to 5 were one quoted field and what is around it: 2 fields where the header has 4");
        // A quoted field of several lines is in order, and a row of one line says nothing of lines.
        let fates = read("time,input_tokens,output_tokens,class\n1,2,3,\"a\nb\"\n2,3\n");
        let said = fates.dropped[&DropReason::Width].first.problem.to_string();
        assert_eq!((fates.records, said.as_str()), (1, "2 fields where the header has 4"));
    }
}

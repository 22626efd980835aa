//! Reading tables: CSV with a header, columns found by name.

use std::io;

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
        let place = |map: &Map| -> Vec<Option<usize>> {
            map.columns.iter().map(|mapped| header.iter().position(|name| *name == mapped.column)).collect()
        };
        let map = own.unwrap_or_default().or(recipe.map());
        let places = place(&map);
        let arrival: &[Field] = if map.has(Field::Arrival) { &[Field::Arrival] } else { &[Field::End, Field::Duration] };
        let needed = [arrival, &[Field::Input, Field::Output], demanded].concat();
        absent(&map, &places, &needed).map_or(Ok(()), |column| Err(missing(&column)))?;
        let assembler = Assembler::new(head, &map, &places, recipe.empty_answer)?;
        Ok(Self { rows, width: header.len(), any: false, done: false, assembler })
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
        Ok(match self.assembler.row(at.line, &Fields(&self.rows)) {
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

struct Fields<'a>(&'a Rows);

impl Cells for Fields<'_> {
    fn cell(&self, at: usize) -> Cell<'_> {
        Cell::of_text(self.0.field(at))
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

    use crate::trace::{DropReason, Fates, Options, open_bytes};

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

//! Joint prompt and answer lengths, for classes that draw their requests from a table.

use std::io;
use std::path::Path;

use super::assemble::TOKENS;
use super::cell::Cell;
use super::error::{About, RowProblem, TraceError, broken_off};
use super::format::header;
use super::reader::Options;
use super::rows::Rows;
use super::source::Source;
use super::whole::Trace;

/// The columns of a table that needs no times.
const COLUMNS: [&str; 2] = ["input_tokens", "output_tokens"];

/// The pairs of prompt and answer length in `path`, in tokens: the columns `input_tokens` and `output_tokens` of a CSV, whatever
/// else it has, or those of any trace.
///
/// # Errors
/// As [`read`](super::read).
pub fn read_lengths(path: &Path) -> Result<Vec<(u32, u32)>, TraceError> {
    let source = Source::open(path)?;
    let names = super::detect::header_of(&source.sample).unwrap_or_default();
    if COLUMNS.iter().all(|column| names.iter().any(|name| name == column)) {
        return pairs_of(source);
    }
    let trace = Trace::read(&mut *super::open_source(source, &Options::default())?)?;
    Ok(trace.records.iter().filter_map(super::Record::lengths).collect())
}

fn pairs_of(source: Source) -> Result<Vec<(u32, u32)>, TraceError> {
    let file = source.file;
    let mut rows = Rows::new(source.bytes);
    let mut line = 0;
    let mut pairs = Vec::new();
    let failed = |line: u64, error: &io::Error| TraceError::Read { file: file.clone(), line, reason: broken_off(error) };
    let (_, names) = header(&mut rows).map_err(|error| failed(0, &error))?.unwrap_or_default();
    let places = COLUMNS.map(|column| names.iter().position(|name| name == column).unwrap_or(usize::MAX));
    while let Some(row) = rows.next().map_err(|error| failed(line, &error))? {
        line = row.line;
        let wrong = |problem| TraceError::Row { file: file.clone(), line: row.line, problem };
        let (found, expected) = (rows.fields() as u64, names.len() as u64);
        if found != expected {
            return Err(wrong(RowProblem::Width { found, expected }));
        }
        let [input, output] = [0, 1].map(|column| {
            let cell = Cell::Text(rows.field(places[column]));
            cell.tokens().ok_or_else(|| wrong(cell.wrong(COLUMNS[column], About::Tokens, TOKENS)))
        });
        pairs.push((input?, output?));
    }
    if pairs.is_empty() { Err(TraceError::Empty { file }) } else { Ok(pairs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_lengths_needs_no_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        std::fs::write(&path, "output_tokens,input_tokens\n1,2\n3,4\n").unwrap();
        assert_eq!(read_lengths(&path), Ok(vec![(2, 1), (4, 3)]));
        std::fs::write(&path, "output_tokens,input_tokens\n1,\n").unwrap();
        assert!(read_lengths(&path).unwrap_err().to_string().contains("line 2: `input_tokens` is ``"));
        std::fs::write(&path, "output_tokens,input_tokens\n").unwrap();
        assert!(matches!(read_lengths(&path), Err(TraceError::Empty { .. })));
    }

    #[test]
    fn any_trace_is_a_table_of_lengths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("azure");
        std::fs::write(&path, "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10").unwrap();
        assert_eq!(read_lengths(&path), Ok(vec![(4808, 10)]));
    }
}

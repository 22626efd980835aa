//! Joint prompt and answer lengths, for classes that draw their requests from a table.

use std::path::Path;

use super::csv::Table;
use super::error::TraceError;
use super::{open, read, split_name};

/// The pairs of prompt and answer length in `path`, in tokens: the columns `input_tokens` and `output_tokens` of a CSV, whatever
/// else it has, or those of the load driver's records.
///
/// # Errors
/// As [`read`](super::read).
pub fn read_lengths(path: &Path) -> Result<Vec<(u32, u32)>, TraceError> {
    let file = path.display().to_string();
    let (plain, format) = split_name(&file);
    if format != "csv" {
        let trace = read(path)?;
        return Ok(trace.records.iter().map(|record| (record.input_tokens, record.output_tokens)).collect());
    }
    let mut text = open(path, plain.len() < file.len())?;
    let mut table = Table::new(&mut *text, &file)?;
    let [input, output] = [table.column("input_tokens")?, table.column("output_tokens")?];
    let mut pairs = Vec::new();
    while let Some(line) = table.next()? {
        pairs.push((table.tokens(line, "input_tokens", input)?, table.tokens(line, "output_tokens", output)?));
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
}

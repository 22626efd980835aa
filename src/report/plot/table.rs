//! The numbers of a plot as CSV (RFC 4180 with line feeds): exactly what is shown, units in the header.

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell(String);

impl From<f64> for Cell {
    /// Shortest form that reads back as the same number; nothing where there is none.
    fn from(x: f64) -> Self {
        if x.is_nan() {
            return Self(String::new());
        }
        let text = format!("{x:?}");
        Self(text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<usize> for Cell {
    fn from(n: usize) -> Self {
        Self(n.to_string())
    }
}

impl From<bool> for Cell {
    fn from(yes: bool) -> Self {
        Self(if yes { "yes" } else { "no" }.to_owned())
    }
}

/// Rows under a header.
/// Rows under a header.
pub(super) struct Table(csv::Writer<Vec<u8>>);

impl Table {
    /// A table with that header.
    pub(super) fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Self(csv::Writer::from_writer(Vec::new()));
        table.row(header.into_iter().map(Cell::from));
        table
    }

    /// One more row, as wide as the header.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<String> = cells.into_iter().map(|Cell(text)| text).collect();
        self.0.write_record(cells).expect("every row is as wide as its header, and memory takes it");
    }

    /// The whole file.
    pub(super) fn text(self) -> String {
        let bytes = self.0.into_inner().expect("memory takes every row");
        String::from_utf8(bytes).expect("it was written from texts")
    }
}

/// Fields of different kinds in one row.
macro_rules! row {
    ($table:expr, $($cell:expr),+ $(,)?) => {
        $table.row([$($crate::report::plot::table::Cell::from($cell)),+])
    };
}
pub(super) use row;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_quoted_and_missing_figures_empty() {
        let mut table = Table::new(["name", "goodput [req/s]"]);
        row!(table, "a, \"b\"", 0.5);
        row!(table, "c", f64::NAN);
        row!(table, "d", f64::INFINITY);
        assert_eq!(table.text(), "name,goodput [req/s]\n\"a, \"\"b\"\"\",0.5\nc,\nd,inf\n");
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_they_were(x in prop::num::f64::NORMAL | prop::num::f64::ZERO) {
            let Cell(text) = Cell::from(x);
            prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(x.to_bits()));
        }
    }
}

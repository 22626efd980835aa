//! From a trace to what the source replays: class names become positions.

use std::fmt;
use std::sync::Arc;

use super::source::{Pairs, Recorded};
use crate::time::Time;
use crate::trace::{Record, Trace};

/// The rows behind a `recorded` process, in order of time.
#[derive(Clone, Debug)]
pub enum Rows {
    /// All of them, in memory.
    List(Arc<[Recorded]>),
    /// One after the other.
    Stream(Stream),
}

impl<R: Into<Arc<[Recorded]>>> From<R> for Rows {
    fn from(rows: R) -> Self {
        Self::List(rows.into())
    }
}

/// A recording that is read anew by each run that replays it, so that its length costs no memory.
#[derive(Clone)]
pub struct Stream(Arc<Open>);

/// Opens a recording at its first row.
type Open = dyn Fn() -> Box<dyn Iterator<Item = Recorded>> + Send + Sync;

impl Stream {
    /// A recording that `open` opens at its first row: the same rows each time, in order of time.
    pub fn new(open: impl Fn() -> Box<dyn Iterator<Item = Recorded>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    /// Its rows, from the first.
    #[must_use]
    pub fn open(&self) -> Box<dyn Iterator<Item = Recorded>> {
        (self.0)()
    }

    /// All times divided by `factor`, above 0.
    #[must_use]
    pub fn faster(&self, factor: f64) -> Self {
        let same = self.clone();
        let faster = move |row: Recorded| Recorded { at: Time::ZERO + (row.at - Time::ZERO).scaled(1.0 / factor), ..row };
        Self::new(move || Box::new(same.open().map(faster)))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// A class that a trace names and the scenario does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the trace has requests of class `{name}`; the scenario's classes are: {}", known.join(", "))]
pub struct UnknownClass {
    /// The class in the trace.
    pub name: String,
    /// The scenario's classes.
    pub known: Vec<String>,
}

/// The rows of a trace, with its classes found among `classes` by name. Rows without a class are of the first one.
///
/// # Errors
/// [`UnknownClass`] where a row's class is not among them.
pub fn recorded(trace: &Trace, classes: &[&str]) -> Result<Arc<[Recorded]>, UnknownClass> {
    let position = |name: &String| {
        let found = classes.iter().position(|class| class == name).and_then(|position| u16::try_from(position).ok());
        found.ok_or_else(|| UnknownClass { name: name.clone(), known: classes.iter().map(ToString::to_string).collect() })
    };
    let positions = trace.classes.iter().map(position).collect::<Result<Vec<u16>, _>>()?;
    let rows = trace.records.iter().filter_map(|record| {
        let (input_tokens, output_tokens) = record.lengths()?;
        let class = record.class.map_or(0, |class| positions[class.index()]);
        Some(Recorded { at: record.arrival, input_tokens, output_tokens, class, ..Recorded::default() })
    });
    Ok(rows.collect())
}

/// The lengths in a trace, for classes that draw joint pairs from it.
#[must_use]
pub fn pairs(trace: &Trace) -> Pairs {
    trace.records.iter().filter_map(Record::lengths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Options, open_bytes};

    #[test]
    fn class_names_become_positions() {
        let text = "time,input_tokens,output_tokens,class\n1,2,3,slow\n4,5,6,\n7,8,9,fast\n";
        let mut reader = open_bytes(text.as_bytes(), "a.csv", &Options::default()).unwrap();
        let trace = Trace::read(&mut *reader).unwrap();
        let rows = recorded(&trace, &["fast", "idle", "slow"]).unwrap();
        assert_eq!(rows.iter().map(|row| (row.input_tokens, row.class)).collect::<Vec<_>>(), [(2, 2), (5, 0), (8, 0)]);
        assert_eq!(*pairs(&trace), [(2, 3), (5, 6), (8, 9)]);
        assert_eq!(recorded(&trace, &["fast"]).unwrap_err().name, "slow");
    }
}

//! A log that can be opened again and again, and what of it is replayed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::prefixes::Prefixes;
use super::survey::Survey;
use crate::time::Time;
use crate::trace::flow::{Flow, Rules};
use crate::trace::{NameId, Options, Record, TraceError};
use crate::workload::{Recorded, Stream};

/// A log, and how it is to be read.
#[derive(Clone, Debug)]
pub struct Log {
    /// Where it is.
    pub path: PathBuf,
    /// What is known of it beforehand.
    pub options: Options,
    /// What is done to it before it is replayed.
    pub rules: Rules,
}

impl Log {
    /// Opens it at its first request.
    ///
    /// # Errors
    /// As [`Flow::open`].
    pub fn open(&self) -> Result<Flow, TraceError> {
        Flow::open(&self.path, &self.options, self.rules.clone())
    }
}

/// Which class of the scenario each class of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// By the position of the log's class.
    by_name: Vec<u16>,
    /// Of rows without a class.
    others: u16,
}

/// Why the classes of a log cannot be those of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassesError {
    /// The log names classes that the scenario does not have.
    #[error("the log has requests of {}, and the scenario's classes are: {}", listed(unknown), known.join(", "))]
    Unknown {
        /// The log's.
        unknown: Vec<String>,
        /// The scenario's.
        known: Vec<String>,
    },
    /// The scenario has no class of the name that all rows are to be of.
    #[error("the scenario has no class `{name}`; it has: {}", known.join(", "))]
    NoSuch {
        /// The name.
        name: String,
        /// The scenario's classes.
        known: Vec<String>,
    },
}

/// The first few of many names.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let of = if names.len() == 1 { "class" } else { "classes" };
    match names.len().saturating_sub(SHOWN) {
        0 => format!("{of} {}", shown.join(", ")),
        more => format!("{of} {} and {more} more", shown.join(", ")),
    }
}

impl Classes {
    /// Finds the log's classes among the scenario's by name. Rows without a class are of the scenario's first one; with `all`,
    /// every row is of the class of that name.
    ///
    /// # Errors
    /// [`ClassesError`].
    pub fn find(log: &[String], scenario: &[&str], all: Option<&str>) -> Result<Self, ClassesError> {
        let position = |name: &str| {
            let found = scenario.iter().position(|class| *class == name);
            found.and_then(|position| u16::try_from(position).ok())
        };
        let known = || scenario.iter().map(ToString::to_string).collect();
        if let Some(name) = all {
            let others = position(name).ok_or_else(|| ClassesError::NoSuch { name: name.to_owned(), known: known() })?;
            return Ok(Self { by_name: Vec::new(), others });
        }
        let unknown: Vec<String> = log.iter().filter(|name| position(name).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return Err(ClassesError::Unknown { unknown, known: known() });
        }
        Ok(Self { by_name: log.iter().filter_map(|name| position(name)).collect(), others: 0 })
    }

    /// The class of a row, by the scenario's position.
    #[must_use]
    pub fn of(&self, class: Option<NameId>) -> u16 {
        class.and_then(|class| self.by_name.get(class.index()).copied()).unwrap_or(self.others)
    }
}

/// A log that is replayed: which rows, as what.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The log.
    pub log: Log,
    /// Which class each row is of.
    pub classes: Classes,
    /// The arrival that is time zero of the run.
    pub first: Time,
    /// The first number of a prefix group that the scenario's classes leave free.
    pub first_group: u32,
}

impl Replay {
    /// Its rows, each time anew from the first.
    ///
    /// What goes wrong while a run reads them stands in the returned place: a log that was looked through once fails a second time
    /// only if it was changed meanwhile. The run ends there, and must not be used.
    #[must_use]
    pub fn stream(&self, survey: &Survey) -> (Stream, Arc<Mutex<Option<TraceError>>>) {
        let fault = Arc::new(Mutex::new(None));
        let (replay, told, block_tokens) = (Arc::new(self.clone()), Arc::clone(&fault), survey.head.block_tokens);
        let open = move || -> Box<dyn Iterator<Item = Recorded>> {
            let prefixes = block_tokens.map(|tokens| Prefixes::new(tokens, replay.first_group));
            match replay.log.open() {
                Ok(rows) => Box::new(Rows { flow: rows, replay: Arc::clone(&replay), prefixes, fault: Arc::clone(&told) }),
                Err(error) => {
                    tell(&told, error);
                    Box::new(std::iter::empty())
                }
            }
        };
        (Stream::new(open), fault)
    }
}

fn tell(place: &Mutex<Option<TraceError>>, error: TraceError) {
    place.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}

struct Rows {
    flow: Flow,
    replay: Arc<Replay>,
    prefixes: Option<Prefixes>,
    fault: Arc<Mutex<Option<TraceError>>>,
}

impl Iterator for Rows {
    type Item = Recorded;

    fn next(&mut self) -> Option<Recorded> {
        loop {
            match self.flow.next() {
                Ok(Some(record)) => {
                    if let Some(row) = self.recorded(&record) {
                        return Some(row);
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    tell(&self.fault, error);
                    return None;
                }
            }
        }
    }
}

impl Rows {
    fn recorded(&mut self, record: &Record) -> Option<Recorded> {
        let (input_tokens, output_tokens) = record.lengths()?;
        Some(Recorded {
            at: Time::ZERO + record.arrival.since(self.replay.first),
            input_tokens,
            output_tokens,
            class: self.replay.classes.of(record.class),
            tenant: record.tenant.map_or(0, |tenant| u32::try_from(tenant.index() + 1).unwrap_or(u32::MAX)),
            prefix: self.prefixes.as_mut().and_then(|prefixes| prefixes.prefix(&record.prefix)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_name_or_all_put_into_one() {
        let log = ["gpt".to_owned(), "llama".to_owned()];
        let found = Classes::find(&log, &["chat", "llama", "gpt"], None).unwrap();
        assert_eq!((found.by_name.clone(), found.of(None)), (vec![2, 1], 0));
        let all = Classes::find(&log, &["chat", "batch"], Some("batch")).unwrap();
        assert_eq!(all.of(None), 1);
        let unknown = Classes::find(&log, &["llama"], None).unwrap_err().to_string();
        assert_eq!(unknown, "the log has requests of class `gpt`, and the scenario's classes are: llama");
        assert!(Classes::find(&log, &["a"], Some("b")).unwrap_err().to_string().contains("no class `b`; it has: a"));
    }
}

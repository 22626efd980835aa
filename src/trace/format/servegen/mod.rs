//! `ServeGen`'s descriptions of clients (Alibaba): not requests, but for each client how often it sends and how long its prompts
//! and answers are. Arrivals are drawn from them by seed; each client is a tenant.
//!
//! In a folder, or in a tar archive: `chunk-N-trace.csv` without a header (`start_s, rate_rps, cv, Gamma|Weibull|empty, shape,
//! scale` of each window of 600 s; an empty pattern is silence) and `chunk-N-dataset.json` (distributions of lengths, each from its
//! time on, as Python dict literals in strings, which are parsed and never evaluated).
//!
//! A window of `rate` and length `T` gets `n` arrivals, `n` being `rate T` with its fraction drawn. As in `ServeGen` itself, gaps
//! are drawn from the pattern's shape and scaled so that the `n + 1` of them fill the window: its rate is kept, and its
//! burstiness.

mod client;
mod lengths;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use self::client::{Arrival, Client};
use super::Format;
use crate::rng::Streams;
use crate::time::Time;
use crate::trace::error::{About, RowProblem};
use crate::trace::error::{TraceError, broken_off};
use crate::trace::names::Names;
use crate::trace::reader::{Dropped, Head, Options, Reader, Row};
use crate::trace::record::Record;
use crate::trace::source::Source;

/// Most bytes of one file of a description.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most clients of a description.
const CLIENTS_MAX: usize = 100_000;

/// Texts of one client's two files, with their names.
#[derive(Default)]
struct Texts {
    trace: Option<Named>,
    dataset: Option<Named>,
}

/// A file's name and its text.
type Named = (String, String);

/// Opens a folder of descriptions.
pub(in crate::trace) fn open_folder(path: &Path, options: &Options) -> Result<Box<dyn Reader>, TraceError> {
    let file = path.display().to_string();
    let failed = |error: std::io::Error| TraceError::Open { file: file.clone(), reason: broken_off(&error) };
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.display().to_string();
        if let Some(place) = place(&mut texts, &name) {
            *place = Some((name.clone(), text(&mut fs::File::open(&path).map_err(failed)?, &name)?));
        }
    }
    open(&file, &texts, options)
}

/// Opens a tar archive of descriptions.
pub(in crate::trace) fn open_tar(source: Source, options: &Options) -> Result<Box<dyn Reader>, TraceError> {
    let file = source.file;
    let failed = |error: std::io::Error| TraceError::Read { file: file.clone(), line: 0, reason: broken_off(&error) };
    let mut texts = BTreeMap::new();
    let mut archive = tar::Archive::new(source.bytes);
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let name = format!("{file}:{}", entry.path().map_err(failed)?.display());
        if let Some(place) = place(&mut texts, &name) {
            *place = Some((name.clone(), text(&mut entry, &name)?));
        }
    }
    open(&file, &texts, options)
}

/// Where a file's text belongs, by its name; `None` where it is no part of a description.
fn place<'a>(texts: &'a mut BTreeMap<u32, Texts>, path: &str) -> Option<&'a mut Option<Named>> {
    let (_, name) = path.rsplit_once(['/', ':']).unwrap_or(("", path));
    let (number, kind) = name.strip_prefix("chunk-")?.split_once('-')?;
    let number: u32 = number.parse().ok()?;
    if texts.len() >= CLIENTS_MAX && !texts.contains_key(&number) {
        return None;
    }
    match kind {
        "trace.csv" => Some(&mut texts.entry(number).or_default().trace),
        "dataset.json" => Some(&mut texts.entry(number).or_default().dataset),
        _ => None,
    }
}

fn text(from: &mut dyn Read, name: &str) -> Result<String, TraceError> {
    let failed = |reason: String| TraceError::Read { file: name.to_owned(), line: 0, reason };
    let mut text = String::new();
    from.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX { Err(failed(format!("more than {FILE_BYTES_MAX} bytes"))) } else { Ok(text) }
}

/// Draws arrivals.
struct ServeGen {
    head: Head,
    names: Names,
    clients: Vec<(u32, Client)>,
    /// When each client's next request comes, and its place in the list.
    due: BTreeSet<(u64, usize)>,
    row: u64,
}

fn open(file: &str, texts: &BTreeMap<u32, Texts>, options: &Options) -> Result<Box<dyn Reader>, TraceError> {
    if texts.is_empty() {
        let found = "a folder or an archive without chunk-N-trace.csv".to_owned();
        let help = "name a file, or a folder or archive of ServeGen's descriptions of clients".into();
        return Err(TraceError::UnknownFormat { file: file.to_owned(), found, help });
    }
    if let Some(other) = options.format.filter(|format| *format != Format::ServeGen) {
        let why = "a folder or an archive of ServeGen's descriptions of clients".to_owned();
        return Err(TraceError::OtherFormat { file: file.to_owned(), claimed: other.name(), why });
    }
    let streams = Streams::new(options.seed, 0);
    let mut clients = Vec::new();
    for (number, texts) in texts {
        let (Some((trace, windows)), Some((dataset, lengths))) = (&texts.trace, &texts.dataset) else {
            let reason = format!("client {number} has only one of chunk-{number}-trace.csv and chunk-{number}-dataset.json");
            return Err(TraceError::Open { file: file.to_owned(), reason });
        };
        clients.push((*number, Client::new(*number, (trace, windows), (dataset, lengths), &streams)?));
    }
    let by = format!("{} pairs of chunk-N-trace.csv and chunk-N-dataset.json", clients.len());
    let mut head = Head::new(file, Format::ServeGen, by);
    head.notes.push(format!("arrivals are drawn from descriptions of {} clients by seed {}", clients.len(), options.seed));
    head.notes.push("prompt and answer lengths are drawn apart: their dependence is not described".to_owned());
    let first = clients.iter_mut().enumerate().filter_map(|(place, (_, client))| Some((client.peek()?, place)));
    let due = first.collect();
    Ok(Box::new(ServeGen { head, names: Names::default(), clients, due, row: 0 }))
}

impl Reader for ServeGen {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        // At equal times the client of the smaller number comes first.
        let Some((_, place)) = self.due.pop_first() else {
            let empty = TraceError::Empty { file: self.head.file.clone() };
            return if self.row == 0 { Err(empty) } else { Ok(None) };
        };
        let (number, client) = &mut self.clients[place];
        let Some(Arrival { at, lengths }) = client.next() else { return Ok(None) };
        self.due.extend(client.peek().map(|next| (next, place)));
        self.row += 1;
        let row = self.row;
        let Some((input, output)) = lengths else {
            let column = format!("lengths of client {number}").into();
            return Ok(Some(Row::Dropped(Dropped { row, problem: RowProblem::Missing { column, about: About::Tokens } })));
        };
        Ok(Some(Row::Record(Record {
            row,
            arrival: Time::from_nanos(at),
            input_tokens: Some(input),
            output_tokens: Some(output),
            tenant: self.names.tenants.id(&format!("client-{number}")),
            ..Record::default()
        })))
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn names(&self) -> &Names {
        &self.names
    }
}

#[cfg(test)]
#[path = "servegen_tests.rs"]
mod tests;

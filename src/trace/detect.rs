//! What a log is, by its first bytes, and by what that is known.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use super::error::{TraceError, broken_off, excerpt_of};
use super::format::canonical::SIGNATURES;
use super::format::{Fields, Format, OBJECTS, SPECIAL, TABLES, header, objects_in};
use super::reader::Options;
use super::rows::Rows;
use super::source::Source;

/// A format that was recognised.
pub(super) struct Recognised {
    /// Which.
    pub format: Format,
    /// By what, in words.
    pub by: String,
}

const HELP: &str = "say which columns hold what (--map arrival=COLUMN:KIND,input=COLUMN,output=COLUMN), or which format it is";
const UVICORN: &str = "it has no times and no tokens. Take OpenTelemetry spans of vLLM instead \
                       (--otlp-traces-endpoint, exported as OTLP-JSON), or the log of a gateway in front of it (LiteLLM, Envoy \
                       AI Gateway, nginx with $msec, $request_time and token counts)";

/// Lines of a sample that are looked at where the first says nothing.
const LINES_SEEN: usize = 1_000;

const BLIS_HEADER: &str = "its rows are in the CSV file that belongs to it: name that one";

/// Finds out what a log is.
///
/// # Errors
/// If it is of no format known here, or of one that cannot be replayed.
pub(super) fn recognise(source: &Source, options: &Options) -> Result<Recognised, TraceError> {
    let sample = source.sample.trim_ascii_start();
    let is_object = matches!(sample.first(), Some(b'{' | b'['));
    let generic = if is_object { Format::Jsonl } else { Format::Csv };
    if let Some(preset) = options.preset {
        return Ok(Recognised { format: generic, by: format!("the preset {}", preset.name()) });
    }
    let found = if is_object { of_objects(sample) } else { of_table(sample) };
    let mapped = || options.map.is_some().then(|| Recognised { format: generic, by: "the map".to_owned() });
    let found = found.or_else(mapped);
    if found.is_none() && sample.split(|byte| *byte == b'\n').take(LINES_SEEN).any(is_uvicorn) {
        return Err(TraceError::NotReplayable { file: source.file.clone(), what: "an access log of uvicorn", why: UVICORN });
    }
    // Of a table by name, what is missing is said instead.
    let named = || (!is_object && is_csv(&source.file)).then(|| Recognised { format: Format::Csv, by: "its name".to_owned() });
    found.or_else(named).ok_or_else(|| TraceError::UnknownFormat {
        file: source.file.clone(),
        found: format!("it begins with `{}`", excerpt_of(first_line(sample))),
        help: Cow::Borrowed(HELP),
    })
}

/// Whether a name is that of a table.
fn is_csv(file: &str) -> bool {
    let packed = [".gz", ".zst"].iter().find_map(|end| file.strip_suffix(end));
    Path::new(packed.unwrap_or(file)).extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"))
}

/// The first column of BLIS's table, behind its YAML.
const BLIS_COLUMN: &[u8] = b"request_id,";

/// Passes over the YAML that may stand in front of a BLIS trace.
///
/// # Errors
/// If there is nothing behind it.
pub(super) fn pass_yaml(source: &mut Source) -> Result<(), TraceError> {
    let first = first_line(source.sample.trim_ascii_start());
    if !first.starts_with(b"trace_version:") && first != b"---" {
        return Ok(());
    }
    let failed =
        |file: &str, error: std::io::Error| TraceError::Read { file: file.to_owned(), line: 0, reason: broken_off(&error) };
    match source.pass_to(BLIS_COLUMN) {
        Ok(true) => Ok(()),
        Ok(false) => Err(TraceError::NotReplayable {
            file: source.file.clone(),
            what: "the YAML header of a BLIS trace",
            why: BLIS_HEADER,
        }),
        Err(error) => Err(failed(&source.file, error)),
    }
}

/// Whether a log that is said to be of `format` may be: its first columns or keys tell of it.
pub(super) fn may_be(source: &Source, format: Format, options: &Options) -> Result<(), TraceError> {
    let all_names = names(&source.sample);
    let of_tables = TABLES.iter().chain(OBJECTS).filter(|recipe| recipe.format == format).map(|recipe| recipe.signature);
    let of_others = SPECIAL.iter().filter(|(special, _)| *special == format).map(|(_, keys)| *keys);
    let signatures: Vec<&[&str]> = of_tables.chain(of_others).collect();
    let has_all = |names: &Vec<String>, keys: &[&str]| keys.iter().all(|key| names.iter().any(|name| name == key));
    let told = |keys: &[&str]| all_names.iter().any(|names| has_all(names, keys));
    let otlp = format == Format::Otlp && otlp_key(&source.sample).is_none();
    let mapped = options.map.is_some() || options.preset.is_some();
    if !otlp && (mapped || signatures.is_empty() || signatures.iter().any(|keys| told(keys))) {
        return Ok(());
    }
    let names = all_names.first().map(Vec::as_slice).unwrap_or_default();
    let wanted: &[&str] = if otlp { &OTLP_KEYS } else { signatures.first().copied().unwrap_or_default() };
    let missing = wanted.iter().find(|key| !names.iter().any(|name| name == *key)).copied().unwrap_or_default();
    let why = format!("there is no `{missing}` among {}", super::error::listed(names));
    Err(TraceError::OtherFormat { file: source.file.clone(), claimed: format.name(), why })
}

/// The columns of a table, or the keys of each of the first objects.
fn names(sample: &[u8]) -> Vec<Vec<String>> {
    let sample = sample.trim_ascii_start();
    if matches!(sample.first(), Some(b'{' | b'[')) {
        return objects_in(sample).iter().map(|object| object.keys().cloned().collect()).collect();
    }
    header_of(sample).into_iter().collect()
}

/// The names in a table's first row.
pub(super) fn header_of(sample: &[u8]) -> Option<Vec<String>> {
    let mut rows = Rows::new(Box::new(Cursor::new(sample.to_vec())));
    header(&mut rows).ok().flatten().map(|(_, names)| names)
}

fn first_line(sample: &[u8]) -> &[u8] {
    sample.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii()
}

/// `INFO:     127.0.0.1:54321 - "POST /v1/completions HTTP/1.1" 200 OK`
fn is_uvicorn(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let asks = ["\"GET /", "\"POST /", "\"HEAD /", "\"OPTIONS /", "\"DELETE /"].iter().any(|method| line.contains(method));
    asks && line.contains(" HTTP/") && line.contains(" - \"")
}

fn of_table(sample: &[u8]) -> Option<Recognised> {
    let names = header_of(sample)?;
    let has_all = |keys: &&[&str]| keys.iter().all(|key| names.iter().any(|name| name == key));
    if let Some(keys) = SIGNATURES.iter().find(|keys| has_all(keys)) {
        return Some(Recognised { format: Format::Canonical, by: format!("the columns {}", keys.join(", ")) });
    }
    let told = TABLES.iter().find(|recipe| recipe.is_told_by(|column| names.iter().any(|name| name == column)))?;
    let by = format!("the columns {}", told.signature.join(", "));
    if told.format != Format::Azure2023 {
        return Some(Recognised { format: told.format, by });
    }
    // The years have the same columns; those of 2024 say their zone.
    let second = sample.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let time = second.split(|byte| *byte == b',').next().unwrap_or_default();
    let zoned = time.get(19..).is_some_and(|rest| rest.contains(&b'+') || rest.contains(&b'Z'));
    let (format, zone) = if zoned { (Format::Azure2024, "times with") } else { (Format::Azure2023, "times without") };
    Some(Recognised { format, by: format!("{by}, and {zone} a zone") })
}

/// The keys that only OTLP-JSON has.
const OTLP_KEYS: [&str; 3] = ["resourceSpans", "scopeSpans", "instrumentationLibrarySpans"];

/// What tells that a document is OTLP-JSON: its key stands near the beginning.
fn otlp_key(sample: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&sample[..sample.len().min(4096)]);
    OTLP_KEYS.into_iter().find(|key| text.contains(&format!("\"{key}\"")))
}

fn of_objects(sample: &[u8]) -> Option<Recognised> {
    if let Some(key) = otlp_key(sample) {
        return Some(Recognised { format: Format::Otlp, by: format!("the key {key}") });
    }
    let by_keys = |object: &Fields| {
        if let Some((format, keys)) = SPECIAL.iter().find(|(_, keys)| keys.iter().all(|key| object.contains_key(*key))) {
            return Some(Recognised { format: *format, by: format!("the keys {}", keys.join(", ")) });
        }
        let told = OBJECTS.iter().find(|recipe| recipe.is_told_by(|key| object.contains_key(key)))?;
        Some(Recognised { format: told.format, by: format!("the keys {}", told.signature.join(", ")) })
    };
    // Other lines may stand between those of the log.
    objects_in(sample).iter().find_map(by_keys)
}

//! OpenTelemetry spans as OTLP-JSON, one document or one on each line: those of a gateway or client with the `GenAI` names
//! (today's `input_tokens` and `output_tokens`, the older `prompt_tokens` and `completion_tokens`), and vLLM's own `llm_request`.
//!
//! Integers are strings there. A document of any size is read span by span.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::objects::{Fields, not_json};
use super::recipe::Recipe;
use super::{Field, Format, Map, TimeKind};
use crate::trace::assemble::Assembler;
use crate::trace::cell::{Cell, Cells};
use crate::trace::error::{RowProblem, TraceError, broken_off, excerpt, excerpt_of};
use crate::trace::names::Names;
use crate::trace::pieces::{Piece, Pieces, Wanted};
use crate::trace::reader::{Dropped, Head, Reader, Row};
use crate::trace::source::Source;

const NS: TimeKind = TimeKind::UnixNanos;
const S: TimeKind = TimeKind::Seconds;

/// The columns are attributes, and of the span itself `startTimeUnixNano`, `endTimeUnixNano`, `spanId` and `status.code`.
const OTLP: Recipe = Recipe::plain(
    Format::Otlp,
    &[],
    &[
        (Field::Arrival, "startTimeUnixNano", NS),
        (Field::End, "endTimeUnixNano", NS),
        (Field::Ttft, "gen_ai.latency.time_to_first_token", S),
        (Field::Ttft, "gen_ai.response.time_to_first_chunk", S),
        (Field::Duration, "gen_ai.latency.e2e", S),
        (Field::Input, "gen_ai.usage.input_tokens", S),
        (Field::Input, "gen_ai.usage.prompt_tokens", S),
        (Field::Output, "gen_ai.usage.output_tokens", S),
        (Field::Output, "gen_ai.usage.completion_tokens", S),
        (Field::Class, "gen_ai.request.model", S),
        (Field::Class, "gen_ai.response.model", S),
        (Field::Tenant, "enduser.id", S),
        (Field::Tenant, "user.id", S),
        (Field::Session, "gen_ai.conversation.id", S),
        (Field::Session, "session.id", S),
        (Field::Request, "spanId", S),
        (Field::Status, "http.response.status_code", S),
        (Field::Error, "error.type", S),
    ],
);

const BOTH: &str =
    "spans of vLLM's own and of a client or gateway are both here: one request may be two records; export one kind";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    #[serde(default)]
    name: String,
    #[serde(rename = "spanId")]
    id: Option<Value>,
    start_time_unix_nano: Option<Value>,
    end_time_unix_nano: Option<Value>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    status: SpanStatus,
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    /// `{"intValue": "12"}`: one entry, whose key is its type.
    #[serde(default)]
    value: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
struct SpanStatus {
    #[serde(default)]
    code: Value,
}

/// Spans, one at a time.
pub(super) struct Otlp {
    pieces: Pieces,
    paths: Vec<String>,
    assembler: Assembler,
    row: u64,
    done: bool,
    seen_server: bool,
    seen_client: bool,
}

impl Otlp {
    pub fn new(source: Source, own: Option<Map>, recognised_by: String) -> Result<Self, TraceError> {
        let head = OTLP.head(&source.file, recognised_by);
        let map = own.unwrap_or_default().or(OTLP.map());
        let places: Vec<Option<usize>> = (0..map.columns.len()).map(Some).collect();
        let assembler = Assembler::new(head, &map, &places, OTLP.empty_answer)?;
        let paths = map.columns.into_iter().map(|mapped| mapped.column).collect();
        let pieces = Pieces::new(source.bytes, Wanted::Under("spans"));
        Ok(Self { pieces, paths, assembler, row: 0, done: false, seen_server: false, seen_client: false })
    }

    fn row_of(&mut self, piece: Piece) -> Row {
        let row = self.row;
        let dropped = |problem| Row::Dropped(Dropped { row, problem });
        let span = match piece {
            Piece::TooLong => return dropped(RowProblem::TooLong),
            Piece::Text(text) => match span(&text) {
                Ok(span) => span,
                Err(problem) => return dropped(problem),
            },
        };
        let is_server = span.name == "llm_request" || span.has("gen_ai.latency.");
        if !is_server && !span.has("gen_ai.usage.") && !span.has("gen_ai.operation.name") {
            return dropped(RowProblem::NotARequest { name: excerpt(&span.name) });
        }
        self.seen_server |= is_server;
        self.seen_client |= !is_server;
        if self.seen_server && self.seen_client && !self.assembler.head.notes.iter().any(|note| note == BOTH) {
            self.assembler.head.notes.push(BOTH.to_owned());
        }
        let object = span.flat();
        self.assembler.row(row, &Flat { object: &object, paths: &self.paths })
    }
}

fn span(text: &[u8]) -> Result<Span, RowProblem> {
    let text = str::from_utf8(text).map_err(|_| RowProblem::NotUtf8 { text: excerpt_of(text) })?;
    serde_json::from_str(text).map_err(|error| not_json(&error, text))
}

impl Span {
    fn has(&self, prefix: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.key.starts_with(prefix))
    }

    /// All that a map can name, by name.
    fn flat(self) -> Fields {
        let mut fields = Fields::new();
        for Attribute { key, value } in self.attributes {
            fields.insert(key, value.into_values().next().unwrap_or_default());
        }
        let failed = self.status.code == 2 || self.status.code == "STATUS_CODE_ERROR";
        if failed && !fields.contains_key("error.type") {
            fields.insert("error.type".to_owned(), Value::Bool(true));
        }
        let of_span = [
            ("spanId", self.id),
            ("startTimeUnixNano", self.start_time_unix_nano),
            ("endTimeUnixNano", self.end_time_unix_nano),
        ];
        for (key, value) in of_span {
            fields.insert(key.to_owned(), value.unwrap_or_default());
        }
        fields
    }
}

struct Flat<'a> {
    object: &'a Fields,
    paths: &'a [String],
}

impl Cells for Flat<'_> {
    fn cell(&self, at: usize) -> Cell<'_> {
        self.object.get(&self.paths[at]).map_or(Cell::Missing, Cell::of_json)
    }
}

impl Reader for Otlp {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        if self.done {
            return Ok(None);
        }
        let file = || self.assembler.head.file.clone();
        match self.pieces.next() {
            Ok(Some((_, piece))) => {
                self.row += 1;
                Ok(Some(self.row_of(piece)))
            }
            Ok(None) => {
                self.done = true;
                if self.row == 0 { Err(TraceError::Empty { file: file() }) } else { Ok(None) }
            }
            Err(error) => {
                self.done = true;
                Err(TraceError::Read { file: file(), line: self.pieces.line(), reason: broken_off(&error) })
            }
        }
    }

    fn head(&self) -> &Head {
        &self.assembler.head
    }

    fn names(&self) -> &Names {
        &self.assembler.names
    }
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;

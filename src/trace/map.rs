//! Which column holds what: `arrival=ts:unix_ms,input=prompt_tokens,output=completion_tokens`.

use super::error::TraceError;

/// What a column can hold.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Intended arrival.
    Arrival,
    /// When it was really sent.
    Sent,
    /// When the first byte or token of the answer came.
    FirstByte,
    /// When the last byte or token of the answer came.
    LastByte,
    /// When whoever wrote the log was done with it.
    End,
    /// From arrival to end; where there is no arrival, that is the end less this (access logs).
    Duration,
    /// From arrival to the first byte or token.
    Ttft,
    /// Prompt length, tokens.
    Input,
    /// Answer length, tokens.
    Output,
    /// Class.
    Class,
    /// Who pays.
    Tenant,
    /// Session or conversation.
    Session,
    /// The source's own id of the request.
    Request,
    /// The id of the request before it in the conversation; -1 for the first.
    Parent,
    /// HTTP status, or a word: `success`, `failure`, `timeout`, `cancelled`, ...
    Status,
    /// What went wrong; anything in it means that it failed, an HTTP status counts as one.
    Error,
    /// Envoy's response flags.
    Flags,
    /// Whether a cache answered.
    CacheHit,
    /// Images in the prompt.
    Images,
    /// Which try this is, from 1.
    Attempt,
    /// Hashes of the prompt's blocks.
    Blocks,
}

impl Field {
    /// Every field, in order of its discriminant.
    pub const ALL: [Self; 21] = [
        Self::Arrival,
        Self::Sent,
        Self::FirstByte,
        Self::LastByte,
        Self::End,
        Self::Duration,
        Self::Ttft,
        Self::Input,
        Self::Output,
        Self::Class,
        Self::Tenant,
        Self::Session,
        Self::Request,
        Self::Parent,
        Self::Status,
        Self::Error,
        Self::Flags,
        Self::CacheHit,
        Self::Images,
        Self::Attempt,
        Self::Blocks,
    ];

    /// The name in a map.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::Sent => "sent",
            Self::FirstByte => "first_byte",
            Self::LastByte => "last_byte",
            Self::End => "end",
            Self::Duration => "duration",
            Self::Ttft => "ttft",
            Self::Input => "input",
            Self::Output => "output",
            Self::Class => "class",
            Self::Tenant => "tenant",
            Self::Session => "session",
            Self::Request => "request",
            Self::Parent => "parent",
            Self::Status => "status",
            Self::Error => "error",
            Self::Flags => "flags",
            Self::CacheHit => "cache_hit",
            Self::Images => "images",
            Self::Attempt => "attempt",
            Self::Blocks => "blocks",
        }
    }

    /// Whether it is a point in time.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Arrival | Self::Sent | Self::FirstByte | Self::LastByte | Self::End)
    }

    /// Whether it is a length of time.
    #[must_use]
    pub const fn is_span(self) -> bool {
        matches!(self, Self::Duration | Self::Ttft)
    }
}

/// How a column writes times or lengths of time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeKind {
    /// Seconds since the log's own zero, or a length in seconds.
    #[default]
    Seconds,
    /// The same in milliseconds.
    Millis,
    /// The same in microseconds.
    Micros,
    /// The same in nanoseconds.
    Nanos,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// Microseconds since 1970.
    UnixMicros,
    /// Nanoseconds since 1970.
    UnixNanos,
    /// A date and a time of day; without a zone they are taken as UTC.
    Iso8601,
}

impl TimeKind {
    /// Every kind, in order of its discriminant.
    pub const ALL: [Self; 9] = [
        Self::Seconds,
        Self::Millis,
        Self::Micros,
        Self::Nanos,
        Self::UnixSeconds,
        Self::UnixMillis,
        Self::UnixMicros,
        Self::UnixNanos,
        Self::Iso8601,
    ];

    /// The name in a map.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Millis => "ms",
            Self::Micros => "us",
            Self::Nanos => "ns",
            Self::UnixSeconds => "unix_s",
            Self::UnixMillis => "unix_ms",
            Self::UnixMicros => "unix_us",
            Self::UnixNanos => "unix_ns",
            Self::Iso8601 => "iso8601",
        }
    }

    /// Nanoseconds in its unit; of a date, those of a second.
    #[must_use]
    pub const fn unit_ns(self) -> i64 {
        match self {
            Self::Seconds | Self::UnixSeconds | Self::Iso8601 => 1_000_000_000,
            Self::Millis | Self::UnixMillis => 1_000_000,
            Self::Micros | Self::UnixMicros => 1_000,
            Self::Nanos | Self::UnixNanos => 1,
        }
    }

    /// Whether it is a time on a clock on the wall, and not since the log's own zero.
    #[must_use]
    pub const fn is_wall(self) -> bool {
        matches!(self, Self::UnixSeconds | Self::UnixMillis | Self::UnixMicros | Self::UnixNanos | Self::Iso8601)
    }
}

/// Which columns hold what. Where a field has several, the first that is there and not empty counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// In order of preference.
    pub columns: Vec<Mapped>,
}

/// One column of a [`Map`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// What it holds.
    pub field: Field,
    /// Its name; in JSON `usage.prompt_tokens` is the key of that name, else `prompt_tokens` inside `usage`.
    pub column: String,
    /// How it writes times.
    pub kind: TimeKind,
}

impl Map {
    /// Whether a column is mapped to `field`.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.columns.iter().any(|mapped| mapped.field == field)
    }

    /// This map, and for the fields that it leaves out what `other` says.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        let missing: Vec<Mapped> = other.columns.into_iter().filter(|mapped| !self.has(mapped.field)).collect();
        self.columns.extend(missing);
        self
    }

    /// The fields that it maps, each once.
    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = self.columns.iter().map(|mapped| mapped.field).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// A map of a format's own, from its table.
    pub(super) fn of(table: &[(Field, &str, TimeKind)]) -> Self {
        let mapped = |(field, column, kind): &(Field, &str, TimeKind)| Mapped {
            field: *field,
            column: (*column).to_owned(),
            kind: *kind,
        };
        Self { columns: table.iter().map(mapped).collect() }
    }
}

impl std::str::FromStr for Map {
    type Err = TraceError;

    /// Reads `field=column[:kind],...`.
    fn from_str(text: &str) -> Result<Self, TraceError> {
        let columns = text.split(',').map(mapped).collect::<Result<Vec<Mapped>, String>>();
        columns.map(|columns| Self { columns }).map_err(|why| TraceError::Map(format!("--map: {why}")))
    }
}

fn mapped(text: &str) -> Result<Mapped, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not FIELD=COLUMN or FIELD=COLUMN:KIND, like arrival=ts:unix_ms");
    let (name, column) = text.split_once('=').ok_or_else(wrong)?;
    let name = name.trim();
    let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) else {
        let known = Field::ALL.map(Field::name);
        return Err(format!("there is no field `{name}`{}; the fields are: {}", near(name, &known), known.join(", ")));
    };
    // A column's own name may hold a colon: only a known kind at its end is one.
    let (column, kind) = match column.rsplit_once(':') {
        Some((column, kind)) if field.is_time() || field.is_span() => (column, Some(kind_of(kind)?)),
        _ => (column, None),
    };
    if column.trim().is_empty() {
        return Err(wrong());
    }
    if let Some(kind) = kind.filter(|kind| field.is_span() && kind.is_wall()) {
        return Err(format!("`{name}` is a length of time: `{}` is none; write s, ms, us or ns", kind.name()));
    }
    Ok(Mapped { field, column: column.trim().to_owned(), kind: kind.unwrap_or_default() })
}

fn kind_of(name: &str) -> Result<TimeKind, String> {
    let name = name.trim();
    let known = TimeKind::ALL.map(TimeKind::name);
    let found = TimeKind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("there is no kind of time `{name}`{}; they are: {}", near(name, &known), known.join(", ")))
}

fn near(name: &str, known: &[&str]) -> String {
    let close = known.iter().filter(|other| strsim::damerau_levenshtein(name, other) <= 2);
    let best = close.min_by_key(|other| strsim::damerau_levenshtein(name, other));
    best.map_or_else(String::new, |best| format!(" (did you mean `{best}`?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_reads_as_it_is_written() {
        let map: Map =
            "arrival=ts:unix_ms, input=usage.prompt_tokens,output=out,tenant=a,tenant=b,duration=d:ms".parse().unwrap();
        let shown: Vec<_> = map.columns.iter().map(|m| (m.field.name(), m.column.as_str(), m.kind.name())).collect();
        assert_eq!(
            shown,
            [
                ("arrival", "ts", "unix_ms"),
                ("input", "usage.prompt_tokens", "s"),
                ("output", "out", "s"),
                ("tenant", "a", "s"),
                ("tenant", "b", "s"),
                ("duration", "d", "ms"),
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_a_map_is_said_with_what_would_be_right() {
        let said = |text: &str| text.parse::<Map>().unwrap_err().to_string();
        for (text, part) in [
            ("", "`` is not FIELD=COLUMN"),
            ("arival=ts", "there is no field `arival` (did you mean `arrival`?); the fields are: arrival, sent,"),
            ("arrival=ts:unix-ms", "there is no kind of time `unix-ms` (did you mean `unix_ms`?)"),
            ("arrival=", "is not FIELD=COLUMN"),
            ("ttft=x:unix_s", "`ttft` is a length of time: `unix_s` is none; write s, ms, us or ns"),
        ] {
            assert!(said(text).contains(part), "{}", said(text));
        }
    }

    #[test]
    fn a_map_of_the_operators_stands_before_the_formats_own() {
        let own = Map::of(&[(Field::Input, "a", TimeKind::Seconds), (Field::Output, "b", TimeKind::Seconds)]);
        let both = "input=mine".parse::<Map>().unwrap().or(own);
        assert_eq!(both.columns.iter().map(|m| m.column.as_str()).collect::<Vec<_>>(), ["mine", "b"]);
    }
}

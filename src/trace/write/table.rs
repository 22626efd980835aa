//! A table of everything that a record holds. Times are nanoseconds: since 1970 where the log says when it was taken
//! (`arrival_unix_ns`), since its own zero elsewhere (`arrival_ns`). Keys and prefix blocks are hexadecimal; the name of the
//! blocks' column says how many tokens a block has.

use std::io::Write;

use super::super::format::canonical::{COLUMNS, Column};
use super::super::names::Names;
use super::super::reader::Head;
use super::super::record::{Key, NameId, Record};
use crate::time::Time;

/// Writes the header.
pub(super) fn header(head: &Head, bytes: &mut Vec<u8>) {
    for (number, column) in COLUMNS.iter().enumerate() {
        if number > 0 {
            bytes.push(b',');
        }
        bytes.extend_from_slice(column.header(head.origin.unix_ns.is_some(), head.block_tokens).as_bytes());
    }
    bytes.push(b'\n');
}

/// Writes one row.
pub(super) fn row(record: &Record, head: &Head, names: &Names, bytes: &mut Vec<u8>) {
    for (number, column) in COLUMNS.iter().enumerate() {
        if number > 0 {
            bytes.push(b',');
        }
        field(*column, record, head, names, bytes);
    }
    bytes.push(b'\n');
}

fn field(column: Column, record: &Record, head: &Head, names: &Names, bytes: &mut Vec<u8>) {
    let mut number = |value: Option<u64>| {
        if let Some(value) = value {
            write!(bytes, "{value}").expect("memory is writable");
        }
    };
    match column {
        Column::Row => number(Some(record.row)),
        Column::Input => number(record.input_tokens.map(u64::from)),
        Column::Output => number(record.output_tokens.map(u64::from)),
        Column::Received => number(record.received_tokens.map(u64::from)),
        Column::Images => number(Some(u64::from(record.images)).filter(|images| *images > 0)),
        Column::Status => number(record.status.map(u64::from)),
        Column::Attempt => number(record.attempt.map(u64::from)),
        Column::Arrival => time(Some(record.arrival), head, bytes),
        Column::Sent => time(record.sent, head, bytes),
        Column::FirstByte => time(record.first_byte, head, bytes),
        Column::LastByte => time(record.last_byte, head, bytes),
        Column::End => time(record.end, head, bytes),
        Column::Class => name(record.class.map(|id: NameId| names.classes.name(id)), bytes),
        Column::Tenant => name(record.tenant.map(|id: NameId| names.tenants.name(id)), bytes),
        Column::Session => hex(record.session.map(Key::bits).as_slice(), bytes),
        Column::Request => hex(record.request.map(Key::bits).as_slice(), bytes),
        Column::Blocks => hex(&record.prefix, bytes),
        Column::Ended => name(record.ended.map(super::super::record::Ended::name), bytes),
        Column::Chunks => {
            for (number, chunk) in record.chunks.iter().enumerate() {
                if number > 0 {
                    bytes.push(b' ');
                }
                time(Some(*chunk), head, bytes);
            }
        }
    }
}

fn time(time: Option<Time>, head: &Head, bytes: &mut Vec<u8>) {
    let Some(time) = time else { return };
    let written = match head.origin.unix_ns_at(time) {
        Some(unix) => write!(bytes, "{unix}"),
        None => write!(bytes, "{}", time.as_nanos()),
    };
    written.expect("memory is writable");
}

fn hex(keys: &[u64], bytes: &mut Vec<u8>) {
    for (number, key) in keys.iter().enumerate() {
        let before = if number > 0 { " " } else { "" };
        write!(bytes, "{before}{key:x}").expect("memory is writable");
    }
}

/// A name, quoted where it must be (RFC 4180), and where it would else read as none.
fn name(name: Option<&str>, bytes: &mut Vec<u8>) {
    let Some(name) = name else { return };
    if name.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        write!(bytes, "\"{}\"", name.replace('"', "\"\"")).expect("memory is writable");
    } else {
        bytes.extend_from_slice(name.as_bytes());
    }
}

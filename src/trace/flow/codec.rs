//! Records as bytes, for the files of a sort: little-endian, in the order of [`Record`]'s fields, behind a word that tells which
//! are there. Never kept: a program reads only what it wrote itself.

use std::io::{self, Read};

use super::super::record::{Ended, Key, NameId, Record};
use crate::time::Time;

/// Writes a record behind what is in `bytes`.
pub(super) fn write(record: &Record, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 2]);
    let mut present = 0_u16;
    let mut bit = 1_u16;
    let mut put = |value: Option<u64>| {
        if let Some(value) = value {
            bytes.extend_from_slice(&value.to_le_bytes());
            present |= bit;
        }
        bit = bit.checked_shl(1).unwrap_or(0);
    };
    let nanos = |time: Option<Time>| time.map(Time::as_nanos);
    let position = |name: Option<NameId>| name.map(|name| name.index() as u64);
    put(nanos(record.sent));
    put(nanos(record.first_byte));
    put(nanos(record.last_byte));
    put(nanos(record.end));
    put(record.input_tokens.map(u64::from));
    put(record.output_tokens.map(u64::from));
    put(record.received_tokens.map(u64::from));
    put(position(record.class));
    put(position(record.tenant));
    put(record.session.map(Key::bits));
    put(record.request.map(Key::bits));
    put((record.images > 0).then_some(u64::from(record.images)));
    put(record.status.map(u64::from));
    put(record.ended.map(|ended| ended as u64));
    put(record.attempt.map(u64::from));
    put((!record.prefix.is_empty() || !record.chunks.is_empty()).then_some(record.prefix.len() as u64));
    bytes[start..start + 2].copy_from_slice(&present.to_le_bytes());
    let mut word = |value: u64| bytes.extend_from_slice(&value.to_le_bytes());
    word(record.row);
    word(record.arrival.as_nanos());
    if present & LISTS != 0 {
        word(record.chunks.len() as u64);
        record.prefix.iter().for_each(|block| word(*block));
        record.chunks.iter().for_each(|time| word(time.as_nanos()));
    }
}

/// The bit that tells that there are lists.
const LISTS: u16 = 1 << 15;

/// Reads a record; `None` at the end of the file.
pub(super) fn read(bytes: &mut impl Read) -> io::Result<Option<Record>> {
    let mut head = [0; 2];
    if bytes.read(&mut head[..1])? == 0 {
        return Ok(None);
    }
    bytes.read_exact(&mut head[1..])?;
    let mut present = u16::from_le_bytes(head);
    let has_lists = present & LISTS != 0;
    let mut fields = [None; 16];
    for field in &mut fields {
        if present & 1 == 1 {
            *field = Some(word(bytes)?);
        }
        present >>= 1;
    }
    let [
        sent,
        first_byte,
        last_byte,
        end,
        input,
        output,
        received,
        class,
        tenant,
        session,
        request,
        images,
        status,
        ended,
        attempt,
        blocks,
    ] = fields;
    let (row, arrival) = (word(bytes)?, Time::from_nanos(word(bytes)?));
    let (mut prefix, mut chunks) = (Vec::new(), Vec::new());
    if has_lists {
        let count = word(bytes)?;
        for _ in 0..blocks.unwrap_or(0) {
            prefix.push(word(bytes)?);
        }
        for _ in 0..count {
            chunks.push(Time::from_nanos(word(bytes)?));
        }
    }
    let time = |field: Option<u64>| field.map(Time::from_nanos);
    let name = |field: Option<u64>| field.and_then(|at| u32::try_from(at).ok()).map(NameId::at);
    Ok(Some(Record {
        row,
        arrival,
        sent: time(sent),
        first_byte: time(first_byte),
        last_byte: time(last_byte),
        end: time(end),
        input_tokens: small(input),
        output_tokens: small(output),
        received_tokens: small(received),
        class: name(class),
        tenant: name(tenant),
        session: session.and_then(Key::from_bits),
        request: request.and_then(Key::from_bits),
        prefix: prefix.into(),
        chunks: chunks.into(),
        images: small(images).unwrap_or(0),
        status: small(status),
        ended: ended.and_then(|at| usize::try_from(at).ok()).and_then(|at| Ended::ALL.get(at).copied()),
        attempt: small(attempt),
    }))
}

fn small<N: TryFrom<u64>>(field: Option<u64>) -> Option<N> {
    field.and_then(|field| N::try_from(field).ok())
}

fn word(bytes: &mut impl Read) -> io::Result<u64> {
    let mut word = [0; 8];
    bytes.read_exact(&mut word)?;
    Ok(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::property_tests::any_record;
    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(records in prop::collection::vec(any_record(), 0..20)) {
            let mut bytes = Vec::new();
            records.iter().for_each(|record| write(record, &mut bytes));
            let mut from = &bytes[..];
            let mut back = Vec::new();
            while let Some(record) = read(&mut from).unwrap() {
                back.push(record);
            }
            prop_assert_eq!(back, records);
        }
    }
}

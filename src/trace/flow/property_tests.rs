//! Whatever the log and whatever the rules: records come in order, and the accounts add up.

use std::collections::BTreeMap;

use proptest::option;
use proptest::prelude::*;

use super::super::error::{RowProblem, TraceError};
use super::super::format::Format;
use super::super::names::Names;
use super::super::reader::{Dropped, Head, Reader, Row};
use super::super::record::{Ended, Key, NameId, Record};
use super::{Bound, Flow, Impute, Rules, Slice};
use crate::time::{Span, Time};

/// A reader of rows in memory.
pub(super) struct Given {
    rows: std::vec::IntoIter<Row>,
    head: Head,
    names: Names,
}

impl Given {
    pub fn new(rows: Vec<Row>) -> Self {
        Self { rows: rows.into_iter(), head: Head::new("given", Format::Csv, String::new()), names: Names::default() }
    }
}

impl Reader for Given {
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        Ok(self.rows.next())
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn names(&self) -> &Names {
        &self.names
    }
}

/// The flow of rows in memory.
pub(super) fn flow(rows: Vec<Row>, rules: Rules) -> Flow {
    Flow::new(Box::new(move || Ok(Box::new(Given::new(rows.clone())))), rules).unwrap()
}

/// All that comes out.
pub(super) fn all(flow: &mut Flow) -> Vec<Record> {
    std::iter::from_fn(|| flow.next().unwrap()).collect()
}

fn time() -> impl Strategy<Value = Time> {
    // Coarse as well as fine, so that arrivals meet.
    prop_oneof![(0..400_u64).prop_map(|secs| secs * 1_000_000_000), 0..400_000_000_000_u64].prop_map(Time::from_nanos)
}

pub(in crate::trace) fn any_record() -> impl Strategy<Value = Record> {
    let times = (time(), option::of(time()), option::of(time()), option::of(time()), option::of(time()));
    let tokens = (option::of(1..5_u32), option::of(1..900_u32), option::of(1..900_u32), 0..3_u32);
    let names = (option::of(0..3_u32), option::of(0..3_u32), option::of(1..20_u64), option::of(1..60_u64));
    let ends = (option::of(200..600_u16), option::of(0..Ended::ALL.len()), option::of(1..4_u16));
    let lists = (prop::collection::vec(any::<u64>(), 0..3), prop::collection::vec(time(), 0..3));
    (any::<u64>(), times, tokens, names, ends, lists).prop_map(|(row, times, tokens, names, ends, (prefix, chunks))| Record {
        row,
        arrival: times.0,
        sent: times.1,
        first_byte: times.2,
        last_byte: times.3,
        end: times.4,
        input_tokens: tokens.0,
        output_tokens: tokens.1,
        received_tokens: tokens.2,
        images: tokens.3,
        class: names.0.map(NameId::at),
        tenant: names.1.map(NameId::at),
        session: names.2.and_then(Key::from_bits),
        request: names.3.and_then(Key::from_bits),
        status: ends.0,
        ended: ends.1.map(|at| Ended::ALL[at]),
        attempt: ends.2,
        prefix: prefix.into(),
        chunks: chunks.into(),
    })
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let dropped = any::<u64>().prop_map(|row| Row::Dropped(Dropped { row, problem: RowProblem::CacheHit }));
    prop::collection::vec(prop_oneof![9 => any_record().prop_map(Row::Record), 1 => dropped], 0..120)
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let slice = prop_oneof![
        Just(None),
        (0..200_u64, 1..300_u64).prop_map(|(from, length)| {
            let since = |secs| Some(Bound::Since(Span::from_secs(secs)));
            Some(Slice { from: since(from), to: since(from + length) })
        })
    ];
    let impute = (0..Impute::ALL.len()).prop_map(|at| Impute::ALL[at]);
    let rate = prop_oneof![Just(1.0), 0.05..4.0];
    let time = prop_oneof![Just(1.0), 0.1..3.0];
    let order = (1..600_u64, any::<bool>(), option::of(1..100_u64));
    (order, any::<bool>(), impute, slice, rate, time, 1..4_u32, any::<u64>()).prop_map(
        |((window, external, fold), spread, impute, slice, rate_scale, time_scale, repeat, seed)| Rules {
            window: Span::from_secs(window),
            sort_in: external.then(std::env::temp_dir),
            fold: fold.map(Span::from_secs),
            spread,
            impute,
            slice,
            rate_scale,
            time_scale,
            repeat,
            seed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn accounts_add_up_and_requests_come_in_order(rows in any_rows(), rules in any_rules()) {
        let mut flow = flow(rows.clone(), rules.clone());
        let mut latest = Time::ZERO;
        let mut emitted = 0;
        while let Some(record) = flow.next().unwrap() {
            emitted += 1;
            prop_assert!(record.arrival >= latest, "{} after {latest}", record.arrival);
            latest = record.arrival;
            prop_assert!(rules.impute == Impute::Keep || record.lengths().is_some());
            prop_assert!(flow.accounts().adds_up(), "{:?}", flow.accounts());
        }
        let accounts = flow.accounts();
        prop_assert_eq!(accounts.emitted, emitted);
        prop_assert_eq!(accounts.held, 0);
        prop_assert!(accounts.adds_up(), "{:?}", accounts);
        // What was read is what the log has, but for what lies behind a window.
        let read = accounts.fates.rows();
        prop_assert!(read == rows.len() as u64 || (rules.slice.is_some() && read < rows.len() as u64));
    }

    #[test]
    fn the_same_seed_gives_the_same_requests(rows in any_rows(), rules in any_rules()) {
        let (mut one, mut other) = (flow(rows.clone(), rules.clone()), flow(rows, rules));
        prop_assert_eq!(all(&mut one), all(&mut other));
    }

    /// Inside the window, and through files at any distance, order is that of a stable sort of everything.
    #[test]
    fn order_is_that_of_a_stable_sort(mut records in prop::collection::vec(any_record(), 0..100), external: bool) {
        for (row, record) in records.iter_mut().enumerate() {
            (record.row, record.request) = (row as u64, None);
        }
        let window = if external { Span::from_secs(1) } else { Span::from_secs(401) };
        let rules = Rules { window, sort_in: external.then(std::env::temp_dir), ..Rules::as_logged() };
        let found = all(&mut flow(records.iter().cloned().map(Row::Record).collect(), rules));
        records.sort_by_key(|record| record.arrival);
        prop_assert_eq!(found, records);
    }

    /// No row is given twice unless it was asked for, and each comes from the log.
    #[test]
    fn without_copies_each_row_comes_at_most_once(rows in any_rows(), rules in any_rules()) {
        let mut rows = rows;
        for (number, row) in rows.iter_mut().enumerate() {
            if let Row::Record(record) = row {
                record.row = number as u64;
            }
        }
        let rules = Rules { rate_scale: rules.rate_scale.min(1.0), repeat: 1, ..rules };
        let mut seen = BTreeMap::new();
        for record in all(&mut flow(rows.clone(), rules)) {
            prop_assert!(seen.insert(record.row, ()).is_none(), "row {} twice", record.row);
            let number = usize::try_from(record.row).unwrap();
            prop_assert!(matches!(rows[number], Row::Record(_)));
        }
    }
}

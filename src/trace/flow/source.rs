//! The first stage: rows of the reader, counted.

use super::super::error::TraceError;
use super::super::reader::{Fates, Reader, Row};
use super::super::record::{Ended, Record};
use super::Stage;
use super::accounts::{Accounts, Censored};
use crate::time::Time;

/// A reader whose rows are counted by fate.
pub(super) struct Source {
    reader: Box<dyn Reader>,
    fates: Fates,
    latest: Time,
    out_of_order: u64,
    censored: Censored,
}

impl Source {
    pub fn new(reader: Box<dyn Reader>) -> Self {
        Self { reader, fates: Fates::default(), latest: Time::ZERO, out_of_order: 0, censored: Censored::default() }
    }
}

impl Stage for Source {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        while let Some(row) = self.reader.next()? {
            match row {
                Row::Record(record) => {
                    self.fates.records += 1;
                    self.out_of_order += u64::from(record.arrival < self.latest);
                    self.latest = self.latest.max(record.arrival);
                    self.censored.count(&record);
                    return Ok(Some(record));
                }
                Row::Dropped(dropped) => self.fates.lose(&dropped),
            }
        }
        Ok(None)
    }

    fn account(&self, accounts: &mut Accounts) {
        accounts.fates = self.fates.clone();
        accounts.out_of_order = self.out_of_order;
        accounts.censored = self.censored;
        let names = self.reader.names();
        accounts.unnamed = names.classes.beyond() + names.tenants.beyond();
    }

    fn held(&self) -> u64 {
        0
    }

    fn reader(&self) -> &dyn Reader {
        &*self.reader
    }
}

impl Censored {
    fn count(&mut self, record: &Record) {
        let Some(ended) = record.ended.filter(|ended| *ended != Ended::Complete) else {
            self.complete += u64::from(record.ended.is_some());
            self.unknown += u64::from(record.ended.is_none());
            return;
        };
        self.failed += 1;
        self.rejected += u64::from(ended == Ended::Refused);
        self.without_input += u64::from(record.input_tokens.is_none());
        self.without_output += u64::from(record.output_tokens.is_none());
        self.cut += u64::from(record.output_tokens.is_none() && record.received_tokens.is_some_and(|came| came > 0));
        self.later_tries += u64::from(record.attempt.is_some_and(|attempt| attempt > 1));
    }
}

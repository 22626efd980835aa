//! Who sends how much.

use super::super::record::{NameId, Record};

/// Requests and tokens of each tenant, by position in the log's list of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenants {
    pub of: Vec<(u64, u64)>,
}

impl Tenants {
    pub fn count(&mut self, record: &Record) {
        let Some(place) = record.tenant.map(NameId::index) else { return };
        if self.of.len() <= place {
            self.of.resize(place + 1, (0, 0));
        }
        let tokens = u64::from(record.input_tokens.unwrap_or(0)) + u64::from(record.output_tokens.unwrap_or(0));
        self.of[place].0 += 1;
        self.of[place].1 += tokens;
    }
}

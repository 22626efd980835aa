//! What a format of tables or objects is: its columns, what tells it apart, and what a person must know about it.

use super::{Field, Format, Map, TimeKind};
use crate::trace::assemble::EmptyAnswer;
use crate::trace::reader::Head;

/// A format whose rows are made of named values.
pub(in crate::trace) struct Recipe {
    /// Which.
    pub format: Format,
    /// The columns that it is recognised by: all of them are there.
    pub signature: &'static [&'static str],
    /// Which columns hold what.
    pub columns: &'static [(Field, &'static str, TimeKind)],
    /// Tokens in a block of the prompt.
    pub block_tokens: Option<u32>,
    /// What an empty answer means.
    pub empty_answer: EmptyAnswer,
    /// What a person must know.
    pub notes: &'static [&'static str],
}

impl Recipe {
    /// A recipe with nothing special to it.
    pub const fn plain(
        format: Format,
        signature: &'static [&'static str],
        columns: &'static [(Field, &'static str, TimeKind)],
    ) -> Self {
        Self { format, signature, columns, block_tokens: None, empty_answer: EmptyAnswer::Drops, notes: &[] }
    }

    /// Its own map.
    pub fn map(&self) -> Map {
        Map::of(self.columns)
    }

    /// Whether these columns tell of it.
    pub fn is_told_by(&self, has: impl Fn(&str) -> bool) -> bool {
        !self.signature.is_empty() && self.signature.iter().all(|column| has(column))
    }

    /// The head of a file of it.
    pub fn head(&self, file: &str, recognised_by: String) -> Head {
        Head {
            block_tokens: self.block_tokens,
            notes: self.notes.iter().map(ToString::to_string).collect(),
            ..Head::new(file, self.format, recognised_by)
        }
    }
}

//! How long prompts and answers are, by class.

use super::super::record::{NameId, Record};
use crate::latency::Latency;
use crate::time::Span;

/// Classes that are kept apart; those beyond are counted in the whole alone.
const CLASSES_MAX: usize = 256;

/// What is counted of each request, in the order of [`Lengths::of`].
pub const LENGTHS: [&str; 3] = ["input", "output", "total"];

/// Distributions of lengths in tokens, to three significant digits; exact sums and maxima.
#[derive(Clone, Debug, Default)]
pub struct Lengths {
    /// Requests, with and without lengths.
    pub requests: u64,
    of: [Latency; 3],
    longest: [u64; 3],
}

impl Lengths {
    fn count(&mut self, record: &Record) {
        self.requests += 1;
        let (input, output) = (record.input_tokens.map(u64::from), record.output_tokens.map(u64::from));
        let total = input.zip(output).map(|(input, output)| input + output);
        for ((lengths, longest), tokens) in self.of.iter_mut().zip(&mut self.longest).zip([input, output, total]) {
            if let Some(tokens) = tokens {
                *longest = tokens.max(*longest);
                // A histogram of whole numbers, whatever they count.
                lengths.record(Span::from_nanos(tokens));
            }
        }
    }

    /// Each length in tokens with how many requests have it, rising; `which` is a place in [`LENGTHS`].
    pub fn of(&self, which: usize) -> impl Iterator<Item = (u64, u64)> {
        self.of[which].cells()
    }

    pub(super) fn histogram(&self, which: usize) -> &Latency {
        &self.of[which]
    }

    /// How many requests have that length.
    #[must_use]
    pub fn known(&self, which: usize) -> u64 {
        self.of[which].count()
    }

    /// The longest; 0 where no request has that length.
    #[must_use]
    pub const fn longest(&self, which: usize) -> u64 {
        self.longest[which]
    }

    /// All tokens of that kind.
    #[must_use]
    pub fn sum(&self, which: usize) -> u128 {
        self.of[which].sum
    }
}

/// Lengths of each class and of all.
#[derive(Clone, Debug, Default)]
pub(super) struct ByClass {
    all: Lengths,
    classes: Vec<Lengths>,
}

impl ByClass {
    pub fn count(&mut self, record: &Record) {
        self.all.count(record);
        let Some(place) = record.class.map(NameId::index).filter(|place| *place < CLASSES_MAX) else { return };
        if self.classes.len() <= place {
            self.classes.resize_with(place + 1, Lengths::default);
        }
        self.classes[place].count(record);
    }

    pub const fn all(&self) -> &Lengths {
        &self.all
    }

    /// By position in the log's list of names.
    pub fn classes(&self) -> &[Lengths] {
        &self.classes
    }
}

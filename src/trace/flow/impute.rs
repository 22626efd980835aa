//! Lengths that the log does not have: a request that was rejected has no answer, and often no counted prompt.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;

use super::super::error::TraceError;
use super::super::reader::Reader;
use super::super::record::{Ended, NameId, Record};
use super::accounts::{Accounts, Imputed};
use super::reservoir::Reservoir;
use super::{HELD_MAX, Stage};
use crate::latency::Latency;
use crate::rng::mix;
use crate::time::Span;

/// Where lengths come from that the log does not have.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impute {
    /// From requests of the same class that came before and have lengths, drawn by seed: keeps their distribution, and where
    /// both lengths are unknown how they go together.
    #[default]
    Draw,
    /// The median of such requests.
    ClassMedian,
    /// Nowhere: such requests are left out.
    Drop,
    /// Nowhere: they stay unknown. For whoever can do with that.
    Keep,
}

impl Impute {
    /// Every rule.
    pub const ALL: [Self; 4] = [Self::Draw, Self::ClassMedian, Self::Drop, Self::Keep];

    /// The name on the command line and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draw => "draw",
            Self::ClassMedian => "class-median",
            Self::Drop => "drop",
            Self::Keep => "keep",
        }
    }
}

impl FromStr for Impute {
    type Err = TraceError;

    fn from_str(name: &str) -> Result<Self, TraceError> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|rule| rule.name() == name);
        found.ok_or_else(|| TraceError::Rule(format!("there is no rule `{name}` for unknown lengths; they are: {}", known())))
    }
}

/// Classes that have lengths of their own; those beyond share one with whatever has no class.
const CLASSES_MAX: usize = 1_024;

/// Lengths of requests that have them.
#[derive(Default)]
struct Donors {
    pairs: Reservoir,
    inputs: Latency,
    outputs: Latency,
}

/// Records with lengths.
pub(super) struct Lengthened<S> {
    from: S,
    rule: Impute,
    window: Span,
    seed: u64,
    classes: BTreeMap<Option<NameId>, Donors>,
    all: Donors,
    /// Records from the first on that waits for a donor.
    waiting: VecDeque<Record>,
    done: bool,
    number: u64,
    dropped: u64,
    imputed: Imputed,
}

impl<S: Stage> Lengthened<S> {
    pub fn new(from: S, rule: Impute, window: Span, seed: u64) -> Self {
        Self {
            from,
            rule,
            window,
            seed: seed ^ SALT,
            classes: BTreeMap::new(),
            all: Donors::default(),
            waiting: VecDeque::new(),
            done: false,
            number: 0,
            dropped: 0,
            imputed: Imputed { rule, ..Imputed::default() },
        }
    }

    /// From a request that became complete, or of which the log does not say that it did not.
    fn learn(&mut self, record: &Record) {
        let Some(pair) = record.lengths().filter(|_| record.ended.is_none_or(|ended| ended == Ended::Complete)) else { return };
        let seed = self.seed;
        let class = class_of(record);
        self.all.see(pair, seed);
        self.classes.entry(class).or_default().see(pair, seed);
    }

    /// The donors for a record: of its class, and once it has waited long enough of any.
    fn donors(&self, record: &Record, latest: &Record) -> Option<&Donors> {
        let any = self.done || self.waiting.len() >= HELD_MAX || record.arrival + self.window < latest.arrival;
        let all = Some(&self.all).filter(|all| any && all.inputs.count() > 0);
        self.classes.get(&class_of(record)).or(all)
    }

    /// Settles the first that waits.
    fn settle(&mut self) -> Settled {
        let (Some(front), Some(back)) = (self.waiting.front(), self.waiting.back()) else { return Settled::Waits };
        let is_known = front.lengths().is_some();
        let donors = self.donors(front, back);
        if !is_known && donors.is_none() && !self.done && self.waiting.len() < HELD_MAX {
            return Settled::Waits;
        }
        let drawn = donors.and_then(|donors| donors.lengths(self.rule, mix(self.seed, self.number)));
        let mut record = self.waiting.pop_front().expect("its first was looked at");
        if is_known {
            return Settled::Given(record);
        }
        // An answer that was cut would have been at least as long as what came of it.
        let at_least = record.received_tokens.unwrap_or(0);
        let Some((input, output)) = drawn.map(|(input, output)| (input, output.max(at_least))) else {
            self.dropped += 1;
            return Settled::Dropped;
        };
        self.number += 1;
        self.imputed.requests += 1;
        self.imputed.input_tokens += record.input_tokens.map_or(u64::from(input), |_| 0);
        self.imputed.output_tokens += record.output_tokens.map_or(u64::from(output), |_| 0);
        record.input_tokens.get_or_insert(input);
        record.output_tokens.get_or_insert(output);
        Settled::Given(record)
    }

    fn counted(&mut self, record: Record) -> Record {
        self.imputed.of_requests += 1;
        self.imputed.of_tokens += u64::from(record.input_tokens.unwrap_or(0)) + u64::from(record.output_tokens.unwrap_or(0));
        record
    }
}

/// What a record's class is known as.
fn class_of(record: &Record) -> Option<NameId> {
    record.class.filter(|class| class.index() < CLASSES_MAX)
}

/// What became of the first record that waits.
enum Settled {
    Waits,
    Dropped,
    Given(Record),
}

/// Apart from what else the seed is for.
const SALT: u64 = 0x6C65_6E67_7468;

impl Donors {
    fn see(&mut self, pair: (u32, u32), seed: u64) {
        self.pairs.see(pair, seed);
        self.inputs.record(Span::from_nanos(u64::from(pair.0)));
        self.outputs.record(Span::from_nanos(u64::from(pair.1)));
    }

    fn lengths(&self, rule: Impute, bits: u64) -> Option<(u32, u32)> {
        match rule {
            Impute::Draw => self.pairs.draw(bits),
            Impute::ClassMedian => Some((median(&self.inputs)?, median(&self.outputs)?)),
            Impute::Drop | Impute::Keep => None,
        }
    }
}

/// The median, to three significant digits.
fn median(lengths: &Latency) -> Option<u32> {
    let half = lengths.count().div_ceil(2);
    let mut seen = 0;
    let found = lengths.cells().find(|(_, count)| {
        seen += count;
        seen >= half
    });
    found.map(|(top, _)| u32::try_from(top).unwrap_or(u32::MAX))
}

impl<S: Stage> Stage for Lengthened<S> {
    fn pull(&mut self) -> Result<Option<Record>, TraceError> {
        loop {
            match self.settle() {
                Settled::Given(record) => return Ok(Some(self.counted(record))),
                Settled::Dropped => continue,
                Settled::Waits if self.done => return Ok(None),
                Settled::Waits => {}
            }
            let Some(record) = self.from.pull()? else {
                self.done = true;
                continue;
            };
            let is_known = record.lengths().is_some();
            match self.rule {
                Impute::Drop if !is_known => self.dropped += 1,
                Impute::Drop | Impute::Keep => return Ok(Some(self.counted(record))),
                Impute::Draw | Impute::ClassMedian => {
                    self.learn(&record);
                    if is_known && self.waiting.is_empty() {
                        return Ok(Some(self.counted(record)));
                    }
                    self.waiting.push_back(record);
                }
            }
        }
    }

    fn account(&self, accounts: &mut Accounts) {
        self.from.account(accounts);
        accounts.without_lengths += self.dropped;
        accounts.imputed = self.imputed;
    }

    fn held(&self) -> u64 {
        self.from.held() + self.waiting.len() as u64
    }

    fn reader(&self) -> &dyn Reader {
        self.from.reader()
    }
}

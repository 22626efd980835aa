//! From a reader to its users: records in order of arrival, each request once, with lengths, as many as were asked for.
//!
//! Every stage pulls from the one before it, one record at a time; what it holds is bounded by a window of the log's own time
//! and by a number of records, never by the log's length (a sort of everything goes through files). Nothing is left out,
//! added or changed in silence: [`Accounts`] count it, and add up.
//!
//! ```text
//!  Reader -> order -> duplicates -> fold -> window -> spread -> impute -> scale -> (repeat)
//!            sorted   each id       each    FROM..TO  off the   lengths   rate,
//!            stably   once          try 1x            grid      known     time
//! ```

mod accounts;
mod codec;
mod duplicates;
mod external;
mod fold;
mod grid;
mod impute;
mod order;
mod reservoir;
mod scale;
mod slice;
mod source;
mod spread;

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
pub(super) mod property_tests;

use std::path::{Path, PathBuf};

pub use accounts::{Accounts, Censored, Imputed, Spread};
pub use grid::{Grid, GridFinder};
pub use impute::Impute;
pub use slice::{Bound, Slice};

use self::duplicates::Unique;
use self::fold::Folded;
use self::impute::Lengthened;
use self::order::Ordered;
use self::scale::{Scale, Scaled};
use self::slice::Sliced;
use self::source::Source;
use self::spread::OffGrid;
use super::error::TraceError;
use super::names::Names;
use super::reader::{Head, Options, Reader};
use super::record::Record;
use crate::time::{Span, Time};

/// Most records that a stage holds, whatever its window: a bound on memory where thousands arrive in a second.
pub const HELD_MAX: usize = 1 << 20;

/// What is done to a log between its reader and whoever uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How far back a row may stand behind one that arrived later, in the log's own time; also how long an id is remembered.
    pub window: Span,
    /// Sorts everything through files in this folder, and not only inside the window.
    pub sort_in: Option<PathBuf>,
    /// Folds a try into the failed one before it if it comes within this time of the failure; `None` for never.
    pub fold: Option<Span>,
    /// Whether arrivals on a grid are spread inside its ticks.
    pub spread: bool,
    /// Where lengths come from that the log does not have.
    pub impute: Impute,
    /// The part of the log to use.
    pub slice: Option<Slice>,
    /// How many times as many requests, above 0.
    pub rate_scale: f64,
    /// How many times as long between arrivals, above 0.
    pub time_scale: f64,
    /// How often the log is played, one after the other, at least 1.
    pub repeat: u32,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl Rules {
    /// The default window.
    pub const WINDOW: Span = Span::from_secs(600);
    /// The default time between a failure and the next try. Clients wait seconds (`OpenAI`'s and Anthropic's wait 0.5 to 8 s)
    /// unless a `Retry-After` tells them to wait longer; a minute is what rate limits by the minute tell them.
    pub const FOLD: Span = Span::from_secs(60);

    /// The default seed.
    pub const SEED: u64 = 1;

    /// Nothing but sorting and dropping of duplicates: the log as it is.
    #[must_use]
    pub fn as_logged() -> Self {
        Self { fold: None, spread: false, impute: Impute::Keep, ..Self::default() }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            window: Self::WINDOW,
            sort_in: None,
            fold: Some(Self::FOLD),
            spread: true,
            impute: Impute::Draw,
            slice: None,
            rate_scale: 1.0,
            time_scale: 1.0,
            repeat: 1,
            seed: Self::SEED,
        }
    }
}

/// A stage of the flow.
trait Stage {
    /// The next record.
    fn pull(&mut self) -> Result<Option<Record>, TraceError>;

    /// Adds what this stage and those before it have done.
    fn account(&self, accounts: &mut Accounts);

    /// Records that were taken in and have not come out, here and before.
    fn held(&self) -> u64;

    /// The reader.
    fn reader(&self) -> &dyn Reader;
}

type Stages = Scaled<Lengthened<OffGrid<Sliced<Folded<Unique<Ordered<Source>>>>>>>;

/// Opens the log anew, once for each time that it is played.
type Opener = Box<dyn FnMut() -> Result<Box<dyn Reader>, TraceError> + Send>;

/// A log's requests, one at a time, in order of arrival.
pub struct Flow {
    open: Opener,
    rules: Rules,
    stages: Stages,
    /// Accounts of the first time that the log was played, once it has been.
    first: Option<Accounts>,
    /// How often it has been played to its end.
    pass: u32,
    /// Records that came out while it was played again.
    repeated: u64,
    ends: Option<(Time, Time)>,
    records: u64,
}

impl Flow {
    /// The flow of the log in `path`.
    ///
    /// # Errors
    /// As [`super::open`].
    pub fn open(path: &Path, options: &Options, rules: Rules) -> Result<Self, TraceError> {
        let (path, options) = (path.to_owned(), options.clone());
        Self::new(Box::new(move || super::open(&path, &options)), rules)
    }

    /// The flow of whatever `open` opens; it is called once for each time that the log is played.
    ///
    /// # Errors
    /// As `open` and the reader.
    pub fn new(mut open: Opener, rules: Rules) -> Result<Self, TraceError> {
        let stages = stages(open()?, &rules);
        Ok(Self { open, rules, stages, first: None, pass: 0, repeated: 0, ends: None, records: 0 })
    }

    /// The next request.
    ///
    /// # Errors
    /// As [`Reader::next`]; [`TraceError::Sort`] where a file of the sort cannot be written or read;
    /// [`TraceError::Rule`] where a rule does not fit the log.
    #[allow(clippy::should_implement_trait)] // an iterator could be driven past an error
    pub fn next(&mut self) -> Result<Option<Record>, TraceError> {
        loop {
            if let Some(record) = self.stages.pull()? {
                return Ok(Some(self.placed(record)));
            }
            self.pass += 1;
            if self.first.is_none() {
                self.first = Some(self.pass_accounts());
            }
            if self.pass >= self.rules.repeat.max(1) || self.records == 0 {
                self.pass = self.rules.repeat.max(1);
                return Ok(None);
            }
            self.stages = stages((self.open)()?, &self.rules);
        }
    }

    /// Puts a record where it stands in this pass.
    fn placed(&mut self, mut record: Record) -> Record {
        if self.pass == 0 {
            self.records += 1;
            let (first, _) = self.ends.unwrap_or((record.arrival, record.arrival));
            self.ends = Some((first, record.arrival));
            return record;
        }
        let (first, last) = self.ends.expect("a log is played again only if it had a record");
        let span = last - first;
        let gap = if self.records > 1 { span.scaled(1.0 / (self.records - 1) as f64) } else { Span::from_secs(1) };
        self.repeated += 1;
        record.shift_later((span + gap) * u64::from(self.pass));
        record.become_copy(u64::from(self.pass) << 32);
        record
    }

    /// What is known of the log.
    #[must_use]
    pub fn head(&self) -> &Head {
        self.stages.reader().head()
    }

    /// The names met so far.
    #[must_use]
    pub fn names(&self) -> &Names {
        self.stages.reader().names()
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What has been done so far; complete once [`Flow::next`] has given `None`. Rows are those of one reading of the log,
    /// however often it is played.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        let mut accounts = self.first.clone().unwrap_or_else(|| self.pass_accounts());
        accounts.repeated = self.repeated;
        accounts.emitted += self.repeated;
        accounts
    }

    fn pass_accounts(&self) -> Accounts {
        let mut accounts = Accounts { emitted: self.records, ..Accounts::default() };
        self.stages.account(&mut accounts);
        accounts.held = self.stages.held();
        accounts
    }
}

fn stages(reader: Box<dyn Reader>, rules: &Rules) -> Stages {
    let ordered = Ordered::new(Source::new(reader), rules.window, rules.sort_in.clone());
    let folded = Folded::new(Unique::new(ordered, rules.window), rules.fold, rules.window);
    let spread = OffGrid::new(Sliced::new(folded, rules.slice), rules.spread, rules.seed);
    let lengthened = Lengthened::new(spread, rules.impute, rules.window, rules.seed);
    Scaled::new(lengthened, Scale { rate: rules.rate_scale, time: rules.time_scale, seed: rules.seed })
}

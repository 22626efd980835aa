//! Who decides about patience and retries: the scenario's clients, or the log.

use crate::scenario::Scenario;
use crate::trace::Record;

/// What the rows of a log are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Requests: the scenario's clients send them, wait, leave and try again. Rows that the log itself calls a second try or a
    /// later one are not replayed.
    World,
    /// Attempts: each is sent once, by a client who waits for ever.
    AsLogged,
}

impl Clients {
    /// Whether a row is replayed.
    #[must_use]
    pub fn replays(self, record: &Record) -> bool {
        self == Self::AsLogged || record.attempt.is_none_or(|attempt| attempt <= 1)
    }

    /// The name on the command line and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::World => "world",
            Self::AsLogged => "as-logged",
        }
    }
}

/// Takes patience and retries from every client of a scenario.
pub fn as_logged(scenario: &mut Scenario) {
    for class in scenario.variants.iter_mut().flat_map(|variant| &mut variant.classes) {
        (class.timeout, class.patience, class.retry) = (None, None, None);
    }
}

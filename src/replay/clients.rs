//! Who decides about patience and retries: the scenario's clients, or the log.

use crate::scenario::Scenario;
use crate::trace::flow::Rules;

/// The first number of a prefix group that no class of the scenario draws: a log's own groups are numbered from there on.
#[must_use]
pub fn first_group(scenario: &Scenario) -> u32 {
    let classes = scenario.variants.iter().map(|variant| {
        let groups = variant.classes.iter().filter_map(|class| class.prefix).map(|prefix| prefix.groups.value());
        groups.fold(0, u32::saturating_add)
    });
    classes.max().unwrap_or(0)
}

/// What the rows of a log are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Requests: retries are folded into what they repeat, and the scenario's clients send, wait, leave and try again.
    World,
    /// Attempts: each is sent once, by a client who waits for ever.
    AsLogged,
}

impl Clients {
    /// The rules by which a log becomes requests: attempts stay what they are.
    #[must_use]
    pub fn rules(self, rules: Rules) -> Rules {
        match self {
            Self::World => rules,
            Self::AsLogged => Rules { fold: None, ..rules },
        }
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

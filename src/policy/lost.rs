//! What of the settings another system's language cannot carry.

use std::fmt;

/// A setting that is lost. Shown as a sentence: `queue.mode: flags always enforce`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its path below `policy`, `queue.mode`, or the name that the language has for it.
    pub setting: String,
    /// What the sentence says of it, behind its path.
    says: String,
}

impl Lost {
    /// `setting: why`.
    pub(super) fn because(setting: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { setting: setting.into(), says: format!(": {why}") }
    }

    /// `setting is state: why`.
    pub(super) fn is(setting: impl Into<String>, state: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { setting: setting.into(), says: format!(" is {state}: {why}") }
    }

    /// Whether it is `section` or lies in it.
    #[must_use]
    pub fn is_in(&self, section: &str) -> bool {
        self.setting.split('.').next() == Some(section)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.setting, self.says)
    }
}

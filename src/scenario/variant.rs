//! One system to simulate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::policy::{self, Mode};
use crate::time::Span;
use crate::upstream::UpstreamSettings;
use crate::workload::{ArrivalSettings, ClassSettings};

/// One of the systems that a scenario compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name, different from the others', with the sweep's value: `seed queue @ 60 %`.
    pub name: String,
    /// Its name without the sweep's value.
    pub of: String,
    /// What is protected.
    pub upstream: UpstreamSettings,
    /// Arrivals that classes without their own share.
    pub arrival: Option<ArrivalSettings>,
    /// Who sends, at least one.
    pub classes: Vec<ClassSettings>,
    /// What stands between.
    pub policy: policy::Settings,
}

/// A file that a scenario refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReference {
    /// The setting that names it: `class[0].lengths`.
    pub path: String,
    /// The name as written.
    pub name: String,
    /// Where it is: relative names start at the scenario's folder.
    pub resolved: PathBuf,
}

/// The sections of one variant, as serde reads them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sections {
    upstream: UpstreamSettings,
    #[serde(default)]
    arrival: Option<ArrivalSettings>,
    class: Vec<ClassSettings>,
    #[serde(default)]
    policy: policy::Settings,
}

impl Sections {
    pub(super) fn of(variant: &Variant) -> Self {
        let Variant { upstream, arrival, classes, policy, .. } = variant.clone();
        Self { upstream, arrival, class: classes, policy }
    }

    pub(super) fn named(self, name: String, of: String) -> Variant {
        let Self { upstream, arrival, class: classes, policy } = self;
        Variant { name, of, upstream, arrival, classes, policy }
    }
}

impl Variant {
    /// Whether nothing but its name tells it apart.
    #[must_use]
    pub fn is_same_system(&self, other: &Self) -> bool {
        (&self.upstream, &self.arrival, &self.classes, &self.policy)
            == (&other.upstream, &other.arrival, &other.classes, &other.policy)
    }

    /// Whether it goes by this name, with or without the sweep's value.
    #[must_use]
    pub fn is_of(&self, name: &str) -> bool {
        self.name == name || self.of == name
    }

    /// The longest time after which anybody gives an attempt up; `None` where nothing bounds it.
    #[must_use]
    pub fn longest_timeout(&self) -> Option<Span> {
        let clients =
            self.classes.iter().filter_map(|class| class.timeout).flat_map(|timeout| [timeout.first_token, timeout.total]);
        clients.flatten().chain(self.request_timeout()).max()
    }

    /// The gateway's own timeout, where it is carried out.
    #[must_use]
    pub fn request_timeout(&self) -> Option<Span> {
        let enforced = self.policy.timeout.as_ref().filter(|timeout| timeout.mode == Mode::Enforce);
        enforced.map(|timeout| timeout.request_timeout)
    }

    /// Calls that the gateway lets run at once, where it bounds them.
    #[must_use]
    pub fn slots(&self) -> Option<u32> {
        let enforced = self.policy.concurrency.as_ref().filter(|concurrency| concurrency.mode == Mode::Enforce);
        enforced.map(|concurrency| concurrency.max_concurrent_requests.value())
    }

    /// Every arrival process: its path, and what it is.
    pub fn arrivals(&self) -> impl Iterator<Item = (String, &ArrivalSettings)> {
        let shared = self.arrival.iter().map(|arrival| ("arrival".to_owned(), arrival));
        let own = self.classes.iter().enumerate();
        shared.chain(own.filter_map(|(i, class)| Some((format!("class[{i}].arrival"), class.arrival.as_ref()?))))
    }

    /// Whether its load has spikes.
    #[must_use]
    pub fn has_spikes(&self) -> bool {
        self.arrivals().any(|(_, arrival)| arrival.rate().is_some_and(|rate| !rate.spikes.is_empty()))
    }

    /// The files it refers to: the setting's path and the name as written.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, String)> {
        let recorded = self.arrivals().filter_map(|(path, arrival)| match arrival {
            ArrivalSettings::Recorded { file } => Some((format!("{path}.file"), file.clone())),
            _ => None,
        });
        let classes = self.classes.iter().enumerate();
        recorded.chain(classes.filter_map(|(i, class)| Some((format!("class[{i}].lengths"), class.lengths.clone()?))))
    }
}

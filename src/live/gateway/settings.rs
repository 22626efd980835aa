//! The settings in force, and how new ones take their place.

use std::path::Path;
use std::sync::Arc;

use super::classes::Classes;
use super::config::Serve;
use super::meter::{ClassMeter, Meter};
use super::signals;
use crate::journal::settings_hash;
use crate::live::clock::duration;
use crate::live::http::PoolTerms;
use crate::policy::Settings;
use crate::request::ClassId;
use crate::rng::fnv1a;
use crate::scenario::{Diagnostics, parse_settings_and, read_settings_and};
use crate::time::Span;

/// What a file of settings says.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The policies.
    pub policy: Settings,
    /// How they are served.
    pub serve: Serve,
}

impl Written {
    /// Reads a file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        read_settings_and(path).map(|(policy, serve)| Self { policy, serve })
    }

    /// Reads a text, `shown` being its name in messages.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(shown: &str, text: &str) -> Result<Self, Diagnostics> {
        parse_settings_and(shown, text).map(|(policy, serve)| Self { policy, serve })
    }

    /// What the policies are told: with this process's share of what they give out by rate.
    #[must_use]
    pub fn shared(&self) -> Settings {
        self.serve.shared(&self.policy)
    }
}

/// Settings in force.
#[derive(Debug)]
pub struct InForce {
    /// How policies are served.
    pub serve: Serve,
    /// Who requests are of.
    pub classes: Classes,
    /// How often the server's own signals are read, if a policy wants them.
    pub signals_every: Option<Span>,
    /// Hash of the policies as they are told to the gateway: the same as in the journal.
    pub hash: String,
    /// Hash of how they are served, classes and all.
    pub serve_hash: String,
    /// The policies that there are, by their names in a file.
    engines: Vec<String>,
    meters: Vec<Arc<ClassMeter>>,
}

impl InForce {
    /// These, counted by `meter`.
    #[must_use]
    pub fn new(written: &Written, meter: &Meter) -> Self {
        let classes = Classes::new(&written.serve);
        let meters = written.serve.class_names().iter().map(|name| meter.class(name)).collect();
        Self {
            serve: written.serve.clone(),
            classes,
            signals_every: signals::wanted(&written.policy),
            hash: settings_hash(&written.shared()),
            serve_hash: format!("{:016x}", fnv1a(&serde_json::to_vec(&written.serve).expect("texts and finite numbers"))),
            engines: engines(&written.policy),
            meters,
        }
    }

    /// Policies that are here and not in `new`.
    #[must_use]
    pub fn gone_in(&self, new: &Self) -> Vec<&str> {
        self.engines.iter().filter(|engine| !new.engines.contains(engine)).map(String::as_str).collect()
    }

    /// What counts the requests of a class.
    #[must_use]
    pub fn meter(&self, class: ClassId) -> &Arc<ClassMeter> {
        &self.meters[class.index()]
    }

    /// How connections upstream are made.
    #[must_use]
    pub fn pool_terms(&self) -> PoolTerms {
        PoolTerms {
            connect_timeout: duration(self.serve.connect_timeout),
            keep_alive: duration(self.serve.upstream_keep_alive),
        }
    }
}

fn engines(policy: &Settings) -> Vec<String> {
    let tables = serde_json::to_value(policy).expect("settings hold texts and finite numbers only");
    tables.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

//! What a schema cannot say: settings that are each in range and do not go together.

mod arrival;
mod class;
mod field;
mod metered;
mod policy;
mod profile;
mod run;
mod token_api;
mod upstream;

pub use run::{REPLICATIONS_MAX, REQUESTS_MAX};

use super::diagnostic::Diagnostic;
use super::expand::{Laid, attribute};
use super::file::ScenarioFile;
use super::tree::Node;
use super::variant::Variant;
use crate::policy::Settings;

/// Adds to `found` all that is wrong with a scenario whose every setting is in range.
pub fn check(file: &ScenarioFile, tree: &Node, variants: &[(Variant, Node)], found: &mut Vec<Diagnostic>) {
    let mut whole = Report::new(tree);
    run::check(file, variants, &mut whole);
    found.extend(whole.found);
    let wrong: Vec<Vec<Diagnostic>> = variants.iter().map(|(variant, tree)| check_variant(variant, tree)).collect();
    let laid: Vec<Laid> = variants
        .iter()
        .map(|(variant, tree)| Laid { name: variant.name.clone(), of: variant.of.clone(), tree: tree.clone() })
        .collect();
    found.extend(attribute(&laid, &wrong, found));
}

/// Most of anything that takes memory from the first moment on: servers, replicas' seats, clients of a closed loop, groups of
/// prompts. A run that needs more would not fit into a common machine.
pub(super) const SIZE_MAX: u64 = 1_000_000;

/// All that is wrong with one variant whose every setting is in range.
pub(super) fn check_variant(variant: &Variant, tree: &Node) -> Vec<Diagnostic> {
    let mut report = Report::new(tree);
    upstream::check(variant, &mut report);
    class::check(variant, &mut report);
    for (path, arrival) in variant.arrivals() {
        arrival::check(&path, arrival, &mut report);
    }
    policy::check(variant, &mut report);
    report.found
}

/// All that is wrong with settings on their own, whose every setting is in range; `tree` holds them in `policy`.
pub(super) fn check_settings(settings: &Settings, tree: &Node) -> Vec<Diagnostic> {
    let mut report = Report::new(tree);
    policy::check_settings(settings, None, &mut report);
    report.found
}

/// Collects errors by the path of the setting that they are about.
pub(super) struct Report<'a> {
    tree: &'a Node,
    found: Vec<Diagnostic>,
}

impl<'a> Report<'a> {
    const fn new(tree: &'a Node) -> Self {
        Self { tree, found: Vec::new() }
    }

    /// Complains where `size` is more than [`SIZE_MAX`].
    fn limit(&mut self, path: &str, what: &str, size: u64) {
        if size > SIZE_MAX {
            self.error(path, format!("{size} {what} are too many"), format!("at most {SIZE_MAX} can be simulated"));
        }
    }

    /// Something wrong with the setting at `path`, or with what there is on the way to it.
    fn error(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let path = path.parse().expect("the paths of this room's checks are well formed");
        let place = self.tree.locate(&path);
        self.found.push(Diagnostic::at(place, message.into()).help(help.into()));
    }
}

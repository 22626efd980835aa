//! Exact re-decision: the gateway's inputs in a journal are fed to a fresh gateway, and every decision is compared (INV-8).
//!
//! What is no decision is held by the checks in the lines ([`Seal`]): a byte that was changed anywhere is found. An input whose
//! check is broken is not fed, and nothing after it: what the gateway would make of it says nothing about the engine.

use std::path::Path;

use super::event::{Event, What};
use super::reader::{JournalError, parse, read_lines};
use super::seal::{Check, Seal};
use crate::policy::{Action, Gateway};
use crate::time::Time;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// Lines read.
    pub lines: usize,
    /// Replications compared.
    pub runs: u64,
    /// Inputs fed.
    pub inputs: u64,
    /// Decisions compared.
    pub decisions: u64,
    /// The first decision that came out otherwise.
    pub mismatch: Option<Mismatch>,
    /// The first line that is not as it was written.
    pub changed: Option<Changed>,
}

impl Verified {
    /// Whether the journal is whole, and every decision came out as it says.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.mismatch.is_none() && self.changed.is_none()
    }
}

/// A decision that came out otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// In which line of the journal, from 1.
    pub line: usize,
    /// What the journal says; `None` where it says nothing more.
    pub recorded: Option<Action>,
    /// What the engine decides; `None` where it decides nothing.
    pub decided: Option<Action>,
}

/// A line that is not as it was written, or that stands where another was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
    /// What stands there; empty where a line is missing at the end.
    pub text: String,
}

const BROKEN: &str = "its check does not hold: this line, or what stood before it, was changed";
const UNCHECKED: &str = "it has no check, as every line has that `plimsoll` writes";
const BACKWARDS: &str = "its time lies before the line above";
const HEADLESS: &str = "it belongs to no run: a run's first line is missing";
const ENDLESS: &str = "the run before has no end";

/// Decides a whole journal again.
///
/// # Errors
/// If the journal cannot be read.
pub fn verify(path: &Path) -> Result<Verified, JournalError> {
    let mut bench = Bench::default();
    read_lines(path, |line, text| {
        bench.found.lines = line;
        let check = bench.seal.check(text);
        let event = match parse(path, line, text) {
            Ok(event) => event,
            // Where an earlier line is to blame, that is the one to name.
            Err(_) if bench.found.changed.is_some() => return Ok(false),
            Err(error) => return Err(error),
        };
        match check {
            Check::Holds => {}
            Check::Absent => bench.changed(line, UNCHECKED, text),
            Check::Broken => bench.changed(line, BROKEN, text),
        }
        Ok(bench.hear(line, text, event))
    })?;
    if bench.gateway.is_some() && bench.found.holds() {
        bench.changed(bench.found.lines + 1, ENDLESS, "");
    }
    Ok(bench.found)
}

#[derive(Default)]
struct Bench {
    found: Verified,
    seal: Seal,
    gateway: Option<Gateway>,
    latest: Time,
}

impl Bench {
    fn changed(&mut self, line: usize, why: &'static str, text: &str) {
        const SHOWN: usize = 200;
        let text = text.chars().take(SHOWN).collect();
        self.found.changed.get_or_insert(Changed { line, why, text });
    }

    /// Whether to go on.
    fn hear(&mut self, line: usize, text: &str, Event { t, what }: Event) -> bool {
        if matches!(what, What::Run(_)) {
            self.latest = Time::ZERO;
            if self.gateway.is_some() {
                self.changed(line, ENDLESS, text);
            }
        } else if self.gateway.is_none() {
            self.changed(line, HEADLESS, text);
        }
        if t < self.latest {
            self.changed(line, BACKWARDS, text);
        }
        self.latest = t;
        match what {
            What::Out(recorded) => self.compare(line, Some(recorded)),
            What::End { .. } => {
                self.compare(line, None);
                self.gateway = None;
            }
            _ if self.found.changed.is_some() => return false,
            What::Run(head) => {
                let mut fresh = Gateway::new(&head.policy);
                fresh.set_notes(true);
                self.gateway = Some(fresh);
                self.found.runs += 1;
            }
            What::In(input) => {
                if let Some(gateway) = &mut self.gateway {
                    gateway.handle(t, input);
                    self.found.inputs += 1;
                }
            }
            What::Request(_) | What::Upstream { .. } | What::Finish { .. } => {}
        }
        self.found.mismatch.is_none()
    }

    fn compare(&mut self, line: usize, recorded: Option<Action>) {
        let decided = self.gateway.as_mut().and_then(Gateway::poll);
        self.found.decisions += u64::from(recorded.is_some());
        if decided != recorded {
            self.found.mismatch = Some(Mismatch { line, recorded, decided });
        }
    }
}

//! Exact re-decision: the gateway's inputs in a journal are fed to a fresh gateway, and every decision is compared (INV-8).
//!
//! What is no decision is held by the checks in the lines ([`Seal`]): a byte that was changed anywhere is found. An input whose
//! check is broken is not fed, and nothing after it: what the gateway would make of it says nothing about the engine.

use std::path::Path;

use super::event::{Event, SegmentHead, What};
use super::reader::{JournalError, parse, read_lines};
use super::seal::{Check, Seal};
use super::writer::PARTIAL;
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
    /// Of a live journal: segments compared.
    pub segments: u64,
    /// Of a live journal: inputs that no segment holds, as far as its segments say.
    pub missed: u64,
    /// Of a live journal: the last segment has no end, because its gateway runs still or ended without a word. What stands there
    /// was compared.
    pub broken_off: bool,
}

impl Verified {
    /// Whether the journal is whole, and every decision came out as it says.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.mismatch.is_none() && self.changed.is_none()
    }

    /// The share of all inputs that was decided again: 1 but for a live journal that could not keep up.
    #[must_use]
    pub fn covered(&self) -> f64 {
        if self.missed == 0 { 1.0 } else { self.inputs as f64 / (self.inputs + self.missed) as f64 }
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
const FOREIGN: &str = "the state in it is not one that this version of plimsoll writes";
const GAP: &str = "it does not follow on the segment before: one between is missing";
const STATE: &str = "the state that it begins with is not the one that the segment before ends in";
const COUNT: &str = "the segment holds another number of inputs than it says";

/// Decides a whole journal again.
///
/// # Errors
/// If the journal cannot be read.
pub fn verify(path: &Path) -> Result<Verified, JournalError> {
    let mut bench = Bench::default();
    verify_file(path, &mut bench)?;
    bench.is_at_its_end();
    Ok(bench.found)
}

/// Decides the segments of a live journal again, `segments` being their files in order; one that was never finished (`.partial`) as far
/// as it goes. Lines are counted in each from 1; the
/// file in which something was found, if something was, is the last one of those read.
///
/// # Errors
/// If one of them cannot be read.
pub fn verify_segments<'a>(segments: impl IntoIterator<Item = &'a Path>) -> Result<(Verified, Option<&'a Path>), JournalError> {
    let mut bench = Bench::default();
    let mut lines = 0;
    for path in segments {
        bench.seal = Seal::default();
        let partial = path.extension().is_some_and(|extension| extension == PARTIAL);
        match verify_file(path, &mut bench) {
            Err(JournalError::Cut { .. } | JournalError::Empty { .. }) if partial => {}
            read => read?,
        }
        if partial {
            bench.break_off();
        } else {
            bench.is_at_its_end();
        }
        if !bench.found.holds() {
            return Ok((bench.found, Some(path)));
        }
        lines += bench.found.lines;
    }
    bench.found.lines = lines;
    Ok((bench.found, None))
}

fn verify_file(path: &Path, bench: &mut Bench) -> Result<(), JournalError> {
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
    })
}

#[derive(Default)]
struct Bench {
    found: Verified,
    seal: Seal,
    gateway: Option<Gateway>,
    latest: Time,
    /// Of a live journal: the segment at hand.
    segment: Option<SegmentHead>,
    /// How many inputs were found before it.
    before: u64,
    /// The segment before: its number, how many inputs there were up to its end, and the state that it ends in.
    previous: Option<(u64, u64, String)>,
}

impl Bench {
    /// Makes sure that what began has ended.
    fn is_at_its_end(&mut self) {
        if self.gateway.is_some() && self.found.holds() {
            self.changed(self.found.lines + 1, ENDLESS, "");
        }
    }

    /// A segment stands there without its end.
    fn break_off(&mut self) {
        (self.gateway, self.segment) = (None, None);
        self.found.broken_off = true;
    }

    fn changed(&mut self, line: usize, why: &'static str, text: &str) {
        const SHOWN: usize = 200;
        let text = text.chars().take(SHOWN).collect();
        self.found.changed.get_or_insert(Changed { line, why, text });
    }

    /// Whether to go on.
    fn hear(&mut self, line: usize, text: &str, Event { t, what }: Event) -> bool {
        if matches!(what, What::Run(_) | What::Segment(_)) {
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
            What::Segment(head) => self.begin(line, text, *head),
            What::Closed { inputs, missed } => {
                self.compare(line, None);
                self.close(line, text, inputs, missed);
            }
            What::Request(_) | What::Upstream { .. } | What::Finish { .. } => {}
        }
        self.found.mismatch.is_none()
    }

    /// A segment of a live journal begins, where the one before ended or behind a gap that it states.
    fn begin(&mut self, line: usize, text: &str, head: SegmentHead) {
        let Ok(gateway) = Gateway::restore(&head.state) else { return self.changed(line, FOREIGN, text) };
        if let Some((number, inputs, state)) = self.previous.take() {
            if head.segment != number + 1 || head.first != inputs + head.missed {
                self.changed(line, GAP, text);
            } else if head.missed == 0 && head.state != state {
                self.changed(line, STATE, text);
            }
        }
        self.gateway = Some(gateway);
        self.before = self.found.inputs;
        self.segment = Some(head);
        self.found.segments += 1;
        self.found.runs = 1;
    }

    fn close(&mut self, line: usize, text: &str, inputs: u64, missed: u64) {
        let (Some(gateway), Some(head)) = (self.gateway.take(), self.segment.take()) else { return };
        if self.found.inputs - self.before != inputs {
            self.changed(line, COUNT, text);
        }
        self.previous = Some((head.segment, head.first + inputs, gateway.state()));
        self.found.missed += missed;
    }

    fn compare(&mut self, line: usize, recorded: Option<Action>) {
        let decided = self.gateway.as_mut().and_then(Gateway::poll);
        self.found.decisions += u64::from(recorded.is_some());
        if decided != recorded {
            self.found.mismatch = Some(Mismatch { line, recorded, decided });
        }
    }
}

//! Exact re-decision: the gateway's inputs in a journal are fed to a fresh gateway, and every decision is compared (INV-8).

use std::path::Path;

use super::event::{Event, What};
use super::reader::{JournalError, read};
use crate::policy::{Action, Gateway};

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// Replications compared.
    pub runs: u64,
    /// Inputs fed.
    pub inputs: u64,
    /// Decisions compared.
    pub decisions: u64,
    /// The first difference.
    pub mismatch: Option<Mismatch>,
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

/// Decides a whole journal again.
///
/// # Errors
/// If the journal cannot be read.
pub fn verify(path: &Path) -> Result<Verified, JournalError> {
    let mut verified = Verified::default();
    let mut gateway = None;
    read(path, |line, Event { t, what }| {
        match what {
            What::Run(head) => {
                let mut fresh = Gateway::new(&head.policy);
                fresh.set_notes(true);
                gateway = Some(fresh);
                verified.runs += 1;
            }
            What::In(input) => {
                if let Some(gateway) = &mut gateway {
                    gateway.handle(t, input);
                    verified.inputs += 1;
                }
            }
            What::Out(recorded) => {
                let decided = gateway.as_mut().and_then(Gateway::poll);
                verified.decisions += 1;
                if decided.as_ref() != Some(&recorded) {
                    verified.mismatch = Some(Mismatch { line, recorded: Some(recorded), decided });
                }
            }
            What::End { .. } => {
                if let Some(decided) = gateway.as_mut().and_then(Gateway::poll) {
                    verified.mismatch = Some(Mismatch { line, recorded: None, decided: Some(decided) });
                }
            }
            What::Request(_) | What::Upstream { .. } | What::Finish { .. } => {}
        }
        verified.mismatch.is_none()
    })?;
    Ok(verified)
}

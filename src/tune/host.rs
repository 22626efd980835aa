//! For whom a search is run: who keeps what was seen, hears how it stands, and may stop it.

use std::sync::atomic::AtomicBool;

use crate::tune::{Evaluator, Finished, Point};

/// Keeps observations, hears of progress, and may stop a search. All of it is optional.
pub trait Host: Sync {
    /// Hands back ([`Evaluator::preload`]) what an earlier, interrupted search saw of the problem [`Evaluator::of`].
    fn remember(&self, evaluator: &mut Evaluator<'_>) {
        let _ = evaluator;
    }

    /// An observation was made just now. Called from any thread.
    fn keep(&self, finished: &Finished<'_>) {
        let _ = finished;
    }

    /// Whether to stop. Asked before each run, from any thread.
    fn stop(&self) -> bool {
        false
    }

    /// A flag that goes up, and never down again, when nobody waits any more: runs that are under way are broken off, and what
    /// they showed is dropped. From then on [`Host::stop`] says so too.
    fn interrupted(&self) -> Option<&AtomicBool> {
        None
    }

    /// The search has come to here.
    fn hear(&self, news: &News<'_>) {
        let _ = news;
    }
}

/// How a search stands.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct News<'a> {
    /// On which problem: [`Evaluator::of`].
    pub of: u32,
    /// What it is at.
    pub stage: Stage,
    /// The best candidate so far, and the mean of its first objective.
    pub best: Option<(&'a Point, f64)>,
}

/// What a search is at.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Candidates become few.
    Screening {
        /// How many are left.
        left: usize,
    },
    /// The last candidates meet.
    Selection {
        /// How many are left.
        left: usize,
    },
    /// The choice is measured again.
    Confirmation,
    /// What stands around the choice.
    Around,
}

/// Keeps nothing, hears nothing, never stops.
#[derive(Copy, Clone, Debug, Default)]
pub struct Nobody;

impl Host for Nobody {}

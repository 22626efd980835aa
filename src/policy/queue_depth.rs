//! Graduated rejection by queue depth (failsafe-go): nothing below `first` requests waiting, everything from `last` on,
//! in proportion between them.
//!
//! The draw is the attempt's, mixed for this gate, so that several gates in a row refuse independently.

use serde::{Deserialize, Serialize};

use super::contract::{Asked, Engine};
use super::settings::Queue;
use super::{Mode, Saw, Verdict};
use crate::request::Reason;
use crate::rng::{mix, open01};

/// This gate's draw among those that an attempt's random bits stand for.
const DRAW: u64 = 2;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct QueueDepth {
    mode: Mode,
    first: u32,
    last: u32,
    waiting: u32,
}

impl QueueDepth {
    /// The gate; without a `graduated` section in the queue's settings it is off.
    pub fn new(settings: Option<&Queue>) -> Self {
        let mut gate = Self { mode: Mode::Off, first: u32::MAX, last: u32::MAX, waiting: 0 };
        gate.reconfigure(settings);
        gate
    }

    /// New bounds.
    pub fn reconfigure(&mut self, settings: Option<&Queue>) {
        let graduated = settings.and_then(|s| s.graduated.as_ref());
        self.mode = if graduated.is_some() { settings.map_or(Mode::Off, |s| s.mode) } else { Mode::Off };
        (self.first, self.last) = graduated.map_or((u32::MAX, u32::MAX), |g| (g.first.value(), g.last.value()));
    }

    /// How many wait: said before each question.
    pub fn depth(&mut self, waiting: u32) {
        self.waiting = waiting;
    }
}

/// Probability of refusal with `depth` requests waiting.
fn probability(depth: u32, first: u32, last: u32) -> f64 {
    if depth < first {
        0.0
    } else if depth >= last {
        1.0
    } else {
        f64::from(depth - first) / f64::from(last - first)
    }
}

fn draw(asked: &Asked) -> f64 {
    open01(mix(asked.draw, DRAW))
}

impl Engine for QueueDepth {
    type Hold = ();

    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        let refuses = draw(asked) < probability(self.waiting, self.first, self.last);
        if refuses { Verdict::Refuse(Reason::QueueFull) } else { Verdict::Pass }
    }

    fn take(&mut self, _asked: &Asked) {}

    fn give_back(&mut self, (): ()) {}

    fn saw(&self, asked: &Asked) -> Saw {
        let probability = probability(self.waiting, self.first, self.last);
        Saw::QueueDepth { waiting: self.waiting, probability, draw: draw(asked) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::QueueGraduated;
    use crate::policy::testing::asked_at;
    use crate::units::Count;

    fn gate(first: u32, last: u32) -> QueueDepth {
        let count = |n| Count::new(n).expect("above 0");
        let graduated = Some(QueueGraduated { first: count(first), last: count(last) });
        QueueDepth::new(Some(&Queue { graduated, ..Queue::default() }))
    }

    /// `[queue_graduated]`: depth, first, last, probability. Provenance: published (failsafe-go).
    const QUEUE_GRADUATED: [(u32, u32, u32, f64); 8] = [
        (5, 10, 20, 0.0),
        (60, 60, 100, 0.0),
        (80, 60, 100, 0.5),
        (100, 60, 100, 1.0),
        (120, 60, 100, 1.0),
        (11, 10, 20, 0.1),
        (3, 3, 3, 1.0),
        (2, 3, 3, 0.0),
    ];

    #[test]
    fn every_row_of_the_table_is_met() {
        let mut rows = 0;
        for (depth, first, last, expected) in QUEUE_GRADUATED {
            let mut gate = gate(first, last);
            gate.depth(depth);
            let Saw::QueueDepth { waiting, probability, .. } = gate.saw(&asked_at(0)) else { panic!("another gate") };
            assert!(waiting == depth && (probability - expected).abs() < 1e-12, "{depth}: {probability}, not {expected}");
            let refused = (0..2_000).filter(|n| {
                let draw = mix(*n, 7);
                gate.ask(&Asked { draw, ..asked_at(0) }) == Verdict::Refuse(Reason::QueueFull)
            });
            let share = refused.count() as f64 / 2_000.0;
            assert!((share - expected).abs() < 0.04 && (share > 0.0) == (expected > 0.0), "{depth}: refuses {share}");
            rows += 1;
        }
        assert_eq!(rows, 8);
    }

    #[test]
    fn without_its_section_it_is_off() {
        assert_eq!(QueueDepth::new(Some(&Queue::default())).mode(), Mode::Off);
        assert_eq!(gate(1, 2).mode(), Mode::Enforce);
    }

    /// Bounds that cross are a hard stop.
    #[test]
    fn crossed_bounds_stop_at_the_first() {
        assert_eq!((probability(4, 5, 3), probability(5, 5, 3)), (0.0, 1.0));
    }
}

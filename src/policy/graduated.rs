//! Graduated rejection (seed 000, stage 2; seed 001, `--vllm_rejection_threshold`).
//!
//! With `u` = counted abandoned work / `max_abandoned`: `u >= 1` refuses always, `u < start` never, and between them the
//! probability is `(u - start) / (1 - start)`. `start = 1` is a hard stop.
//!
//! Retry-After is when `u` can be below `start` again: with `reset` the time until the reset, with `decay` by the formula,
//! with `gauge` the smoothed service time (by then about one abandoned call per slot has ended), with `never` there is none.

use serde::{Deserialize, Serialize};

use super::abandoned::Abandoned;
use super::contract::{Asked, Engine};
use super::settings::Graduated;
use super::{At, Mode, Saw, Verdict};
use crate::request::Reason;
use crate::rng::open01;
use crate::time::{Span, Time};

/// Probability of refusal at `counted` abandoned calls of `max_abandoned`, refusing from the share `start` on.
///
/// 0 below `start`, 1 from full capacity on, linear between (seed 000: 0.70 -> 0, 0.85 -> 0.5, 1.00 -> 1).
#[must_use]
pub fn rejection_probability(counted: f64, max_abandoned: u32, start: f64) -> f64 {
    let max = f64::from(max_abandoned);
    let used = counted / max;
    if counted >= max {
        1.0
    } else if used < start {
        0.0
    } else {
        // `used < 1` and `used >= start`, so `1 - start` is above zero.
        ((used - start) / (1.0 - start)).clamp(0.0, 1.0)
    }
}

/// The gate, and the abandoned work that it decides by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GraduatedRejection {
    mode: Mode,
    at: At,
    max_abandoned: u32,
    start: f64,
    /// Counted by the gateway at each abandonment and each true end.
    pub abandoned: Abandoned,
}

impl GraduatedRejection {
    /// The gate; without settings it is off, and only the true number of abandoned calls is kept.
    pub fn new(now: Time, settings: Option<&Graduated>) -> Self {
        let abandoned = Abandoned::new(now, None);
        let mut gate = Self { mode: Mode::Off, at: At::Dispatch, max_abandoned: 1, start: 1.0, abandoned };
        gate.reconfigure(now, settings);
        gate
    }

    /// New settings.
    pub fn reconfigure(&mut self, now: Time, settings: Option<&Graduated>) {
        let settings = settings.filter(|s| s.mode != Mode::Off);
        self.abandoned.reconfigure(now, settings);
        self.mode = settings.map_or(Mode::Off, |s| s.mode);
        if let Some(settings) = settings {
            self.at = settings.at;
            self.max_abandoned = settings.max_abandoned.value();
            self.start = settings.vllm_rejection_threshold.value();
        }
    }

    /// Whether the gate stands at `at`.
    pub fn stands_at(&self, at: At) -> bool {
        self.mode != Mode::Off && self.at == at
    }

    /// When a refused client may hope again.
    pub fn retry_after(&self, now: Time, service: Option<Span>) -> Option<Span> {
        if self.abandoned.is_gauge() {
            return service;
        }
        self.abandoned.time_until_below(self.start * f64::from(self.max_abandoned), now)
    }

    /// Where refusals begin, unless the gate is off.
    pub fn threshold(&self) -> Option<f64> {
        (self.mode != Mode::Off).then_some(self.start)
    }

    /// Share of the capacity that is used, by the policy's count, unless the gate is off.
    pub fn capacity_used(&self, now: Time) -> Option<f64> {
        (self.mode != Mode::Off).then(|| self.abandoned.counted(now) / f64::from(self.max_abandoned))
    }

    fn probability(&self, now: Time) -> f64 {
        rejection_probability(self.abandoned.counted(now), self.max_abandoned, self.start)
    }
}

impl Engine for GraduatedRejection {
    type Hold = ();

    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        self.abandoned.reset_if_due(asked.now);
        if self.abandoned.is_nothing_counted() {
            return Verdict::Pass; // whatever the start, the probability is 0
        }
        if self.abandoned.counted(asked.now) >= f64::from(self.max_abandoned) {
            Verdict::Refuse(Reason::FullCapacity)
        } else if open01(asked.draw) < self.probability(asked.now) {
            Verdict::Refuse(Reason::HighCapacity)
        } else {
            Verdict::Pass
        }
    }

    fn take(&mut self, _asked: &Asked) {}

    fn give_back(&mut self, (): ()) {}

    fn saw(&self, asked: &Asked) -> Saw {
        Saw::Graduated {
            counted: self.abandoned.counted(asked.now),
            truly: self.abandoned.truly(),
            max_abandoned: self.max_abandoned,
            probability: self.probability(asked.now),
            draw: open01(asked.draw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Settings;
    use crate::policy::testing::asked_at;
    use crate::units::{Count, Fraction};

    fn gate(max_abandoned: u32) -> GraduatedRejection {
        let settings = Settings::seed(Count::new(max_abandoned).expect("not 0"));
        GraduatedRejection::new(Time::ZERO, settings.graduated.as_ref())
    }

    fn drawn(draw: f64) -> Asked {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a draw in (0, 1)
        let draw = (draw * 2f64.powi(64)) as u64;
        Asked { draw, ..asked_at(1) }
    }

    /// Seed 000's own points: nothing at 60 %, nothing yet at 70 %, half at 85 %, everything at 100 %.
    #[test]
    fn the_seeds_points() {
        for (abandoned, below, above) in
            [(12, None, None), (14, None, None), (17, Some(0.499), Some(0.501)), (20, Some(0.999), None)]
        {
            let mut gate = gate(20);
            for _ in 0..abandoned {
                let _running = gate.abandoned.take(Time::ZERO);
            }
            let reason = if abandoned == 20 { Reason::FullCapacity } else { Reason::HighCapacity };
            match below {
                Some(draw) => assert_eq!(gate.ask(&drawn(draw)), Verdict::Refuse(reason), "{abandoned} at {draw}"),
                None => assert_eq!(gate.ask(&drawn(1e-9)), Verdict::Pass, "{abandoned}"),
            }
            if let Some(draw) = above {
                assert_eq!(gate.ask(&drawn(draw)), Verdict::Pass, "{abandoned} at {draw}");
            }
        }
    }

    #[test]
    fn a_start_of_one_is_a_hard_stop() {
        let mut gate = gate(10);
        gate.start = Fraction::new(1.0).expect("in range").value();
        for running in 0..10 {
            assert_eq!(gate.ask(&drawn(1e-9)), Verdict::Pass, "{running}");
            let _running = gate.abandoned.take(Time::ZERO);
        }
        assert_eq!(gate.ask(&drawn(0.999)), Verdict::Refuse(Reason::FullCapacity));
    }

    #[test]
    fn the_check_itself_resets_before_it_counts() {
        let mut gate = gate(10);
        for _ in 0..10 {
            let _running = gate.abandoned.take(Time::ZERO);
        }
        assert_eq!(gate.ask(&asked_at(300)), Verdict::Refuse(Reason::FullCapacity));
        assert_eq!(gate.ask(&asked_at(301)), Verdict::Pass);
    }

    #[test]
    fn off_is_as_if_absent() {
        let mut settings = Settings::seed(Count::new(1).expect("not 0")).graduated.expect("the seed's system has it");
        settings.mode = Mode::Off;
        let mut gate = GraduatedRejection::new(Time::ZERO, Some(&settings));
        let _running = gate.abandoned.take(Time::ZERO);
        assert!(!gate.stands_at(At::Dispatch) && !gate.stands_at(At::Arrival));
        assert_eq!((gate.threshold(), gate.abandoned.counted(Time::ZERO), gate.abandoned.truly()), (None, 0.0, 1));
    }
}

//! Abandoned work and how it is forgotten (seed 000, stages 0, 1 and 3; seed 001, `--reset_interval`).
//!
//! An abandoned call runs on upstream after its client was told "timeout". Two numbers are kept: how many *truly* run, and
//! how many the policy *counts*, which is what it decides by:
//!
//! - `never`: +1 at each abandonment, nothing takes it away: permanent lockout.
//! - `reset`: to zero when more than `reset_interval` has passed since the last reset, looked at only when a request
//!   reaches the check. Neither a completion nor a look at the statistics resets.
//! - `decay`: `counted(t) = counted(t0) * 2^(-(t - t0) / half_life)`, worked out when it is needed.
//! - `gauge`: -1 when the call truly ends, or when its lease runs out, whichever is first.

use serde::{Deserialize, Serialize};

use super::settings::{Forget, Graduated};
use crate::time::{Span, Time};

/// The two counts, and the way of forgetting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Abandoned {
    kind: Option<Forget>,
    reset_interval: Span,
    half_life: Span,
    lease: Span,
    /// As of `as_of`; whole except with `decay`.
    counted: f64,
    as_of: Time,
    last_reset: Time,
    /// Goes up when the kind of forgetting changes: what was counted before is none of the new counter's.
    generation: u32,
    truly: u32,
    counted_max: f64,
    truly_max: u32,
}

/// An abandoned call that runs: comes back when it ends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Abandonment {
    /// The counter's generation that counts this call and would uncount it.
    counted_in: Option<u32>,
}

impl Abandoned {
    /// Nothing abandoned, nothing counted.
    pub fn new(now: Time, settings: Option<&Graduated>) -> Self {
        let mut new = Self {
            kind: None,
            reset_interval: Span::ZERO,
            half_life: Span::ZERO,
            lease: Span::FOREVER,
            counted: 0.0,
            as_of: now,
            last_reset: now,
            generation: 0,
            truly: 0,
            counted_max: 0.0,
            truly_max: 0,
        };
        new.reconfigure(now, settings);
        new
    }

    /// New settings: the count goes on where the way of forgetting is the same, else it starts at zero.
    pub fn reconfigure(&mut self, now: Time, settings: Option<&Graduated>) {
        let counted = self.counted(now); // under the old half-life
        (self.counted, self.as_of) = (counted, now);
        let kind = settings.map(|s| s.forget);
        if kind != self.kind {
            self.kind = kind;
            self.counted = 0.0;
            self.last_reset = now;
            self.generation = self.generation.wrapping_add(1);
        }
        if let Some(settings) = settings {
            self.reset_interval = settings.reset_interval;
            self.half_life = settings.half_life;
            self.lease = settings.lease;
        }
    }

    /// A call is abandoned.
    pub fn take(&mut self, now: Time) -> Abandonment {
        self.truly += 1;
        self.truly_max = self.truly_max.max(self.truly);
        if self.kind.is_none() {
            return Abandonment { counted_in: None };
        }
        self.counted = self.counted(now) + 1.0;
        self.as_of = now;
        self.counted_max = self.counted_max.max(self.counted);
        Abandonment { counted_in: (self.kind == Some(Forget::Gauge)).then_some(self.generation) }
    }

    /// When the lease of a call that is abandoned now runs out, where calls have one.
    pub fn lease_end(&self, now: Time) -> Option<Time> {
        (self.kind == Some(Forget::Gauge)).then(|| now + self.lease)
    }

    /// An abandoned call's lease has run out: it is no longer counted, though it may still run.
    pub fn lease_out(&mut self, abandonment: &mut Abandonment) {
        if abandonment.counted_in.take() == Some(self.generation) {
            self.counted -= 1.0;
        }
    }

    /// An abandoned call has truly ended.
    pub fn give_back(&mut self, mut abandonment: Abandonment) {
        self.lease_out(&mut abandonment);
        self.truly -= 1;
    }

    /// A request reaches the check: with `reset`, this is the one place where the count goes to zero.
    pub fn reset_if_due(&mut self, now: Time) {
        if self.kind == Some(Forget::Reset) && now - self.last_reset > self.reset_interval {
            self.counted = 0.0;
            self.last_reset = now;
        }
    }

    /// What the policy counts at `now`.
    pub fn counted(&self, now: Time) -> f64 {
        let elapsed = now - self.as_of;
        if self.kind != Some(Forget::Decay) || elapsed == Span::ZERO || self.counted == 0.0 {
            return self.counted;
        }
        self.counted * libm::exp2(-(elapsed.as_secs_f64() / self.half_life.as_secs_f64()))
    }

    /// How long until the count can have fallen below `level`, where the way of forgetting tells: with `reset` the first
    /// instant at which a check resets, with `decay` by its formula. `None` with `never`, and with `gauge`, which cannot know.
    pub fn time_until_below(&self, level: f64, now: Time) -> Option<Span> {
        match self.kind? {
            Forget::Never | Forget::Gauge => None,
            Forget::Reset => Some(self.time_until_reset(now)? + Span::from_nanos(1)),
            Forget::Decay if level <= 0.0 => None,
            Forget::Decay => {
                let halvings = libm::log2(self.counted(now) / level).max(0.0);
                Some(self.half_life.scaled(halvings) + Span::from_nanos(1))
            }
        }
    }

    /// `max(0, last + interval - now)`, with `reset`.
    pub fn time_until_reset(&self, now: Time) -> Option<Span> {
        (self.kind == Some(Forget::Reset)).then(|| (self.last_reset + self.reset_interval) - now)
    }

    /// Whether an abandoned call's end takes it out of the count.
    pub fn is_gauge(&self) -> bool {
        self.kind == Some(Forget::Gauge)
    }

    /// Whether the policy counts none at any time from now on, unless one is abandoned.
    #[inline]
    pub fn is_nothing_counted(&self) -> bool {
        self.counted <= 0.0
    }

    /// Abandoned calls that really run.
    pub const fn truly(&self) -> u32 {
        self.truly
    }

    /// Largest values that the counted and the true number have had.
    pub const fn maxima(&self) -> (f64, u32) {
        (self.counted_max, self.truly_max)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // whole numbers and halves of them
mod tests {
    use super::*;
    use crate::policy::Settings;
    use crate::units::Count;

    fn at(secs: u64) -> Time {
        Time::from_nanos(secs * 1_000_000_000)
    }

    fn settings(forget: Forget) -> Graduated {
        let seed = Settings::seed(Count::new(10).expect("10 is not 0"));
        Graduated { forget, ..seed.graduated.expect("the seed's system has this engine") }
    }

    fn abandoned(forget: Forget) -> Abandoned {
        Abandoned::new(Time::ZERO, Some(&settings(forget)))
    }

    #[test]
    fn never_forgets_even_when_all_work_has_ended() {
        let mut counter = abandoned(Forget::Never);
        let holds: Vec<_> = (0..10).map(|second| counter.take(at(second))).collect();
        for hold in holds {
            counter.give_back(hold);
        }
        counter.reset_if_due(at(1_000_000));
        assert_eq!((counter.counted(at(1_000_000)), counter.truly()), (10.0, 0));
        assert_eq!(counter.time_until_below(7.0, at(1_000_000)), None);
    }

    #[test]
    fn reset_waits_for_more_than_its_interval_and_for_a_check() {
        let mut counter = abandoned(Forget::Reset);
        let _running = counter.take(at(10));
        counter.reset_if_due(at(300));
        assert_eq!(counter.counted(at(300)), 1.0, "exactly the interval is not more than the interval");
        assert_eq!(counter.time_until_below(0.7, at(300)), Some(Span::from_nanos(1)));
        assert_eq!(counter.counted(at(900)), 1.0, "a look at the statistics does not reset");
        assert_eq!(counter.time_until_reset(at(900)), Some(Span::ZERO));
        counter.reset_if_due(at(900));
        assert_eq!((counter.counted(at(900)), counter.truly()), (0.0, 1), "forgotten, and still running");
        assert_eq!(counter.time_until_reset(at(900)), Some(Span::from_secs(300)), "the next interval starts at the reset");
    }

    #[test]
    fn decay_halves_in_a_half_life() {
        let mut counter = abandoned(Forget::Decay);
        for _ in 0..8 {
            let _running = counter.take(at(0));
        }
        assert_eq!(counter.counted(at(60)), 4.0);
        assert_eq!(counter.counted(at(180)), 1.0);
        let _running = counter.take(at(60));
        assert_eq!(counter.counted(at(120)), 2.5);
        let wait = counter.time_until_below(2.5, at(60)).expect("decay tells");
        assert_eq!(wait, Span::from_secs(60) + Span::from_nanos(1));
        assert_eq!(counter.time_until_below(0.0, at(60)), None, "it never gets to nothing");
    }

    #[test]
    fn gauge_falls_at_the_true_end_or_at_the_lease_but_once() {
        let mut counter = abandoned(Forget::Gauge);
        let ends = counter.take(at(0));
        let mut stuck = counter.take(at(0));
        assert_eq!(counter.lease_end(at(0)), Some(at(900)));
        counter.give_back(ends);
        assert_eq!((counter.counted(at(1)), counter.truly()), (1.0, 1));
        counter.lease_out(&mut stuck);
        assert_eq!((counter.counted(at(900)), counter.truly()), (0.0, 1));
        counter.give_back(stuck);
        assert_eq!((counter.counted(at(901)), counter.truly()), (0.0, 0));
        assert_eq!(counter.maxima(), (2.0, 2));
    }

    #[test]
    fn new_settings_keep_the_count_only_where_forgetting_is_the_same() {
        let mut counter = abandoned(Forget::Gauge);
        let old = counter.take(at(0));
        counter.reconfigure(at(1), Some(&Graduated { lease: Span::from_secs(5), ..settings(Forget::Gauge) }));
        assert_eq!(counter.counted(at(1)), 1.0);
        counter.reconfigure(at(2), Some(&settings(Forget::Reset)));
        assert_eq!((counter.counted(at(2)), counter.time_until_reset(at(2))), (0.0, Some(Span::from_secs(300))));
        counter.reconfigure(at(3), Some(&settings(Forget::Gauge)));
        let _new = counter.take(at(3));
        counter.give_back(old);
        assert_eq!(counter.counted(at(4)), 1.0, "a call of an earlier counter takes nothing from this one");
    }

    #[test]
    fn a_half_life_of_nothing_forgets_at_once() {
        let mut counter = Abandoned::new(Time::ZERO, Some(&Graduated { half_life: Span::ZERO, ..settings(Forget::Decay) }));
        let _running = counter.take(at(1));
        assert_eq!((counter.counted(at(1)), counter.counted(at(2))), (1.0, 0.0));
    }
}

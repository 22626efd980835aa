//! When the gateway hears the upstream's own signals: at regular ticks, as a driver that polls the server would bring them.
//!
//! Between two events nothing changes, and the gateway keeps only the latest word. So of all ticks before an event only the
//! last one is played: an idle hour costs one hint and not seventy thousand.

use crate::policy::{Mode, Settings};
use crate::time::{Span, Time};

/// The ticks.
#[derive(Copy, Clone, Debug)]
pub struct Hints {
    every: Span,
    /// The latest tick that was played.
    last: Option<Time>,
}

impl Hints {
    /// Ticks, where a policy listens.
    pub fn new(settings: &Settings) -> Option<Self> {
        let signals = settings.signals.as_ref().filter(|signals| signals.mode != Mode::Off)?;
        Some(Self { every: signals.every, last: None })
    }

    /// The last tick at or before `event`, unless it has been played.
    pub fn before(&self, event: Time) -> Option<Time> {
        let every = self.every.as_nanos().max(1);
        let tick = Time::from_nanos(event.as_nanos() / every * every);
        self.last.is_none_or(|last| tick > last).then_some(tick)
    }

    /// The tick at `now` is played.
    pub fn played(&mut self, now: Time) {
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Signals;

    #[test]
    fn only_the_last_tick_before_an_event_is_played_and_once() {
        let at = |ms| Time::ZERO + Span::from_millis(ms);
        let settings = Settings { signals: Some(Signals::default()), ..Settings::default() };
        let mut hints = Hints::new(&settings).expect("a policy listens");
        assert_eq!(hints.before(at(0)), Some(at(0)));
        hints.played(at(0));
        assert_eq!(
            (hints.before(at(49)), hints.before(at(50)), hints.before(at(3_600_049))),
            (None, Some(at(50)), Some(at(3_600_000)))
        );
        assert!(Hints::new(&Settings::default()).is_none());
    }
}

//! A gate on the server's own signals (Kubernetes Gateway API Inference Extension, saturation detector).
//!
//! `saturation` = mean over replicas of `max(waiting / 5, kv_use / 0.8)`; from 1 on attempts are refused. A replica whose
//! latest word is too old, or that has not spoken yet, is full. Here there is one replica: the upstream as a whole.

use serde::{Deserialize, Serialize};

use super::contract::{Asked, Engine};
use super::settings::Signals;
use super::{Hint, Mode, Saw, Verdict};
use crate::request::Reason;
use crate::time::{Span, Time};

/// The gate, and the server's latest word.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SignalGate {
    settings: Option<Signals>,
    /// When it came, and what it said: requests waiting and use of KV blocks.
    heard: Option<(Time, u32, f64)>,
}

impl SignalGate {
    /// A gate that has heard nothing; without settings it is off.
    pub fn new(settings: Option<&Signals>) -> Self {
        let mut gate = Self { settings: None, heard: None };
        gate.reconfigure(settings);
        gate
    }

    /// New bounds; what was heard stays.
    pub fn reconfigure(&mut self, settings: Option<&Signals>) {
        self.settings = settings.filter(|s| s.mode != Mode::Off).cloned();
    }

    /// The server speaks.
    pub fn hint(&mut self, now: Time, hint: &Hint) {
        self.heard = Some((now, hint.waiting, hint.kv_use));
    }

    /// How full the server is by its latest word, fresh or not; 0 before the first.
    fn saturation(&self) -> f64 {
        let (Some(settings), Some((_, waiting, kv_use))) = (&self.settings, self.heard) else { return 0.0 };
        let by_queue = f64::from(waiting) / f64::from(settings.waiting_max.value());
        by_queue.max(kv_use / settings.kv_use_max.value())
    }

    fn age(&self, now: Time) -> Option<Span> {
        self.heard.map(|(then, ..)| now - then)
    }
}

impl Engine for SignalGate {
    type Hold = ();

    fn mode(&self) -> Mode {
        self.settings.as_ref().map_or(Mode::Off, |s| s.mode)
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        let Some(settings) = &self.settings else { return Verdict::Pass };
        let is_stale = self.age(asked.now).is_none_or(|age| age > settings.stale_after);
        if is_stale || self.saturation() >= 1.0 { Verdict::Refuse(Reason::Saturated) } else { Verdict::Pass }
    }

    fn take(&mut self, _asked: &Asked) {}

    fn give_back(&mut self, (): ()) {}

    fn saw(&self, asked: &Asked) -> Saw {
        Saw::Signals { saturation: self.saturation(), age: self.age(asked.now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::asked_at;

    const FULL: Verdict = Verdict::Refuse(Reason::Saturated);

    fn asked_ms(ms: u64) -> Asked {
        Asked { now: Time::ZERO + Span::from_millis(ms), ..asked_at(0) }
    }

    fn gate() -> SignalGate {
        SignalGate::new(Some(&Signals::default()))
    }

    #[test]
    fn either_signal_fills_the_server() {
        for (waiting, kv_use, saturation, verdict) in [
            (0, 0.0, 0.0, Verdict::Pass),
            (4, 0.79, 0.987_5, Verdict::Pass),
            (5, 0.0, 1.0, FULL),
            (0, 0.8, 1.0, FULL),
            (10, 0.4, 2.0, FULL),
        ] {
            let mut gate = gate();
            gate.hint(Time::ZERO, &Hint { waiting, kv_use, ..Hint::default() });
            assert_eq!(gate.ask(&asked_ms(0)), verdict, "{waiting} waiting, {kv_use} in use");
            assert!((gate.saturation() - saturation).abs() < 1e-12, "{}, not {saturation}", gate.saturation());
        }
    }

    #[test]
    fn a_server_without_word_is_full() {
        let mut gate = gate();
        assert_eq!(gate.ask(&asked_ms(0)), FULL, "it has not spoken yet");
        gate.hint(Time::ZERO, &Hint::default());
        assert_eq!(gate.ask(&asked_ms(200)), Verdict::Pass, "200 ms are not more than 200 ms");
        assert_eq!(gate.ask(&asked_ms(201)), FULL);
        assert_eq!(gate.saw(&asked_ms(201)), Saw::Signals { saturation: 0.0, age: Some(Span::from_millis(201)) });
    }

    #[test]
    fn new_settings_keep_what_was_heard() {
        let mut gate = gate();
        gate.hint(Time::ZERO, &Hint { waiting: 5, ..Hint::default() });
        gate.reconfigure(None);
        assert_eq!((gate.mode(), gate.ask(&asked_ms(0))), (Mode::Off, Verdict::Pass));
        gate.reconfigure(Some(&Signals::default()));
        assert_eq!((gate.mode(), gate.ask(&asked_ms(0))), (Mode::Enforce, FULL));
    }
}

//! Request timeouts (seed 001, `--request_timeout`), and what becomes of calls whose client is gone (seed 000).
//!
//! An attempt keeps until its end the terms that were in force when it arrived. Counted from dispatch (the seed) waiting is
//! not bounded; counted from arrival, an attempt that still waits at its limit leaves the queue then.

use serde::{Deserialize, Serialize};

use super::settings::{CallTimeout, Finalise, FinaliseRule, Timeout, Timeouts};
use super::{Mode, OnClientGone, OnTimeout, TimeoutFrom};
use crate::request::Profile;
use crate::time::{Span, Time};

/// The terms of one attempt.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Terms {
    /// Off, observe or enforce.
    pub mode: Mode,
    /// Longest time.
    pub limit: Span,
    /// From when it counts.
    pub from: TimeoutFrom,
    /// What becomes of the call at the limit.
    pub on_timeout: OnTimeout,
    /// What becomes of the call when the client leaves; holds in observe mode too, since it is not a decision about time.
    pub on_client_gone: OnClientGone,
}

impl Terms {
    /// The terms that `settings` offer; without them nothing is timed and the call of a client that leaves is cancelled.
    pub fn new(settings: Option<&Timeout>) -> Self {
        settings.filter(|s| s.mode != Mode::Off).map_or(
            Self {
                mode: Mode::Off,
                limit: Span::FOREVER,
                from: TimeoutFrom::default(),
                on_timeout: OnTimeout::default(),
                on_client_gone: OnClientGone::default(),
            },
            |s| Self {
                mode: s.mode,
                limit: s.request_timeout,
                from: s.timeout_from,
                on_timeout: s.on_timeout,
                on_client_gone: s.on_client_gone,
            },
        )
    }

    /// When an attempt that waits is timed out: [`Time::FAR`] unless the limit counts from arrival.
    #[inline]
    pub fn waiting_due(&self, arrived: Time) -> Time {
        if self.mode != Mode::Off && self.from == TimeoutFrom::Arrival { arrived + self.limit } else { Time::FAR }
    }

    /// When a call is timed out.
    pub fn call_due(&self, arrived: Time, started: Time) -> Time {
        match (self.mode, self.from) {
            (Mode::Off, _) => Time::FAR,
            (_, TimeoutFrom::Arrival) => arrived + self.limit,
            (_, TimeoutFrom::Dispatch) => started + self.limit,
        }
    }

    /// When an answer is of no use any more, and how long the attempt may take, given the client's own word.
    #[inline]
    pub fn bounds(&self, arrived: Time, announced: Option<Time>) -> (Time, Span) {
        let (mut deadline, mut budget) = (Time::FAR, Span::FOREVER);
        if self.mode == Mode::Enforce {
            (deadline, budget) = (self.waiting_due(arrived), self.limit);
        }
        if let Some(announced) = announced {
            (deadline, budget) = (deadline.min(announced), budget.min(announced - arrived));
        }
        (deadline, budget)
    }

    /// How long the attempt may take, given the client's own word: the scale for `CoDel` and adaptive LIFO.
    pub fn budget(&self, arrived: Time, announced: Option<Time>) -> Span {
        self.bounds(arrived, announced).1
    }

    /// Since when the clock of an attempt runs.
    pub fn clock_start(&self, arrived: Time, started: Time) -> Time {
        if self.from == TimeoutFrom::Arrival { arrived } else { started }
    }
}

/// When a call's times are up: the gateway's own timeout, that of its kind, and the last moment for a last call.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Clocks {
    own: (Time, Mode),
    kind: (Time, Mode),
    finalise: Time,
}

impl Clocks {
    /// The gateway's own timeout only.
    pub const fn of(mode: Mode, due: Time) -> Self {
        Self { own: (due, mode), kind: (Time::FAR, Mode::Off), finalise: Time::FAR }
    }

    /// The timeout of a call of this kind that starts at `started`.
    pub fn bound_kind(&mut self, started: Time, settings: Option<&CallTimeout>, profile: Profile) {
        let Some(settings) = settings.filter(|s| s.mode != Mode::Off) else { return };
        let limit = match (settings.timeouts, profile.grounded, profile.vantage.uses_proxy()) {
            (Timeouts::Env, true, false) | (Timeouts::Code, true, _) => settings.grounded_direct,
            (Timeouts::Env, true, true) | (Timeouts::Code, false, _) => settings.grounded_proxy,
            (Timeouts::Env, false, _) => settings.ungrounded,
        };
        self.kind = (started + limit, settings.mode);
    }

    /// The timeout of a last call that starts at `started`, which has no other: those may be over already.
    pub fn of_last_call(started: Time, settings: Option<&Finalise>) -> Self {
        settings.map_or(Self::of(Mode::Off, Time::FAR), |s| Self::of(s.mode, started + s.timeout))
    }

    /// The last moment at which a last call can still meet the SLA, where that is the rule. A call that starts after it
    /// runs to its end: its answer is late either way.
    pub fn finalise_early(&mut self, now: Time, arrived: Time, settings: Option<&Finalise>) {
        let settings = settings.filter(|s| s.mode != Mode::Off && s.rule == FinaliseRule::BeforeSla);
        let last = settings.map(|s| arrived + Span::from_nanos(s.sla.as_nanos().saturating_sub(s.timeout.as_nanos())));
        self.finalise = last.filter(|last| *last > now).unwrap_or(Time::FAR);
    }

    /// The earliest.
    pub fn next(&self) -> Time {
        self.own.0.min(self.kind.0).min(self.finalise)
    }

    /// A timeout that is due at `now`, once, and whether it is the gateway's own.
    pub fn take_due(&mut self, now: Time) -> Option<(Time, Mode, bool)> {
        let own = self.own.0 <= now;
        let clock = if own { &mut self.own } else { &mut self.kind };
        let (due, mode) = *clock;
        *clock = if due <= now { (Time::FAR, Mode::Off) } else { *clock };
        (due <= now).then_some((due, mode, own))
    }

    /// Whether the last moment for a last call has come; once.
    pub fn take_finalise(&mut self, now: Time) -> bool {
        self.finalise <= now && std::mem::replace(&mut self.finalise, Time::FAR) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Settings;
    use crate::units::Count;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    fn seed() -> Timeout {
        Settings::seed(Count::new(10).expect("not 0")).timeout.expect("the seed's system has it")
    }

    #[test]
    fn from_dispatch_waiting_is_not_bounded() {
        let terms = Terms::new(Some(&seed()));
        assert_eq!(terms.waiting_due(at(5)), Time::FAR);
        assert_eq!(terms.call_due(at(5), at(100)), at(160));
        assert_eq!(terms.bounds(at(5), None).0, Time::FAR);
        assert_eq!(terms.bounds(at(5), Some(at(9))).0, at(9));
        assert_eq!(terms.budget(at(5), Some(at(9))), Span::from_secs(4));
        assert_eq!(terms.budget(at(5), Some(at(900))), Span::from_secs(60));
    }

    #[test]
    fn from_arrival_one_clock_runs_through() {
        let terms = Terms::new(Some(&Timeout { timeout_from: TimeoutFrom::Arrival, ..seed() }));
        assert_eq!(terms.waiting_due(at(5)), at(65));
        assert_eq!(terms.call_due(at(5), at(50)), at(65));
        assert_eq!(terms.bounds(at(5), Some(at(900))).0, at(65));
    }

    #[test]
    fn an_observed_timeout_is_no_deadline() {
        let terms = Terms::new(Some(&Timeout { mode: Mode::Observe, timeout_from: TimeoutFrom::Arrival, ..seed() }));
        assert_eq!((terms.waiting_due(at(5)), terms.bounds(at(5), None).0), (at(65), Time::FAR));
        assert_eq!(terms.budget(at(5), None), Span::FOREVER);
        assert_eq!(terms.on_client_gone, OnClientGone::RunOn);
        let off = Terms::new(Some(&Timeout { mode: Mode::Off, ..seed() }));
        assert_eq!((off.call_due(at(0), at(0)), off.on_client_gone), (Time::FAR, OnClientGone::Cancel));
    }
}

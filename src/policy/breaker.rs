//! Circuit breaker for each country and proxy mode (seed 002, section 3; resilience4j for rates, half-open and slow calls).
//!
//! A circuit opens by the errors so far (`cumulative`, the seed: no success lowers the count), by errors in a row, or by
//! the rate of failed or slow calls in a window. While it is open, after *more* than its cooldown, it closes by itself
//! (the seed) or lets a fixed number of probes through, all of whose results decide by the same rates, whatever opened it.
//!
//! - Nothing moves by itself: time is looked at when a call asks. With `restart_on_late_error` (the seed) an error that
//!   comes in while a circuit is still open, cooldown over or not, starts the cooldown again and counts as an opening, and
//!   one that comes in after it has closed by itself counts like any other. Without, a result from before the latest
//!   move counts as nothing.
//! - A probe's place is free again when its result says nothing, or when its lease is over.
//! - Known keys are bounded. Beyond that the key that was heard of least recently is forgotten, closed ones first.
//! - A mere observer lets calls through while it is open; what becomes of those counts as nothing.

use serde::{Deserialize, Serialize};

use super::Mode;
use super::breaker_circuit::{Circuit, Phase, Shared, Ticket};
use super::breaker_window::is_slow;
use super::settings::{self, Redispatch, Trip};
use crate::request::{Country, ProxyMode, Vantage};
use crate::time::{Span, Time};

/// Keys known at once. They are searched one after the other.
const KEYS_MAX: usize = 256;

/// What has a circuit of its own.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProxyKey {
    /// Where the proxy stands.
    pub country: Country,
    /// How it is chosen.
    pub mode: ProxyMode,
}

/// Whether a call may go through its proxy.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Yes.
    Closed,
    /// No.
    Open {
        /// The first time at which asking again can help.
        until: Time,
    },
    /// Yes: half open, and a probe's place is free.
    Probe,
}

/// A call that goes through. Given back exactly once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Permit {
    key: ProxyKey,
    /// `None` where its result says nothing whatever it is.
    ticket: Option<Ticket>,
}

#[cfg(test)]
impl Permit {
    /// Whether the call is a probe.
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.probe.is_some())
    }
}

/// What a call says of its proxy.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum CallResult {
    /// It worked.
    Ok,
    /// It did not.
    Failed,
    /// It was still at it when its time was up: slow by how long it took (`slow_call`), and else nothing.
    TimedOut,
    /// Nothing: no proxy was used, a 429 or another 4xx, or it was cancelled before an answer.
    Ignored,
}

/// What a result has done to its circuit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Nothing.
    Nothing,
    /// It is open, or open again.
    Opened,
    /// Its cooldown is over: half open.
    HalfOpened,
    /// It is closed.
    Closed,
}

/// The circuits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Breaker {
    /// `None` when off.
    settings: Option<settings::Breaker>,
    keys: Vec<ProxyKey>,
    /// In the order of `keys`.
    circuits: Vec<Circuit>,
    /// The last number given out to a generation or a probe.
    numbers: u64,
    opens: u64,
}

impl Breaker {
    /// No key is known; without settings it is off.
    pub fn new(settings: Option<&settings::Breaker>) -> Self {
        let mut breaker = Self { settings: None, keys: Vec::new(), circuits: Vec::new(), numbers: 0, opens: 0 };
        breaker.reconfigure(settings);
        breaker
    }

    /// New settings. Circuits stay as they are where the same kind of error opens them, else they are forgotten.
    pub fn reconfigure(&mut self, settings: Option<&settings::Breaker>) {
        let new = settings.filter(|s| s.mode != Mode::Off);
        let old = std::mem::replace(&mut self.settings, new.cloned());
        match (&old, new) {
            (Some(old), Some(new)) if old.trip == new.trip => {
                let mut shared = Shared { settings: new, numbers: &mut self.numbers };
                self.circuits.iter_mut().for_each(|circuit| circuit.reconfigure(old, &mut shared));
            }
            _ => {
                self.keys.clear();
                self.circuits.clear();
            }
        }
    }

    /// What the gateway does with the answers.
    #[inline]
    pub fn mode(&self) -> Mode {
        self.settings.as_ref().map_or(Mode::Off, |s| s.mode)
    }

    /// What becomes of the attempt whose error has opened it.
    pub fn redispatch(&self) -> Redispatch {
        self.settings.as_ref().filter(|s| s.mode == Mode::Enforce).map_or(Redispatch::Off, |s| s.redispatch)
    }

    /// Whether the API's own 5xx count as failures of the proxy before it.
    pub fn counts_5xx(&self) -> bool {
        self.settings.as_ref().is_some_and(|s| s.count_5xx)
    }

    /// Whether a call may go through. Takes nothing, but moves a circuit whose cooldown is over.
    pub fn ask(&mut self, now: Time, key: ProxyKey) -> Gate {
        let Some(settings) = &self.settings else { return Gate::Closed };
        let Some(index) = position(&self.keys, key) else { return Gate::Closed };
        let circuit = &mut self.circuits[index];
        if circuit.phase == Phase::Closed && settings.idle_expiry.is_none() {
            return Gate::Closed; // time does nothing to it
        }
        let mut shared = Shared { settings, numbers: &mut self.numbers };
        if circuit.is_forgotten(now, settings) {
            circuit.forget(now, &mut shared);
        }
        circuit.roll(now, &mut shared);
        circuit.gate(now, settings)
    }

    /// Before when no call goes through, as it stands. Moves nothing.
    pub fn opens_at(&self, now: Time, key: ProxyKey) -> Time {
        let phase = position(&self.keys, key).map(|index| self.circuits[index].phase);
        if let Some(Phase::Open { since, cooldown }) = phase { since + cooldown } else { now }
    }

    /// The call goes through: closed, or as a probe if one is free. Ask right before.
    pub fn take(&mut self, now: Time, key: ProxyKey) -> Permit {
        let Some(settings) = &self.settings else { return Permit { key, ticket: None } };
        let mut shared = Shared { settings, numbers: &mut self.numbers };
        let known = position(&self.keys, key);
        let index = known.unwrap_or_else(|| learn(now, key, &mut self.keys, &mut self.circuits, &mut shared));
        let circuit = &mut self.circuits[index];
        let only_observed = settings.mode == Mode::Observe && matches!(circuit.phase, Phase::Open { .. });
        Permit { key, ticket: (!only_observed).then(|| circuit.take(now, &mut shared)) }
    }

    /// The call's result. `took`: how long it took; `draw`: 64 random bits for the cooldown's jitter.
    pub fn give_back(&mut self, now: Time, permit: Permit, result: CallResult, took: Span, draw: u64) -> Moved {
        let Permit { key, ticket } = permit;
        let (Some(settings), Some(ticket)) = (&self.settings, ticket) else { return Moved::Nothing };
        let Some(index) = position(&self.keys, key) else { return Moved::Nothing };
        let circuit = &mut self.circuits[index];
        let result = timed_out_is(result, circuit.phase, is_slow(settings, took), settings.trip);
        let mut shared = Shared { settings, numbers: &mut self.numbers };
        if !settings.restart_on_late_error {
            let moved = circuit.roll(now, &mut shared);
            if moved != Moved::Nothing {
                return moved; // so the result comes from before the move
            }
        }
        let moved = circuit.give_back(now, &ticket, result, took, draw, &mut shared);
        self.opens += u64::from(moved == Moved::Opened);
        moved
    }

    /// What a call may do while its circuit is open: without its proxy where that is allowed, `None` where it is refused.
    pub fn degrade(&self, vantage: Vantage) -> Option<Vantage> {
        let falls_back = self.settings.as_ref().is_some_and(|s| s.fallback);
        match vantage {
            Vantage::AlsPlusProxy => Some(Vantage::AlsOnly),
            Vantage::ProxyOnly => falls_back.then_some(Vantage::AlsOnly),
            Vantage::AlsOnly | Vantage::None => Some(vantage),
        }
    }

    /// Openings so far, those by late errors included.
    #[cfg(test)]
    pub const fn opens(&self) -> u64 {
        self.opens
    }

    /// Whether a circuit is open and its cooldown not over. Moves nothing.
    #[cfg(test)]
    pub fn is_open(&self, now: Time, key: ProxyKey) -> bool {
        position(&self.keys, key).is_some_and(|index| self.circuits[index].is_open(now))
    }

    /// Where each known circuit stands, as it was last left.
    pub fn states(&self) -> impl Iterator<Item = (ProxyKey, Phase)> + '_ {
        self.keys.iter().zip(&self.circuits).map(|(key, circuit)| (*key, circuit.phase))
    }
}

/// A place for a key that is not known yet.
fn learn(now: Time, key: ProxyKey, keys: &mut Vec<ProxyKey>, circuits: &mut Vec<Circuit>, shared: &mut Shared) -> usize {
    let forgotten = circuits.iter().position(|circuit| circuit.is_forgotten(now, shared.settings));
    if forgotten.is_none() && keys.len() < KEYS_MAX {
        keys.push(key);
        circuits.push(Circuit::new(now, shared));
        return keys.len() - 1;
    }
    let oldest = || {
        let order = |circuit: &Circuit| (circuit.phase != Phase::Closed, circuit.heard, circuit.generation);
        (0..circuits.len()).min_by_key(|index| order(&circuits[*index])).expect("KEYS_MAX is above 0")
    };
    let index = forgotten.unwrap_or_else(oldest);
    keys[index] = key;
    circuits[index].forget(now, shared);
    index
}

/// A call that timed out counts as one that took too long, where rates of slow calls decide: always among probes.
fn timed_out_is(result: CallResult, phase: Phase, slow: bool, trip: Trip) -> CallResult {
    match result {
        CallResult::TimedOut if slow && (trip == Trip::Rate || phase == Phase::HalfOpen) => CallResult::Ok,
        CallResult::TimedOut => CallResult::Ignored,
        told => told,
    }
}

fn position(keys: &[ProxyKey], key: ProxyKey) -> Option<usize> {
    keys.iter().position(|known| *known == key)
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;

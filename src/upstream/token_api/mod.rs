//! A metered provider: it serves any number of calls at once, as long as they stay within its tokens and requests a minute.
//!
//! ```text
//!   call --[proxy]--> limits --[proxy]--> first token ... last token --> settled and billed
//!              |         |                    |
//!            proxy    429, Retry-After      5xx
//! ```
//!
//! The rules:
//!
//! - **What is taken at admission** is what the call asks for: its estimated prompt and `max_tokens` (as Azure `OpenAI` says
//!   of its tokens a minute: estimated from prompt and `max_tokens` when the request is received).
//! - **What is billed** at the end is what it really used ([`Call::billed`]): prompt, search results, answer. What was used
//!   beyond what was taken may leave a limit below nothing; nobody is admitted until it has come back.
//! - **A 429** takes nothing and says when to come again ([`Limits::admit`]); one for a call larger than a whole limit says
//!   nothing, since no waiting helps (`OpenAI`: "Request too large").
//! - **A call that is cancelled** before its first token is billed nothing; after it, the whole prompt's side and the answer
//!   as far as it had come, evenly from the first token to the last. `reserve_and_settle` gives back the rest.
//! - **A call that fails** (5xx, proxy) has no token yet and is billed nothing.
//!
//! Limits know nothing of time zones: a calendar minute begins `phase` before the run does.

mod latency;
mod limits;
mod meter;
mod settings;

pub use limits::Limits;
pub use meter::Meter;
pub use settings::{ClassLatencySettings, LatencySettings, LimiterSettings, TokenApiSettings};

use self::latency::{DRAW_ERROR, DRAW_ERROR_AFTER, Latency};
use super::proxy_pool::{ProxyPlace, ProxyPool};
use super::{Call, CallWork, EventKind, Gauges, Output, OutputKind, Setup, Totals, Upstream};
use crate::dist::SpanDist;
use crate::fifo::Fifo;
use crate::heap::IndexedHeap;
use crate::request::{CallId, Cause, RateHeaders, slot_of};
use crate::rng::{mix, open01};
use crate::time::{Span, Time};
use crate::units::{Count, Fraction};

/// How far a call has come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stage {
    Gone,
    /// On its way through a proxy.
    Connecting {
        succeeds: bool,
    },
    /// Its 429 is on the way.
    Refused {
        retry_after: Option<Span>,
    },
    /// Admitted; its first token comes next, or a 5xx.
    Answering {
        fails: bool,
    },
    /// Its last token comes next.
    Streaming,
}

/// The call in one slot.
#[derive(Copy, Clone, Debug)]
struct Slot {
    call: Call,
    stage: Stage,
    /// Whether it has passed the limits, and so what it took from them.
    taken: Option<u64>,
    /// Its first token, and how long after it the last one comes.
    first: Time,
    rest: Span,
}

/// The provider, with the proxies before or behind it.
#[derive(Debug)]
pub struct TokenApi {
    limits: Limits,
    tokens_per_minute: Option<Count>,
    latencies: Vec<Latency>,
    error_rate: f64,
    error_after: Option<SpanDist>,
    refused_after: Span,
    proxy: Option<(ProxyPool, ProxyPlace)>,
    slots: Vec<Slot>,
    /// What happens next to each call, by its slot.
    due: IndexedHeap,
    sequence: u64,
    outputs: Fifo<Output>,
    now: Time,
    /// Calls being answered, and calls on their way to that.
    running: u32,
    waiting: u32,
    prefill_tokens: u64,
    decode_tokens: u64,
}

impl TokenApi {
    /// A provider that nobody has called yet.
    #[must_use]
    pub fn new(settings: &TokenApiSettings, setup: &Setup<'_>) -> Self {
        let proxy = settings.proxy.as_ref().map(|proxy| (ProxyPool::new(proxy, setup.streams), proxy.place));
        Self {
            limits: Limits::new(settings),
            tokens_per_minute: settings.tokens_per_minute,
            latencies: Latency::all(settings, setup.classes),
            error_rate: settings.error_rate.map_or(0.0, Fraction::value),
            error_after: settings.error_after.clone(),
            refused_after: settings.refused_after,
            proxy,
            slots: Vec::new(),
            due: IndexedHeap::new(),
            sequence: 0,
            outputs: Fifo::default(),
            now: Time::ZERO,
            running: 0,
            waiting: 0,
            prefill_tokens: 0,
            decode_tokens: 0,
        }
    }
}

impl Upstream for TokenApi {
    const BILLS: bool = true;

    /// A call comes in.
    ///
    /// # Panics
    /// INV-2: where `now` runs back. INV-5: where a call with the same slot index is still here.
    fn start(&mut self, now: Time, call: &Call) {
        self.catch_up(now);
        let slot = self.take_slot(call);
        self.waiting += 1;
        if self.proxy_of(slot) == Some(ProxyPlace::Before) {
            self.connect(now, slot);
        } else {
            self.meter(now, slot);
        }
    }

    /// A call is wanted no more: it is over at once. A call that is not here is ignored.
    ///
    /// # Panics
    /// INV-2: where `now` runs back.
    fn cancel(&mut self, now: Time, call: CallId) {
        self.catch_up(now);
        let slot = slot_of(call);
        let here = self.slots.get(slot as usize).is_some_and(|entry| entry.call.id == call && entry.stage != Stage::Gone);
        if here {
            let work = self.slots[slot as usize].generated(now);
            self.due.remove(slot);
            self.leave(now, slot, OutputKind::Cancelled(work), work);
        }
    }

    /// When [`TokenApi::advance`] is wanted next.
    fn next_event(&self) -> Option<(Time, EventKind)> {
        self.due.first().map(|(key, _)| (time_of(key), EventKind::Completion))
    }

    /// Does all that is due (there are no steps, so `kind` changes nothing).
    ///
    /// # Panics
    /// INV-2: where `now` runs back.
    fn advance(&mut self, now: Time, _kind: EventKind) {
        self.run(now, |at| at <= now);
    }

    /// The next output, until there is none.
    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// Calls being answered, and calls on their way to that: connecting, or being refused.
    fn gauges(&self) -> Gauges {
        Gauges { running: self.running, waiting: self.waiting, kv_use: 0.0 }
    }

    /// Sums of what was billed. The busy time is that which the token limit takes to allow it; 0 without a limit.
    fn totals(&mut self, _now: Time) -> Totals {
        let billed = (self.prefill_tokens + self.decode_tokens) as f64;
        Totals {
            busy_s: self.tokens_per_minute.map_or(0.0, |limit| billed * 60.0 / f64::from(limit.value())),
            prefill_tokens: self.prefill_tokens,
            decode_tokens: self.decode_tokens,
            ..Totals::default()
        }
    }

    fn remaining_tokens(&self, now: Time) -> Option<u64> {
        self.headers(now).tokens.map(|tokens| tokens.remaining)
    }

    fn rate_headers(&self, now: Time) -> Option<RateHeaders> {
        Some(self.headers(now)).filter(|headers| *headers != RateHeaders::default())
    }
}

impl TokenApi {
    /// What the `x-ratelimit-*` headers say at `now`, which is not before anything else here.
    #[must_use]
    pub fn headers(&self, now: Time) -> RateHeaders {
        self.limits.headers(now)
    }

    /// The place of the proxy on this call's way, if there is one.
    fn proxy_of(&self, slot: u32) -> Option<ProxyPlace> {
        let uses = self.slots[slot as usize].call.profile.vantage.uses_proxy();
        self.proxy.as_ref().filter(|_| uses).map(|(_, place)| *place)
    }

    fn connect(&mut self, now: Time, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let profile = entry.call.profile;
        let (pool, _) = self.proxy.as_mut().expect("only calls with a proxy connect");
        let connection = pool.connect(now, profile.country, profile.proxy_mode, entry.call.draw);
        entry.stage = Stage::Connecting { succeeds: connection.succeeds };
        self.schedule(now + connection.takes, slot);
    }

    /// A call has come to the limits.
    fn meter(&mut self, now: Time, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let asks = u64::from(entry.call.input_estimate) + u64::from(entry.call.max_tokens);
        if let Err(retry_after) = self.limits.admit(now, asks) {
            entry.stage = Stage::Refused { retry_after };
            self.schedule(now + self.refused_after, slot);
            return;
        }
        entry.taken = Some(asks);
        if self.proxy_of(slot) == Some(ProxyPlace::Behind) {
            self.connect(now, slot);
        } else {
            self.serve(now, slot);
        }
    }

    fn serve(&mut self, now: Time, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let call = entry.call;
        let pace = self.latencies[call.class.index()].pace(&call);
        let fails = open01(mix(call.draw, DRAW_ERROR)) < self.error_rate;
        let error_after = self.error_after.as_ref().filter(|_| fails);
        let after = error_after.map(|dist| Span::from_secs_f64(dist.sample(mix(call.draw, DRAW_ERROR_AFTER))));
        entry.stage = Stage::Answering { fails };
        entry.rest = pace.rest;
        self.waiting -= 1;
        self.running += 1;
        self.emit(call.id, now, OutputKind::Began);
        self.schedule(now + after.unwrap_or(pace.first), slot);
    }

    /// What was due for a call has come.
    fn step(&mut self, at: Time, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let (id, rest) = (entry.call.id, entry.rest);
        let work = CallWork::default();
        match entry.stage {
            Stage::Connecting { succeeds: true } if entry.taken.is_none() => self.meter(at, slot),
            Stage::Connecting { succeeds: true } => self.serve(at, slot),
            Stage::Connecting { succeeds: false } => self.leave(at, slot, OutputKind::failed(Cause::Proxy), work),
            Stage::Refused { retry_after } => {
                self.leave(at, slot, OutputKind::Failed { cause: Cause::RateLimited, work, retry_after }, work);
            }
            Stage::Answering { fails: true } => self.leave(at, slot, OutputKind::failed(Cause::Server), work),
            Stage::Answering { fails: false } => {
                entry.stage = Stage::Streaming;
                entry.first = at;
                self.emit(id, at, OutputKind::FirstToken);
                self.schedule(at + rest, slot);
            }
            Stage::Streaming => {
                let work = entry.call.billed();
                self.leave(at, slot, OutputKind::Done(work), work);
            }
            Stage::Gone => unreachable!("INV-5: a call that is over has nothing due"),
        }
    }

    /// A call is over: what it took is settled against what it is billed.
    fn leave(&mut self, now: Time, slot: u32, kind: OutputKind, work: CallWork) {
        let entry = &mut self.slots[slot as usize];
        let id = entry.call.id;
        match std::mem::replace(&mut entry.stage, Stage::Gone) {
            Stage::Answering { .. } | Stage::Streaming => self.running -= 1,
            _ => self.waiting -= 1,
        }
        let (prefill, decode) = (u64::from(work.prefill_tokens), u64::from(work.decode_tokens));
        if let Some(taken) = entry.taken {
            self.limits.settle(now, taken, prefill + decode);
        }
        self.prefill_tokens += prefill;
        self.decode_tokens += decode;
        self.emit(id, now, kind);
    }

    fn take_slot(&mut self, call: &Call) -> u32 {
        let slot = slot_of(call.id);
        let entry = Slot { call: *call, stage: Stage::Gone, taken: None, first: Time::ZERO, rest: Span::ZERO };
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, entry);
        }
        assert!(self.slots[index].stage == Stage::Gone, "INV-5: the slot of {:?} is taken", call.id);
        self.slots[index] = entry;
        slot
    }

    /// Does what was due before `now`, for a caller that did not ask for it in time.
    fn catch_up(&mut self, now: Time) {
        self.run(now, |at| at < now);
    }

    fn run(&mut self, now: Time, is_due: impl Fn(Time) -> bool) {
        assert!(now >= self.now, "INV-2: time ran back from {} to {now}", self.now);
        while let Some((key, slot)) = self.due.first() {
            let at = time_of(key);
            if !is_due(at) || at == Time::FAR {
                break;
            }
            self.due.pop();
            self.step(at, slot);
        }
        self.now = now;
    }

    /// By time, then in the order in which it was set up.
    fn schedule(&mut self, at: Time, slot: u32) {
        self.sequence += 1;
        self.due.set(slot, u128::from(at.as_nanos()) << 64 | u128::from(self.sequence));
    }

    fn emit(&mut self, call: CallId, at: Time, kind: OutputKind) {
        self.outputs.push(Output { call, at, kind });
    }
}

impl Slot {
    /// What has been generated, and is billed, by `now`.
    fn generated(&self, now: Time) -> CallWork {
        if self.stage != Stage::Streaming {
            return CallWork::default();
        }
        let whole = self.call.billed();
        let elapsed = u128::from((now - self.first).as_nanos());
        let further = u128::from(whole.decode_tokens.saturating_sub(1)) * elapsed / u128::from(self.rest.as_nanos().max(1));
        let come = u32::try_from(further).map_or(u32::MAX, |further| further.saturating_add(1));
        CallWork { decode_tokens: come.min(whole.decode_tokens), ..whole }
    }
}

#[allow(clippy::cast_possible_truncation)] // the high half is the time
const fn time_of(key: u128) -> Time {
    Time::from_nanos((key >> 64) as u64)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

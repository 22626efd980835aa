//! A plain service station: c servers, k places, any service distribution, waiting patience.
//!
//! Calls are served in order of arrival. Kendall's M/M/c, M/M/c/k, M/G/1 and Erlang-A are this station under Poisson
//! arrivals; their closed forms are what the simulator is verified against. At equal times ends of service come before
//! expiries of patience, and each of them in the order in which it was set up, so a run depends on nothing else.
//!
//! Tokens are only counted here, they cost nothing: a call's whole prompt is spent when its service begins, and its answer
//! grows evenly over the service time.

use super::{Call, CallWork, EventKind, Gauges, Output, OutputKind, StationSettings, Totals, Upstream};
use crate::fifo::Fifo;
use crate::heap::IndexedHeap;
use crate::request::{CallId, Cause, slot_of};
use crate::time::{Span, Time};
use crate::units::Count;

/// No call: the end of the list of those who wait.
const NONE: u32 = u32::MAX;

/// Where a call is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Place {
    Gone,
    Waiting,
    Served,
}

/// What the station knows of the call in one slot.
#[derive(Copy, Clone, Debug)]
struct Slot {
    id: CallId,
    service: Span,
    began: Time,
    before: u32,
    behind: u32,
    input_tokens: u32,
    output_tokens: u32,
    place: Place,
    patient: bool,
}

/// The station.
#[derive(Debug)]
pub struct Station {
    servers: u32,
    places: u32,
    slots: Vec<Slot>,
    /// Calls in service, by when they end.
    ends: IndexedHeap,
    /// Calls that wait and will not for ever, by when they leave.
    expiries: IndexedHeap,
    head: u32,
    tail: u32,
    waiting: u32,
    sequence: u64,
    outputs: Fifo<Output>,
    now: Time,
    /// Integral of the busy servers up to `now`, server-nanoseconds.
    busy_area: u128,
    prefill_tokens: u64,
    decode_tokens: u64,
}

impl Station {
    /// An empty station.
    #[must_use]
    pub fn new(settings: &StationSettings) -> Self {
        Self {
            servers: settings.servers.value(),
            places: settings.places.map_or(u32::MAX, Count::value),
            slots: Vec::new(),
            ends: IndexedHeap::new(),
            expiries: IndexedHeap::new(),
            head: NONE,
            tail: NONE,
            waiting: 0,
            sequence: 0,
            outputs: Fifo::default(),
            now: Time::ZERO,
            busy_area: 0,
            prefill_tokens: 0,
            decode_tokens: 0,
        }
    }
}

impl Upstream for Station {
    /// A call comes in: it is served at once, waits, or finds no place and fails as [`Cause::Overloaded`].
    ///
    /// # Panics
    /// INV-2: where `now` runs back. INV-5: where a call with the same slot index is still here.
    fn start(&mut self, now: Time, call: &Call) {
        self.catch_up(now);
        if self.busy() + self.waiting >= self.places {
            self.emit(call.id, now, OutputKind::failed(Cause::Overloaded));
            return;
        }
        let slot = self.take_slot(call);
        if self.busy() < self.servers {
            self.begin(now, slot);
            return;
        }
        self.push_back(slot);
        if let Some(patience) = call.patience {
            self.slots[slot as usize].patient = true;
            let key = self.key(now + patience);
            self.expiries.set(slot, key);
        }
    }

    /// A call is wanted no more: it leaves at once, from service or from the queue. A call that is not here is ignored.
    ///
    /// # Panics
    /// INV-2: where `now` runs back.
    fn cancel(&mut self, now: Time, call: CallId) {
        self.catch_up(now);
        let slot = slot_of(call);
        let Some(&Slot { id, place, .. }) = self.slots.get(slot as usize) else { return };
        if id != call || place == Place::Gone {
            return;
        }
        if place == Place::Waiting {
            self.unlink(slot);
            self.emit(call, now, OutputKind::Cancelled(CallWork::default()));
            return;
        }
        self.ends.remove(slot);
        let work = self.spent(slot, now);
        self.leave(slot, work);
        self.emit(call, now, OutputKind::Cancelled(work));
        self.serve_next(now);
    }

    /// When [`Station::advance`] is wanted next.
    #[inline]
    fn next_event(&self) -> Option<(Time, EventKind)> {
        let (time, _) = self.upcoming()?;
        Some((time, EventKind::Completion))
    }

    /// Does all that is due (a station has no steps, so `kind` changes nothing).
    ///
    /// # Panics
    /// INV-2: where `now` runs back.
    fn advance(&mut self, now: Time, _kind: EventKind) {
        while let Some((time, is_end)) = self.upcoming() {
            if time > now {
                break;
            }
            self.step(time, is_end);
        }
        self.pass(now);
    }

    /// The next output, until there is none.
    #[inline]
    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// A look at it as of `now`.
    fn gauges(&self) -> Gauges {
        Gauges { running: self.busy(), waiting: self.waiting, kv_use: 0.0 }
    }

    /// Sums up to `now`, which is not before the last call of anything else here.
    fn totals(&mut self, now: Time) -> Totals {
        self.pass(now);
        Totals {
            busy_s: self.busy_area as f64 / 1e9 / f64::from(self.servers),
            prefill_tokens: self.prefill_tokens,
            decode_tokens: self.decode_tokens,
            ..Totals::default()
        }
    }
}

impl Station {
    /// The integral of the number of busy servers up to the last call of anything here, in server-nanoseconds: exact.
    #[cfg(test)]
    const fn busy_area(&self) -> u128 {
        self.busy_area
    }

    /// Calls in service.
    #[allow(clippy::cast_possible_truncation)] // never more than `servers`
    #[inline]
    fn busy(&self) -> u32 {
        self.ends.len() as u32
    }

    /// When something happens next, and whether that is an end of service (which at equal times comes first).
    #[inline]
    fn upcoming(&self) -> Option<(Time, bool)> {
        if self.expiries.is_empty() {
            return self.ends.first().map(|(end, _)| (time_of(end), true));
        }
        match (self.ends.first(), self.expiries.first()) {
            (Some((end, _)), Some((expiry, _))) if time_of(expiry) < time_of(end) => Some((time_of(expiry), false)),
            (Some((end, _)), _) => Some((time_of(end), true)),
            (None, expiry) => expiry.map(|(key, _)| (time_of(key), false)),
        }
    }

    /// Does what was due before `now`, for a caller that did not ask for it in time.
    #[inline]
    fn catch_up(&mut self, now: Time) {
        while let Some((time, is_end)) = self.upcoming() {
            if time >= now {
                break;
            }
            self.step(time, is_end);
        }
        self.pass(now);
    }

    #[inline]
    fn step(&mut self, time: Time, is_end: bool) {
        self.pass(time);
        if is_end {
            let (_, slot) = self.ends.pop().expect("`upcoming` saw an end");
            let Slot { id, input_tokens, output_tokens, .. } = self.slots[slot as usize];
            let work = CallWork { prefill_tokens: input_tokens, decode_tokens: output_tokens };
            self.leave(slot, work);
            self.emit(id, time, OutputKind::Done(work));
            self.serve_next(time);
        } else {
            let (_, slot) = self.expiries.first().expect("`upcoming` saw an expiry");
            self.unlink(slot);
            self.emit(self.slots[slot as usize].id, time, OutputKind::Reneged);
        }
    }

    /// Moves the clock on, and the busy integral with it.
    #[inline]
    fn pass(&mut self, now: Time) {
        assert!(now >= self.now, "INV-2: time ran back from {} to {now}", self.now);
        if now == self.now {
            return;
        }
        self.busy_area += u128::from((now - self.now).as_nanos()) * u128::from(self.busy());
        self.now = now;
    }

    #[inline]
    fn serve_next(&mut self, now: Time) {
        if self.head != NONE {
            let slot = self.head;
            self.unlink(slot);
            self.begin(now, slot);
        }
        assert!(self.waiting == 0 || self.busy() == self.servers, "INV-4: a call waits beside an idle server");
    }

    #[inline]
    fn begin(&mut self, now: Time, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        entry.place = Place::Served;
        entry.began = now;
        let (id, end) = (entry.id, now + entry.service);
        let key = self.key(end);
        self.ends.set(slot, key);
        assert!(self.busy() <= self.servers, "INV-9: more calls in service than servers");
        self.emit(id, now, OutputKind::Began);
    }

    /// What a call in service has cost by `now`.
    fn spent(&self, slot: u32, now: Time) -> CallWork {
        let entry = &self.slots[slot as usize];
        let elapsed = u128::from((now - entry.began).as_nanos());
        let whole = u128::from(entry.service.as_nanos().max(1));
        let decoded = u128::from(entry.output_tokens) * elapsed / whole;
        CallWork {
            prefill_tokens: entry.input_tokens,
            decode_tokens: u32::try_from(decoded).map_or(entry.output_tokens, |tokens| tokens.min(entry.output_tokens)),
        }
    }

    /// A call in service is over.
    #[inline]
    fn leave(&mut self, slot: u32, work: CallWork) {
        self.slots[slot as usize].place = Place::Gone;
        self.prefill_tokens += u64::from(work.prefill_tokens);
        self.decode_tokens += u64::from(work.decode_tokens);
    }

    #[inline]
    fn take_slot(&mut self, call: &Call) -> u32 {
        let slot = slot_of(call.id);
        let entry = Slot {
            id: call.id,
            service: call.service,
            began: Time::ZERO,
            before: NONE,
            behind: NONE,
            input_tokens: call.input_tokens,
            output_tokens: call.output_tokens,
            place: Place::Gone,
            patient: false,
        };
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, entry);
        }
        assert!(self.slots[index].place == Place::Gone, "INV-5: the slot of {:?} is taken", call.id);
        self.slots[index] = entry;
        slot
    }

    #[inline]
    fn push_back(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        entry.place = Place::Waiting;
        entry.before = self.tail;
        match self.tail {
            NONE => self.head = slot,
            tail => self.slots[tail as usize].behind = slot,
        }
        self.tail = slot;
        self.waiting += 1;
    }

    /// Takes a call out of the queue, wherever it stands, with its patience.
    fn unlink(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let (before, behind) = (entry.before, entry.behind);
        entry.place = Place::Gone;
        if entry.patient {
            self.expiries.remove(slot);
        }
        match before {
            NONE => self.head = behind,
            before => self.slots[before as usize].behind = behind,
        }
        match behind {
            NONE => self.tail = before,
            behind => self.slots[behind as usize].before = before,
        }
        self.waiting -= 1;
    }

    /// A heap key: by time, then in order of making.
    #[inline]
    fn key(&mut self, at: Time) -> u128 {
        self.sequence += 1;
        u128::from(at.as_nanos()) << 64 | u128::from(self.sequence)
    }

    #[inline]
    fn emit(&mut self, call: CallId, at: Time, kind: OutputKind) {
        self.outputs.push(Output { call, at, kind });
    }
}

#[allow(clippy::cast_possible_truncation)] // the high half is the time
const fn time_of(key: u128) -> Time {
    Time::from_nanos((key >> 64) as u64)
}

#[cfg(test)]
#[path = "station_tests.rs"]
mod tests;

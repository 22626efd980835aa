//! The attempts that were sent, in the slots of the clients' own slab.

use slotmap::Key;

use crate::request::{AttemptId, Request, RequestId, slot_of};
use crate::rng::mix;
use crate::time::Time;

/// An attempt under way, as the driver knows it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Sent {
    /// Its id as a number, which is compared in one step; 0, which is no id, in a slot that none has had yet.
    key: u64,
    /// Whose it is. It stays here when the client has left: at one instant that may be before the gateway's call is on its way.
    pub request: Request,
    /// Which try it is, from 1.
    pub number: u16,
    /// Calls made for it.
    pub calls: u16,
    /// When it was sent.
    pub at: Time,
    /// When service began, once it has.
    pub began: Option<Time>,
    /// Whether it had to wait for service.
    pub waited: bool,
    /// Still inside the system.
    pub open: bool,
    /// Length of the answer of its last call, tokens.
    pub output_tokens: u32,
}

impl Sent {
    /// No attempt of `request` yet.
    const fn none(request: &Request) -> Self {
        let at = Time::ZERO;
        Self { key: 0, request: *request, number: 0, calls: 0, at, began: None, waited: false, open: false, output_tokens: 0 }
    }

    /// An attempt is sent.
    #[inline]
    const fn send(&mut self, key: u64, number: u16, at: Time) {
        (self.key, self.number, self.at) = (key, number, at);
        (self.calls, self.began, self.output_tokens) = (0, None, 0);
        (self.waited, self.open) = (false, true);
    }

    /// Seed of the next call's draws upstream. A request's first draws are 2 n and 2 n + 1 of its attempt n (backoff and
    /// admission): below 2^18.
    pub fn draw(&mut self) -> u64 {
        self.calls = self.calls.saturating_add(1);
        mix(self.request.later, 1 << 40 | u64::from(self.number) << 16 | u64::from(self.calls))
    }

    /// It leaves the system at `now`, unless it already has.
    #[inline]
    pub fn close(&mut self, now: Time) -> Option<Closed> {
        if !std::mem::replace(&mut self.open, false) {
            return None;
        }
        let unserved = self.began.is_none();
        if unserved {
            self.waited = now > self.at;
        }
        Some(Closed { request: self.request.id, sent: self.at, unserved })
    }
}

/// What is known of an attempt as it leaves the system.
#[derive(Copy, Clone, Debug)]
pub(super) struct Closed {
    /// Whose it was.
    pub request: RequestId,
    /// When it was sent.
    pub sent: Time,
    /// Whether its service never began.
    pub unserved: bool,
}

/// The table: an attempt is in it until another one takes its slot.
#[derive(Debug, Default)]
pub(super) struct SentTable {
    slots: Vec<Sent>,
    used: usize,
}

impl SentTable {
    /// A request gets the slot of its first attempt, and keeps it for those that may follow.
    #[inline]
    pub fn enter(&mut self, first: AttemptId, request: &Request) {
        match self.slots.get_mut(slot_of(first) as usize) {
            Some(slot) if slot.key != 0 => slot.request = *request,
            _ => self.grow(slot_of(first), request),
        }
    }

    #[cold]
    fn grow(&mut self, slot: u32, request: &Request) {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Sent::none(request));
        }
        self.slots[index] = Sent::none(request);
        self.used += 1;
    }

    /// An attempt of the request in its slot is sent at `at`.
    #[inline]
    pub fn send(&mut self, id: AttemptId, number: u16, at: Time) -> &Request {
        let slot = &mut self.slots[slot_of(id) as usize];
        slot.send(id.data().as_ffi(), number, at);
        &slot.request
    }

    /// The attempt, if it is still in its slot.
    #[inline]
    pub fn get(&self, id: AttemptId) -> Option<&Sent> {
        self.slots.get(slot_of(id) as usize).filter(|sent| sent.key == id.data().as_ffi())
    }

    /// The same, to change it.
    #[inline]
    pub fn get_mut(&mut self, id: AttemptId) -> Option<&mut Sent> {
        self.slots.get_mut(slot_of(id) as usize).filter(|sent| sent.key == id.data().as_ffi())
    }

    /// How many slots have ever been used: the most attempts at once.
    #[inline]
    pub const fn len(&self) -> usize {
        self.used
    }

    /// The attempts that are still inside the system.
    pub fn open(&self) -> impl Iterator<Item = &Sent> {
        self.slots.iter().filter(|sent| sent.open)
    }
}

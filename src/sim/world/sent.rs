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
    /// The driver's own copy: at one instant the client may have left before the gateway's call is on its way.
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
    /// An attempt is sent at `at`.
    #[inline]
    pub fn insert(&mut self, id: AttemptId, request: &Request, number: u16, at: Time) {
        let (key, request) = (id.data().as_ffi(), *request);
        let sent = Sent { key, request, number, calls: 0, at, began: None, waited: false, open: true, output_tokens: 0 };
        match self.slots.get_mut(slot_of(id) as usize) {
            Some(slot) if slot.key != 0 => *slot = sent,
            _ => self.insert_new(slot_of(id), sent),
        }
    }

    #[cold]
    fn insert_new(&mut self, slot: u32, sent: Sent) {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Sent { key: 0, open: false, ..sent });
        }
        self.slots[index] = sent;
        self.used += 1;
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

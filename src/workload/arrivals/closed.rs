//! A closed loop: a fixed number of clients, each with at most one request under way.
//!
//! Client `c` of `n` sends requests `c`, `n + c`, `2 n + c`, ...: which request is whose, and how long its client thinks
//! before it, is the same under every policy; only when it is sent depends on the one before.

use super::Arrival;
use crate::heap::IndexedHeap;
use crate::time::{Span, Time};

/// The clients of a closed loop.
#[derive(Debug)]
pub struct ClosedLoop {
    clients: u64,
    end: Time,
    /// Those who think, by when they send.
    thinking: IndexedHeap,
    /// The request that each client sends next.
    next: Vec<u64>,
}

impl ClosedLoop {
    /// All `clients`, each before its first request; [`ClosedLoop::think`] starts them.
    #[must_use]
    pub fn new(clients: u32, end: Span) -> Self {
        let next = (0..u64::from(clients)).collect();
        Self { clients: u64::from(clients), end: Time::ZERO + end, thinking: IndexedHeap::new(), next }
    }

    /// The number of the request after `number`, by the same client.
    #[must_use]
    pub const fn after(&self, number: u64) -> u64 {
        number + self.clients
    }

    /// The client sends request `number` when it has thought for `think`; never, where that is not before the end.
    pub fn think(&mut self, now: Time, number: u64, think: Span) {
        let at = now + think;
        if at < self.end {
            let client = number % self.clients;
            self.next[usize::try_from(client).expect("clients are a u32")] = number;
            let slot = u32::try_from(client).expect("clients are a u32");
            self.thinking.set(slot, u128::from(at.as_nanos()) << 64 | u128::from(client));
        }
    }

    /// The next arrival, if any client thinks.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the high half is the time
    pub fn peek(&self) -> Option<Arrival> {
        let (key, client) = self.thinking.first()?;
        Some(Arrival { at: Time::from_nanos((key >> 64) as u64), number: self.next[client as usize] })
    }

    /// Takes the next arrival.
    pub fn next(&mut self) -> Option<Arrival> {
        let arrival = self.peek()?;
        self.thinking.pop();
        Some(arrival)
    }
}

//! The one place where attempts wait: order, removal from the middle, and who is next.
//!
//! One doubly linked list for each priority, threaded through the attempts' own slots, oldest first: putting in, taking out
//! anywhere, and finding the next are O(1). The order is read off at the exit (`fifo` the oldest, `lifo` the newest,
//! `adaptive_lifo` the newest while the oldest has waited longer than its share), so that new settings move nobody.

use super::attempts::{Attempts, Link, NIL};
use super::settings::Queue;
use super::{Mode, Order};
use crate::time::Time;

/// Priorities that an attempt can have.
const LISTS: usize = 256;

#[derive(Copy, Clone, Debug)]
struct List {
    oldest: u32,
    newest: u32,
    len: u32,
}

const EMPTY: List = List { oldest: NIL, newest: NIL, len: 0 };

/// Who waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    lists: Vec<List>,
    /// One bit for each list that is not empty.
    occupied: [u64; LISTS / 64],
    len: u32,
    sequence: u64,
    order: Order,
    share: f64,
    by_priority: bool,
}

impl Waiting {
    /// Nobody; without a queue's settings, or where it only observes, first come first served.
    pub fn new(settings: Option<&Queue>) -> Self {
        let mut waiting = Self {
            lists: vec![EMPTY; LISTS],
            occupied: [0; LISTS / 64],
            len: 0,
            sequence: 0,
            order: Order::Fifo,
            share: 1.0,
            by_priority: false,
        };
        waiting.set_order(settings);
        waiting
    }

    /// A new order, for those who wait too.
    pub fn reconfigure(&mut self, attempts: &mut Attempts, settings: Option<&Queue>) {
        let before = self.by_priority;
        self.set_order(settings);
        if self.by_priority != before {
            self.relist(attempts);
        }
    }

    /// Puts the attempt in slot `index` in, as the newest.
    pub fn push(&mut self, attempts: &mut Attempts, index: u32) {
        self.sequence += 1;
        attempts[index].link.sequence = self.sequence;
        self.append(attempts, index);
    }

    /// Takes the attempt in slot `index` out, wherever it stands.
    pub fn unlink(&mut self, attempts: &mut Attempts, index: u32) {
        let Link { older, newer, list, .. } = std::mem::replace(&mut attempts[index].link, Link::NONE);
        let lane = &mut self.lists[usize::from(list)];
        match older {
            NIL => lane.oldest = newer,
            _ => attempts[older].link.newer = newer,
        }
        match newer {
            NIL => lane.newest = older,
            _ => attempts[newer].link.older = older,
        }
        lane.len -= 1;
        self.len -= 1;
        if lane.len == 0 {
            self.occupied[usize::from(list) / 64] &= !(1 << (list % 64));
        }
    }

    /// The slot of who goes next at `now`.
    pub fn next(&self, attempts: &Attempts, now: Time) -> Option<u32> {
        let lane = &self.lists[self.highest()?];
        let newest_first = match self.order {
            Order::Fifo => false,
            Order::Lifo => true,
            Order::AdaptiveLifo => self.is_slow(attempts, lane.oldest, now),
        };
        Some(if newest_first { lane.newest } else { lane.oldest })
    }

    /// How many would go before an attempt of `priority` that came in now, if nobody came after it. With adaptive LIFO
    /// this is the number in FIFO order.
    pub fn ahead(&self, priority: u8) -> u32 {
        let own = usize::from(self.list_of(priority));
        let above = if self.by_priority { self.above(own) } else { 0 };
        if self.order == Order::Lifo { above } else { above + self.lists[own].len }
    }

    /// When the oldest of the most urgent who wait arrived.
    pub fn oldest(&self, attempts: &Attempts) -> Option<Time> {
        Some(attempts[self.lists[self.highest()?].oldest].arrived)
    }

    fn set_order(&mut self, settings: Option<&Queue>) {
        let settings = settings.filter(|s| s.mode == Mode::Enforce);
        self.order = settings.map_or(Order::Fifo, |s| s.order);
        self.share = settings.map_or(1.0, |s| s.adaptive_lifo_share.value());
        self.by_priority = settings.is_some_and(|s| s.by_priority);
    }

    fn is_slow(&self, attempts: &Attempts, oldest: u32, now: Time) -> bool {
        let entry = &attempts[oldest];
        let budget = entry.terms.budget(entry.arrived, entry.attempt.deadline);
        now - entry.arrived > budget.scaled(self.share)
    }

    fn list_of(&self, priority: u8) -> u8 {
        if self.by_priority { priority } else { 0 }
    }

    fn append(&mut self, attempts: &mut Attempts, index: u32) {
        let list = self.list_of(attempts[index].attempt.priority);
        let lane = &mut self.lists[usize::from(list)];
        let link = &mut attempts[index].link;
        (link.list, link.older, link.newer) = (list, lane.newest, NIL);
        match lane.newest {
            NIL => lane.oldest = index,
            newest => attempts[newest].link.newer = index,
        }
        lane.newest = index;
        lane.len += 1;
        self.len += 1;
        self.occupied[usize::from(list) / 64] |= 1 << (list % 64);
    }

    /// How many wait in the lists above this one: looks only at those that are not empty.
    fn above(&self, list: usize) -> u32 {
        let mut sum = 0;
        for word in list / 64..self.occupied.len() {
            let mut bits = self.occupied[word];
            if word == list / 64 {
                bits &= !(u64::MAX >> (63 - list % 64)); // only what is above
            }
            while bits != 0 {
                sum += self.lists[word * 64 + bits.trailing_zeros() as usize].len;
                bits &= bits - 1;
            }
        }
        sum
    }

    /// The list of the most urgent who wait.
    fn highest(&self) -> Option<usize> {
        let word = self.occupied.iter().rposition(|word| *word != 0)?;
        Some(word * 64 + 63 - self.occupied[word].leading_zeros() as usize)
    }

    /// Sorts everybody into the lists of the new kind, in the order in which they came.
    fn relist(&mut self, attempts: &mut Attempts) {
        let mut all = Vec::with_capacity(self.len as usize);
        while let Some(list) = self.highest() {
            let index = self.lists[list].oldest;
            all.push((attempts[index].link.sequence, index));
            self.unlink(attempts, index);
        }
        all.sort_unstable();
        for (sequence, index) in all {
            attempts[index].link.sequence = sequence;
            self.append(attempts, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::attempts::tests::{entry, id};
    use super::*;
    use crate::time::Span;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    fn ordered(order: Order, by_priority: bool) -> Queue {
        Queue { order, by_priority, ..Queue::default() }
    }

    /// Parks attempts with these priorities, one a second.
    fn parked(settings: &Queue, priorities: &[u8]) -> (Waiting, Attempts) {
        let (mut waiting, mut attempts) = (Waiting::new(Some(settings)), Attempts::default());
        for (slot, priority) in (1..).zip(priorities) {
            attempts.newness(id(slot, 1));
            attempts.insert(slot, entry(id(slot, 1), at(u64::from(slot))));
            attempts[slot].attempt.priority = *priority;
            attempts[slot].attempt.deadline = Some(at(u64::from(slot) + 10));
            waiting.push(&mut attempts, slot);
        }
        (waiting, attempts)
    }

    fn drain(waiting: &mut Waiting, attempts: &mut Attempts, now: Time) -> Vec<u32> {
        std::iter::from_fn(|| {
            let index = waiting.next(attempts, now)?;
            waiting.unlink(attempts, index);
            Some(index)
        })
        .collect()
    }

    #[test]
    fn orders() {
        for (order, by_priority, expected) in [
            (Order::Fifo, false, [1, 2, 3, 4]),
            (Order::Lifo, false, [4, 3, 2, 1]),
            (Order::Fifo, true, [2, 4, 1, 3]),
            (Order::Lifo, true, [4, 2, 3, 1]),
        ] {
            let (mut waiting, mut attempts) = parked(&ordered(order, by_priority), &[0, 200, 0, 200]);
            assert_eq!(drain(&mut waiting, &mut attempts, at(4)), expected, "{order:?} {by_priority}");
        }
    }

    /// Deadlines 10 s after arrival, share 0.5: newest first while the oldest has waited for more than 5 s.
    #[test]
    fn adaptive_lifo_turns_when_the_oldest_is_slow() {
        let (mut waiting, mut attempts) = parked(&ordered(Order::AdaptiveLifo, false), &[0; 4]);
        assert_eq!(waiting.next(&attempts, at(6)), Some(1));
        assert_eq!(waiting.next(&attempts, at(6) + Span::from_nanos(1)), Some(4));
        assert_eq!(drain(&mut waiting, &mut attempts, at(7)), [4, 3, 2, 1]);
    }

    #[test]
    fn those_ahead_depend_on_the_order() {
        let priorities = [0, 200, 0, 200, 7];
        for (order, by_priority, expected) in [
            (Order::Fifo, false, [5, 5, 5]),
            (Order::Lifo, false, [0, 0, 0]),
            (Order::Fifo, true, [5, 3, 2]),
            (Order::Lifo, true, [3, 2, 0]),
        ] {
            let (waiting, _) = parked(&ordered(order, by_priority), &priorities);
            assert_eq!([0, 7, 255].map(|p| waiting.ahead(p.min(200))), expected, "{order:?} {by_priority}");
        }
    }

    #[test]
    fn an_observed_queue_orders_nobody() {
        let settings = Queue { mode: Mode::Observe, ..ordered(Order::Lifo, true) };
        let (mut waiting, mut attempts) = parked(&settings, &[0, 9, 0]);
        assert_eq!(drain(&mut waiting, &mut attempts, at(4)), [1, 2, 3]);
    }

    proptest! {
        /// Against the plain model, a vector: whoever comes, leaves or is re-listed, the same one is next.
        #[test]
        fn agrees_with_a_sorted_vector(ops in prop::collection::vec((0u8..8, 0u8..3, 0usize..64), 1..200)) {
            let (mut waiting, mut attempts) = (Waiting::new(None), Attempts::default());
            let mut settings = ordered(Order::Fifo, false);
            waiting.reconfigure(&mut attempts, Some(&settings));
            let mut model: Vec<(u8, u32)> = Vec::new(); // in order of arrival
            for (slot, (op, priority, pick)) in (1..).zip(ops) {
                match op {
                    0..4 => {
                        attempts.newness(id(slot, 1));
                        attempts.insert(slot, entry(id(slot, 1), Time::ZERO));
                        attempts[slot].attempt.priority = priority * 100;
                        waiting.push(&mut attempts, slot);
                        model.push((priority, slot));
                    }
                    4..7 if !model.is_empty() => {
                        let (_, slot) = model.remove(pick % model.len());
                        waiting.unlink(&mut attempts, slot);
                    }
                    _ => {
                        settings.by_priority ^= pick % 2 == 0;
                        settings.order = if pick % 3 == 0 { Order::Lifo } else { Order::Fifo };
                        waiting.reconfigure(&mut attempts, Some(&settings));
                    }
                }
                let top = if settings.by_priority { model.iter().map(|m| m.0).max() } else { None };
                let mut lane = model.iter().filter(|m| top.is_none_or(|top| m.0 == top)).map(|m| m.1);
                let next = if settings.order == Order::Lifo { lane.next_back() } else { lane.next() };
                prop_assert_eq!(waiting.next(&attempts, Time::ZERO), next);
                prop_assert_eq!(waiting.len as usize, model.len());
                for mine in 0..3 {
                    let goes_before = |m: &&(u8, u32)| match (settings.by_priority && m.0 != mine, settings.order) {
                        (true, _) => m.0 > mine,
                        (false, order) => order == Order::Fifo,
                    };
                    prop_assert_eq!(waiting.ahead(mine * 100) as usize, model.iter().filter(goes_before).count());
                }
            }
        }
    }
}

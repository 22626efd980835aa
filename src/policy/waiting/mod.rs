//! The one place where attempts wait: order, removal from the middle, and who is next.
//!
//! One doubly linked list for each priority, or for each class with `weighted_fair`, threaded through the attempts' own
//! slots, oldest first: putting in and taking out anywhere are O(1), and so is finding the next, but for `weighted_fair`,
//! which looks at each class of which somebody waits. The order is read off at the exit (`fifo` the oldest, `lifo` the
//! newest, `adaptive_lifo` the newest while the oldest has waited longer than its share, `weighted_fair` the oldest of the
//! class whose turn it is: [`fair`]), so that new settings move nobody.

mod fair;

use serde::{Deserialize, Serialize};

use self::fair::Fair;
use super::attempts::Attempts;
use super::line::Line;
use super::settings::Queue;
use super::{Attempt, Mode, Order};
use crate::time::Time;

/// Priorities that an attempt can have. Classes from the last of these numbers on share a list.
const LISTS: usize = 256;

/// Those of one list, and what they may use.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct List {
    line: Line,
    /// Estimated tokens, input and `max_tokens`.
    tokens: u64,
}

/// What the lists are for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Sorted {
    /// Everybody stands in one.
    Together,
    /// The most urgent first.
    ByPriority,
    /// Classes take turns.
    ByClass,
}

/// Who waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    lists: Vec<List>,
    /// One bit for each list that is not empty.
    occupied: [u64; LISTS / 64],
    len: u32,
    sequence: u64,
    order: Order,
    share: f64,
    sorted: Sorted,
    fair: Fair,
}

impl Waiting {
    /// Nobody; without a queue's settings, or where it only observes, first come first served.
    pub fn new(settings: Option<&Queue>) -> Self {
        let mut waiting = Self {
            lists: vec![List::default(); LISTS],
            occupied: [0; LISTS / 64],
            len: 0,
            sequence: 0,
            order: Order::Fifo,
            share: 1.0,
            sorted: Sorted::Together,
            fair: Fair::default(),
        };
        waiting.set_order(settings);
        waiting
    }

    /// A new order, for those who wait too.
    pub fn reconfigure(&mut self, attempts: &mut Attempts, settings: Option<&Queue>) {
        let before = self.sorted;
        self.set_order(settings);
        if self.sorted != before {
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
        let entry = &attempts[index];
        let (place, tokens) = (usize::from(entry.link.list), tokens(&entry.attempt));
        let list = &mut self.lists[place];
        list.line.unlink(attempts, index);
        list.tokens -= tokens;
        self.len -= 1;
        if list.line.len() == 0 {
            self.occupied[place / 64] &= !(1 << (place % 64));
        }
    }

    /// How many wait.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// The slot of who goes next at `now`.
    pub fn next(&self, attempts: &Attempts, now: Time) -> Option<u32> {
        if self.len == 0 {
            return None; // nearly always
        }
        let line = &self.lists[self.turn(attempts)?].line;
        let oldest = line.first()?;
        let newest_first = match self.order {
            Order::Fifo | Order::WeightedFair => false,
            Order::Lifo => true,
            Order::AdaptiveLifo => self.is_slow(attempts, oldest, now),
        };
        if newest_first { line.last() } else { Some(oldest) }
    }

    /// A light attempt starts, whether or not it has waited: what it may use counts for its class.
    #[inline]
    pub fn started(&mut self, attempt: &Attempt) {
        if self.sorted == Sorted::ByClass {
            self.fair.serve(usize::from(self.list_of(attempt)), tokens(attempt));
        }
    }

    /// How many would go before `attempt` if it came in now and nobody came after it. With adaptive LIFO this is the number
    /// in FIFO order. With `weighted_fair` every class is taken to send attempts of its waiting ones' mean size.
    pub fn ahead(&self, attempt: &Attempt) -> u32 {
        let own = usize::from(self.list_of(attempt));
        match (self.sorted, self.order) {
            (Sorted::ByClass, _) => self.before_in_turn(own),
            (Sorted::ByPriority, Order::Lifo) => self.above(own),
            (Sorted::ByPriority, _) => self.above(own) + self.lists[own].line.len(),
            (Sorted::Together, Order::Lifo) => 0,
            (Sorted::Together, _) => self.len,
        }
    }

    /// When the oldest who waits arrived; with priorities, the oldest of the most urgent.
    #[inline]
    pub fn oldest(&self, attempts: &Attempts) -> Option<Time> {
        if self.len == 0 { None } else { self.oldest_of_some(attempts) } // nearly always nobody
    }

    fn oldest_of_some(&self, attempts: &Attempts) -> Option<Time> {
        let list = match self.sorted {
            Sorted::Together | Sorted::ByPriority => self.highest()?,
            Sorted::ByClass => self.occupied().min_by_key(|list| self.came(attempts, *list))?,
        };
        Some(attempts[self.head(list)].arrived)
    }

    fn set_order(&mut self, settings: Option<&Queue>) {
        let settings = settings.filter(|s| s.mode == Mode::Enforce);
        self.order = settings.map_or(Order::Fifo, |s| s.order);
        self.share = settings.map_or(1.0, |s| s.adaptive_lifo_share.value());
        self.sorted = match settings {
            Some(s) if s.order == Order::WeightedFair => Sorted::ByClass,
            Some(s) if s.by_priority => Sorted::ByPriority,
            _ => Sorted::Together,
        };
        if let Some(settings) = settings.filter(|_| self.sorted == Sorted::ByClass) {
            self.fair.set_weights(&settings.weights, LISTS);
        }
    }

    fn is_slow(&self, attempts: &Attempts, oldest: u32, now: Time) -> bool {
        let entry = &attempts[oldest];
        let budget = entry.terms.budget(entry.arrived, entry.attempt.deadline);
        now - entry.arrived > budget.scaled(self.share)
    }

    fn list_of(&self, attempt: &Attempt) -> u8 {
        match self.sorted {
            Sorted::Together => 0,
            Sorted::ByPriority => attempt.priority,
            Sorted::ByClass => u8::try_from(attempt.class.index()).unwrap_or(u8::MAX),
        }
    }

    /// The list from which the next one comes.
    fn turn(&self, attempts: &Attempts) -> Option<usize> {
        if self.sorted != Sorted::ByClass {
            return self.highest();
        }
        self.occupied().min_by_key(|list| (self.fair.tag(*list), self.came(attempts, *list)))
    }

    /// When the oldest of a list came, among all.
    fn came(&self, attempts: &Attempts, list: usize) -> u64 {
        attempts[self.head(list)].link.sequence
    }

    fn head(&self, list: usize) -> u32 {
        self.lists[list].line.first().expect("only lists that are not empty are looked at")
    }

    /// Those who would have their turn before one more of the class of list `own`.
    fn before_in_turn(&self, own: usize) -> u32 {
        let turn = self.fair.tag_after(own, self.lists[own].tokens);
        let others = self.occupied().filter(|list| *list != own);
        others.fold(self.lists[own].line.len(), |sum, list| {
            let List { line, tokens } = &self.lists[list];
            sum + self.fair.turns_until(turn, list, line.len(), *tokens)
        })
    }

    fn append(&mut self, attempts: &mut Attempts, index: u32) {
        let (place, tokens) = (self.list_of(&attempts[index].attempt), tokens(&attempts[index].attempt));
        attempts[index].link.list = place;
        let list = &mut self.lists[usize::from(place)];
        list.line.push(attempts, index);
        list.tokens += tokens;
        self.len += 1;
        self.occupied[usize::from(place) / 64] |= 1 << (place % 64);
    }

    /// How many wait in the lists above this one.
    fn above(&self, list: usize) -> u32 {
        self.occupied().filter(|above| *above > list).map(|above| self.lists[above].line.len()).sum()
    }

    /// The lists in which somebody waits, from the first on.
    fn occupied(&self) -> impl Iterator<Item = usize> + '_ {
        self.occupied.iter().enumerate().flat_map(|(word, bits)| Bits(*bits).map(move |bit| word * 64 + bit))
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
            let index = self.head(list);
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

/// The bits that are set in a word, from the lowest on.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros() as usize;
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            bit
        })
    }
}

/// What an attempt may use: estimated input and `max_tokens`. Not nothing: a turn must pass on.
fn tokens(attempt: &Attempt) -> u64 {
    (u64::from(attempt.input_estimate) + u64::from(attempt.max_tokens)).max(1)
}

#[cfg(test)]
mod fair_tests;
#[cfg(test)]
mod tests;

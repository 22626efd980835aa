//! Tests of weighted fair queueing: against the paper's own tags, its bound, and what it does to those who leave.

use proptest::prelude::*;

use super::super::attempts::tests::{entry, id};
use super::*;
use crate::request::ClassId;
use crate::units::Positive;

const CLASSES: usize = 3;

fn weighted(weights: &[f64]) -> Queue {
    let weights = weights.iter().map(|weight| Positive::new(*weight).expect("above 0")).collect();
    Queue { order: Order::WeightedFair, weights, ..Queue::default() }
}

/// A queue with the attempts in it, each in a slot of its own.
struct Hall {
    waiting: Waiting,
    attempts: Attempts,
    last: u32,
}

impl Hall {
    fn new(settings: &Queue) -> Self {
        Self { waiting: Waiting::new(Some(settings)), attempts: Attempts::default(), last: 0 }
    }

    fn arrive(&mut self, class: usize, tokens: u32) -> u32 {
        self.last += 1;
        let slot = self.last;
        self.attempts.newness(id(slot, 1));
        self.attempts.insert(slot, entry(id(slot, 1), Time::ZERO));
        self.attempts[slot].attempt = arriving(class, tokens);
        self.waiting.push(&mut self.attempts, slot);
        slot
    }

    fn leave(&mut self, slot: u32) {
        self.waiting.unlink(&mut self.attempts, slot);
    }

    /// The next one starts.
    fn start(&mut self) -> Option<u32> {
        let slot = self.waiting.next(&self.attempts, Time::ZERO)?;
        self.leave(slot);
        self.waiting.started(&self.attempts[slot].attempt);
        Some(slot)
    }

    fn class_and_tokens(&self, slot: u32) -> (usize, u32) {
        let Attempt { class, max_tokens, .. } = self.attempts[slot].attempt;
        (class.index(), max_tokens)
    }
}

fn arriving(class: usize, tokens: u32) -> Attempt {
    let class = ClassId(u16::try_from(class).expect("few"));
    Attempt { class, input_estimate: 0, max_tokens: tokens, ..Attempt::new(id(1, 1), 50, 50) }
}

/// Weights 3 and 1, attempts of 100 tokens: of the second class one starts for three of the first. By hand: tags 0, 33, 67,
/// 100, ... and 0, 100, ...; at 0 and at 100 the older head goes first.
#[test]
fn tokens_are_as_the_weights() {
    let mut hall = Hall::new(&weighted(&[3.0, 1.0]));
    for _ in 0..6 {
        hall.arrive(1, 100);
        hall.arrive(0, 100);
    }
    let order: Vec<usize> = std::iter::from_fn(|| hall.start().map(|slot| hall.class_and_tokens(slot).0)).collect();
    assert_eq!(order[..8], [1, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(order[8..], [1, 1, 1, 1], "and whoever is alone has all");
}

/// A class that has sent nothing for long gets its share from now on, and not what it did not use.
#[test]
fn an_idle_class_saves_nothing_up() {
    let mut hall = Hall::new(&weighted(&[]));
    for _ in 0..20 {
        hall.arrive(0, 100);
    }
    for _ in 0..10 {
        hall.start();
    }
    for _ in 0..10 {
        hall.arrive(1, 100);
    }
    let order: Vec<usize> = (0..6).filter_map(|_| hall.start().map(|slot| hall.class_and_tokens(slot).0)).collect();
    assert_eq!(order, [1, 0, 1, 0, 1, 0]);
}

/// An attempt that leaves without having started costs its class nothing.
#[test]
fn those_who_leave_are_not_counted() {
    let mut hall = Hall::new(&weighted(&[]));
    let large = hall.arrive(0, 1_000_000);
    hall.arrive(0, 10);
    hall.arrive(1, 500);
    hall.arrive(1, 500);
    hall.leave(large);
    let order: Vec<u32> = std::iter::from_fn(|| hall.start()).collect();
    assert_eq!(order, [2, 3, 4]);
}

/// A class that has had 1,000 tokens at weight 0.01 owes 1,000 tokens at weight 100 too, which is little virtual time.
#[test]
fn new_weights_keep_what_is_owed_in_tokens() {
    let mut hall = Hall::new(&weighted(&[0.01, 1.0]));
    for _ in 0..4 {
        hall.arrive(0, 1_000);
        hall.arrive(1, 1_000);
    }
    assert_eq!([hall.start(), hall.start()], [Some(1), Some(2)]);
    hall.waiting.reconfigure(&mut hall.attempts, Some(&weighted(&[100.0, 1.0])));
    let order: Vec<usize> = (0..3).filter_map(|_| hall.start().map(|slot| hall.class_and_tokens(slot).0)).collect();
    assert_eq!(order, [0, 0, 0], "10 of virtual time each, against 1,000");
}

/// Classes beyond the last list share it, in order of arrival.
#[test]
fn very_many_classes_share_a_turn() {
    let mut hall = Hall::new(&weighted(&[]));
    for class in [255, 256, 60_000, 254] {
        hall.arrive(class, 100);
    }
    let order: Vec<u32> = std::iter::from_fn(|| hall.start()).collect();
    assert_eq!(order, [1, 4, 2, 3]);
}

fn weights() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop::sample::select(vec![0.25, 0.5, 1.0, 2.0, 8.0]), 0..=CLASSES)
}

/// The weight of a class.
fn weight(weights: &[f64], class: usize) -> f64 {
    weights.get(class).copied().unwrap_or(1.0)
}

proptest! {
    /// Without anybody leaving: the order of the paper, whose tags are given to attempts as they come in.
    #[test]
    fn agrees_with_tags_given_on_arrival(
        weights in weights(),
        ops in prop::collection::vec((any::<bool>(), 0..CLASSES, 1u32..5_000), 1..300),
    ) {
        let mut hall = Hall::new(&weighted(&weights));
        let (mut now, mut finish, mut model) = (0.0f64, [0.0f64; CLASSES], Vec::<(f64, u32)>::new());
        for (arrives, class, tokens) in ops {
            if arrives {
                // Weights are powers of two and tokens few: the floating tags are exact.
                let start = now.max(finish[class]);
                finish[class] = start + f64::from(tokens) / weight(&weights, class);
                model.push((start, hall.arrive(class, tokens)));
            } else {
                let first = (0..model.len()).min_by(|a, b| model[*a].0.total_cmp(&model[*b].0)); // the oldest of equal ones
                let started = first.map(|at| model.remove(at));
                prop_assert_eq!(hall.start(), started.map(|(_, slot)| slot));
                now = started.map_or(now, |(start, _)| start);
            }
        }
    }

    /// The bound: while somebody of both classes waits, tokens over weights differ by at most one largest attempt of each,
    /// over any part of that time, whoever else waits, comes and leaves. And a class is served in order of arrival.
    #[test]
    fn shares_differ_by_one_attempt_of_each_class_at_most(
        weights in weights(),
        ops in prop::collection::vec((0u8..10, 0..CLASSES, 1u32..5_000, 0usize..64), 100..600),
    ) {
        let mut hall = Hall::new(&weighted(&weights));
        let mut queues = vec![Vec::<u32>::new(); CLASSES];
        // Difference of the shares of each pair since both wait: now, least and most.
        let mut apart = [[(0.0f64, 0.0f64, 0.0f64); CLASSES]; CLASSES];
        for (op, class, tokens, pick) in ops {
            match op {
                0..5 => queues[class].push(hall.arrive(class, tokens)),
                5 if !queues[class].is_empty() => {
                    let at = pick % queues[class].len();
                    hall.leave(queues[class].remove(at));
                }
                _ => {
                    let Some(slot) = hall.start() else { continue };
                    let (class, tokens) = hall.class_and_tokens(slot);
                    prop_assert_eq!(queues[class][0], slot, "oldest first in a class");
                    for other in (0..CLASSES).filter(|other| *other != class && !queues[*other].is_empty()) {
                        let share = f64::from(tokens) / weight(&weights, class);
                        let (f, g) = (class.min(other), class.max(other));
                        let (difference, least, most) = &mut apart[f][g];
                        *difference += if class == f { share } else { -share };
                        (*least, *most) = (least.min(*difference), most.max(*difference));
                        let bound = 4_999.0 / weight(&weights, f) + 4_999.0 / weight(&weights, g);
                        prop_assert!(*most - *least <= bound, "classes {f} and {g}: {least} to {most} against {bound}");
                    }
                    queues[class].remove(0);
                }
            }
            for (f, row) in apart.iter_mut().enumerate() {
                for (g, pair) in row.iter_mut().enumerate() {
                    if queues[f].is_empty() || queues[g].is_empty() {
                        *pair = (0.0, 0.0, 0.0);
                    }
                }
            }
        }
    }

    /// With attempts of one size in each class, those said to be ahead are those who do start before.
    #[test]
    fn those_ahead_go_first(
        weights in weights(),
        sizes in prop::array::uniform3(1u32..5_000),
        before in prop::collection::vec((any::<bool>(), 0..CLASSES), 0..60),
        class in 0..CLASSES,
    ) {
        let mut hall = Hall::new(&weighted(&weights));
        for (arrives, class) in before {
            if arrives {
                hall.arrive(class, sizes[class]);
            } else {
                hall.start();
            }
        }
        let ahead = hall.waiting.ahead(&arriving(class, sizes[class]));
        let mine = hall.arrive(class, sizes[class]);
        let first = std::iter::from_fn(|| hall.start()).take_while(|slot| *slot != mine).count();
        prop_assert_eq!(ahead as usize, first);
    }

    /// Whatever orders and weights come and go, everybody who waits goes on waiting, and each once.
    #[test]
    fn new_settings_keep_everybody(
        ops in prop::collection::vec((0u8..6, 0..CLASSES, 1u32..5_000, any::<bool>(), weights()), 1..200),
    ) {
        let mut hall = Hall::new(&weighted(&[]));
        let mut inside = std::collections::BTreeSet::new();
        for (op, class, tokens, fair, weights) in ops {
            match op {
                0..3 => {
                    inside.insert(hall.arrive(class, tokens));
                }
                3 => {
                    let started = hall.start();
                    prop_assert_eq!(started.is_some(), !inside.is_empty());
                    prop_assert!(started.is_none_or(|slot| inside.remove(&slot)));
                }
                _ => {
                    let other = Queue { by_priority: class == 0, ..Queue::default() };
                    let settings = if fair { weighted(&weights) } else { other };
                    hall.waiting.reconfigure(&mut hall.attempts, Some(&settings));
                }
            }
            let tokens: u64 = inside.iter().map(|slot| u64::from(hall.class_and_tokens(*slot).1)).sum();
            prop_assert_eq!(hall.waiting.lists.iter().map(|list| list.tokens).sum::<u64>(), tokens);
            prop_assert_eq!(hall.waiting.len as usize, inside.len());
        }
        while let Some(slot) = hall.start() {
            prop_assert!(inside.remove(&slot));
        }
        prop_assert!(inside.is_empty());
    }
}

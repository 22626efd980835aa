//! Tests of the queue's orders.

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
        let ahead = |priority: u8| waiting.ahead(&Attempt { priority: priority.min(200), ..Attempt::new(id(99, 1), 50, 50) });
        assert_eq!([0, 7, 255].map(ahead), expected, "{order:?} {by_priority}");
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
                let arriving = Attempt { priority: mine * 100, ..Attempt::new(id(999, 1), 50, 50) };
                prop_assert_eq!(waiting.ahead(&arriving) as usize, model.iter().filter(goes_before).count());
            }
        }
    }
}

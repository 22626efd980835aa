//! Each kind by hand, against a brute-force model, and for a million random steps.

use proptest::prelude::*;

use super::*;

const BUDGET: u64 = 25_500;
const BURST: u64 = 4_250;
const KINDS: [Window; 4] = [Window::LazyFixed, Window::Calendar, Window::SlidingLog, Window::Gcra];

fn windows(window: Window) -> Windows {
    Windows::new(Time::ZERO, window, BUDGET, BURST)
}

fn ms(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

fn remaining(windows: &mut Windows, now: Time) -> i64 {
    windows.refresh(now);
    windows.remaining()
}

#[test]
fn a_lazy_window_starts_anew_strictly_after_a_minute_at_the_first_look() {
    let mut lazy = windows(Window::LazyFixed);
    lazy.take(ms(1_000), 25_000);
    assert_eq!(remaining(&mut lazy, ms(60_000)), 500);
    assert_eq!(lazy.next(ms(60_000)), ms(60_000) + Span::from_nanos(1));
    assert_eq!(remaining(&mut lazy, ms(75_000)), 25_500, "75 s is the new start");
    lazy.take(ms(75_000), 25_000);
    assert_eq!(remaining(&mut lazy, ms(135_000)), 500);
    assert_eq!(lazy.next(ms(136_000)), ms(136_000), "its end has passed unseen");
    assert_eq!(remaining(&mut lazy, ms(135_001)), 25_500);
}

#[test]
fn a_calendar_window_starts_anew_at_each_full_minute() {
    let mut calendar = windows(Window::Calendar);
    calendar.take(ms(59_999), 25_000);
    assert_eq!((calendar.next(ms(59_999)), calendar.remaining()), (ms(60_000), 500));
    assert_eq!(remaining(&mut calendar, ms(60_000)), 25_500);
    assert_eq!(remaining(&mut calendar, ms(215_000)), 25_500);
    assert_eq!(calendar.next(ms(215_000)), ms(240_000), "on the minute, not a minute after the look");
}

/// The best known flaw of a fixed window, which the lints tell: 51,000 tokens within 20 ms.
#[test]
fn a_correct_fixed_window_lets_twice_its_budget_through_around_its_end() {
    let mut calendar = windows(Window::Calendar);
    calendar.take(ms(59_990), 25_500);
    assert_eq!(remaining(&mut calendar, ms(60_010)), 25_500);
}

#[test]
fn the_end_of_a_call_starts_no_lazy_window() {
    let mut lazy = windows(Window::LazyFixed);
    let ticket = lazy.take(ms(0), 20_000);
    lazy.give_back(ms(70_000), &ticket, 15_000);
    assert_eq!(lazy.remaining(), 5_500, "its window is over, though nobody has looked");
    assert_eq!(remaining(&mut lazy, ms(80_000)), 25_500);
    assert_eq!(lazy.next(ms(80_000)), ms(140_000) + Span::from_nanos(1));
}

#[test]
fn a_sliding_log_gives_back_each_taking_a_minute_later() {
    let mut log = windows(Window::SlidingLog);
    let first = log.take(ms(0), 10_000);
    let second = log.take(ms(30_000), 10_000);
    assert_eq!((log.next(ms(30_000)), log.when(5_501), log.when(15_501)), (ms(60_000), ms(60_000), ms(90_000)));
    log.give_back(ms(40_000), &second, 4_000);
    assert_eq!(log.remaining(), 9_500);
    assert_eq!(remaining(&mut log, ms(60_000)), 19_500);
    log.give_back(ms(60_000), &first, 4_000);
    assert_eq!(log.remaining(), 19_500, "the first is over");
    log.give_back(ms(89_999), &second, -1_000);
    assert_eq!(log.remaining(), 18_500);
    assert_eq!(remaining(&mut log, ms(90_000)), 25_500);
    assert_eq!(log.next(ms(90_000)), ms(90_000));
}

/// The ring's places.
fn capacity() -> i64 {
    i64::try_from(sliding::CAPACITY).expect("small")
}

/// Ten times as many takings in a minute as the ring has places: each comes back at most [`sliding::MERGE_WITHIN`] late.
#[test]
fn a_full_log_is_late_by_little_and_never_early() {
    let gap = Span::from_nanos(MINUTE.as_nanos() / (10 * sliding::CAPACITY as u64));
    let late = (sliding::MERGE_WITHIN.as_nanos() / gap.as_nanos()).cast_signed() + 1;
    let mut log = Windows::new(Time::ZERO, Window::SlidingLog, 1 << 30, 1);
    let mut now = Time::ZERO;
    for n in 1..=25 * capacity() {
        now += gap;
        log.take(now, 1);
        let inside = n.min(10 * capacity() + 1); // in the latest 60 s, rounded up
        let counted = (1 << 30) - log.remaining();
        assert!((inside - 1..=inside + late).contains(&counted), "{counted} of {inside}");
    }
    assert_eq!(remaining(&mut log, now + MINUTE), 1 << 30);
}

#[test]
fn merged_takings_are_still_found() {
    let mut log = Windows::new(Time::ZERO, Window::SlidingLog, 1 << 30, 1);
    let at = |n: usize| Time::from_nanos(n as u64 * 1_000_000);
    let tickets: Vec<_> = (0..20_000).map(|n| log.take(at(n), 3)).collect();
    let end = at(20_000);
    assert_eq!(log.remaining(), (1 << 30) - 60_000);
    for ticket in &tickets {
        log.give_back(end, ticket, 2);
    }
    assert_eq!(log.remaining(), (1 << 30) - 20_000);
}

/// governor 0.10.4, two a second and five a second, as published.
#[test]
fn gcra_as_governor_does_it() {
    let ask = |gcra: &mut Windows, millis, tokens| {
        let fits = tokens <= remaining(gcra, ms(millis));
        if fits {
            gcra.take(ms(millis), tokens);
        }
        fits
    };
    let mut two = Windows::new(Time::ZERO, Window::Gcra, 120, 2);
    for (millis, expected) in [(0, true), (1, true), (2, false), (1_002, true), (1_003, true), (1_004, false)] {
        assert_eq!(ask(&mut two, millis, 1), expected, "{millis} ms");
    }
    let mut five = Windows::new(Time::ZERO, Window::Gcra, 300, 5);
    assert_eq!(five.capacity(), 5);
    for (millis, expected) in [(0, 5), (2_000, 5), (2_200, 1)] {
        assert_eq!((0..9).filter(|_| ask(&mut five, millis, 1)).count(), expected, "{millis} ms");
    }
}

#[test]
fn gcra_says_to_the_nanosecond_when_a_token_is_back() {
    let mut gcra = Windows::new(Time::ZERO, Window::Gcra, 7, 3);
    gcra.take(Time::ZERO, 3);
    for tokens in 1..=3 {
        let when = gcra.when(tokens);
        let mut early = gcra.clone();
        assert_eq!(remaining(&mut early, Time::from_nanos(when.as_nanos() - 1)), tokens - 1);
        assert_eq!(remaining(&mut early, when), tokens);
    }
    assert_eq!(gcra.next(Time::ZERO), gcra.when(1));
}

/// 425 tokens run out in a second.
#[test]
fn gcra_gives_back_no_more_than_the_bucket_still_remembers() {
    for (after_ms, expected) in [(1_000, 4_250 - 575), (5_000, 4_250), (9_000, 4_250), (61_000, 4_250)] {
        let mut gcra = windows(Window::Gcra);
        let ticket = gcra.take(ms(0), 4_000);
        gcra.give_back(ms(after_ms), &ticket, 3_000);
        assert_eq!(remaining(&mut gcra, ms(after_ms)), expected, "{after_ms} ms");
    }
    let mut gcra = windows(Window::Gcra);
    let first = gcra.take(ms(0), 4_000);
    gcra.take(ms(10_000), 4_000); // the bucket had run empty
    gcra.give_back(ms(10_000), &first, 3_000);
    assert_eq!(gcra.remaining(), 250);
    gcra.give_back(ms(10_000), &first, -1_000);
    assert_eq!(gcra.remaining(), -750, "an overrun is charged whole");
}

#[test]
fn new_budgets_keep_what_is_taken_and_new_kinds_do_not() {
    for window in KINDS {
        let mut windows = windows(window);
        let ticket = windows.take(ms(0), 1_000);
        windows.reconfigure(ms(0), window, 30_000, 5_000);
        let whole = windows.capacity().cast_signed();
        assert_eq!(windows.remaining(), whole - 1_000, "{window:?}");
        windows.give_back(ms(0), &ticket, 400);
        assert_eq!(windows.remaining(), whole - 600, "{window:?}");
        for other in KINDS.into_iter().filter(|other| *other != window) {
            let mut changed = windows.clone();
            changed.reconfigure(ms(0), other, 30_000, 5_000);
            changed.give_back(ms(0), &ticket, 400);
            assert_eq!(changed.remaining(), changed.capacity().cast_signed(), "{window:?} to {other:?}");
        }
    }
}

/// A step of a random history: time passes, then tokens are taken, or a taking turns out to have used so many.
#[derive(Copy, Clone, Debug)]
struct Step {
    wait_ms: u64,
    take: i64,
    settle: Option<(usize, i64)>,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let settle = prop::option::of((0..40usize, 0..6_000i64));
    let step = (0..25_000u64, 1..6_000i64, settle).prop_map(|(wait_ms, take, settle)| Step { wait_ms, take, settle });
    prop::collection::vec(step, 1..40)
}

/// What was taken, and as much of it as is known to be used.
struct Charge {
    at: Time,
    /// Its window's number, by the model.
    number: u32,
    tokens: i64,
    ticket: Option<Ticket>,
}

/// The level that GCRA would have if every charge had been known from the start.
fn level_by_hindsight(charges: &[Charge], now: Time) -> f64 {
    let rate = BUDGET as f64 / 60.0;
    let (mut level, mut as_of) = (0.0f64, Time::ZERO);
    for charge in charges {
        level = (level - rate * (charge.at - as_of).as_secs_f64()).max(0.0) + charge.tokens as f64;
        as_of = charge.at;
    }
    (level - rate * (now - as_of).as_secs_f64()).max(0.0)
}

proptest! {
    /// Fixed and sliding windows equal the model exactly. What is used stays below what was taken for GCRA, whose charges
    /// are bounded by hindsight: never more is left than if all had been known from the start.
    #[test]
    fn every_kind_agrees_with_a_list_of_all_charges(window in 0..4usize, steps in history()) {
        let window = KINDS[window];
        let mut windows = windows(window);
        let (mut now, mut start, mut number) = (Time::ZERO, Time::ZERO, 0);
        let mut charges: Vec<Charge> = Vec::new();
        for step in steps {
            now += Span::from_millis(step.wait_ms);
            if let Some((which, used)) = step.settle.filter(|(which, _)| *which < charges.len()) {
                let charge = &mut charges[which];
                if let Some(ticket) = charge.ticket.take() {
                    let used = if window == Window::Gcra { used.min(charge.tokens) } else { used };
                    windows.give_back(now, &ticket, charge.tokens - used);
                    charge.tokens = used;
                }
            }
            let left = remaining(&mut windows, now);
            let over = if window == Window::Calendar { now >= start + MINUTE } else { now > start + MINUTE };
            if over {
                number += 1;
                start = if window == Window::Calendar { ms(now.as_nanos() / 60_000_000_000 * 60_000) } else { now };
            }
            let inside = |charge: &&Charge| match window {
                Window::SlidingLog => charge.at + MINUTE > now,
                _ => charge.number == number,
            };
            let charged: i64 = charges.iter().filter(inside).map(|charge| charge.tokens).sum();
            if window == Window::Gcra {
                prop_assert!(left as f64 <= BURST as f64 - level_by_hindsight(&charges, now) + 1e-3);
            } else {
                prop_assert_eq!(left, BUDGET.cast_signed() - charged);
            }
            if step.take <= left {
                charges.push(Charge { at: now, number, tokens: step.take, ticket: Some(windows.take(now, step.take)) });
            }
        }
    }

    /// INV-9 for those who look before they take: no fixed window, and no 60 s with a sliding log, exceeds the budget; no
    /// 60 s with GCRA exceeds budget and burst.
    #[test]
    fn no_minute_gives_more_than_it_may(window in 0..4usize, steps in history()) {
        let window = KINDS[window];
        let mut windows = windows(window);
        let (mut now, mut taken) = (Time::ZERO, Vec::new());
        for step in steps {
            now += Span::from_millis(step.wait_ms / 10);
            let tokens = step.take.min(remaining(&mut windows, now));
            if tokens > 0 {
                windows.take(now, tokens);
                taken.push((now, tokens));
            }
        }
        let limit = match window {
            Window::SlidingLog => BUDGET,
            Window::Gcra => BUDGET + BURST,
            Window::LazyFixed | Window::Calendar => 2 * BUDGET, // around a boundary
        };
        for (from, _) in &taken {
            let inside = taken.iter().filter(|(at, _)| at >= from && *at < *from + MINUTE);
            prop_assert!(inside.map(|(_, tokens)| tokens).sum::<i64>() <= limit.cast_signed());
        }
    }
}

#[test]
fn a_million_random_steps_of_each_kind() {
    for window in KINDS {
        let (mut windows, mut now, mut state) = (windows(window), Time::ZERO, 1u64);
        let mut tickets = std::collections::VecDeque::new();
        for _ in 0..250_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let draw = (state >> 33).cast_signed();
            now += Span::from_nanos(state >> 40); // 8 ms on average
            match draw % 4 {
                0 if !tickets.is_empty() => {
                    let ticket = tickets.remove(usize::try_from(draw).map_or(0, |draw| draw % tickets.len())).expect("inside");
                    windows.give_back(now, &ticket, draw % 400 - 200);
                }
                1 => assert!(windows.next(now) >= now),
                2 => windows.refresh(now),
                _ => {
                    tickets.push_back(windows.take(now, draw % 300));
                    tickets.truncate(1_000);
                }
            }
        }
        let far = now + MINUTE * 100_000;
        assert_eq!(remaining(&mut windows, far), windows.capacity().cast_signed(), "{window:?}: all is back");
    }
}

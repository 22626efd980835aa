//! The seed's own examples, the rules one by one, and conservation.

use proptest::prelude::*;

use super::*;
use crate::policy::settings::{Excess, P90, Prior, Window};
use crate::request::Vantage;
use crate::units::{Count, Fraction, Positive};

/// Ungrounded, `NONE`: prior 1.1.
const LIGHT: usize = 3;
/// Grounded, `ALS_ONLY`: prior 2.5.
const HEAVY: usize = 4;
/// Grounded, `NONE`: prior 2.0.
const GROUNDED: usize = 7;

fn count(value: u32) -> Count {
    Count::new(value).expect("not 0")
}

fn settings(change: impl FnOnce(&mut settings::Limiter)) -> settings::Limiter {
    let mut settings = settings::Limiter { hold: HoldRule::WhileWaiting, ..settings::Limiter::default() };
    change(&mut settings);
    settings
}

fn limiter(change: impl FnOnce(&mut settings::Limiter)) -> Limiter {
    Limiter::new(Time::ZERO, Some(&settings(change)))
}

/// Ungrounded calls without a vantage policy, at so many times their estimate.
fn light_at(multiplier: f64) -> Vec<Prior> {
    let multiplier = Positive::new(multiplier).expect("above 0");
    vec![Prior { grounded: false, vantage_policy: Vantage::None, multiplier }]
}

const fn need(class: usize, input_estimate: u32, max_tokens: u32) -> Need {
    Need { class, input_estimate, max_tokens }
}

fn at(secs: u64) -> Time {
    Time::ZERO + Span::from_secs(secs)
}

/// Asks, and takes what is offered. The first look says what the closer one does.
fn call(limiter: &mut Limiter, now: Time, need: Need) -> Option<Reservation> {
    let (looks, whole) = (limiter.mode() == Mode::Enforce && !limiter.multipliers.forgets(), limiter.tokens(&need));
    let at_once = looks && limiter.fits_whole(now, whole);
    let offer = limiter.ask(now, &need);
    assert!(!looks || at_once == (offer == Offer::Fits { tokens: whole }), "{whole} tokens: {offer:?}");
    let (tokens, max_tokens) = match offer {
        Offer::Fits { tokens } => (tokens, need.max_tokens),
        Offer::Trim { tokens, max_tokens } => (tokens, max_tokens),
        Offer::Wait { .. } | Offer::Never { .. } => return None,
    };
    Some(limiter.take(now, &Need { max_tokens, ..need }, tokens))
}

#[test]
fn the_budget_is_the_limit_less_headroom() {
    let default = limiter(|_| {});
    assert_eq!((default.budget(), default.capacity(), default.remaining()), (25_500, 25_500, 25_500));
    let gcra = limiter(|s| s.window = Window::Gcra);
    assert_eq!((gcra.budget(), gcra.capacity()), (25_500, 4_250));
    let whole = limiter(|s| s.headroom = Fraction::new(1.0).expect("in range"));
    assert_eq!(whole.budget(), 0, "nothing is left, and nothing panics");
}

/// The seed's `test_reservation_trimming`: 3,000 left of a limit of 10,000, a grounded request of 6,000 tokens.
#[test]
fn a_call_is_trimmed_to_what_is_left() {
    let mut limiter = limiter(|s| s.tpm_limit = count(10_000));
    let _running = limiter.take(at(0), &need(LIGHT, 0, 5_000), 5_500);
    assert_eq!(limiter.remaining(), 3_000);
    // floor(3000 / 2.0 - 10) = 1490, and floor((10 + 1490) x 2.0) = 3000.
    let offer = limiter.ask(at(1), &need(GROUNDED, 10, 6_000));
    assert_eq!(offer, Offer::Trim { tokens: 3_000, max_tokens: 1_490 });
    assert_eq!(limiter.remaining(), 3_000, "asking takes nothing");
}

/// With 3,000 left and a multiplier of 1.1: floor(2727.27 - input) out of the rest, down to 500 and no further.
#[test]
fn trimming_stops_at_the_smallest_useful_answer() {
    let mut limiter = limiter(|_| {});
    let _running = limiter.take(at(0), &need(LIGHT, 0, 0), 22_500);
    let ask = |limiter: &mut Limiter, input| limiter.ask(at(1), &need(LIGHT, input, 6_000));
    assert_eq!(ask(&mut limiter, 1_000), Offer::Trim { tokens: 2_999, max_tokens: 1_727 });
    assert_eq!(ask(&mut limiter, 2_227), Offer::Trim { tokens: 2_999, max_tokens: 500 });
    let end = at(60) + Span::from_nanos(1);
    assert_eq!(ask(&mut limiter, 2_228), Offer::Wait { until: end });
    limiter.reconfigure(at(1), Some(&settings(|s| s.auto_trim = false)));
    assert_eq!(ask(&mut limiter, 1_000), Offer::Wait { until: end });
    assert_eq!(limiter.next_window(at(1)), end);
}

#[test]
fn a_reservation_that_equals_what_is_left_fits() {
    let mut limiter = limiter(|s| (s.priors, s.auto_trim) = (light_at(1.0), false));
    assert_eq!(limiter.ask(at(0), &need(LIGHT, 500, 25_000)), Offer::Fits { tokens: 25_500 });
    assert_eq!(limiter.ask(at(0), &need(LIGHT, 500, 25_001)), Offer::Never { tokens: 25_501, budget: 25_500 });
}

#[test]
fn more_than_a_whole_window_is_trimmed_or_refused_with_both_numbers() {
    let mut limiter = limiter(|_| {});
    // 2.5 x (1,000 + 20,000) = 52,500; a whole window has room for 25,500 / 2.5 - 1,000 = 9,200.
    let offer = limiter.ask(at(0), &need(HEAVY, 1_000, 20_000));
    assert_eq!(offer, Offer::Trim { tokens: 25_500, max_tokens: 9_200 });
    let _running = limiter.take(at(0), &need(LIGHT, 0, 0), 24_000);
    let wait = Offer::Wait { until: at(60) + Span::from_nanos(1) };
    assert_eq!(limiter.ask(at(0), &need(HEAVY, 1_000, 20_000)), wait, "a whole window will hold it, trimmed");
    assert_eq!(limiter.ask(at(0), &need(HEAVY, 9_700, 20_000)), wait, "with 500 tokens of answer, just");
    let never = Offer::Never { tokens: 74_252, budget: 25_500 };
    assert_eq!(limiter.ask(at(0), &need(HEAVY, 9_701, 20_000)), never);
    limiter.reconfigure(at(0), Some(&settings(|s| s.auto_trim = false)));
    assert_eq!(limiter.ask(at(0), &need(HEAVY, 1_000, 20_000)), Offer::Never { tokens: 52_500, budget: 25_500 });
}

/// 20 calls of 15,000 tokens, whose input leaves nothing to trim: one starts at once, and at the window's end the other 19
/// restore the budget 19 times.
#[test]
fn at_the_seeds_boundary_every_waiter_restores_the_budget_for_itself() {
    let big = need(LIGHT, 14_900, 100);
    let mut seed = limiter(|s| (s.priors, s.boundary, s.settle) = (light_at(1.0), Boundary::Seed, false));
    let mut held = vec![call(&mut seed, at(0), big).expect("a whole window")];
    let end = at(60) + Span::from_nanos(1);
    for _ in 1..20 {
        assert_eq!(seed.ask(at(0), &big), Offer::Wait { until: end });
    }
    for _ in 1..20 {
        seed.woken(end);
        let tokens = seed.tokens(&big);
        held.push(seed.take(end, &big, tokens));
    }
    let in_that_minute: u64 = held.iter().skip(1).map(Reservation::tokens).sum();
    assert_eq!((in_that_minute, seed.remaining(), seed.reservations()), (285_000, 10_500, 300_000));

    let mut checked = limiter(|s| (s.priors, s.settle) = (light_at(1.0), false));
    let started = |limiter: &mut Limiter, now| (0..20).filter(|_| call(limiter, now, big).is_some()).count();
    assert_eq!((started(&mut checked, at(0)), started(&mut checked, end)), (1, 1));
}

/// The seed has no word for a call that no window holds: it waits, takes, and leaves the remainder below zero.
#[test]
fn at_the_seeds_boundary_the_remainder_goes_below_zero() {
    let mut seed = limiter(|s| (s.priors, s.boundary) = (light_at(1.0), Boundary::Seed));
    let whale = need(LIGHT, 130_000, 7_000);
    let Offer::Wait { until } = seed.ask(at(0), &whale) else { panic!("it waits") };
    seed.woken(until);
    let tokens = seed.tokens(&whale);
    let _running = seed.take(until, &whale, tokens);
    assert_eq!(seed.remaining(), 25_500 - 137_000);
    assert_eq!(seed.ask(until, &need(LIGHT, 1, 1)), Offer::Wait { until: seed.next_window(until) });
}

#[test]
fn only_windows_with_an_end_have_the_seeds_boundary() {
    for (window, expected) in [
        (Window::LazyFixed, Boundary::Seed),
        (Window::Calendar, Boundary::Seed),
        (Window::SlidingLog, Boundary::Checked),
        (Window::Gcra, Boundary::Checked),
    ] {
        assert_eq!(limiter(|s| (s.boundary, s.window) = (Boundary::Seed, window)).boundary(), expected);
    }
}

#[test]
fn usage_is_settled_with_the_window_that_it_came_from() {
    let mut limiter = limiter(|s| s.priors = light_at(1.0));
    let small = need(LIGHT, 1_000, 4_000);
    let mut take = |now| call(&mut limiter, now, small).expect("it fits");
    let [less, more, unknown, exact, late] = [take(at(0)), take(at(0)), take(at(0)), take(at(0)), take(at(0))];
    assert_eq!(limiter.remaining(), 500);
    limiter.settle(at(1), less, Spent::Used { tokens: 2_000, cut: false });
    assert_eq!(limiter.remaining(), 3_500);
    limiter.settle(at(1), more, Spent::Used { tokens: 9_000, cut: false });
    assert_eq!(limiter.remaining(), -500, "an overrun is charged");
    limiter.settle(at(1), unknown, Spent::Unknown);
    assert_eq!(limiter.remaining(), -500);
    limiter.settle(at(1), exact, Spent::Untaught { tokens: 0 });
    assert_eq!(limiter.remaining(), 4_500);
    let next = call(&mut limiter, at(61), small).expect("a new window");
    limiter.settle(at(62), late, Spent::Used { tokens: 1, cut: false });
    assert_eq!(limiter.remaining(), 20_500, "its window is over");
    assert_eq!(limiter.reservations(), 5_000);
    limiter.settle(at(63), next, Spent::Untaught { tokens: 1_000 });
    assert_eq!((limiter.remaining(), limiter.reservations()), (24_500, 0));
}

#[test]
fn the_seed_never_settles() {
    let mut seed = limiter(|s| (s.priors, s.settle) = (light_at(1.0), false));
    let spent = [Spent::Used { tokens: 90_000, cut: false }, Spent::Untaught { tokens: 1 }, Spent::Unknown];
    for (n, spent) in spent.into_iter().enumerate() {
        let reservation = call(&mut seed, at(0), need(LIGHT, 0, 1_000)).expect("it fits");
        seed.settle(at(1), reservation, spent);
        assert_eq!(seed.remaining(), 24_500 - 1_000 * i64::try_from(n).expect("three"));
    }
}

/// 1,000 tokens reserved at 2.5 as 2,500; by the time 5,000 are known to be used, the multiplier stands at 4.
#[test]
#[allow(clippy::float_cmp)]
fn what_the_usage_is_divided_by() {
    for (ratio, expected) in [(Ratio::Seed, 8.0), (Ratio::Base, 5.0), (Ratio::Reservation, 2.0)] {
        let mut limiter = limiter(|s| (s.ratio, s.min_samples, s.samples) = (ratio, count(1), count(1)));
        let reservation = call(&mut limiter, at(0), need(HEAVY, 400, 600)).expect("it fits");
        assert_eq!(reservation.tokens(), 2_500);
        limiter.multipliers.learn(at(1), HEAVY, 4.0);
        limiter.settle(at(2), reservation, Spent::Used { tokens: 5_000, cut: false });
        assert_eq!(limiter.multiplier(HEAVY), expected, "{ratio:?}");
    }
}

/// Every call truly uses four times its estimate. Dividing by the reservation finds 4 / m where m is used, so m and 4 / m
/// follow each other on both sides of the square root.
#[test]
#[allow(clippy::float_cmp)]
fn a_naive_port_hovers_around_the_square_root() {
    for (ratio, low, high) in [(Ratio::Reservation, 1.6, 2.5), (Ratio::Base, 4.0, 4.0), (Ratio::Seed, 4.0, 4.0)] {
        let mut limiter = limiter(|s| (s.ratio, s.tpm_limit) = (ratio, count(u32::MAX)));
        for n in 0..500 {
            let reservation = call(&mut limiter, at(n), need(HEAVY, 500, 500)).expect("it fits");
            limiter.settle(at(n), reservation, Spent::Used { tokens: 4_000, cut: false });
            assert!(n < 5 || (low..=high).contains(&limiter.multiplier(HEAVY)), "{ratio:?}: {}", limiter.multiplier(HEAVY));
        }
    }
}

#[test]
#[allow(clippy::float_cmp)]
fn cut_answers_and_finalisations_teach_nothing_unless_asked() {
    let cut = Spent::Used { tokens: 3_000, cut: true };
    for (spent, learn_from_cut, expected) in [
        (cut, false, 1.1),
        (cut, true, 3.0),
        (Spent::Untaught { tokens: 3_000 }, true, 1.1),
        (Spent::Unknown, true, 1.1),
        (Spent::Used { tokens: 3_000, cut: false }, false, 3.0),
    ] {
        let mut limiter = limiter(|s| (s.learn_from_cut, s.min_samples) = (learn_from_cut, count(1)));
        let reservation = call(&mut limiter, at(0), need(LIGHT, 400, 600)).expect("it fits");
        limiter.settle(at(1), reservation, spent);
        assert_eq!(limiter.multiplier(LIGHT), expected, "{spent:?}");
    }
}

/// A trimmed call's estimate is the trimmed one: 1,000 in, 9,200 out, at 2.5.
#[test]
#[allow(clippy::float_cmp)]
fn a_trimmed_call_teaches_by_what_it_was_trimmed_to() {
    let mut limiter = limiter(|s| s.min_samples = count(1));
    let reservation = call(&mut limiter, at(0), need(HEAVY, 1_000, 20_000)).expect("trimmed");
    limiter.settle(at(1), reservation, Spent::Used { tokens: 20_400, cut: false });
    assert_eq!(limiter.multiplier(HEAVY), 2.0);
}

#[test]
fn an_old_ratio_is_forgotten_when_its_class_next_asks() {
    let mut limiter = limiter(|s| (s.min_samples, s.max_age) = (count(1), Some(Span::from_secs(100))));
    limiter.multipliers.learn(at(0), LIGHT, 3.0);
    assert_eq!(limiter.ask(at(100), &need(LIGHT, 0, 1_000)), Offer::Fits { tokens: 3_000 });
    assert_eq!(limiter.ask(at(101), &need(LIGHT, 0, 1_000)), Offer::Fits { tokens: 1_100 });
}

#[test]
fn off_counts_nothing_and_observe_counts_below_zero() {
    for mut off in [Limiter::new(at(0), None), limiter(|s| s.mode = Mode::Off)] {
        let reservation = call(&mut off, at(0), need(HEAVY, 1_000_000, 1)).expect("all fits");
        assert_eq!((off.mode(), off.remaining(), off.reservations()), (Mode::Off, 25_500, 0));
        off.reconfigure(at(1), Some(&settings(|s| s.min_samples = count(1))));
        off.settle(at(1), reservation, Spent::Used { tokens: 9_000_000, cut: false });
        assert_eq!((off.remaining(), off.tokens(&need(HEAVY, 0, 100))), (25_500, 250), "from before it was on");
    }
    let mut observed = limiter(|s| s.mode = Mode::Observe);
    let big = need(HEAVY, 8_000, 2_000);
    for left in [500, -24_500] {
        let tokens = observed.tokens(&big);
        let _running = observed.take(at(0), &big, tokens);
        assert_eq!(observed.remaining(), left);
        assert!(matches!(observed.ask(at(0), &big), Offer::Wait { .. }));
    }
}

#[test]
#[allow(clippy::float_cmp)]
fn new_settings_keep_what_is_taken_and_what_was_learned() {
    let mut limiter = limiter(|s| s.min_samples = count(1));
    let first = call(&mut limiter, at(0), need(LIGHT, 0, 10_000)).expect("it fits");
    limiter.settle(at(0), first, Spent::Used { tokens: 20_000, cut: false });
    let held = call(&mut limiter, at(0), need(LIGHT, 0, 1_000)).expect("it fits");
    assert_eq!((limiter.multiplier(LIGHT), limiter.remaining()), (2.0, 3_500));
    let changed = |change: fn(&mut settings::Limiter)| settings(|s| (s.min_samples = count(1), change(s)).1);
    limiter.reconfigure(at(1), Some(&changed(|s| s.tpm_limit = count(60_000))));
    assert_eq!((limiter.multiplier(LIGHT), limiter.remaining(), limiter.budget()), (2.0, 29_000, 51_000));
    limiter.reconfigure(at(1), None);
    limiter.reconfigure(at(1), Some(&changed(|s| s.window = Window::SlidingLog)));
    assert_eq!((limiter.multiplier(LIGHT), limiter.remaining(), limiter.reservations()), (2.0, 25_500, 2_000));
    limiter.settle(at(1), held, Spent::Unknown);
    assert_eq!((limiter.remaining(), limiter.reservations()), (25_500, 0), "another kind of window");
}

/// A waiter is told the first instant at which asking again helps, and no earlier one.
#[test]
fn waiting_ends_exactly_when_it_is_said_to() {
    for window in [Window::LazyFixed, Window::Calendar, Window::SlidingLog, Window::Gcra] {
        for auto_trim in [false, true] {
            let mut limiter = limiter(|s| (s.window, s.auto_trim) = (window, auto_trim));
            for n in 0..30 {
                let _held = call(&mut limiter, at(n), need(LIGHT, 13, 777));
            }
            let asked = need(LIGHT, 101, 2_900);
            while call(&mut limiter, at(30), asked).is_some() {}
            let Offer::Wait { until } = limiter.ask(at(30), &asked) else { panic!("{window:?}: it waits") };
            let mut early = limiter.clone();
            assert_eq!(early.ask(Time::from_nanos(until.as_nanos() - 1), &asked), Offer::Wait { until }, "{window:?}");
            assert!(call(&mut limiter, until, asked).is_some(), "{window:?} {auto_trim}");
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Call(Need),
    Settle(usize, Spent),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let call = (0..8usize, 0..4_000u32, 1..8_000u32).prop_map(|(class, input, max)| Op::Call(need(class, input, max)));
    let spent = prop_oneof![
        Just(Spent::Unknown),
        (0..40_000u64).prop_map(|tokens| Spent::Untaught { tokens }),
        (0..40_000u64, any::<bool>()).prop_map(|(tokens, cut)| Spent::Used { tokens, cut }),
    ];
    let settle = (0..20usize, spent).prop_map(|(which, spent)| Op::Settle(which, spent));
    prop_oneof![3 => call, 3 => settle, 1 => (0..30_000u64).prop_map(Op::Pass)]
}

proptest! {
    /// In any order of taking and settling: the unsettled sum is that of the reservations that are out, and within one
    /// window the budget is what is left, plus them, plus what settled ones have kept or used.
    #[test]
    fn reservations_are_conserved(settle in any::<bool>(), ops in prop::collection::vec(op(), 1..60)) {
        let mut limiter = limiter(|s| s.settle = settle);
        let (mut held, mut gone) = (Vec::new(), 0);
        for op in ops {
            match op {
                Op::Call(need) => held.extend(call(&mut limiter, at(1), need)),
                Op::Settle(which, spent) if which < held.len() => {
                    let reservation: Reservation = held.swap_remove(which);
                    gone += match spent {
                        Spent::Used { tokens, .. } | Spent::Untaught { tokens } if settle => signed(tokens),
                        _ => signed(reservation.tokens()),
                    };
                    limiter.settle(at(1), reservation, spent);
                }
                _ => {}
            }
            let out: u64 = held.iter().map(Reservation::tokens).sum();
            prop_assert_eq!(limiter.reservations(), out);
            prop_assert_eq!(limiter.budget().cast_signed(), limiter.remaining() + signed(out) + gone);
        }
    }

    /// INV-9: without settlement, no fixed window and no 60 s of a sliding log takes more than the budget, and no 60 s of
    /// GCRA more than budget and burst; what is trimmed fits, too.
    #[test]
    fn no_window_takes_more_than_its_budget(kind in 0..4usize, ops in prop::collection::vec(op(), 1..120)) {
        let window = [Window::LazyFixed, Window::Calendar, Window::SlidingLog, Window::Gcra][kind];
        let mut limiter = limiter(|s| (s.window, s.settle, s.p90) = (window, false, P90::Seed));
        let (mut now, mut held, mut taken) = (at(0), Vec::new(), Vec::new());
        let mut start = now;
        for op in ops {
            match op {
                Op::Pass(millis) => now += Span::from_millis(millis),
                Op::Settle(which, spent) if which < held.len() => {
                    limiter.settle(now, held.swap_remove(which), spent);
                }
                Op::Settle(..) => {}
                Op::Call(need) => {
                    let reservation = call(&mut limiter, now, need);
                    start = match window {
                        Window::Calendar => at(now.as_nanos() / 60_000_000_000 * 60),
                        _ if now > start + Span::from_secs(60) => now,
                        _ => start,
                    };
                    taken.extend(reservation.iter().map(|r| (now, start, r.tokens())));
                    held.extend(reservation);
                }
            }
        }
        for (from, of, _) in &taken {
            let inside = |(at, start, _): &&(Time, Time, u64)| match window {
                Window::LazyFixed | Window::Calendar => start == of,
                Window::SlidingLog | Window::Gcra => at >= from && *at < *from + Span::from_secs(60),
            };
            let sum: u64 = taken.iter().filter(inside).map(|(_, _, tokens)| tokens).sum();
            let burst = if window == Window::Gcra { limiter.capacity() } else { 0 };
            prop_assert!(sum <= limiter.budget() + burst);
        }
    }

    /// Whatever is offered fits, and leaves an answer of at least `min_output` within the call's own limit.
    #[test]
    fn every_trim_fits(left in 0..25_500u64, multiplier in 0.01..40.0f64, input in 0..30_000u32, max in 1..60_000u32) {
        let mut limiter = limiter(|s| s.priors = light_at(multiplier));
        let _running = limiter.take(at(0), &need(LIGHT, 0, 0), 25_500 - left);
        match limiter.ask(at(0), &need(LIGHT, input, max)) {
            Offer::Fits { tokens } => prop_assert!(tokens <= left),
            Offer::Trim { tokens, max_tokens } => {
                prop_assert!(tokens <= left && (500..max).contains(&max_tokens));
                prop_assert_eq!(tokens, limiter.tokens(&need(LIGHT, input, max_tokens)));
            }
            Offer::Wait { until } => {
                prop_assert!(call(&mut limiter, until, need(LIGHT, input, max)).is_some());
            }
            Offer::Never { tokens, budget } => prop_assert!(tokens > budget),
        }
    }
}

#[test]
fn a_million_random_operations() {
    let kinds = [Window::LazyFixed, Window::Calendar, Window::SlidingLog, Window::Gcra];
    let modes = [Mode::Off, Mode::Observe, Mode::Enforce, Mode::Enforce];
    let ratios = [Ratio::Seed, Ratio::Base, Ratio::Reservation];
    let (mut limiter, mut now, mut state) = (limiter(|_| {}), at(0), 1u64);
    let mut held = Vec::new();
    for _ in 0..1_000_000u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = state >> 33;
        now += Span::from_nanos(state >> 34); // half a second on average
        let need = need(draw as usize % 8, (draw % 3_001) as u32, (draw % 7_919) as u32);
        match draw / 8 % 8 {
            0..=2 if held.len() < 64 => held.extend(call(&mut limiter, now, need)),
            3 if held.len() < 64 && limiter.boundary() == Boundary::Seed => {
                limiter.woken(now);
                let tokens = limiter.tokens(&need);
                held.push(limiter.take(now, &need, tokens));
            }
            4 => limiter.refresh(now),
            5 if draw % 4_001 == 0 => limiter.reconfigure(
                now,
                Some(&settings(|s| {
                    s.mode = modes[draw as usize / 64 % 4];
                    s.window = kinds[draw as usize / 256 % 4];
                    s.ratio = ratios[draw as usize / 1_024 % 3];
                    s.boundary = if draw / 4_096 % 2 == 0 { Boundary::Seed } else { Boundary::Checked };
                    s.max_age = Some(Span::from_secs(draw % 1_000));
                    s.samples = count(1 + (draw % 40) as u32);
                })),
            ),
            6 | 7 if !held.is_empty() => {
                let reservation = held.swap_remove(draw as usize % held.len());
                let tokens = draw / 512 % 20_000;
                let spent = [Spent::Unknown, Spent::Unknown, Spent::Used { tokens, cut: false }, Spent::Untaught { tokens }];
                limiter.settle(now, reservation, spent[draw as usize / 64 % 4]);
            }
            _ => assert!(limiter.next_window(now) >= now),
        }
    }
    assert_eq!(limiter.reservations(), held.iter().map(Reservation::tokens).sum::<u64>());
}

#[test]
fn what_lies_beyond_the_estimate_is_held_back_and_billed_at_the_end() {
    let mut limiter = limiter(|s| (s.window, s.excess) = (Window::SlidingLog, Excess::AtEnd));
    let long = call(&mut limiter, at(0), need(HEAVY, 1_000, 7_000)).expect("20000 of 25500");
    assert_eq!((long.tokens(), limiter.remaining()), (20_000, 5_500));
    // Its estimate has come back by then, and nothing else: 12000 are held until it ends, whenever that is.
    let wants = need(HEAVY, 500, 7_500);
    let trimmed = Offer::Trim { tokens: 13_500, max_tokens: 4_900 };
    assert_eq!(limiter.ask(at(90), &wants), trimmed);
    assert_eq!(limiter.next_window(at(90)), at(90));
    limiter.settle(at(300), long, Spent::Used { tokens: 18_000, cut: false });
    assert_eq!(limiter.remaining(), 15_500, "10000 beyond its estimate count from now on");
    let plain = need(HEAVY, 500, 7_700);
    assert_eq!(limiter.ask(at(359), &plain), Offer::Trim { tokens: 15_500, max_tokens: 5_700 });
    assert_eq!(limiter.ask(at(360), &plain), Offer::Fits { tokens: 20_500 });
}

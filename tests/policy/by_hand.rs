//! The stack's behaviour by worked example: times and counts are computed by hand.

use crate::support::{Hand, at, reason, refused, started};
use plimsoll::policy::{
    Action, CallEnd, Forget, Input, Mode, OnClientGone, OnTimeout, Order, Queue, RefusalKind, Saw, Settings, TimeoutFrom,
    Verdict, WakeReason,
};
use plimsoll::request::{Cause, Reason};
use plimsoll::time::Span;
use plimsoll::units::Count;

/// The seeds' system with these flags.
fn seed(flags: &str) -> Settings {
    Settings::from_flags(flags, Count::new(10)).expect("well formed")
}

fn changed(flags: &str, change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = seed(flags);
    change(&mut settings);
    settings
}

fn forget(forget: Forget) -> impl FnOnce(&mut Settings) {
    move |settings| settings.graduated.as_mut().expect("set").forget = forget
}

/// Starts `n` calls at `secs` that all time out a second later (`--request_timeout 1`).
fn time_out(hand: &mut Hand, secs: f64, n: usize) {
    for _ in 0..n {
        let (_, actions) = hand.arrive_as(secs, |attempt| attempt.draw = u64::MAX);
        assert!(started(&actions).is_some(), "{actions:?}");
    }
    let timed_out = hand.wake(secs + 1.0).iter().filter(|a| matches!(a, Action::Detach { .. })).count();
    assert_eq!(timed_out, n);
}

/// The smallest draw (share of 2^64, in percent) from which on an attempt starts at `secs`.
fn refused_below_percent(hand: &mut Hand, secs: f64) -> u64 {
    let passes = |hand: &mut Hand, percent: u64| {
        let draw = u64::try_from((u128::from(percent) << 64) / 100).unwrap_or(u64::MAX);
        let (_, actions) = hand.arrive_as(secs, |attempt| attempt.draw = draw);
        match started(&actions) {
            Some((_, call)) => {
                hand.end(secs, call);
                true
            }
            None => false,
        }
    };
    (0..=100).find(|percent| passes(hand, *percent)).unwrap_or(101)
}

/// Seed 000, "Testing the Implementation": generate timeouts, check the response at 60, 70, 85 and 100 % of capacity, wait
/// five minutes, see the reset in the statistics.
#[test]
fn the_seeds_own_test_plan() {
    let flags = "--max_abandoned_threads 20 --request_timeout 1 --max_concurrent_requests 20";
    let mut hand = Hand::new(&seed(flags));
    time_out(&mut hand, 0.0, 12);
    assert_eq!(refused_below_percent(&mut hand, 2.0), 0, "60 %");
    time_out(&mut hand, 3.0, 2);
    assert_eq!(refused_below_percent(&mut hand, 5.0), 0, "70 %");
    time_out(&mut hand, 6.0, 3);
    assert_eq!(refused_below_percent(&mut hand, 8.0), 50, "85 %");
    time_out(&mut hand, 9.0, 3);
    assert_eq!(refused_below_percent(&mut hand, 11.0), 101, "100 %");

    let (_, actions) = hand.arrive(12.0);
    let (_, refusal) = refused(&actions).expect("full");
    assert_eq!((refusal.status, refusal.kind), (503, RefusalKind::Rejected(Reason::FullCapacity)));
    let wait = refusal.retry_after.expect("reset tells");
    assert_eq!(wait, Span::from_secs(288) + Span::from_nanos(1));

    let stats = hand.gateway.stats(at(12.0));
    assert_eq!((stats.time_until_reset, stats.rejection_threshold), (Some(Span::from_secs(288)), Some(0.7)));
    assert_eq!((stats.now.abandoned_counted, stats.now.abandoned_true, stats.capacity_used), (20.0, 20, Some(1.0)));
    let overdue = hand.gateway.stats(at(400.0));
    assert_eq!((overdue.time_until_reset, overdue.now.abandoned_counted), (Some(Span::ZERO), 20.0), "to look resets nothing");
    assert_eq!(reason(&hand.arrive(300.0).1), Some(Reason::FullCapacity), "not more than five minutes yet");
    let retry = at(12.0) + wait;
    assert!(started(&hand.arrive(retry.as_secs_f64() + 1e-6).1).is_some(), "Retry-After was right");
    let stats = hand.gateway.stats(retry + Span::from_secs(100));
    assert_eq!((stats.now.abandoned_counted, stats.now.abandoned_true), (0.0, 20), "forgotten, and still running");
    assert!(stats.time_until_reset.is_some_and(|left| left > Span::from_secs(199)));
}

#[test]
fn never_forgetting_locks_out_for_good() {
    let mut hand = Hand::new(&changed("--request_timeout 1 --max_concurrent_requests 10", forget(Forget::Never)));
    let calls: Vec<_> = (0..10).map(|_| hand.start(0.0).1).collect();
    hand.wake(1.0);
    for call in calls {
        assert_eq!(hand.end(2.0, call), [], "the upstream is done, and nobody waits for it");
    }
    assert_eq!(hand.gateway.snapshot().abandoned_true, 0);
    for day in 1..30 {
        let (_, actions) = hand.arrive(f64::from(day) * 86_400.0);
        let (_, refusal) = refused(&actions).expect("locked out");
        assert_eq!((refusal.kind, refusal.retry_after), (RefusalKind::Rejected(Reason::FullCapacity), None));
    }
}

/// Three slots, one-minute timeouts, calls that never end: every five minutes the count is forgotten and more are let in.
#[test]
fn with_reset_the_true_abandoned_work_grows_past_its_capacity() {
    let mut hand = Hand::new(&seed(""));
    for second in 0..3600 {
        hand.arrive_as(f64::from(second), |attempt| attempt.draw = u64::MAX);
    }
    let snapshot = hand.gateway.snapshot();
    assert!(snapshot.abandoned_true > 5 * 10, "{snapshot:?}");
    assert!(snapshot.abandoned_counted_max <= 13.0, "capacity 10 and the three that ran when it was reached: {snapshot:?}");
    assert_eq!(snapshot.abandoned_true_max, snapshot.abandoned_true);
}

#[test]
fn places_41_to_50_are_unreachable() {
    let mut hand = Hand::new(&seed(""));
    let running: Vec<_> = (0..3).map(|_| hand.start(0.0)).collect();
    for _ in 0..40 {
        assert_eq!(hand.arrive(1.0).1, [], "waits");
    }
    let (_, actions) = hand.arrive(2.0);
    assert_eq!(refused(&actions).expect("full").1.kind, RefusalKind::Rejected(Reason::QueueFull));
    assert_eq!(refused(&actions).expect("full").1.retry_after, None, "nobody knows yet how long a call takes");
    let next = hand.end(6.0, running[0].1);
    assert!(matches!(next[0], Action::Complete { attempt, .. } if attempt == running[0].0));
    assert!(started(&next).is_some(), "the oldest starts");
    assert_eq!(hand.arrive(6.0).1, [], "one place is free again");
    let (_, actions) = hand.arrive(6.0);
    assert_eq!(refused(&actions).expect("full").1.retry_after, Some(Span::from_secs(80)), "40 calls of 6 s on 3 slots");
}

#[test]
fn a_refusal_of_the_head_lets_the_next_try_at_once() {
    let mut hand = Hand::new(&seed("--max_concurrent_requests 1 --vllm_rejection_threshold 0 --max_abandoned_threads 2"));
    hand.start(0.0);
    let (head, _) = hand.arrive_as(1.0, |attempt| attempt.draw = 0); // refused as soon as one call is abandoned
    let (next, _) = hand.arrive_as(2.0, |attempt| attempt.draw = u64::MAX);
    let actions = hand.wake(60.0);
    assert!(matches!(actions[0], Action::Detach { .. }));
    assert_eq!(refused(&actions[2..]).map(|(id, r)| (id, r.kind)), Some((head, RefusalKind::Rejected(Reason::HighCapacity))));
    assert_eq!(started(&actions).map(|(id, _)| id), Some(next));
}

#[test]
fn a_client_that_nobody_misses_keeps_its_slot_until_the_timeout() {
    let mut hand = Hand::new(&seed("--max_concurrent_requests 1"));
    let (gone, call) = hand.start(0.0);
    let (next, _) = hand.arrive(1.0);
    assert_eq!(hand.tell(5.0, Input::Gone { attempt: gone }), []);
    assert_eq!(hand.gateway.snapshot().in_flight, 1);
    let actions = hand.wake(60.0);
    assert_eq!(actions[0], Action::Detach { call });
    assert_eq!((refused(&actions), started(&actions).map(|(id, _)| id)), (None, Some(next)));
    let snapshot = hand.gateway.snapshot();
    assert_eq!((snapshot.abandoned_counted, snapshot.abandoned_true), (1.0, 1), "the wrapper's thread runs all the same");
    assert_eq!(hand.end(70.0, call), []);
    assert_eq!(hand.gateway.snapshot().abandoned_true, 0);
}

#[test]
fn a_client_that_is_missed_frees_its_slot_or_its_place() {
    let settings = changed("--max_concurrent_requests 1", |s| {
        s.timeout.as_mut().expect("set").on_client_gone = OnClientGone::Cancel;
    });
    let mut hand = Hand::new(&settings);
    let (runs, call) = hand.start(0.0);
    let (waits, _) = hand.arrive(1.0);
    let (next, _) = hand.arrive(2.0);
    assert_eq!(hand.tell(3.0, Input::Gone { attempt: waits }), []);
    assert_eq!(hand.gateway.snapshot().waiting, 1);
    let actions = hand.tell(4.0, Input::Gone { attempt: runs });
    assert_eq!((&actions[0], started(&actions).map(|(id, _)| id)), (&Action::Cancel { call }, Some(next)));
    assert_eq!(hand.end(5.0, call), [], "it is forgotten");
    assert_eq!(hand.gateway.stats(at(5.0)).counters.stale, 1);
}

/// From arrival, 60 s: the one in the middle of a LIFO queue leaves at its own time, not when it would be its turn.
#[test]
fn waiting_attempts_expire_where_they_stand() {
    let settings = changed("--max_concurrent_requests 1", |s| {
        let timeout = s.timeout.as_mut().expect("set");
        (timeout.timeout_from, timeout.on_timeout) = (TimeoutFrom::Arrival, OnTimeout::Cancel);
        s.queue.as_mut().expect("set").order = Order::Lifo;
    });
    let mut hand = Hand::new(&settings);
    let (first, call) = hand.start(0.0);
    let (oldest, _) = hand.arrive(1.0);
    let (middle, _) = hand.arrive(2.0);
    let (newest, _) = hand.arrive(3.0);
    assert_eq!(hand.gateway.next_wakeup(), Some((at(60.0), WakeReason::CallTimeout)));
    let actions = hand.wake(60.0);
    assert_eq!(actions[0], Action::Cancel { call });
    let (id, refusal) = refused(&actions).expect("timed out");
    assert_eq!((id, refusal.status, refusal.kind), (first, 504, RefusalKind::TimedOut));
    assert_eq!(started(&actions).map(|(id, _)| id), Some(newest));
    assert_eq!(hand.gateway.next_wakeup(), Some((at(61.0), WakeReason::QueueExpiry)));
    let late = hand.wake(62.5); // both expiries, and not yet the running call's
    let ids: Vec<_> = late.iter().filter_map(|action| refused(std::slice::from_ref(action))).map(|(id, _)| id).collect();
    assert_eq!(ids, [oldest, middle]);
    assert_eq!((hand.gateway.snapshot().waiting, hand.gateway.snapshot().in_flight), (0, 1));
}

#[test]
fn what_has_begun_is_cut_and_what_has_not_is_refused() {
    let mut hand = Hand::new(&seed(""));
    let (begun, call) = hand.start(0.0);
    assert_eq!(hand.tell(1.0, Input::FirstByte { call }), [Action::Relay { attempt: begun }]);
    assert_eq!(hand.tell(2.0, Input::FirstByte { call }), []);
    let actions = hand.wake(60.0);
    assert!(
        matches!(actions[1], Action::Cut { attempt, refusal } if attempt == begun && refusal.kind == RefusalKind::TimedOut)
    );
    assert_eq!(hand.tell(61.0, Input::FirstByte { call }), [], "an abandoned call has nobody to relay to");

    let (attempt, call) = hand.start(70.0);
    let failed = CallEnd::Failed { cause: Cause::Overloaded, retry_after: Some(Span::from_secs(7)) };
    let actions = hand.tell(71.0, Input::Ended { call, end: failed });
    let (id, refusal) = refused(&actions).expect("passed on");
    assert_eq!((id, refusal.status, refusal.retry_after), (attempt, 503, Some(Span::from_secs(7))));
    assert_eq!(refusal.kind, RefusalKind::Upstream(Cause::Overloaded));
}

#[test]
fn observing_counts_and_changes_nothing() {
    let settings =
        changed("--max_queue_size 2 --max_concurrent_requests 1 --request_timeout 1 --max_abandoned_threads 1", |s| {
            s.graduated.as_mut().expect("set").mode = Mode::Observe;
            s.queue.as_mut().expect("set").mode = Mode::Observe;
            s.timeout.as_mut().expect("set").mode = Mode::Observe;
        });
    let mut hand = Hand::new(&settings);
    let (_, call) = hand.start(0.0);
    for _ in 0..5 {
        assert_eq!(hand.arrive(0.5).1, []);
    }
    assert_eq!(hand.gateway.snapshot().waiting, 5);
    assert_eq!(hand.wake(1.0), []);
    assert_eq!(hand.end(10.0, call).len(), 2, "complete, and the next");
    let counters = hand.gateway.stats(at(10.0)).counters;
    assert_eq!((counters.refused(Reason::QueueFull).observed, counters.refused(Reason::QueueFull).enforced), (3, 0));
    assert_eq!((counters.timeouts.observed, counters.timeouts.enforced, counters.waits.enforced), (1, 0, 5));

    let observed = changed("--max_concurrent_requests 1", |s| s.concurrency.as_mut().expect("set").mode = Mode::Observe);
    let mut hand = Hand::new(&observed);
    hand.start(0.0);
    hand.start(0.0);
    assert_eq!((hand.gateway.snapshot().in_flight, hand.gateway.stats(at(0.0)).counters.waits.observed), (2, 1));
}

#[test]
fn an_observed_rejection_is_counted_and_let_through() {
    let settings = changed("--request_timeout 1 --max_abandoned_threads 1", |s| {
        s.graduated.as_mut().expect("set").mode = Mode::Observe;
    });
    let mut hand = Hand::new(&settings);
    time_out(&mut hand, 0.0, 1);
    hand.start(2.0);
    let refusals = hand.gateway.stats(at(2.0)).counters.refused(Reason::FullCapacity);
    assert_eq!((refusals.observed, refusals.enforced), (1, 0));
}

#[test]
fn an_observed_timeout_from_arrival_is_counted_once() {
    let settings = changed("--max_concurrent_requests 1 --request_timeout 10", |s| {
        let timeout = s.timeout.as_mut().expect("set");
        (timeout.mode, timeout.timeout_from) = (Mode::Observe, TimeoutFrom::Arrival);
    });
    let mut hand = Hand::new(&settings);
    let (_, call) = hand.start(0.0);
    hand.arrive(5.0);
    let (_, second) = started(&hand.end(20.0, call)).expect("the next");
    hand.end(30.0, second);
    assert_eq!(hand.gateway.stats(at(30.0)).counters.timeouts.observed, 2);
}

#[test]
fn new_settings_keep_what_is_in_flight() {
    let mut hand = Hand::new(&seed("--max_concurrent_requests 1"));
    hand.start(0.0);
    let waiting: Vec<_> = (0..4).map(|_| hand.arrive(1.0).0).collect();
    let shrunk = seed("--max_concurrent_requests 1 --max_queue_size 2 --request_timeout 5");
    assert_eq!(hand.tell(2.0, Input::Settings(Box::new(shrunk))), [], "nobody is turned out");
    assert_eq!(hand.gateway.snapshot().waiting, 4);
    assert_eq!(reason(&hand.arrive(3.0).1), Some(Reason::QueueFull));
    assert_eq!(hand.gateway.next_wakeup(), Some((at(60.0), WakeReason::CallTimeout)), "on its old terms");
    let widened = seed("--max_concurrent_requests 3 --request_timeout 5");
    let actions = hand.tell(4.0, Input::Settings(Box::new(widened)));
    let ids: Vec<_> = actions.iter().filter_map(|action| started(std::slice::from_ref(action))).map(|(id, _)| id).collect();
    assert_eq!(ids, waiting[..2], "two more slots, the oldest first");
    hand.wake(60.0);
    let (_, _) = hand.start(200.0);
    assert_eq!(hand.gateway.next_wakeup(), Some((at(205.0), WakeReason::CallTimeout)), "new arrivals have the new terms");
}

#[test]
fn draining_takes_no_one_in_and_finishes_what_there_is() {
    let mut hand = Hand::new(&seed("--max_concurrent_requests 1"));
    let (_, call) = hand.start(0.0);
    let (waits, _) = hand.arrive(1.0);
    assert_eq!(hand.tell(2.0, Input::Drain), []);
    assert_eq!(reason(&hand.arrive(3.0).1), Some(Reason::Draining));
    assert_eq!(started(&hand.end(4.0, call)).map(|(id, _)| id), Some(waits));
}

/// One slot, 10 s a call: the first in the queue is predicted to wait 10 s, the second 20 s.
#[test]
fn deadline_aware_admission_refuses_what_could_not_start_in_time() {
    let settings = changed("--max_concurrent_requests 1", |s| {
        s.queue = Some(Queue { deadline_aware: true, ..Queue::default() });
    });
    let mut hand = Hand::new(&settings);
    let (_, call) = hand.start(0.0);
    hand.end(10.0, call);
    hand.start(10.0);
    let in_15_s = |attempt: &mut plimsoll::policy::Attempt| attempt.deadline = Some(at(25.0));
    assert_eq!(hand.arrive_as(10.0, in_15_s).1, [], "waits");
    let (_, actions) = hand.arrive_as(10.0, in_15_s);
    let (_, refusal) = refused(&actions).expect("20 s are more than 15 s");
    assert_eq!((refusal.kind, refusal.retry_after), (RefusalKind::Rejected(Reason::Deadline), Some(Span::from_secs(5))));
    assert_eq!(hand.arrive(10.0).1, [], "a timeout from dispatch is no deadline for waiting");
}

#[test]
fn the_gauge_falls_at_the_lease_when_the_end_is_lost() {
    let mut hand = Hand::new(&changed("", forget(Forget::Gauge)));
    let (_, call) = hand.start(0.0);
    hand.wake(60.0);
    assert_eq!(hand.gateway.next_wakeup(), Some((at(960.0), WakeReason::AbandonedLease)));
    assert_eq!((hand.gateway.snapshot().abandoned_counted, hand.gateway.snapshot().abandoned_true), (1.0, 1));
    hand.wake(960.0);
    assert_eq!((hand.gateway.snapshot().abandoned_counted, hand.gateway.snapshot().abandoned_true), (0.0, 1));
    hand.end(1000.0, call);
    assert_eq!((hand.gateway.snapshot().abandoned_counted, hand.gateway.snapshot().abandoned_true), (0.0, 0));
}

#[test]
fn notes_tell_an_attempts_story() {
    let mut hand = Hand::new(&seed("--max_concurrent_requests 1"));
    hand.gateway.set_notes(true);
    let (_, actions) = hand.arrive(0.0);
    let verdicts = |actions: &[Action]| -> Vec<(&'static str, Verdict)> {
        let name = |saw: &Saw| match saw {
            Saw::Graduated { .. } => "graduated",
            Saw::Queue { .. } => "queue",
            Saw::Deadline { .. } => "deadline",
            Saw::Codel { .. } => "codel",
            Saw::Slots { .. } => "slots",
            Saw::Timeout { .. } => "timeout",
            Saw::Budget { .. } => "budget",
            Saw::Breaker { .. } => "breaker",
        };
        actions.iter().filter_map(|a| if let Action::Note(n) = a { Some((name(&n.saw), n.verdict)) } else { None }).collect()
    };
    let through = [("queue", Verdict::Pass), ("slots", Verdict::Pass), ("graduated", Verdict::Pass)];
    assert_eq!(verdicts(&actions), through);
    let (waits, actions) = hand.arrive(20.0);
    assert_eq!(verdicts(&actions), [("queue", Verdict::Pass), ("slots", Verdict::Wait)]);
    let actions = hand.wake(60.0);
    assert_eq!(verdicts(&actions), [("timeout", Verdict::TimedOut), ("slots", Verdict::Pass), ("graduated", Verdict::Pass)]);
    let graduated = actions.iter().find_map(|a| match a {
        Action::Note(n) if n.attempt == waits && matches!(n.saw, Saw::Graduated { .. }) => Some(n.saw),
        _ => None,
    });
    let Some(Saw::Graduated { counted, truly, max_abandoned, probability, draw }) = graduated else { panic!("{actions:?}") };
    assert_eq!((counted, truly, max_abandoned, probability), (1.0, 1, 10, 0.0));
    assert!((draw - 0.5).abs() < 1e-12);
}

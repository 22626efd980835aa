//! The metered adapter of seed 002: its own test plan, restated, and what its code does that it was not meant to do.

use crate::support::{Hand, reason, refused, started};
use plimsoll::policy::{
    Action, Boundary, Breaker, CallEnd, CallKind, Exclusive, Finalise, FinaliseRule, Finish, HeavyLane, HoldRule, Input,
    Limiter, Mode, OnError, Recovery, Redispatch, Refresh, Settings, Trip, UpstreamErrors, Usage,
};
use plimsoll::request::{AttemptId, CallId, Cause, Profile, Reason, Vantage};
use plimsoll::time::Span;
use plimsoll::units::Count;

fn count(value: u32) -> Count {
    Count::new(value).expect("above 0")
}

fn profile(grounded: bool, vantage: Vantage) -> Profile {
    Profile { grounded, vantage, ..Profile::default() }
}

/// A request of `input` tokens estimated and at most `max_tokens` out.
fn ask(hand: &mut Hand, secs: f64, profile: Profile, input: u32, max_tokens: u32) -> (AttemptId, Vec<Action>) {
    hand.arrive_as(secs, |attempt| {
        attempt.profile = profile;
        attempt.input_estimate = input;
        attempt.max_tokens = max_tokens;
        attempt.streaming = false;
    })
}

/// The call that starts, its limit on the answer, and its reservation: the first one.
fn launch(actions: &[Action]) -> Option<(CallId, u32, u32)> {
    actions.iter().find_map(|action| match action {
        Action::Start { call, max_tokens, reserved, .. } => Some((*call, *max_tokens, *reserved)),
        _ => None,
    })
}

fn end(hand: &mut Hand, secs: f64, call: CallId, tokens: u32) -> Vec<Action> {
    let usage = Some(Usage { input: tokens, output: 0 });
    hand.tell(secs, Input::Ended { call, end: CallEnd::Ok { usage, finish: Finish::Stop } })
}

fn fail(hand: &mut Hand, secs: f64, call: CallId, cause: Cause) -> Vec<Action> {
    hand.tell(secs, Input::Ended { call, end: CallEnd::Failed { cause, retry_after: None } })
}

fn limited(limiter: Limiter) -> Settings {
    Settings { limiter: Some(limiter), ..Settings::default() }
}

/// "Auto-trimming when budget is tight": 3,000 left of a 10,000 limit, and a grounded request of 6,000 tokens.
#[test]
fn a_grounded_request_is_trimmed_to_what_is_left() {
    let mut hand = Hand::new(&limited(Limiter { tpm_limit: count(10_000), ..Limiter::default() }));
    let (_, first) = ask(&mut hand, 0.0, profile(false, Vantage::None), 4_000, 1_000);
    assert_eq!(launch(&first).expect("it fits").2, 5_500, "5,000 x 1.1");
    assert_eq!(hand.gateway.stats(hand.now()).budget_left, Some(3_000), "of 8,500");
    let (_, second) = ask(&mut hand, 1.0, profile(true, Vantage::AlsOnly), 100, 6_000);
    let (_, max_tokens, reserved) = launch(&second).expect("trimmed, it fits");
    assert_eq!((max_tokens, reserved), (1_100, 3_000), "3,000 / 2.5 - 100, and 1,200 x 2.5");
    assert_eq!(hand.gateway.stats(hand.now()).counters.trims, 1);
}

/// An answer that ran into the lowered limit is degraded; one that stopped before it is not.
#[test]
fn only_an_answer_that_was_cut_is_degraded() {
    for (finish, degraded) in [(Finish::Length, true), (Finish::Stop, false)] {
        let mut hand = Hand::new(&limited(Limiter { tpm_limit: count(10_000), ..Limiter::default() }));
        let (id, actions) = ask(&mut hand, 0.0, profile(true, Vantage::AlsOnly), 100, 6_000);
        let (call, max_tokens, _) = launch(&actions).expect("trimmed, it fits");
        assert_eq!(max_tokens, 3_300);
        let actions = hand.tell(9.0, Input::Ended { call, end: CallEnd::Ok { usage: None, finish } });
        assert_eq!(actions, [Action::Complete { attempt: id, degraded }]);
    }
}

/// "Batch with mixed jobs": the heavy one goes by its lane and overlaps nothing, the light ones overlap each other.
#[test]
fn a_heavy_job_runs_alone_and_light_ones_together() {
    let lane = HeavyLane { exclusive: Exclusive::All, ..HeavyLane::default() };
    let limiter = Limiter { settle: false, ..Limiter::default() };
    let mut hand = Hand::new(&Settings { lane: Some(lane), ..limited(limiter) });
    let (heavy, actions) = ask(&mut hand, 0.0, profile(true, Vantage::AlsOnly), 100, 6_000);
    let (running, ..) = launch(&actions).expect("the window is whole");
    let light = profile(false, Vantage::None);
    let waiting: Vec<AttemptId> = (0..2)
        .map(|_| {
            let (id, actions) = ask(&mut hand, 0.0, light, 100, 500);
            assert_eq!((launch(&actions), refused(&actions)), (None, None), "it waits and is not refused");
            id
        })
        .collect();
    let actions = end(&mut hand, 30.0, running, 12_000);
    assert!(matches!(actions[0], Action::Complete { attempt, degraded: false } if attempt == heavy));
    let both: Vec<AttemptId> = actions.iter().filter_map(|action| started(std::slice::from_ref(action))).map(|s| s.0).collect();
    assert_eq!(both, waiting, "both at once");
    assert_eq!(hand.gateway.stats(hand.now()).counters.lane_acquisitions, 1);
}

/// "Circuit breaker": the second error opens it; `ALS_PLUS_PROXY` goes on without its proxy, `PROXY_ONLY` is refused.
#[test]
fn the_second_error_opens_the_circuit_and_policies_are_degraded() {
    let breaker = Breaker { redispatch: Redispatch::Off, ..Settings::seed_adapter().breaker.expect("the seed has one") };
    let mut hand = Hand::new(&Settings { breaker: Some(breaker), ..Settings::default() });
    for (secs, opens) in [(0.0, 0), (50_000.0, 1)] {
        let (_, actions) = ask(&mut hand, secs, profile(false, Vantage::AlsPlusProxy), 100, 500);
        fail(&mut hand, secs + 1.0, launch(&actions).expect("closed").0, Cause::Proxy);
        assert_eq!(hand.gateway.stats(hand.now()).counters.circuit_opens, opens, "any length of time apart");
    }
    let (_, actions) = ask(&mut hand, 50_002.0, profile(false, Vantage::AlsPlusProxy), 100, 500);
    assert!(matches!(actions[..], [Action::Start { vantage: Vantage::AlsOnly, .. }]));
    let (_, actions) = ask(&mut hand, 50_003.0, profile(false, Vantage::ProxyOnly), 100, 500);
    assert_eq!(reason(&actions), Some(Reason::ProxyCircuitOpen));
    let retry_after = refused(&actions).and_then(|(_, refusal)| refusal.retry_after).expect("the cooldown tells");
    assert!(retry_after > Span::from_secs(597) && retry_after < Span::from_secs(599));
    let (_, actions) = ask(&mut hand, 50_602.0, profile(false, Vantage::ProxyOnly), 100, 500);
    assert!(launch(&actions).is_some(), "more than 600 s later it has closed by itself");
}

/// A breaker that only observes counts each attempt that it would have refused once, and changes none.
#[test]
fn an_observed_breaker_counts_an_attempt_once() {
    let seed = Settings::seed_adapter().breaker.expect("the seed has one");
    let breaker = Breaker { mode: Mode::Observe, threshold: count(1), ..seed };
    let mut hand = Hand::new(&Settings { breaker: Some(breaker), ..Settings::default() });
    let proxied = profile(false, Vantage::ProxyOnly);
    let (_, actions) = ask(&mut hand, 0.0, proxied, 100, 500);
    let actions = fail(&mut hand, 1.0, launch(&actions).expect("closed").0, Cause::Proxy);
    assert!(refused(&actions).is_some(), "its error is passed on: {actions:?}");
    let (_, actions) = ask(&mut hand, 2.0, proxied, 100, 500);
    assert!(matches!(actions[..], [Action::Start { vantage: Vantage::ProxyOnly, .. }]));
    let counted = hand.gateway.stats(hand.now()).counters.refused(Reason::ProxyCircuitOpen);
    assert_eq!((counted.enforced, counted.observed), (0, 1));
}

/// 20 calls of 15,000 tokens: the seed's waiters restore the window one after the other.
#[test]
fn at_the_seeds_boundary_every_waiter_restores_the_whole_budget() {
    let reserved = |boundary, hold| {
        let mut hand = Hand::new(&limited(Limiter {
            boundary,
            hold,
            settle: false,
            auto_trim: false,
            priors: Vec::new(),
            unknown_prior: plimsoll::units::Positive::new(1.0).expect("above 0"),
            ..Limiter::default()
        }));
        let mut sum = 0;
        let mut add = |actions: &[Action]| {
            for action in actions {
                if let Action::Start { reserved, .. } = action {
                    sum += reserved;
                }
            }
        };
        add(&ask(&mut hand, 0.0, Profile::default(), 5_000, 10_000).1);
        for _ in 1..20 {
            let (_, actions) = ask(&mut hand, 1.0, Profile::default(), 5_000, 10_000);
            assert_eq!(launch(&actions), None);
        }
        for _ in 0..100 {
            add(&hand.wake(61.0));
        }
        sum
    };
    assert_eq!(reserved(Boundary::Seed, HoldRule::WhileWaiting), 20 * 15_000);
    assert_eq!(reserved(Boundary::Checked, HoldRule::WhileWaiting), 2 * 15_000, "one in each window");
    assert_eq!(reserved(Boundary::Checked, HoldRule::AllOrNone), 2 * 15_000);
}

/// With heavy traffic alone the seed's second job never starts: nothing refreshes the window that it waits for.
#[test]
fn nothing_refreshes_the_seeds_window_for_a_lane_that_waits() {
    for (refresh, starts) in [(Refresh::OnReserve, false), (Refresh::OnWait, true)] {
        let lane = HeavyLane { exclusive: Exclusive::Seed, refresh, ..HeavyLane::default() };
        let mut hand = Hand::new(&Settings { lane: Some(lane), ..limited(Limiter { settle: false, ..Limiter::default() }) });
        let heavy = profile(true, Vantage::AlsOnly);
        let (call, ..) = launch(&ask(&mut hand, 0.0, heavy, 100, 6_000).1).expect("the window is whole");
        end(&mut hand, 30.0, call, 12_000);
        assert_eq!(launch(&ask(&mut hand, 31.0, heavy, 100, 6_000).1), None, "too little is left");
        let later: Vec<Action> = (1..100).flat_map(|minute| hand.wake(31.0 + 60.0 * f64::from(minute))).collect();
        assert_eq!(launch(&later).is_some(), starts, "{refresh:?}");
    }
}

/// A redispatch that keeps its slot can lock them all; one that gives it back cannot.
#[test]
fn the_seeds_redispatch_locks_up_on_its_own_slots() {
    for (redispatch, locked) in [(Redispatch::Seed, true), (Redispatch::Stack, false)] {
        let breaker = Breaker {
            trip: Trip::Cumulative,
            threshold: count(1),
            recovery: Recovery::Close,
            restart_on_late_error: true,
            redispatch,
            ..Breaker::default()
        };
        let slots = Settings::seed_adapter().concurrency;
        let mut hand = Hand::new(&Settings { breaker: Some(breaker), concurrency: slots, ..Settings::default() });
        let proxied = profile(false, Vantage::AlsPlusProxy);
        let calls: Vec<CallId> =
            (0..3).map(|_| launch(&ask(&mut hand, 0.0, proxied, 100, 500).1).expect("three slots").0).collect();
        let again: Vec<Action> = calls.iter().flat_map(|call| fail(&mut hand, 1.0, *call, Cause::Proxy)).collect();
        assert_eq!(launch(&again).is_none(), locked, "{redispatch:?}");
        assert_eq!(hand.gateway.snapshot().in_flight, 3, "{redispatch:?}");
        if !locked {
            assert!(again.iter().all(|action| matches!(action, Action::Start { kind: CallKind::Redispatch, .. })));
        }
    }
}

/// The seed finalises after a timeout past the SLA, so 300 s calls are out of its reach; the corrected rule ends them in time.
#[test]
fn finalisation_in_time_and_too_late() {
    let finalised = |rule, timeout_s| {
        let mut hand = Hand::new(&Settings {
            call_timeout: Some(plimsoll::policy::CallTimeout {
                grounded_direct: Span::from_secs(timeout_s),
                ..plimsoll::policy::CallTimeout::default()
            }),
            finalise: Some(Finalise { rule, ..Finalise::default() }),
            ..Settings::default()
        });
        ask(&mut hand, 0.0, profile(true, Vantage::AlsOnly), 100, 6_000);
        let actions: Vec<(f64, Action)> =
            (1..=600).flat_map(|s| hand.wake(f64::from(s)).into_iter().map(move |action| (f64::from(s), action))).collect();
        actions.into_iter().find_map(|(secs, action)| match action {
            Action::Start { kind: CallKind::Finalise, max_tokens, .. } => Some((secs, max_tokens)),
            _ => None,
        })
    };
    assert_eq!(finalised(FinaliseRule::AfterTimeout, 300), None, "at 300 s the SLA has not passed yet");
    assert_eq!(finalised(FinaliseRule::AfterTimeout, 481), Some((481.0, 500)), "too late");
    assert_eq!(finalised(FinaliseRule::BeforeSla, 481), Some((450.0, 500)), "30 s are left");
}

/// The upstream's own 429: passed on, waited for, or tried again at once, but once.
#[test]
fn a_429_is_waited_for_once() {
    let errors = UpstreamErrors { on_429: OnError::Wait, ..UpstreamErrors::default() };
    let mut hand = Hand::new(&Settings { upstream_errors: Some(errors), ..Settings::default() });
    let (id, actions) = ask(&mut hand, 0.0, Profile::default(), 100, 500);
    let rated = |call| {
        let retry_after = Some(Span::from_secs(7));
        Input::Ended { call, end: CallEnd::Failed { cause: Cause::RateLimited, retry_after } }
    };
    assert_eq!(hand.tell(1.0, rated(launch(&actions).expect("nothing bounds it").0)), []);
    assert_eq!(hand.wake(7.9), []);
    let (call, ..) = launch(&hand.wake(8.0)).expect("as long as it asked for");
    let actions = hand.tell(9.0, rated(call));
    assert_eq!(refused(&actions).map(|(attempt, refusal)| (attempt, refusal.status)), Some((id, 429)));
}

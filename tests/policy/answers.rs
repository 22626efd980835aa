//! What the upstream's own refusals and failures tell the limiter and the breaker, and what a refusal tells the client.

use crate::support::{Hand, refused, started};
use plimsoll::policy::{
    Action, Breaker, CallEnd, CallTimeout, Finish, Heed, Hint, Input, Limiter, Mode, Settings, Trip, UpstreamErrors, Usage,
    Window,
};
use plimsoll::request::{CallId, Cause, Figures, Profile, RateHeader, RateHeaders, Reason, RefusalKind, Vantage};
use plimsoll::time::Span;
use plimsoll::units::{Count, Fraction};

const REFUSED: CallEnd = CallEnd::Failed { cause: Cause::RateLimited, retry_after: None };

fn limits(remaining: u64) -> RateHeaders {
    let reset = Span::from_secs((30_000 - remaining) / 500);
    RateHeaders { tokens: Some(RateHeader { limit: 30_000, remaining, reset }), requests: None }
}

/// A call of 1000 tokens of 25500, in a window that forgets it after 60 s.
fn metered(errors: Option<Heed>) -> (Hand, CallId) {
    let limiter = Limiter { window: Window::SlidingLog, priors: Vec::new(), ..Limiter::default() };
    let upstream_errors = errors.map(|rate_headers| UpstreamErrors { rate_headers, ..UpstreamErrors::default() });
    let mut hand = Hand::new(&Settings { limiter: Some(limiter), upstream_errors, ..Settings::default() });
    let (_, actions) = hand.arrive_as(0.0, |attempt| (attempt.input_estimate, attempt.max_tokens) = (100, 567));
    let (_, call) = started(&actions).expect("it fits");
    assert_eq!(hand.gateway.stats(hand.now()).budget_left, Some(24_500));
    (hand, call)
}

fn left(hand: &Hand) -> i64 {
    hand.gateway.stats(hand.now()).budget_left.expect("it is metered")
}

#[test]
fn a_429_corrects_what_the_limiter_believes() {
    for (heed, believed) in
        [(Some(Heed::Refusals), 3_500), (Some(Heed::Always), 3_500), (Some(Heed::Never), 24_500), (None, 24_500)]
    {
        let (mut hand, call) = metered(heed);
        hand.tell(1.0, Input::Quota { call, limits: limits(8_000) });
        hand.tell(1.0, Input::Ended { call, end: REFUSED });
        assert_eq!(left(&hand), believed, "{heed:?}: 8000 less a headroom of 4500");
        // Nobody is let through on what the provider does not have, until it has come back.
        let (_, actions) = hand.arrive_as(2.0, |attempt| (attempt.input_estimate, attempt.max_tokens) = (3_000, 400));
        assert_eq!(started(&actions).is_none(), believed == 3_500, "{heed:?}");
        if believed == 3_500 {
            assert_eq!(started(&hand.wake(60.9)), None);
            assert!(started(&hand.wake(61.0)).is_some(), "60 s after the correction");
        }
    }
}

#[test]
fn good_news_changes_nothing_and_answers_count_where_asked() {
    for (heed, left_before, believed) in
        [(Heed::Always, 8_000, 3_500), (Heed::Refusals, 8_000, 24_500), (Heed::Always, 30_000, 24_500)]
    {
        let (mut hand, call) = metered(Some(heed));
        hand.tell(1.0, Input::Quota { call, limits: limits(left_before) });
        let usage = Some(Usage { input: 100, output: 900 });
        hand.tell(1.0, Input::Ended { call, end: CallEnd::Ok { usage, finish: Finish::Stop } });
        assert_eq!(left(&hand), believed, "{heed:?}");
    }
    let (mut hand, _) = metered(Some(Heed::Always));
    hand.tell(1.0, Input::Hint(Hint { remaining_tokens: Some(5_000), ..Hint::default() }));
    assert_eq!(left(&hand), 500);
}

#[test]
fn only_a_calls_own_headers_speak_for_it() {
    let (mut hand, first) = metered(Some(Heed::Refusals));
    let (_, second) = hand.start(0.5);
    let before = left(&hand);
    hand.tell(1.0, Input::Quota { call: first, limits: limits(8_000) });
    hand.tell(1.0, Input::Ended { call: second, end: REFUSED });
    assert_eq!(left(&hand), before);
    let stale = hand.gateway.stats(hand.now()).counters.stale;
    hand.tell(1.0, Input::Quota { call: second, limits: limits(8_000) });
    assert_eq!(hand.gateway.stats(hand.now()).counters.stale, stale + 1, "of a call that is over");
}

fn by_proxy(breaker: Breaker, ends: impl Fn(&mut Hand, CallId, f64)) -> u64 {
    let (breaker, call_timeout) = (Some(breaker), Some(CallTimeout::default()));
    let mut hand = Hand::new(&Settings { breaker, call_timeout, ..Settings::default() });
    for n in 0..2 {
        let at = f64::from(n) * 200.0;
        let profile = Profile { vantage: Vantage::ProxyOnly, ..Profile::default() };
        let (_, actions) = hand.arrive_as(at, |attempt| (attempt.profile, attempt.streaming) = (profile, false));
        let (_, call) = started(&actions).expect("the breaker is closed");
        ends(&mut hand, call, at);
    }
    hand.gateway.stats(hand.now()).counters.circuit_opens
}

#[test]
fn a_5xx_through_a_proxy_counts_where_the_settings_say_so() {
    let opens = |count_5xx, cause| {
        let breaker = Breaker { trip: Trip::Consecutive, count_5xx, ..Breaker::default() };
        by_proxy(breaker, |hand, call, at| {
            let end = CallEnd::Failed { cause, retry_after: None };
            hand.tell(at + 5.0, Input::Ended { call, end });
        })
    };
    for cause in [Cause::Server, Cause::Overloaded, Cause::Idle] {
        assert_eq!((opens(true, cause), opens(false, cause)), (1, 0), "{cause:?}");
    }
    for cause in [Cause::RateLimited, Cause::BadRequest] {
        assert_eq!((opens(true, cause), opens(false, cause)), (0, 0), "4xx never count: {cause:?}");
    }
    assert_eq!((opens(true, Cause::Proxy), opens(false, Cause::Proxy)), (1, 1));
}

#[test]
fn calls_that_time_out_are_slow_calls() {
    let minimum_calls = Count::new(2).expect("above 0");
    let timed_out = |slow_call, trip| {
        let breaker = Breaker {
            trip,
            slow_call,
            minimum_calls,
            failure_rate: Fraction::new(1.0).expect("in range"),
            ..Breaker::default()
        };
        by_proxy(breaker, |hand, _, at| {
            let actions = hand.wake(at + 120.0);
            assert!(actions.iter().any(|action| matches!(action, Action::Answer { refusal, .. } if refusal.status == 504)));
        })
    };
    assert_eq!(timed_out(Some(Span::from_secs(60)), Trip::Rate), 1);
    assert_eq!(timed_out(Some(Span::from_secs(120)), Trip::Rate), 0, "120 s are not more than 120 s");
    assert_eq!(timed_out(None, Trip::Rate), 0);
    assert_eq!(timed_out(Some(Span::from_secs(60)), Trip::Cumulative), 0, "a slow call is no error");
}

#[test]
fn what_never_fits_is_refused_with_both_numbers() {
    let settings =
        |mode| Settings { limiter: Some(Limiter { mode, auto_trim: false, ..Limiter::default() }), ..Settings::default() };
    let mut hand = Hand::new(&settings(Mode::Enforce));
    let (_, actions) = hand.arrive_as(0.0, |attempt| (attempt.input_estimate, attempt.max_tokens) = (20_000, 5_000));
    let (_, refusal) = refused(&actions).expect("27500 of 25500");
    assert_eq!((refusal.status, refusal.kind), (413, RefusalKind::Rejected(Reason::OverBudget)));
    assert_eq!(refusal.figures, Some(Figures { needs: 27_500, limit: 25_500 }));
    let mut hand = Hand::new(&settings(Mode::Observe));
    assert!(started(&hand.arrive_as(0.0, |attempt| attempt.input_estimate = 30_000).1).is_some());
}

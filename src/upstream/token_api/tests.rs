//! A metered provider by hand, by property and against closed forms.

use proptest::prelude::*;
use slotmap::SlotMap;

use super::*;
use crate::request::{ClassId, Profile, RateHeader, Vantage};
use crate::rng::Streams;

fn api(text: &str) -> TokenApi {
    let settings: TokenApiSettings = toml::from_str(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
    let classes = ["light".to_owned(), "heavy".to_owned()];
    TokenApi::new(&settings, &Setup { speed: 1.0, streams: Streams::new(1, 0), classes: &classes })
}

const fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

/// An API and the calls that it has.
struct Bench {
    api: TokenApi,
    ids: SlotMap<CallId, ()>,
    log: Vec<(u64, CallId, OutputKind)>,
}

impl Bench {
    fn new(text: &str) -> Self {
        Self { api: api(text), ids: SlotMap::with_key(), log: Vec::new() }
    }

    fn until(&mut self, now: Time) {
        self.api.advance(now, EventKind::Completion);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.api.poll() {
            self.log.push((output.at.as_nanos() / 1_000_000, output.call, output.kind));
        }
    }

    /// Starts a call of so many tokens of prompt and answer, changed by `change`.
    fn start(&mut self, millis: u64, input: u32, output: u32, change: impl FnOnce(&mut Call)) -> CallId {
        self.until(at(millis));
        let id = self.ids.insert(());
        let mut call = Call::plain(id, ClassId(0), input, output);
        change(&mut call);
        self.api.start(at(millis), &call);
        self.drain();
        id
    }

    fn cancel(&mut self, millis: u64, call: CallId) {
        self.until(at(millis));
        self.api.cancel(at(millis), call);
        self.drain();
    }

    fn of(&mut self, call: CallId) -> Vec<(u64, OutputKind)> {
        self.until(Time::from_nanos(u64::MAX - 1));
        self.log.iter().filter(|(_, id, _)| *id == call).map(|(at, _, kind)| (*at, *kind)).collect()
    }

    fn left(&self, millis: u64) -> u64 {
        self.api.headers(at(millis)).tokens.expect("it meters tokens").remaining
    }
}

const fn work(prefill_tokens: u32, decode_tokens: u32) -> CallWork {
    CallWork { prefill_tokens, decode_tokens }
}

fn refused(retry_after_s: Option<u64>) -> OutputKind {
    let retry_after = retry_after_s.map(Span::from_secs);
    OutputKind::Failed { cause: Cause::RateLimited, work: CallWork::default(), retry_after }
}

#[test]
fn latency_follows_length_and_class() {
    let text = "latency = { first_token = { dist = 'fixed', value = '1s' }, per_input_token = '1ms', per_output_token = '10ms', \
                search = { dist = 'fixed', value = '30s' } }\n\
                class_latency = [{ class = 'heavy', latency = { per_output_token = '40ms' } }]";
    let mut bench = Bench::new(text);
    let light = bench.start(0, 500, 101, |_| {});
    let heavy = bench.start(0, 500, 101, |call| (call.class, call.profile.grounded) = (ClassId(1), true));
    let done = OutputKind::Done(work(500, 101));
    assert_eq!(bench.of(light), [(0, OutputKind::Began), (1_500, OutputKind::FirstToken), (2_500, done)]);
    assert_eq!(bench.of(heavy), [(0, OutputKind::Began), (31_500, OutputKind::FirstToken), (35_500, done)]);
}

#[test]
fn the_spread_of_the_pace_keeps_the_mean() {
    let mut bench =
        Bench::new("latency = { first_token = { dist = 'fixed', value = '0s' }, per_output_token = '10ms', sigma = 0.5 }");
    for n in 0..4_000 {
        bench.start(0, 1, 101, |call| call.draw = mix(3, n));
    }
    bench.until(at(1_000_000));
    let ends: Vec<f64> =
        bench.log.iter().filter(|entry| matches!(entry.2, OutputKind::Done(_))).map(|entry| entry.0 as f64).collect();
    let mean = ends.iter().sum::<f64>() / 4_000.0;
    assert!((mean - 1_000.0).abs() < 30.0 && ends.iter().any(|end| *end > 2_000.0), "{mean}");
}

/// The provider's side of the seed's trouble: one grounded call, taken at 6,200 tokens and billed 137,000, leaves 30,000 a
/// minute so far below nothing that nobody is admitted for minutes.
#[test]
fn one_whale_blocks_all_that_follow() {
    let text = "tokens_per_minute = 30000\nlimiter = { kind = 'reserve_and_settle' }\n\
                latency = { first_token = { dist = 'fixed', value = '60s' }, per_output_token = '0s' }";
    let mut bench = Bench::new(text);
    let whale = bench.start(0, 200, 6_000, |call| call.usage_tokens = 137_000);
    assert_eq!(bench.left(0), 23_800);
    assert_eq!(bench.left(60_000), 30_000);
    bench.until(at(60_000));
    // 30,000 - 130,800 = -100,800: 201.6 s until there is a token left, 202.2 s until there are 300.
    let next = bench.start(60_000, 200, 100, |_| {});
    let later = bench.start(262_200, 200, 100, |_| {});
    assert_eq!(bench.of(whale)[2], (60_000, OutputKind::Done(work(131_000, 6_000))));
    assert_eq!(bench.of(next), [(60_050, refused(Some(203)))]);
    assert_eq!(bench.of(later)[0], (262_200, OutputKind::Began));
}

#[test]
fn what_is_not_used_comes_back_only_from_reserve_and_settle() {
    for (limiter, left) in [("continuous", 20_000 + 500), ("reserve_and_settle", 29_000 + 500), ("calendar", 20_000)] {
        let text = format!(
            "tokens_per_minute = 30000\nlimiter = {{ kind = '{limiter}' }}\n\
             latency = {{ first_token = {{ dist = 'fixed', value = '1s' }}, per_output_token = '0s' }}"
        );
        let mut bench = Bench::new(&text);
        bench.start(0, 500, 500, |call| call.max_tokens = 9_500); // takes 10,000, uses 1,000
        bench.until(at(1_000));
        assert_eq!(bench.left(1_000), left, "{limiter}");
    }
}

#[test]
fn what_is_used_beyond_may_be_forgiven() {
    for (charge, left) in [(true, 100), (false, 800)] {
        let mut bench =
            Bench::new(&format!("tokens_per_minute = 1000\nlimiter = {{ kind = 'calendar' }}\ncharge_excess = {charge}"));
        bench.start(0, 100, 100, |call| call.usage_tokens = 900);
        bench.until(at(30_000));
        assert_eq!(bench.left(30_000), left);
    }
}

#[test]
fn requests_are_metered_too_and_the_longer_wait_is_told() {
    let mut bench = Bench::new("requests_per_minute = 2\ntokens_per_minute = 6000\nrefused_after = '0s'");
    bench.start(0, 50, 50, |_| {});
    bench.start(0, 2_950, 2_950, |_| {}); // tokens and requests are gone
    let third = bench.start(0, 50, 50, |_| {}); // tokens after 1 s, a request after 30
    let fourth = bench.start(0, 3_000, 2_000, |_| {}); // 50 s, and 30
    let large = bench.start(0, 5_000, 2_000, |_| {});
    assert_eq!(bench.of(third), [(0, refused(Some(30)))]);
    assert_eq!(bench.of(fourth), [(0, refused(Some(50)))]);
    assert_eq!(bench.of(large), [(0, refused(None))], "no waiting helps");
    let headers = bench.api.headers(Time::from_nanos(u64::MAX - 1));
    assert_eq!(headers.requests, Some(RateHeader { limit: 2, remaining: 2, reset: Span::ZERO }));
}

#[test]
fn the_headers_say_what_is_left_and_when_all_of_it_is() {
    let mut bench = Bench::new("requests_per_minute = 60\ntokens_per_minute = 6000");
    bench.start(0, 500, 500, |_| {});
    let header = |limit, remaining, reset| Some(RateHeader { limit, remaining, reset: Span::from_millis(reset) });
    assert_eq!(bench.api.headers(at(0)), RateHeaders { tokens: header(6_000, 5_000, 10_000), requests: header(60, 59, 1_000) });
    assert_eq!(bench.api.headers(at(500)), RateHeaders { tokens: header(6_000, 5_050, 9_500), requests: header(60, 59, 500) });
}

/// Nothing before the first token; then the prompt's side, and the answer as far as it has come. Its 201 tokens are back in
/// the full bucket by then, so that only what it used beyond them is missing.
#[test]
fn a_cancelled_call_is_billed_what_was_generated() {
    let text = "tokens_per_minute = 60000\nlimiter = { kind = 'reserve_and_settle', burst = 1 }\n\
                latency = { first_token = { dist = 'fixed', value = '1s' }, per_output_token = '10ms' }";
    for (millis, expected, left) in [(999, work(0, 0), 60_000), (1_000, work(300, 1), 59_900), (1_500, work(300, 51), 59_850)] {
        let mut bench = Bench::new(text);
        let call = bench.start(0, 100, 101, |call| call.usage_tokens = 401);
        bench.cancel(millis, call);
        bench.cancel(millis, call); // the second finds nothing
        assert_eq!(bench.left(millis), left);
        assert_eq!(bench.of(call).last(), Some(&(millis, OutputKind::Cancelled(expected))));
        assert_eq!(
            (bench.api.totals(Time::ZERO).prefill_tokens, bench.api.gauges()),
            (u64::from(expected.prefill_tokens), Gauges::default())
        );
    }
}

#[test]
fn a_cut_answer_is_billed_less_what_was_cut() {
    let mut call = Call::plain(CallId::default(), ClassId(0), 100, 50);
    (call.uncut_tokens, call.usage_tokens) = (200, 1_300);
    assert_eq!(call.billed(), work(1_100, 50));
    call.usage_tokens = 60; // an estimator that errs below the answer itself
    assert_eq!(call.billed(), work(0, 1));
}

#[test]
fn errors_come_at_their_rate_and_are_billed_nothing() {
    let mut bench = Bench::new("error_rate = 0.2\nerror_after = { dist = 'fixed', value = '3s' }");
    for n in 0..20_000 {
        bench.start(n, 10, 10, |call| call.draw = mix(8, n));
    }
    bench.until(at(1_000_000));
    let failed = bench.log.iter().filter(|entry| entry.2 == OutputKind::failed(Cause::Server)).count();
    assert!((failed as f64 / 20_000.0 - 0.2).abs() < 0.01);
    assert_eq!(bench.api.totals(Time::ZERO).decode_tokens, 10 * (20_000 - failed as u64));
}

/// Through a proxy that is down: before the API nothing is taken; behind it, what was taken comes back or does not.
#[test]
fn a_proxy_stands_before_the_limits_or_behind_them() {
    let proxy = "error_rate = 1, fast_share = 1, fast = { dist = 'fixed', value = '2s' }";
    for (place, limiter, meanwhile, after) in
        [("before", "calendar", 1_000, 1_000), ("behind", "calendar", 800, 800), ("behind", "reserve_and_settle", 800, 1_000)]
    {
        let text = format!(
            "tokens_per_minute = 1000\nlimiter = {{ kind = '{limiter}' }}\nproxy = {{ place = '{place}', rotating = {{ {proxy} }} }}"
        );
        let mut bench = Bench::new(&text);
        let through = bench.start(0, 100, 100, |call| call.profile.vantage = Vantage::ProxyOnly);
        assert_eq!((bench.left(0), bench.api.gauges().waiting), (meanwhile, 1));
        bench.until(at(2_000));
        assert_eq!(bench.left(2_000), after, "{place}, {limiter}");
        let direct = bench.start(2_000, 100, 100, |call| call.profile.vantage = Vantage::AlsOnly);
        assert_eq!(bench.of(through), [(2_000, OutputKind::failed(Cause::Proxy))]);
        assert!(matches!(bench.of(direct).last(), Some((_, OutputKind::Done(_)))));
    }
}

#[test]
fn a_proxy_that_is_up_adds_its_latency() {
    let text = "latency = { first_token = { dist = 'fixed', value = '1s' } }\nproxy = { backbone = { error_rate = 0 } }";
    let mut bench = Bench::new(text);
    let profile =
        Profile { vantage: Vantage::AlsPlusProxy, proxy_mode: crate::request::ProxyMode::Backbone, ..Profile::default() };
    let call = bench.start(0, 1, 1, |call| call.profile = profile);
    assert_eq!(bench.of(call)[..2], [(150, OutputKind::Began), (1_150, OutputKind::FirstToken)]);
}

/// Saturated, a calendar counter lets in as many calls a minute as are whole in it: of one every 100 ms, 600 a minute of 900
/// tokens against 30,000, it refuses 1 - 33/600.
#[test]
fn a_saturated_calendar_counter_refuses_the_closed_form() {
    let mut bench = Bench::new("tokens_per_minute = 30000\nlimiter = { kind = 'calendar', phase = '20s' }");
    // From the beginning of one of its minutes on.
    for n in 0..6_000 {
        bench.start(40_000 + 100 * n, 400, 500, |_| {});
    }
    bench.until(at(2_000_000));
    let refused = bench.log.iter().filter(|entry| matches!(entry.2, OutputKind::Failed { .. })).count();
    assert_eq!(refused, 6_000 - 10 * 33);
}

/// What is done to it: `gap` milliseconds later, a call of these lengths and this draw, or the end of one.
#[derive(Clone, Debug)]
struct Op {
    gap: u64,
    input: u32,
    output: u32,
    usage: u32,
    vantage: usize,
    cancels: Option<usize>,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = (0u64..900, 1u32..400, 1u32..400, 1u32..9_000, 0usize..4, prop::option::weighted(0.25, 0usize..64));
    let op = op.prop_map(|(gap, input, output, usage, vantage, cancels)| Op { gap, input, output, usage, vantage, cancels });
    prop::collection::vec(op, 1..150)
}

proptest! {
    /// Every call ends once; what comes first comes first; a first token only for what began; and what is billed is summed up.
    #[test]
    fn calls_are_conserved(
        limiter in prop::sample::select(vec!["continuous", "quantised", "calendar", "reserve_and_settle"]),
        place in prop::sample::select(vec!["before", "behind"]),
        seed: u64,
        ops in ops(),
    ) {
        let text = format!(
            "tokens_per_minute = 9000\nrequests_per_minute = 300\nlimiter = {{ kind = '{limiter}' }}\nerror_rate = 0.1\n\
             proxy = {{ place = '{place}', rotating = {{ error_rate = 0.3, slow = {{ dist = 'fixed', value = '5s' }} }} }}"
        );
        let mut bench = Bench::new(&text);
        let (mut millis, mut started) = (0, Vec::new());
        for (n, op) in ops.into_iter().enumerate() {
            millis += op.gap;
            match op.cancels {
                Some(which) if !started.is_empty() => bench.cancel(millis, started[which % started.len()]),
                _ => started.push(bench.start(millis, op.input, op.output, |call| {
                    (call.usage_tokens, call.draw) = (op.usage, mix(seed, n as u64));
                    call.profile.vantage = Vantage::ALL[op.vantage];
                })),
            }
        }
        bench.until(at(10_000_000));
        prop_assert_eq!(bench.api.next_event(), None);
        prop_assert_eq!(bench.api.gauges(), Gauges::default());
        let mut billed = 0;
        for id in started {
            let kinds: Vec<OutputKind> = bench.log.iter().filter(|entry| entry.1 == id).map(|entry| entry.2).collect();
            let (end, before) = kinds.split_last().expect("each ends");
            prop_assert!(matches!(before, [] | [OutputKind::Began] | [OutputKind::Began, OutputKind::FirstToken]), "{:?}", kinds);
            match *end {
                OutputKind::Done(work) => {
                    prop_assert_eq!(before.len(), 2);
                    billed += u64::from(work.prefill_tokens) + u64::from(work.decode_tokens);
                }
                OutputKind::Cancelled(work) => {
                    prop_assert!(before.len() == 2 || work == CallWork::default());
                    billed += u64::from(work.prefill_tokens) + u64::from(work.decode_tokens);
                }
                OutputKind::Failed { cause, work, retry_after } => {
                    prop_assert_eq!(work, CallWork::default());
                    prop_assert_eq!(before.len(), usize::from(cause == Cause::Server));
                    prop_assert!(retry_after.is_none() || cause == Cause::RateLimited);
                }
                _ => prop_assert!(false, "{:?} is no end", end),
            }
        }
        let totals = bench.api.totals(Time::ZERO);
        prop_assert_eq!(totals.prefill_tokens + totals.decode_tokens, billed);
        prop_assert!((totals.busy_s - billed as f64 / 150.0).abs() < 1e-6);
    }

    /// Of each minute's calls, no more are let in than its limit holds, whoever asks when.
    #[test]
    fn a_minutes_limit_is_kept(ops in ops()) {
        let mut bench = Bench::new("tokens_per_minute = 3000\nlimiter = { kind = 'calendar' }\ncharge_excess = false");
        let (mut millis, mut taken) = (0, std::collections::BTreeMap::<u64, u32>::new());
        for op in ops {
            millis += op.gap;
            let id = bench.start(millis, op.input, op.output, |_| {});
            if bench.log.contains(&(millis, id, OutputKind::Began)) {
                *taken.entry(millis / 60_000).or_default() += op.input + op.output;
            }
        }
        prop_assert!(taken.values().all(|sum| *sum <= 3_000), "{:?}", taken);
    }
}

#[test]
#[should_panic(expected = "INV-2")]
fn time_may_not_run_back() {
    let mut api = api("");
    api.advance(at(10), EventKind::Completion);
    api.advance(at(9), EventKind::Completion);
}

//! A metered API through the whole simulator: its limits' closed forms, what the gateway is told, and the same outages for
//! every policy.

use std::collections::BTreeMap;

use plimsoll::journal::{self, Event, Journal, Tally, What};
use plimsoll::policy::{Action, CallEnd, Input, Usage};
use plimsoll::request::{Cause, Country, ProxyMode, Reason, Request};
use plimsoll::rng::Streams;
use plimsoll::sim::{Plan, World};
use plimsoll::upstream::{OutputKind, ProxyPool, UpstreamModel};

use crate::common::prepared;

const HEAD: &str = "schema = 1\nrun = { duration = 'DURATION', warmup = '0s', replications = 1, seed = 11 }\n";

fn plans(duration: &str, text: &str) -> Vec<Plan> {
    prepared(&format!("{}{text}", HEAD.replace("DURATION", duration))).plans
}

fn tally(plan: &Plan) -> Tally {
    World::new(plan, 0, None).run()
}

fn events(plan: &Plan) -> Vec<Event> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::create(&path).expect("a temporary file");
    let _ = World::new(plan, 0, Some(&mut journal)).run();
    journal.finish().expect("room for a journal");
    let mut events = Vec::new();
    journal::read(&path, |_, event| {
        events.push(event);
        true
    })
    .expect("a journal that we wrote");
    events
}

/// E[min(N, most)] for N Poisson with this mean.
fn mean_of_the_lesser(mean: f64, most: u32) -> f64 {
    let mut probability = (-mean).exp();
    let (mut sum, mut below) = (0.0, probability);
    for n in 1..most {
        probability *= mean / f64::from(n);
        sum += probability * f64::from(n);
        below += probability;
    }
    sum + f64::from(most) * (1.0 - below)
}

/// Of Poisson calls of 1,000 tokens against a counter of 20,000 a calendar minute, a minute lets in the lesser of 20 and those
/// that come: the share of 429s is 1 - E[min(N, 20)] / E[N].
#[test]
fn a_calendar_counter_refuses_its_closed_form() {
    for rate in [0.25, 0.4, 1.0] {
        let text = format!(
            "upstream = {{ kind = 'token_api', tokens_per_minute = 20000, limiter = {{ kind = 'calendar' }} }}\n\
             [[class]]\nname = 'a'\narrival = {{ process = 'poisson', rate = {rate} }}\nmax_tokens = 600\n\
             input = {{ dist = 'fixed', value = 400 }}\noutput = {{ dist = 'fixed', value = 100 }}\n"
        );
        let tally = tally(&plans("10d", &text)[0]);
        let class = &tally.classes[0];
        let share = class.rejected[Reason::UpstreamRate as usize] as f64 / class.offered as f64;
        let expected = 1.0 - mean_of_the_lesser(60.0 * rate, 20) / (60.0 * rate);
        // 14,400 minutes: the standard deviation of the share is below 0.003.
        assert!((share - expected).abs() < 0.009, "at {rate} a second: {share}, not {expected}");
        assert_eq!(class.offered, class.good + class.rejected[Reason::UpstreamRate as usize]);
    }
}

const PROXIED: &str = "upstream = { kind = 'token_api', tokens_per_minute = 30000, limiter = { kind = 'reserve_and_settle' }, \
     error_rate = 0.05, proxy = { rotating = { up = { dist = 'exponential', mean = '5m' }, \
     down = { dist = 'exponential', mean = '2m' }, error_rate = 0.1 } } }\n\
     [[class]]\nname = 'a'\narrival = { process = 'poisson', rate = 0.5 }\nmax_tokens = 1000\n\
     input = { dist = 'fixed', value = 200 }\noutput = { dist = 'uniform', min = 10, max = 900 }\n\
     grounded = 0.3\nvantage_policy = { ALS_PLUS_PROXY = 1, NONE = 1 }\n\
     usage_ratio = { dist = 'fixed', value = 0.8 }\ngrounded_usage_ratio = { dist = 'fixed', value = 5 }\n\
     retry = { max_attempts = 3 }\n[[variant]]\nname = 'direct'\n[[variant]]\nname = 'two'\n\
     policy.concurrency.max_concurrent_requests = 2\n";

/// What the gateway is told of a call's end is what the API bills, and when the API asks it to come again.
#[test]
fn the_gateway_is_told_what_is_billed_and_when_to_come_again() {
    let events = events(&plans("2h", PROXIED)[0]);
    let (mut grounded, mut plain, mut limited, mut proxies) = (0, 0, 0, 0);
    let mut requests = BTreeMap::new();
    let mut latest = None;
    for event in events {
        match event.what {
            What::Request(request) => _ = requests.insert(request.id, *request),
            What::Upstream { request, kind: OutputKind::Done(_) } => latest = Some(requests[&request]),
            What::In(Input::Ended { end: CallEnd::Ok { usage, .. }, .. }) => {
                let (usage, request) = (usage.expect("an API says"), latest.take().expect("it was done"));
                assert_eq!(usage, billed(&request));
                *(if request.profile.grounded { &mut grounded } else { &mut plain }) += 1;
            }
            What::In(Input::Ended { end: CallEnd::Failed { cause, retry_after }, .. }) => {
                assert_eq!(cause == Cause::RateLimited, retry_after.is_some());
                limited += u32::from(cause == Cause::RateLimited);
                proxies += u32::from(cause == Cause::Proxy);
            }
            _ => {}
        }
    }
    assert!(grounded > 20 && plain > 100 && limited > 100 && proxies > 100, "{grounded} {plain} {limited} {proxies}");
}

fn billed(request: &Request) -> Usage {
    let estimate = f64::from(request.input_estimate + request.max_tokens);
    let ratio = if request.profile.grounded { 5.0 } else { 0.8 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of tokens
    let total = (estimate * ratio).round() as u32;
    Usage { input: total - request.output_tokens, output: request.output_tokens }
}

/// Outages come from the seed alone: under either policy a call that sets out through a proxy while its pool is down fails for
/// it, and only few others do.
#[test]
fn every_policy_meets_the_same_outages() {
    let plans = plans("4h", PROXIED);
    for plan in &plans {
        let UpstreamModel::TokenApi(settings) = &plan.upstream else { panic!("a metered API") };
        let proxy = settings.proxy.as_ref().expect("there are proxies");
        let mut outages = ProxyPool::new(proxy, Streams::new(plan.seed, 0));
        let mut attempts = BTreeMap::new();
        // Whether a request's call set out through a proxy, and if so whether that was up.
        let mut under_way = BTreeMap::new();
        let mut ends = [[0u32; 2]; 2];
        for event in events(plan) {
            match event.what {
                What::In(Input::Arrive(attempt)) => _ = attempts.insert(attempt.id, attempt.request),
                What::Out(Action::Start { attempt, vantage, .. }) if vantage.uses_proxy() => {
                    let is_up = outages.is_up(event.t, Country::default(), ProxyMode::Rotating);
                    under_way.insert(attempts[&attempt], is_up);
                }
                What::Upstream { request, kind } if !matches!(kind, OutputKind::Began | OutputKind::FirstToken) => {
                    let failed = matches!(kind, OutputKind::Failed { cause: Cause::Proxy, .. });
                    match under_way.remove(&request) {
                        Some(is_up) => ends[usize::from(is_up)][usize::from(failed)] += 1,
                        None => assert!(!failed, "a call that uses no proxy fails for one"),
                    }
                }
                _ => {}
            }
        }
        let [[down_reached, down_failed], [up_reached, up_failed]] = ends;
        assert!(down_reached == 0 && down_failed > 200, "{ends:?}");
        let share = f64::from(up_failed) / f64::from(up_reached + up_failed);
        assert!((share - 0.1).abs() < 0.02, "{share}");
    }
}

/// Each try has draws of its own: of calls of which half fail, a quarter fails twice.
#[test]
fn a_retry_draws_anew() {
    let text = "upstream = { kind = 'token_api', error_rate = 0.5, tokens_per_minute = 4000000 }\n\
                policy.concurrency.max_concurrent_requests = 100\n\
                [[class]]\nname = 'a'\narrival = { process = 'poisson', rate = 5 }\nmax_tokens = 10\nretry = { max_attempts = 2 }\n";
    let text = format!("{}{text}", HEAD.replace(" }\n", ", load_of = 'slots' }\n"));
    let prepared = prepared(&text.replace("DURATION", "2h"));
    assert_eq!(prepared.capacity, None, "a metered API has no load 1.0");
    let class = &tally(&prepared.plans[0]).classes[0];
    let share = class.failed[Cause::Server as usize] as f64 / class.offered as f64;
    assert!((share - 0.25).abs() < 0.01, "{share}");
}

#[test]
fn a_run_is_the_same_twice() {
    let plans = plans("1h", PROXIED);
    let digest = |plan: &Plan| tally(plan).digest;
    assert_eq!(digest(&plans[0]), digest(&plans[0]));
    assert_ne!(digest(&plans[0]), digest(&plans[1]));
}

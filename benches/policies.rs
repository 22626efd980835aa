//! What a decision costs: nanoseconds of CPU time for one attempt, from its arrival to its answer, by engine and stack.
//!
//! `cargo bench --bench policies`. No clock is read on the way: time is an argument. Each case is a gateway with one
//! section of settings; an attempt arrives, starts, and ends a little later, so that a few are always in flight. The bare
//! gateway (no section at all) is the first case; an engine's own share is what its case costs above that, measured in the
//! same round, so that a busy machine slows both alike. Medians of rounds, of which each starts anew.

use plimsoll::policy::{Action, Attempt, CallEnd, Finish, Gateway, Hint, Input, Settings, Usage};
use plimsoll::request::{AttemptId, CallId, Profile, RequestId, Vantage};
use plimsoll::rng::mix;
use plimsoll::time::{Span, Time};
use rustix::time::{ClockId, clock_gettime};
use slotmap::{Key, KeyData};

/// Attempts of one measurement.
const ATTEMPTS: u64 = 200_000;
/// Measurements of each case, of which the median is printed.
const ROUNDS: usize = 15;
/// Attempts in flight at once.
const IN_FLIGHT: usize = 4;
/// Attempts between two words of the server about itself.
const HINT_EVERY: u64 = 5;

/// What a case's attempts ask for.
#[derive(Copy, Clone, PartialEq)]
enum Asks {
    /// Text only.
    Plainly,
    /// A proxy too.
    ForProxy,
    /// A proxy and a search: heavy.
    ForSearch,
}
use Asks::{ForProxy, ForSearch, Plainly};

/// Cases: name, settings, and what the attempts ask for.
const CASES: [(&str, &str, Asks); 28] = [
    ("bare gateway", "", Plainly),
    ("graduated rejection", "[graduated]\nmax_abandoned = 10", Plainly),
    ("queue bounds", "[queue]", Plainly),
    ("queue, deadline-aware", "[queue]\ndeadline_aware = true\n[timeout]\ntimeout_from = 'arrival'", Plainly),
    ("queue depth", "[queue]\ngraduated = { first = 30, last = 40 }", Plainly),
    ("CoDel", "[queue]\ncodel = { target = '1s', interval = '10s' }", Plainly),
    ("concurrency, fixed", "[concurrency]\nmax_concurrent_requests = 64", Plainly),
    ("concurrency, AIMD", "[concurrency]\nmax_concurrent_requests = 64\nadaptive = { algorithm = 'aimd' }", Plainly),
    ("concurrency, Vegas", "[concurrency]\nmax_concurrent_requests = 64\nadaptive = { algorithm = 'vegas' }", Plainly),
    ("concurrency, Gradient2", "[concurrency]\nmax_concurrent_requests = 64\nadaptive = { algorithm = 'gradient2' }", Plainly),
    (
        "concurrency, Envoy",
        "[concurrency]\nmax_concurrent_requests = 64\nadaptive = { algorithm = 'envoy_gradient', min = 8 }",
        Plainly,
    ),
    ("timeout", "[timeout]", Plainly),
    ("call timeout", "[call_timeout]", Plainly),
    ("finalise", "[finalise]", Plainly),
    ("throttle, SRE", "[throttle]\nrule = 'sre'\nk = 1000000", Plainly),
    ("throttle, Envoy", "[throttle]\nrule = 'envoy'", Plainly),
    ("signals", "[signals]", Plainly),
    ("rate limit, GCRA", "[rate_limit]\nrequests = 1000000", Plainly),
    ("limiter, fixed window", "[limiter]\ntpm_limit = 2000000000", Plainly),
    ("limiter, sliding log", "[limiter]\ntpm_limit = 2000000000\nwindow = 'sliding_log'", Plainly),
    ("limiter, GCRA", "[limiter]\ntpm_limit = 2000000000\nwindow = 'gcra'", Plainly),
    ("lane, light", "[lane]\nexclusive = 'seed'", Plainly),
    ("lane, heavy", "[lane]\nexclusive = 'seed'", ForSearch),
    ("breaker, rate", "[breaker]", ForProxy),
    ("breaker, consecutive", "[breaker]\ntrip = 'consecutive'", ForProxy),
    ("breaker, cumulative", "[breaker]\ntrip = 'cumulative'", ForProxy),
    ("whole stack", WHOLE, ForProxy),
    ("whole stack, heavy", WHOLE, ForSearch),
];

/// Everything at once, with bounds so wide that every attempt goes all the way: a refused one would be cheap. The lane
/// excludes nobody, so that heavy attempts do not wait for each other.
const WHOLE: &str = "
[graduated]
max_abandoned = 10
[queue]
max_queue_size = 1000
codel = { target = '1s', interval = '10s' }
deadline_aware = true
[concurrency]
max_concurrent_requests = 64
[timeout]
timeout_from = 'arrival'
[limiter]
tpm_limit = 2000000000
[lane]
exclusive = 'seed'
[breaker]
[call_timeout]
[finalise]
[throttle]
rule = 'sre'
k = 1000000
[rate_limit]
requests = 1000000
[signals]
";

fn main() {
    let settings: Vec<Settings> = CASES.iter().map(|(name, text, _)| read(name, text)).collect();
    let mut costs = vec![Vec::with_capacity(ROUNDS); CASES.len()];
    for _ in 0..ROUNDS {
        for ((cost, settings), (.., asks)) in costs.iter_mut().zip(&settings).zip(CASES) {
            cost.push(measure(settings, asks));
        }
    }
    println!("{:<26} {:>12} {:>16}", "ns per attempt (median)", "in all", "above the bare");
    for ((name, ..), cost) in CASES.iter().zip(&costs) {
        let above: Vec<f64> = cost.iter().zip(&costs[0]).map(|(one, bare)| one - bare).collect();
        println!("{name:<26} {:>12.1} {:>16.1}", median(cost), median(&above));
    }
}

fn read(name: &str, text: &str) -> Settings {
    toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Nanoseconds of CPU time for each of [`ATTEMPTS`] attempts.
fn measure(settings: &Settings, asks: Asks) -> f64 {
    let mut gateway = Gateway::new(settings);
    let mut running = [CallId::null(); IN_FLIGHT];
    let mut completed = 0;
    let before = cpu_ns();
    for number in 0..ATTEMPTS {
        let now = Time::ZERO + Span::from_millis(10 * number);
        if settings.signals.is_some() && number % HINT_EVERY == 0 {
            let hint = Hint { running: 4, waiting: 1, kv_use: 0.3, remaining_tokens: None };
            gateway.handle(now, Input::Hint(hint));
        }
        let place = usize::try_from(number).expect("small") % IN_FLIGHT;
        let call = std::mem::take(&mut running[place]);
        if !call.is_null() {
            let usage = Some(Usage { input: 300, output: 200 });
            gateway.handle(now, Input::Ended { call, end: CallEnd::Ok { usage, finish: Finish::Stop } });
            completed += drain(&mut gateway, &mut running[place]);
        }
        gateway.handle(now, Input::Arrive(attempt(number, asks)));
        completed += drain(&mut gateway, &mut running[place]);
    }
    let spent = cpu_ns() - before;
    // A throttle that has seen no answer yet refuses one of the first few.
    assert!(completed + IN_FLIGHT as u64 + 8 >= ATTEMPTS, "every attempt goes all the way: {completed}");
    spent / ATTEMPTS as f64
}

/// Reads all actions: how many attempts are complete; the call that was started goes to `running`.
fn drain(gateway: &mut Gateway, running: &mut CallId) -> u64 {
    let mut completed = 0;
    while let Some(action) = gateway.poll() {
        match action {
            Action::Start { call, .. } => *running = call,
            Action::Complete { .. } => completed += 1,
            _ => {}
        }
    }
    completed
}

fn attempt(number: u64, asks: Asks) -> Attempt {
    let (slot, generation) = (1 + number % 64, 1 + 2 * (number / 64));
    let id: AttemptId = KeyData::from_ffi(generation << 32 | slot).into();
    let vantage = match asks {
        Plainly => Vantage::None,
        ForProxy => Vantage::ProxyOnly,
        ForSearch => Vantage::AlsPlusProxy,
    };
    let profile = Profile { grounded: asks == ForSearch, vantage, ..Profile::default() };
    let attempt = Attempt::new(id, 300, 500);
    Attempt { request: RequestId(number), streaming: false, profile, draw: mix(7, number), ..attempt }
}

fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

//! What a decision costs: nanoseconds of CPU time for one attempt, from its arrival to its answer, by engine and stack.
//!
//! `cargo bench --bench policies`. No clock is read on the way: time is an argument. Each case is a gateway with one
//! section of settings; an attempt arrives, starts, and ends a little later, so that a few are always in flight. The bare
//! gateway (no section at all) is the first case; an engine's own share is what its case costs above that, measured in the
//! same round, so that a busy machine slows both alike. Medians of rounds.

use plimsoll::policy::{Action, Attempt, CallEnd, Finish, Gateway, Input, Settings, Usage};
use plimsoll::request::{AttemptId, CallId, ClassId, Country, Profile, ProxyMode, RequestId, Vantage};
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

/// Cases: name, settings, and whether its attempts are grounded and use a proxy.
const CASES: [(&str, &str, bool); 17] = [
    ("bare gateway", "", false),
    ("graduated rejection", "[graduated]\nmax_abandoned = 10", false),
    ("queue bounds", "[queue]", false),
    ("queue, deadline-aware", "[queue]\ndeadline_aware = true\n[timeout]\ntimeout_from = 'arrival'", false),
    ("CoDel", "[queue]\ncodel = { target = '1s', interval = '10s' }", false),
    ("concurrency, fixed", "[concurrency]\nmax_concurrent_requests = 64", false),
    ("concurrency, AIMD", "[concurrency]\nmax_concurrent_requests = 64\nadaptive = { algorithm = 'aimd' }", false),
    ("concurrency, Vegas", "[concurrency]\nmax_concurrent_requests = 64\nadaptive = { algorithm = 'vegas' }", false),
    ("concurrency, Gradient2", "[concurrency]\nmax_concurrent_requests = 64\nadaptive = { algorithm = 'gradient2' }", false),
    ("timeout", "[timeout]", false),
    ("throttle, SRE", "[throttle]\nrule = 'sre'\nk = 1000000", false),
    ("rate limit, GCRA", "[rate_limit]\nrequests = 1000000", false),
    ("limiter, fixed window", "[limiter]\ntpm_limit = 2000000000", false),
    ("limiter, sliding log", "[limiter]\ntpm_limit = 2000000000\nwindow = 'sliding_log'", false),
    ("limiter, GCRA", "[limiter]\ntpm_limit = 2000000000\nwindow = 'gcra'", false),
    ("breaker, rate", "[breaker]", true),
    ("whole stack", WHOLE, true),
];

/// Everything at once, with bounds so wide that every attempt goes all the way: a refused one would be cheap.
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
exclusive = 'heavy'
[breaker]
[call_timeout]
[finalise]
[throttle]
rule = 'sre'
k = 1000000
[rate_limit]
requests = 1000000
";

fn main() {
    let settings: Vec<Settings> = CASES.iter().map(|(name, text, _)| read(name, text)).collect();
    let mut costs = vec![Vec::with_capacity(ROUNDS); CASES.len()];
    for _ in 0..ROUNDS {
        for ((cost, settings), (.., metered)) in costs.iter_mut().zip(&settings).zip(CASES) {
            cost.push(measure(settings, metered));
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
fn measure(settings: &Settings, metered: bool) -> f64 {
    let mut gateway = Gateway::new(settings);
    let mut running = [CallId::null(); IN_FLIGHT];
    let mut completed = 0;
    let before = cpu_ns();
    for number in 0..ATTEMPTS {
        let now = Time::ZERO + Span::from_millis(10 * number);
        let place = usize::try_from(number).expect("small") % IN_FLIGHT;
        let call = std::mem::take(&mut running[place]);
        if !call.is_null() {
            let usage = Some(Usage { input: 300, output: 200 });
            gateway.handle(now, Input::Ended { call, end: CallEnd::Ok { usage, finish: Finish::Stop } });
            completed += drain(&mut gateway, &mut running[place]);
        }
        gateway.handle(now, Input::Arrive(attempt(number, metered)));
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

fn attempt(number: u64, metered: bool) -> Attempt {
    let (slot, generation) = (1 + number % 64, 1 + 2 * (number / 64));
    let id: AttemptId = KeyData::from_ffi(generation << 32 | slot).into();
    let vantage = if metered { Vantage::ProxyOnly } else { Vantage::None };
    let profile = Profile { grounded: false, vantage, country: Country::default(), proxy_mode: ProxyMode::Rotating };
    Attempt {
        id,
        request: RequestId(number),
        class: ClassId(0),
        tenant: 0,
        route: 0,
        priority: 0,
        number: 1,
        input_estimate: 300,
        max_tokens: 500,
        deadline: None,
        streaming: false,
        profile,
        draw: mix(7, number),
    }
}

fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

//! How fast the simulator is: requests and events per CPU second, and peak memory.
//!
//! `cargo bench --bench simulate` runs every case in a process of its own, several times, and prints medians. CPU time is
//! the process's own (user and system), on one thread, of the run itself; peak memory is the process's high-water mark.
//! An *event* is an external event as the digest folds it (an arrival, an attempt sent or over, a call started, begun or
//! ended, a first token, a client leaving); a *turn* is one of the event loop (an arrival, a completion, a timeout, an
//! engine step that changes something; steps in which nothing changes are advanced in closed form and are not counted).

use std::process::Command;

use plimsoll::scenario::Scenario;
use plimsoll::sim::{World, prepare};
use rustix::time::{ClockId, clock_gettime};

/// What the program allocates with: see `src/main.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs of each case, of which the median is printed.
const RUNS: usize = 5;

/// A case: name, scenario, and the requests that it generates (about, where arrivals are random).
struct Case {
    name: String,
    scenario: String,
}

/// The whole stack is on, with bounds so wide that every request goes all the way: a refused request would be cheap.
const STACK: &str = r#"
[policy.graduated]
max_abandoned = 1000000
forget = "gauge"
[policy.queue]
max_queue_size = 4000000
order = "adaptive_lifo"
adaptive_lifo_share = 1.0
codel = { target = "1d", interval = "1s" }
deadline_aware = true
[policy.concurrency]
max_concurrent_requests = 1024
[policy.timeout]
request_timeout = "2d"
"#;

fn vllm(rate: u32, requests: u32, streams: &str) -> String {
    let seconds = requests / rate;
    format!(
        r#"
schema = 1
[run]
duration = "{seconds}s"
drain = "1d"
streams = "{streams}"
[upstream]
kind = "vllm"
preset = "llama-3.1-8b-h100"
[[class]]
name = "chat"
arrival = {{ process = "poisson", rate = {rate} }}
input = {{ dist = "fixed", value = 500 }}
output = {{ dist = "fixed", value = 200 }}
slo = {{ ttft = "1s", e2e = "10s" }}
timeout = {{ total = "2d" }}
retry = {{ max_attempts = 3 }}
{STACK}
"#
    )
}

fn mm1(streams: &str) -> String {
    format!(
        r#"
schema = 1
[run]
duration = "1250000s"
streams = "{streams}"
[upstream]
kind = "station"
servers = 1
service = {{ dist = "exponential", mean = "1s" }}
[[class]]
name = "request"
arrival = {{ process = "poisson", rate = 0.8 }}
"#
    )
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for streams in ["entity", "sequential"] {
        for rate in [10, 30, 80] {
            let name = format!("vLLM H100, 100,000 requests at {rate}/s, {streams} streams");
            cases.push(Case { name, scenario: vllm(rate, 100_000, streams) });
        }
        cases.push(Case { name: format!("M/M/1, 1,000,000 requests, {streams} streams"), scenario: mm1(streams) });
    }
    let name = "vLLM H100, 1,000,000 requests at 30/s, entity streams".to_owned();
    cases.push(Case { name, scenario: vllm(30, 1_000_000, "entity") });
    cases
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("--case") {
        let index: usize = arguments.next().and_then(|text| text.parse().ok()).expect("this program starts itself");
        measure(&cases()[index]);
        return;
    }
    let myself = std::env::current_exe().expect("a running program has a path");
    let title = "median of 5 runs, each a process on one thread";
    println!("{title:<58} {:>12} {:>12} {:>12} {:>10}", "requests/s", "events/s", "turns/s", "peak MB");
    for (index, case) in cases().iter().enumerate() {
        let mut runs: Vec<[f64; 4]> = (0..RUNS).map(|_| start(&myself, index)).collect();
        let median = |runs: &mut Vec<[f64; 4]>, column: usize| {
            runs.sort_by(|a, b| a[column].total_cmp(&b[column]));
            runs[RUNS / 2][column]
        };
        let [requests, events, turns, peak] = [0, 1, 2, 3].map(|column| median(&mut runs, column));
        println!("{:<58} {requests:>12.0} {events:>12.0} {turns:>12.0} {peak:>10.1}", case.name);
    }
}

fn start(myself: &std::path::Path, index: usize) -> [f64; 4] {
    let output = Command::new(myself).args(["--case", &index.to_string()]).output().expect("this program runs");
    let text = String::from_utf8(output.stdout).expect("it prints numbers");
    let mut numbers = text.split_whitespace().map(|word| word.parse().expect("it prints numbers"));
    [(); 4].map(|()| numbers.next().expect("it prints four"))
}

fn measure(case: &Case) {
    let scenario = Scenario::parse(&case.name, &case.scenario, &[]).expect("the bench's own scenarios are right");
    let mut prepared = prepare(&scenario).expect("they name no files");
    let plan = prepared.plans.remove(0);
    let before = cpu_s();
    let tally = World::new(&plan, 0, None).run();
    let spent = cpu_s() - before;
    let class = &tally.classes[0];
    assert_eq!(class.offered, class.completed(), "every request is served to its end");
    println!("{} {} {} {}", class.offered as f64 / spent, tally.events as f64 / spent, tally.turns as f64 / spent, peak_mb());
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The process's high-water mark of resident memory; 0 where the system does not say.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

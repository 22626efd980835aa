//! How fast a search is: 1,000 settings of the seeds' server, with and without racing, on one thread and on two.
//!
//! `cargo bench --bench tune` runs every case in a process of its own and prints wall and CPU time, and the parallel
//! efficiency on two cores: time on one thread / (2 x time on two), by the wall clock, and beside it how busy the two threads
//! were (CPU time / (2 x wall)), which other people's work on the machine moves less. One thread and two take turns, and the
//! efficiency is the median over the rounds: a machine's speed drifts over minutes. *Fixed* runs all 1,000 settings over 30
//! whole replications each; *racing* is successive halving. Both end with the same selection and confirmation.

use std::process::Command;

use plimsoll::scenario::{Scenario, TuneSettings};
use plimsoll::sim::prepare;
use plimsoll::tune::{Around, Case, Futures, Nobody, RobustBy, Scene, Task, tune};
use rustix::time::{ClockId, clock_gettime};

/// What the program allocates with: see `src/main.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of each case, of which the median is printed.
const RUNS: usize = 3;

/// Name, method, and a budget that pays for it: of `sobol` two fifths go to the screening.
const METHODS: [(&str, &str, u32); 2] =
    [("fixed: 1,000 settings x 30 replications", "sobol", 75_000), ("racing: 1,000 settings", "halving", 6_000)];

/// What is tuned of `scenarios/seed_server.toml`, at 100 % load.
const TUNE: &str = r#"
[tune]
variant = "stage 2 (graduated)"
objective = "goodput_fraction"
candidates = 1000
[[tune.parameter]]
path = "policy.graduated.max_abandoned"
range = [3, 100]
scale = "log"
[[tune.parameter]]
path = "policy.graduated.vllm_rejection_threshold"
range = [0.1, 1.0]
[[tune.parameter]]
path = "policy.queue.max_queue_size"
range = [4, 200]
scale = "log"
[[tune.parameter]]
path = "policy.timeout.request_timeout"
range = ["20s", "300s"]
scale = "log"
"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, method, threads] = &arguments[..]
        && flag == "--case"
    {
        let number = |text: &String| text.parse().expect("this program starts itself");
        measure(number(method), number(threads));
        return;
    }
    println!(
        "{:<42} {:>12} {:>12} {:>9} {:>9} {:>9} {:>11} {:>6} {:>9}",
        format!("median of {RUNS} runs"),
        "simulations",
        "requests",
        "CPU s",
        "wall 1",
        "wall 2",
        "efficiency",
        "busy",
        "best"
    );
    for (index, (name, ..)) in METHODS.iter().enumerate() {
        let rounds: Vec<[[f64; 5]; 2]> = (0..RUNS).map(|_| [1, 2].map(|threads| in_a_process(index, threads))).collect();
        let best = rounds[0][0][4];
        let alike = rounds.iter().flatten().all(|run| run[4].to_bits() == best.to_bits());
        assert!(alike, "the number of threads changes the outcome");
        let of = |figure: &dyn Fn(&[[f64; 5]; 2]) -> f64| median(rounds.iter().map(figure).collect());
        println!(
            "{name:<42} {:>12.0} {:>12.0} {:>9.1} {:>9.1} {:>9.1} {:>9.0} % {:>4.0} % {best:>9.4}",
            of(&|[_, two]| two[2]),
            of(&|[_, two]| two[3]),
            of(&|[_, two]| two[1]),
            of(&|[one, _]| one[0]),
            of(&|[_, two]| two[0]),
            of(&|[one, two]| 100.0 * one[0] / (2.0 * two[0])),
            of(&|[_, two]| 100.0 * two[1] / (2.0 * two[0]))
        );
    }
}

/// Wall and CPU seconds, simulations, requests, and the best value found.
fn in_a_process(method: usize, threads: usize) -> [f64; 5] {
    let myself = std::env::current_exe().expect("a running program has a path");
    let arguments = ["--case", &method.to_string(), &threads.to_string()];
    let output = Command::new(&myself).args(arguments).output().expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it prints numbers");
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().expect("it prints numbers"));
    [(); 5].map(|()| numbers.next().expect("it prints five"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(method: usize, threads: usize) {
    let (scene, settings, task) = asked(METHODS[method].1, METHODS[method].2);
    let seed = scene.scenario.run.seed;
    let scenes = [scene];
    let futures = Futures { scenes: &scenes, cases: vec![Case::EXPECTED], held_out: Vec::new(), by: RobustBy::Worst };
    let settings = task.settings(&settings, &[&scenes[0].scenario], seed);
    let around = Around { replications: 0, rows: 0 };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    let (wall, cpu) = (seconds(ClockId::Monotonic), seconds(ClockId::ProcessCPUTime));
    let tuned = pool.install(|| tune(&task, &futures, &settings, around, &Nobody)).expect("the budget is large enough");
    let (wall, cpu) = (seconds(ClockId::Monotonic) - wall, seconds(ClockId::ProcessCPUTime) - cpu);
    let spent = &tuned.outcome.spent;
    let all = [spent.screening, spent.selection, spent.confirmation];
    let simulations: f64 = all.iter().map(|phase| phase.simulations).sum();
    let requests: u64 = all.iter().map(|phase| phase.requests).sum();
    let best = tuned.outcome.best().expect("something is found");
    println!("{wall} {cpu} {simulations} {requests} {best}");
}

/// The scenario, ready to run, and what is asked of it.
fn asked(method: &str, simulations: u32) -> (Scene, TuneSettings, Task) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/seed_server.toml");
    let text = std::fs::read_to_string(file).expect("the scenario is shipped");
    let text = text.split("[sweep]").next().expect("there is something before it").to_owned();
    let text = format!("{text}{TUNE}")
        .replace("candidates =", &format!("method = \"{method}\"\nsimulations = {simulations}\ncandidates ="));
    let scenario = Scenario::parse("seed_server.toml", &text, &[]).expect("the bench's own scenario is right");
    let settings = scenario.file.tune.clone().expect("it has the section");
    let task = Task::read(&scenario, &settings).expect("the section is right");
    let prepared = prepare(&scenario).expect("it names no files");
    let scene = Scene::new("seed_server".to_owned(), scenario, prepared, &task, settings.variant.as_deref());
    (scene.expect("it is the scenario that asks"), settings, task)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

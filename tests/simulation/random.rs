//! Random scenarios, drawn from a seed: every kind of arrival, length, client, policy and server, small and short.

use std::fmt::Write as _;

use crate::common::Dice;

const MODES: [&str; 4] = ["enforce", "enforce", "enforce", "observe"];

/// The scenario that `seed` stands for, as TOML. It has one replication and one variant.
pub fn scenario(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let mut text = "schema = 1\n".to_owned();
    run(&mut dice, &mut text, seed);
    let kind = dice.below(4);
    let (station, is_metered) = (kind == 0, kind == 1);
    let upstream = [station_of, metered, vllm, vllm][usize::try_from(kind).expect("below 4")];
    upstream(&mut dice, &mut text);
    let shared = dice.one_in(2);
    if shared {
        let _ = writeln!(text, "[arrival]\n{}", arrival(&mut dice).replace(", ", "\n").replace('|', ", "));
    }
    for class in 0..=dice.below(3) {
        self::class(&mut dice, &mut text, class, shared, station);
    }
    policy(&mut dice, &mut text);
    // A metered API has no load 1.0.
    if is_metered { text.replace("load = 0.8", "rate = 3").replace("load = 2", "rate = 9") } else { text }
}

fn run(dice: &mut Dice, text: &mut String, seed: u64) {
    let duration = 10 + dice.below(60);
    let warmup = dice.pick(&[0, 0, 5, duration - 1]);
    let streams = dice.pick(&["entity", "entity", "sequential"]);
    let _ = write!(text, "[run]\nseed = {seed}\nreplications = 1\nduration = '{duration}s'\nwarmup = '{warmup}s'\n");
    let _ = writeln!(text, "streams = '{streams}'");
    if dice.one_in(2) {
        let _ = writeln!(text, "drain = '{}s'", dice.pick(&[0, 1, 30, 300]));
    }
}

fn station_of(dice: &mut Dice, text: &mut String) {
    let _ = writeln!(text, "[upstream]\nkind = 'station'\nservers = {}", 1 + dice.below(6));
    let _ = writeln!(text, "service = {}", span(dice, 600));
    if dice.one_in(3) {
        let _ = writeln!(text, "places = {}", 6 + dice.below(10));
    }
}

fn vllm(dice: &mut Dice, text: &mut String) {
    let preset = dice.pick(&["cpu-16m", "cpu-16m", "llama-3.1-8b-h100", "llama-3.1-8b-a100"]);
    let seqs = 1 + dice.below(16);
    let _ = writeln!(text, "[upstream]\nkind = 'vllm'\npreset = '{preset}'\nmax_num_seqs = {seqs}");
    let _ = writeln!(text, "max_num_batched_tokens = {}", seqs + dice.below(500));
    if dice.one_in(2) {
        // Far too few for the batch: preemptions, and prompts that never fit.
        let _ = writeln!(text, "num_gpu_blocks = {}", 8 + dice.below(120));
    }
    let optional = [
        ("block_size", dice.pick(&[1, 16, 32])),
        ("max_num_queued_reqs", 1 + dice.below(20)),
        ("max_num_queued_tokens", 1 + dice.below(3_000)),
        ("max_model_len", 300 + dice.below(600)),
        ("replicas", 1 + dice.below(3)),
    ];
    for (key, value) in optional {
        if dice.one_in(4) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    if dice.one_in(3) {
        text.push_str("routing = 'least_loaded'\n");
    }
    if dice.one_in(4) {
        text.push_str("enable_prefix_caching = false\n");
    }
    if dice.one_in(4) {
        let _ = writeln!(text, "speed = {}\nspeed_sigma = 0.{}", dice.pick(&["0.3", "1", "2.5"]), dice.below(4));
    }
    if dice.one_in(4) {
        // A slow host, down to costs below a nanosecond.
        let host = "request = '3ms', cancel = '1ms', step = '0.7ns', token = '130us', delay_in = '6ms', delay_out = '4ms'";
        let _ = writeln!(text, "host = {{ {host} }}");
    }
}

fn metered(dice: &mut Dice, text: &mut String) {
    let _ = writeln!(text, "[upstream]\nkind = 'token_api'\nerror_rate = {}", dice.pick(&["0", "0.1"]));
    let limiter = dice.pick(&[
        "kind = 'continuous', burst = 0.5",
        "kind = 'quantised', quantum = '1500ms'",
        "kind = 'calendar', phase = '50s'",
        "kind = 'reserve_and_settle'",
    ]);
    let _ = writeln!(text, "limiter = {{ {limiter} }}\nrefused_after = '{}ms'", dice.pick(&[0, 0, 80]));
    let _ = writeln!(text, "latency = {{ first_token = {}, per_output_token = '9ms', sigma = 0.4 }}", span(dice, 400));
    if !dice.one_in(4) {
        let _ = writeln!(text, "tokens_per_minute = {}\nrequests_per_minute = 200", 1_000 + dice.below(300_000));
    }
    if dice.one_in(2) {
        let outages = "up = { dist = 'exponential', mean = '9s' }, down = { dist = 'exponential', mean = '4s' }";
        let place = dice.pick(&["before", "behind"]);
        let _ = writeln!(text, "proxy = {{ place = '{place}', rotating = {{ {outages}, slow = {} }} }}", span(dice, 3_000));
    }
}

/// The fields of an arrival process, `, ` between them (and `|` inside lists).
fn arrival(dice: &mut Dice) -> String {
    let rate = |dice: &mut Dice| {
        let mut text = dice.pick(&["rate = 1.5", "rate = 4", "rate = 12", "load = 0.8", "load = 2"]).to_owned();
        if dice.one_in(4) {
            text += ", steps = [{ at = '3s'| factor = 0 }| { at = '7s'| factor = 3 }]";
        }
        if dice.one_in(4) {
            text += ", sine = { amplitude = 1| period = '9s' }";
        }
        if dice.one_in(4) {
            text += ", spikes = [{ at = '4s'| lasting = '3s'| factor = 8 }]";
        }
        text
    };
    match dice.below(7) {
        0 => format!("process = 'constant', {}", rate(dice)),
        1 => format!("process = 'gamma', burstiness = {}, {}", dice.pick(&["0.2", "3"]), rate(dice)),
        2 => format!("process = 'weibull', shape = {}, {}", dice.pick(&["0.5", "2"]), rate(dice)),
        3 => format!("process = 'on_off', on_rate = {}, mean_on = '3s', mean_off = '5s'", 2 + dice.below(20)),
        // Seldom without a pause: whoever is refused then comes back a thousand times a second.
        4 if dice.one_in(8) => format!("process = 'closed_loop', clients = {}", 1 + dice.below(3)),
        4 => format!("process = 'closed_loop', clients = {}, think = {{ dist = 'fixed'| value = '100ms' }}", 1 + dice.below(8)),
        5 => format!(
            "process = 'closed_loop', clients = {}, think = {}",
            1 + dice.below(20),
            span(dice, 900).replace(", ", "| ")
        ),
        _ => format!("process = 'poisson', {}", rate(dice)),
    }
}

/// A distribution of times with a mean of about `mean_ms`.
fn span(dice: &mut Dice, mean_ms: u64) -> String {
    let mean = 1 + dice.below(2 * mean_ms);
    match dice.below(7) {
        0 => format!("{{ dist = 'fixed', value = '{mean}ms' }}"),
        1 => format!("{{ dist = 'uniform', min = '0s', max = '{}ms' }}", 2 * mean),
        2 => format!("{{ dist = 'normal', mean = '{mean}ms', sd = '{mean}ms', min = '1ms', max = '{}ms' }}", 3 * mean),
        3 => format!("{{ dist = 'lognormal', mean = '{mean}ms', sigma = 1.5 }}"),
        4 => format!("{{ dist = 'gamma', mean = '{mean}ms', cv = {} }}", dice.pick(&["0.3", "2"])),
        5 => format!("{{ dist = 'histogram', edges = ['0s', '1ms', '{}ms'], weights = [1, 2] }}", 2 + 2 * mean),
        _ => format!("{{ dist = 'exponential', mean = '{mean}ms' }}"),
    }
}

/// A distribution of tokens with a mean of about `mean`.
fn tokens(dice: &mut Dice, mean: u64) -> String {
    match dice.below(4) {
        0 => format!("{{ dist = 'fixed', value = {} }}", 1 + dice.below(2 * mean)),
        1 => format!("{{ dist = 'uniform', min = 1, max = {} }}", 2 * mean),
        2 => format!("{{ dist = 'lognormal', mean = {mean}, sigma = 1, max = {} }}", 20 * mean),
        _ => format!("{{ dist = 'exponential', mean = {mean} }}"),
    }
}

fn class(dice: &mut Dice, text: &mut String, number: u64, shared: bool, station: bool) {
    let _ = writeln!(text, "[[class]]\nname = 'c{number}'\npriority = {}", dice.below(3));
    if !shared {
        let _ = writeln!(text, "arrival = {{ {} }}", arrival(dice).replace('|', ","));
    }
    let _ = writeln!(text, "input = {}\noutput = {}", tokens(dice, 150), tokens(dice, 40));
    let optional = [
        "max_tokens = 30",
        "slo = { ttft = '2s', tpot = '100ms', e2e = '6s' }",
        "estimate_sigma = 0.5",
        "prefix = { groups = 3, tokens = 100 }",
        "tenants = 4",
        "streaming = false",
        "grounded = 0.4\ngrounded_usage_ratio = { dist = 'lognormal', mean = 4, sigma = 1 }",
        "vantage_policy = { ALS_ONLY = 1, ALS_PLUS_PROXY = 1, PROXY_ONLY = 1, NONE = 1 }",
        "usage_ratio = { dist = 'uniform', min = 0, max = 2 }",
    ];
    for setting in optional {
        if dice.one_in(3) {
            let _ = writeln!(text, "{setting}");
        }
    }
    if station && dice.one_in(2) {
        let _ = writeln!(text, "patience = {}", span(dice, 2_000));
    }
    if dice.one_in(2) {
        let limits = ["first_token = '1.5s'", "total = '4s'", "first_token = '900ms', total = '2s'"];
        let _ = writeln!(text, "timeout = {{ {}, announce = {} }}", dice.pick(&limits), dice.one_in(2));
    }
    if dice.one_in(2) {
        let _ = write!(text, "retry = {{ max_attempts = {}, backoff_base = '200ms', backoff_cap = '3s'", 1 + dice.below(5));
        let _ = write!(text, ", honour_retry_after = {}", dice.one_in(2));
        text.push_str(dice.pick(&["", "", ", on = ['rejected']", ", on = ['gave_up', 'failed']"]));
        text.push_str(dice.pick(&["", "", ", budget = { ratio = 0.1, burst = 3 }"]));
        text.push_str(" }\n");
    }
}

fn policy(dice: &mut Dice, text: &mut String) {
    let deadline = dice.one_in(2);
    if deadline {
        let _ = writeln!(
            text,
            "[policy.timeout]\nmode = '{}'\nrequest_timeout = '{}ms'",
            dice.pick(&MODES),
            200 + dice.below(6_000)
        );
        let _ = writeln!(text, "timeout_from = '{}'", dice.pick(&["dispatch", "arrival"]));
        let _ = writeln!(text, "on_timeout = '{}'", dice.pick(&["cancel", "abandon", "abandon"]));
        let _ = writeln!(text, "on_client_gone = '{}'", dice.pick(&["cancel", "run_on"]));
    }
    if dice.one_in(2) {
        let _ = writeln!(text, "[policy.graduated]\nmode = '{}'\nmax_abandoned = {}", dice.pick(&MODES), 1 + dice.below(6));
        let _ = writeln!(text, "vllm_rejection_threshold = {}", dice.pick(&["0", "0.5", "0.7", "1"]));
        let _ = writeln!(text, "at = '{}'", dice.pick(&["arrival", "dispatch"]));
        let _ = writeln!(text, "forget = '{}'", dice.pick(&["never", "reset", "decay", "gauge"]));
        text.push_str("reset_interval = '7s'\nhalf_life = '3s'\nlease = '4s'\n");
    }
    if dice.one_in(2) {
        let _ = writeln!(text, "[policy.concurrency]\nmode = '{}'", dice.pick(&MODES));
        let _ = writeln!(text, "max_concurrent_requests = {}", 1 + dice.below(12));
    }
    if dice.one_in(2) {
        queue(dice, text, deadline);
    }
}

fn queue(dice: &mut Dice, text: &mut String, deadline: bool) {
    let _ = writeln!(text, "[policy.queue]\nmode = '{}'\nmax_queue_size = {}", dice.pick(&MODES), 1 + dice.below(30));
    let _ = writeln!(text, "queue_rejection_threshold = {}", dice.pick(&["0", "0.3", "0.8", "1"]));
    let orders: &[&str] =
        if deadline { &["fifo", "lifo", "weighted_fair", "adaptive_lifo"] } else { &["fifo", "lifo", "weighted_fair"] };
    let order = dice.pick(orders);
    let _ = writeln!(text, "order = '{order}'\nby_priority = {}", order != "weighted_fair" && dice.one_in(2));
    if dice.one_in(3) {
        let _ = writeln!(text, "max_queue_tokens = {}", 500 + dice.below(5_000));
    }
    if deadline {
        let _ = writeln!(text, "deadline_aware = {}", dice.one_in(2));
        text.push_str(dice.pick(&["", "codel = {}\n"]));
    } else {
        text.push_str(dice.pick(&["", "codel = { target = '50ms', interval = '300ms' }\n"]));
    }
}

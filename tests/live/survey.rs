//! A survey of a server whose costs are known, in memory and under a clock that jumps from event to event.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::calibrate::{Calibration, KvCache, Run, calibrate, read_into};
use plimsoll::live::drive::{Line, Prompts, TERMS, Way, read_limits, write_lines};
use plimsoll::live::emulate::Server;
use plimsoll::live::http::{Network, Pool};
use plimsoll::live::survey::{Bounds, News, Surveyed, Terms, survey};
use plimsoll::sim::World;
use plimsoll::upstream::Cost;

use super::emulate::{plan, settings};

/// A small server; what stands in braces is its costs.
const SERVER: &str = r#"
schema = 1
[run]
seed = 5
replications = 1
duration = "30s"
warmup = "0s"
[upstream]
kind = "vllm"
num_gpu_blocks = 1024
block_size = 16
max_num_seqs = 8
max_num_batched_tokens = 512
max_model_len = 1024
{}
[[class]]
name = "chat"
arrival = { process = "closed_loop", clients = 8 }
input = { dist = "uniform", min = 20, max = 200 }
output = { dist = "uniform", min = 10, max = 60 }
"#;

const TRUE: &str = r#"cost = { t0 = "9ms", t0p = "1ms", tp = "90us", td = "400us", tk = "1us" }
host = { step = "1ms", delay_in = "2ms", delay_out = "1ms" }
"#;

async fn surveyed(folder: PathBuf, budget: Duration) -> Surveyed {
    let server = Server::start(settings(&SERVER.replace("{}", TRUE), &[]));
    let (network, mut accepted) = Network::new();
    tokio::spawn(async move {
        while let Some(io) = accepted.recv().await {
            tokio::spawn(Arc::clone(&server).serve(io));
        }
    });
    let way = Way {
        pool: Pool::in_memory("http://emulated:1".parse().unwrap(), network),
        terms: TERMS,
        model: "tiny".to_owned(),
        key: None,
        prompts: Prompts { vocabulary: 500, seed: 1, step: 0 },
        idle_timeout: Duration::from_secs(30),
    };
    let limits = read_limits(&way).await;
    assert_eq!((limits.num_gpu_blocks.unwrap().value, limits.block_size.unwrap().value), (1024, 16));
    let bounds = Bounds { batch: 8, step_tokens: 512, context: 1024, kv_tokens: 1024 * 16, block: 16 };
    let mut keep = |name: &str, lines: &[Line]| {
        assert!(lines.iter().all(|line| line.prompt + line.max_tokens <= 1024));
        write_lines(&folder.join(format!("{name}.jsonl")), lines)
    };
    let mut told = Vec::new();
    let mut tell = |news: &News<'_>| told.push(news.number);
    let done = survey(&way, bounds, Terms { budget, seed: 1 }, &mut keep, &mut tell).await;
    let done = done.unwrap_or_else(|halt| panic!("{halt}"));
    assert!(told.is_sorted() && told.last() == Some(&(done.fit.len() + done.hold_out.len())));
    done
}

fn fitted(folder: &std::path::Path, names: &[String]) -> Calibration {
    let mut runs: Vec<Run> = Vec::new();
    for name in names {
        read_into(&mut runs, &folder.join(format!("{name}.jsonl"))).unwrap();
    }
    let runs: Vec<&Run> = runs.iter().collect();
    calibrate(&runs, KvCache { tokens: 16_384.0, block: 16.0 }, 1).unwrap()
}

fn picos(seconds: f64) -> String {
    format!("{}ns", (seconds * 1e9).round())
}

/// Every cost within 15 % of the truth (a step's own within 3 %), the capacity within 3 %; nothing of it drifts.
#[tokio::test(start_paused = true)]
async fn what_is_fitted_is_what_the_server_costs() {
    let folder = tempfile::tempdir().unwrap();
    let survey = surveyed(folder.path().to_owned(), Duration::from_secs(60)).await;
    assert_eq!(survey.hold_out.len(), 3);
    // A B C, C B A: the last of the first pass is the first of the second.
    let number = |name: &String| name.split('-').next().unwrap().parse::<usize>().unwrap();
    assert!(survey.twice.iter().all(|(a, b)| number(a) + number(b) == number(&survey.twice[0].0) + number(&survey.twice[0].1)));
    let found = fitted(folder.path(), &survey.fit);
    let Cost { t0, t0p, tp, td, tk } = found.cost();
    for (name, is, truth, within) in [
        // What passes between two steps cannot be told from the step from outside.
        ("t0", t0, 10.0e9, 0.03),
        ("t0p", t0p, 1.0e9, 0.5),
        ("tp", tp, 90.0e6, 0.05),
        ("td", td, 400.0e6, 0.15),
        ("tk", tk, 1.0e6, 0.15),
    ] {
        let off = is as f64 / truth - 1.0;
        assert!(off.abs() <= within, "{name}: {is} ps, off by {off:+.3}; {:?}", found.step);
    }
    let way = found.way_s.unwrap();
    assert!((0.002..0.006).contains(&way), "{way}");
    assert!(found.speed_sigma.unwrap() < 0.02, "{:?}", found.stretches);
    // The same closed loop on both.
    let [t0, t0p, tp, td, tk] = [t0, t0p, tp, td, tk].map(|cost| picos(cost as f64 * 1e-12));
    let half = picos(way / 2.0);
    let costs = format!(
        "cost = {{ t0 = \"{t0}\", t0p = \"{t0p}\", tp = \"{tp}\", td = \"{td}\", tk = \"{tk}\" }}\n\
         host = {{ delay_in = \"{half}\", delay_out = \"{half}\" }}\n"
    );
    let completed = |costs: &str| World::new(&plan(&SERVER.replace("{}", costs)), 0, None).run().classes[0].completed() as f64;
    let (is, truth) = (completed(&costs), completed(TRUE));
    assert!(truth > 100.0 && (is / truth - 1.0).abs() < 0.03, "{is} and {truth}");
}

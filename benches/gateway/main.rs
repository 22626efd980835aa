//! What the gateway costs: beside nginx as a plain proxy, and `LiteLLM`'s proxy as what people use.
//!
//! `cargo bench --bench gateway` starts a trivial upstream and each proxy that it finds (nginx and litellm in the `PATH`, or
//! where `NGINX` and `LITELLM` say) as processes of their own on loopback, and loads them in turn, round by round. CPU time is
//! the proxy's alone, of all its processes, from the kernel's accounts; the machine's speed drifts, so that only ratios inside a
//! run mean something. Figures are medians over the rounds.
//!
//! 1. *Requests*: clients that ask again at once, answers in one piece.
//! 2. *Streams*: clients that read streams of small chunks, a few milliseconds apart.
//! 3. *Latency*: requests at a fixed rate that leaves the machine at most half loaded, from their planned times; what is *added*
//!    is the difference to the same without a proxy.
//! 4. *Open streams*: memory with as many streams open at once as files may be.

mod load;
mod proxies;
mod upstream;

use std::time::Duration;

use load::{Latencies, Load};
use proxies::Proxy;

/// Rounds, of which medians are printed.
const ROUNDS: usize = 5;
/// How long each load lasts.
const LASTS: Duration = Duration::from_secs(4);
/// Clients that ask again at once.
const CLIENTS: usize = 64;
/// Clients that read streams.
const READERS: usize = 64;
/// Requests a second of the latency's part.
const RATES: [u32; 2] = [500, 2_000];
/// Open streams, where the limit on files allows.
const STREAMS: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--upstream") {
        return upstream::run();
    }
    let only = arguments.iter().find(|argument| !argument.starts_with('-')).map(String::as_str);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread can wait");
    runtime.block_on(async {
        let (upstream, proxies) = proxies::start().await;
        let wanted = |part: &str| only.is_none_or(|only| part.contains(only));
        if wanted("requests") {
            requests(&proxies).await;
        }
        if wanted("streams") {
            streams(&proxies).await;
        }
        if wanted("latency") {
            latency(&upstream, &proxies).await;
        }
        if wanted("open") {
            open(&proxies).await;
        }
    });
}

async fn requests(proxies: &[Proxy]) {
    println!("\nrequests: {CLIENTS} clients that ask again at once, median of {ROUNDS} rounds of {} s", LASTS.as_secs());
    println!("{:<12} {:>12} {:>16} {:>20} {:>14}", "", "requests/s", "CPU us/request", "requests/CPU second", "CPU to nginx");
    let seen = rounds(proxies, |proxy| async move {
        let load = Load { lasts: LASTS, clients: CLIENTS, streams: false };
        let before = proxy.cpu();
        let count = load.run(&proxy.at).await;
        Seen { count: count.requests as f64, cpu: proxy.cpu() - before }
    })
    .await;
    table(proxies, &seen);
}

async fn streams(proxies: &[Proxy]) {
    let (chunks, gap) = (upstream::CHUNKS, upstream::GAP.as_millis());
    println!("\nstreams: {READERS} clients, {chunks} chunks each stream, {gap} ms apart, median of {ROUNDS} rounds");
    println!("{:<12} {:>12} {:>16} {:>20} {:>14}", "", "chunks/s", "CPU us/chunk", "chunks/CPU second", "CPU to nginx");
    let seen = rounds(proxies, |proxy| async move {
        let load = Load { lasts: LASTS, clients: READERS, streams: true };
        let before = proxy.cpu();
        let count = load.run(&proxy.at).await;
        Seen { count: count.chunks as f64, cpu: proxy.cpu() - before }
    })
    .await;
    table(proxies, &seen);
}

/// What a load did, and took.
#[derive(Copy, Clone)]
struct Seen {
    count: f64,
    /// CPU seconds.
    cpu: f64,
}

/// Each proxy's rounds; the proxies take turns.
async fn rounds<'a, F: Future<Output = Seen>>(proxies: &'a [Proxy], load: impl Fn(&'a Proxy) -> F) -> Vec<Vec<Seen>> {
    let mut seen = vec![Vec::new(); proxies.len()];
    for _ in 0..ROUNDS {
        for (proxy, seen) in proxies.iter().zip(&mut seen) {
            seen.push(load(proxy).await);
        }
    }
    seen
}

fn table(proxies: &[Proxy], seen: &[Vec<Seen>]) {
    let each = |seen: &[Seen]| median(seen.iter().map(|one| 1e6 * one.cpu / one.count.max(1.0)).collect());
    let nginx = proxies.iter().position(|proxy| proxy.name == "nginx").map(|place| each(&seen[place]));
    for (proxy, seen) in proxies.iter().zip(seen) {
        let rate = median(seen.iter().map(|one| one.count / LASTS.as_secs_f64()).collect());
        let cost = each(seen);
        let ratio = nginx.map_or("-".to_owned(), |nginx| format!("{:.2}", cost / nginx));
        println!("{:<12} {rate:>12.0} {cost:>16.2} {:>20.0} {ratio:>14}", proxy.name, 1e6 / cost);
    }
}

async fn latency(upstream: &str, proxies: &[Proxy]) {
    println!("\nlatency from the planned time, ms, median of {ROUNDS} rounds; added: less what it is without a proxy");
    println!(
        "{:<12} {:>10} {:>8} {:>8} {:>10} {:>10} {:>14}",
        "", "requests/s", "p50", "p99", "added p50", "added p99", "machine busy"
    );
    let direct = ("no proxy".to_owned(), upstream.to_owned());
    let each = proxies.iter().map(|proxy| (proxy.name.to_owned(), proxy.at.clone()));
    let ways: Vec<(String, String)> = std::iter::once(direct).chain(each.filter(|(name, _)| name != "litellm")).collect();
    for rate in RATES {
        let mut seen: Vec<Vec<(Latencies, f64)>> = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for ((_, at), seen) in ways.iter().zip(&mut seen) {
                let before = proxies::machine();
                let latencies = load::at_a_rate(at, rate, LASTS).await;
                seen.push((latencies, proxies::busy(before, proxies::machine())));
            }
        }
        let of = |way: usize, what: fn(&Latencies) -> f64| median(seen[way].iter().map(|(one, _)| what(one)).collect());
        for (way, (name, _)) in ways.iter().enumerate() {
            let (p50, p99) = (of(way, |one| one.p50), of(way, |one| one.p99));
            let added = if way == 0 {
                ("-".to_owned(), "-".to_owned())
            } else {
                (format!("{:.3}", p50 - of(0, |one| one.p50)), format!("{:.3}", p99 - of(0, |one| one.p99)))
            };
            let busy = median(seen[way].iter().map(|(_, busy)| *busy).collect());
            let (one, other) = added;
            println!("{name:<12} {rate:>10} {p50:>8.3} {p99:>8.3} {one:>10} {other:>10} {:>12.0} %", 100.0 * busy);
        }
    }
}

async fn open(proxies: &[Proxy]) {
    let files = load::files_max();
    // A proxy holds both ends of each.
    let count = STREAMS.min(files.saturating_sub(200) / 2);
    println!("\nopen streams: {count} at once (files allowed: {files}), memory of all the proxy's processes");
    println!("{:<12} {:>12} {:>12} {:>16}", "", "before, MB", "open, MB", "KB a stream");
    for proxy in proxies.iter().filter(|proxy| proxy.name != "litellm") {
        let before = proxy.memory();
        let held = load::hold(&proxy.at, count).await;
        let open = proxy.memory();
        println!("{:<12} {before:>12.0} {open:>12.0} {:>16.1}", proxy.name, 1e3 * (open - before) / count as f64);
        drop(held);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

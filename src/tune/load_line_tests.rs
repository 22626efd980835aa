//! Load lines of queues whose answer is known.

use super::*;
use crate::scenario::Scenario;
use crate::sim::prepare;

/// One server, exponential service of mean 1 s, Poisson arrivals at half its rate, for six thousand seconds.
const QUEUE: &str = "
schema = 1
[run]
duration = '6000s'
warmup = '200s'
drain = '100s'
[upstream]
kind = 'station'
servers = 1
service = { dist = 'exponential', mean = '1s' }
[[class]]
name = 'all'
arrival = { process = 'poisson', rate = 0.5 }
";

fn lines(text: &str, levels: &[&str]) -> Vec<LoadLine> {
    let scenario = Scenario::parse("queue.toml", text, &[]).unwrap();
    let prepared = prepare(&scenario).unwrap();
    let level = |text: &&str| {
        let (name, bound) = Bound::split(text).unwrap();
        (name.parse().unwrap(), bound)
    };
    let question = Question { levels: levels.iter().map(level).collect(), replications: 6, tolerance: 0.01 };
    load_lines(&prepared.plans, &prepared.context, &question, &|| ())
}

#[test]
fn a_queues_quantile_bounds_its_load_where_theory_says() {
    // M/M/1: the time in system is exponential with rate mu - lambda, so its 90th percentile is ln 10 / (mu - lambda).
    let line = lines(QUEUE, &["p90_e2e_s<=8"]).remove(0);
    let theory = 1.0 - libm::log(10.0) / 8.0;
    let interval = line.rps.interval(0.99).unwrap();
    assert!(interval.lo - 0.01 <= theory && theory <= interval.hi + 0.01, "{interval:?} and not {theory}");
    assert_eq!(line.ends()[0].0, End::Level(0));
}

#[test]
fn a_load_beyond_the_servers_rate_is_never_sustained() {
    let line = lines(QUEUE, &[]).remove(0);
    assert!((0.85..=1.1).contains(&line.rps.mean), "{}", line.rps.mean);
    assert!(line.ends().iter().all(|(end, _)| matches!(end, End::Unstable(_))));
}

#[test]
fn a_level_that_no_load_can_hold_is_a_line_of_zero() {
    let line = lines(QUEUE, &["p50_e2e_s<=0.1"]).remove(0);
    assert!(line.rps.mean <= 0.0);
    // The median of an exponential time of mean 1 s.
    let alone: Vec<f64> = line.brackets.iter().map(|bracket| bracket.alone.unwrap()).collect();
    assert!((crate::stats::mean(&alone).unwrap() - 0.69).abs() < 0.15, "{alone:?}");
}

/// The slowest hundredth of lone requests takes more than 4.6 s. At a thousandth of the load three come, and they are not among it.
#[test]
fn that_hardly_anyone_came_holds_no_level() {
    let line = lines(QUEUE, &["p99_e2e_s<=2.5"]).remove(0);
    assert!(line.rps.mean <= 0.0, "{:?}", line.brackets);
    assert!(line.brackets.iter().all(|bracket| bracket.end == End::Level(0) && bracket.alone.unwrap() > 2.5));
}

/// A class that nobody answers has no latencies: its level is not seen to hold, at any load.
#[test]
fn a_level_that_is_never_shown_does_not_hold() {
    let impatient = "[[class]]\nname = 'hasty'\ntimeout = { total = '1ns' }\narrival = { process = 'poisson', rate = 0.004 }\n";
    let line = lines(&format!("{QUEUE}{impatient}"), &["p90_e2e_s{class=hasty}<=8"]).remove(0);
    assert!(line.rps.mean <= 0.0 && line.brackets.iter().all(|bracket| bracket.end == End::NotShown(0)), "{:?}", line.brackets);
}

#[test]
fn a_variant_with_arrivals_of_its_own_has_a_unit_of_its_own() {
    let two =
        format!("{QUEUE}[[variant]]\nname = 'half'\n[[variant]]\nname = 'tenth'\nset = {{ 'class[0].arrival.rate' = 0.1 }}\n");
    let lines = lines(&two, &["p90_e2e_s<=8"]);
    assert!(
        (lines[0].rps.mean - lines[1].rps.mean).abs() < 0.08,
        "the same server: {} {}",
        lines[0].rps.mean,
        lines[1].rps.mean
    );
}

#[test]
fn in_a_closed_loop_more_clients_are_not_as_many_more_requests() {
    let closed = QUEUE.replace("{ process = 'poisson', rate = 0.5 }", "{ process = 'closed_loop', clients = 2 }");
    // Clients without a thought keep the server busy: it completes one a second, however many they are.
    let line = lines(&closed, &["p50_e2e_s<=12"]).remove(0);
    assert!(
        line.brackets[0].sustained > 3.0 && (line.rps.mean - 1.0).abs() < 0.1,
        "{} {}",
        line.brackets[0].sustained,
        line.rps.mean
    );
}

#[test]
fn lines_are_paired_on_the_same_requests() {
    let two = format!("{QUEUE}[[variant]]\nname = 'one'\n[[variant]]\nname = 'faster'\nupstream = {{ servers = 2 }}\n");
    let lines = lines(&two, &["p90_e2e_s<=8"]);
    let gain = lines[1].minus(&lines[0], 0.95).unwrap();
    let interval = gain.interval.unwrap();
    assert!(interval.lo > 0.7 && interval.hi < 1.4, "a second server is worth about another: {gain:?}");
}

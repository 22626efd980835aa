//! Seed 000's own test plan, in the simulator: generate timeouts, check the response at 60, 70, 85 and 100 % of capacity,
//! wait five minutes, see the reset in the statistics.

use std::fmt::Write;
use std::fs;

use plimsoll::journal::Tally;
use plimsoll::policy::rejection_probability;
use plimsoll::request::Reason;
use plimsoll::scenario::Scenario;
use plimsoll::sim::{prepare, run_all};
use plimsoll::time::{Span, Time};

/// Capacity for abandoned work: with 20, all four levels are whole calls.
const CAPACITY: u32 = 20;
/// Requests that try their luck at each level.
const PROBES: u32 = 4_000;
/// Of those after the five minutes.
const AFTER: u32 = 200;

/// Seeds 000 and 001's policies without their queue and slots, so that nothing but abandoned work refuses. Calls that time
/// out need 16,000 tokens, 80 s on this server; probes need one.
const SCENARIO: &str = "
schema = 1
policy.timeout = { on_timeout = 'abandon', on_client_gone = 'run_on' }
policy.graduated = { max_abandoned = 20 }
[run]
duration = '310s'
[upstream]
kind = 'vllm'
preset = 'llama-3.1-8b-h100'
[arrival]
process = 'recorded'
file = 'plan.csv'
[[class]]
name = 'runaway'
[[class]]
name = 'probe'
[[class]]
name = 'after'
";

/// `runaways` calls at once; after their timeouts probes until the five minutes are over; then some more.
fn plan(runaways: u32) -> String {
    let mut csv = "time,input_tokens,output_tokens,class\n".to_owned();
    let mut row = |at: f64, tokens: u32, class: &str| writeln!(csv, "{at:.6},10,{tokens},{class}").expect("into a string");
    (0..runaways).for_each(|_| row(0.0, 16_000, "runaway"));
    (0..PROBES).for_each(|i| row(62.0 + 236.0 * f64::from(i) / f64::from(PROBES), 1, "probe"));
    (0..AFTER).for_each(|i| row(301.0 + 5.0 * f64::from(i) / f64::from(AFTER), 1, "after"));
    csv
}

fn simulate(runaways: u32) -> Tally {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.csv"), plan(runaways)).unwrap();
    fs::write(folder.path().join("plan.toml"), SCENARIO).unwrap();
    let scenario = Scenario::load(&folder.path().join("plan.toml"), &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    let prepared = prepare(&scenario).unwrap_or_else(|wrong| panic!("{wrong}"));
    run_all(&prepared.plans, 1).remove(0).remove(0)
}

#[test]
fn the_response_at_each_level_and_the_reset_after_five_minutes() {
    for (runaways, probability, reason) in [
        (12, 0.0, Reason::HighCapacity),
        (14, 0.0, Reason::HighCapacity),
        (17, 0.5, Reason::HighCapacity),
        (20, 1.0, Reason::FullCapacity),
    ] {
        let tally = simulate(runaways);
        let [runaway, probe, after] = &tally.classes[..] else { panic!("there are three classes") };
        assert_eq!((runaway.timed_out, tally.abandoned_true_max), (u64::from(runaways), runaways), "timeouts were generated");

        let stated = rejection_probability(f64::from(runaways), CAPACITY, 0.7);
        assert!((stated - probability).abs() < 1e-9, "{runaways}: {stated}");
        let refused: u64 = probe.rejected.iter().sum();
        assert_eq!(refused, probe.rejected[reason as usize], "for the one reason");
        let (mean, sigma) = (f64::from(PROBES) * probability, (f64::from(PROBES) * probability * (1.0 - probability)).sqrt());
        assert!((refused as f64 - mean).abs() <= 4.0 * sigma, "{refused} of {PROBES} refused with {runaways} of {CAPACITY}");

        // What the gateway's statistics said just before and just after.
        let counted = |secs| tally.series.abandoned_counted[tally.series.index(Time::ZERO + Span::from_secs(secs))];
        assert!((counted(299) - f64::from(runaways)).abs() < 1e-9, "forgotten too soon: {}", counted(299));
        assert!(counted(303).abs() < 1e-9, "not forgotten: {}", counted(303));
        assert_eq!((after.offered, after.good), (u64::from(AFTER), u64::from(AFTER)), "a fresh start");
    }
}

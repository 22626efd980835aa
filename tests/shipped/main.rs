//! The shipped scenarios: each loads, says what its figures say, and shows what it claims to show.

mod rungs;
mod seed_plan;

use std::path::Path;

use plimsoll::journal::summary::{PairedMetric, Summary, VariantSummary};
use plimsoll::journal::{Series, Tally};
use plimsoll::scenario::Scenario;
use plimsoll::scenario::lint::{Level, lints, recommended_queue_bound};
use plimsoll::sim::{Prepared, prepare, run, run_all};
use plimsoll::trace;

/// All of them, each with its lints: code, and whether it is a warning.
const SHIPPED: [(&str, &[(&str, bool)]); 9] = [
    ("queue_mmc", &[("offered_load", false)]),
    ("real_vllm_run", &[]),
    ("retry_storm", &[("queue_bound", true), ("unreachable_places", false)]),
    (
        "seed_adapter",
        &[
            ("breaker_opens_on_health", false),
            ("cooldown_below_call", false),
            ("excess_billed_late", false),
            ("finalise_out_of_reach", true),
            ("multiplier_below_admission", true),
            ("settle_unlike_provider", true),
            ("usage_over_reservation", false),
            ("window_over_limit", true),
        ],
    ),
    ("seed_server", &[("unreachable_places", false)]),
    ("tune_queue", &[("offered_load", false), ("unreachable_places", false)]),
    ("vllm_cpu_live", &[("unreachable_places", false)]),
    ("vllm_gpu_live", &[("unreachable_places", false)]),
    ("vllm_overload", &[("offered_load", false), ("offered_load", true), ("queue_bound", true), ("unreachable_places", false)]),
];

fn shipped(name: &str, sets: &[&str]) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Scenario::load(&path, &sets).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn prepared(scenario: &Scenario) -> Prepared {
    prepare(scenario).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn summary(scenario: &Scenario) -> Summary {
    let prepared = prepared(scenario);
    run(&prepared.plans, scenario.run.replications.value(), &prepared.context, None, &|| ())
}

fn variant<'a>(summary: &'a Summary, name: &str) -> &'a VariantSummary {
    summary.variant(name).unwrap_or_else(|| panic!("there is a variant {name}"))
}

fn goodput_rps(summary: &Summary, name: &str) -> f64 {
    variant(summary, name).metrics.goodput_rps.as_ref().expect("it was measured").mean
}

/// Whether `better` has more good requests than `worse` beyond what chance explains, on the same requests.
fn beats(summary: &Summary, better: &str, worse: &str) -> bool {
    let (better, worse) = (&variant(summary, better).metrics, &variant(summary, worse).metrics);
    let difference = PairedMetric::GoodputFraction.difference(worse, better).expect("both were measured");
    difference.interval.expect("there are replications").lo > 0.0
}

#[test]
fn every_shipped_scenario_is_here() {
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let mut names: Vec<String> = paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, SHIPPED.map(|(name, _)| name));
}

#[test]
fn their_lints_are_the_known_ones() {
    for (name, expected) in SHIPPED {
        let scenario = shipped(name, &[]);
        let mut found: Vec<(&str, bool)> =
            lints(&scenario).iter().map(|lint| (lint.code, lint.level == Level::Warning)).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, expected, "{name}");
    }
}

/// The question stands at the top of the file, and again where the report can print it.
#[test]
fn each_opens_with_its_question_and_a_diagram() {
    for (name, _) in SHIPPED {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
        let text = std::fs::read_to_string(path).unwrap();
        let question = text.lines().next().unwrap().trim_start_matches("# ").to_owned();
        assert!(question.ends_with('?'), "{name}: {question}");
        assert_eq!(shipped(name, &[]).file.about, question, "{name}");
        assert!(text.lines().take_while(|line| line.starts_with('#')).any(|line| line.contains("->")), "{name}");
    }
}

#[test]
fn in_an_overload_only_the_queue_that_fits_answers_in_time() {
    let scenario = shipped("vllm_overload", &["run.duration=90s", "run.replications=3"]);
    let summary = summary(&scenario);
    for other in ["no control", "client timeout 10 s", "seed's queue"] {
        assert!(beats(&summary, "queue sized by the lint", other), "{other}");
        assert!(goodput_rps(&summary, other) < 10.0, "{other}: {}", goodput_rps(&summary, other));
    }
    let sized = goodput_rps(&summary, "queue sized by the lint");
    assert!(sized > 49.0, "near the 53 requests/s of load 1.0, not {sized}");
    assert!(variant(&summary, "seed's queue").counts.rejected_in_all() > 0);
}

/// The figure in the file is the one that the lint recommends.
#[test]
fn the_sized_queue_is_what_the_lint_says() {
    for name in ["vllm_overload", "retry_storm"] {
        let scenario = shipped(name, &[]);
        let sized = scenario.variants.iter().find(|variant| variant.name == "queue sized by the lint").unwrap();
        let places = sized.policy.queue.as_ref().unwrap().max_queue_size.value();
        assert_eq!(recommended_queue_bound(sized), Some(places), "{name}");
    }
}

#[test]
fn after_the_spike_goodput_comes_back_only_where_something_bounds_the_storm() {
    let scenario = shipped("retry_storm", &["run.duration=6m", "run.replications=2"]);
    let summary = summary(&scenario);
    let back_s = |name: &str| variant(&summary, name).recovery[0].mean_s();
    assert_eq!(variant(&summary, "no control").recovery[0].recovered(), 0, "the storm goes on without its cause");
    for name in ["scaled seed policies", "queue sized by the lint", "retry budget alone"] {
        assert!(back_s(name).is_some_and(|secs| secs < 25.0), "{name}: {:?}", back_s(name));
    }
    assert!(back_s("CoDel + adaptive LIFO").is_some_and(|secs| secs < 60.0), "{:?}", back_s("CoDel + adaptive LIFO"));
    assert!(beats(&summary, "queue sized by the lint", "retry budget alone"));
}

/// Good among those offered in the last third of the measured window.
fn late_goodput(tally: &Tally) -> f64 {
    let Series { offered, good, .. } = &tally.series;
    let end = tally.series.index(tally.window.end);
    let late = |counts: &[u32]| f64::from(counts[2 * end / 3..end].iter().sum::<u32>());
    late(good) / late(offered)
}

/// How often the counted number falls by half of its capacity or more from one bin to the next, and how often calls still run then.
fn resets(series: &Series) -> (usize, usize) {
    let falls = |bin: &usize| series.abandoned_counted[bin - 1] - series.abandoned_counted[*bin] >= 5.0;
    let fallen: Vec<usize> = (1..series.offered.len()).filter(falls).collect();
    (fallen.len(), fallen.iter().filter(|bin| series.abandoned_true[**bin] > 0).count())
}

#[test]
fn the_seeds_server_locks_out_resets_and_leaks() {
    let scenario = shipped("seed_server", &["sweep.values=[1.5]"]);
    let prepared = prepared(&scenario);
    let tallies = run_all(&prepared.plans, 4);
    let of = |name: &str| {
        let position = prepared.plans.iter().position(|plan| plan.name == format!("{name} @ 150 %"));
        &tallies[position.unwrap_or_else(|| panic!("there is a variant {name}"))]
    };
    let most_true = |name: &str| of(name).iter().map(|tally| tally.abandoned_true_max).max().unwrap();
    let most_counted = |name: &str| of(name).iter().map(|tally| tally.abandoned_counted_max).fold(0.0, f64::max);
    for tally in of("stage 0 (never)") {
        assert!(late_goodput(tally) <= 0.0, "locked out for good");
        let last = tally.series.index(tally.window.end) - 1;
        assert!(tally.series.abandoned_counted[last] >= 10.0 && tally.series.abandoned_true[last] == 0, "by nothing");
    }
    for name in ["stage 1 (reset)", "stage 2 (graduated)"] {
        for tally in of(name) {
            let ((resets, with_calls), late) = (resets(&tally.series), late_goodput(tally));
            assert!(late > 0.05, "{name}: {late}");
            assert!(resets >= 10 && 2 * with_calls > resets, "{name}: {resets} resets, {with_calls} while calls ran");
        }
        assert!(most_true(name) > 12, "{name}: {} true", most_true(name));
    }
    assert!(most_true("stage 3 (decay)") > 20 && most_counted("stage 3 (decay)") < 7.0, "it counts little of what runs");
    assert!(most_true("gauge") <= 13, "10, and the three that ran when it was reached");
    for (cancel, reset) in of("cancel").iter().zip(of("stage 1 (reset)")) {
        assert!(late_goodput(cancel) > 2.0 * late_goodput(reset) && cancel.abandoned_true_max == 0);
    }
}

/// Within the model's known error of the recorded run, none of which was fitted.
#[test]
fn the_model_does_what_the_real_server_did() {
    let scenario = shipped("real_vllm_run", &[]);
    let recorded = trace::read(&scenario.files()[0].resolved).unwrap();
    let complete = recorded.records.iter().filter_map(|record| {
        let first = record.first_byte.filter(|_| record.is_complete())?;
        Some((first - record.arrival).as_secs_f64())
    });
    let mut ttft: Vec<f64> = complete.collect();
    ttft.sort_by(f64::total_cmp);
    let summary = summary(&scenario);
    let simulated = &summary.variants[0];
    assert_eq!((recorded.records.len() as u64, simulated.counts.in_flight), (simulated.counts.offered, 0));
    let share = ttft.len() as f64 / recorded.records.len() as f64;
    let completed = simulated.counts.share(simulated.counts.completed()).unwrap();
    assert!((completed - share).abs() < 0.03, "{completed} completed, measured {share}");
    for (quantile, found) in [(0.5, simulated.metrics.ttft.p50), (0.9, simulated.metrics.ttft.p90)] {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rank
        let measured = ttft[(quantile * ttft.len() as f64) as usize];
        assert!((found.unwrap() / measured - 1.0).abs() < 0.03, "p{quantile}: {found:?}, measured {measured}");
    }
}

/// What is to be shown again on a real server: the recommended settings beat no control and the seed's defaults.
#[test]
fn tuned_settings_are_worth_their_search() {
    let summary = summary(&shipped("vllm_cpu_live", &[]));
    assert!(beats(&summary, "tuned", "no control") && beats(&summary, "tuned", "seed's defaults"));
    let gained = goodput_rps(&summary, "tuned") / goodput_rps(&summary, "no control");
    assert!(gained > 3.0, "{gained} times the good answers of no control");
}

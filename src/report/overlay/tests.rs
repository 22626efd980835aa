//! Grades of made-up runs.

use super::*;
use crate::journal::summary::fixtures::{class, tally};
use crate::journal::summary::{Context, summarise};

/// A variant each: name, good of 1,000, time to first token (ms); two replications, the second a little better.
fn summary(variants: &[(&str, u64, u64)]) -> Summary {
    let context = Context { classes: vec!["chat".into()], ..Context::default() };
    let runs: Vec<(&str, Vec<_>)> = variants
        .iter()
        .map(|(name, good, ttft)| {
            (*name, vec![tally(vec![class(1_000, *good, *ttft)], 1), tally(vec![class(1_000, good + 2, *ttft)], 2)])
        })
        .collect();
    let runs: Vec<(&str, &[_])> = runs.iter().map(|(name, runs)| (*name, runs.as_slice())).collect();
    summarise(&runs, &context)
}

fn overlay(live: &[(&str, u64, u64)], simulated: &[(&str, u64, u64)], amplification: f64, ttft_band: Interval) -> Overlay {
    let (live, simulated) = (summary(live), summary(simulated));
    let forecast = |variant: &VariantSummary| Forecast {
        summary: variant.clone(),
        bands: Figure::ALL.map(|figure| (figure == Figure::TtftP50S).then_some(ttft_band)),
        amplification: Some(amplification),
        swing: Some(amplification / 1_000.0),
        speeds: Vec::new(),
    };
    let forecasts: Vec<Forecast> = simulated.variants.iter().map(forecast).collect();
    Overlay::new(&live, &forecasts, &simulated, 20)
}

const NARROW: Interval = Interval { lo: 0.5, hi: 0.6 };
const WIDE: Interval = Interval { lo: 0.5, hi: 2.0 };

#[test]
fn what_came_as_simulated_is_an_a() {
    let overlay = overlay(&[("a", 500, 500), ("b", 700, 520)], &[("a", 520, 540), ("b", 690, 500)], 1.0, NARROW);
    assert_eq!(overlay.grade, Grade::A);
    assert_eq!((overlay.ranking.told_apart, overlay.ranking.live.as_slice()), (1, &["b".to_owned(), "a".to_owned()][..]));
    let text = overlay.text();
    assert!(text.contains("All pairs that the simulation tells apart (1) have the same order live."), "{text}");
}

#[test]
fn latencies_alone_cost_one_grade_and_near_the_critical_load_the_band_counts() {
    let (live, simulated) = ([("a", 500, 1_500)], [("a", 500, 500)]);
    let far = overlay(&live, &simulated, 1.0, WIDE);
    assert_eq!(far.grade, Grade::B);
    assert!(far.verdict().contains("TTFT p50 -"), "{}", far.verdict());
    let near = overlay(&live, &simulated, NEAR_CRITICAL, WIDE);
    let passes = |overlay: &Overlay| overlay.variants[0].rows.iter().find(|row| row.figure == Figure::TtftP50S).unwrap().passes;
    assert_eq!((passes(&far), passes(&near)), (Some(false), Some(true)));
    assert_eq!(passes(&overlay(&live, &simulated, NEAR_CRITICAL, NARROW)), Some(false));
}

#[test]
fn where_speed_moves_shares_their_band_counts() {
    let (live, simulated) = (summary(&[("a", 500, 500)]), summary(&[("a", 600, 500)]));
    let forecast = |swing: f64| Forecast {
        summary: simulated.variants[0].clone(),
        bands: Figure::ALL.map(|figure| figure.is_share().then_some(Interval { lo: 0.0, hi: 1.0 })),
        amplification: Some(1.0),
        swing: Some(swing),
        speeds: Vec::new(),
    };
    let grade = |swing: f64| Overlay::new(&live, &[forecast(swing)], &simulated, 20).grade;
    assert_eq!((grade(0.9 * SWING), grade(SWING)), (Grade::C, Grade::A));
}

#[test]
fn a_share_or_the_order_costs_two() {
    assert_eq!(overlay(&[("a", 500, 500)], &[("a", 600, 500)], 9.0, WIDE).grade, Grade::C);
    let swapped = overlay(&[("a", 520, 500), ("b", 500, 500)], &[("a", 500, 500), ("b", 540, 500)], 1.0, WIDE);
    assert_eq!((swapped.grade, swapped.ranking.swaps.len()), (Grade::C, 1));
    assert!(swapped.text().contains("live a beats b"), "{}", swapped.text());
}

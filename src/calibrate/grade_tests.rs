//! What passes, and what a run is worth.

use super::*;
use crate::calibrate::{Served, Step};

fn run(lag_s: f64) -> Run {
    let one = |i: u32, fate: Fate| {
        let arrival_s = f64::from(i);
        let chunks_s =
            if fate == Fate::Complete { vec![arrival_s + 0.2, arrival_s + 0.3, arrival_s + 0.4] } else { Vec::new() };
        Served { arrival_s, sent_s: arrival_s + lag_s, chunks_s, end_s: arrival_s + 2.0, prompt: 10, output: 3, fate }
    };
    let served = (0..30).map(|i| one(i, if i < 24 { Fate::Complete } else { Fate::NoFirstToken })).collect();
    let step = Step { line: 1, prefilling: 10, prefill_tokens: 300, decoding: 0, elapsed_s: 0.1, kv_use: 0.0 };
    Run { name: "open".into(), steps: vec![step], served, unsaid: 0, ..Run::default() }
}

fn forecast(change: f64, amplification: f64) -> Forecast {
    let mut figures = measure(&run(0.0));
    figures.0.iter_mut().flatten().for_each(|figure| *figure *= change);
    let bands = figures.0.map(|figure| figure.map(|figure| Interval { lo: 0.5 * figure, hi: 2.0 * figure }));
    Forecast { figures, bands, at_pace: Some((1.2, figures)), amplification: Some(amplification) }
}

#[test]
fn the_figures_are_those_of_the_records() {
    let figures = measure(&run(0.0));
    assert_eq!((figures.of(Figure::Completed), figures.of(Figure::WastedPrefill)), (Some(0.8), Some(1.0 - 240.0 / 300.0)));
    assert!((figures.of(Figure::Rate).unwrap() - 24.0 / 23.4).abs() < 1e-12);
    assert!(
        (figures.of(Figure::TtftP90).unwrap() - 0.2).abs() < 1e-9 && (figures.of(Figure::TpotP50).unwrap() - 0.1).abs() < 1e-9
    );
    assert_eq!(measure(&Run::default()), Figures::default());
}

#[test]
fn near_enough_passes_and_too_far_is_named() {
    let good = grade(&run(0.0), &forecast(1.04, 1.0), false);
    assert_eq!((good.standing.clone(), good.failures().count(), good.rows.len()), (Standing::Tested, 0, 9));
    let bad = grade(&run(0.0), &forecast(1.12, 1.0), false);
    let named: Vec<&str> = bad.failures().map(|row| row.figure.name()).collect();
    // Shares are off by 9.6 and 2.4 points, the rest by 12 %.
    assert_eq!(named, ["completed", "completed, 1/s", "TPOT p50", "TPOT p90", "e2e p50", "e2e p90"]);
    assert_eq!((bad.pace, bad.rows[0].at_pace), (Some(1.2), bad.rows[0].predicted));
    assert!(bad.rows[2].error.is_some_and(|error| (error - 0.12).abs() < 1e-12));
}

#[test]
fn near_the_critical_load_the_band_decides() {
    let near = grade(&run(0.0), &forecast(1.5, 9.0), false);
    assert_eq!((near.standing.clone(), near.failures().count()), (Standing::NearCritical, 0));
    let outside = grade(&run(0.0), &forecast(3.0, 9.0), false);
    assert!(outside.failures().count() > 0);
}

#[test]
fn a_client_that_lags_and_a_run_that_was_fitted_are_no_test() {
    let lagged = grade(&run(0.02), &forecast(3.0, 1.0), false);
    assert!(matches!(lagged.standing, Standing::Lagged(lag, limit) if lag > 0.019 && limit < 0.0101));
    assert!(!lagged.is_test() && lagged.failures().count() == 0);
    let fitted = grade(&run(0.0), &forecast(3.0, 1.0), true);
    assert!(fitted.standing == Standing::Fitted && fitted.failures().count() == 0);
}

#[test]
fn a_figure_that_nothing_was_predicted_of_is_missed() {
    let mut nothing = forecast(1.0, 1.0);
    nothing.figures.set(Figure::TtftP50, None);
    let graded = grade(&run(0.0), &nothing, false);
    let named: Vec<Figure> = graded.failures().map(|row| row.figure).collect();
    assert_eq!((graded.rows.len(), &named[..]), (9, &[Figure::TtftP50][..]));
    assert_eq!(Verdict::of(&[graded]), Verdict::Missed);
    // Measured as 0, which no share of it can be near to.
    let mut still = run(0.0);
    still.served.iter_mut().for_each(|one| one.chunks_s.iter_mut().for_each(|at| *at = one.arrival_s));
    let named: Vec<Figure> = grade(&still, &forecast(1.0, 1.0), false).failures().map(|row| row.figure).collect();
    assert!(named.contains(&Figure::TtftP50) && named.contains(&Figure::TpotP90), "{named:?}");
}

#[test]
fn too_few_answers_and_too_many_lost_ones_are_no_test() {
    let mut few = run(0.0);
    few.served.drain(..5);
    let graded = grade(&few, &forecast(1.0, 1.0), false);
    assert_eq!((&graded.standing, graded.is_test()), (&Standing::TooFew(19), false));
    assert_eq!(Verdict::of(&[graded]), Verdict::Untested);
    let mut cut = run(0.0);
    cut.served[29].fate = Fate::Lost;
    let graded = grade(&cut, &forecast(1.0, 1.0), false);
    assert_eq!((&graded.standing, graded.lost, graded.is_test()), (&Standing::Lost(1), 1, false));
    // One in more than a hundred moves no figure by what it may be off.
    cut.served = [run(0.0).served, run(0.0).served, run(0.0).served, cut.served].concat();
    assert_eq!(grade(&cut, &forecast(1.0, 1.0), false).standing, Standing::Tested);
}

#[test]
fn bands_alone_do_not_validate() {
    let graded = |amplification: f64| grade(&run(0.0), &forecast(1.0, amplification), false);
    assert_eq!(Verdict::of(&[graded(9.0)]), Verdict::InsideTheBand);
    assert_eq!(Verdict::of(&[graded(9.0), graded(1.0)]), Verdict::Validated);
    assert_eq!(Verdict::of(&[]), Verdict::Untested);
}

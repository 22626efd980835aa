//! Figures against what is known of the arrivals.

use super::*;
use crate::rng::{mix, open01};
use crate::trace::flow::Accounts;
use crate::trace::format::Format;
use crate::trace::names::Names;
use crate::trace::reader::Head;

fn summary(records: impl IntoIterator<Item = Record>, names: &Names) -> Summary {
    let mut stats = Stats::new();
    records.into_iter().for_each(|record| stats.count(&record));
    stats.summary(&Head::new("given", Format::Csv, String::new()), names, &Accounts::default())
}

fn at(nanos: u64, input: u32, output: u32) -> Record {
    let arrival = Time::from_nanos(nanos);
    Record { arrival, input_tokens: Some(input), output_tokens: Some(output), ..Record::default() }
}

#[test]
fn poisson_arrivals_have_cv_and_dispersion_of_one() {
    let mut now = 5_000_000_000_000.0;
    let poisson = (0..200_000).map(|n| {
        now -= libm::log(open01(mix(1, n))) / 20.0 * 1e9;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // hours
        at(now as u64, 10, 20)
    });
    let summary = summary(poisson, &Names::default());
    let (gap, begun) = (summary.longest_gap_s.unwrap(), summary.longest_gap_at_s.unwrap());
    // The longest of n exponential ones: ln n of their means on average, and as much as a mean off.
    assert!((gap * 20.0 - libm::log(200_000.0)).abs() < 4.0 && begun < summary.span_s, "{gap} {begun}");
    let near = |found: Option<f64>, wanted: f64, off: f64| found.is_some_and(|found| (found - wanted).abs() < off);
    assert!(near(summary.interarrival_cv, 1.0, 0.02), "{:?}", summary.interarrival_cv);
    assert!(near(summary.rate_rps, 20.0, 0.2), "{:?}", summary.rate_rps);
    for peak in &summary.peaks {
        assert!(near(peak.dispersion, 1.0, 0.25), "{peak:?}");
    }
    assert_eq!(summary.tokens.iter().map(|tokens| tokens.sum).collect::<Vec<_>>(), [2_000_000, 4_000_000, 6_000_000]);
}

#[test]
fn peaks_name_their_window_and_its_time() {
    // One a second for two minutes, and 30 more in second 70.
    let mut secs: Vec<u64> = (0..120).chain([70; 30]).collect();
    secs.sort_unstable();
    let summary = summary(secs.into_iter().map(|sec| at(sec * 1_000_000_000, 1, 1)), &Names::default());
    let peaks: Vec<_> = summary.peaks.iter().map(|peak| (peak.requests, peak.at_s.to_string())).collect();
    assert_eq!(peaks, [(31, "70".to_owned()), (40, "70".to_owned()), (90, "60".to_owned())]);
    assert!((summary.span_s - 119.0).abs() < 1e-9);
}

#[test]
fn quantiles_are_those_of_the_lengths() {
    let summary = summary((1..=1_000).map(|n| at(u64::from(n), n, 2)), &Names::default());
    let input = summary.tokens[0].quantiles.as_ref().unwrap();
    let found = [input.p10, input.p50, input.p90, input.p95, input.p99, input.max].map(|tokens| tokens.to_string());
    assert_eq!(found, ["100", "500", "900", "950", "990", "1000"]);
    assert!((input.mean - 500.5).abs() < 1e-9);
}

#[test]
fn the_longest_is_exact() {
    let summary = self::summary([at(0, 126_195, 7), at(1, 3, 7_437)], &Names::default());
    let longest = summary.tokens.iter().map(|tokens| tokens.quantiles.as_ref().unwrap().max.to_string());
    assert_eq!(longest.collect::<Vec<_>>(), ["126195", "7437", "126202"]);
}

#[test]
fn classes_and_tenants_are_told_apart_and_sorted() {
    let mut names = Names::default();
    let record = |class: &str, tenant: &str, names: &mut Names| {
        let (class, tenant) = (names.classes.id(class), names.tenants.id(tenant));
        Record { class, tenant, ..at(0, 30, 10) }
    };
    let records: Vec<Record> =
        [("a", "x"), ("b", "y"), ("b", "y"), ("b", "x"), ("b", "y")].map(|(c, t)| record(c, t, &mut names)).to_vec();
    let summary = summary(records, &names);
    let classes: Vec<_> = summary.classes.iter().map(|(name, tokens)| (name.as_str(), tokens[2].sum)).collect();
    assert_eq!(classes, [("b", 160), ("a", 40)]);
    let top: Vec<_> = summary.top_tenants.iter().map(|share| (share.name.as_str(), share.requests)).collect();
    assert_eq!((summary.tenants, top), (2, vec![("y", 3), ("x", 2)]));
    assert!((summary.top_tenants[0].share - 0.6).abs() < 1e-12);
}

#[test]
fn the_course_of_a_long_log_has_few_bins_and_all_requests() {
    let mut stats = Stats::new();
    for n in 0..100_000 {
        stats.count(&at(n * 6_048_000_000, 1, 1)); // a week
    }
    let course = stats.course();
    assert!(course.bins().len() <= 1_024 && course.length() == Span::from_secs(1_024), "{}", course.length());
    assert_eq!(course.bins().iter().map(|bin| bin.count).sum::<u64>(), 100_000);
    assert_eq!(course.bins().iter().map(|bin| bin.peak).max(), Some(1));
}

#[test]
fn nothing_and_one_request_have_figures_too() {
    let names = Names::default();
    let none = summary([], &names);
    assert_eq!((none.requests, none.rate_rps, none.interarrival_cv), (0, None, None));
    let one = summary([at(7, 3, 4)], &names);
    assert_eq!((one.requests, one.rate_rps, one.peaks[0].requests), (1, None, 1));
    let together = summary([at(7, 3, 4), at(7, 3, 4), at(7, 3, 4)], &names);
    assert_eq!((together.rate_rps, together.interarrival_cv), (None, None));
}

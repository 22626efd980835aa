//! Assertions against small results made by hand.

use super::*;
use crate::journal::summary::fixtures::{class, tally};
use crate::journal::summary::{Context, Relation, summarise};

/// Two variants of two replications, named as a sweep names them; `chat` is good in 40 of 100 (80 of 100), `batch` in all 50.
fn summary() -> Summary {
    let context = Context { classes: vec!["chat".into(), "batch".into()], ..Context::default() };
    let run = |good| [1, 2].map(|digest| tally(vec![class(100, good, 500), class(50, 50, 500)], digest));
    let (low, high) = (run(40), run(80));
    summarise(&[("queue @ 60 %", &low), ("queue @ 150 %", &high)], &context)
}

fn judge(text: &str) -> Result<Judged, String> {
    text.parse::<Assertion>().unwrap().judge(&summary())
}

#[test]
fn it_must_hold_in_every_variant_unless_it_names_one() {
    let held = Judged { holds: true, found: String::new() };
    assert_eq!(judge("goodput_fraction>=0.6"), Ok(held.clone()), "(40 + 50) of 150 at least");
    let failed = judge("goodput_fraction>0.7").unwrap();
    assert_eq!((failed.holds, failed.found.as_str()), (false, "0.6 in \"queue @ 60 %\""));
    assert_eq!(judge("goodput_fraction{variant=queue @ 150 %}>0.7"), Ok(held.clone()));
    let both = judge("goodput_fraction{variant=queue}>0.9").unwrap();
    assert!(!both.holds && both.found.contains("60 %") && both.found.contains("150 %"), "{}", both.found);
    assert_eq!(judge("goodput_fraction{class=batch}>=1"), Ok(held.clone()));
    assert_eq!(judge("rejected_fraction{class=chat,variant=queue @ 60 %}<=0.6"), Ok(held));
    assert!(!judge("rejected_fraction{class=chat,variant=queue @ 60 %}<0.6").unwrap().holds);
}

#[test]
fn latencies_are_in_the_unit_that_is_named() {
    assert!(judge("mean_tpot_ms<21").unwrap().holds && judge("mean_tpot_ms>19").unwrap().holds);
    assert!(judge("mean_tpot_s<0.021").unwrap().holds && judge("mean_tpot_s>0.019").unwrap().holds);
    assert!(judge("p99_e2e_s>4.5").unwrap().holds && !judge("p50_ttft_ms<500").unwrap().holds);
}

#[test]
fn a_name_that_is_not_there_is_an_error_and_no_failure() {
    let wrong = judge("goodput_fraction{variant=que}>0").unwrap_err();
    assert!(wrong.ends_with("there is no such variant; there are: queue @ 60 %, queue @ 150 %"), "{wrong}");
    assert!(judge("goodput_fraction{class=x}>0").unwrap_err().contains("there are: chat, batch"));
    let assertion: Assertion = "goodput_fraction{class=x}>0".parse().unwrap();
    assert!(assertion.check(&["base"], &["chat"]).is_err() && assertion.check(&["base"], &["x"]).is_ok());
}

#[test]
fn assertions_read_as_people_write_them() {
    let read: Assertion = "p99_ttft_ms{class=interactive, variant=\"seed queue\"} <= 500".parse().unwrap();
    assert_eq!((read.measure.class.as_deref(), read.variant.as_deref()), (Some("interactive"), Some("seed queue")));
    assert_eq!(read.bound, Bound { relation: Relation::AtMost, number: 500.0 });
    for bad in [
        "",
        "goodput_fraction",
        "goodput>=1",
        "p95_ttft_ms<=5",
        "p99_ttft<=5",
        "goodput_rps>=nan",
        "goodput_rps{class<=1",
        "goodput_rps{size=1}<=1",
    ] {
        assert!(bad.parse::<Assertion>().is_err(), "{bad} was taken");
    }
}

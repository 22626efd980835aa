//! What is drawn of a run, and what is left out and said.

use super::*;
use crate::journal::summary::fixtures::{class, tally};
use crate::journal::summary::{Context, summarise};

/// Two variants at three loads, two classes each.
fn swept() -> (Summary, Frame<'static>) {
    let context = Context { classes: vec!["chat".into(), "report".into()], detailed: true, ..Context::default() };
    let loads = [0.5, 1.0, 1.5];
    let names: Vec<String> = ["a", "b"].iter().flat_map(|of| loads.map(|load| format!("{of} @ {} %", 100.0 * load))).collect();
    let tallies =
        [tally(vec![class(300, 200, 100), class(100, 50, 900)], 1), tally(vec![class(300, 210, 90), class(90, 45, 800)], 2)];
    let parts: Vec<(&str, &[crate::journal::Tally])> = names.iter().map(|name| (name.as_str(), &tallies[..])).collect();
    let place = |of: &str, load| Place { of: of.to_owned(), at: Some(Swept::Load(load)) };
    let frame = Frame {
        scenario: "two",
        seed: 7,
        capacity: Some((4.0, "capacity of the upstream (load 1.0)".to_owned())),
        variants: ["a", "b"].iter().flat_map(|of| loads.map(|load| place(of, load))).collect(),
        slos: vec![Slo { ttft_s: None, e2e_s: Some(1.0) }, Slo::default()],
    };
    (summarise(&parts, &context), frame)
}

fn names(drawn: &Drawn) -> Vec<&str> {
    drawn.plots.iter().map(|plot| plot.name.as_str()).collect()
}

#[test]
fn a_swept_load_gives_curves_and_a_picture_for_each_value() {
    let (summary, frame) = swept();
    let drawn = run(&summary, &frame);
    let wanted = ["goodput", "outcomes", "latency-1", "latency-2", "latency-3", "time-01", "time-02"];
    assert_eq!(names(&drawn)[..7], wanted, "{:?}", drawn.left_out);
    assert_eq!(names(&drawn)[7..], ["fairness-1", "fairness-2", "fairness-3"]);
    let goodput = &drawn.plots[0].csv;
    assert!(goodput.starts_with("kind,variant,offered [× load 1.0],goodput [× load 1.0]"), "{goodput}");
    assert_eq!(goodput.matches("\npoint,a,").count(), 3, "{goodput}");
    assert!(goodput.contains("\npoint,b,1.5,"), "the load that was asked for, not the one that came by chance: {goodput}");
}

#[test]
fn shares_of_outcomes_add_up_and_the_rest_of_a_distribution_is_who_got_no_answer() {
    let (summary, frame) = swept();
    let drawn = run(&summary, &frame);
    let mut rows = csv::Reader::from_reader(drawn.plots[1].csv.as_bytes());
    for row in rows.records() {
        let sum: f64 = row.unwrap().iter().skip(2).map(|share| share.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }
    let chat = &summary.variants[0].classes[0];
    let never = 1.0 - chat.counts.share(chat.metrics.e2e.count).unwrap();
    let latency = &drawn.plots[2].csv;
    let row = latency.lines().find(|line| line.contains(",never,inf,") && line.contains(",a,")).unwrap();
    let shown: f64 = row.rsplit(',').next().unwrap().parse().unwrap();
    assert!((shown - never).abs() < 1e-9, "{row}, but {never}");
}

#[test]
fn what_there_is_not_is_left_out_and_said() {
    let context = Context { classes: vec!["only".into()], ..Context::default() };
    let summary = summarise(&[("base", &[tally(vec![class(10, 5, 100)], 1)])], &context);
    let frame = Frame { scenario: "one", variants: vec![Place::default()], ..Frame::default() };
    let drawn = run(&summary, &frame);
    assert_eq!(names(&drawn), ["outcomes"]);
    let said = drawn.left_out.join("\n");
    for part in ["several loads", "two classes", "`latency` has nothing to show", "capacity used"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

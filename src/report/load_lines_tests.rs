//! Load lines made by hand.

use super::*;
use crate::journal::summary::Label;
use crate::tune::Bracket;

fn line(name: &str, each: &[f64], end: End) -> LoadLine {
    let bracket = |rps: &f64| Bracket { sustained: *rps, offered_rps: *rps, end, alone: None, requests: 100 };
    LoadLine {
        name: name.to_owned(),
        brackets: each.iter().map(bracket).collect(),
        rps: Replicated::of_means(each.to_vec()).unwrap(),
    }
}

fn told(lines: &[LoadLine]) -> (String, serde_json::Value) {
    let load = LoadReport { capacity_rps: 20.0, of: "upstream".into(), clients: 1 };
    let levels = ["p99_ttft_ms<=500".to_owned()];
    let lines = LoadLines { scenario: "s", seed: 7, levels: &levels, tolerance: 0.01, load: Some(&load), lines };
    (lines.text(), serde_json::from_str(&lines.to_json()).unwrap())
}

#[test]
fn the_best_is_named_with_its_gain_and_what_breaks() {
    let lines =
        [line("none", &[9.0, 10.0, 11.0], End::Unstable(Label::Collapsing)), line("queue", &[14.0, 15.0, 16.1], End::Level(0))];
    let (text, json) = told(&lines);
    let verdict = text.split("\n\n").next().unwrap().replace("\n  ", " ");
    assert!(verdict.starts_with("\"queue\" sustains 15.0 requests/s ("), "{verdict}");
    assert!(verdict.contains("75.2 % of load 1.0, 5.03 more than \"none\" ("), "{verdict}");
    assert!(verdict.contains("Just above that, `p99_ttft_ms<=500` breaks in 3 of 3 replications"), "{verdict}");
    assert_eq!(json["variants"][0]["breaks"], serde_json::json!({ "collapsing": 3 }));
    assert_eq!(json["paired"][0]["b"], "queue");
    let unit = text.replace("\n  ", " ");
    assert!(
        unit.contains("load 1.0: 20.0 requests/s, what a closed loop of 1 client completes")
            && unit.contains("not the load line")
    );
    assert!(text.lines().all(|line| crate::report::format::width(line) <= 105), "{text}");
}

#[test]
fn what_cannot_be_told_apart_is_not_called_a_gain() {
    let lines = [line("a", &[9.0, 10.0, 11.0], End::Halted), line("b", &[10.0, 9.9, 11.0], End::NotReached)];
    assert!(told(&lines).0.replace("\n  ", " ").contains("that cannot be told from \"a\""));
}

#[test]
fn a_level_out_of_reach_is_said() {
    let mut none = line("a", &[0.0, 0.0], End::Level(0));
    none.brackets.iter_mut().for_each(|bracket| bracket.alone = Some(810.0));
    let (text, json) = told(&[none]);
    let text = text.replace("\n  ", " ");
    let verdict = "No load at all is sustained. `p99_ttft_ms<=500` breaks in 2 of 2 replications even at a load where each request is as \
                   good as alone: there it is 810.";
    assert!(text.starts_with(verdict), "{text}");
    assert_eq!(json["variants"][0]["alone"], 810.0);
    let hidden = told(&[line("a", &[0.0, 0.0], End::NotShown(0))]).0.replace("\n  ", " ");
    assert!(hidden.contains("`p99_ttft_ms<=500` cannot be told, for nobody comes that far, in 2 of 2"), "{hidden}");
}

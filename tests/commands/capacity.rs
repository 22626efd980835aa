//! `capacity`: the load line of a queue whose answer is known, and what it says of bad questions.

use super::{plimsoll, told};

const QUEUE: [&str; 7] =
    ["capacity", "scenarios/queue_mmc.toml", "--quiet", "--replications", "4", "--set", "run.duration=4000s"];

#[test]
fn the_load_line_of_a_queue_lies_where_theory_puts_it() {
    let output = plimsoll(&[&QUEUE[..], &["--slo", "p90_e2e_s<=8", "--format", "json", "--jobs", "2"]].concat());
    assert_eq!((output.status.code(), told(&output.stderr).as_str()), (Some(0), ""));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = json["variants"][0]["sustained_rps"]["mean"].as_f64().unwrap();
    // M/M/1 with unit service: ln 10 / (1 - load) = 8.
    let theory = 1.0 - 10f64.ln() / 8.0;
    assert!((line - theory).abs() < 0.08, "{line} and not {theory}");
    let again = plimsoll(&[&QUEUE[..], &["--slo", "p90_e2e_s<=8", "--format", "json", "--jobs", "1"]].concat());
    assert_eq!(output.stdout, again.stdout, "the number of threads changes no byte");
}

#[test]
fn a_bad_question_is_told_before_anything_runs() {
    let refused = |more: &[&str]| {
        let output = plimsoll(&[&QUEUE[..], more].concat());
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""));
        told(&output.stderr)
    };
    let never = refused(&["--slo", "goodput_fraction>=2"]);
    assert!(never.contains("is a share, from 0 to 1, so nothing can ever keep this"), "{never}");
    assert!(refused(&["--slo", "p99_ttft_ms<=-5"]).contains("is never below 0"));
    assert!(refused(&["--slo", "p99_ttft_ms"]).contains("there is no `>=`"));
    assert!(refused(&["--slo", "p95_ttft_ms<=5"]).contains("there is no figure `p95_ttft_ms`; there are: goodput_rps"));
    assert!(refused(&["--slo", "p99_ttft_ms{class=chat}<=5"]).contains("there is no such class as `chat`; there are: request"));
    assert!(refused(&["--slo", "goodput_rps{variant=base}>=5"]).contains("names a variant"));
    assert!(refused(&["--tolerance", "0"]).contains("0.01 is one percent"));
}

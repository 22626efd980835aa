//! `tune --trace` with one trace: which part of it is held out.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::tune::QUEUE;
use super::{plimsoll, told};

/// A folder with the scenario and a recording of 200 s, a bunch of three every two seconds.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let scenario = QUEUE.replace("arrival = { process = 'poisson', rate = 1.5 }\n", "");
    let scenario = scenario.replace("[[class]]", "[arrival]\nprocess = 'poisson'\nrate = 1\n[[class]]");
    fs::write(folder.path().join("q.toml"), scenario.replace("'120s'", "'200s'")).unwrap();
    let rows: Vec<String> = (0..300).map(|i| format!("{},1,1", i / 3 * 2)).collect();
    fs::write(folder.path().join("mon.csv"), format!("time,input_tokens,output_tokens\n{}\n", rows.join("\n"))).unwrap();
    folder
}

fn tune(folder: &Path, more: &[&str]) -> std::process::Output {
    let [scenario, out, trace] = ["q.toml", "run", "mon.csv"].map(|name| folder.join(name).display().to_string());
    let common = ["tune", &scenario, "--out", &out, "--trace", &trace];
    plimsoll(&[&common[..], &["--simulations", "120", "--around", "2"], more].concat())
}

/// What the search was tried on, and what it said while it began.
fn tried(more: &[&str]) -> (Value, Value, String) {
    let folder = folder();
    let output = tune(folder.path(), more);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let json: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("run/result.json")).unwrap()).unwrap();
    let held_out = json["tune"]["elsewhere"].as_array().into_iter().flatten().filter(|case| case["held_out"] == true);
    let held_out: Vec<&Value> = held_out.map(|case| &case["case"]["scene"]).collect();
    (json["tune"]["scenes"].clone(), json!(held_out), told(&output.stderr))
}

#[test]
fn the_last_fifth_is_held_out_unless_another_stretch_is_named() {
    let (scenes, held_out, said) = tried(&[]);
    assert_eq!((scenes.as_array().map(Vec::len), &held_out), (Some(2), &json!([1])), "{scenes}");
    let shown = scenes[1].as_str().unwrap();
    assert!(shown.contains("mon.csv from 159") && said.contains(&format!("note: held out: {shown}")), "{shown}: {said}");
    let (scenes, held_out, said) = tried(&["--hold-out", "50s..90s"]);
    assert!(scenes[1].as_str().unwrap().ends_with("mon.csv from 50.0 s to 90.0 s"), "{scenes}");
    assert_eq!(held_out, json!([1]), "{said}");
    let (scenes, held_out, said) = tried(&["--hold-out", "none"]);
    assert_eq!((&held_out, said.contains("held out:")), (&json!([]), false), "{scenes}: {said}");
}

/// Requests of the confirmation, with this duration in the scenario; and what was said.
fn confirmed(duration: &str, more: &[&str]) -> (u64, String) {
    let folder = folder();
    let file = folder.path().join("q.toml");
    let scenario = fs::read_to_string(&file).unwrap().replace("'200s'", duration);
    fs::write(&file, scenario).unwrap();
    let output = tune(folder.path(), &[&["--hold-out", "none"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    let json: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("run/result.json")).unwrap()).unwrap();
    let requests = json["tune"]["outcome"]["spent"]["confirmation"]["requests"].as_u64();
    (requests.unwrap_or_else(|| panic!("{}", json["tune"]["outcome"]["spent"])), told(&output.stderr))
}

#[test]
fn a_run_is_as_long_as_what_it_replays_unless_the_command_says_otherwise() {
    let (whole, said) = confirmed("'200s'", &[]);
    assert!(!said.contains("no more than its first"), "{said}");
    assert_eq!(confirmed("'20s'", &[]).0, whole, "the scenario's own duration is of arrivals that are drawn");
    let (cut, said) = confirmed("'200s'", &["--set", "run.duration=100s"]);
    assert!(cut < whole && said.contains("no more than its first 100s are run"), "{cut} {whole}: {said}");
}

#[test]
fn a_stretch_that_leaves_nothing_is_refused() {
    let folder = folder();
    for (asked, part) in [
        ("0s..200s", "all of the trace lies in it"),
        ("300s..400s", "nothing of the trace lies in it"),
        ("90s..50s", "nothing of the trace lies in it"),
        ("50..90", "such as `40m..50m`"),
    ] {
        let output = tune(folder.path(), &["--hold-out", asked]);
        let said = told(&output.stderr);
        assert_eq!((output.status.code(), told(&output.stdout).as_str()), (Some(2), ""), "{asked}: {said}");
        assert!(said.contains(part), "{asked}: {said}");
    }
    assert!(!folder.path().join("run/result.json").exists());
}

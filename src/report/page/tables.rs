//! The figures that decide, as a table, from the result's JSON.

use serde_json::Value;

use super::html::{escaped, table};
use super::{Folder, Kind};
use crate::report::format::{NONE, duration, number, percent, points, tenths};

/// Rows of a table that a person still reads; the text has all.
const ROWS_MAX: usize = 200;

pub(super) fn section(folder: &Folder) -> String {
    let made = match folder.kind {
        Kind::Run => run(&folder.json),
        Kind::Live => run(&folder.json) + &beside(&folder.json["live"]),
        Kind::Capacity => capacity(&folder.json),
        Kind::Tune => tune(&folder.json),
        Kind::Calibration => super::calibration::tables(&folder.json),
    };
    format!("<section id=\"figures\"><h2>Figures</h2>{made}</section>")
}

fn variants(json: &Value) -> impl Iterator<Item = &Value> {
    json["variants"].as_array().into_iter().flatten().take(ROWS_MAX)
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or(NONE).to_owned()
}

/// `form` of a number, or a dash.
pub(super) fn shown(value: &Value, form: impl Fn(f64) -> String) -> String {
    value.as_f64().map_or(NONE.to_owned(), form)
}

/// A mean with its interval, the unit once.
fn mean(value: &Value, form: impl Fn(f64) -> String) -> String {
    let middle = shown(&value["mean"], &form);
    let bare = |x: f64| form(x).split(' ').next().unwrap_or_default().to_owned();
    match (value["ci95"][0].as_f64(), value["ci95"][1].as_f64()) {
        (Some(lo), Some(hi)) if hi > lo => format!("{middle} ({} to {})", bare(lo), bare(hi)),
        _ => middle,
    }
}

fn run(json: &Value) -> String {
    let header = ["Variant", "Label", "Good of offered", "Goodput, req/s", "TTFT p99", "End to end p99", "Rejected"];
    let row = |variant: &Value| {
        let (counts, metrics) = (&variant["counts"], &variant["metrics"]);
        let rejected: u64 = counts["rejected"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        let offered = counts["offered"].as_u64().filter(|n| *n > 0);
        vec![
            text(&variant["name"]),
            text(&variant["label"]),
            mean(&metrics["goodput_fraction"], percent),
            mean(&metrics["goodput_rps"], number),
            shown(&metrics["ttft_s"]["p99"], duration),
            shown(&metrics["e2e_s"]["p99"], duration),
            offered.map_or(NONE.to_owned(), |offered| percent(rejected as f64 / offered as f64)),
        ]
    };
    let rows: Vec<Vec<String>> = variants(json).map(row).collect();
    let made = table(&header, &[false, false, true, true, true, true, true], &rows);
    format!("{made}<p class=\"note\">In brackets: 95 % intervals over replications. Latencies are of answered requests.</p>")
}

/// A live run's send lag, and what was simulated beside it.
fn beside(live: &Value) -> String {
    let rows = |of: &Value, row: fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        of.as_array().into_iter().flatten().take(ROWS_MAX).map(row).collect()
    };
    let lag = rows(&live["send_lag"], |lag| {
        let valid = if lag["valid"] == true { "yes" } else { "no" };
        vec![text(&lag["variant"]), shown(&lag["p99_s"], duration), shown(&lag["limit_s"], duration), valid.to_owned()]
    });
    let lag = table(&["Variant", "Send lag p99", "At most", "Valid"], &[false, true, true, false], &lag);
    let Some(variants) = live["compare"]["variants"].as_array() else { return lag };
    let header = ["Variant", "Figure", "Simulated", "Live", "Error", "Band", "At its pace", "Passes"];
    let all = variants.iter().flat_map(|variant| {
        let name = text(&variant["variant"]);
        rows(&variant["rows"], compared).into_iter().map(move |row| [vec![name.clone()], row].concat())
    });
    let made = table(&header, &[false, false, true, true, true, true, true, false], &all.collect::<Vec<_>>());
    let grade = text(&live["compare"]["grade"]);
    format!(
        "{lag}<p>Simulated against live: grade <strong>{}</strong>. The rule stands in the text.</p>{made}",
        escaped(&grade)
    )
}

fn compared(row: &Value) -> Vec<String> {
    let figure = row["figure"].as_str().unwrap_or_default();
    let share = figure.ends_with("_share");
    let form = |value: f64| if share { percent(value) } else { duration(value) };
    let band = match (row["band"][0].as_f64(), row["band"][1].as_f64()) {
        (Some(lo), Some(hi)) => format!("{} to {}", form(lo), form(hi)),
        _ => NONE.to_owned(),
    };
    let error = |error: f64| if share { points(error) } else { format!("{} %", tenths(100.0 * error)) };
    let passes = match row["passes"].as_bool() {
        Some(true) => "yes",
        Some(false) => "no",
        None => NONE,
    };
    let name = figure.trim_end_matches("_s").replace("_share", " of offered").replace('_', " ");
    let [simulated, live, pace] = ["simulated", "live", "at_pace"].map(|key| shown(&row[key], form));
    vec![name, simulated, live, shown(&row["error"], error), band, pace, passes.to_owned()]
}

fn capacity(json: &Value) -> String {
    let header = ["Variant", "Sustains, req/s", "Of load 1.0", "Just above it (replications)"];
    let row = |variant: &Value| {
        let breaks = variant["breaks"].as_object().into_iter().flatten().map(|(what, n)| format!("{what} ({n})"));
        vec![
            text(&variant["name"]),
            mean(&variant["sustained_rps"], number),
            mean(&variant["sustained_load"], percent),
            breaks.collect::<Vec<_>>().join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = variants(json).map(row).collect();
    let levels: Vec<&str> = json["slo"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let levels = if levels.is_empty() { String::new() } else { format!(", and {}", escaped(&levels.join(" and "))) };
    let made = table(&header, &[false, true, true, false], &rows);
    format!("{made}<p class=\"note\">Sustained: the run is stable{levels}. In brackets: 95 % intervals over replications.</p>")
}

fn tune(json: &Value) -> String {
    let whole = run(json);
    let json = &json["tune"];
    let future = json["figures_of"].as_str();
    let future = future.map_or(String::new(), |future| {
        format!("<p class=\"note\">Both settings in one of the futures alone: {}.</p>", escaped(future))
    });
    let recommended: Vec<(&str, &str)> =
        json["recommended"].as_array().into_iter().flatten().filter_map(|set| set.as_str()?.split_once('=')).collect();
    let parameters = json["parameters"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let row = |(place, path): (usize, &str)| {
        let today = text(&json["current"][place]);
        let chosen = match recommended.iter().find(|(set, _)| *set == path) {
            Some((_, value)) => (*value).to_owned(),
            // Nothing is laid over what is in force.
            None if json["recommended"].is_array() && recommended.is_empty() => today.clone(),
            None => NONE.to_owned(),
        };
        vec![path.to_owned(), today, chosen]
    };
    let rows: Vec<Vec<String>> = parameters.enumerate().map(row).collect();
    let wanted = |name: &str| json["settings"][name].as_str().map(escaped);
    let objective = wanted("objective").map_or(String::new(), |objective| format!("Objective: <code>{objective}</code>. "));
    let constraints: Vec<String> = json["settings"]["constraints"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|text| Some(format!("<code>{}</code>", escaped(text.as_str()?))))
        .collect();
    let constraints =
        if constraints.is_empty() { "No constraints.".to_owned() } else { format!("Constraints: {}.", constraints.join(", ")) };
    format!(
        "{}<p class=\"note\">{objective}{constraints}</p>{future}{whole}",
        table(&["Setting", "Today", "Recommended"], &[false, true, true], &rows)
    )
}

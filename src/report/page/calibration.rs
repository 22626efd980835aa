//! A calibration's figures on its page: what was held out, beside what was predicted of it; the costs; what they come from.

use serde_json::Value;

use super::html::{each, escaped, table};
use super::tables::{shown, text};
use crate::calibrate::Figure;
use crate::report::format::{NONE, duration, number, percent, points, tenths};

/// A cost: its key in the JSON, what the physical floor calls it, and words.
type Cost = (&'static str, &'static str, &'static str);

const STEP: [Cost; 5] = [
    ("t0_s", "t0", "each step"),
    ("t0p_s", "t0p", "a step with any prefill"),
    ("tp_s", "tp", "a prompt token"),
    ("td_s", "td", "a decoding sequence"),
    ("tk_s", "tk", "a KV token attended to"),
];
const BETWEEN: [Cost; 3] = [
    ("step_s", "", "between steps, each"),
    ("prefill_s", "", "before a step with prefill"),
    ("sequence_s", "", "between steps, for each decoding sequence"),
];

/// Figure, formula.
pub(super) const FORMULAS: [(&str, &str); 9] = [
    ("step", "t0 + t0p [any prefill] + tp prompt tokens + td decoding sequences + tk KV tokens; no cost is negative"),
    ("interval of a cost", "95 % of 200 resamples of stretches of 5 s"),
    ("completed", "complete answers / requests"),
    ("prefill wasted", "prompt tokens computed for requests that came to nothing / all computed"),
    ("TTFT", "first token - intended arrival, of complete answers"),
    ("TPOT", "(e2e - TTFT) / (output tokens - 1), of complete answers with more than one token"),
    ("error", "predicted / measured - 1; of a share predicted - measured, in points"),
    ("band", "95 % of the speeds that the machine had in stretches of 10 s of the logs that were fitted"),
    (
        "near critical",
        "one percent of speed moves the time to first token by 3 % or more: what lies inside the band passes too",
    ),
];

pub(super) const LIMITS: [&str; 3] = [
    "Errors are of the runs that were held out, at their load and with their lengths. A load far above them, or much longer prompts, \
     is extrapolation.",
    "The speed of a predicted run does not change while it goes on; a machine's does. Where a queue stands, that difference grows.",
    "Costs that always came together in the logs are told apart badly: their intervals say so, the predictions may still hold.",
];

/// The tables.
pub(super) fn tables(json: &Value) -> String {
    let runs = |fitted: bool| {
        let runs = json["runs"].as_array().into_iter().flatten();
        runs.filter(move |run| (run["standing"] == "fitted") == fitted).collect::<Vec<_>>()
    };
    let (tests, fitted) = (runs(false), runs(true));
    let held_out = if tests.is_empty() {
        "<p class=\"note\">Nothing was held out: the costs below were tested on nothing.</p>".to_owned()
    } else {
        each(tests, |run| format!("<h3>{}</h3>{}", heading(run), figures(run)))
    };
    let fitted =
        each(fitted, |run| format!("<details class=\"more\"><summary>{}</summary>{}</details>", heading(run), figures(run)));
    format!(
        "{held_out}<h3>What a step costs</h3>{}<h3>What it was fitted to</h3>{}{}{fitted}",
        costs(json),
        parts(json),
        around(json)
    )
}

/// A run in a line, as HTML.
fn heading(run: &Value) -> String {
    let what = match run["standing"].as_str() {
        Some("fitted") => "fitted to".to_owned(),
        Some("near_critical") => {
            format!("held out, near critical: a percent of speed moves TTFT by {} %", shown(&run["amplification"], tenths))
        }
        Some("not_valid") => format!("held out, no valid test: its client sent {} late", shown(&run["lag_p99_s"], duration)),
        _ => "held out".to_owned(),
    };
    let clients = run["clients"].as_u64().map_or("open".to_owned(), |clients| format!("closed loop of {clients}"));
    format!("{} <small>({clients}, {} requests; {what})</small>", escaped(&text(&run["run"])), run["requests"])
}

/// Measured and predicted.
fn figures(run: &Value) -> String {
    let standing = run["standing"].as_str().unwrap_or_default();
    let row = |figure: Figure| {
        let row = run["figures"].get(figure.key())?;
        let form: fn(f64) -> String = match figure {
            figure if figure.is_share() => percent,
            Figure::Rate => number,
            _ => duration,
        };
        let error = if figure.is_share() { points } else { signed };
        let band = row["band"]["lo"].as_f64().zip(row["band"]["hi"].as_f64());
        let passed = match standing {
            "tested" | "near_critical" if row["passes"] == true => "held",
            "tested" | "near_critical" => "MISSED",
            _ => NONE,
        };
        let tolerance = match (standing, figure.is_share()) {
            ("near_critical", _) => "the band".to_owned(),
            (_, true) => format!("{} points", tenths(100.0 * figure.tolerance())),
            (_, false) => format!("{} %", tenths(100.0 * figure.tolerance())),
        };
        Some(vec![
            figure.name().to_owned(),
            shown(&row["measured"], form),
            shown(&row["predicted"], form),
            shown(&row["error"], error),
            tolerance,
            band.map_or(NONE.to_owned(), |(lo, hi)| format!("{} to {}", form(lo), form(hi))),
            passed.to_owned(),
        ])
    };
    let rows: Vec<Vec<String>> = Figure::ALL.into_iter().filter_map(row).collect();
    let header = ["Figure", "Measured", "Predicted", "Error", "Tolerance", "95 % of speeds", "Verdict"];
    table(&header, &[false, true, true, true, true, true, false], &rows)
}

/// A relative error in percent, with its sign.
fn signed(error: f64) -> String {
    let text = tenths(100.0 * error);
    format!("{}{text} %", if text.starts_with('-') { "" } else { "+" })
}

fn costs(json: &Value) -> String {
    let floors = json["beats_physics"].as_array();
    let row = |of: &Value, (key, cost, words): Cost| {
        let value = &of[key];
        let ends = value["lo"].as_f64().zip(value["hi"].as_f64());
        let below = floors.and_then(|floors| floors.iter().find(|floor| floor["cost"] == cost));
        let physics = match (floors, below) {
            (Some(_), Some(below)) => format!("BEATEN: cannot be below {}", shown(&below["floor_s"], duration)),
            (Some(_), None) if !cost.is_empty() => "not beaten".to_owned(),
            _ => NONE.to_owned(),
        };
        vec![
            if cost.is_empty() { words.to_owned() } else { format!("{cost}, {words}") },
            shown(&value["value"], duration),
            ends.map_or(NONE.to_owned(), |(lo, hi)| format!("{} to {}", duration(lo), duration(hi))),
            physics,
        ]
    };
    let mut rows: Vec<Vec<String>> = STEP.into_iter().map(|cost| row(&json["step"], cost)).collect();
    if json["between"].is_object() {
        rows.extend(BETWEEN.into_iter().map(|cost| row(&json["between"], cost)));
    }
    table(&["Cost", "Fitted", "95 % interval", "Physical floor"], &[false, true, true, false], &rows)
}

fn parts(json: &Value) -> String {
    let row = |part: &Value| {
        let read = match part["reading"].as_str() {
            Some("exact") => "step lines, with the requests laid over them",
            Some("steps_alone") => "step lines alone",
            Some("tokens_alone") => "tokens' times alone",
            Some("ends_alone") => "first and last tokens' times alone",
            _ => NONE,
        };
        vec![text(&part["run"]), part["steps"].to_string(), shown(&part["ratio"], number), read.to_owned()]
    };
    let rows: Vec<Vec<String>> = json["fitted"].as_array().into_iter().flatten().map(row).collect();
    table(&["Run", "Steps", "Observed / predicted", "Read as"], &[false, true, true, false], &rows)
}

/// What is around the steps.
fn around(json: &Value) -> String {
    let spread = json["speed_sigma"].as_f64().map_or("not known".to_owned(), percent);
    let way = json["way_s"].as_f64().map_or("not known".to_owned(), duration);
    format!(
        "<p class=\"note\">Spread of the machine's speed: {spread}. Way in and out together: {way} ({} lone requests).</p>",
        json["lone_requests"]
    )
}

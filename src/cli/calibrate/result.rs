//! A calibration for programs: JSON, and the section of a scenario.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Arguments, Found, on_hardware, shown, upstream};
use crate::calibrate::{Fit, Grade, Reading, Standing, Verdict};
use crate::cli::Failure;
use crate::upstream::UpstreamSettings;

/// One object with everything.
pub(super) fn json(found: &Found, arguments: &Arguments) -> String {
    let calibration = &found.calibration;
    let [t0, t0p, tp, td, tk] = each(&calibration.step);
    let between = calibration.between.as_ref().map(|fit| {
        let [step, prefill, sequence] = each(fit);
        json!({ "step_s": step, "prefill_s": prefill, "sequence_s": sequence })
    });
    let floor = on_hardware(arguments, &found.model).map(|model| {
        let one = |below: &crate::upstream::FloorViolation| json!({ "cost": below.cost, "is_s": below.is_s, "floor_s": below.floor_s });
        model.floor_violations().iter().map(one).collect::<Vec<Value>>()
    });
    let stretches: Vec<Value> =
        calibration.stretches.iter().map(|(run, ratio)| json!({ "run": run, "ratio": ratio })).collect();
    json!({
        "schema": "plimsoll.calibration/1",
        "logs": logs(arguments),
        "seed": arguments.seed,
        "validated": found.settings.calibration.as_ref().is_some_and(|note| note.validated),
        "reason": found.settings.calibration.as_ref().map(|note| &note.reason),
        "choice": found.choice,
        "live": found.live,
        "missing_requests": found.unsaid.iter().map(|(run, _, missing)| json!({ "run": run, "requests": missing })).collect::<Vec<Value>>(),
        "refused_requests": found.refused.iter().map(|(run, refused)| json!({ "run": run, "requests": refused })).collect::<Vec<Value>>(),
        "verdict": verdict(found),
        "step": { "t0_s": t0, "t0p_s": t0p, "tp_s": tp, "td_s": td, "tk_s": tk,
                  "scale_s": calibration.step.scale, "spike_share": calibration.step.spikes, "mean_factor": calibration.step.factor },
        "between": between,
        "way_s": calibration.way_s,
        "lone_requests": calibration.lone,
        "speed_sigma": calibration.speed_sigma,
        "stretches": stretches,
        "beats_physics": floor,
        "upstream": upstream(&found.settings),
        "fitted": calibration.parts.iter().map(|part| json!({
            "run": part.run, "steps": part.steps, "ratio": part.ratio,
            "reading": match &part.reading {
                Reading::Exact => "exact",
                Reading::StepsAlone(_) => "steps_alone",
                Reading::TokensAlone => "tokens_alone",
                Reading::EndsAlone => "ends_alone",
            },
            "why": match &part.reading { Reading::StepsAlone(why) => why.as_deref(), _ => None },
        })).collect::<Vec<Value>>(),
        "runs": found.tests.iter().chain(&found.fitted).map(run).collect::<Vec<Value>>(),
    })
    .to_string()
        + "\n"
}

/// The verdict in one word.
fn verdict(found: &Found) -> &'static str {
    match Verdict::of(&found.tests) {
        Verdict::Validated => "validated",
        Verdict::InsideTheBand => "inside_the_band",
        Verdict::Missed => "missed",
        Verdict::Untested => "untested",
    }
}

/// The logs by name: the first few of many.
fn logs(arguments: &Arguments) -> String {
    const SHOWN: usize = 3;
    let name = |path: &PathBuf| path.file_name().map_or_else(|| shown(path), |name| name.display().to_string());
    let names: Vec<String> = arguments.logs.iter().take(SHOWN).map(name).collect();
    match arguments.logs.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// A fit's coefficients with their intervals.
fn each<const K: usize>(fit: &Fit<K>) -> [Value; K] {
    std::array::from_fn(|at| {
        let ends = fit.intervals.get(at);
        json!({ "value": fit.coefficients[at], "lo": ends.map(|ends| ends.lo), "hi": ends.map(|ends| ends.hi) })
    })
}

fn run(grade: &Grade) -> Value {
    let (standing, lag, limit) = match &grade.standing {
        Standing::Tested => ("tested", None, None),
        Standing::NearCritical => ("near_critical", None, None),
        Standing::Lagged(lag, limit) => ("not_valid", Some(lag), Some(limit)),
        Standing::TooFew(_) => ("too_few", None, None),
        Standing::Lost(_) => ("lost", None, None),
        Standing::Fitted => ("fitted", None, None),
    };
    let figures: serde_json::Map<String, Value> = grade
        .rows
        .iter()
        .map(|row| {
            let figure = json!({
                "measured": row.measured, "predicted": row.predicted, "at_pace": row.at_pace, "error": row.error,
                "tolerance": row.figure.tolerance(), "band": row.band, "passes": row.passes,
            });
            (row.figure.key().to_owned(), figure)
        })
        .collect();
    json!({
        "run": grade.run, "standing": standing, "lag_p99_s": lag, "lag_limit_s": limit, "requests": grade.requests, "lost": grade.lost,
        "clients": grade.clients, "amplification": grade.amplification, "pace": grade.pace, "figures": figures,
    })
}

/// The section as a scenario has it, with where it comes from.
///
/// # Errors
/// None that a person could cause: a section that cannot be written as TOML is told all the same.
pub(super) fn section(found: &Found, typed: &str) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Section {
        upstream: UpstreamSettings,
    }
    let section = toml::to_string(&Section { upstream: upstream(&found.settings) });
    let section = section.map_err(|why| Failure::Input(format!("this calibration cannot be written as TOML: {why}")))?;
    let way = "# Step and host costs, fitted to logs; put this section into a scenario in place of its own [upstream].";
    Ok(format!("{way}\n# {}\n\n{section}", typed.replace('\n', " ")))
}

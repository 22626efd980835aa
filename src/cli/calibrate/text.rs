//! A calibration for people.

use std::fmt::Write as _;

use super::{Arguments, Found, on_hardware};
use crate::calibrate::{COMPLETE_MIN, Figure, Fit, Forecast, Grade, Judged, Reading, SPREAD_S, Standing, Verdict};
use crate::report::format::{NONE, duration, left, number, percent, points, right, tenths, wrap};

/// The whole result.
pub(super) fn text(found: &Found, arguments: &Arguments) -> String {
    let mut text = verdict(found) + "\n";
    text += &runs(found);
    text += &costs(found, arguments);
    text += &around(found);
    for grade in found.tests.iter().chain(&found.fitted) {
        text += &run(grade);
    }
    text += &unknown(found);
    text
}

fn verdict(found: &Found) -> String {
    let note = found.settings.calibration.as_ref();
    let reason = note.map_or("nothing", |note| note.reason.as_str());
    let (word, join) = match Verdict::of(&found.tests) {
        Verdict::Validated => ("Validated", "held out and predicted"),
        Verdict::InsideTheBand => ("INSIDE THE BAND, NOT VALIDATED", "held out"),
        Verdict::Missed | Verdict::Untested => ("NOT VALIDATED", "held out"),
    };
    let mut text = wrap(&format!("{word}: {join}: {reason}.")) + "\n";
    if let Some(choice) = &found.choice {
        text += &(wrap(choice) + "\n");
    }
    for (run, here, missing) in &found.unsaid {
        let said = format!(
            "{missing} of {} requests of {run} are missing: its log does not say how long they were, or how they ended. Less arrives in what \
             is predicted of it than did, and the share that was completed is too high.",
            *here as u64 + missing
        );
        text += &(wrap(&said) + "\n");
    }
    for (run, refused) in &found.refused {
        let said = format!("{refused} requests of {run} were turned away: no engine saw them, and they are left out.");
        text += &(wrap(&said) + "\n");
    }
    text
}

fn runs(found: &Found) -> String {
    let mut text = format!("{}{}{}  {}\n", left("fitted", 16), right("steps", 8), right("observed/predicted", 20), "read as");
    for part in &found.calibration.parts {
        let how = match &part.reading {
            Reading::Exact => "step lines, with the requests laid over them".to_owned(),
            Reading::StepsAlone(None) => "step lines alone".to_owned(),
            Reading::StepsAlone(Some(why)) => format!("step lines alone: {why}"),
            Reading::TokensAlone => "tokens' times alone".to_owned(),
            Reading::EndsAlone => "first and last tokens' times alone, one row an answer".to_owned(),
        };
        let _ = writeln!(
            text,
            "{}{}{}  {how}",
            left(&part.run, 16),
            right(&part.steps.to_string(), 8),
            right(&number(part.ratio), 20)
        );
    }
    text + "\n"
}

fn costs(found: &Found, arguments: &Arguments) -> String {
    let calibration = &found.calibration;
    let floors = on_hardware(arguments, &found.model).map(|model| model.floor_violations());
    let mut text =
        format!("{}{}{}  {}\n", left("a step costs", 32), right("fitted", 12), right("95 % interval", 26), "physics");
    let rows = [
        "t0, each step",
        "t0p, with any prefill",
        "tp, a prompt token",
        "td, a decoding sequence",
        "tk, a KV token attended to",
    ];
    for (at, name) in rows.into_iter().enumerate() {
        let floor = match &floors {
            None => NONE.to_owned(),
            Some(below) => below
                .iter()
                .find(|violation| name.starts_with(&format!("{},", violation.cost)))
                .map_or("not beaten".to_owned(), |violation| {
                    format!("BEATEN: cannot be below {}", duration(violation.floor_s))
                }),
        };
        text += &cost(name, &calibration.step, at, &floor);
    }
    if let Some(between) = &calibration.between {
        let rows = ["between steps, each", "before a step with prefill", "for each decoding sequence"];
        for (at, name) in rows.into_iter().enumerate() {
            text += &cost(name, between, at, "");
        }
    }
    text + "\n"
}

fn cost<const K: usize>(name: &str, fit: &Fit<K>, at: usize, after: &str) -> String {
    let interval =
        fit.intervals.get(at).map_or(NONE.to_owned(), |ends| format!("{} to {}", duration(ends.lo), duration(ends.hi)));
    let line = format!("{}{}{}  {after}", left(name, 32), right(&duration(fit.coefficients[at]), 12), right(&interval, 26));
    format!("{}\n", line.trim_end())
}

/// What is around the steps.
fn around(found: &Found) -> String {
    let calibration = &found.calibration;
    let spikes = format!(
        "{} of the steps lie more than three ordinary deviations ({}) above the fit; their time is in the mean (costs x {}).",
        percent(calibration.step.spikes),
        duration(calibration.step.scale),
        number(calibration.step.factor)
    );
    let way = match calibration.way_s {
        Some(way) => {
            format!("Way in and out together {}, from {} lone requests; each gets half.", duration(way), calibration.lone)
        }
        None => "No request was alone, so that the way in and out is not known: taken as 0.".to_owned(),
    };
    let speed = match calibration.speed_sigma {
        Some(sigma) => {
            let (least, most) = calibration
                .stretches
                .iter()
                .fold((f64::INFINITY, 0.0_f64), |(least, most), (_, ratio)| (least.min(*ratio), most.max(*ratio)));
            format!(
                "Spread of the machine's speed {} (standard deviation of its logarithm over {} stretches of {SPREAD_S} s, which took \
                 {} to {} times as long as predicted).",
                percent(sigma),
                calibration.stretches.len(),
                number(least),
                number(most)
            )
        }
        None => "Too short to tell how the machine's speed drifts: taken as steady.".to_owned(),
    };
    [spikes, way, speed].iter().map(|one| wrap(one) + "\n").collect::<String>() + "\n"
}

/// One run, measured beside predicted.
fn run(grade: &Grade) -> String {
    let loop_of = grade.clients.map_or("open".to_owned(), |clients| format!("closed loop of {clients}"));
    let what = match grade.standing {
        Standing::Fitted => "fitted to",
        _ => "held out",
    };
    let mut text = wrap(&format!("{} ({loop_of}, {} requests, {what}){}", grade.run, grade.requests, standing(grade))) + "\n";
    let _ = writeln!(
        text,
        "{}{}{}{}{}{}{}",
        left("", 16),
        right("measured", 11),
        right("predicted", 11),
        right("error", 14),
        right("tolerance", 12),
        right("95 % of speeds", 22),
        if grade.pace.is_some() { right("at its pace", 12) } else { String::new() }
    );
    for row in &grade.rows {
        text += &figure(row, grade);
    }
    text + "\n"
}

fn standing(grade: &Grade) -> String {
    let pace =
        grade.pace.map_or(String::new(), |pace| format!("; its own steps took {} times as long as predicted", number(pace)));
    let lost = match grade.lost {
        0 => String::new(),
        lost => format!("; {lost} ended in ways that the model does not have, and are simulated as if served"),
    };
    worth(grade) + &lost + &pace
}

/// What the run is worth as a test.
fn worth(grade: &Grade) -> String {
    match &grade.standing {
        Standing::Lagged(lag, limit) => format!(
            ": NOT VALID as a test: the client sent late, 99th percentile {} (limit {})",
            duration(*lag),
            duration(*limit)
        ),
        Standing::NearCritical => format!(
            ": near critical: one percent of speed moves the time to first token by {} %, so that its band counts beside the tolerance",
            grade.amplification.map_or(NONE.to_owned(), tenths)
        ),
        Standing::Tested => match grade.amplification {
            // Of few requests chance may turn it round, which says nothing.
            Some(times) if times > 0.0 => {
                format!(": one percent of speed moves the time to first token by {} %", tenths(times))
            }
            _ => String::new(),
        },
        Standing::TooFew(complete) => {
            format!(": NO test: {complete} complete answers, of which at least {COMPLETE_MIN} are needed")
        }
        Standing::Lost(_) => ": NO test: more than one request in a hundred was lost".to_owned(),
        Standing::Fitted => String::new(),
    }
}

fn figure(row: &Judged, grade: &Grade) -> String {
    let form: fn(f64) -> String = match row.figure {
        figure if figure.is_share() => percent,
        Figure::Rate => number,
        _ => duration,
    };
    let band = row.band.map_or(NONE.to_owned(), |band| format!("{} to {}", form(band.lo), form(band.hi)));
    let mark = if grade.is_test() && !row.passes { "  MISSED" } else { "" };
    // What a closed loop completes is the capacity.
    let name = if row.figure == Figure::Rate && grade.clients.is_some() { "capacity, 1/s" } else { row.figure.name() };
    let tolerance = row.figure.tolerance();
    let tolerance = match (&grade.standing, row.figure.is_share()) {
        (Standing::NearCritical, _) => "the band".to_owned(),
        (_, true) => format!("{} points", tenths(100.0 * tolerance)),
        (_, false) => format!("{} %", tenths(100.0 * tolerance)),
    };
    format!(
        "{}{}{}{}{}{}{}{mark}\n",
        left(name, 16),
        right(&form(row.measured), 11),
        right(&row.predicted.map_or(NONE.to_owned(), form), 11),
        right(&error(row), 14),
        right(&tolerance, 12),
        right(&band, 22),
        row.at_pace.map_or(String::new(), |figure| right(&form(figure), 12))
    )
}

/// An error with its sign.
pub(super) fn error(row: &Judged) -> String {
    let Some(error) = row.error else { return if row.passes { NONE } else { "unknown" }.to_owned() };
    if row.figure.is_share() {
        return points(error);
    }
    let text = tenths(100.0 * error);
    format!("{}{text} %", if text.starts_with('-') { "" } else { "+" })
}

/// What these logs cannot tell.
fn unknown(found: &Found) -> String {
    let readings: Vec<&Reading> = found.calibration.parts.iter().map(|part| &part.reading).collect();
    let mut said = Vec::new();
    if readings.iter().any(|reading| matches!(reading, Reading::TokensAlone | Reading::EndsAlone)) {
        said.push(
            "From tokens' times alone: who was decoding when, and how long from one step's tokens to the next's. Not known: how that divides \
             into step and what is between steps, how prompts were cut into chunks, and what was computed for clients who left."
                .to_owned(),
        );
    }
    if readings.iter().any(|reading| matches!(reading, Reading::StepsAlone(_))) {
        said.push(
            "From step lines alone: KV tokens by the log's rounded share of whole blocks, and nothing of what passes between steps."
                .to_owned(),
        );
    }
    said.push(format!(
        "Predictions are all equally likely speeds together; the band holds 95 % of them. A load counts as near critical where one percent of \
         speed moves the time to first token by {} % or more. The speed of a simulated run does not change while it goes on.",
        number(Forecast::NEAR_CRITICAL)
    ));
    said.iter().map(|one| wrap(one) + "\n").collect()
}

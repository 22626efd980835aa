//! The recommended settings beside today's at other loads and capacities.

use super::Drawn;
use super::tuning::{titled, unit};
use crate::report::plot::{Cases, Compared, Estimate};
use crate::report::tuned::Tuning;
use crate::stats::significant;
use crate::tune::{Case, Elsewhere, Figure, hold};

/// Replications below which an interval says more of their number than of the settings.
const FEW: u32 = 5;

/// Both settings in one case.
struct Row {
    case: Case,
    /// Replications of each.
    replications: u32,
    recommended: Estimate,
    /// Whether the recommended hold the constraints.
    feasible: bool,
    today: Estimate,
    today_feasible: bool,
}

/// One row for each case that was measured; left out where only the expected one was.
pub(super) fn draw(tuning: &Tuning<'_>, drawn: &mut Drawn) {
    let rows = rows(tuning);
    if rows.len() < 2 {
        return drawn.leave_out("Other loads and capacities were not measured: `--around` asks for them.");
    }
    let outcome = &tuning.tuned.outcome;
    let alone = outcome.choice == outcome.baseline;
    let mut compared = vec![Compared {
        name: if alone { "today's settings, recommended".to_owned() } else { "recommended settings".to_owned() },
        values: rows.iter().map(|row| row.recommended).collect(),
        feasible: rows.iter().map(|row| row.feasible).collect(),
    }];
    if !alone {
        compared.push(Compared {
            name: "today's settings".to_owned(),
            values: rows.iter().map(|row| row.today).collect(),
            feasible: rows.iter().map(|row| row.today_feasible).collect(),
        });
    }
    let objective = &tuning.task.objectives[0];
    let with_capacity = rows.iter().any(|row| row.case.varies_capacity());
    let what = if tuning.tuned.outcome.without_chance {
        "One run in each case: nothing in them is left to chance.".to_owned()
    } else {
        let fresh = if tuning.recorded { "" } else { " that nothing was chosen by" };
        format!("Means with 95 % intervals over {}{fresh}.", replications(&rows))
    };
    let plot = Cases {
        head: titled(
            tuning,
            "cases",
            format!("{} at other loads{}", objective.measure, if with_capacity { " and capacities" } else { "" }),
            &what,
        ),
        objective: objective.measure.to_string(),
        unit: unit(&objective.measure),
        more_is_better: objective.sign > 0.0,
        cases: rows.iter().map(|row| words(tuning.scenes, row.case, with_capacity)).collect(),
        compared,
    };
    drawn.add(plot.plot());
}

/// Replications that a row has: `10 replications`, `5 to 30 replications`; of very few it is said that they make intervals wide.
fn replications(rows: &[Row]) -> String {
    let counts = || rows.iter().map(|row| row.replications);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let many = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let few = || format!(" (an interval over {least} is wide, whatever the settings do)");
    let wide = if least < FEW { few() } else { String::new() };
    format!("{many} replications{wide}")
}

/// By rising load and falling capacity.
fn rows(tuning: &Tuning<'_>) -> Vec<Row> {
    let row = |one: &Elsewhere| Row {
        case: one.case,
        replications: one.replications,
        recommended: estimate(tuning, one.choice.first()),
        feasible: hold(&one.constraints),
        today: estimate(tuning, one.current.first()),
        today_feasible: hold(&one.current_constraints),
    };
    let mut rows: Vec<Row> = tuning.tuned.elsewhere.iter().map(row).collect();
    // A search for one case has confirmed its choice there.
    let confirmed = tuning.tuned.outcome.confirmation.as_ref();
    if let Some(confirmed) = confirmed.filter(|_| rows.iter().all(|row| row.case != Case::EXPECTED)) {
        rows.push(Row {
            case: Case::EXPECTED,
            replications: confirmed.series.count,
            recommended: estimate(tuning, confirmed.objectives.first()),
            feasible: hold(&confirmed.constraints),
            today: estimate(tuning, confirmed.baseline_objectives.first()),
            today_feasible: hold(&confirmed.baseline_constraints),
        });
    }
    rows.sort_by(|a, b| {
        a.case
            .scene
            .cmp(&b.case.scene)
            .then(a.case.load.total_cmp(&b.case.load))
            .then(b.case.capacity.total_cmp(&a.case.capacity))
    });
    rows
}

fn words(scenes: &[String], case: Case, with_capacity: bool) -> String {
    if scenes.len() > 1 {
        return case.words(scenes);
    }
    let percent = |share: f64| significant(100.0 * share, 4);
    if with_capacity {
        format!("load {} %, capacity {} %", percent(case.load), percent(case.capacity))
    } else {
        format!("load {} %", percent(case.load))
    }
}

/// In the objective's own direction.
fn estimate(tuning: &Tuning<'_>, figure: Option<&Option<Figure>>) -> Estimate {
    let Some(figure) = figure.copied().flatten() else { return Estimate::exact(f64::NAN) };
    let objective = &tuning.task.objectives[0];
    let sign = objective.sign;
    // A share lies between 0 and 1, whatever the interval of few replications says.
    let possible = |x: f64| if objective.measure.is_share() { x.clamp(0.0, 1.0) } else { x };
    let ends = figure.interval.map(|interval| (possible(sign * interval.lo), possible(sign * interval.hi)));
    let (lo, hi) = ends.unwrap_or((f64::NAN, f64::NAN));
    Estimate { mean: sign * figure.mean, lo: lo.min(hi), hi: lo.max(hi) }
}

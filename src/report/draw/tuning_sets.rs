//! What the parameters do: the objective over a grid of two, and the sensitivity around the choice and over the space.

use std::collections::BTreeMap;

use super::Drawn;
use super::tuning::{objective, objective_around, own, titled};
use crate::report::plot::{Along, Estimate, Head, Heatmap, HeatmapCell, Sensitivity, SobolIndex, Swing, Values};
use crate::report::tuned::Tuning;
use crate::tune::{Bar, Domain, Index, PLATEAU, Parameter, Scale, Setting, SliceCell};

/// The objective over two parameters: the candidates themselves where they are a full grid of two, else the slice through
/// the choice.
pub(super) fn heatmap(tuning: &Tuning<'_>, drawn: &mut Drawn) {
    if let Some(plot) = of_grid(tuning).or_else(|| of_slice(tuning)) {
        return drawn.add(plot.plot());
    }
    drawn.leave_out(
        "There is no heatmap: it needs two numbers among the recommended settings, and `--around` above 0 or a grid of two.",
    );
}

fn of_grid(tuning: &Tuning<'_>) -> Option<Heatmap> {
    let outcome = &tuning.tuned.outcome;
    if tuning.task.space.dimensions() != 2 {
        return None;
    }
    let cells = candidates(tuning);
    let [columns, rows] = [0, 1].map(|k| levels(cells.keys().map(move |pair| &pair[k])));
    if cells.len() < 4 || cells.len() != columns.len() * rows.len() {
        return None;
    }
    let objective = objective(tuning, 0);
    let what = "Each cell is one candidate of the screening, all on the same replications.";
    let head = titled(tuning, "heatmap", format!("{objective} over both parameters"), what);
    let choice = tuning.tuned.centre.as_ref().or_else(|| outcome.choice.map(|choice| outcome.point(choice)));
    let chosen = choice.and_then(|point| Some([point.setting(0)?.clone(), point.setting(1)?.clone()]));
    Some(over(tuning, head, ([0, 1], objective), &cells, chosen.as_ref()))
}

fn of_slice(tuning: &Tuning<'_>) -> Option<Heatmap> {
    let slice = tuning.tuned.slice.as_ref()?;
    let parameters = tuning.task.space.parameters();
    let cell = |cell: &SliceCell| {
        let value = own(tuning, 0, cell.objective);
        (cell.settings.clone(), HeatmapCell { value, feasible: cell.feasible })
    };
    let cells: BTreeMap<[Setting; 2], HeatmapCell> = slice.cells.iter().map(cell).collect();
    let choice = tuning.tuned.centre.as_ref()?;
    let others = (0..parameters.len()).filter(|k| !slice.parameters.contains(k));
    let held = others.filter_map(|k| Some(format!("{} = {}", parameters[k].path, choice.setting(k)?)));
    let held: Vec<String> = held.collect();
    let held = if held.is_empty() { String::new() } else { format!(" All else as recommended: {}.", held.join(", ")) };
    let many = if slice.replications == 1 { "" } else { "s" };
    let what = format!(
        "Each cell is the mean of the same {} replication{many}, measured beside the search's budget.{held}",
        slice.replications
    );
    let which = if parameters.len() > 2 { "the two numbers that matter most" } else { "both parameters" };
    let objective = objective_around(tuning);
    let title = format!("{objective} over {which}");
    let [x, y] = slice.parameters;
    let chosen = choice.setting(x).cloned().zip(choice.setting(y).cloned()).map(|(x, y)| [x, y]);
    Some(over(tuning, titled(tuning, "heatmap", title, &what), ([x, y], objective), &cells, chosen.as_ref()))
}

/// The picture of a full grid of cells of `objective` over parameters number `of`.
fn over(
    tuning: &Tuning<'_>,
    head: Head,
    (of, objective): ([usize; 2], String),
    cells: &BTreeMap<[Setting; 2], HeatmapCell>,
    chosen: Option<&[Setting; 2]>,
) -> Heatmap {
    let [columns, rows] = [0, 1].map(|k| levels(cells.keys().map(move |pair| &pair[k])));
    let [x, y] = of.map(|k| &tuning.task.space.parameters()[k]);
    let pairs = rows.iter().flat_map(|row| columns.iter().map(move |column| [column.clone(), row.clone()]));
    let pairs: Vec<[Setting; 2]> = pairs.collect();
    Heatmap {
        head,
        x: along(x, &columns),
        y: along(y, &rows),
        objective,
        more_is_better: tuning.task.objectives[0].sign > 0.0,
        within: PLATEAU,
        chosen: pairs.iter().position(|pair| Some(pair) == chosen),
        cells: pairs.iter().map(|pair| cells[pair]).collect(),
    }
}

/// What the last rung of full length shows of each pair of settings.
fn candidates(tuning: &Tuning<'_>) -> BTreeMap<[Setting; 2], HeatmapCell> {
    let outcome = &tuning.tuned.outcome;
    let Some(rung) = outcome.rungs.iter().rfind(|rung| rung.series.share >= 1.0) else { return BTreeMap::new() };
    let cell = |visit: &crate::tune::Visit| {
        let point = outcome.point(visit.candidate);
        let pair = [point.setting(0)?.clone(), point.setting(1)?.clone()];
        let value = own(tuning, 0, visit.objectives.first().copied().flatten());
        let feasible = visit.constraints.iter().flatten().all(|slack| slack.mean >= 0.0);
        Some((pair, HeatmapCell { value, feasible }))
    };
    rung.visits.iter().filter_map(cell).collect()
}

/// All settings of one parameter, rising, each once.
fn levels<'a>(settings: impl Iterator<Item = &'a Setting>) -> Vec<Setting> {
    let mut levels: Vec<Setting> = settings.cloned().collect();
    levels.sort();
    levels.dedup();
    levels
}

fn along(parameter: &Parameter, levels: &[Setting]) -> Along {
    let log = matches!(
        parameter.domain,
        Domain::Real { scale: Scale::Log, .. }
            | Domain::Integer { scale: Scale::Log, .. }
            | Domain::Duration { scale: Scale::Log, .. }
    );
    let unit = if matches!(parameter.domain, Domain::Duration { .. }) { " [s]" } else { "" };
    let numbers: Option<Vec<f64>> = levels.iter().map(Setting::number).collect();
    let values = match numbers {
        Some(values) => Values::Numbers { log: log && values.iter().all(|x| *x > 0.0), values },
        None => Values::Choices(levels.iter().map(|setting| setting.to_string().replace('"', "")).collect()),
    };
    Along { name: format!("{}{unit}", parameter.path), values }
}

/// Tornado and Sobol indices, whichever was measured.
pub(super) fn sensitivity(tuning: &Tuning<'_>, drawn: &mut Drawn) {
    let tuned = tuning.tuned;
    let at_choice = own(tuning, 0, tuning.middle());
    let parameters = tuning.task.space.parameters();
    let swings: Vec<Swing> = tuned.tornado.iter().filter_map(|bar| swing(tuning, bar, at_choice)).collect();
    let indices = tuned.indices.iter().flat_map(|indices| parameters.iter().zip(&indices.parameters));
    let indices: Vec<SobolIndex> = indices
        .map(|(parameter, of)| SobolIndex {
            name: parameter.path.clone(),
            first: estimate(of.first),
            total: estimate(of.total),
        })
        .collect();
    if swings.is_empty() && indices.is_empty() {
        drawn.leave_out("Sensitivity was not measured: `--around` and `--sensitivity` ask for it.");
        return;
    }
    if indices.is_empty() {
        drawn.leave_out("Sobol indices were not measured: `--sensitivity` asks for them.");
    }
    let objective = objective_around(tuning);
    let plot = Sensitivity {
        head: titled(
            tuning,
            "sensitivity",
            format!("Which parameters matter for {objective}"),
            "The tornado changes one parameter at a time; of choices it shows the lowest and the highest.",
        ),
        objective,
        at_choice,
        step: "20 %".to_owned(),
        swings,
        indices,
    };
    drawn.add(plot.plot());
}

fn swing(tuning: &Tuning<'_>, bar: &Bar, at_choice: f64) -> Option<Swing> {
    let own_setting = tuning.tuned.centre.as_ref()?.setting(bar.parameter)?;
    let changed = |side: &crate::tune::Side| at_choice + own(tuning, 0, side.change.first().copied().flatten());
    let (mut down, mut up) = (f64::NAN, f64::NAN);
    for side in &bar.sides {
        let value = changed(side);
        if own_setting.number().is_none() {
            (down, up) = (down.min(value), up.max(value)); // of a number and none, min and max take the number
        } else if side.setting < *own_setting {
            down = value;
        } else {
            up = value;
        }
    }
    Some(Swing { name: tuning.task.space.parameters()[bar.parameter].path.clone(), down, up })
}

fn estimate(index: Index) -> Estimate {
    Estimate { mean: index.value, lo: index.interval.lo, hi: index.interval.hi }
}

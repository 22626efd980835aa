//! What the parameters do: the objective over a grid of two, and the sensitivity around the choice and over the space.

use std::collections::BTreeMap;

use super::Drawn;
use super::tuning::{objective, objective_around, own, titled, unit};
use crate::report::plot::{Along, Estimate, Head, Heatmap, HeatmapCell, Sensitivity, SobolIndex, Swing, Values};
use crate::report::tuned::Tuning;
use crate::tune::{Bar, Domain, Figure, Index, PLATEAU, Parameter, ROWS_MIN, Setting, Side, SliceCell, Visit, hold};

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
    let what = format!("Each cell is one candidate of the screening, all on the same replications. {EVEN}");
    let head = titled(tuning, "heatmap", over_both(tuning, &objective, [0, 1]), &what);
    let choice = tuning.tuned.centre.as_ref().or_else(|| outcome.choice.map(|choice| outcome.point(choice)));
    let chosen = choice.and_then(|point| Some([point.setting(0)?.clone(), point.setting(1)?.clone()]));
    Some(over(tuning, head, ([0, 1], objective), &cells, chosen.as_ref()))
}

fn of_slice(tuning: &Tuning<'_>) -> Option<Heatmap> {
    let slice = tuning.tuned.slice.as_ref()?;
    let parameters = tuning.task.space.parameters();
    let cell = |cell: &SliceCell| {
        let value = own(tuning, 0, cell.objective);
        // Along the choice's own row and column more replications than the slice's may have told already.
        let feasible = told_around(tuning, slice.parameters, &cell.settings).unwrap_or(cell.feasible);
        (cell.settings.clone(), HeatmapCell { value, feasible, better: feasible && cell.better })
    };
    let cells: BTreeMap<[Setting; 2], HeatmapCell> = slice.cells.iter().map(cell).collect();
    let choice = tuning.tuned.centre.as_ref()?;
    let others = (0..parameters.len()).filter(|k| !slice.parameters.contains(k));
    let held = others.filter_map(|k| Some(format!("{} = {}", parameters[k].path, choice.setting(k)?)));
    let held: Vec<String> = held.collect();
    let held = if held.is_empty() { String::new() } else { format!(" All else as recommended: {}.", held.join(", ")) };
    let many = if slice.replications == 1 { "" } else { "s" };
    let what = format!(
        "Each cell is the mean of the same {} replication{many}, measured beside the search's budget{}. {EVEN}{held}",
        slice.replications,
        confirmed(tuning)
    );
    let objective = objective_around(tuning);
    let title = over_both(tuning, &objective, slice.parameters);
    let [x, y] = slice.parameters;
    let chosen = choice.setting(x).cloned().zip(choice.setting(y).cloned()).map(|(x, y)| [x, y]);
    Some(over(tuning, titled(tuning, "heatmap", title, &what), ([x, y], objective), &cells, chosen.as_ref()))
}

/// What more replications said of the choice than a cell has.
fn confirmed(tuning: &Tuning<'_>) -> String {
    let tuned = tuning.tuned;
    // Of a regret the confirmation tells another figure than the map.
    let confirmation = tuned.outcome.confirmation.as_ref().filter(|_| !tuned.outcome.without_chance && tuned.alone.is_empty());
    let Some((confirmation, level)) = confirmation.zip(tuning.middle()) else { return String::new() };
    let unit = unit(&tuning.task.objectives[0].measure);
    let level = Estimate::exact(tuning.task.objectives[0].sign * level.mean).text(unit);
    format!("; of the choice {} others, which are surer, said {level}", confirmation.series.count)
}

/// What a caption says of the axes.
const EVEN: &str = "Cells stand for the settings named beside them, and are of the same size whatever lies between.";

/// `goodput_fraction over max_queue_size and max_concurrent_requests`.
fn over_both(tuning: &Tuning<'_>, objective: &str, of: [usize; 2]) -> String {
    let parameters = tuning.task.space.parameters();
    let [x, y] = of.map(|k| parameters[k].path.rsplit('.').next().unwrap_or(&parameters[k].path));
    format!("{objective} over {x} and {y}")
}

/// Whether the constraints hold at `settings` of the parameters `of`, all else as chosen, as plateau or tornado found it; `None`
/// where neither looked there.
fn told_around(tuning: &Tuning<'_>, of: [usize; 2], settings: &[Setting; 2]) -> Option<bool> {
    let centre = tuning.tuned.centre.as_ref()?;
    let own = |k: usize| centre.setting(of[k]) == Some(&settings[k]);
    let moved = match (own(0), own(1)) {
        (false, true) => 0,
        (true, false) => 1,
        _ => return None,
    };
    let levels = tuning.tuned.plateaus.iter().filter(|one| one.parameter == of[moved]).flat_map(|one| &one.levels);
    let bars = tuning.tuned.tornado.iter().filter(|one| one.parameter == of[moved]).flat_map(|one| &one.sides);
    levels.chain(bars).find(|side| side.setting == settings[moved]).map(|side: &Side| side.feasible)
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
        unit: unit(&tuning.task.objectives[0].measure),
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
    let choice = rung.visits.iter().find(|visit| Some(visit.candidate) == outcome.choice);
    let sure = outcome.without_chance || rung.series.count > 1;
    let cell = |visit: &Visit| {
        let point = outcome.point(visit.candidate);
        let pair = [point.setting(0)?.clone(), point.setting(1)?.clone()];
        let value = own(tuning, 0, visit.objectives.first().copied().flatten());
        let better = sure && choice.is_some_and(|choice| is_apart(visit, choice));
        Some((pair, HeatmapCell { value, feasible: hold(&visit.constraints), better }))
    };
    rung.visits.iter().filter_map(cell).collect()
}

/// Whether a candidate surely holds the constraints, and its interval lies wholly above that of `choice`.
fn is_apart(visit: &Visit, choice: &Visit) -> bool {
    let first = |visit: &Visit| visit.objectives.first().copied().flatten();
    let end = |figure: Figure, of: fn(crate::stats::Interval) -> f64| figure.interval.map_or(figure.mean, of);
    let above = first(visit).zip(first(choice));
    above.is_some_and(|(one, other)| end(one, |interval| interval.lo) > end(other, |interval| interval.hi))
        && visit.constraints.iter().all(|slack| slack.is_some_and(Figure::is_above_zero))
}

/// All settings of one parameter, rising, each once.
fn levels<'a>(settings: impl Iterator<Item = &'a Setting>) -> Vec<Setting> {
    let mut levels: Vec<Setting> = settings.cloned().collect();
    levels.sort();
    levels.dedup();
    levels
}

fn along(parameter: &Parameter, levels: &[Setting]) -> Along {
    let unit = if matches!(parameter.domain, Domain::Duration { .. }) { " [s]" } else { "" };
    let numbers: Option<Vec<f64>> = levels.iter().map(Setting::number).collect();
    let values = match numbers {
        Some(values) => Values::Numbers(values),
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
        drawn.leave_out(match &tuned.indices {
            None => "Sobol indices were not measured: `--sensitivity` asks for them.",
            Some(indices) if indices.rows < ROWS_MIN => "Too few rows could be used for any Sobol index.",
            Some(_) => "The objective does not vary over the space: there are no Sobol indices.",
        });
    }
    let objective = objective_around(tuning);
    let by = if tuned.outcome.without_chance { "" } else { ", with 95 % intervals of the change" };
    let changed = format!(
        "The tornado changes one parameter at a time{by}; of choices it shows the lowest and the highest.{}",
        switched(tuning)
    );
    let plot = Sensitivity {
        head: titled(tuning, "sensitivity", format!("Which parameters matter for {objective}"), &changed),
        objective,
        unit: unit(&tuning.task.objectives[0].measure),
        at_choice,
        step: "20 %".to_owned(),
        swings,
        indices,
    };
    drawn.add(plot.plot());
}

/// Which settings the bars of choices are of: what a row calls "less" and "more" has no order there.
fn switched(tuning: &Tuning<'_>) -> String {
    let parameters = tuning.task.space.parameters();
    let centre = tuning.tuned.centre.as_ref();
    let of = |bar: &Bar| {
        centre?.setting(bar.parameter).filter(|own| own.number().is_none())?;
        let level =
            |side: &Side| Some((side.setting.to_string().replace('"', ""), side.change.first().copied().flatten()?.mean));
        let mut sides: Vec<(String, f64)> = bar.sides.iter().filter_map(level).collect();
        sides.sort_by(|a, b| a.1.total_cmp(&b.1));
        let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
        let named = match &sides[..] {
            [] => return None,
            [(one, _)] => format!("{one} instead"),
            [(worst, _), .., (best, _)] => format!("from {worst}, the worst, to {best}"),
        };
        Some(format!("{}: {named}", last(&parameters[bar.parameter].path)))
    };
    let each: Vec<String> = tuning.tuned.tornado.iter().filter_map(of).collect();
    if each.is_empty() { String::new() } else { format!(" Choices: {}.", each.join("; ")) }
}

fn swing(tuning: &Tuning<'_>, bar: &Bar, at_choice: f64) -> Option<Swing> {
    let own_setting = tuning.tuned.centre.as_ref()?.setting(bar.parameter)?;
    let sign = tuning.task.objectives[0].sign;
    let changed = |side: &Side| {
        let change = side.change.first().copied().flatten()?;
        let ends = change.interval.map_or((f64::NAN, f64::NAN), |interval| (sign * interval.lo, sign * interval.hi));
        let (lo, hi) = (at_choice + ends.0.min(ends.1), at_choice + ends.0.max(ends.1));
        Some(Estimate { mean: at_choice + sign * change.mean, lo, hi })
    };
    let (mut down, mut up): (Option<Estimate>, Option<Estimate>) = (None, None);
    for side in &bar.sides {
        let Some(value) = changed(side) else { continue };
        if own_setting.number().is_none() {
            down = down.filter(|down| down.mean <= value.mean).or(Some(value));
            up = up.filter(|up| up.mean >= value.mean).or(Some(value));
        } else if side.setting < *own_setting {
            down = Some(value);
        } else {
            up = Some(value);
        }
    }
    let none = Estimate::exact(f64::NAN);
    if own_setting.number().is_none() && bar.sides.len() == 1 {
        down = Some(Estimate::exact(at_choice)); // of two choices there is one other
    }
    let name = tuning.task.space.parameters()[bar.parameter].path.clone();
    Some(Swing { name, down: down.unwrap_or(none), up: up.unwrap_or(none) })
}

fn estimate(index: Index) -> Estimate {
    Estimate { mean: index.value, lo: index.interval.lo, hi: index.interval.hi }
}

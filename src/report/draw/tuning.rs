//! A tuning's plots: the race, the front of two objectives, and what [`super::tuning_sets`] draws over the parameters.

use std::collections::{BTreeMap, BTreeSet};

use super::{Drawn, head, tuning_cases, tuning_sets};
use crate::journal::summary::Measure;
use crate::report::format::{NONE, count};
use crate::report::plot::{Candidate, Estimate, Fate, Head, ParetoFront, ParetoKind, ParetoPoint, Racing, Unit};
use crate::report::tuned::Tuning;
use crate::tune::{Figure, Finalist, Id, Outcome, RobustBy, Setting, Verdict, Visit, hold, of_futures};

/// Parameters that a caption names one by one.
const PATHS_MAX: usize = 6;

/// The plots of a tuning: heatmap, sensitivity, other loads and capacities, Pareto front (of several objectives), race.
#[must_use]
pub fn tuning(tuning: &Tuning<'_>) -> Drawn {
    let mut drawn = Drawn::default();
    tuning_sets::heatmap(tuning, &mut drawn);
    tuning_sets::sensitivity(tuning, &mut drawn);
    tuning_cases::draw(tuning, &mut drawn);
    pareto(tuning, &mut drawn);
    drawn.add(racing(tuning).plot());
    drawn
}

/// A head with the tuning's run in its caption.
pub(super) fn titled(tuning: &Tuning<'_>, name: &str, title: String, what: &str) -> Head {
    let said = format!("{}, \"{}\", seed {}. {what}", tuning.scenario, tuning.variant, tuning.seed);
    head(name, title, said)
}

/// A candidate's settings, in short: its values, in the order that [`named`] tells.
fn name(tuning: &Tuning<'_>, candidate: Id) -> String {
    let outcome = &tuning.tuned.outcome;
    if Some(candidate) == outcome.baseline {
        return "today's settings".to_owned();
    }
    let value = |setting: &Option<Setting>| setting.as_ref().map_or(NONE.to_owned(), Setting::to_string).replace('"', "");
    outcome.point(candidate).0.iter().map(value).collect::<Vec<_>>().join(", ")
}

/// What the values in a candidate's name are of.
fn named(tuning: &Tuning<'_>) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let paths: Vec<String> = tuning.task.space.parameters().iter().map(|parameter| last(&parameter.path)).collect();
    match &paths[..] {
        paths if paths.len() <= PATHS_MAX => format!("Candidates are named by their {}.", paths.join(", ")),
        [first, .., last] => format!("Candidates are named by their settings, from {first} to {last}."),
        _ => String::new(),
    }
}

/// Objective number `k` of the search: of what it is combined, where several futures count.
pub(super) fn objective(tuning: &Tuning<'_>, k: usize) -> String {
    let by = if k > 0 && tuning.by == RobustBy::Regret { RobustBy::Worst } else { tuning.by };
    of_futures(&tuning.task.objectives[k].measure.to_string(), by, tuning.futures)
}

/// The first objective as it is measured around the choice: of a regret, the mean over the futures.
pub(super) fn objective_around(tuning: &Tuning<'_>) -> String {
    let by = if tuning.tuned.alone.is_empty() { tuning.by } else { RobustBy::Mean };
    of_futures(&tuning.task.objectives[0].measure.to_string(), by, tuning.futures)
}

/// How values of a figure are written.
pub(super) fn unit(measure: &Measure) -> Unit {
    if measure.is_share() { Unit::Percent } else { Unit::Number }
}

/// The value of objective number `k` as people read it: a search makes everything large.
pub(super) fn own(tuning: &Tuning<'_>, k: usize, figure: Option<Figure>) -> f64 {
    figure.map_or(f64::NAN, |figure| tuning.task.objectives[k].sign * figure.mean)
}

fn pareto(tuning: &Tuning<'_>, drawn: &mut Drawn) {
    let outcome = &tuning.tuned.outcome;
    let [x, y, ..] = &tuning.task.objectives[..] else {
        drawn.leave_out("There is no Pareto front of one objective: `tune.pareto` names more.");
        return;
    };
    let Some(front) = &outcome.front else {
        drawn.leave_out("There is no Pareto front: the search was cut short before its finalists were measured.");
        return;
    };
    let finalists = outcome.selection.iter().flat_map(|selection| &selection.finalists);
    let holds = |finalist: &&Finalist| hold(&finalist.constraints);
    let point = |candidate: Id, objectives: &[Option<Figure>], kind| ParetoPoint {
        name: name(tuning, candidate),
        x: own(tuning, 0, objectives.first().copied().flatten()),
        y: own(tuning, 1, objectives.get(1).copied().flatten()),
        chosen: Some(candidate) == outcome.choice,
        on_front: front.members.contains(&candidate),
        kind: if Some(candidate) == outcome.baseline { ParetoKind::Today } else { kind },
    };
    let mut points: Vec<ParetoPoint> = (finalists.clone().filter(holds))
        .map(|finalist| point(finalist.candidate, &finalist.objectives, ParetoKind::Finalist))
        .collect();
    // Who was screened only, by the last that was seen of it.
    let met: BTreeSet<Id> = finalists.map(|finalist| finalist.candidate).collect();
    let visits = outcome.rungs.iter().flat_map(|rung| &rung.visits);
    let last: BTreeMap<Id, &Visit> = visits.map(|visit| (visit.candidate, visit)).collect();
    let screened = last.into_iter().filter(|(id, visit)| !met.contains(id) && hold(&visit.constraints));
    points.extend(screened.map(|(id, visit)| point(id, &visit.objectives, ParetoKind::Screened)));
    let hypervolume = match &front.reference[..] {
        [at_x, at_y] => Some((Estimate::exact(front.hypervolume), (x.sign * at_x, y.sign * at_y))),
        _ => None,
    };
    let which = if tuning.constraints.is_empty() { "The finalists" } else { "The finalists that hold the constraints" };
    let what = format!(
        "{which}, all on the same replications. Those that were screened only ran on others, and are not compared with them. {}",
        named(tuning)
    );
    let plot = ParetoFront {
        head: titled(tuning, "pareto", format!("{} against {}", x.measure, y.measure), &what),
        x: (objective(tuning, 0), x.sign > 0.0),
        y: (objective(tuning, 1), y.sign > 0.0),
        points,
        all_objectives: tuning.task.objectives.len() == 2,
        hypervolume,
    };
    drawn.add(plot.plot());
}

/// Every candidate's way through the rungs and, of the finalists, the selection.
fn racing(tuning: &Tuning<'_>) -> Racing {
    let outcome = &tuning.tuned.outcome;
    let mut spent: BTreeMap<Id, (Vec<f64>, Option<Fate>)> = BTreeMap::new();
    for rung in &outcome.rungs {
        // All candidates of a rung are run alike.
        let each = rung.spent.simulations / rung.visits.len().max(1) as f64;
        for visit in &rung.visits {
            let (rungs, fate) = spent.entry(visit.candidate).or_default();
            rungs.push(each);
            *fate = Some(if visit.verdict == Verdict::Kept { Fate::Racing } else { Fate::Dropped });
        }
    }
    for finalist in outcome.selection.iter().flat_map(|selection| &selection.finalists) {
        let (rungs, fate) = spent.entry(finalist.candidate).or_default();
        // Without chance the selection looks at the screening's own runs.
        if !outcome.without_chance {
            rungs.push(f64::from(finalist.replications));
        }
        *fate = Some(Fate::Finalist);
    }
    let candidates = spent.into_iter().map(|(id, (spent, fate))| {
        let fate = if Some(id) == outcome.selected() { Fate::Chosen } else { fate.unwrap_or(Fate::Dropped) };
        Candidate { name: name(tuning, id), spent, fate }
    });
    let what = format!(
        "They race by {}. A simulation is one replication over the full time. {} {}",
        objective(tuning, 0),
        named(tuning),
        phases(outcome)
    );
    Racing {
        head: titled(tuning, "racing", "Where the budget went".to_owned(), what.trim_end()),
        unit: "simulations".to_owned(),
        candidates: candidates.collect(),
    }
}

fn phases(outcome: &Outcome) -> String {
    if outcome.selection.is_none() {
        return String::new();
    }
    if outcome.without_chance {
        return String::new();
    }
    let confirmation = outcome.spent.confirmation.runs;
    format!("A finalist's last part is the selection; {} runs more confirmed the choice.", count(confirmation))
}

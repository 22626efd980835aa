//! What stands around the choice: other futures, what each parameter does, the Pareto front.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Tuning, turned};
use crate::report::format::{NONE, count, left, number, percent, range, right, wrap};
use crate::tune::{Against, AloneThere, Elsewhere, Figure, Finalist, Front, Id, ROWS_MIN, Together};

/// A line of a list, wrapped: further lines stand two columns in, as its own words do.
fn item(text: &str) -> String {
    wrap(&format!("- {text}"))
}

/// Most columns of a future's name in the table.
const FUTURE_COLUMNS: usize = 80;

impl Tuning<'_> {
    /// Other loads, what each parameter does, the Pareto front.
    pub(super) fn surroundings(&self) -> String {
        let mut text = String::new();
        let told = |case: &&Elsewhere| self.futures < 2 || case.held_out;
        for case in self.tuned.elsewhere.iter().filter(told) {
            let _ = writeln!(text, "{}", wrap(&self.elsewhere(case)));
        }
        if !self.tuned.tornado.is_empty() {
            let mean = if self.tuned.alone.is_empty() { "" } else { ", mean over the futures" };
            let _ = writeln!(
                text,
                "Change of {}{mean}, with one setting a fifth less or more, or another choice:",
                self.objective()
            );
        }
        for bar in &self.tuned.tornado {
            let path = &self.task.space.parameters()[bar.parameter].path;
            let sides = bar.sides.iter().filter_map(|side| {
                let change = side.change.first().copied().flatten()?;
                let feasible = if side.feasible { "" } else { ", breaks a constraint" };
                Some(format!("{}: {}{feasible}", side.setting, self.unit(0).difference_with(self.own(0, change))))
            });
            let sides: Vec<String> = sides.collect();
            if !sides.is_empty() {
                let _ = writeln!(text, "{}", item(&format!("{path} = {}", sides.join("; "))));
            }
        }
        text.push_str(&self.indices());
        text.push_str(&self.front());
        text
    }

    /// Sobol indices, with how many rows they stand on.
    fn indices(&self) -> String {
        let Some(indices) = &self.tuned.indices else { return String::new() };
        let asked = indices.rows + indices.dropped;
        let few = if indices.dropped > 0 {
            format!(
                "Of {} rows of the Sobol indices {} could be used; in the others a candidate's settings do not go together, or do not show \
                 the objective.",
                count(asked as u64),
                count(indices.rows as u64)
            )
        } else {
            String::new()
        };
        let told = if indices.rows < ROWS_MIN {
            format!("{few} That is too few for any index ({ROWS_MIN} at least): raise `--sensitivity`, or narrow the ranges.")
        } else if indices.parameters.is_empty() {
            format!("{few} The objective does not vary over the space: there are no Sobol indices.")
        } else if indices.dropped > 0 {
            format!("{few} The indices are of the part of the space that can be run.")
        } else {
            few
        };
        let mut text = if told.is_empty() { told } else { wrap(told.trim_start()) + "\n" };
        for (parameter, index) in self.task.space.parameters().iter().zip(&indices.parameters) {
            let (first, total) = (index.first.clipped(), index.total.clipped());
            let told = format!(
                "{} explains {} of the objective's variance alone ({}), {} with the others ({}).",
                parameter.path,
                percent(first.value),
                range(first.interval, 1.0, percent),
                percent(total.value),
                range(total.interval, 1.0, percent)
            );
            let _ = writeln!(text, "{}", wrap(&told));
        }
        if indices.parameters.iter().any(|index| index.first.clipped().value > index.total.clipped().value) {
            let rows = count(indices.rows as u64);
            let told = "A parameter cannot explain more alone than together with the others:";
            let _ = writeln!(text, "{}", wrap(&format!("{told} {rows} rows are too few to tell that, raise `--sensitivity`.")));
        }
        text
    }

    /// The Pareto front: how large, and who is on it.
    fn front(&self) -> String {
        let Some(front) = &self.outcome().front else { return String::new() };
        let names: Vec<String> = self.task.objectives.iter().map(|objective| objective.measure.to_string()).collect();
        let count = front.members.len();
        let of = if count == 1 { "1 of the finalists is".to_owned() } else { format!("{count} of the finalists are") };
        let told = format!("{of} on the Pareto front of {}{}:", names.join(" against "), self.hypervolume(front));
        let mut text = wrap(&told) + "\n";
        for alike in self.alike(front) {
            let values = names.iter().zip(&alike[0].objectives).enumerate().map(|(k, (name, figure))| {
                let value = figure.map_or(NONE.to_owned(), |figure| self.unit(k).level_with(self.own(k, figure)));
                format!("{name} {value}")
            });
            let values: Vec<String> = values.collect();
            let settings: Vec<String> = alike.iter().map(|finalist| self.short(finalist.candidate)).collect();
            let _ = writeln!(text, "{}", item(&format!("{}: {}", settings.join("; or "), values.join(", "))));
        }
        text.extend(self.not_compared());
        text
    }

    /// How many never met the finalists.
    fn not_compared(&self) -> Option<String> {
        let met: BTreeSet<Id> =
            self.outcome().selection.iter().flat_map(|selection| &selection.finalists).map(|one| one.candidate).collect();
        let visits = self.outcome().rungs.iter().flat_map(|rung| &rung.visits);
        let screened: BTreeSet<Id> = visits.map(|visit| visit.candidate).filter(|id| !met.contains(id)).collect();
        let told = "and are not compared with them: some may belong on the front.";
        let candidates = match screened.len() {
            0 => return None,
            1 => "1 candidate was".to_owned(),
            n => format!("{} candidates were", count(n as u64)),
        };
        Some(wrap(&format!("{candidates} screened only, {told}")) + "\n")
    }

    /// The finalists on the front; those with the same figures, which are one point of it, together.
    fn alike(&self, front: &Front) -> Vec<Vec<&Finalist>> {
        let finalists = self.outcome().selection.iter().flat_map(|selection| &selection.finalists);
        let mut points: Vec<Vec<&Finalist>> = Vec::new();
        for finalist in finalists.filter(|finalist| front.members.contains(&finalist.candidate)) {
            match points.iter_mut().find(|alike| alike[0].objectives == finalist.objectives) {
                Some(alike) => alike.push(finalist),
                None => points.push(vec![finalist]),
            }
        }
        points
    }

    /// `; above the worst finalist of each (9.7 %, 1,751 ms) it has a hypervolume of 253 ms`.
    fn hypervolume(&self, front: &Front) -> String {
        let level = |(k, mean): (usize, &f64)| self.unit(k).level(self.task.objectives[k].sign * mean);
        let from: Vec<String> = front.reference.iter().enumerate().map(level).collect();
        let units = (0..front.reference.len()).map(|k| self.unit(k).plain());
        let units: Vec<&str> = units.filter(|unit| !unit.is_empty()).collect();
        let told = format!("{} {}", number(front.hypervolume), units.join(" x "));
        format!("; above the worst finalist of each ({}) it has a hypervolume of {}", from.join(", "), told.trim_end())
    }

    fn elsewhere(&self, case: &Elsewhere) -> String {
        let words = case.case.words(self.scenes);
        let mut place: String = words.chars().take(1).flat_map(char::to_uppercase).chain(words.chars().skip(1)).collect();
        if case.held_out {
            place.push_str(", by which nothing was chosen,");
        }
        let gain = if case.held_out { self.held_out_gain(case) } else { String::new() };
        format!(
            "{place} {} is {}, with today's settings {}{}{gain}.",
            self.objective(),
            self.figure(case.choice.first()),
            self.figure(case.current.first()),
            self.broken_there(case)
        )
    }

    /// Whether the gain holds in what nothing was chosen by.
    fn held_out_gain(&self, case: &Elsewhere) -> String {
        let outcome = self.outcome();
        if outcome.choice == outcome.baseline {
            return String::new(); // today's settings can neither gain nor lose
        }
        let unit = self.unit(0);
        let against = case.against(false, &self.task.tolerances());
        let said = against.iter().find_map(|against| match against {
            Against::Unmeasured => Some(": it could not be measured there, so do not deploy it".to_owned()),
            Against::Worse(gain) => Some(format!(": it loses {} there, so do not deploy it", unit.difference(-gain.mean))),
            Against::NoGain(gain) => {
                Some(format!(": a gain of {} cannot be told from nothing there", unit.difference_with(*gain)))
            }
            Against::Breaks { .. } => None,
        });
        said.unwrap_or_else(|| match case.gain.first().copied().flatten() {
            Some(gain) if gain.is_above_zero() => format!(": the gain of {} holds there", unit.difference_with(gain)),
            _ => ", which break a constraint there".to_owned(),
        })
    }

    /// What does not hold in a future, each behind a semicolon.
    fn broken_there(&self, case: &Elsewhere) -> String {
        let tolerances = self.task.tolerances();
        let each: Vec<String> = case.broken(&tolerances).map(|(k, slack)| self.not_held(k, slack)).collect();
        if each.is_empty() { String::new() } else { format!("; {}", each.join("; ")) }
    }

    /// Of constraint number `k`, which does not hold in some future: `... does not hold there, by 80.0 ms`.
    pub(super) fn not_held(&self, k: usize, slack: Option<Figure>) -> String {
        let text = &self.constraints[k];
        slack.map_or_else(
            || format!("`{text}` is not shown"),
            |slack| format!("`{text}` does not hold, by {}", self.unit_of_constraint(k).difference_with(turned(slack))),
        )
    }

    fn figure(&self, figure: Option<&Option<Figure>>) -> String {
        figure.copied().flatten().map_or(NONE.to_owned(), |figure| self.unit(0).level_with(self.own(0, figure)))
    }

    /// The futures that the choice was made for, a row each, and what they come to.
    pub(super) fn table_of_futures(&self) -> Option<String> {
        let futures: Vec<Elsewhere> = self.tuned.elsewhere.iter().filter(|one| !one.held_out).cloned().collect();
        if self.futures < 2 || futures.is_empty() {
            return None;
        }
        let title = format!("future ({})", self.objective());
        let names: Vec<String> = futures.iter().map(|one| one.case.words(self.scenes)).collect();
        let longest = names.iter().chain([&title]).map(|name| name.chars().count()).max().unwrap_or(0);
        let columns = (longest + 2).min(FUTURE_COLUMNS);
        let mut text = format!(
            "{}{}{}{}\n",
            left(&title, columns),
            right("recommended", 30),
            right("today's", 30),
            right("behind best", 16)
        );
        for (one, name) in futures.iter().zip(&names) {
            let regret = one.regret.map_or(NONE.to_owned(), |regret| self.unit(0).difference(regret.mean));
            let _ = writeln!(
                text,
                "{}{}{}{}{}",
                left(name, columns),
                right(&self.figure(one.choice.first()), 30),
                right(&self.figure(one.current.first()), 30),
                right(&regret, 16),
                self.broken_there(one)
            );
            if let Some(alone) = &one.alone {
                let _ = writeln!(text, "{}", wrap(&self.best_alone(alone)));
            }
        }
        text.push_str(&self.futures_together(&futures));
        Some(text)
    }

    /// What is best in a future alone, with its value there.
    fn best_alone(&self, alone: &AloneThere) -> String {
        let sets = self.task.sets(&alone.point);
        let words = if sets.is_empty() { "today's settings".to_owned() } else { sets.join(", ").replace('=', " = ") };
        let ahead = alone.ahead.map_or(String::new(), |ahead| {
            if ahead.is_below_zero() {
                let behind = self.unit(0).difference_with(turned(ahead));
                return format!(", {behind} behind the choice: a search of this future alone did not find its best");
            }
            format!(", {} ahead", self.unit(0).difference_with(ahead))
        });
        format!("  best here alone, {words}: {}{ahead}", self.figure(Some(&alone.objective)))
    }

    fn futures_together(&self, futures: &[Elsewhere]) -> String {
        let words = |place: usize| futures[place].case.words(self.scenes);
        let (sign, unit) = (self.task.objectives[0].sign, self.unit(0));
        let Some(choice) = Together::of(futures, |one| *one.choice.first()?) else { return String::new() };
        let mut text = format!(
            "Over these {} futures {} is {} on average and {} at worst, {}",
            futures.len(),
            self.objective(),
            unit.level(sign * choice.mean),
            unit.level(sign * choice.worst.1),
            words(choice.worst.0)
        );
        if let Some(today) = Together::of(futures, |one| *one.current.first()?) {
            let (mean, worst) = (unit.level(sign * today.mean), unit.level(sign * today.worst.1));
            let _ = write!(text, "; with today's settings {mean} and {worst}, {}", words(today.worst.0));
        }
        let behind = |one: &Elsewhere| one.regret.map(|regret| Figure { mean: -regret.mean, interval: None });
        if let Some(regret) = Together::of(futures, behind) {
            let (place, behind) = regret.worst;
            let _ = write!(
                text,
                ". It stays behind the best finalist of a future by at most {}, {}",
                unit.difference(-behind),
                words(place)
            );
        }
        wrap(&(text + ".")) + "\n"
    }
}

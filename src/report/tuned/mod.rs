//! What a tuning found, in words and tables: the settings, what they gain, what binds, where they may stand, how sure it is.

mod around;
mod classes;
mod cost;
mod kept;
mod standing;
mod steady;
mod units;
mod verdict;
mod warnings;

use super::format::{NONE, left, right, wrap};
use crate::journal::summary::{Measure, Summary};
use crate::stats::Interval;
use crate::tune::{Figure, Id, Outcome, Plateau, RobustBy, Setting, Side, Task, Together, Tuned};

pub use classes::ClassShare;
use units::Unit;

/// A tuning with what was asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Tuning<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// The variant whose settings were tuned.
    pub variant: &'a str,
    /// The seed of all randomness.
    pub seed: u64,
    /// What was asked.
    pub task: &'a Task,
    /// The constraints as written.
    pub constraints: &'a [String],
    /// What is in force today, parameter by parameter; `None` where nothing is.
    pub current: &'a [Option<String>],
    /// Names of the scenarios that it was made for.
    pub scenes: &'a [String],
    /// How several futures became one objective.
    pub by: RobustBy,
    /// How many futures counted.
    pub futures: usize,
    /// How many more the choice was to be tried in, and nothing was to be chosen by.
    pub held_out: usize,
    /// Whether its arrivals are recorded: the same in every replication.
    pub recorded: bool,
    /// Seconds of a run that is counted from its begin on, when all is empty; `None` where a warm-up is left out, or a recording is
    /// what it is.
    pub cold_s: Option<f64>,
    /// What was found.
    pub tuned: &'a Tuned,
    /// Today's settings and the recommended ones beside each other; empty where there was no time for it.
    pub beside: &'a Summary,
    /// Which of several futures these, and the plots that are made of them, are of; `None` where there is one only.
    pub figures_of: Option<&'a str>,
}

impl Tuning<'_> {
    /// The whole report.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![self.verdict(), self.settings()];
        parts.extend(self.finalists());
        parts.extend(self.table_of_futures());
        parts.push(self.surroundings());
        parts.push(self.cost());
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }

    fn outcome(&self) -> &Outcome {
        &self.tuned.outcome
    }

    fn objective(&self) -> &Measure {
        &self.task.objectives[0].measure
    }

    /// A figure of objective number `k` in its own direction: searches maximise, people read milliseconds.
    fn own(&self, k: usize, figure: Figure) -> Figure {
        if self.task.objectives[k].sign > 0.0 { figure } else { turned(figure) }
    }

    /// What objective number `k` is counted in.
    fn unit(&self, k: usize) -> Unit {
        Unit::of(&self.task.objectives[k].measure)
    }

    /// What constraint number `k` is counted in.
    fn unit_of_constraint(&self, k: usize) -> Unit {
        Unit::of(&self.task.constraints[k].0)
    }

    /// Whether the first objective is a regret: a difference.
    fn is_regret(&self) -> bool {
        self.by == RobustBy::Regret && self.futures > 1
    }

    /// A figure of objective number `k`, which of a regret is a difference.
    fn level(&self, k: usize, figure: Figure) -> String {
        let (unit, figure) = (self.unit(k), self.own(k, figure));
        if k == 0 && self.is_regret() { unit.difference_with(figure) } else { unit.level_with(figure) }
    }

    /// The choice's first objective as what stands around it is compared with: of a regret, the mean over the futures.
    #[must_use]
    pub fn middle(&self) -> Option<Figure> {
        if self.tuned.alone.is_empty() {
            return self.outcome().confirmation.as_ref()?.objectives.first().copied().flatten();
        }
        let counting: Vec<_> = self.tuned.elsewhere.iter().filter(|one| !one.held_out).cloned().collect();
        let mean = Together::of(&counting, |one| one.choice.first().copied().flatten())?.mean;
        Some(Figure { mean, interval: None })
    }

    /// The objective of the search in a few words, with its unit where its name does not say it.
    fn short_objective(&self) -> String {
        let (measure, unit) = (self.objective(), self.unit(0));
        let unit = match (unit, self.is_regret()) {
            (Unit::Share, true) => " [points]",
            (Unit::Share, false) => " [%]",
            (Unit::Rate, _) => " [req/s]",
            _ => "",
        };
        match self.by {
            _ if self.futures < 2 => format!("{measure}{unit}"),
            RobustBy::Worst => format!("worst {measure}{unit}"),
            RobustBy::Mean => format!("mean {measure}{unit}"),
            RobustBy::Regret => format!("{measure} less best{unit}"),
        }
    }

    /// Today's settings beside the recommended ones, with the plateau.
    fn settings(&self) -> String {
        let Some(choice) = self.outcome().choice else { return String::new() };
        let point = self.outcome().point(choice);
        let rows: Vec<[String; 4]> = self
            .task
            .space
            .parameters()
            .iter()
            .enumerate()
            .map(|(place, parameter)| {
                let today = self.current[place].clone().unwrap_or_else(|| NONE.to_owned());
                let chosen = match point.setting(place) {
                    Some(setting) => setting.to_string(),
                    None if Some(choice) == self.outcome().baseline => today.clone(),
                    None => NONE.to_owned(),
                };
                let plateau = self.tuned.plateaus.iter().find(|plateau| plateau.parameter == place);
                [parameter.path.clone(), today, chosen, plateau.map_or(String::new(), plateau_text)]
            })
            .collect();
        let within = self.plateau_level().map_or(String::new(), |level| format!("within 2 % of {level}"));
        let line = |[path, today, chosen, within]: [&str; 4]| {
            let line = format!("{}{}{}  {within}", left(path, 42), right(today, 16), right(chosen, 16));
            line.trim_end().to_owned() + "\n"
        };
        let mut text = line(["setting", "today", "recommended", &within]);
        for row in &rows {
            text.push_str(&line(row.each_ref().map(String::as_str)));
        }
        text
    }

    /// What plateaus are within 2 % of; `None` without plateaus.
    fn plateau_level(&self) -> Option<String> {
        let middle = self.middle().filter(|_| !self.tuned.plateaus.is_empty())?;
        Some(self.unit(0).level(self.own(0, middle).mean))
    }

    /// The candidate's values alone, in the parameters' order.
    fn short(&self, candidate: Id) -> String {
        if Some(candidate) == self.outcome().baseline {
            return "today's".to_owned();
        }
        self.values(candidate).join(" ")
    }

    /// Its values, one for each parameter.
    fn values(&self, candidate: Id) -> Vec<String> {
        let value = |setting: &Option<Setting>| setting.as_ref().map_or(NONE.to_owned(), ToString::to_string);
        self.outcome().point(candidate).0.iter().map(value).collect()
    }
}

impl Tuning<'_> {
    /// What stands around a choice by regret is measured as the mean over the futures.
    fn on_average(&self) -> &'static str {
        if self.tuned.alone.is_empty() { "" } else { " on average over the futures" }
    }
}

fn turned(figure: Figure) -> Figure {
    let interval = figure.interval.map(|interval| Interval { lo: -interval.hi, hi: -interval.lo });
    Figure { mean: -figure.mean, interval }
}

/// `10 to 32 (8, tried next, is worse; 32 is the most tried)`: what lies between two settings that were tried is not known.
fn plateau_text(plateau: &Plateau) -> String {
    let Plateau { from, to, open, .. } = plateau;
    let [below, above] = plateau.next();
    let beyond = |side: &Side| {
        let measured = side.change.first().is_some_and(Option::is_some);
        let why = match (measured, side.feasible) {
            (false, _) => "cannot be run or measured",
            (true, true) => "is worse",
            (true, false) => "breaks a constraint",
        };
        format!("{}, tried next, {why}", side.setting)
    };
    let below = below.map(beyond).or_else(|| open.0.then(|| format!("{from} is the least tried")));
    let above = above.map(beyond).or_else(|| open.1.then(|| format!("{to} is the most tried")));
    let ends: Vec<String> = below.into_iter().chain(above).collect();
    let own = if from == to { format!("{from} alone") } else { format!("{from} to {to}") };
    if ends.is_empty() { own } else { format!("{own} ({})", ends.join("; ")) }
}

#[cfg(test)]
mod tests;

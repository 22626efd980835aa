//! What a tuning found, in words and tables: the settings, what they gain, what binds, where they may stand, how sure it is.

mod around;
mod verdict;

use std::fmt::Write as _;

use super::format::{NONE, count, left, number, percent, range, right, wrap};
use crate::journal::summary::Measure;
use crate::stats::Interval;
use crate::tune::{Figure, Finalist, Id, Outcome, Plateau, RobustBy, Standing, Task, Together, Tuned};

/// Characters of a finalist's settings in the table.
const SETTINGS_COLUMNS: usize = 46;

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
    /// Whether its arrivals are recorded: the same in every replication.
    pub recorded: bool,
    /// What was found.
    pub tuned: &'a Tuned,
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

    /// The objective of the search in a few words.
    fn short_objective(&self) -> String {
        let measure = self.objective();
        match self.by {
            _ if self.futures < 2 => measure.to_string(),
            RobustBy::Worst => format!("worst {measure}"),
            RobustBy::Mean => format!("mean {measure}"),
            RobustBy::Regret => format!("{measure} less best"),
        }
    }

    /// Today's settings beside the recommended ones, with the plateau.
    fn settings(&self) -> String {
        let Some(choice) = self.outcome().choice else { return String::new() };
        let point = self.outcome().point(choice);
        let mut text = format!("{}{}{}  within 2 %\n", left("setting", 42), right("today", 16), right("recommended", 16));
        for (place, parameter) in self.task.space.parameters().iter().enumerate() {
            let today = self.current[place].clone().unwrap_or_else(|| NONE.to_owned());
            let chosen = match point.setting(place) {
                Some(setting) => setting.to_string(),
                None if Some(choice) == self.outcome().baseline => today.clone(),
                None => NONE.to_owned(),
            };
            let plateau = self.tuned.plateaus.iter().find(|plateau| plateau.parameter == place);
            let within = plateau.map_or(String::new(), plateau_text);
            let _ = writeln!(text, "{}{}{}  {within}", left(&parameter.path, 42), right(&today, 16), right(&chosen, 16));
        }
        text
    }

    fn finalists(&self) -> Option<String> {
        let selection = self.outcome().selection.as_ref()?;
        let title = self.short_objective();
        let mut text = format!(
            "{}{}{}{}  standing\n",
            left("finalist", SETTINGS_COLUMNS),
            right(&title, 24),
            right("95 %", 18),
            right("reps", 6)
        );
        for finalist in &selection.finalists {
            let figure = finalist.objectives.first().copied().flatten().map(|figure| self.own(0, figure));
            let _ = writeln!(
                text,
                "{}{}{}{}  {}",
                left(&self.short(finalist.candidate), SETTINGS_COLUMNS),
                right(&figure.map_or(NONE.to_owned(), |figure| number(figure.mean)), 24),
                right(&figure.and_then(|f| f.interval).map_or(NONE.to_owned(), |i| range(i, 1.0, number)), 18),
                right(&finalist.replications.to_string(), 6),
                self.standing(finalist)
            );
        }
        Some(text)
    }

    /// The candidate's values alone, in the parameters' order.
    fn short(&self, candidate: Id) -> String {
        let point = self.outcome().point(candidate);
        if Some(candidate) == self.outcome().baseline {
            return "today's".to_owned();
        }
        let values = point.0.iter().map(|setting| setting.as_ref().map_or(NONE.to_owned(), ToString::to_string));
        values.collect::<Vec<_>>().join(" ")
    }

    fn standing(&self, finalist: &Finalist) -> String {
        match finalist.standing {
            Standing::Chosen => "chosen".to_owned(),
            Standing::Beaten { at, .. } => match finalist.behind {
                Some(behind) => format!("{} behind, after {at}", shown(behind)),
                None => format!("beaten after {at}"),
            },
            Standing::Infeasible { constraint, at } => format!("breaks `{}`, after {at}", self.constraints[constraint]),
            Standing::Unmeasured { at } => format!("not measurable, after {at}"),
            Standing::Open => "not told apart".to_owned(),
        }
    }

    fn cost(&self) -> String {
        let (spent, errors) = (&self.outcome().spent, &self.outcome().errors);
        wrap(&format!(
            "{}, seed {}: {} candidates; {} simulations of screening, {} of selection, {} of confirmation ({} requests). Error \
             allowed: {} in the screening and {} in the selection; candidates that were only \
             ranked out are under no bound. Figures in brackets are 95 % intervals over replications.",
            self.scenario,
            self.seed,
            count(self.outcome().points.len() as u64),
            number(spent.screening.simulations),
            number(spent.selection.simulations),
            number(spent.confirmation.simulations),
            count(spent.screening.requests + spent.selection.requests + spent.confirmation.requests),
            percent(errors.screening),
            percent(errors.selection)
        )) + "\n"
    }
}

fn turned(figure: Figure) -> Figure {
    let interval = figure.interval.map(|interval| Interval { lo: -interval.hi, hi: -interval.lo });
    Figure { mean: -figure.mean, interval }
}

fn shown(figure: Figure) -> String {
    let interval = figure.interval.map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, number)));
    format!("{}{interval}", number(figure.mean))
}

fn plateau_text(plateau: &Plateau) -> String {
    let (below, above) = plateau.open;
    let sign = |open: bool, text: &str| if open { text.to_owned() } else { String::new() };
    format!("{}{} to {}{}", sign(below, "<= "), plateau.from, plateau.to, sign(above, " and more"))
}

//! What a tuning found, in words and tables: the settings, what they gain, what binds, where they may stand, how sure it is.

use std::fmt::Write as _;

use super::format::{NONE, count, left, number, percent, range, right, wrap};
use crate::journal::summary::Measure;
use crate::stats::Interval;
use crate::tune::{Elsewhere, Ended, Figure, Finalist, Id, Outcome, Plateau, Standing, Task, Tuned};

/// Characters of a finalist's settings in the table.
const SETTINGS_COLUMNS: usize = 46;

/// Share of the objective that a neighbouring setting may cost before it counts as a cliff.
const CLIFF: f64 = 0.1;

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
    /// What was found.
    pub tuned: &'a Tuned,
}

impl Tuning<'_> {
    /// The whole report.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![self.verdict(), self.settings()];
        parts.extend(self.finalists());
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
        if self.task.objectives[k].sign > 0.0 {
            return figure;
        }
        let turned = |interval: Interval| Interval { lo: -interval.hi, hi: -interval.lo };
        Figure { mean: -figure.mean, interval: figure.interval.map(turned) }
    }

    /// The verdict, a paragraph a line.
    fn verdict(&self) -> String {
        let outcome = self.outcome();
        let mut paragraphs = Vec::new();
        match outcome.choice {
            None => paragraphs.push(self.nothing_feasible()),
            Some(choice) if Some(choice) == outcome.baseline => {
                paragraphs.push(format!(
                    "The current settings of \"{}\" are not beaten by any candidate that was tried{}.",
                    self.variant,
                    self.at_choice()
                ));
            }
            Some(choice) => paragraphs.push(format!("Set {}{}{}.", self.words(choice), self.at_choice(), self.gain())),
        }
        paragraphs.extend(self.cut_short());
        paragraphs.extend(self.not_separable());
        paragraphs.extend(self.binding());
        paragraphs.extend(self.cliff());
        paragraphs.iter().map(|paragraph| wrap(paragraph) + "\n").collect()
    }

    /// `path = value and path = value`.
    fn words(&self, candidate: Id) -> String {
        let sets = self.task.sets(self.outcome().point(candidate));
        let sets: Vec<String> = sets.iter().map(|set| set.replacen('=', " = ", 1)).collect();
        match &sets[..] {
            [] => "the current settings".to_owned(),
            [one] => one.clone(),
            [most @ .., last] => format!("{} and {last}", most.join(", ")),
        }
    }

    fn at_choice(&self) -> String {
        let figure = self.outcome().confirmation.as_ref().and_then(|confirmation| confirmation.objectives[0]);
        figure.map_or(String::new(), |figure| format!(": {} is {}", self.objective(), shown(self.own(0, figure))))
    }

    fn gain(&self) -> String {
        let Some(confirmation) = &self.outcome().confirmation else { return String::new() };
        let (Some(Some(gain)), Some(Some(base))) = (confirmation.gain.first(), confirmation.baseline_objectives.first()) else {
            return String::new();
        };
        let base = self.own(0, *base);
        let how = match gain.interval {
            Some(interval) if interval.lo > 0.0 => "better than",
            Some(interval) if interval.hi < 0.0 => "worse than",
            _ => "which cannot be told from",
        };
        let interval = gain.interval.map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, number)));
        format!(
            ", {}{interval} {how} the {} of the current settings (95 %, paired on {} replications that nothing was chosen by)",
            number(gain.mean.abs()),
            number(base.mean),
            confirmation.series.count
        )
    }

    fn nothing_feasible(&self) -> String {
        let Some(closest) = self.outcome().closest else {
            return "No candidate holds the constraints, and none was measured well enough to say which comes closest."
                .to_owned();
        };
        let slacks = self.outcome().selection.iter().flat_map(|selection| &selection.finalists);
        let of = slacks.into_iter().find(|finalist| finalist.candidate == closest);
        let worst = of.map_or(String::new(), |finalist| format!(": {}", self.broken(finalist)));
        format!("No candidate that was tried holds the constraints. The closest is {}{worst}.", self.words(closest))
    }

    fn broken(&self, finalist: &Finalist) -> String {
        let each = finalist.constraints.iter().zip(self.constraints);
        let broken = each.filter_map(|(slack, text)| {
            let slack = (*slack)?;
            (slack.mean < 0.0).then(|| format!("`{text}` is missed by {}", number(-slack.mean)))
        });
        let broken: Vec<String> = broken.collect();
        if broken.is_empty() { "no constraint is surely held".to_owned() } else { broken.join(", ") }
    }

    fn cut_short(&self) -> Option<String> {
        let at = match self.outcome().ended {
            Ended::Complete | Ended::NothingFeasible => {
                return self.tuned.stopped.then(|| {
                    "The time was over before plateaus and other loads were measured; the choice itself is whole.".to_owned()
                });
            }
            Ended::InScreening => "in the screening: the choice is the best so far and stands on short runs",
            Ended::InSelection => "in the selection: the last candidates could not be told apart yet",
            Ended::InConfirmation => "in the confirmation: the gain over the current settings is not measured",
        };
        Some(format!("Cut short {at}. The same command with more time goes on from here."))
    }

    fn not_separable(&self) -> Option<String> {
        let selection = self.outcome().selection.as_ref()?;
        let choice = self.outcome().choice?;
        if selection.zone.is_none() {
            return Some(format!(
                "With several objectives nothing is eliminated: of the {} finalists that hold the constraints this one is best in \
                 {}, by the mean of {} replications.",
                selection.finalists.iter().filter(|f| matches!(f.standing, Standing::Chosen | Standing::Open)).count(),
                self.objective(),
                selection.first
            ));
        }
        let others: Vec<Id> = selection.survivors().into_iter().filter(|id| *id != choice).collect();
        if selection.finalists.len() == 1 {
            return Some(
                "The screening left no other candidate: all were worse in it, or there was no budget to keep them.".to_owned(),
            );
        }
        let zone = selection.zone.map_or(String::new(), |zone| format!(" by more than {} {}", number(zone), self.objective()));
        match (selection.decided, others.len()) {
            (true, 0) => Some(format!("Every other finalist is worse{zone}, at an error of {}.", percent(selection.alpha))),
            (true, n) => Some(format!(
                "No other finalist is better{zone}, at an error of {}; {n} of them cannot be told from the choice, as the table \
                 shows.",
                percent(selection.alpha)
            )),
            (false, n) => Some(format!(
                "Budget or replications ran out before the selection was decided: {n} other finalists may be as good{zone}. {} \
                 simulations in all would decide it at the latest.",
                count_of(selection.needed)
            )),
        }
    }

    fn binding(&self) -> Option<String> {
        let each = self.outcome().bindings.iter().map(|binding| {
            let text = &self.constraints[binding.constraint];
            let slack = binding.slack.map_or("not measured".to_owned(), |slack| format!("{} to spare", shown(slack)));
            let costs = binding.costs.map_or(String::new(), |costs| {
                format!(", and the best candidate that breaks it was {} better in {}", number(costs), self.objective())
            });
            format!("`{text}` {} ({slack}){costs}", if binding.near { "binds" } else { "holds" })
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("Constraints: {}.", each.join("; ")))
    }

    /// A fifth more or less of something that costs a tenth of the objective or more.
    fn cliff(&self) -> Option<String> {
        let at = self.outcome().confirmation.as_ref()?.objectives[0]?.mean.abs();
        let steep = self.tuned.tornado.iter().flat_map(|bar| bar.sides.iter().map(move |side| (bar.parameter, side)));
        let steep = steep.filter_map(|(parameter, side)| {
            let loss = -side.change.first().copied().flatten()?.mean;
            let path = &self.task.space.parameters()[parameter].path;
            (loss > CLIFF * at).then(|| format!("{path} = {} would cost {}", side.setting, number(loss)))
        });
        let steep: Vec<String> = steep.collect();
        (!steep.is_empty()).then(|| {
            let robust = "`--robust 'load=0.8..1.2'` looks for settings that stand further from it";
            format!("Careful, there is a cliff beside the choice: {}; {robust}.", steep.join(" and "))
        })
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
        let title = self.objective().to_string();
        let mut text = format!(
            "{}{}{}{}  standing\n",
            left("finalist", SETTINGS_COLUMNS),
            right(&title, 18),
            right("95 %", 18),
            right("reps", 6)
        );
        for finalist in &selection.finalists {
            let figure = finalist.objectives[0].map(|figure| self.own(0, figure));
            let _ = writeln!(
                text,
                "{}{}{}{}  {}",
                left(&self.short(finalist.candidate), SETTINGS_COLUMNS),
                right(&figure.map_or(NONE.to_owned(), |figure| number(figure.mean)), 18),
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

    /// Other loads, what each parameter does, the Pareto front.
    fn surroundings(&self) -> String {
        let mut text = String::new();
        for case in &self.tuned.elsewhere {
            let _ = writeln!(text, "{}", wrap(&self.elsewhere(case)));
        }
        for bar in &self.tuned.tornado {
            let path = &self.task.space.parameters()[bar.parameter].path;
            let sides = bar.sides.iter().filter_map(|side| {
                let change = side.change.first().copied().flatten()?;
                let feasible = if side.feasible { "" } else { ", breaks a constraint" };
                Some(format!("{} changes it by {}{feasible}", side.setting, shown(self.own(0, change))))
            });
            let sides: Vec<String> = sides.collect();
            if !sides.is_empty() {
                let _ = writeln!(text, "{}", wrap(&format!("{path}: {}.", sides.join("; "))));
            }
        }
        if let Some(indices) = &self.tuned.indices {
            for (parameter, index) in self.task.space.parameters().iter().zip(&indices.parameters) {
                let _ = writeln!(
                    text,
                    "{}",
                    wrap(&format!(
                        "{} explains {} of the objective's variance alone ({}), {} with the others ({}).",
                        parameter.path,
                        percent(index.first.value),
                        range(index.first.interval, 1.0, percent),
                        percent(index.total.value),
                        range(index.total.interval, 1.0, percent)
                    ))
                );
            }
        }
        if let Some(front) = &self.outcome().front {
            let names: Vec<String> = self.task.objectives.iter().map(|objective| objective.measure.to_string()).collect();
            let _ = writeln!(
                text,
                "{}",
                wrap(&format!(
                    "{} of the finalists are on the Pareto front of {} (hypervolume {}).",
                    front.members.len(),
                    names.join(" against "),
                    number(front.hypervolume)
                ))
            );
        }
        text
    }

    fn elsewhere(&self, case: &Elsewhere) -> String {
        let own = |figure: Option<&Option<Figure>>| {
            figure.copied().flatten().map_or(NONE.to_owned(), |figure| shown(self.own(0, figure)))
        };
        let broken: Vec<&String> = case
            .constraints
            .iter()
            .zip(self.constraints)
            .filter(|(slack, _)| slack.is_some_and(|slack| slack.mean < 0.0))
            .map(|(_, text)| text)
            .collect();
        let broken = match broken.first() {
            Some(text) => format!("; `{text}` does not hold there"),
            None => String::new(),
        };
        format!(
            "At {} {} is {}, with today's settings {}{broken}.",
            case.case,
            self.objective(),
            own(case.choice.first()),
            own(case.current.first())
        )
    }

    fn cost(&self) -> String {
        let (spent, errors) = (&self.outcome().spent, &self.outcome().errors);
        wrap(&format!(
            "{}, seed {}: {} candidates; {} simulations of screening, {} of selection, {} of confirmation ({} requests). Error \
             allowed: {} in the screening and {} in the selection; figures in brackets are 95 % intervals over replications.",
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

fn shown(figure: Figure) -> String {
    let interval = figure.interval.map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, number)));
    format!("{}{interval}", number(figure.mean))
}

fn plateau_text(plateau: &Plateau) -> String {
    let (below, above) = plateau.open;
    let sign = |open: bool, text: &str| if open { text.to_owned() } else { String::new() };
    format!("{}{} to {}{}", sign(below, "<= "), plateau.from, plateau.to, sign(above, " and more"))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative; `as` saturates
fn count_of(simulations: f64) -> String {
    count(simulations.ceil() as u64)
}

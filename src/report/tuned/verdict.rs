//! The verdict of a tuning in words: what to set, what it gains, what binds, how sure that is.

use super::{Tuning, shown};
use crate::journal::summary::Measure;
use crate::report::format::{count, number, percent, range, wrap};
use crate::scenario::RobustBy;
use crate::tune::{Ended, Finalist, Id, Standing};

/// Share of the objective that a neighbouring setting may cost before it counts as a cliff.
const CLIFF: f64 = 0.1;

impl Tuning<'_> {
    /// The verdict, a paragraph a line.
    pub(super) fn verdict(&self) -> String {
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

    /// The objective as the search had it: of several futures there is one figure.
    fn wanted(&self) -> String {
        let (measure, futures): (&Measure, usize) = (self.objective(), self.futures);
        match self.by {
            _ if futures == 1 => measure.to_string(),
            RobustBy::Worst => format!("{measure} in the worst of {futures} futures"),
            RobustBy::Mean => format!("{measure} on average over {futures} futures"),
            RobustBy::Regret => format!("{measure} less the best that each of {futures} futures has alone, at worst,"),
        }
    }

    fn at_choice(&self) -> String {
        let figure = self.outcome().confirmation.as_ref().and_then(|confirmation| confirmation.objectives[0]);
        figure.map_or(String::new(), |figure| format!(": {} is {}", self.wanted(), shown(self.own(0, figure))))
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
        let at = match crate::stats::mean(&self.tuned.alone) {
            // What a neighbour costs is a share of the objective, not of a regret.
            Some(alone) => alone.abs(),
            None => self.outcome().confirmation.as_ref()?.objectives[0]?.mean.abs(),
        };
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
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative; `as` saturates
fn count_of(simulations: f64) -> String {
    count(simulations.ceil() as u64)
}

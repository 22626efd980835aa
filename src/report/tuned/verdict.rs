//! The verdict of a tuning in words: what to set, what it gains, what binds, how sure that is.

use super::{Tuning, shown, turned};
use crate::journal::summary::Measure;
use crate::report::format::{count, number, percent, range, wrap};
use crate::stats::Interval;
use crate::tune::{Binding, Elsewhere, Ended, Finalist, Id, RobustBy, Standing};

/// Share of the objective that a neighbouring setting may cost before it counts as a cliff.
const CLIFF: f64 = 0.1;

impl Tuning<'_> {
    /// The verdict, a paragraph a line.
    pub(super) fn verdict(&self) -> String {
        let outcome = self.outcome();
        let mut paragraphs = Vec::new();
        match outcome.choice {
            None if outcome.ended == Ended::NothingFeasible => paragraphs.push(self.nothing_feasible()),
            None => paragraphs.push("Stopped before anything could be chosen.".to_owned()),
            Some(choice) if Some(choice) == outcome.baseline => {
                paragraphs.push(format!(
                    "The current settings of \"{}\" are not beaten by any candidate that was tried{}.",
                    self.variant,
                    self.at_choice()
                ));
            }
            Some(choice) => paragraphs.push(format!("Set {}{}{}.", self.words(choice), self.at_choice(), self.gain())),
        }
        paragraphs.extend(self.broken_in_confirmation());
        paragraphs.extend(self.broken_today());
        paragraphs.extend(self.cut_short());
        paragraphs.extend(self.not_separable());
        paragraphs.extend(self.binding());
        paragraphs.extend(self.cliff());
        paragraphs.extend(self.worse_elsewhere());
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
            _ if futures < 2 => measure.to_string(),
            RobustBy::Worst => format!("{measure} in the worst of {futures} futures"),
            RobustBy::Mean => format!("{measure} on average over {futures} futures"),
            RobustBy::Regret => format!("{measure} less the best that each of {futures} futures has alone, at worst,"),
        }
    }

    fn at_choice(&self) -> String {
        let figure =
            self.outcome().confirmation.as_ref().and_then(|confirmation| confirmation.objectives.first().copied().flatten());
        figure.map_or(String::new(), |figure| format!(": {} is {}", self.wanted(), shown(self.own(0, figure))))
    }

    fn gain(&self) -> String {
        let Some(confirmation) = &self.outcome().confirmation else { return String::new() };
        let (Some(Some(gain)), Some(Some(base))) = (confirmation.gain.first(), confirmation.baseline_objectives.first()) else {
            return String::new();
        };
        let base = self.own(0, *base);
        let level = number(base.mean);
        let interval = |turned: bool| {
            let ends = gain.interval.map(|i| if turned { Interval { lo: -i.hi, hi: -i.lo } } else { i });
            ends.map_or(String::new(), |interval| format!(" ({})", range(interval, 1.0, number)))
        };
        let told = match gain.interval {
            Some(of) if of.lo > 0.0 => {
                format!("{}{} better than the {level} of the current settings", number(gain.mean), interval(false))
            }
            Some(of) if of.hi < 0.0 => {
                format!("{}{} worse than the {level} of the current settings", number(-gain.mean), interval(true))
            }
            _ => format!(
                "a gain of {}{} over the {level} of the current settings, which cannot be told from none",
                number(gain.mean),
                interval(false)
            ),
        };
        format!(", {told} (95 %, paired on {} replications {})", confirmation.series.count, self.fresh())
    }

    /// What the confirmation's replications are. A recording is the same in all of them.
    const fn fresh(&self) -> &'static str {
        if self.recorded {
            "of the recording that it was chosen by: only what is held out is fresh"
        } else {
            "that nothing was chosen by"
        }
    }

    /// Constraints that the choice surely breaks on fresh replications.
    fn broken_in_confirmation(&self) -> Option<String> {
        self.outcome().confirmation.as_ref()?;
        let broken =
            |binding: &&Binding| binding.slack.and_then(|slack| slack.interval).is_some_and(|interval| interval.hi < 0.0);
        let each = self.outcome().bindings.iter().filter(broken).map(|binding| {
            let missed = binding.slack.map_or(String::new(), |slack| format!(" by {}", shown(turned(slack))));
            format!("`{}`{missed}", self.constraints[binding.constraint])
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("Careful, on fresh replications it breaks {}.", each.join(" and ")))
    }

    /// Constraints that today's settings break: why a choice may be worse than they are.
    fn broken_today(&self) -> Option<String> {
        let outcome = self.outcome();
        let confirmation = outcome.confirmation.as_ref().filter(|_| outcome.choice != outcome.baseline)?;
        let each = confirmation.baseline_constraints.iter().zip(self.constraints).filter_map(|(slack, text)| {
            let slack = slack.filter(|slack| slack.mean < 0.0)?;
            Some(format!("`{text}` by {}", shown(turned(slack))))
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("Today's settings break {}.", each.join(" and ")))
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
        if selection.decided {
            let alike = match others.len() {
                0 => String::new(),
                1 => "; one of them cannot be told from the choice, as the table shows".to_owned(),
                n => format!("; {n} of them cannot be told from the choice, as the table shows"),
            };
            let holds = if self.constraints.is_empty() { "" } else { " that holds the constraints" };
            let error = percent(selection.alpha);
            return Some(format!("No other finalist{holds} is better{zone}, at an error of {error}{alike}."));
        }
        if self.outcome().ended == Ended::InSelection {
            return None;
        }
        let open = others.len();
        let rest = match self.outcome().budget_to_decide() {
            Some(budget) => format!("At the latest {} simulations in all (`tune.simulations`) would decide it.", count_of(budget)),
            None if selection.capped => {
                "They had all the replications that there are: they differ by about the indifference zone, and a wider one (`tune.indifference`) would decide it.".to_owned()
            }
            None => "The budget did not pay for the first look at all finalists: raise `tune.simulations`.".to_owned(),
        };
        let ended = if selection.capped { "Replications" } else { "The budget" };
        Some(format!("{ended} ran out before the selection was decided: {open} other finalists may be as good{zone}. {rest}"))
    }

    fn binding(&self) -> Option<String> {
        let each = self.outcome().bindings.iter().map(|binding| {
            let text = &self.constraints[binding.constraint];
            let slack = binding.slack.map_or("not measured".to_owned(), |slack| format!("{} to spare", shown(slack)));
            let costs = binding.costs.map_or(String::new(), |costs| {
                format!(", and in the screening the best candidate that breaks it was {} better", number(costs))
            });
            let broken = binding.slack.and_then(|slack| slack.interval).is_some_and(|interval| interval.hi < 0.0);
            let stands = if broken {
                "is broken"
            } else if binding.near {
                "binds"
            } else {
                "holds"
            };
            format!("`{text}` {stands} ({slack}){costs}")
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("Constraints: {}.", each.join("; ")))
    }

    /// Futures beside the expected one in which today's settings are surely better.
    fn worse_elsewhere(&self) -> Option<String> {
        let surely = |case: &&Elsewhere| {
            let gain = case.gain.first().copied().flatten().and_then(|gain| gain.interval);
            !case.held_out && gain.is_some_and(|interval| interval.hi < 0.0)
        };
        let worse: Vec<String> = self.tuned.elsewhere.iter().filter(surely).map(|case| case.case.words(self.scenes)).collect();
        let robust = if self.futures < 2 { ": `--robust` looks for settings that are good there too" } else { "" };
        (!worse.is_empty()).then(|| format!("Careful, today's settings are better {}{robust}.", worse.join(", and ")))
    }

    /// A fifth more or less of something that costs a tenth of the objective or more.
    fn cliff(&self) -> Option<String> {
        let at = self.middle()?.mean.abs();
        let steep = self.tuned.tornado.iter().flat_map(|bar| bar.sides.iter().map(move |side| (bar.parameter, side)));
        let steep = steep.filter_map(|(parameter, side)| {
            let change = side.change.first().copied().flatten()?;
            let path = &self.task.space.parameters()[parameter].path;
            // Not of what a few replications only seem to show.
            let surely = change.interval.map_or(change.mean, |interval| interval.hi);
            (at > 0.0 && -surely > CLIFF * at).then(|| format!("{path} = {} would cost {}", side.setting, number(-change.mean)))
        });
        let steep: Vec<String> = steep.collect();
        let robust =
            if self.futures < 2 { "; `--robust 'load=0.8..1.2'` looks for settings that stand further from it" } else { "" };
        (!steep.is_empty()).then(|| format!("Careful, there is a cliff beside the choice: {}{robust}.", steep.join(" and ")))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative; `as` saturates
fn count_of(simulations: f64) -> String {
    count(simulations.ceil() as u64)
}

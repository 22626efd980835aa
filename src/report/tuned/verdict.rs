//! The verdict of a tuning in words: what to set, what it gains, what binds, how sure that is.

use super::{Tuning, turned, wrap};
use crate::journal::summary::Measure;
use crate::tune::{Ended, Figure, Finalist, Id, RobustBy, Standing, Together, is_broken};

impl Tuning<'_> {
    /// The verdict, a paragraph a line: what forbids the settings first, then the settings, then all that qualifies them.
    pub(super) fn verdict(&self) -> String {
        let outcome = self.outcome();
        let mut paragraphs = self.held_out_failures();
        paragraphs.extend(self.untried());
        paragraphs.extend(self.failed_confirmation());
        match outcome.choice {
            None if outcome.ended == Ended::NothingFeasible || outcome.closest.is_some() => {
                paragraphs.push(self.nothing_feasible());
            }
            None => paragraphs.push("Stopped before anything could be chosen.".to_owned()),
            Some(choice) if Some(choice) == outcome.baseline && outcome.selected() != outcome.baseline => {
                paragraphs.push(format!(
                    "The current settings of \"{}\" may stay as they are{}: what the selection chose is not better by more than the \
                     indifference zone.",
                    self.variant,
                    self.at_choice()
                ));
            }
            Some(choice) if Some(choice) == outcome.baseline => {
                paragraphs.push(format!(
                    "The current settings of \"{}\" are not beaten by any candidate that was tried{}.",
                    self.variant,
                    self.at_choice()
                ));
            }
            Some(choice) => paragraphs.push(format!("Set {}{}{}.", self.words(choice), self.at_choice(), self.gain())),
        }
        let qualified = [
            self.without_chance(),
            self.broken_today(),
            self.cut_short(),
            self.overloaded(),
            self.unsteady(),
            self.ends_of_the_run(),
            self.selected(),
            self.tied(),
            self.unchanged(),
            self.better_nearby(),
            self.binding(),
            self.within(),
            self.who_pays(),
            self.cliff(),
            self.worse_elsewhere(),
            self.worst_of_a_rate(),
            self.refused(),
            self.figures_are_of(),
        ];
        paragraphs.extend(qualified.into_iter().flatten());
        paragraphs.iter().map(|paragraph| wrap(paragraph) + "\n").collect()
    }

    /// `path = value and path = value`.
    pub(super) fn words(&self, candidate: Id) -> String {
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
        figure.map_or(String::new(), |figure| format!(": {} is {}", self.wanted(), self.level(0, figure)))
    }

    fn gain(&self) -> String {
        let Some(confirmation) = &self.outcome().confirmation else { return String::new() };
        let (Some(Some(gain)), Some(Some(base))) = (confirmation.gain.first(), confirmation.baseline_objectives.first()) else {
            return String::new();
        };
        let level = self.level(0, Figure { mean: base.mean, interval: None });
        let unit = self.unit(0);
        let told = if self.is_tie(*gain, *base) {
            format!("as good as the {level} of the current settings{}", self.broken_tie())
        } else if gain.is_above_zero() {
            format!("{} better than the {level} of the current settings", unit.difference_with(*gain))
        } else if gain.is_below_zero() {
            format!("{} worse than the {level} of the current settings", unit.difference_with(turned(*gain)))
        } else {
            let gained = unit.difference_with(*gain);
            format!("a gain of {gained} over the {level} of the current settings, which cannot be told from none")
        };
        format!(", {told} {}", self.evidence(confirmation.series.count, gain.interval.is_some()))
    }

    /// What the gain stands on.
    fn evidence(&self, replications: u32, varied: bool) -> String {
        if self.outcome().without_chance {
            return "(one run of each)".to_owned();
        }
        let level = if varied { "95 %, paired" } else { "the same in all, paired" };
        format!("({level} on {replications} replications {})", self.fresh())
    }

    /// Whether two futures' worst cases are the same, and the mean alone differs.
    fn is_tie(&self, gain: Figure, base: Figure) -> bool {
        let by_worst = self.futures > 1 && self.by == RobustBy::Worst;
        by_worst && gain.mean.abs() <= f64::EPSILON * base.mean.abs()
    }

    /// What decided between equal worst cases.
    fn broken_tie(&self) -> String {
        let counting: Vec<_> = self.tuned.elsewhere.iter().filter(|one| !one.held_out).cloned().collect();
        let choice = Together::of(&counting, |one| one.choice.first().copied().flatten());
        let today = Together::of(&counting, |one| one.current.first().copied().flatten());
        let (Some(choice), Some(today)) = (choice, today) else { return String::new() };
        let sign = self.task.objectives[0].sign;
        let mean = |of: Together| self.unit(0).level(sign * of.mean);
        format!(" there, where the mean over the futures decides: {} against {}", mean(choice), mean(today))
    }

    /// What the confirmation's replications are. A recording is the same in all of them.
    const fn fresh(&self) -> &'static str {
        if self.recorded {
            "of the recording that it was chosen by: only what is held out is fresh"
        } else {
            "that nothing was chosen by"
        }
    }

    /// Why there are no intervals.
    fn without_chance(&self) -> Option<String> {
        let held_out = self.tuned.elsewhere.iter().any(|one| one.held_out);
        let new = if held_out {
            "what is new is only what was held out"
        } else {
            "nothing here is new to the choice; a second recording held out (`--trace`, `--hold-out`) would be"
        };
        self.outcome().without_chance.then(|| {
            format!(
                "A recording without chance: nothing in these runs is drawn, so one run says all, and no interval would mean \
                 anything. It is certain of this recording and silent of any other: {new}."
            )
        })
    }

    fn nothing_feasible(&self) -> String {
        let Some(closest) = self.outcome().closest else {
            return "No candidate holds the constraints, and none was measured well enough to say which comes closest."
                .to_owned();
        };
        let slacks = self.outcome().selection.iter().flat_map(|selection| &selection.finalists);
        let of = slacks.into_iter().find(|finalist| finalist.candidate == closest);
        let worst = of.map_or(String::new(), |finalist| format!(": {}", self.broken(finalist)));
        // An interval that reaches the limit leaves open what its mean seems to say.
        let surely = |finalist: &Finalist| finalist.constraints.iter().flatten().any(|slack| slack.is_below_zero());
        let told = match of {
            _ if self.outcome().ended != Ended::NothingFeasible => "No candidate seems to hold the constraints so far",
            Some(finalist) if !surely(finalist) => "No candidate that was tried is shown to hold the constraints",
            _ if self.has_unmeasured() => "No candidate that was tried and could be measured holds the constraints",
            _ => "No candidate that was tried holds the constraints",
        };
        let met = self.outcome().selection.as_ref().map_or(0, |selection| selection.finalists.len());
        let of = if met > 1 { format!(" of the {met} that got whole runs") } else { String::new() };
        format!("{told}. The closest{of} is {}{worst}.", self.words(closest))
    }

    /// Whether the objective of some finalist could not be measured.
    fn has_unmeasured(&self) -> bool {
        let finalists = self.outcome().selection.iter().flat_map(|selection| &selection.finalists);
        finalists.into_iter().any(|finalist| matches!(finalist.standing, Standing::Unmeasured { .. }))
    }

    fn broken(&self, finalist: &Finalist) -> String {
        let each = finalist.constraints.iter().zip(self.constraints).enumerate();
        let broken = each.filter_map(|(k, (slack, text))| {
            let slack = (*slack)?;
            let missed = || self.unit_of_constraint(k).difference_with(turned(slack));
            (slack.mean < 0.0).then(|| format!("`{text}` is missed by {}", missed()))
        });
        let broken: Vec<String> = broken.collect();
        if broken.is_empty() { "no constraint is surely held".to_owned() } else { broken.join(", ") }
    }

    fn cut_short(&self) -> Option<String> {
        let at = match self.outcome().ended {
            Ended::Complete | Ended::NothingFeasible => {
                return self.tuned.stopped.then(|| {
                    "The time was over before all that stands around the choice was measured; the choice itself is whole."
                        .to_owned()
                });
            }
            Ended::InScreening => "in the screening: the choice is the best so far and stands on short runs",
            Ended::InSelection => "in the selection: the last candidates could not be told apart yet",
            Ended::InConfirmation => "in the confirmation: the gain over the current settings is not measured",
        };
        Some(format!("Cut short {at}. The same command (without `--fresh`) and more time goes on from here."))
    }

    fn binding(&self) -> Option<String> {
        let each = self.outcome().bindings.iter().map(|binding| {
            let (text, unit) = (&self.constraints[binding.constraint], self.unit_of_constraint(binding.constraint));
            let slack =
                binding.slack.map_or("not measured".to_owned(), |slack| format!("{} to spare", unit.difference_with(slack)));
            let costs = binding.costs.map_or(String::new(), |costs| {
                let better = self.unit(0).difference(costs);
                format!(", and in the screening the best candidate that breaks it was {better} better")
            });
            let tolerance = self.task.tolerances()[binding.constraint];
            let stands = if binding.slack.is_none() {
                "is not shown to hold"
            } else if is_broken(binding.slack, tolerance) {
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

    /// How far each number may be moved alone.
    fn within(&self) -> Option<String> {
        let level = self.plateau_level()?;
        let each = self.tuned.plateaus.iter().map(|plateau| {
            let path = &self.task.space.parameters()[plateau.parameter].path;
            format!("{path} {}", super::plateau_text(plateau))
        });
        let each: Vec<String> = each.collect();
        let on = self.on_average();
        Some(format!("Within 2 % of {level}{on} lie, each moved alone: {}.", each.join("; ")))
    }
}

//! How the finalists stand, and how sure that is: a table, and a paragraph of the verdict.
//!
//! Two things are said of each finalist, apart, because they answer different questions: what the selection decided (Kim and
//! Nelson: is it better by more than the indifference zone?), and by how much the choice was better on the replications that
//! both had, with its own 95 % interval.

use std::fmt::Write as _;

use super::Tuning;
use crate::report::format::{NONE, count, left, percent, range, right, width, wrap};
use crate::tune::{Ended, Figure, Finalist, PUT_BACK_ERROR, Selection, Standing};

/// What stands above the constraints' column.
const INSIDE: &str = "inside by";
/// Characters of a parameter's column in the table at most.
const COLUMN_MAX: usize = 28;

impl Tuning<'_> {
    /// The finalists, a row each.
    pub(super) fn finalists(&self) -> Option<String> {
        let selection = self.outcome().selection.as_ref()?;
        let columns = self.columns(selection);
        let one = self.outcome().without_chance;
        let names: String = columns.iter().map(|(name, wide)| left(name, *wide)).collect();
        let mut text = format!("{names}{}", right(&self.short_objective(), 30));
        if !one {
            let _ = write!(text, "{}{}", right("95 %", 18), right("reps", 6)); // a String takes everything
        }
        if !self.constraints.is_empty() {
            let _ = write!(text, "  {}", left(INSIDE, self.slack_column(selection)));
        }
        let _ = writeln!(text, "  {}standing", left("the choice is better by", 34));
        for finalist in &selection.finalists {
            let line = self.row(finalist, &columns, self.slack_column(selection), one);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.extend(self.how_constraints_are_told());
        if let Some(zone) = selection.zone.filter(|_| !one) {
            text.push_str(&wrap(&format!(
                "Standing is what the selection decided (Kim and Nelson): whether one is better by more than the indifference zone of \
                 {}. The 95 % interval beside it is of the paired difference alone; a small one may lie beyond it and still not \
                 matter.",
                self.unit(0).difference(zone)
            )));
            text.push('\n');
        }
        Some(text)
    }

    /// A column for each parameter, as wide as what stands in it.
    fn columns(&self, selection: &Selection) -> Vec<(String, usize)> {
        let column = |(place, parameter): (usize, &crate::tune::Parameter)| {
            let last = parameter.path.rsplit('.').next().unwrap_or(&parameter.path).to_owned();
            let values = selection.finalists.iter().map(|finalist| width(&self.cells(finalist)[place]));
            let wide = values.chain([width(&last)]).max().unwrap_or(0).min(COLUMN_MAX) + 2;
            (last, wide)
        };
        self.task.space.parameters().iter().enumerate().map(column).collect()
    }

    /// The settings of a finalist, one for each parameter; of today's those in force.
    fn cells(&self, finalist: &Finalist) -> Vec<String> {
        if Some(finalist.candidate) == self.outcome().baseline {
            return self.current.iter().map(|value| value.clone().unwrap_or_else(|| NONE.to_owned())).collect();
        }
        self.values(finalist.candidate)
    }

    /// Characters of the constraints' column.
    fn slack_column(&self, selection: &Selection) -> usize {
        let cells = selection.finalists.iter().map(|finalist| width(&self.tightest(finalist)));
        cells.chain([width(INSIDE)]).max().unwrap_or(0) + 2
    }

    fn row(&self, finalist: &Finalist, columns: &[(String, usize)], slack_column: usize, one: bool) -> String {
        let cells = self.cells(finalist);
        let mut text: String = cells.iter().zip(columns).map(|(cell, (_, wide))| left(cell, *wide)).collect();
        let figure = finalist.objectives.first().copied().flatten().map(|figure| self.own(0, figure));
        let unit = self.unit(0);
        // Of a regret it is a difference.
        let bare = |x: f64| if self.is_regret() { unit.bare_difference(x) } else { unit.bare(x) };
        text.push_str(&right(&figure.map_or(NONE.to_owned(), |figure| bare(figure.mean)), 30));
        if !one {
            let possible = |interval| if self.is_regret() { interval } else { unit.possible(interval) };
            let interval = figure.and_then(|figure| figure.interval).map(possible);
            text.push_str(&right(&interval.map_or(NONE.to_owned(), |interval| range(interval, 1.0, bare)), 18));
            text.push_str(&right(&finalist.replications.to_string(), 6));
        }
        if !self.constraints.is_empty() {
            text.push_str("  ");
            text.push_str(&left(&self.tightest(finalist), slack_column));
        }
        let behind = finalist.behind.map_or(NONE.to_owned(), |behind| unit.difference_with(behind));
        let today = if Some(finalist.candidate) == self.outcome().baseline { "today's; " } else { "" };
        format!("{text}  {}{today}{}", left(&behind, 34), self.standing(finalist, one))
    }

    fn standing(&self, finalist: &Finalist, one: bool) -> String {
        let after = |at: u32| if one { String::new() } else { format!(", decided after {at}") };
        match finalist.standing {
            Standing::Chosen if self.outcome().choice == self.outcome().selected() => "chosen".to_owned(),
            Standing::Chosen if self.outcome().choice == self.outcome().baseline => {
                "chosen; all put back to today's".to_owned()
            }
            Standing::Chosen => "chosen; parts put back to today's".to_owned(),
            Standing::Beaten { at, .. } => format!("not better{}", after(at)),
            Standing::Tied { .. } => "the same in every run".to_owned(),
            Standing::Infeasible { constraint, at } => format!("breaks `{}`{}", self.constraints[constraint], after(at)),
            Standing::Unmeasured { at } => format!("not measurable{}", after(at)),
            Standing::Open => match &self.outcome().front {
                Some(front) if front.members.contains(&finalist.candidate) => "on the Pareto front".to_owned(),
                Some(_) => "dominated".to_owned(),
                None => self.undecided(finalist),
            },
        }
    }

    /// What of an open finalist is not decided: whether it holds a constraint, which comes first, or whether it is better.
    fn undecided(&self, finalist: &Finalist) -> String {
        let slacks = finalist.constraints.iter().zip(self.constraints);
        if let Some((_, text)) = slacks.into_iter().find(|(slack, _)| slack.is_some_and(Figure::is_below_zero)) {
            return format!("breaks `{text}` by its interval, not decided");
        }
        let open: Vec<String> = finalist.unsure.iter().map(|k| format!("`{}`", self.constraints[*k])).collect();
        if open.is_empty() {
            "not decided whether it is better".to_owned()
        } else {
            format!("not decided whether it holds {}", open.join(" and "))
        }
    }

    /// How far inside the constraint that it holds by the least part of its bound a finalist is.
    fn tightest(&self, finalist: &Finalist) -> String {
        let bound = |k: usize| self.task.constraints[k].1.number.abs();
        let part = |k: usize, slack: Option<Figure>| slack.map_or(f64::NEG_INFINITY, |slack| slack.mean / bound(k).max(1e-12));
        let each = finalist.constraints.iter().copied().enumerate();
        let Some((k, slack)) = each.min_by(|a, b| part(a.0, a.1).total_cmp(&part(b.0, b.1))) else { return NONE.to_owned() };
        let which = if self.constraints.len() > 1 { format!("[{}] ", k + 1) } else { String::new() };
        which + &slack.map_or("not shown".to_owned(), |slack| self.unit_of_constraint(k).difference_with(slack))
    }

    /// What the column of the constraints means, and how exactly they are told apart.
    fn how_constraints_are_told(&self) -> Option<String> {
        let tolerances = self.task.tolerances();
        let one = |(k, text): (usize, &String)| {
            let number = if self.constraints.len() > 1 { format!("[{}] ", k + 1) } else { String::new() };
            let tolerance =
                tolerances.get(k).map_or(NONE.to_owned(), |tolerance| self.unit_of_constraint(k).difference(*tolerance));
            format!("{number}`{text}`, within {tolerance}")
        };
        let each: Vec<String> = self.constraints.iter().enumerate().map(one).collect();
        let which = if each.len() > 1 { "the constraint that leaves it the least room" } else { "the constraint" };
        (!each.is_empty()).then(|| {
            let told = format!(
                "Inside by: how far inside {which} each is (below 0: outside); the selection tells inside from outside to within a tolerance: {}.",
                each.join("; ")
            );
            wrap(&told) + "\n"
        })
    }

    /// What the selection says of the others.
    pub(super) fn selected(&self) -> Option<String> {
        let selection = self.outcome().selection.as_ref()?;
        self.outcome().choice?;
        if self.outcome().front.is_some() {
            return Some(self.of_many(selection));
        }
        if selection.finalists.len() == 1 {
            return Some(
                "The screening left no other candidate: all were worse in it, or there was no budget to keep them.".to_owned(),
            );
        }
        let holds = if self.constraints.is_empty() { "" } else { " that holds the constraints" };
        let put_back = self.outcome().choice != self.outcome().selected();
        let than = if put_back { " than what it chose" } else { "" };
        if self.outcome().without_chance {
            return Some(format!("No other finalist{holds} was better in its run{than}."));
        }
        let zone = selection.zone.map_or(String::new(), |zone| format!(" by more than {}", self.unit(0).difference(zone)));
        let told = || beside_zero(selection);
        if selection.decided {
            let error = percent(selection.alpha);
            let back = if put_back {
                format!(
                    " What is put back to today's loses less than one zone more, at an error of {} of its own.",
                    percent(PUT_BACK_ERROR)
                )
            } else {
                String::new()
            };
            return Some(format!(
                "The selection (Kim and Nelson) is decided: no other finalist{holds} is better{than}{zone}, at an error of \
                 {error}.{back}{}",
                told()
            ));
        }
        if self.outcome().ended == Ended::InSelection {
            return None;
        }
        let rest = self.remedy(selection);
        let ended = if selection.capped { "Replications" } else { "The budget" };
        Some(format!(
            "{ended} ran out before the selection (Kim and Nelson) was decided: it is not ruled out that {}.{} {rest}",
            self.open(selection, &zone),
            told()
        ))
    }

    /// What would decide an undecided selection.
    fn remedy(&self, selection: &Selection) -> String {
        if let Some(budget) = self.outcome().budget_to_decide() {
            return format!("About {} simulations in all (`tune.simulations`) would decide it.", whole(budget));
        }
        if !selection.capped && !selection.beyond {
            return "The budget did not pay for the first look at all finalists: raise `tune.simulations`.".to_owned();
        }
        let mut ways = Vec::new();
        if self.rivals(selection).any(|one| one.unsure.is_empty()) {
            ways.push("a wider indifference zone (`tune.indifference`)".to_owned());
        }
        for k in self.unsure(selection) {
            let unit = self.unit_of_constraint(k);
            let tolerance = self.task.tolerances().get(k).map_or(NONE.to_owned(), |tolerance| unit.difference(*tolerance));
            ways.push(format!(
                "another bound than that of `{}`, near which the choice lies (within {tolerance} is told apart)",
                self.constraints[k]
            ));
        }
        if ways.is_empty() {
            return String::new();
        }
        let why = if selection.capped {
            "They had all the replications that there are"
        } else {
            "More budget need not decide it, for it may take more replications than a finalist may have"
        };
        format!("{why}: {} would.", ways.join(", or "))
    }

    /// Finalists that are open and that no interval rules out: it is not sure that they are worse, or break a constraint.
    fn rivals<'a>(&self, selection: &'a Selection) -> impl Iterator<Item = &'a Finalist> + use<'a> {
        let selected = self.outcome().selected();
        let open =
            selection.finalists.iter().filter(move |one| Some(one.candidate) != selected && one.standing == Standing::Open);
        open.filter(|one| !one.behind.is_some_and(Figure::is_above_zero) && !surely_breaks(one))
    }

    /// Constraints of which it is not decided whether the choice holds them.
    fn unsure<'a>(&self, selection: &'a Selection) -> impl Iterator<Item = usize> + use<'a> {
        let selected = self.outcome().selected();
        let own = selection.finalists.iter().find(move |one| Some(one.candidate) == selected);
        own.into_iter().flat_map(|one| one.unsure.iter().copied())
    }

    /// What an undecided selection leaves open: who may be better, and which constraints the choice may break.
    fn open(&self, selection: &Selection, zone: &str) -> String {
        let rivals: Vec<&Finalist> = self.rivals(selection).collect();
        let counted = |n: usize, one: &str, more: &str| match n {
            0 => None,
            1 => Some(format!("1 other finalist {one}")),
            n => Some(format!("{n} other finalists {more}")),
        };
        // Who is surely better is held back by its constraints alone.
        let ahead = |finalist: &&&Finalist| finalist.behind.is_some_and(Figure::is_below_zero) && !finalist.unsure.is_empty();
        let held_back = rivals.iter().filter(ahead).count();
        let better = counted(rivals.len() - held_back, &format!("is better{zone}"), &format!("are better{zone}"));
        let feasible = counted(held_back, "that is better holds the constraints", "that are better hold the constraints");
        let selected = self.outcome().selected();
        let own = selection.finalists.iter().find(|one| Some(one.candidate) == selected);
        let breaks = self.unsure(selection).map(|k| {
            let slack = own.and_then(|one| *one.constraints.get(k)?);
            let holds =
                if slack.is_some_and(Figure::is_above_zero) { " (though by its 95 % interval it holds it)" } else { "" };
            format!("the choice breaks `{}`{holds}", self.constraints[k])
        });
        let open: Vec<String> = better.into_iter().chain(feasible).chain(breaks).collect();
        if open.is_empty() {
            return format!(
                "another finalist is better{zone}, though by the 95 % intervals none is that holds the constraints"
            );
        }
        open.join(", and that ")
    }

    /// How standing is decided with several objectives.
    fn of_many(&self, selection: &Selection) -> String {
        let feasible = selection.finalists.iter().filter(|f| matches!(f.standing, Standing::Chosen | Standing::Open)).count();
        let measure = self.objective();
        let best = match (self.constraints.is_empty(), feasible) {
            (true, _) => format!("and the choice has the best mean of {measure}"),
            (false, 1) => "and the choice alone holds the constraints".to_owned(),
            (false, n) => format!("and of the {n} that hold the constraints the choice has the best mean of {measure}"),
        };
        let runs =
            if selection.first == 1 { "one run each".to_owned() } else { format!("{} replications each", selection.first) };
        format!(
            "With several objectives nothing is eliminated, and the selection promises no error: all finalists had {runs}, standing says \
             who is on the Pareto front of the means, {best}."
        )
    }
}

/// Whether a finalist breaks a constraint by its interval.
fn surely_breaks(finalist: &Finalist) -> bool {
    finalist.constraints.iter().flatten().any(|slack| slack.is_below_zero())
}

/// Of those that were compared with the choice: on which side of 0 the paired intervals lie.
fn beside_zero(selection: &Selection) -> String {
    let compared = selection.finalists.iter().filter(|one| matches!(one.standing, Standing::Open | Standing::Beaten { .. }));
    let (mut worse, mut alike, mut better, mut unsure, mut breaking) = (0, 0, 0, 0, 0);
    for (finalist, behind) in compared.filter_map(|one| Some((one, one.behind?))) {
        if behind.is_above_zero() {
            worse += 1;
        } else if surely_breaks(finalist) {
            breaking += 1;
        } else if behind.is_below_zero() && !finalist.unsure.is_empty() {
            unsure += 1;
        } else if behind.is_below_zero() {
            better += 1;
        } else {
            alike += 1;
        }
    }
    let told: Vec<String> = [
        (worse, "worse"),
        (alike, "perhaps as good"),
        (better, "better by less than the selection tells apart"),
        (unsure, "better, but not shown to hold the constraints"),
        (breaking, "not worse, but outside the constraints"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {} {what}", is(count)))
    .collect();
    if told.is_empty() {
        String::new()
    } else {
        format!(" By their 95 % intervals, paired with the choice, of the others {}.", listed(&told))
    }
}

/// Parts of a sentence: `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

const fn is(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative; `as` saturates
fn whole(simulations: f64) -> String {
    count(simulations.ceil() as u64)
}

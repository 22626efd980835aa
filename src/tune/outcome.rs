//! What a search found, with everything a report needs.

use serde::Serialize;

use crate::tune::measure::{Figure, Series};
use crate::tune::search::SCREENING;
use crate::tune::tied::Tie;
use crate::tune::unchanged::Unchanged;
use crate::tune::{Id, Plan, Point, Rung, Spent};

/// What became of a finalist.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is the choice.
    Chosen,
    /// It is worse than another one, at the error of the selection, by more than nothing or by less than the zone.
    Beaten {
        /// Than which.
        by: Id,
        /// After how many replications.
        at: u32,
    },
    /// A constraint does not hold.
    Infeasible {
        /// Which one, from 0.
        constraint: usize,
        /// After how many replications.
        at: u32,
    },
    /// A replication did not show the objective.
    Unmeasured {
        /// After how many replications.
        at: u32,
    },
    /// It was the same as the choice in every replication.
    Tied {
        /// The choice.
        with: Id,
    },
    /// It holds the constraints and was not eliminated: what there was to spend ran out first or, with several objectives,
    /// nothing is.
    Open,
}

/// A candidate of the final selection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finalist {
    /// Which candidate.
    pub candidate: Id,
    /// How many fresh replications it had.
    pub replications: u32,
    /// Its objectives over them.
    pub objectives: Vec<Option<Figure>>,
    /// Its constraints' slacks over them.
    pub constraints: Vec<Option<Figure>>,
    /// What became of it.
    pub standing: Standing,
    /// Constraints, from 0, of which the selection did not decide whether it holds them.
    pub unsure: Vec<usize>,
    /// How much better the choice is in the first objective, over the replications that both had.
    pub behind: Option<Figure>,
}

/// The final selection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selection {
    /// The finalists, as the screening ranked them.
    pub finalists: Vec<Finalist>,
    /// The error it was allowed.
    pub alpha: f64,
    /// The indifference zone in the objective's unit; `None` with several objectives, where nothing is eliminated.
    pub zone: Option<f64>,
    /// Replications before the first decision.
    pub first: u32,
    /// Whether it came to its end; where not, budget or the most replications ended it.
    pub decided: bool,
    /// Whether the most replications that it may have ended it.
    pub capped: bool,
    /// Whether it may take more replications than a finalist may have: then no budget is sure to decide it.
    pub beyond: bool,
    /// Simulations more that would decide it at the latest; `None` where it is decided, or where that is not known.
    pub needed: Option<f64>,
}

/// The choice on replications that had no part in choosing it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confirmation {
    /// Which replications.
    pub series: Series,
    /// The choice's objectives.
    pub objectives: Vec<Option<Figure>>,
    /// The choice's slacks.
    pub constraints: Vec<Option<Figure>>,
    /// The baseline's objectives; empty without one.
    pub baseline_objectives: Vec<Option<Figure>>,
    /// The baseline's slacks; empty without one.
    pub baseline_constraints: Vec<Option<Figure>>,
    /// How much better the choice is than the baseline in each objective, replication by replication; empty without one.
    pub gain: Vec<Option<Figure>>,
}

/// What a constraint does to the choice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Binding {
    /// Which constraint, from 0.
    pub constraint: usize,
    /// The choice's slack, from the confirmation or, before it, from the selection.
    pub slack: Option<Figure>,
    /// Whether the slack's interval reaches the constraint's tolerance: the limit is where the choice stands.
    pub near: bool,
    /// By how much the best candidate that breaks this constraint beat the choice in the same rung, in the first objective;
    /// `None` where none did.
    pub costs: Option<f64>,
}

/// The Pareto front.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Front {
    /// Finalists that hold the constraints and that no other such one dominates, by their means, by falling first objective.
    pub members: Vec<Id>,
    /// What was compared against: the worst mean of each objective among all finalists.
    pub reference: Vec<f64>,
    /// The volume that the front dominates above it.
    pub hypervolume: f64,
}

/// What each phase cost.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spending {
    /// Making many candidates few.
    pub screening: Spent,
    /// Choosing among the few.
    pub selection: Spent,
    /// Finding what of the choice need not change; beside the search's budget.
    pub unchanged: Spent,
    /// Measuring the choice and the baseline.
    pub confirmation: Spent,
}

/// How the allowed error was split.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// For separating candidates in the screening.
    pub screening: f64,
    /// For the selection.
    pub selection: f64,
}

/// How a search ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All phases ran.
    Complete,
    /// All phases ran, and no candidate holds the constraints.
    NothingFeasible,
    /// Stopped in the screening: the choice is the best so far and stands on short runs.
    InScreening,
    /// Stopped in the selection.
    InSelection,
    /// Stopped in the confirmation.
    InConfirmation,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Every candidate, by number ([`Id`]).
    pub points: Vec<Point>,
    /// The racing history.
    pub rungs: Vec<Rung>,
    /// The race as it was planned.
    pub plan: Plan,
    /// The final selection; `None` where it was stopped before.
    pub selection: Option<Selection>,
    /// The choice; `None` where no candidate holds the constraints.
    pub choice: Option<Id>,
    /// The finalists that the choice ties with, if any, and what decided between them.
    pub tie: Option<Tie>,
    /// What became of the parameters that the selection's choice changes; `None` where today's settings are not known.
    pub unchanged: Option<Unchanged>,
    /// The candidate that comes closest to holding all constraints, where none does.
    pub closest: Option<Id>,
    /// The current settings, where they were given.
    pub baseline: Option<Id>,
    /// The choice on fresh replications.
    pub confirmation: Option<Confirmation>,
    /// Simulations of the budget that a confirmation takes where the budget is large.
    #[serde(skip)]
    pub confirmation_most: f64,
    /// One for each constraint, where there is a choice; of a search that was stopped in the screening from its last rung.
    pub bindings: Vec<Binding>,
    /// With two objectives or more.
    pub front: Option<Front>,
    /// What it cost.
    pub spent: Spending,
    /// How the allowed error was split.
    pub errors: Errors,
    /// How it ended.
    pub ended: Ended,
    /// Whether it is certain that no replication of a finalist can differ from another: selection and confirmation are then
    /// one run of each, the same for both, and no figure has an interval.
    pub without_chance: bool,
}

impl Outcome {
    /// The candidate of that number.
    #[must_use]
    pub fn point(&self, id: Id) -> &Point {
        &self.points[id.0]
    }

    /// The candidate that the selection chose: the choice, as it was before what need not change went back to today's value.
    #[must_use]
    pub fn selected(&self) -> Option<Id> {
        self.unchanged.as_ref().map(|unchanged| unchanged.from).or(self.choice)
    }

    /// About the budget that leaves the selection enough to be decided; `None` where it is decided, or no budget would do. About: with
    /// another budget the screening keeps others.
    #[must_use]
    pub fn budget_to_decide(&self) -> Option<f64> {
        let needed = self.selection.as_ref().filter(|selection| !selection.capped && !selection.beyond)?.needed?;
        Some((self.spent.selection.simulations + needed) / (1.0 - SCREENING) + self.confirmation_most)
    }

    /// Mean of the first objective of the choice, from the confirmation where there is one; where nothing holds the
    /// constraints, of whoever comes closest.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        let confirmed = self.confirmation.as_ref().and_then(|confirmation| confirmation.objectives.first());
        let of = self.choice.or(self.closest)?;
        let finalist = || self.selection.iter().flat_map(|s| &s.finalists).find(|finalist| finalist.candidate == of);
        let figure = confirmed.or_else(|| finalist()?.objectives.first())?;
        Some(figure.as_ref()?.mean)
    }
}

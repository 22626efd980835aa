//! What a tuning changes, in runs of its own: today's settings beside the recommended ones, for pictures.

use super::Failure;
use crate::journal::summary::{Context, Summary};
use crate::scenario::Scenario;
use crate::sim::{self, Plan, Prepared};
use crate::tune::{Ended, Point, Task, Tuned};

/// Replications of each: shapes, not figures.
const REPLICATIONS: u32 = 5;

/// Today's settings and the recommended ones on the same requests, for those who want to see what changes; `None` where nothing
/// does, or where the search was cut short.
///
/// # Errors
/// What is wrong with the settings, which the search has run before.
pub fn runs(scenario: &Scenario, prepared: &Prepared, task: &Task, tuned: &Tuned) -> Result<Option<Summary>, Failure> {
    let outcome = &tuned.outcome;
    let choice = outcome.choice.filter(|choice| outcome.ended == Ended::Complete && Some(*choice) != outcome.baseline);
    let Some(choice) = choice else { return Ok(None) };
    let plan = |name: &str, point: &Point| -> Result<Plan, Failure> {
        let candidate = scenario.candidate(task.variant, &task.sets(point))?;
        Ok(Plan { name: name.to_owned(), ..sim::replan(scenario, prepared, task.variant, &candidate)? })
    };
    let plans = [plan("today's settings", &task.current())?, plan("recommended settings", outcome.point(choice))?];
    let context = Context { detailed: true, ..prepared.context.clone() };
    let summary = sim::run(&plans, REPLICATIONS, &context, None, &|| ());
    Ok(Some(summary).filter(|summary| summary.variants.iter().all(|variant| variant.halted.is_none())))
}

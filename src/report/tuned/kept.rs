//! What stays as it is today, and why: parameters that make no difference, and finalists that tie.

use super::{Tuning, turned};
use crate::report::format::number;
use crate::tune::{Id, TieBreak, Trial};

impl Tuning<'_> {
    /// Parameters of the selection's choice that are put back to today's value.
    pub(super) fn unchanged(&self) -> Option<String> {
        let unchanged = self.outcome().unchanged.as_ref()?;
        let kept: Vec<&Trial> = unchanged.trials.iter().filter(|trial| trial.kept).collect();
        let last = kept.last()?;
        let selected = self.outcome().point(unchanged.from);
        let each = kept.iter().map(|trial| {
            let path = &self.task.space.parameters()[trial.parameter].path;
            let was =
                selected.setting(trial.parameter).map_or(String::new(), |setting| format!(" (the selection had {setting})"));
            format!("{path}{was}")
        });
        let each: Vec<String> = each.collect();
        let verb = if each.len() == 1 { "stays" } else { "stay" };
        let zone = self.outcome().selection.as_ref().and_then(|selection| selection.zone);
        let zone = zone
            .map_or(String::new(), |zone| format!(", less than the indifference zone of {}", self.unit(0).difference(zone)));
        let values = if each.len() == 1 { "today's value" } else { "today's values together" };
        let unit = self.unit(0);
        let change = last.change.map_or(String::new(), |change| match change.mean {
            mean if mean > 0.0 => format!(": with {values} the objective is better by {}", unit.difference_with(change)),
            mean if mean < 0.0 => format!(": with {values} the objective loses {}{zone}", unit.difference_with(turned(change))),
            _ => format!(": with {values} the objective is the same"),
        });
        let runs = match unchanged.series.count {
            1 => "one run of each".to_owned(),
            count => format!("{count} replications of each"),
        };
        let holds = if self.constraints.is_empty() { "" } else { ", and no constraint is given up" };
        let simulations = number(self.outcome().spent.unchanged.simulations);
        Some(format!("{} {verb} as today{change}{holds} ({runs}, {simulations} simulations).", each.join(" and ")))
    }

    /// Finalists that nothing tells apart, and what decided between them.
    pub(super) fn tied(&self) -> Option<String> {
        let tie = self.outcome().tie.as_ref()?;
        let baseline = self.outcome().baseline;
        let others: Vec<&Id> = tie.members.iter().filter(|id| Some(**id) != baseline).collect();
        let named: Vec<String> = others.iter().map(|id| self.words(**id)).collect();
        let members = format!("{} finalists tie, the same in every run", tie.members.len());
        let told = match tie.broken_by {
            TieBreak::Today => return Some(format!("{members}: today's settings and {}. So today's stay.", named.join("; "))),
            TieBreak::HeldOut => "Chosen is the only one that does not fail on what was held out",
            TieBreak::Nearest => "Chosen is the one nearest to today's settings",
            TieBreak::Order => "Nothing decides between them but the screening's order",
        };
        let failed = match (tie.failed.len(), tie.members.len()) {
            (0, _) => "",
            (failed, all) if failed == all => "; all of them fail on what was held out",
            _ => "; those that fail on what was held out were passed over, so that it is no longer fresh to the choice",
        };
        Some(format!("{members}: {}. {told}{failed}.", named.join("; ")))
    }
}

//! What the verdict warns of: what broke or was lost, what lies beside the choice, what the figures do not show.

use super::{Tuning, turned};
use crate::journal::summary::MeasureKind;
use crate::report::format::{count, percent};
use crate::stats::significant;
use crate::tune::{Against, Case, Elsewhere, Figure, RobustBy, Side};

/// Share of the objective that a neighbouring setting may cost before it counts as a cliff.
const CLIFF: f64 = 0.1;

/// The setting that says how long the queue may be.
const QUEUE: &str = "policy.queue.max_queue_size";
/// Share of the gain that the ends of a run may be worth before it is told.
const ENDS: f64 = 0.1;
/// Share of the level that does not matter where nobody says.
const ZONE: f64 = 0.01;
/// Share of refused candidates from which on the space is worth a second look.
const REFUSED_MANY: f64 = 0.1;

impl Tuning<'_> {
    /// What went wrong in what nothing was chosen by, each with what it means.
    pub(super) fn held_out_failures(&self) -> Vec<String> {
        let held_out = self.tuned.elsewhere.iter().filter(|case| case.held_out);
        held_out.filter_map(|case| self.held_out_failure(case)).collect()
    }

    fn held_out_failure(&self, case: &Elsewhere) -> Option<String> {
        let unit = self.unit(0);
        let said = case.against(self.outcome().choice == self.outcome().baseline, &self.task.tolerances()).into_iter().map(
            |against| match against {
                Against::Unmeasured => "the gain could not be measured".to_owned(),
                Against::Worse(gain) => format!("today's settings are better by {}", unit.difference_with(turned(gain))),
                Against::NoGain(Figure { mean: 0.0, interval: None }) => {
                    "both settings do the same, so that it says nothing for the choice".to_owned()
                }
                Against::NoGain(gain) => format!("no gain is found again ({})", unit.difference_with(gain)),
                Against::Breaks { constraint, slack } => self.not_held(constraint, slack),
            },
        );
        let said: Vec<String> = said.collect();
        let words = case.case.words(self.scenes);
        (!said.is_empty())
            .then(|| format!("Do not deploy this as it is: {words}, held out of the search, {}.", said.join("; ")))
    }

    /// What was held out and not tried any more.
    pub(super) fn untried(&self) -> Option<String> {
        let tried = self.tuned.elsewhere.iter().filter(|case| case.held_out).count();
        (self.outcome().choice.is_some() && tried < self.held_out).then(|| {
            "Do not deploy this as it is: the time was over before it was tried on all that is held out. The same command (without \
             `--fresh`) and more time goes on from here."
                .to_owned()
        })
    }

    /// What the confirmation says against the choice: constraints that it breaks, and a loss against today's settings that hold them.
    pub(super) fn failed_confirmation(&self) -> Vec<String> {
        let outcome = self.outcome();
        let Some(confirmation) = &outcome.confirmation else { return Vec::new() };
        let place = if self.recorded { "in the recording that it was chosen by" } else { "on fresh replications" };
        let tolerances = self.task.tolerances();
        let broken = confirmation.broken(&tolerances);
        let each: Vec<String> = broken.map(|(constraint, slack)| self.not_held(constraint, slack)).collect();
        let breaks = (!each.is_empty()).then(|| each.join(" and "));
        let lost = confirmation.loss().filter(|_| outcome.choice != outcome.baseline);
        let lost = lost.map(|gain| format!("today's settings are better by {}", self.unit(0).difference_with(turned(gain))));
        breaks.into_iter().chain(lost).map(|said| format!("Do not deploy this as it is: {place} {said}.")).collect()
    }

    /// Constraints that today's settings break: why a choice may be worse than they are.
    pub(super) fn broken_today(&self) -> Option<String> {
        let outcome = self.outcome();
        let confirmation = outcome.confirmation.as_ref().filter(|_| outcome.choice != outcome.baseline)?;
        let slacks = confirmation.baseline_constraints.iter().zip(self.constraints).enumerate();
        let each = slacks.filter_map(|(k, (slack, text))| {
            let slack = slack.filter(|slack| slack.mean < 0.0)?;
            Some(format!("`{text}` by {}", self.unit_of_constraint(k).difference_with(turned(slack))))
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("Today's settings break {}.", each.join(" and ")))
    }

    /// One setting beside the choice that did better than it, beyond an interval that holds for all of them together.
    pub(super) fn better_nearby(&self) -> Option<String> {
        let of_bars = self.tuned.tornado.iter().flat_map(|bar| bar.sides.iter().map(move |side| (bar.parameter, side)));
        let of_levels = self.tuned.plateaus.iter().flat_map(|one| one.levels.iter().map(move |side| (one.parameter, side)));
        let mut beside: Vec<(usize, &Side)> = of_bars.chain(of_levels).collect();
        // A plateau's levels hold what the tornado tried too.
        beside.sort_by(|a, b| (a.0, &a.1.setting).cmp(&(b.0, &b.1.setting)));
        beside.dedup_by(|a, b| (a.0, &a.1.setting) == (b.0, &b.1.setting));
        let compared = beside.len();
        let change = |side: &Side| side.together;
        let better = |(_, side): &(usize, &Side)| side.feasible && change(side).is_some_and(Figure::is_above_zero);
        let all: Vec<(usize, &Side)> = beside.into_iter().filter(better).collect();
        let mean = |side: &Side| change(side).map_or(f64::NEG_INFINITY, |change| change.mean);
        let (parameter, best) = all.iter().copied().reduce(|a, b| if mean(b.1) > mean(a.1) { b } else { a })?;
        let mut settings: Vec<_> = all.iter().map(|(parameter, side)| (*parameter, &side.setting)).collect();
        settings.sort();
        settings.dedup();
        let others = match settings.len() - 1 {
            0 => String::new(),
            1 => ", and so did 1 other setting beside the choice".to_owned(),
            n => format!(", and so did {n} other settings beside the choice"),
        };
        let by = self.unit(0).difference_with(change(best)?);
        let zone = self.outcome().selection.as_ref().and_then(|selection| selection.zone);
        // What lies within the zone was not asked to be told apart; of several objectives there is none.
        if mean(best) < zone.or_else(|| Some(ZONE * self.middle()?.mean.abs())).unwrap_or(0.0) {
            return None;
        }
        let small = if self.is_regret() {
            " on average over the futures, which is not what was searched for"
        } else {
            ": more candidates there, or a narrower range around it, may find more"
        };
        let path = &self.task.space.parameters()[parameter].path;
        let together = if compared == 1 || self.outcome().without_chance {
            String::new()
        } else {
            format!(" (95 % for all {compared} settings beside it together)")
        };
        Some(format!("Beside the choice, {path} = {} did better by {by}{together}{others}{small}.", best.setting))
    }

    /// Places in the queue that fill at the begin of a run and empty at its end: what one setting holds more of them counts as
    /// good without being any faster.
    pub(super) fn ends_of_the_run(&self) -> Option<String> {
        let gain = self.outcome().confirmation.as_ref()?.gain.first().copied().flatten()?.mean.abs();
        let lasts_s = self.cold_s.filter(|_| gain > 0.0)?;
        let places = self.task.space.parameters().iter().position(|parameter| parameter.path == QUEUE)?;
        let chosen = self.outcome().point(self.outcome().choice?).setting(places)?.number()?;
        let today: f64 = self.current.get(places)?.as_ref()?.parse().ok()?;
        let more = (chosen - today).abs();
        let offered = self.beside.variants.first()?.counts.offered as f64 / self.beside.replications.max(1) as f64;
        let worth = match self.objective().kind() {
            MeasureKind::Rate => more / lasts_s,
            MeasureKind::Share => more / offered,
            _ => return None,
        };
        (worth > ENDS * gain).then(|| {
            format!(
                "Careful, the run has no warm-up: {} places more in the queue fill at its begin without a refusal and are served behind its end, \
                 which alone is worth up to {}. Give `run.warmup` as long as the queue takes to fill, or a longer `run.duration`.",
                significant(more, 6),
                self.unit(0).difference(worth)
            )
        })
    }

    /// A fifth more or less of something that costs a tenth of the objective or more.
    pub(super) fn cliff(&self) -> Option<String> {
        let at = self.middle()?.mean.abs();
        let steep = self.tuned.tornado.iter().flat_map(|bar| bar.sides.iter().map(move |side| (bar.parameter, side)));
        // Another choice is no fifth more or less.
        let steep = steep.filter(|(parameter, _)| self.task.space.parameters()[*parameter].domain.is_numeric());
        let steep = steep.filter_map(|(parameter, side)| {
            let change = side.change.first().copied().flatten()?;
            let path = &self.task.space.parameters()[parameter].path;
            // Not of what a few replications, or one of many settings, only seem to show.
            let surely = side.together.and_then(|change| change.interval).map_or(change.mean, |interval| interval.hi);
            let costs = || format!("{path} = {} would cost {}", side.setting, self.unit(0).difference(-change.mean));
            (at > 0.0 && -surely > CLIFF * at).then(costs)
        });
        let steep: Vec<String> = steep.collect();
        let robust =
            if self.futures < 2 { "; `--robust 'load=0.8..1.2'` looks for settings that stand further from it" } else { "" };
        let on = self.on_average();
        (!steep.is_empty())
            .then(|| format!("Careful, there is a cliff beside the choice: {}{on}{robust}.", steep.join(" and ")))
    }

    /// Futures beside the expected one in which today's settings are surely better.
    pub(super) fn worse_elsewhere(&self) -> Option<String> {
        let (outcome, tolerances) = (self.outcome(), self.task.tolerances());
        let is_today = outcome.choice == outcome.baseline;
        let is_worse = |against: &Against| matches!(against, Against::Worse(_));
        let surely = |case: &&Elsewhere| !case.held_out && case.against(is_today, &tolerances).iter().any(is_worse);
        let worse: Vec<String> = self.tuned.elsewhere.iter().filter(surely).map(|case| case.case.words(self.scenes)).collect();
        let robust = if self.futures < 2 { ": `--robust` looks for settings that are good there too" } else { "" };
        (!worse.is_empty()).then(|| format!("Careful, today's settings are better {}{robust}.", worse.join(", and ")))
    }

    /// The worst of several loads by a rate is the quietest, whatever the settings do.
    pub(super) fn worst_of_a_rate(&self) -> Option<String> {
        let mut counting = self.tuned.elsewhere.iter().filter(|one| !one.held_out).map(|one| one.case);
        let first = counting.next().unwrap_or(Case::EXPECTED);
        let unlike = counting.any(|case| case.scene != first.scene || case.load.to_bits() != first.load.to_bits());
        let looks = self.futures > 1 && self.by == RobustBy::Worst && self.objective().kind() == MeasureKind::Rate && unlike;
        let (measure, fraction) = (self.objective(), self.objective().to_string().replace("_rps", "_fraction"));
        looks.then(|| {
            format!(
                "Careful, {measure} is a rate: of futures of unlike load the quietest has the lowest ceiling, for no more can be good \
                 than comes, and the worst case may look at it alone. Take `{fraction}`, or `by = \"regret\"`."
            )
        })
    }

    /// What the plots and the figures of both settings are of.
    pub(super) fn figures_are_of(&self) -> Option<String> {
        if self.beside.variants.is_empty() {
            return Some(
                "The time was over: today's and the recommended settings were not run beside each other, so that their plots and \
                 figures are missing."
                    .to_owned(),
            );
        }
        let future = self.figures_of?;
        Some(format!(
            "The table of figures and the plots of both settings (latency, course, rejection) are of one future alone: {future}."
        ))
    }

    /// A space much of which cannot be run.
    pub(super) fn refused(&self) -> Option<String> {
        let (refused, all) = (self.tuned.refused.count, self.outcome().points.len());
        let many = refused as f64 > REFUSED_MANY * all as f64;
        let first = self.tuned.refused.first.as_ref().filter(|_| many)?;
        Some(format!(
            "{} of {} candidates ({}) were refused because their settings do not go together, and could not be searched; the first \
             because {}. Narrower ranges, or `only_if`, leave more to look at.",
            count(refused as u64),
            count(all as u64),
            percent(refused as f64 / all as f64),
            first.trim_end_matches('.')
        ))
    }
}

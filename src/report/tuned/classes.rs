//! Who pays: the share of good answers of each class, with today's and with the recommended settings.

use serde::Serialize;

use super::Tuning;
use super::units::Unit;
use crate::journal::summary::{ClassSummary, LEVEL, PairedMetric};
use crate::report::format::{percent, says_something};
use crate::stats::Replicated;
use crate::tune::Figure;

/// One class under both settings, in the future that the plots are of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShare {
    /// Its name.
    pub class: String,
    /// Good of offered with today's settings; `None` where nothing was offered.
    pub today: Option<f64>,
    /// The same with the recommended ones.
    pub recommended: Option<f64>,
    /// How much larger the second is, replication by replication.
    pub change: Option<Figure>,
}

impl ClassShare {
    fn of(today: &ClassSummary, recommended: &ClassSummary) -> Self {
        let share = |figure: &Option<Replicated>| figure.as_ref().map(|figure| figure.mean);
        let change = PairedMetric::GoodputFraction.difference(&today.metrics, &recommended.metrics);
        Self {
            class: today.name.clone(),
            today: share(&today.metrics.goodput_fraction),
            recommended: share(&recommended.metrics.goodput_fraction),
            change: change.map(|of| Figure { mean: of.mean, interval: of.interval.filter(says_something) }),
        }
    }

    /// `batch loses 40.1 points (39.0 to 41.2), from 60.2 % to 20.1 %`.
    fn words(&self) -> Option<String> {
        let (today, recommended, change) = (self.today?, self.recommended?, self.change?);
        let (verb, change) = if change.is_below_zero() {
            ("loses", super::turned(change))
        } else if change.is_above_zero() {
            ("gains", change)
        } else {
            ("is not surely changed:", change)
        };
        let by = Unit::Share.difference_with(change);
        Some(format!("{} {verb} {by}, from {} to {}", self.class, percent(today), percent(recommended)))
    }
}

impl Tuning<'_> {
    /// Each class under both settings; empty where there is one class only, or nothing to compare.
    #[must_use]
    pub fn classes(&self) -> Vec<ClassShare> {
        let [today, recommended] = &self.beside.variants[..] else { return Vec::new() };
        let halted = today.halted.or(recommended.halted).is_some();
        if halted || today.classes.len() < 2 {
            return Vec::new();
        }
        today.classes.iter().zip(&recommended.classes).map(|(today, recommended)| ClassShare::of(today, recommended)).collect()
    }

    /// Who gains and who pays, by class.
    pub(super) fn who_pays(&self) -> Option<String> {
        let classes = self.classes();
        let each: Vec<String> = classes.iter().filter_map(ClassShare::words).collect();
        if each.is_empty() {
            return None;
        }
        let payers = classes.iter().filter(|class| class.change.is_some_and(Figure::is_below_zero));
        let payers: Vec<&str> = payers.map(|class| class.class.as_str()).collect();
        let told = match &payers[..] {
            [] => "No class surely pays".to_owned(),
            [one] => format!("Who pays is {one}"),
            [most @ .., last] => format!("Who pays are {} and {last}", most.join(", ")),
        };
        let place = self.figures_of.map_or(String::new(), |future| format!(" {future}"));
        let how = if self.outcome().without_chance || self.beside.replications < 2 {
            "in the one run of each".to_owned()
        } else {
            format!("change paired at {}", percent(LEVEL).replace(".0", ""))
        };
        Some(format!("{told}. Good answers of each class's requests{place}, {how}: {}.", each.join("; ")))
    }
}

//! What the whole command cost, part by part, and under which errors.

use super::Tuning;
use crate::report::format::{count, number, percent, wrap};
use crate::tune::Spent;

impl Tuning<'_> {
    /// Each part of the command with its simulations, and all requests.
    pub(super) fn cost(&self) -> String {
        let parts = self.parts();
        let told: Vec<String> = parts.iter().map(|(what, spent)| format!("{} {what}", simulations(*spent))).collect();
        let requests: u64 = parts.iter().map(|(_, spent)| spent.requests).sum();
        let each = if self.futures > 1 {
            format!(" One simulation of the search is a run in each of {} futures.", self.futures)
        } else {
            String::new()
        };
        let errors = &self.outcome().errors;
        let errors = if self.outcome().without_chance {
            "Nothing was left to chance, so there are no errors to allow, and no intervals over replications.".to_owned()
        } else {
            let selection = if self.outcome().front.is_some() {
                "the selection of several objectives promises none".to_owned()
            } else {
                format!("{} in the selection", percent(errors.selection))
            };
            format!(
                "Error allowed: {} in the screening, {selection}; candidates that were only ranked out are under no bound. Figures in \
                 brackets are 95 % intervals over replications; what was the same in all of them has none.",
                percent(errors.screening)
            )
        };
        wrap(&format!(
            "{}, seed {}: {} candidates{}. Simulations: {} ({} requests in all).{each} {errors}",
            self.scenario,
            self.seed,
            count(self.outcome().points.len() as u64),
            self.refused_in_short(),
            told.join(", "),
            count(requests)
        )) + "\n"
    }

    /// What was spent on what; parts that there were none of are left out, those of the search itself stay.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, Spent)> {
        let (search, beside) = (&self.outcome().spent, &self.tuned.beside);
        let further = [
            ("of what need not change", search.unchanged),
            ("in search of each future's own best", beside.alone),
            ("of ties on what was held out", beside.ties),
            ("around the choice", beside.around),
            ("for the Sobol indices", beside.sensitivity),
            ("in other futures", beside.elsewhere),
            ("of both settings beside each other", self.spent_beside()),
        ];
        let own =
            [("of screening", search.screening), ("of selection", search.selection), ("of confirmation", search.confirmation)];
        own.into_iter().chain(further.into_iter().filter(|(_, spent)| spent.runs > 0)).collect()
    }

    fn spent_beside(&self) -> Spent {
        let runs = (self.beside.replications * self.beside.variants.len()) as u64;
        let requests = self.beside.variants.iter().map(|variant| variant.counts.offered).sum();
        Spent { simulations: runs as f64, runs, requests }
    }

    fn refused_in_short(&self) -> String {
        match self.tuned.refused.count {
            0 => String::new(),
            n => format!(", {} of them refused because their settings do not go together", count(n as u64)),
        }
    }
}

fn simulations(spent: Spent) -> String {
    if spent.runs == 0 { "0".to_owned() } else { number(spent.simulations) }
}

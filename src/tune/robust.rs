//! Settings for more than one future: a problem made of several, by worst case, mean, or regret.
//!
//! Loads and capacities around the expected ones, several scenarios, several traces: each is a problem of its own, and the
//! combined problem runs them all, on the same replication. Replication by replication the combined objective is
//!
//! ```text
//! mean     the mean over the cases
//! worst    the lowest objective among the cases; of equal ones the mean over the cases decides
//! regret   the lowest of (objective - that of the best settings of the case alone), on the same replication; of equal ones
//!          the mean of these
//! ```
//!
//! (regret after L. J. Savage, JASA 46 (1951), 55-67), and a constraint's slack is the lowest of the cases'. The best settings
//! of each case were chosen on other replications, and meet here what the candidate meets: a candidate that is the best of every
//! case has no regret at all, and no luck of a replication enters. The mean of the lowest lies a little below the lowest of the
//! means, the more the noisier and the more alike the cases are; [`Elsewhere`] says what each case's own mean is, without that
//! bias.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::tune::{Observation, Point, Problem, Spent};

/// How cases become one objective.
#[derive(Clone, Debug, PartialEq)]
pub enum Combine {
    /// The mean.
    Mean,
    /// The lowest.
    Worst,
    /// The lowest difference to these: of each case the settings that are best in it alone.
    Regret(Vec<Point>),
}

/// Several problems as one.
pub struct Robust<'a> {
    cases: Vec<&'a dyn Problem>,
    combine: Combine,
    /// By replication and the bits of the share: what regret is measured from.
    references: Mutex<References>,
}

type References = BTreeMap<(u32, u64), Arc<OnceLock<Reference>>>;

/// What the best settings of each case came to in one replication.
#[derive(Debug)]
struct Reference {
    objectives: Vec<Option<f64>>,
    requests: u64,
}

impl<'a> Robust<'a> {
    /// `cases` (at least one) combined; `None` where there are none, or not as many bests as cases.
    #[must_use]
    pub fn new(cases: Vec<&'a dyn Problem>, combine: Combine) -> Option<Self> {
        let fits = match &combine {
            Combine::Worst | Combine::Mean => true,
            Combine::Regret(bests) => bests.len() == cases.len(),
        };
        (fits && !cases.is_empty()).then_some(Self { cases, combine, references: Mutex::default() })
    }

    /// What it took to run what regret is measured from on the replications `asked`, each with its share. That is known of
    /// them all, whoever ran the candidates.
    #[must_use]
    pub fn references(&self, asked: &[(u32, f64)]) -> Spent {
        let mut spent = Spent::default();
        if let Combine::Regret(bests) = &self.combine {
            for (replication, share) in asked {
                let requests = self.reference(bests, *replication, *share).get().map_or(0, |found| found.requests);
                spent += Spent { simulations: *share, runs: 1, requests };
            }
        }
        spent
    }

    /// The best settings of each case in one replication; run once.
    fn reference(&self, bests: &[Point], replication: u32, share: f64) -> Arc<OnceLock<Reference>> {
        let key = (replication, share.to_bits());
        let cell = Arc::clone(self.references.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        cell.get_or_init(|| {
            let seen: Vec<Observation> =
                self.cases.iter().zip(bests).map(|(case, best)| case.run(best, replication, share)).collect();
            let first = |one: &Observation| one.objectives.first().copied().flatten();
            Reference { objectives: seen.iter().map(first).collect(), requests: seen.iter().map(|one| one.requests).sum() }
        });
        cell
    }

    /// The first objective, and what decides between equals.
    fn first(&self, values: &[f64], replication: u32, share: f64) -> Option<(f64, Option<f64>)> {
        let lowest = |values: &[f64]| values.iter().copied().reduce(f64::min);
        let second = |values: &[f64]| crate::stats::mean(values).filter(|_| values.len() > 1);
        match &self.combine {
            Combine::Mean => Some((crate::stats::mean(values)?, None)),
            Combine::Worst => Some((lowest(values)?, second(values))),
            Combine::Regret(bests) => {
                let reference = self.reference(bests, replication, share);
                let bests: Option<Vec<f64>> = reference.get()?.objectives.iter().copied().collect();
                let differences: Vec<f64> = values.iter().zip(bests?).map(|(x, best)| x - best).collect();
                Some((lowest(&differences)?, second(&differences)))
            }
        }
    }

    /// An objective beside the first: by its mean, or by the worst.
    fn other(&self, values: &[f64]) -> Option<f64> {
        match &self.combine {
            Combine::Mean => crate::stats::mean(values),
            Combine::Worst | Combine::Regret(_) => values.iter().copied().reduce(f64::min),
        }
    }
}

impl Problem for Robust<'_> {
    fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
        let seen: Vec<Observation> = self.cases.iter().map(|case| case.run(candidate, replication, share)).collect();
        let objectives = seen.iter().map(|one| one.objectives.len()).min().unwrap_or(0);
        let constraints = seen.iter().map(|one| one.constraints.len()).min().unwrap_or(0);
        // What one case does not show may be broken there unseen.
        let slack = |k: usize| seen.iter().map(|one| one.constraints[k]).reduce(|a, b| Some(a?.min(b?))).flatten();
        let values = |k: usize| seen.iter().map(|one| one.objectives[k]).collect::<Option<Vec<f64>>>();
        let first = if objectives > 0 { values(0).and_then(|values| self.first(&values, replication, share)) } else { None };
        let others = (1..objectives).map(|k| values(k).and_then(|values| self.other(&values)));
        let firsts = (objectives > 0).then(|| first.map(|(value, _)| value));
        Observation {
            objectives: firsts.into_iter().chain(others).collect(),
            constraints: (0..constraints).map(slack).collect(),
            second: first.and_then(|(_, second)| second),
            requests: seen.iter().map(|one| one.requests).sum(),
        }
    }

    fn has_chance(&self, candidate: &Point) -> bool {
        let bests: &[Point] = if let Combine::Regret(bests) = &self.combine { bests } else { &[] };
        self.cases.iter().any(|case| case.has_chance(candidate))
            || self.cases.iter().zip(bests).any(|(case, best)| case.has_chance(best))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::Setting;

    /// Best at its centre.
    struct Bowl(f64);

    impl Problem for Bowl {
        fn run(&self, candidate: &Point, replication: u32, _: f64) -> Observation {
            let x = candidate.setting(0).and_then(Setting::number).unwrap();
            let luck = f64::from(replication % 2) - 0.5;
            Observation {
                objectives: vec![Some(-(x - self.0).abs() + luck)],
                constraints: vec![Some(x)],
                second: None,
                requests: 3,
            }
        }
    }

    /// Never better than -9, as a quiet future's rate is never above what comes.
    struct Capped<'a>(&'a Bowl);

    impl Problem for Capped<'_> {
        fn run(&self, candidate: &Point, replication: u32, share: f64) -> Observation {
            let mut seen = self.0.run(candidate, replication, share);
            seen.objectives[0] = seen.objectives[0].map(|x| x.min(-9.0));
            seen
        }
    }

    fn at(x: f64) -> Point {
        Point(vec![Some(Setting::Real(x))])
    }

    #[test]
    fn of_equal_worst_cases_the_better_mean_wins() {
        let (flat, high) = (Bowl(4.0), Bowl(10.0));
        let worst = |x: f64| {
            let capped = Capped(&high);
            let robust = Robust::new(vec![&flat, &capped], Combine::Worst).unwrap();
            robust.run(&at(x), 1, 1.0)
        };
        assert_eq!(worst(4.0).objectives, worst(5.0).objectives, "the quiet one bounds both");
        assert!(worst(4.0).second > worst(5.0).second);
    }

    #[test]
    fn cases_combine_as_they_are_told() {
        let (low, high) = (Bowl(0.0), Bowl(10.0));
        let run = |combine| Robust::new(vec![&low, &high], combine).unwrap().run(&at(4.0), 1, 1.0);
        assert_eq!((run(Combine::Worst).objectives, run(Combine::Worst).second), (vec![Some(-5.5)], Some(-4.5)));
        assert_eq!(run(Combine::Mean).objectives, [Some(-4.5)]);
        // In their own case 1 and 10 come to -1 and 0, with the luck that the candidate has too.
        let regret = run(Combine::Regret(vec![at(1.0), at(10.0)]));
        assert_eq!((regret.objectives, regret.second), (vec![Some(-6.0)], Some(-4.5)));
        assert_eq!((run(Combine::Worst).constraints, run(Combine::Worst).requests), (vec![Some(4.0)], 6));
        assert!(Robust::new(vec![&low], Combine::Regret(vec![])).is_none());
        assert!(Robust::new(vec![], Combine::Worst).is_none());
    }

    /// Whoever is the best of every case has no regret, in no replication: luck takes no part.
    #[test]
    fn the_best_of_every_case_has_no_regret() {
        let (low, high) = (Bowl(4.0), Bowl(4.0));
        let robust = Robust::new(vec![&low, &high], Combine::Regret(vec![at(4.0), at(4.0)])).unwrap();
        assert!((0..4).all(|replication| robust.run(&at(4.0), replication, 1.0).objectives == [Some(0.0)]));
        assert_eq!(robust.run(&at(6.0), 0, 1.0).objectives, [Some(-2.0)]);
        // Two cases of 3 requests each, in each of the replications asked for, run or not.
        let spent = robust.references(&[(0, 1.0), (9, 0.5)]);
        assert_eq!(spent, Spent { simulations: 1.5, runs: 2, requests: 12 });
    }
}

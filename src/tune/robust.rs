//! Settings for more than one future: a problem made of several, by worst case, mean, or regret.
//!
//! Loads and capacities around the expected ones, several scenarios, several traces: each is a problem of its own, and the
//! combined problem runs them all, on the same replication. Replication by replication the combined objective is
//!
//! ```text
//! mean     the weighted mean over the cases
//! worst    the lowest objective among the cases, and a billionth of their mean, so that the mean decides ties
//! regret   the lowest of (objective - the best that this case can have), so that 0 is no regret
//! ```
//!
//! (the augmented worst case of R. E. Steuer, E.-U. Choo, Mathematical Programming 26 (1983), 326-344; regret after L. J. Savage, JASA 46 (1951), 55-67), and a constraint's slack is the lowest of the cases'. The mean of the
//! lowest lies a little below the lowest of the means, the more the noisier and the more alike the cases are; [`Elsewhere`]
//! says what each case's own mean is, without that bias.

use crate::tune::{Observation, Point, Problem};

/// The weight of the mean beside the worst case: far below any difference that matters, and above the rounding of sums.
const TIE: f64 = 1e-9;

/// How cases become one objective.
#[derive(Clone, Debug, PartialEq)]
pub enum Combine {
    /// The mean, each case with its weight (above 0).
    Mean(Vec<f64>),
    /// The lowest.
    Worst,
    /// The lowest difference to these: the best first objective of each case on its own.
    Regret(Vec<f64>),
}

/// Several problems as one.
pub struct Robust<'a> {
    cases: Vec<&'a dyn Problem>,
    combine: Combine,
}

impl<'a> Robust<'a> {
    /// `cases` (at least one) combined; `None` where there are none, or not as many weights or bests as cases.
    #[must_use]
    pub fn new(cases: Vec<&'a dyn Problem>, combine: Combine) -> Option<Self> {
        let fits = match &combine {
            Combine::Worst => true,
            Combine::Mean(weights) => weights.len() == cases.len() && weights.iter().all(|w| *w > 0.0 && w.is_finite()),
            Combine::Regret(bests) => bests.len() == cases.len() && bests.iter().all(|best| best.is_finite()),
        };
        (fits && !cases.is_empty()).then_some(Self { cases, combine })
    }

    /// Objective number `k`; regret looks at the first one, and takes the worst of the others.
    fn objective(&self, seen: &[Observation], k: usize) -> Option<f64> {
        let values: Option<Vec<f64>> = seen.iter().map(|one| one.objectives.get(k).copied().flatten()).collect();
        let values = values?;
        match &self.combine {
            Combine::Mean(weights) => {
                let all: f64 = weights.iter().sum();
                Some(values.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / all)
            }
            Combine::Regret(bests) if k == 0 => values.iter().zip(bests).map(|(x, best)| x - best).reduce(f64::min),
            Combine::Worst if k == 0 && values.len() > 1 => {
                let worst = values.iter().copied().reduce(f64::min)?;
                Some(worst + TIE * crate::stats::mean(&values)?)
            }
            Combine::Worst | Combine::Regret(_) => values.into_iter().reduce(f64::min),
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
        Observation {
            objectives: (0..objectives).map(|k| self.objective(&seen, k)).collect(),
            constraints: (0..constraints).map(slack).collect(),
            requests: seen.iter().map(|one| one.requests).sum(),
        }
    }

    fn has_chance(&self, candidate: &Point) -> bool {
        self.cases.iter().any(|case| case.has_chance(candidate))
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
            Observation { objectives: vec![Some(-(x - self.0).abs() + luck)], constraints: vec![Some(x)], requests: 3 }
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
            robust.run(&at(x), 1, 1.0).objectives[0].unwrap()
        };
        assert!(worst(4.0) > worst(5.0) && worst(4.0) - worst(5.0) < 1e-6);
    }

    #[test]
    fn cases_combine_as_they_are_told() {
        let (low, high) = (Bowl(0.0), Bowl(10.0));
        let run = |combine| Robust::new(vec![&low, &high], combine).unwrap().run(&at(4.0), 1, 1.0);
        let worst = run(Combine::Worst).objectives[0].unwrap();
        assert!((worst + 5.5).abs() < 1e-8, "{worst}");
        assert_eq!(run(Combine::Mean(vec![3.0, 1.0])).objectives, [Some(-4.0)]);
        assert_eq!(run(Combine::Regret(vec![0.0, -1.0])).objectives, [Some(-4.5)]);
        assert_eq!((run(Combine::Worst).constraints, run(Combine::Worst).requests), (vec![Some(4.0)], 6));
        assert!(Robust::new(vec![&low], Combine::Mean(vec![])).is_none());
        assert!(Robust::new(vec![], Combine::Worst).is_none());
    }
}

//! What a search is told: method, budget, errors, zone.

use crate::tune::{Evaluator, Halving, Id, Model, Point, Space, TooLittle, sobol_points};

/// Where candidates come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Pool {
    /// Every combination of so many levels of each number and of all choices.
    Grid {
        /// Levels of each number, at least 1.
        levels: usize,
    },
    /// Points of the scrambled Sobol sequence.
    Sobol {
        /// How many, at least 1.
        points: usize,
    },
    /// These.
    List(Vec<Point>),
}

/// How candidates become few.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// All are run at full length equally often.
    Fixed {
        /// The candidates.
        pool: Pool,
        /// Replications of each, at least 1.
        replications: u32,
    },
    /// Successive halving.
    Halving {
        /// The candidates.
        pool: Pool,
        /// How to race them.
        halving: Halving,
    },
    /// A model proposes candidates from what earlier ones showed; the best of them race.
    Model {
        /// How it proposes.
        model: Model,
        /// How to race them.
        halving: Halving,
    },
}

/// The indifference zone: differences in the objective below it do not matter.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Zone {
    /// In the objective's unit, above 0.
    Absolute(f64),
    /// As a share (above 0) of the best mean of the screening, which no replication of the selection has touched.
    Relative(f64),
}

/// What a search is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How candidates become few.
    pub method: Method,
    /// What may be spent, in simulations ([`crate::tune::Spent::simulations`]).
    pub budget: f64,
    /// Seed of everything that is drawn: Sobol scrambles and the model's samples.
    pub seed: u64,
    /// Probability of a wrong choice that is allowed, inside 0 to 1: screening and selection share it.
    pub alpha: f64,
    /// The part of it that the screening may use, inside 0 to 1.
    pub alpha_screening: f64,
    /// The indifference zone.
    pub zone: Zone,
    /// For each constraint how much around 0 slack does not matter (above 0), in its unit.
    pub tolerances: Vec<f64>,
    /// Candidates in the final selection at most, at least 2.
    pub finalists: usize,
    /// Whether the selection's budget is cut for one look at each finalist, not for a second one too: of several objectives nothing
    /// is eliminated, and a wider front is worth more than more replications of it.
    pub one_look: bool,
    /// Replications of each finalist before the first decision, at least 2.
    pub first: u32,
    /// Replications of a finalist at most.
    pub replications_max: u32,
    /// Fresh replications of the choice, and of the baseline, at least 2: nothing was chosen by them.
    pub confirmation: u32,
}

impl Settings {
    /// Successive halving of `points` Sobol points: error 0.05, half of it for the screening; a zone of 1 %; up to 8 finalists
    /// with 10 to 1,000 replications (10 is what Kim and Nelson recommend); 30 to confirm.
    #[must_use]
    pub fn halving(points: usize, budget: f64, seed: u64) -> Self {
        Self {
            method: Method::Halving { pool: Pool::Sobol { points }, halving: Halving::default() },
            budget,
            seed,
            alpha: 0.05,
            alpha_screening: 0.5,
            zone: Zone::Relative(0.01),
            tolerances: Vec::new(),
            finalists: 8,
            one_look: false,
            first: 10,
            replications_max: 1_000,
            confirmation: 30,
        }
    }

    /// Says what cannot be: numbers out of their ranges.
    pub(super) fn check(&self) -> Result<(), SearchFault> {
        let inside = |x: f64| x > 0.0 && x < 1.0;
        let zone = match self.zone {
            Zone::Absolute(zone) | Zone::Relative(zone) => zone,
        };
        let above_zero = |x: f64| x > 0.0 && x.is_finite();
        let faults = [
            (!inside(self.alpha), "alpha must lie between 0 and 1"),
            (!inside(self.alpha_screening), "the screening's part of alpha must lie between 0 and 1"),
            (!above_zero(zone), "the indifference zone must be above 0"),
            (!self.tolerances.iter().all(|x| above_zero(*x)), "the tolerance of a constraint must be above 0"),
            (!above_zero(self.budget), "the budget must be above 0"),
            (self.finalists < 2, "there must be room for at least 2 finalists"),
            (self.first < 2, "the first stage takes at least 2 replications"),
            (self.replications_max < self.first, "the most replications must not be fewer than those of the first stage"),
            (self.confirmation < 2, "the confirmation takes at least 2 replications"),
        ];
        match faults.iter().find(|(wrong, _)| *wrong) {
            Some((_, what)) => Err(SearchFault::Settings((*what).to_owned())),
            None => Ok(()),
        }
    }
}

impl Pool {
    /// Its candidates as they come.
    pub(super) fn points(&self, space: &Space, seed: u64) -> Vec<Point> {
        match self {
            Self::Grid { levels } => space.grid(*levels),
            Self::Sobol { points } => sobol_points(space, *points, seed),
            Self::List(points) => points.clone(),
        }
    }

    /// Its candidates; `first`, where given, is one of them and stands first.
    pub(super) fn candidates(&self, space: &Space, seed: u64, evaluator: &mut Evaluator<'_>, first: Option<Id>) -> Vec<Id> {
        let points = self.points(space, seed);
        let mut pool: Vec<Id> = first.into_iter().collect();
        let mut known: std::collections::BTreeSet<Id> = first.into_iter().collect();
        for point in &points {
            let id = evaluator.id(point);
            if known.insert(id) {
                pool.push(id);
            }
        }
        pool
    }
}

/// Why a search came to nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SearchFault {
    /// A setting out of its range.
    #[error("{0}")]
    Settings(String),
    /// No candidates.
    #[error("there is no candidate to run")]
    NoCandidate,
    /// The budget does not pay for the screening.
    #[error(transparent)]
    TooLittle(#[from] TooLittle),
    /// The budget does not pay for a choice, however few candidates there are.
    #[error(
        "the budget of {budget} simulations is too small: choosing between the best candidate and today's settings takes at least \
         {needed}, however few candidates there are"
    )]
    NoChoice {
        /// What there is, in simulations.
        budget: f64,
        /// What the least selection takes with all that goes with it, in simulations.
        needed: f64,
    },
    /// Nobody showed this objective in the last rung.
    #[error("no run of any candidate shows objective number {}", .0 + 1)]
    Unmeasured(usize),
    /// Every candidate had runs that did not show the objective.
    #[error("no candidate shows the objective in all of its runs")]
    Patchy,
    /// Nobody showed the figure of this constraint.
    #[error("no run of any candidate shows constraint number {}", .0 + 1)]
    NeverShown(usize),
    /// No run had a request to measure.
    #[error("no run of any candidate has a request in the time that is measured")]
    NoRequest,
    /// Stopped before the search that regret is measured by was over.
    #[error("it was over before the best of each future alone was found")]
    CutShort,
}

//! The fully sequential contest between finalists: which are feasible, and which of those is best.
//!
//! S.-H. Kim, B. L. Nelson, "A fully sequential procedure for indifference-zone selection in simulation", ACM TOMACS 11 (2001),
//! 251-273 (procedure KN, with c = 1), and for constraints S. Andradóttir, S.-H. Kim, "Fully sequential procedures for comparing
//! constrained systems via simulation", Naval Research Logistics 57 (2010), 403-421 (feasibility and comparison at once), with
//! D. Batur, S.-H. Kim, "Finding feasible systems in the presence of constraints on multiple performance measures", ACM TOMACS
//! 20:3 (2010), article 13, for several constraints. Common random numbers are allowed in all three.
//!
//! For each pair (i, l) let S^2 be the variance of the differences in the first n0 replications, and D(r) their sum over the
//! first r. The pair is decided at the first r >= n0 where D(r) leaves the triangle
//!
//! ```text
//! |D(r)| < max(0, h^2 S^2 / (2 delta) - delta r / 2),   h^2 = 2 eta (n0 - 1),
//! eta = ((2 beta)^(-2 / (n0 - 1)) - 1) / 2
//! ```
//!
//! with the indifference zone delta and beta = alpha / (k - 1). Each constraint of each system is decided in the same way, with the sum
//! of its slacks for D, its tolerance for delta, and beta = alpha / (k s). The one error `alpha` is split evenly between the two
//! where there are constraints. With probability at least 1 - alpha the choice holds every constraint to within its tolerance
//! and is less than delta worse than the best of those that hold every constraint by more than the tolerance (Bonferroni over
//! all pairs and constraints; for normal observations, which means over many requests nearly are).

use crate::stats::{mean, variance};
use crate::tune::measure::by_merit;

/// The contest's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The error: the probability of a wrong choice is at most this (inside 0 to 1).
    pub alpha: f64,
    /// The indifference zone: differences in the objective below it do not matter (above 0).
    pub zone: f64,
    /// For each constraint how much around 0 slack does not matter (above 0).
    pub tolerances: Vec<f64>,
    /// Replications before the first decision, at least 2; KN recommend 10.
    pub first: u32,
}

/// Where a system stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Still in.
    Open,
    /// Worse than another one that is feasible.
    Beaten {
        /// Which one.
        by: usize,
        /// After how many replications.
        at: u32,
    },
    /// A constraint does not hold.
    Infeasible {
        /// Which one.
        constraint: usize,
        /// After how many replications.
        at: u32,
    },
    /// A replication did not show the objective.
    Unmeasured {
        /// After how many replications.
        at: u32,
    },
}

/// Which side a sequence of sums left its triangle on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Side {
    Above,
    Below,
}

/// The sequential test of one sum.
#[derive(Clone, Debug, Default)]
struct Test {
    first: Vec<f64>,
    sum: f64,
    count: u32,
    squared: f64,
    left: Option<Side>,
}

impl Test {
    /// Takes the next value; `h2` and `zone` as in the formula above, `n0` at least 2. The first exit counts.
    fn add(&mut self, value: f64, n0: u32, h2: f64, zone: f64) {
        self.sum += value;
        self.count += 1;
        if self.count <= n0 {
            self.first.push(value);
        }
        if self.count == n0 {
            self.squared = variance(&self.first).unwrap_or(0.0);
        }
        if self.count < n0 || self.left.is_some() {
            return;
        }
        if self.sum.abs() >= self.bound(h2, zone) {
            self.left = Some(if self.sum >= 0.0 { Side::Above } else { Side::Below });
        }
    }

    /// Whether all values were 0: nothing tells the two apart.
    fn is_level(&self) -> bool {
        self.sum == 0.0 && self.squared == 0.0
    }

    fn bound(&self, h2: f64, zone: f64) -> f64 {
        (h2 * self.squared / (2.0 * zone) - zone * f64::from(self.count) / 2.0).max(0.0)
    }

    /// After how many values it will be decided at the latest.
    fn last(&self, h2: f64, zone: f64) -> f64 {
        (h2 * self.squared / (zone * zone)).ceil()
    }
}

/// The state of a contest.
#[derive(Clone, Debug)]
pub struct Contest {
    terms: Terms,
    fates: Vec<Fate>,
    objectives: Vec<Vec<f64>>,
    /// Sums of what decides between systems whose objectives never differed.
    seconds: Vec<f64>,
    /// Row i, column l > i: sum of i minus l.
    pairs: Vec<Vec<Test>>,
    feasibility: Vec<Vec<Test>>,
    pair_h2: f64,
    feasible_h2: f64,
    replications: u32,
}

impl Contest {
    /// A contest between `systems` (at least 1).
    #[must_use]
    pub fn new(systems: usize, terms: Terms) -> Self {
        let constraints = terms.tolerances.len();
        let alpha = if constraints == 0 { terms.alpha } else { terms.alpha / 2.0 };
        let pair_h2 = h_squared(alpha / (systems.max(2) - 1) as f64, terms.first);
        let feasible_h2 = h_squared(alpha / (systems * constraints.max(1)) as f64, terms.first);
        Self {
            terms,
            fates: vec![Fate::Open; systems],
            objectives: vec![Vec::new(); systems],
            seconds: vec![0.0; systems],
            pairs: vec![vec![Test::default(); systems]; systems],
            feasibility: vec![vec![Test::default(); constraints]; systems],
            pair_h2,
            feasible_h2,
            replications: 0,
        }
    }

    /// The systems that are still in.
    pub fn open(&self) -> impl Iterator<Item = usize> + '_ {
        self.fates.iter().enumerate().filter(|(_, fate)| **fate == Fate::Open).map(|(i, _)| i)
    }

    /// Where each system stands.
    #[must_use]
    pub fn fates(&self) -> &[Fate] {
        &self.fates
    }

    /// Replications taken so far.
    #[must_use]
    pub const fn replications(&self) -> u32 {
        self.replications
    }

    /// Takes the next replication: for each open system, in order, its objective and its slacks, and, where there is one, what
    /// decides between systems whose objectives never differ.
    pub fn take(&mut self, row: &[(Option<f64>, &[Option<f64>])], seconds: &[Option<f64>]) {
        let open: Vec<usize> = self.open().collect();
        self.replications += 1;
        let at = self.replications;
        for (i, (objective, slacks)) in open.iter().zip(row) {
            match objective {
                Some(objective) => self.objectives[*i].push(*objective),
                None => self.fates[*i] = Fate::Unmeasured { at },
            }
            for ((test, slack), zone) in self.feasibility[*i].iter_mut().zip(*slacks).zip(&self.terms.tolerances) {
                if let Some(slack) = slack {
                    test.add(*slack, self.terms.first, self.feasible_h2, *zone);
                }
            }
        }
        for (i, second) in open.iter().zip(seconds) {
            self.seconds[*i] += second.unwrap_or(0.0);
        }
        let open: Vec<usize> = self.open().collect();
        for (place, i) in open.iter().enumerate() {
            for l in &open[place + 1..] {
                let difference = last(&self.objectives[*i]) - last(&self.objectives[*l]);
                self.pairs[*i][*l].add(difference, self.terms.first, self.pair_h2, self.terms.zone);
            }
        }
        self.judge(&open, at);
    }

    fn judge(&mut self, open: &[usize], at: u32) {
        for i in open {
            let broken = self.feasibility[*i].iter().position(|test| test.left == Some(Side::Below));
            if let Some(constraint) = broken {
                self.fates[*i] = Fate::Infeasible { constraint, at };
            }
        }
        // A system that was beaten by one now found feasible goes, even where that was decided long ago.
        for i in open {
            let beats = |l: &&usize| self.fates[**l] == Fate::Open && self.feasible(**l) && self.wins(**l, *i);
            if self.fates[*i] == Fate::Open
                && let Some(by) = open.iter().find(beats)
            {
                self.fates[*i] = Fate::Beaten { by: *by, at };
            }
        }
    }

    /// Whether all constraints of system `i` were decided in its favour.
    #[must_use]
    pub fn feasible(&self, i: usize) -> bool {
        self.feasibility[i].iter().all(|test| test.left == Some(Side::Above))
    }

    /// Whether the pair was decided for `i` and against `l`.
    fn wins(&self, i: usize, l: usize) -> bool {
        let test = &self.pairs[i.min(l)][i.max(l)];
        if test.left.is_some() && test.is_level() {
            // Of exact equals what comes second decides, then their order.
            return self.seconds[i].total_cmp(&self.seconds[l]).then(l.cmp(&i)).is_gt();
        }
        test.left == Some(if i < l { Side::Above } else { Side::Below })
    }

    /// Whether more replications may be needed to decide it than a system may have, `most`: then no budget is sure to do.
    #[must_use]
    pub fn is_beyond(&self, most: u32) -> bool {
        self.open().any(|i| self.more(i).is_some_and(|more| f64::from(self.replications) + more > f64::from(most)))
    }

    /// For each constraint of system `i` whether it is still open.
    #[must_use]
    pub fn unsure(&self, i: usize) -> Vec<usize> {
        (0..self.feasibility[i].len()).filter(|k| self.feasibility[i][*k].left.is_none()).collect()
    }

    /// Whether nothing is left to decide: one feasible system, or none at all.
    #[must_use]
    pub fn decided(&self) -> bool {
        let open: Vec<usize> = self.open().collect();
        self.replications >= self.terms.first && (open.is_empty() || open.len() == 1 && self.feasible(open[0]))
    }

    /// How many more replications, summed over the open systems, decide it at the latest. `None` before the first decision: how
    /// much the systems vary is not known yet.
    #[must_use]
    pub fn left_at_most(&self) -> Option<f64> {
        self.open().map(|i| self.more(i)).sum()
    }

    /// How many more replications decide what is open of system `i` at the latest.
    fn more(&self, i: usize) -> Option<f64> {
        if self.replications < self.terms.first {
            return None;
        }
        let more = |test: &Test, h2: f64, zone: f64| {
            if test.left.is_some() { 0.0 } else { (test.last(h2, zone) - f64::from(test.count)).max(1.0) }
        };
        let pairs = self.open().filter(|l| *l != i).map(|l| &self.pairs[i.min(l)][i.max(l)]);
        let pairs = pairs.map(|test| more(test, self.pair_h2, self.terms.zone));
        let slacks = self.feasibility[i].iter().zip(&self.terms.tolerances);
        // What a run does not always show varies by nobody knows how much yet.
        if self.feasibility[i].iter().any(|test| test.left.is_none() && test.count < self.terms.first) {
            return None;
        }
        Some(pairs.chain(slacks.map(|(test, zone)| more(test, self.feasible_h2, *zone))).fold(0.0, f64::max))
    }

    /// The best open system by its mean, those that were found feasible before those that only seem so; `None` where no open
    /// one even seems feasible.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let seems = |i: &usize| self.feasibility[*i].iter().all(|test| test.count > 0 && test.sum >= 0.0);
        let best = |of: Vec<usize>| {
            let merits = of.into_iter().filter_map(|i| Some(((mean(&self.objectives[i])?, self.seconds[i]), i)));
            merits.reduce(|a, b| if by_merit(b.0, a.0).is_gt() { b } else { a }).map(|(_, i)| i)
        };
        best(self.open().filter(|i| self.feasible(*i)).collect()).or_else(|| best(self.open().filter(seems).collect()))
    }
}

/// h^2 = 2 eta (n0 - 1) for the error `beta` of one comparison.
fn h_squared(beta: f64, n0: u32) -> f64 {
    let freedom = f64::from(n0.max(2) - 1);
    let eta = 0.5 * (libm::pow(2.0 * beta, -2.0 / freedom) - 1.0);
    2.0 * eta.max(0.0) * freedom
}

fn last(values: &[f64]) -> f64 {
    values.last().copied().unwrap_or(0.0)
}

#[cfg(test)]
#[path = "contest_tests.rs"]
mod tests;

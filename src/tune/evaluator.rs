//! Between the methods and the problem: runs what is asked, in parallel, nothing twice, and counts what was spent.
//!
//! Spending is counted when an observation is *asked for* the first time, whether it is run now or was preloaded from an
//! earlier, interrupted run: so a search that goes on decides as it would have without the interruption.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use serde::Serialize;

use crate::tune::measure::Series;
use crate::tune::{Host, News, Nobody, Observation, Point, Problem, Stage};

/// A candidate's number in an [`Evaluator`], in the order in which they became known to it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Id(pub usize);

/// One replication to run.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Job {
    /// Of which candidate.
    pub candidate: Id,
    /// Which replication.
    pub replication: u32,
    /// With which part of the full simulated time: above 0, at most 1.
    pub share: f64,
}

/// An observation that has just been made.
#[derive(Copy, Clone, Debug)]
pub struct Finished<'a> {
    /// On which problem: [`Evaluator::of`].
    pub of: u32,
    /// Of which candidate.
    pub point: &'a Point,
    /// Which replication.
    pub replication: u32,
    /// With which part of the full simulated time.
    pub share: f64,
    /// What was seen.
    pub observation: &'a Observation,
}

/// What was spent.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// In *simulations*, the unit of every budget: one is a replication over the full simulated time, a shorter one counts as
    /// its share of it.
    pub simulations: f64,
    /// Replications of any length.
    pub runs: u64,
    /// Requests simulated.
    pub requests: u64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.simulations += other.simulations;
        self.runs += other.runs;
        self.requests += other.requests;
    }
}

/// Somebody asked to stop; what is finished is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the end")]
pub struct Stopped;

/// Runs observations and remembers them.
pub struct Evaluator<'a> {
    problem: &'a dyn Problem,
    of: u32,
    host: &'a dyn Host,
    ids: BTreeMap<Point, Id>,
    points: Vec<Point>,
    /// Whether each candidate's replications can differ.
    chance: Vec<bool>,
    memo: Vec<Runs>,
    /// Of candidates that nobody has asked about yet: their numbers must not depend on what was preloaded.
    preloaded: BTreeMap<Point, Runs>,
    spent: Spent,
    fresh: Spent,
}

/// A candidate's observations, by replication and the bits of the share.
type Runs = BTreeMap<(u32, u64), Remembered>;

struct Remembered {
    observation: Observation,
    /// Whether it was paid for: a preloaded one is when it is first asked for.
    counted: bool,
}

impl<'a> Evaluator<'a> {
    /// Runs on `problem`, which is number `of` of all that `host` keeps apart, and remembers what the host does.
    #[must_use]
    pub fn new(problem: &'a dyn Problem, of: u32, host: &'a dyn Host) -> Self {
        let mut evaluator = Self {
            problem,
            of,
            host,
            ids: BTreeMap::new(),
            points: Vec::new(),
            chance: Vec::new(),
            memo: Vec::new(),
            preloaded: BTreeMap::new(),
            spent: Spent::default(),
            fresh: Spent::default(),
        };
        host.remember(&mut evaluator);
        evaluator
    }

    /// An evaluator that tells nobody and never stops.
    #[must_use]
    pub fn quiet(problem: &'a dyn Problem) -> Self {
        Self::new(problem, 0, &Nobody)
    }

    /// Which of the host's problems it runs on.
    #[must_use]
    pub const fn of(&self) -> u32 {
        self.of
    }

    /// Tells the host how the search stands; `best` is the leader with the mean of its first objective.
    pub(super) fn tell(&self, stage: Stage, best: Option<(Id, f64)>) {
        self.host.hear(&News { of: self.of, stage, best: best.map(|(id, mean)| (self.point(id), mean)) });
    }

    /// The number of `point`, new or known.
    pub fn id(&mut self, point: &Point) -> Id {
        if let Some(id) = self.ids.get(point) {
            return *id;
        }
        let id = Id(self.points.len());
        self.ids.insert(point.clone(), id);
        self.points.push(point.clone());
        self.chance.push(self.problem.has_chance(point));
        self.memo.push(self.preloaded.remove(point).unwrap_or_default());
        id
    }

    /// Whether replications of any of `candidates` can differ. Where they cannot, the first stands for all of them: it is run
    /// and paid for once.
    #[must_use]
    pub fn has_chance(&self, candidates: &[Id]) -> bool {
        candidates.iter().any(|id| self.chance[id.0])
    }

    /// Which observation of a candidate it is.
    fn key(&self, candidate: Id, replication: u32, share: f64) -> (u32, u64) {
        (if self.chance[candidate.0] { replication } else { 0 }, share.to_bits())
    }

    /// The candidate of that number.
    #[must_use]
    pub fn point(&self, id: Id) -> &Point {
        &self.points[id.0]
    }

    /// All candidates so far, by number.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Remembers an observation of an earlier run.
    pub fn preload(&mut self, point: &Point, replication: u32, share: f64, observation: Observation) {
        let runs = match self.ids.get(point) {
            Some(id) => &mut self.memo[id.0],
            None => self.preloaded.entry(point.clone()).or_default(),
        };
        runs.entry((replication, share.to_bits())).or_insert(Remembered { observation, counted: false });
    }

    /// Makes sure that every job has its observation. Jobs run in parallel; what they give does not depend on how many
    /// threads there are.
    ///
    /// # Errors
    /// Where the host said so; observations that were finished by then are kept, and paid for.
    pub fn run(&mut self, jobs: &[Job]) -> Result<(), Stopped> {
        let mut missing: Vec<Job> = Vec::new();
        let mut asked = std::collections::BTreeSet::new();
        for job in jobs {
            let key = self.key(job.candidate, job.replication, job.share);
            if !self.memo[job.candidate.0].contains_key(&key) && asked.insert((job.candidate, key)) {
                missing.push(Job { replication: key.0, ..*job });
            }
        }
        let made: Vec<Option<Observation>> = missing.par_iter().map(|job| self.make(job)).collect();
        let stopped = made.iter().any(Option::is_none);
        for (job, observation) in missing.iter().zip(made) {
            if let Some(observation) = observation {
                self.fresh += cost(job, &observation);
                let remembered = Remembered { observation, counted: false };
                self.memo[job.candidate.0].insert((job.replication, job.share.to_bits()), remembered);
            }
        }
        self.pay(jobs);
        if stopped { Err(Stopped) } else { Ok(()) }
    }

    fn make(&self, job: &Job) -> Option<Observation> {
        if self.host.stop() {
            return None;
        }
        let point = self.point(job.candidate);
        let observation = self.problem.run(point, job.replication, job.share);
        // It may be half of a run: whether it is whole, nobody can tell here.
        if self.host.interrupted().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return None;
        }
        let finished =
            Finished { of: self.of, point, replication: job.replication, share: job.share, observation: &observation };
        self.host.keep(&finished);
        Some(observation)
    }

    /// Counts what is asked for the first time, in the order of the jobs.
    fn pay(&mut self, jobs: &[Job]) {
        for job in jobs {
            let key = self.key(job.candidate, job.replication, job.share);
            // One that a stop kept from being run costs nothing.
            let Some(remembered) = self.memo[job.candidate.0].get_mut(&key) else { continue };
            if !remembered.counted {
                remembered.counted = true;
                self.spent += cost(job, &remembered.observation);
            }
        }
    }

    /// What was seen; `None` where it was never run.
    #[must_use]
    pub fn seen(&self, candidate: Id, replication: u32, share: f64) -> Option<&Observation> {
        self.memo[candidate.0].get(&self.key(candidate, replication, share)).map(|remembered| &remembered.observation)
    }

    /// Every replication that was asked for and run, with its share, each once.
    #[must_use]
    pub fn asked(&self) -> Vec<(u32, f64)> {
        let counted = self.memo.iter().flatten().filter(|(_, remembered)| remembered.counted);
        let asked: std::collections::BTreeSet<(u32, u64)> = counted.map(|(key, _)| *key).collect();
        asked.into_iter().map(|(replication, share)| (replication, f64::from_bits(share))).collect()
    }

    /// How many of the replications from `series`' first on all of `candidates` have.
    pub(super) fn whole(&self, candidates: &[Id], series: &Series) -> u32 {
        let all = |replication: &u32| candidates.iter().all(|id| self.seen(*id, *replication, series.share).is_some());
        let count = series.replications().take_while(all).count();
        u32::try_from(count).expect("no more than there are")
    }

    /// What the search has asked for so far, preloaded or not: what its budget is held against.
    #[must_use]
    pub const fn spent(&self) -> Spent {
        self.spent
    }

    /// What was really run by this evaluator.
    #[must_use]
    pub const fn fresh(&self) -> Spent {
        self.fresh
    }
}

fn cost(job: &Job, observation: &Observation) -> Spent {
    Spent { simulations: job.share, runs: 1, requests: observation.requests }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64};

    use super::*;
    use crate::tune::Setting;

    /// Gives the replication's number and counts how often it was run.
    #[derive(Default)]
    struct Counting(AtomicU64);

    impl Problem for Counting {
        fn run(&self, _: &Point, replication: u32, share: f64) -> Observation {
            self.0.fetch_add(1, Ordering::Relaxed);
            Observation {
                objectives: vec![Some(f64::from(replication) * share)],
                constraints: vec![],
                second: None,
                requests: 10,
            }
        }
    }

    /// Stops after five observations.
    struct Impatient(AtomicU64);

    impl Host for Impatient {
        fn keep(&self, _: &Finished<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn stop(&self) -> bool {
            self.0.load(Ordering::Relaxed) >= 5
        }
    }

    fn point(x: i64) -> Point {
        Point(vec![Some(Setting::Integer(x))])
    }

    fn jobs(candidate: Id, replications: std::ops::Range<u32>, share: f64) -> Vec<Job> {
        replications.map(|replication| Job { candidate, replication, share }).collect()
    }

    #[test]
    fn nothing_runs_twice_and_nothing_is_paid_twice() {
        let problem = Counting::default();
        let mut evaluator = Evaluator::quiet(&problem);
        let id = evaluator.id(&point(1));
        let mut twice = jobs(id, 0..4, 0.5);
        twice.extend(jobs(id, 2..6, 0.5));
        evaluator.run(&twice).unwrap();
        evaluator.run(&twice).unwrap();
        evaluator.run(&jobs(id, 0..1, 1.0)).unwrap();
        assert_eq!(problem.0.load(Ordering::Relaxed), 7);
        assert_eq!(evaluator.spent(), Spent { simulations: 4.0, runs: 7, requests: 70 });
        assert_eq!(evaluator.seen(id, 5, 0.5).unwrap().objectives, [Some(2.5)]);
        assert!(evaluator.seen(id, 5, 1.0).is_none());
    }

    #[test]
    fn what_is_preloaded_is_paid_for_but_not_run() {
        let problem = Counting::default();
        let mut evaluator = Evaluator::quiet(&problem);
        evaluator.preload(&point(1), 0, 1.0, problem.run(&point(1), 0, 1.0));
        evaluator.preload(&point(2), 9, 1.0, problem.run(&point(2), 9, 1.0));
        let id = evaluator.id(&point(1));
        evaluator.run(&jobs(id, 0..3, 1.0)).unwrap();
        assert_eq!(problem.0.load(Ordering::Relaxed), 4);
        assert_eq!((evaluator.spent().runs, evaluator.fresh().runs), (3, 2));
    }

    /// Gives the same whatever the replication.
    struct Clockwork;

    impl Problem for Clockwork {
        fn run(&self, _: &Point, _: u32, share: f64) -> Observation {
            Observation { objectives: vec![Some(share)], constraints: vec![], second: None, requests: 10 }
        }

        fn has_chance(&self, _: &Point) -> bool {
            false
        }
    }

    /// Interrupted in the middle of the third run.
    struct Hasty {
        runs: AtomicU64,
        flag: AtomicBool,
    }

    impl Problem for Hasty {
        fn run(&self, _: &Point, _: u32, _: f64) -> Observation {
            self.flag.store(self.runs.fetch_add(1, Ordering::Relaxed) == 2, Ordering::Relaxed);
            Observation { objectives: vec![Some(1.0)], constraints: vec![], second: None, requests: 1 }
        }
    }

    impl Host for Hasty {
        fn stop(&self) -> bool {
            self.flag.load(Ordering::Relaxed)
        }

        fn interrupted(&self) -> Option<&AtomicBool> {
            Some(&self.flag)
        }
    }

    #[test]
    fn without_chance_one_replication_stands_for_all() {
        let mut evaluator = Evaluator::quiet(&Clockwork);
        let id = evaluator.id(&point(1));
        evaluator.run(&jobs(id, 3..9, 0.5)).unwrap();
        evaluator.run(&jobs(id, 70..90, 0.5)).unwrap();
        assert!(!evaluator.has_chance(&[id]));
        assert_eq!((evaluator.spent().runs, evaluator.fresh().runs, evaluator.spent().requests), (1, 1, 10));
        assert_eq!(evaluator.seen(id, 1_000, 0.5).unwrap().objectives, [Some(0.5)]);
        assert!(evaluator.seen(id, 3, 1.0).is_none());
    }

    #[test]
    fn what_an_interruption_broke_off_is_no_observation() {
        let hasty = Hasty { runs: AtomicU64::new(0), flag: AtomicBool::new(false) };
        let mut evaluator = Evaluator::new(&hasty, 0, &hasty);
        let id = evaluator.id(&point(1));
        // One by one, so that it is known which run is the third.
        for (replication, runs) in [(0, Ok(())), (1, Ok(())), (2, Err(Stopped))] {
            assert_eq!(evaluator.run(&jobs(id, replication..replication + 1, 1.0)), runs);
        }
        assert!(evaluator.seen(id, 1, 1.0).is_some() && evaluator.seen(id, 2, 1.0).is_none());
    }

    #[test]
    fn a_stop_keeps_what_is_finished() {
        let problem = Counting::default();
        let host = Impatient(AtomicU64::new(0));
        let mut evaluator = Evaluator::new(&problem, 0, &host);
        let id = evaluator.id(&point(1));
        assert_eq!(evaluator.run(&jobs(id, 0..1_000, 1.0)), Err(Stopped));
        let finished = host.0.load(Ordering::Relaxed);
        assert!((5..1_000).contains(&finished), "{finished}");
        let kept = (0..1_000).filter(|r| evaluator.seen(id, *r, 1.0).is_some()).count();
        assert_eq!(kept as u64, finished);
        assert_eq!(evaluator.spent().runs, finished, "what was run is paid for");
        assert_eq!(evaluator.asked().len() as u64, finished);
        let whole = evaluator.whole(&[id], &Series { from: 0, count: 1_000, share: 1.0 });
        assert!((0..whole).all(|r| evaluator.seen(id, r, 1.0).is_some()) && evaluator.seen(id, whole, 1.0).is_none());
    }
}

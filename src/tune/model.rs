//! The model-based search: a tree-structured Parzen estimator proposes candidates from what earlier ones showed.
//!
//! J. Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011, section 4, as the crate `tpe` has it: for each
//! parameter one density of the best tenth of the candidates and one of the others; of 24 draws from the first the one with the
//! largest ratio of the two is proposed. Conditional parameters learn from the candidates in which they are active. The order
//! of the candidates comes from [`crate::tune::rank`], so constraints and several objectives steer it too. It begins with Sobol
//! points, and proposes in batches of a fixed size from one state of the model: the number of threads changes nothing.
//!
//! All candidates meet the same replications. What comes out is the best third, which then races.

use rand_chacha::ChaCha8Rng;
use tpe::density_estimation::DefaultEstimatorBuilder;
use tpe::{TpeOptimizer, categorical_range, histogram_estimator, parzen_estimator, range};

use crate::rng::Streams;
use crate::tune::halving::{jobs, since, visits};
use crate::tune::measure::{Measured, Series};
use crate::tune::{Domain, Evaluator, Id, Kind, Point, Rung, Space, Spent, Stage, Verdict, rank, sobol_points};

/// The part of the screening's budget that the model spends; the race of the best has the rest.
pub const EXPLORE: f64 = 0.5;

/// How the model proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Sobol points before the first proposal, at least 1.
    pub startup: usize,
    /// Candidates that are proposed at once, at least 1.
    pub batch: usize,
    /// Replications of each, at least 1.
    pub replications: u32,
    /// Part of the full simulated time of each replication: above 0, at most 1.
    pub share: f64,
}

impl Default for Model {
    /// Three replications over a third of the time, as the race's third rung or so; 20 points to begin with.
    fn default() -> Self {
        Self { startup: 20, batch: 8, replications: 3, share: 1.0 / 3.0 }
    }
}

/// What the model came to.
pub(super) struct Proposed {
    /// The best third, the best first.
    pub pool: Vec<Id>,
    /// What was run, batch by batch.
    pub rungs: Vec<Rung>,
    /// Whether somebody stopped it.
    pub stopped: bool,
}

/// Proposes and runs candidates until `budget` x [`EXPLORE`] is spent. Where somebody stops it, what was measured by then counts:
/// of the batch under way the candidates that had all their runs.
pub(super) fn propose(
    space: &Space,
    evaluator: &mut Evaluator<'_>,
    model: &Model,
    seed: u64,
    budget: f64,
    baseline: Option<Id>,
) -> Proposed {
    let series = Series { from: 0, count: model.replications.max(1), share: model.share };
    let each = f64::from(series.count) * model.share;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    let total = ((budget * EXPLORE / each) as usize).max(1);
    let mut search = Search {
        space,
        rng: Streams::new(seed, 0).named("tune/model"),
        known: baseline.into_iter().collect(),
        spare: sobol_points(space, total.saturating_mul(2), seed).into_iter(),
    };
    let startup: Vec<Point> = search.spare.by_ref().take(model.startup.clamp(1, total)).collect();
    let mut batch: Vec<Id> = baseline.into_iter().collect();
    for point in &startup {
        search.add(evaluator, point, &mut batch);
    }
    let (mut all, mut shown, mut batches) = (Vec::new(), Vec::new(), Vec::<(usize, Spent)>::new());
    let mut stopped = false;
    while !batch.is_empty() && !stopped {
        let before = evaluator.spent();
        stopped = evaluator.run(&jobs(&batch, &series)).is_err();
        batch.retain(|id| evaluator.whole(&[*id], &series) == series.count);
        if batch.is_empty() {
            break;
        }
        shown.extend(batch.iter().map(|id| Measured::of(evaluator, *id, &series)));
        batches.push((batch.len(), since(evaluator.spent(), before)));
        all.append(&mut batch);
        let first = rank::order(&shown).first().and_then(|place| Some((all[*place], shown[*place].mean(0)?)));
        evaluator.tell(Stage::Screening { left: all.len() }, first);
        let count = if stopped { 0 } else { model.batch.max(1).min(total.saturating_sub(all.len())) };
        batch = search.proposals(evaluator, &all, &shown, count);
    }
    let (pool, rungs) = best_third(&all, &shown, &series, &batches);
    Proposed { pool, rungs, stopped }
}

/// What proposing needs.
struct Search<'a, I> {
    space: &'a Space,
    rng: ChaCha8Rng,
    known: std::collections::BTreeSet<Id>,
    /// Sobol points that nobody has asked for, for when the model proposes what is known.
    spare: I,
}

impl<I: Iterator<Item = Point>> Search<'_, I> {
    /// Adds `point` to `batch`, unless it is known; whether it was added.
    fn add(&mut self, evaluator: &mut Evaluator<'_>, point: &Point, batch: &mut Vec<Id>) -> bool {
        let id = evaluator.id(point);
        let new = self.known.insert(id);
        if new {
            batch.push(id);
        }
        new
    }

    fn proposals(&mut self, evaluator: &mut Evaluator<'_>, all: &[Id], seen: &[Measured], count: usize) -> Vec<Id> {
        let mut batch = Vec::new();
        if count == 0 {
            return batch;
        }
        let mut optimizers = self.learn(evaluator, all, seen);
        // A model that has settled proposes what is known again and again.
        for _ in 0..count * 8 {
            if batch.len() == count {
                return batch;
            }
            let unit: Vec<f64> = optimizers.iter_mut().map(|one| one.ask(&mut self.rng)).collect();
            let point = self.space.decode(&unit);
            self.add(evaluator, &point, &mut batch);
        }
        while batch.len() < count
            && let Some(point) = self.spare.next()
        {
            self.add(evaluator, &point, &mut batch);
        }
        batch
    }

    /// One optimizer for each parameter, told what is known. It minimises: the rank.
    fn learn(&self, evaluator: &Evaluator<'_>, all: &[Id], seen: &[Measured]) -> Vec<Optimizer> {
        let order = rank::order(seen);
        let units: Vec<Vec<f64>> = all.iter().map(|id| self.space.encode(evaluator.point(*id))).collect();
        let learned = |(k, parameter): (usize, &crate::tune::Parameter)| {
            let mut optimizer = Optimizer::new(&parameter.domain);
            for (rank, place) in order.iter().enumerate() {
                let active = evaluator.point(all[*place]).setting(k).is_some();
                optimizer.tell(active.then_some(units[*place][k]), rank as f64);
            }
            optimizer
        };
        self.space.parameters().iter().enumerate().map(learned).collect()
    }
}

/// The crate's optimizer of one parameter, seen from the unit interval.
struct Optimizer {
    tpe: TpeOptimizer<DefaultEstimatorBuilder>,
    /// How many choices there are; `None` for numbers.
    choices: Option<usize>,
}

impl Optimizer {
    fn new(domain: &Domain) -> Self {
        let choices = (!domain.is_numeric()).then(|| domain.levels(1).len());
        let (estimator, range) = match choices {
            None => (parzen_estimator(), range(0.0, 1.0)),
            Some(choices) => (histogram_estimator(), categorical_range(choices)),
        };
        Self { tpe: TpeOptimizer::new(estimator, range.expect("a domain has at least one setting")), choices }
    }

    /// `None` where the parameter was inactive.
    fn tell(&mut self, unit: Option<f64>, value: f64) {
        let below_one = |unit: f64| unit.clamp(0.0, 1.0 - f64::EPSILON);
        let scale = self.choices.map_or(1.0, |choices| choices as f64);
        let parameter = unit.map_or(f64::NAN, |unit| below_one(unit) * scale);
        self.tpe.tell(parameter, value).expect("a rank, and a place below the range's end");
    }

    fn ask(&mut self, rng: &mut ChaCha8Rng) -> f64 {
        let Ok(place) = self.tpe.ask(rng);
        self.choices.map_or(place, |choices| (place + 0.5) / choices as f64)
    }
}

/// The best third of `all`, and each batch with what became of it.
fn best_third(all: &[Id], seen: &[Measured], series: &Series, batches: &[(usize, Spent)]) -> (Vec<Id>, Vec<Rung>) {
    let order = rank::order(seen);
    let keep = all.len().div_ceil(3);
    let mut verdicts = vec![Verdict::RankedOut; all.len()];
    order.iter().take(keep).for_each(|place| verdicts[*place] = Verdict::Kept);
    let visits = visits(all, seen, &order, &verdicts);
    let mut from = 0;
    let rung = |(size, spent): &(usize, Spent)| {
        let visits = visits[from..from + size].to_vec();
        from += size;
        Rung { kind: Kind::Model, series: series.clone(), visits, spent: *spent }
    };
    let rungs = batches.iter().map(rung).collect();
    (order.iter().take(keep).map(|place| all[*place]).collect(), rungs)
}

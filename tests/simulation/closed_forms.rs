//! Simulated queues against their closed forms: each value lies in a 99.9 % interval about the simulated one, whose
//! half-width is at most 1 % of the value (2 % for a 99th percentile).
//!
//! The values are computed to 30 digits from the textbook formulas (Erlang's B and C, M/M/c/K, Erlang-A,
//! Pollaczek-Khinchine; for instance L. Kleinrock, *Queueing Systems* I, Wiley 1975, chapters 3 and 5; Erlang-A: O. Garnett,
//! A. Mandelbaum, M. Reiman, "Designing a call center with impatient customers", MSOM 4:3, 2002). The scenario is the shipped
//! `queue_mmc.toml`, changed as a user would with `--set`.
//!
//! [`SEED`] was fixed before the first run with it; the lengths come from the variances seen in a pilot run with another
//! seed (and were cut once afterwards, for time, by the half-widths seen). Arrivals and, where nobody is lost, the work they bring are *control variates*: their means are known from the
//! input alone, so that what a run deviates because it drew more work than the mean is taken out by regression
//! (S. Lavenberg, P. Welch, "A perspective on the use of control variables", Management Science 27:3, 1981). About half the
//! requests suffice then.
//!
//! The mean wait of M/M/64 varies so much that 1 % takes some 250 million requests (about ten minutes):
//! `cargo test --test simulation -- --ignored mm64`. The quick run holds it to 6 %.

use plimsoll::journal::Tally;
use plimsoll::journal::summary::{Context, VariantBuilder, VariantSummary};
use plimsoll::request::Reason;
use plimsoll::scenario::Scenario;
use plimsoll::sim;
use plimsoll::stats::student_t;

use crate::common::project;

/// Fixed before the first run: the year of Little's proof.
const SEED: u64 = 1961;
const LEVEL: f64 = 0.999;
/// Most replications whose histograms are in memory at once.
const AT_ONCE: u32 = 50;
const WARMUP_S: f64 = 1_200.0;

/// What is compared.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Figure {
    Wait,
    Sojourn,
    SojournP99,
    WaitProbability,
    Blocked,
    Abandoned,
    InSystem,
    InQueue,
}

use Figure::{Abandoned, Blocked, InQueue, InSystem, Sojourn, SojournP99, Wait, WaitProbability};

impl Figure {
    /// Numerator and denominator in one replication.
    fn parts(self, tally: &Tally) -> (f64, f64) {
        let class = &tally.classes[0];
        let window_ns = (tally.window.end - tally.window.start).as_nanos() as f64;
        let offered = class.offered as f64;
        match self {
            Wait => (class.wait.sum as f64 / 1e9, class.wait.count() as f64),
            Sojourn => (class.e2e.sum as f64 / 1e9, class.e2e.count() as f64),
            SojournP99 => (class.e2e.quantile_s(0.99).expect("somebody was served"), 1.0),
            WaitProbability => (class.waited as f64, offered),
            Blocked => (class.rejected[Reason::UpstreamFull as usize] as f64, offered),
            Abandoned => (class.gave_up as f64, offered),
            InSystem => (tally.system_area as f64, window_ns),
            InQueue => (tally.queue_area as f64, window_ns),
        }
    }

    /// What the summary says.
    fn published(self, summary: &VariantSummary) -> f64 {
        let (metrics, run) = (&summary.metrics, &summary.run_metrics);
        let figure = match self {
            Wait => metrics.wait.mean.clone(),
            Sojourn => metrics.e2e.mean.clone(),
            SojournP99 => metrics.e2e.p99_replicated(),
            WaitProbability => metrics.wait_probability.clone(),
            Blocked => metrics.blocked_fraction.clone(),
            Abandoned => metrics.abandon_fraction.clone(),
            InSystem => run.in_system.clone(),
            InQueue => run.queue_len.clone(),
        };
        figure.expect("the run has replications").mean
    }

    /// Largest half-width of the interval, as a share of the value.
    const fn precision(self) -> f64 {
        if matches!(self, SojournP99) { 0.02 } else { 0.01 }
    }
}

/// A queue and what is known of it.
struct Case {
    name: &'static str,
    sets: &'static [&'static str],
    /// Requests a second, servers, mean service 1 s.
    rate: f64,
    servers: f64,
    /// Whether everybody is served, so that the mean utilisation is known beforehand.
    all_served: bool,
    /// Millions of requests.
    requests_m: f64,
    known: &'static [(Figure, f64)],
}

const CASES: [Case; 8] = [
    Case {
        name: "mm1",
        sets: &[],
        rate: 0.8,
        servers: 1.0,
        all_served: true,
        requests_m: 10.0,
        // The third is also mg1's `exponential`.
        known: &[(Sojourn, 5.0), (SojournP99, 23.025_850_929_94), (Wait, 4.0)],
    },
    Case {
        name: "mm8",
        sets: &["upstream.servers=8", "class[0].arrival.rate=7.2"],
        rate: 7.2,
        servers: 8.0,
        all_served: true,
        requests_m: 33.0,
        known: &[(WaitProbability, 0.701_532_990_146), (Wait, 0.876_916_237_683)],
    },
    Case {
        name: "mm8 loss",
        sets: &["upstream.servers=8", "class[0].arrival.rate=7.2", "upstream.places=8"],
        rate: 7.2,
        servers: 8.0,
        all_served: false,
        requests_m: 1.6,
        known: &[(Blocked, 0.190_313_168_664)],
    },
    Case {
        name: "mm64",
        sets: &["upstream.servers=64", "class[0].arrival.rate=60"],
        rate: 60.0,
        servers: 64.0,
        all_served: true,
        requests_m: 7.0,
        known: &[(WaitProbability, 0.506_866_270_976)],
    },
    Case {
        name: "mm8k32",
        sets: &["upstream.servers=8", "class[0].arrival.rate=9", "upstream.places=32"],
        rate: 9.0,
        servers: 8.0,
        all_served: false,
        requests_m: 8.0,
        known: &[
            (Blocked, 0.115_314_731_819),
            (InSystem, 25.059_026_402_8),
            (Sojourn, 3.147_261_932_71),
            (Wait, 2.147_261_932_71),
        ],
    },
    Case {
        name: "mm8 abandon",
        sets: &["upstream.servers=8", "class[0].arrival.rate=9", "class[0].patience={dist='exponential',mean='2s'}"],
        rate: 9.0,
        servers: 8.0,
        all_served: false,
        requests_m: 3.2,
        known: &[(Abandoned, 0.169_596_839_499), (InQueue, 3.052_743_110_99), (WaitProbability, 0.766_499_240_49)],
    },
    Case {
        name: "mg1 deterministic",
        sets: &["upstream.service={dist='fixed',value='1s'}"],
        rate: 0.8,
        servers: 1.0,
        all_served: true,
        requests_m: 5.0,
        known: &[(Wait, 2.0)],
    },
    Case {
        name: "mg1 lognormal",
        sets: &["upstream.service={dist='lognormal',mean='1s',sigma=1}"],
        rate: 0.8,
        servers: 1.0,
        all_served: true,
        requests_m: 17.0,
        known: &[(Wait, 5.436_563_656_92)],
    },
];

/// The wait of M/M/64, for which the quick run is too short.
const MM64_WAIT: f64 = 0.126_716_567_744;
const MM64: usize = 3;

/// One replication's figures and controls (deviations from their known means).
struct Row {
    parts: Vec<(f64, f64)>,
    controls: Vec<f64>,
}

struct Runs {
    rows: Vec<Row>,
    figures: Vec<Figure>,
    summary: VariantSummary,
}

impl Case {
    /// Runs the queue; `requests_m` million requests in replications of a suitable length.
    fn run(&self, requests_m: f64, figures: &[Figure]) -> Runs {
        let replications = 100;
        let window_s = (requests_m * 1e6 / self.rate / f64::from(replications)).ceil();
        let mut sets: Vec<String> = self.sets.iter().map(|&set| set.to_owned()).collect();
        sets.extend([
            format!("run.seed={SEED}"),
            format!("run.warmup='{WARMUP_S}s'"),
            format!("run.duration='{}s'", WARMUP_S + window_s),
        ]);
        let scenario = Scenario::load(&project("scenarios/queue_mmc.toml"), &sets).unwrap_or_else(|wrong| panic!("{wrong}"));
        let prepared = sim::prepare(&scenario).unwrap_or_else(|wrong| panic!("{wrong}"));
        let mut rows = Vec::new();
        let context = Context { classes: vec!["request".to_owned()], ..Context::default() };
        let mut builder = VariantBuilder::new(self.name, &context);
        // World by world instead of `sim::run`, because the replications themselves are looked into.
        for first in (0..replications).step_by(AT_ONCE as usize) {
            for tally in replications_of(&prepared.plans[0], first..first + AT_ONCE) {
                assert_eq!(tally.system_area, tally.residence, "INV-10 ({})", self.name);
                builder.add(&tally);
                let parts = figures.iter().map(|figure| figure.parts(&tally)).collect();
                rows.push(Row { parts, controls: self.controls(&tally, window_s) });
            }
        }
        Runs { rows, figures: figures.to_vec(), summary: builder.finish() }
    }

    fn controls(&self, tally: &Tally, window_s: f64) -> Vec<f64> {
        let expected = self.rate * window_s;
        let mut controls = vec![tally.classes[0].offered as f64 / expected - 1.0];
        if self.all_served {
            controls.push(tally.utilisation * self.servers / self.rate - 1.0);
        }
        controls
    }
}

fn replications_of(plan: &sim::Plan, range: std::ops::Range<u32>) -> Vec<Tally> {
    use rayon::prelude::*;
    range.into_par_iter().map(|replication| sim::World::new(plan, replication, None).run()).collect()
}

impl Runs {
    /// The figure's estimate, and the half-width of its interval.
    fn estimate(&self, figure: Figure) -> (f64, f64) {
        let which = self.figures.iter().position(|other| *other == figure).expect("it was asked for");
        let n = self.rows.len() as f64;
        let below = self.rows.iter().map(|row| row.parts[which].1).sum::<f64>() / n;
        let ratio = self.rows.iter().map(|row| row.parts[which].0).sum::<f64>() / n / below;
        let published = figure.published(&self.summary);
        assert!((published / ratio - 1.0).abs() < 1e-9, "the summary says {published} of {figure:?}, the runs {ratio}");
        // Each replication stands for its linearised ratio (Cochran 1977, eq. 6.13).
        let values: Vec<f64> =
            self.rows.iter().map(|row| ratio + (row.parts[which].0 - ratio * row.parts[which].1) / below).collect();
        let controls: Vec<&[f64]> = self.rows.iter().map(|row| row.controls.as_slice()).collect();
        intercept(&values, &controls)
    }

    /// Little's law: the number in system is the rate of those served times their sojourn. Over a finite window the two
    /// differ by who crosses its ends only.
    fn littles_law(&self, rate: f64) {
        let served = self.summary.counts.completed() as f64 / self.summary.window_s;
        let sojourn = Figure::Sojourn.published(&self.summary);
        let in_system = Figure::InSystem.published(&self.summary);
        assert!((served * sojourn / in_system - 1.0).abs() < 2e-3, "L = {in_system}, but lambda W = {}", served * sojourn);
        assert!(served < 1.01 * rate);
    }
}

/// Least squares of `values` on a constant and the controls: the constant, and the half-width of its t-interval.
fn intercept(values: &[f64], controls: &[&[f64]]) -> (f64, f64) {
    // Columns made orthogonal one after the other, the constant last: its coefficient is then the intercept (Frisch-Waugh).
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let columns = controls[0].len();
    let mut residual = values.to_vec();
    let mut constant = vec![1.0; values.len()];
    for column in 0..columns {
        let mut next: Vec<f64> = controls.iter().map(|row| row[column]).collect();
        for done in &basis {
            remove(&mut next, done);
        }
        remove(&mut residual, &next);
        remove(&mut constant, &next);
        basis.push(next);
    }
    let length = dot(&constant, &constant);
    let estimate = dot(&residual, &constant) / length;
    let left: f64 = residual.iter().zip(&constant).map(|(r, c)| (r - estimate * c).powi(2)).sum();
    let freedom = values.len() - columns - 1;
    (estimate, student_t(LEVEL, freedom) * (left / freedom as f64 / length).sqrt())
}

fn remove(from: &mut [f64], along: &[f64]) {
    let share = dot(from, along) / dot(along, along);
    from.iter_mut().zip(along).for_each(|(x, a)| *x -= share * a);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What is wrong with one figure, if anything; prints it either way.
fn judge(runs: &Runs, name: &str, figure: Figure, known: f64, precision: f64) -> Option<String> {
    let (estimate, half) = runs.estimate(figure);
    let said =
        format!("{name} {figure:?}: {known} known, {estimate:.6} +- {half:.6} ({:.2} %) simulated", 100.0 * half / known);
    println!("{said}");
    ((estimate - known).abs() > half || half > precision * known).then_some(said)
}

#[test]
fn every_value_lies_in_its_interval() {
    let (mut consumed, mut wrong) = (0, Vec::new());
    for (index, case) in CASES.iter().enumerate() {
        let mut figures: Vec<Figure> = case.known.iter().map(|known| known.0).collect();
        if index == MM64 {
            figures.push(Wait);
        }
        let runs = case.run(case.requests_m, &figures);
        for &(figure, known) in case.known {
            wrong.extend(judge(&runs, case.name, figure, known, figure.precision()));
            consumed += 1;
        }
        if index == MM64 {
            wrong.extend(judge(&runs, case.name, Wait, MM64_WAIT, 0.06));
            consumed += 1;
        }
        if case.name != "mm8 abandon" {
            runs.littles_law(case.rate);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // 3 + 3 + 2 + 4 + 3 + 3, of which M/M/1's wait is listed twice.
    assert_eq!(consumed, 18 - 1);
}

/// The quick run's other half: see above.
#[test]
#[ignore = "ten minutes: cargo test --test simulation -- --ignored mm64"]
fn mm64_waits_as_long_as_it_should() {
    let runs = CASES[MM64].run(250.0, &[Wait, WaitProbability]);
    assert_eq!(judge(&runs, "mm64", Wait, MM64_WAIT, 0.01), None);
}

/// y = 3 + 2 x, exactly: the control explains everything, wherever its mean was seen.
#[test]
fn a_perfect_control_leaves_no_doubt() {
    let controls = [[1.0], [2.0], [4.0], [5.0]];
    let values: Vec<f64> = controls.iter().map(|[x]| 3.0 + 2.0 * x).collect();
    let rows: Vec<&[f64]> = controls.iter().map(<[f64; 1]>::as_slice).collect();
    let (estimate, half) = intercept(&values, &rows);
    assert!((estimate - 3.0).abs() < 1e-12 && half < 1e-9, "{estimate} +- {half}");
}

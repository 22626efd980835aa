//! What "load 1.0" is: the completions a second of a closed loop with the scenario's own mix of requests.
//!
//! The loop has no think time, no timeouts, no policies and no bounds on the upstream's own queue (a client that is refused at
//! once and asks again at once would measure nothing but refusals); its population is the upstream's own parallelism
//! (`max_num_seqs`, servers) or the gateway's slots. It is measured once, and is the same for all variants.

use std::sync::Arc;

use super::{Plan, World};
use crate::journal::{ClassTally, Window};
use crate::policy::Settings;
use crate::scenario::LoadOf;
use crate::stats::Replicated;
use crate::time::Time;
use crate::units::{Count, NonNegative, Positive};
use crate::upstream::UpstreamModel;
use crate::workload::{ArrivalSettings, ClassSettings, RateSettings, SourceSettings};

/// Independent measurements behind the interval.
const REPLICATIONS: u32 = 5;
/// A measurement counts at least this many completions, and this many for each member of the population.
const COMPLETIONS_MIN: u64 = 2_000;
const TURNS_MIN: u64 = 20;
/// The first try at a horizon; it doubles until enough has been completed, up to the last.
const HORIZON_FIRST_S: u64 = 30;
const HORIZON_LAST_S: u64 = 30 * 24 * 3_600;
/// Before it come shorter ones, which are taken only where they hold this many times enough: of an upstream so fast, seconds
/// would be billions of requests.
const HORIZONS_SHORT_NS: [u64; 3] = [1_000, 1_000_000, 1_000_000_000];
const PLENTY: u64 = 50;
/// Share of the horizon that is warm-up: a fifth.
const WARMUP_PARTS: u64 = 5;

/// Load 1.0, as measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Requests a second, over independent measurements.
    pub rps: Replicated,
    /// Whose parallelism the closed loop's population is.
    pub of: LoadOf,
    /// How many requests the closed loop held in flight.
    pub population: u32,
}

/// Measures load 1.0 of `upstream` for this mix of requests; `None` where it serves none of them (prompts that do not fit).
#[must_use]
pub fn measure(
    upstream: &UpstreamModel,
    workload: &SourceSettings,
    of: LoadOf,
    population: Count,
    seed: u64,
) -> Option<Capacity> {
    let enough = COMPLETIONS_MIN.max(TURNS_MIN * u64::from(population.value()));
    let short = HORIZONS_SHORT_NS.map(|ns| (ns, PLENTY * enough));
    let long = std::iter::successors(Some(HORIZON_FIRST_S), |secs| (*secs < HORIZON_LAST_S).then_some(2 * secs));
    let horizons = short.into_iter().chain(long.map(|secs| (secs * 1_000_000_000, enough))).map(|(ns, enough)| {
        let plan = closed_loop(upstream, workload, population, seed, Time::from_nanos(ns));
        let turns = Turns::of(&plan, 0);
        (plan, turns, turns.arrivals >= enough || turns.halted)
    });
    let mut last = None;
    for (plan, first, is_enough) in horizons {
        last = Some((plan, first));
        if is_enough {
            break;
        }
    }
    let (plan, first) = last.expect("there is at least one horizon");
    if first.completions == 0 {
        return None;
    }
    let measured_s = (plan.window.end - plan.window.start).as_secs_f64();
    let turns = std::iter::once(first).chain((1..REPLICATIONS).map(|replication| Turns::of(&plan, replication)));
    let rps = Replicated::of_means(turns.map(|turns| turns.completions as f64 / measured_s).collect());
    Some(Capacity { rps: rps.expect("there is at least one measurement"), of, population: population.value() })
}

/// What one measurement counts.
#[derive(Copy, Clone)]
struct Turns {
    arrivals: u64,
    completions: u64,
    /// Time stood still: all are refused at once, and no longer horizon would change that.
    halted: bool,
}

impl Turns {
    /// Without think time every arrival after the first round stands for the end of the one before: a completion, unless the
    /// upstream could not serve it.
    fn of(plan: &Plan, replication: u32) -> Self {
        let tally = World::new(plan, replication, None).run();
        let sum = |of: fn(&ClassTally) -> u64| tally.classes.iter().map(of).sum::<u64>();
        let arrivals = sum(|class| class.offered);
        let completions = arrivals - sum(|class| class.failed.iter().sum());
        Self { arrivals, completions, halted: tally.halted.is_some() }
    }
}

fn closed_loop(upstream: &UpstreamModel, workload: &SourceSettings, clients: Count, seed: u64, end: Time) -> Plan {
    let start = Time::from_nanos(end.as_nanos() / WARMUP_PARTS);
    let mut workload = workload.clone();
    for class in &mut workload.classes {
        class.weight = mean_rate(class);
        class.arrival = None;
        class.timeout = None;
        class.retry = None;
        class.patience = None;
    }
    workload.arrival = Some(ArrivalSettings::ClosedLoop { clients, think: None });
    workload.end = end - Time::ZERO;
    let window = Window { start, end, drained: end };
    let (name, policy) = ("load 1.0".to_owned(), Settings::default());
    Plan { name, policy, upstream: upstream.unbounded(), workload: Arc::new(workload), window, seed }
}

/// The class's share of the mix: its own arrivals' rate, or its weight in the shared ones.
fn mean_rate(class: &ClassSettings) -> NonNegative {
    let stated = |rate: &RateSettings| rate.rate.or(rate.load).map_or(1.0, Positive::value);
    let rate = match &class.arrival {
        None => class.weight.value(),
        Some(ArrivalSettings::OnOff { on_rate, off_rate, mean_on, mean_off }) => {
            let (on, off) = (mean_on.as_secs_f64(), mean_off.as_secs_f64());
            (on_rate.value() * on + off_rate.value() * off) / (on + off)
        }
        Some(ArrivalSettings::ClosedLoop { clients, .. }) => f64::from(clients.value()),
        Some(arrival) => arrival.rate().map_or(1.0, stated),
    };
    NonNegative::new(rate).unwrap_or(class.weight)
}

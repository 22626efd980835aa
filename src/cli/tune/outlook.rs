//! What a search will run, as far as that can be told before anything runs.

use serde::Serialize;

use super::Arguments;
use super::scenes::Place;
use crate::report::format::{count, duration, wrap};
use crate::scenario::lint::offered_rps;
use crate::scenario::{RobustBy, TuneMethod, TuneSettings};
use crate::tune::{self, Around, Case, GRID_MAX, Task};
use crate::workload::Rows;

/// What `plimsoll tune` would run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// How candidates are found and become few.
    method: TuneMethod,
    /// How many there are before the current settings join them; `None` where a model proposes them as it goes.
    candidates: Option<u64>,
    /// Parameters.
    parameters: usize,
    /// Futures that count; each simulation of the search is a run in all of them.
    futures: usize,
    /// Futures that nothing is chosen by.
    held_out: usize,
    /// Simulations of the search at most, those for each future's own best included.
    search: u64,
    /// Runs of one future at most of what is looked at beside it.
    beside: u64,
    /// All runs of one future at most.
    runs: u64,
    /// Simulated time of one simulation, seconds.
    simulated_s: f64,
    /// Requests of one simulation without retries, of rates as stated; `None` where they are not.
    requests: Option<f64>,
}

/// The search of `task` in `places`, whose first one's variant `variant` is tuned.
pub(super) fn outlook(
    arguments: &Arguments,
    settings: &TuneSettings,
    task: &Task,
    (places, variant): (&[Place], usize),
) -> Outlook {
    let counting: Vec<usize> = (0..places.len()).filter(|i| !places[*i].held_out).collect();
    let (futures, held_out) = (Case::all(&counting, settings.robust.as_ref()).len(), places.len() - counting.len());
    let by_regret = futures > 1 && settings.robust.as_ref().is_some_and(|robust| robust.by == RobustBy::Regret);
    let budget = u64::from(settings.simulations.value());
    let candidates = match settings.method {
        TuneMethod::Halving | TuneMethod::Sobol => Some(u64::from(settings.candidates.value())),
        TuneMethod::Grid => Some(task.space.grid_size(settings.levels.value() as usize, GRID_MAX)),
        TuneMethod::Model => None,
    };
    let Place { scenario, given, .. } = &places[0];
    let tuned = &scenario.variants[variant];
    let simulated_s = scenario.run.duration.as_secs_f64();
    let known = given.iter().map(|(_, rows)| match rows {
        Rows::List(rows) => rows.len(),
        Rows::Stream(_) => 0,
    });
    let recorded: usize = known.sum();
    let stated = || offered_rps(tuned).map(|rates| rates.iter().sum::<f64>() * simulated_s);
    let asked = task.settings(settings, &[scenario], scenario.run.seed);
    let around = Around { replications: arguments.around, rows: arguments.sensitivity };
    let has_speed = tuned.upstream.speed().is_some();
    let beside = tune::beside_most(&task.space, &asked, around, (futures, held_out), has_speed);
    // By regret each future is searched alone first, and its best settings are run on whatever the candidates meet.
    let each = if by_regret { 3 } else { 1 };
    Outlook {
        method: settings.method,
        candidates,
        parameters: task.space.dimensions(),
        futures,
        held_out,
        search: budget * if by_regret { 1 + futures as u64 } else { 1 },
        beside,
        runs: each * budget * futures as u64 + beside,
        simulated_s,
        requests: if recorded > 0 { Some(recorded as f64) } else { stated() },
    }
}

impl Outlook {
    /// In words.
    pub fn text(&self) -> String {
        let method = match self.method {
            TuneMethod::Halving => "successive halving",
            TuneMethod::Grid => "a full grid",
            TuneMethod::Sobol => "Sobol points",
            TuneMethod::Model => "a model's proposals",
        };
        let candidates = self.candidates.map_or(String::new(), |n| format!(" of {} candidates", count(n)));
        let runs = if self.futures > 1 { format!(", each a run in {} futures", self.futures) } else { String::new() };
        let held_out = if self.held_out > 0 { format!(", {} held out", self.held_out) } else { String::new() };
        let parameters =
            if self.parameters == 1 { "1 parameter".to_owned() } else { format!("{} parameters", self.parameters) };
        let requests = self.requests.map_or(String::new(), |each| {
            let all = each * self.runs as f64;
            format!(", about {} requests each without retries, {} in all", count(whole(each)), count(whole(all)))
        });
        wrap(&format!(
            "tune: {method}{candidates} over {parameters}, {} simulations at most{runs}{held_out}; then up to {} runs beside the choice, {} runs in all. \
             A simulation is {} of simulated time{requests}.",
            count(self.search),
            count(self.beside),
            count(self.runs),
            duration(self.simulated_s)
        ))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative; `as` saturates
fn whole(x: f64) -> u64 {
    x.round() as u64
}

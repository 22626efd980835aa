//! What the calibrated model says of a run: the same arrivals, or the same closed loop, at every speed that the machine may
//! have.

use std::sync::Arc;

use rayon::prelude::*;
use serde_json::json;

use super::select::Test;
use crate::calibrate::{Calibration, Figure, Figures, Forecast, Grade, KvCache, Run, grade, middle_of, of_parts};
use crate::cli::progress::Progress;
use crate::journal::{ClassTally, Tally, Window};
use crate::latency::Latency;
use crate::policy::Settings;
use crate::sim::{Plan, World};
use crate::stats::Interval;
use crate::time::{Span, Time};
use crate::units::Count;
use crate::upstream::{UpstreamModel, VllmModel};
use crate::workload::{ArrivalSettings, ClassSettings, Recorded, SourceSettings};

/// Predicts runs.
pub(super) struct Predictor<'a> {
    /// As it was calibrated, its spread of speed included.
    pub model: &'a VllmModel,
    pub calibration: &'a Calibration,
    pub kv: KvCache,
    pub seed: u64,
    pub speeds: u32,
    pub progress: &'a Progress,
}

/// What one simulation says.
struct Seen {
    class: ClassTally,
    /// From the first request that counts to the last completion, seconds.
    span_s: f64,
}

impl Predictor<'_> {
    pub(super) fn grade(&self, test: &Test, fitted: bool) -> Grade {
        // A fitted run's pace is in the fit, and so is most of that of a run whose end alone is held out.
        let pace = if fitted || !test.is_whole() { None } else { self.calibration.pace(&test.run, self.kv) };
        grade(&test.counted(), &self.forecast(test, pace), fitted)
    }

    /// The speeds are equally likely ones: the medians of as many parts of the spread.
    fn forecast(&self, test: &Test, pace: Option<f64>) -> Forecast {
        let plan = self.plan(test);
        let sigma = self.model.speed_sigma;
        let speed = |i: u32| libm::exp(sigma * middle_of(i, self.speeds));
        let at_speed = |speed: f64, replication: u32| {
            let model = VllmModel { speed, speed_sigma: 0.0, ..self.model.clone() };
            let plan = Plan { upstream: UpstreamModel::Vllm(Box::new(model)), ..plan.clone() };
            seen(&World::new(&plan, replication, None).run(), test.from_s)
        };
        let one = |i: u32| {
            let seen = at_speed(speed(i), i);
            self.progress.step();
            seen
        };
        let all: Vec<Seen> = (0..self.speeds).into_par_iter().map(one).collect();
        let at_pace = pace.map(|pace| (pace, figures(&[at_speed(1.0 / pace, 0)])));
        let each: Vec<Figures> = all.iter().map(|seen| figures(std::slice::from_ref(seen))).collect();
        let band = |figure: Figure| {
            let values: Vec<f64> = each.iter().filter_map(|figures| figures.of(figure)).collect();
            Some(Interval { lo: of_parts(&values, 0.025)?, hi: of_parts(&values, 0.975)? })
        };
        let amplification = if sigma > 0.0 { amplification(&each, &speed) } else { None };
        Forecast { figures: figures(&all), bands: Figure::ALL.map(band), at_pace, amplification }
    }

    fn plan(&self, test: &Test) -> Plan {
        let run = &test.run;
        let last_s = run.served.last().map_or(0.0, |one| one.arrival_s);
        let end = Time::ZERO + Span::from_secs_f64(last_s + 1e-3);
        let window = Window {
            start: Time::ZERO + Span::from_secs_f64(test.from_s),
            end,
            drained: end + (end - Time::ZERO) + Span::from_secs(60),
        };
        Plan {
            name: run.name.clone(),
            policy: Settings::default(),
            upstream: UpstreamModel::Vllm(Box::new(self.model.clone())),
            workload: Arc::new(workload(run, end - Time::ZERO)),
            window,
            seed: self.seed,
        }
    }
}

/// The run's clients: its arrivals as recorded, or its closed loop with lengths drawn from its own.
fn workload(run: &Run, end: Span) -> SourceSettings {
    let file = run.name.clone();
    let mut class = json!({ "name": "request", "max_tokens": u32::MAX });
    // Whoever left for another reason is simulated as if served; the grade says how many they are.
    for (which, patience_s) in [("first_token", run.patience_s()), ("total", run.patience_in_all_s())] {
        if let Some(patience_s) = patience_s {
            class["timeout"][which] = json!(format!("{patience_s}s"));
        }
    }
    let pairs: Arc<[(u32, u32)]> = run.served.iter().map(|one| (one.prompt, one.output)).collect();
    let row = |one: &crate::calibrate::Served| Recorded {
        at: Time::ZERO + Span::from_secs_f64(one.arrival_s),
        input_tokens: one.prompt,
        output_tokens: one.output,
        class: 0,
        tenant: 0,
        prefix: None,
    };
    let rows: Arc<[Recorded]> = run.served.iter().map(row).collect();
    let clients = run.closed_loop().and_then(Count::new);
    if clients.is_some() {
        class["lengths"] = json!(file);
    }
    let arrival = match clients {
        Some(clients) => ArrivalSettings::ClosedLoop { clients, think: None },
        None => ArrivalSettings::Recorded { file: file.clone() },
    };
    let class: ClassSettings = serde_json::from_value(class).expect("a class with a name, a limit and a timeout");
    SourceSettings {
        arrival: Some(arrival),
        classes: vec![class],
        recorded: vec![(file.clone(), rows.into())],
        pairs: vec![(file, pairs)],
        capacity_rps: None,
        service: None,
        entity_streams: true,
        end,
    }
}

fn seen(tally: &Tally, from_s: f64) -> Seen {
    let last = tally.series.completed.iter().rposition(|count| *count > 0);
    // In the middle of its bin, which is a thousandth of the run.
    let last_s = last.map_or(0.0, |bin| (bin as f64 + 0.5) * tally.series.bin.as_secs_f64());
    Seen { class: tally.classes[0].clone(), span_s: (last_s - from_s).max(0.0) }
}

/// One of a class's latencies.
type LatencyOf = fn(&ClassTally) -> &Latency;

fn figures(all: &[Seen]) -> Figures {
    let mut figures = Figures::default();
    let sum = |of: fn(&ClassTally) -> u64| all.iter().map(|seen| of(&seen.class)).sum::<u64>() as f64;
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    let completed = sum(ClassTally::completed);
    figures.set(Figure::Completed, share(completed, sum(|class| class.offered)));
    figures.set(Figure::WastedPrefill, share(sum(|class| class.wasted_prefill_tokens), sum(|class| class.prefill_tokens)));
    figures.set(Figure::Rate, share(completed, all.iter().map(|seen| seen.span_s).sum()));
    let latencies: [(LatencyOf, Figure, Figure); 3] = [
        (|class| &class.ttft, Figure::TtftP50, Figure::TtftP90),
        (|class| &class.tpot, Figure::TpotP50, Figure::TpotP90),
        (|class| &class.e2e, Figure::E2eP50, Figure::E2eP90),
    ];
    for (of, p50, p90) in latencies {
        let mut pooled = Latency::new();
        for seen in all {
            pooled.merge(of(&seen.class));
        }
        figures.set(p50, pooled.quantile_s(0.5));
        figures.set(p90, pooled.quantile_s(0.9));
    }
    figures
}

/// By how many percent the time to first token grows where the server is one percent slower, from one standard deviation
/// faster to one slower.
fn amplification(each: &[Figures], speed: &impl Fn(u32) -> f64) -> Option<f64> {
    let last = u32::try_from(each.len().checked_sub(1)?).ok()?;
    // One standard deviation from the median: 15.9 % of the speeds lie beyond.
    let slow = (f64::from(last + 1) * 0.159).floor().max(0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a part of a u32
    let (slow, fast) = (slow as u32, last - slow as u32);
    let of = |figure: Figure| {
        let at = |i: u32| each[i as usize].of(figure).filter(|value| *value > 0.0);
        let speeds = libm::log(speed(fast) / speed(slow));
        (speeds > 0.0).then_some(libm::log(at(slow)? / at(fast)?) / speeds)
    };
    [Figure::TtftP50, Figure::TtftP90].into_iter().filter_map(of).reduce(f64::max)
}

//! From a scenario to plans: files read, presets filled in, loads turned into rates, the warm-up found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Capacity, Plan, load, runner};
use crate::dist::TokenDist;
use crate::journal::summary::{Context, Label, Spike, label, warm_up};
use crate::journal::{Series, Window};
use crate::policy::Settings;
use crate::scenario::{Diagnostics, LoadOf, REQUESTS_MAX, Scenario, StreamsOf, Variant, Warmup};
use crate::time::{Span, Time};
use crate::trace::{self, Fates, NameId, Trace};
use crate::units::Count;
use crate::upstream::UpstreamModel;
use crate::workload::{ArrivalSettings, RateSettings, Recorded, Rows, SourceSettings};

/// Replications that MSER-5 looks at.
const PILOTS: u32 = 5;

/// A scenario, ready to run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// One for each variant, the baseline first.
    pub plans: Vec<Plan>,
    /// Load 1.0, where it could be measured.
    pub capacity: Option<Capacity>,
    /// What the summary needs to know.
    pub context: Context,
    /// What a person should be told about the preparation.
    pub remarks: Vec<String>,
}

/// Recordings that need not be read, by file name as the scenario has it.
pub type Given = [(String, Rows)];

/// Resolves everything in a scenario.
///
/// # Errors
/// What is wrong, at the setting that is to blame: a file that cannot be read, a class that a trace does not know, a model
/// that does not add up.
pub fn prepare(scenario: &Scenario) -> Result<Prepared, Diagnostics> {
    prepare_given(scenario, &[])
}

/// The same with recordings that somebody has opened already.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_given(scenario: &Scenario, given: &Given) -> Result<Prepared, Diagnostics> {
    let mut files = Files::new(scenario, given);
    let mut parts = Vec::new();
    for (index, variant) in scenario.variants.iter().enumerate() {
        parts.push((files.model(index, variant)?, files.workload(index, variant)?, &variant.policy, variant.name.clone()));
    }
    parts.rotate_left(scenario.baseline());
    let capacity = capacity(scenario, &parts[0].0, &parts[0].1);
    let rps = capacity.as_ref().map(|capacity| capacity.rps.mean);
    check_loads(scenario, rps)?;
    let window = Window {
        start: Time::ZERO,
        end: Time::ZERO + scenario.run.duration,
        drained: Time::ZERO + scenario.run.duration + scenario.drain(),
    };
    let plan = |(upstream, workload, policy, name): (UpstreamModel, SourceSettings, &Settings, String)| {
        let workload = Arc::new(SourceSettings { capacity_rps: rps, ..workload });
        Plan { name, policy: policy.clone(), upstream, workload, window, seed: scenario.run.seed }
    };
    let plans: Vec<Plan> = parts.into_iter().map(plan).collect();
    let baseline = &scenario.variants[scenario.baseline()];
    let context = Context {
        classes: baseline.classes.iter().map(|class| class.name.clone()).collect(),
        capacity_rps: rps,
        spikes: spikes(baseline, window.end),
        lightest: lightest(baseline),
        detailed: false,
    };
    let remarks = floor_remark(&plans).into_iter().chain(not_validated(scenario)).chain(files.remarks).collect();
    let mut prepared = Prepared { plans, capacity, context, remarks };
    cut_warmup(scenario, &mut prepared);
    Ok(prepared)
}

/// The plan of variant number `index` with other settings, `candidate`, in an otherwise prepared scenario: load 1.0, warm-up
/// and window stay as they were. What is unchanged is not read again.
///
/// # Errors
/// As [`prepare`].
pub fn replan(scenario: &Scenario, prepared: &Prepared, index: usize, candidate: &Variant) -> Result<Plan, Diagnostics> {
    let of = &scenario.variants[index];
    let old = prepared.plans.iter().find(|plan| plan.name == of.name).expect("every variant has a plan");
    let given = &old.workload.recorded;
    let mut files = Files::new(scenario, given);
    let same_load = (&candidate.arrival, &candidate.classes) == (&of.arrival, &of.classes);
    let upstream =
        if candidate.upstream == of.upstream && same_load { old.upstream.clone() } else { files.model(index, candidate)? };
    let workload = if same_load && candidate.upstream.service() == of.upstream.service() {
        Arc::clone(&old.workload)
    } else {
        let workload = files.workload(index, candidate)?;
        Arc::new(SourceSettings { capacity_rps: old.workload.capacity_rps, ..workload })
    };
    Ok(Plan { policy: candidate.policy.clone(), upstream, workload, ..old.clone() })
}

/// A word of caution where a preset is the physical floor of its hardware, unslowed.
fn floor_remark(plans: &[Plan]) -> Vec<String> {
    let on_the_floor = plans.iter().any(|plan| plan.upstream.is_physical_floor());
    let remark = "The server is its hardware's physical floor: a real one is slower, and its limits lie lower. Try --set \
                  upstream.speed=0.5, or state the costs of your own.";
    on_the_floor.then(|| remark.to_owned()).into_iter().collect()
}

/// Which servers' calibrations were not validated by what was held out, and why, each once.
#[must_use]
pub fn not_validated(scenario: &Scenario) -> Vec<String> {
    let reasons = scenario.variants.iter().filter_map(|variant| variant.upstream.not_validated());
    let distinct: BTreeSet<&str> = reasons.collect();
    distinct.into_iter().map(|reason| format!("Not validated by the server's calibration: {reason}.")).collect()
}

/// Reads what a scenario names, files and presets, without measuring or running anything.
///
/// # Errors
/// As [`prepare`].
pub fn inspect(scenario: &Scenario) -> Result<(), Diagnostics> {
    inspect_given(scenario, &[])
}

/// The same with recordings that somebody has opened already.
///
/// # Errors
/// As [`prepare`].
pub fn inspect_given(scenario: &Scenario, given: &Given) -> Result<(), Diagnostics> {
    let mut files = Files::new(scenario, given);
    for (index, variant) in scenario.variants.iter().enumerate() {
        files.model(index, variant)?;
        files.workload(index, variant)?;
    }
    Ok(())
}

/// Upstream and workload of variant number `index`, without measuring or running anything: what a server needs that is made of
/// a scenario. Loads stay shares of an unknown load 1.0.
///
/// # Errors
/// As [`prepare`].
pub fn parts(scenario: &Scenario, index: usize) -> Result<(UpstreamModel, SourceSettings), Diagnostics> {
    let mut files = Files::new(scenario, &[]);
    let variant = &scenario.variants[index];
    Ok((files.model(index, variant)?, files.workload(index, variant)?))
}

/// Makes sure that `candidate`, which has other settings than variant number `index` and the same requests, makes a model.
/// Nothing is measured or run.
///
/// # Errors
/// As [`prepare`].
pub fn inspect_model(scenario: &Scenario, index: usize, candidate: &Variant) -> Result<(), Diagnostics> {
    Files::new(scenario, &[]).model(index, candidate).map(drop)
}

/// Reads each file once.
struct Files<'a> {
    scenario: &'a Scenario,
    given: &'a Given,
    traces: BTreeMap<PathBuf, Arc<Trace>>,
    /// What a person should be told of them.
    remarks: BTreeSet<String>,
}

impl<'a> Files<'a> {
    fn new(scenario: &'a Scenario, given: &'a Given) -> Self {
        Self { scenario, given, traces: BTreeMap::new(), remarks: BTreeSet::new() }
    }

    fn model(&self, index: usize, variant: &Variant) -> Result<UpstreamModel, Diagnostics> {
        let model = UpstreamModel::resolve(&variant.upstream)
            .map_err(|error| self.scenario.diagnose(index, "upstream", error.to_string(), None))?;
        let context = model.context();
        for (class, settings) in variant.classes.iter().enumerate() {
            let mean = settings.input.as_ref().map_or(1.0, TokenDist::mean);
            if mean >= f64::from(context) {
                let message = format!("prompts of {mean} tokens do not fit into the model's context of {context} tokens");
                let help = "shorten the prompts, or raise `upstream.max_model_len` (and the KV cache, `num_gpu_blocks`)";
                return Err(self.scenario.diagnose(index, &format!("class[{class}].input"), message, Some(help.to_owned())));
            }
        }
        Ok(model)
    }

    fn workload(&mut self, index: usize, variant: &Variant) -> Result<SourceSettings, Diagnostics> {
        let mut recorded = Vec::new();
        let mut pairs = Vec::new();
        let shared = variant.arrival.iter().map(|arrival| ("arrival.file".to_owned(), arrival, None));
        let own = variant.classes.iter().enumerate().filter_map(|(class, settings)| {
            settings.arrival.as_ref().map(|arrival| (format!("class[{class}].arrival.file"), arrival, Some(class)))
        });
        for (path, arrival, class) in shared.chain(own) {
            if let ArrivalSettings::Recorded { file } = arrival {
                recorded.push((file.clone(), self.rows(index, variant, &path, file, class)?));
            }
        }
        for (class, settings) in variant.classes.iter().enumerate() {
            if let Some(file) = &settings.lengths {
                let path = format!("class[{class}].lengths");
                let read = trace::read_lengths(&self.resolve(file));
                let read = read.map_err(|error| self.blame(index, &path, error.to_string()))?;
                pairs.push((file.clone(), read.into()));
            }
        }
        let settings = SourceSettings {
            arrival: variant.arrival.clone(),
            classes: variant.classes.clone(),
            recorded,
            pairs,
            capacity_rps: None,
            service: variant.upstream.service().cloned(),
            entity_streams: self.scenario.run.streams == StreamsOf::Entity,
            end: self.scenario.run.duration,
        };
        // Loads are looked at once load 1.0 is known; until then any capacity stands for it.
        let complete = SourceSettings { capacity_rps: Some(1.0), ..settings.clone() };
        complete.check().map_err(|wrong| self.blame(index, &wrong.path, wrong.problem.to_string()))?;
        Ok(settings)
    }

    /// The rows of a recorded list; `class` is the class whose own arrivals they are.
    fn rows(
        &mut self,
        index: usize,
        variant: &Variant,
        path: &str,
        file: &str,
        class: Option<usize>,
    ) -> Result<Rows, Diagnostics> {
        if let Some((_, rows)) = self.given.iter().find(|(name, _)| name == file) {
            return Ok(rows.clone());
        }
        let resolved = self.resolve(file);
        let trace = if let Some(trace) = self.traces.get(&resolved) {
            Arc::clone(trace)
        } else {
            let read = trace::read(&resolved).map_err(|error| self.blame(index, path, error.to_string()))?;
            Arc::clone(self.traces.entry(resolved).or_insert(Arc::new(read)))
        };
        let mut classes = Vec::new();
        for name in &trace.classes {
            match variant.classes.iter().position(|class| class.name == *name) {
                Some(position) => classes.push(position),
                None if class.is_some() => classes.push(0), // the rows all belong to the class that names the file
                None => {
                    let known: Vec<&str> = variant.classes.iter().map(|class| class.name.as_str()).collect();
                    let message = format!(
                        "{file} has rows of class `{name}`, which the scenario does not know (it has {})",
                        known.join(", ")
                    );
                    return Err(self.blame(index, path, message));
                }
            }
        }
        let class_of = |of: Option<NameId>| class.unwrap_or_else(|| of.map_or(0, |of| classes[of.index()]));
        let row = |record: &trace::Record| {
            let (input_tokens, output_tokens) = record.lengths()?;
            let class = u16::try_from(class_of(record.class)).expect("a scenario has fewer than 65,536 classes");
            Some(Recorded { at: record.arrival, input_tokens, output_tokens, class, ..Recorded::default() })
        };
        self.remarks.extend(left_out(file, &trace.fates));
        Ok(Rows::List(trace.records.iter().filter_map(row).collect()))
    }

    fn resolve(&self, name: &str) -> PathBuf {
        let files = self.scenario.files();
        files.into_iter().find(|file| file.name == name).map_or_else(|| PathBuf::from(name), |file| file.resolved)
    }

    fn blame(&self, variant: usize, path: &str, message: String) -> Diagnostics {
        self.scenario.diagnose(variant, path, message, None)
    }
}

/// A word on rows of a recording that do not arrive.
fn left_out(file: &str, fates: &Fates) -> Option<String> {
    let reasons = fates.dropped.iter().map(|(reason, lost)| format!("{}: {}", reason.name(), lost.count));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    (fates.lost() > 0).then(|| {
        format!(
            "{file}: {} of {} recorded requests are left out ({reasons}), so that less arrives than was recorded; `plimsoll trace convert` \
             gives lengths to those that have none.",
            fates.lost(),
            fates.rows()
        )
    })
}

/// Load 1.0 of the baseline; `None` where arrivals are recorded, whose lengths are the recording's own, where nothing that
/// arrives can be served, and for a metered API, whose limits no closed loop measures.
fn capacity(scenario: &Scenario, upstream: &UpstreamModel, workload: &SourceSettings) -> Option<Capacity> {
    if !workload.recorded.is_empty() {
        return None;
    }
    let places = upstream.parallelism()?;
    let population = match scenario.run.load_of {
        LoadOf::Upstream => places,
        LoadOf::Slots => scenario.variants.iter().find_map(Variant::slots).and_then(Count::new)?,
    };
    load::measure(upstream, workload, scenario.run.load_of, population, scenario.run.seed)
}

/// What the scenario's own check cannot see: how many requests a share of the measured capacity comes to.
fn check_loads(scenario: &Scenario, rps: Option<f64>) -> Result<(), Diagnostics> {
    for (index, variant) in scenario.variants.iter().enumerate() {
        for (path, arrival) in variant.arrivals() {
            let Some(load) = arrival.rate().and_then(|rate| rate.load) else { continue };
            let Some(rps) = rps else {
                let message = "a `load` is a share of load 1.0, which cannot be measured here".to_owned();
                let why = "the baseline's arrivals are recorded, or the upstream can serve none of its requests: give a `rate`";
                return Err(scenario.diagnose(index, &format!("{path}.load"), message, Some(why.to_owned())));
            };
            let requests = load.value() * rps * scenario.run.duration.as_secs_f64();
            if requests > REQUESTS_MAX {
                let message = format!("variant `{}` would send {requests:.3e} requests in one replication", variant.name);
                let help = format!("load 1.0 is {rps:.3} requests a second here; at most {REQUESTS_MAX:.0e} requests");
                return Err(scenario.diagnose(index, &format!("{path}.load"), message, Some(help)));
            }
        }
    }
    Ok(())
}

/// The class whose answers are the shortest on average, of those that are never grounded and state a length.
fn lightest(variant: &Variant) -> Option<usize> {
    let ungrounded =
        variant.classes.iter().enumerate().filter(|(_, class)| class.grounded.is_none_or(|share| share.value() <= 0.0));
    let means = ungrounded.filter_map(|(index, class)| Some((index, class.output.as_ref()?.mean())));
    means.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
}

/// The spikes of all arrivals, in order of time.
fn spikes(variant: &Variant, end: Time) -> Vec<Spike> {
    let arrivals = variant.arrival.iter().chain(variant.classes.iter().filter_map(|class| class.arrival.as_ref()));
    let rates = arrivals.filter_map(ArrivalSettings::rate);
    let mut spikes: Vec<Spike> = rates.flat_map(spikes_of).filter(|spike| spike.end < end).collect();
    spikes.sort_by_key(|spike| (spike.start, spike.end));
    spikes.dedup();
    spikes
}

fn spikes_of(rate: &RateSettings) -> impl Iterator<Item = Spike> {
    rate.spikes.iter().map(|spike| {
        let start = Time::ZERO + spike.at;
        Spike { start, end: start + spike.lasting }
    })
}

/// Sets the end of the warm-up: the stated time, or what MSER-5 finds in a pilot of the baseline.
fn cut_warmup(scenario: &Scenario, prepared: &mut Prepared) {
    let lasting = match scenario.run.warmup {
        Warmup::Time(span) => span,
        Warmup::Mser5 => pilot(prepared, scenario.run.replications.value()),
    };
    for plan in &mut prepared.plans {
        plan.window.start = Time::ZERO + lasting;
    }
}

/// The longest warm-up that any variant needs. Where a variant does not settle, nothing is cut: an overload's transient is
/// what is measured.
fn pilot(prepared: &mut Prepared, replications: u32) -> Span {
    let mut longest = Span::ZERO;
    for (plan, tallies) in prepared.plans.iter().zip(runner::run_all(&prepared.plans, replications.min(PILOTS))) {
        let series: Vec<&Series> = tallies.iter().map(|tally| &tally.series).collect();
        let stable =
            tallies.iter().all(|tally| label(&tally.series, &tally.window, prepared.context.capacity_rps).0 == Label::Stable);
        match warm_up(&series, plan.window.end) {
            Some(found) if found.settled && stable => longest = longest.max(found.lasting),
            _ => {
                prepared
                    .remarks
                    .push(format!("warm-up: \"{}\" does not settle, so nothing is cut from any variant", plan.name));
                return Span::ZERO;
            }
        }
    }
    prepared.remarks.push(format!("warm-up: MSER-5 cuts the first {:.1} s", longest.as_secs_f64()));
    longest
}

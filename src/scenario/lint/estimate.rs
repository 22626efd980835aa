//! What a variant's upstream can do, by arithmetic: the seam between the lints and the upstream models.

use crate::dist::Dist;
use crate::scenario::Variant;
use crate::scenario::variant::rate_of;
use crate::units::{Count, Positive};
use crate::upstream::{CostSettings, Picos, UpstreamSettings, VllmSettings};
use crate::workload::{ArrivalSettings, ClassSettings};

/// Service as an upstream gives it when `parallel` requests are in it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct ServiceEstimate {
    /// Requests served at once.
    pub parallel: f64,
    /// Mean time of one request in service, seconds.
    pub mean_s: f64,
    /// Requests a second when all are busy.
    pub capacity_rps: f64,
    /// Whether this is the definition (a station) rather than an approximation (a vLLM server's step cost).
    pub exact: bool,
}

/// What the upstream does with at most `limit` requests at once (`None`: as many as it takes); `None` where the scenario
/// does not say enough.
#[must_use]
pub fn service_estimate(variant: &Variant, limit: Option<u32>) -> Option<ServiceEstimate> {
    match &variant.upstream {
        UpstreamSettings::Station(station) => {
            let servers = station.servers.value();
            let parallel = f64::from(limit.map_or(servers, |limit| limit.min(servers)));
            let mean_s = station.service.mean();
            (mean_s > 0.0).then(|| ServiceEstimate { parallel, mean_s, capacity_rps: parallel / mean_s, exact: true })
        }
        UpstreamSettings::Vllm(vllm) => vllm_estimate(vllm, &variant.classes, limit),
    }
}

/// The mean step when `n` requests of I prompt and O answer tokens are always running: each of O steps of a request's life
/// decodes n sequences, carries n/O prompts, and attends to I + O/2 tokens of each:
/// `t0 + min(1, n/O) t0p + n I/O tp + n td + n (I + O/2) tk`. A request takes O such steps.
fn vllm_estimate(vllm: &VllmSettings, classes: &[ClassSettings], limit: Option<u32>) -> Option<ServiceEstimate> {
    let cost = vllm.cost.filter(|_| vllm.preset.is_none())?;
    let (input, output) = mean_lengths(classes)?;
    let replicas = f64::from(vllm.replicas.map_or(1, Count::value));
    let running = seats(vllm, input, output)?.min(limit.map_or(f64::INFINITY, |limit| f64::from(limit) / replicas));
    let mean_s = output * step_s(&cost, running, input, output) / vllm.speed.map_or(1.0, Positive::value);
    let parallel = running * replicas;
    (mean_s > 0.0).then(|| ServiceEstimate { parallel, mean_s, capacity_rps: parallel / mean_s, exact: false })
}

fn step_s(cost: &CostSettings, running: f64, input: f64, output: f64) -> f64 {
    let seconds = |picos: Option<Picos>| picos.map_or(0.0, Picos::as_secs_f64);
    let prompts = running / output;
    let tokens = running * (input + output / 2.0);
    seconds(cost.t0)
        + prompts.min(1.0) * seconds(cost.t0p)
        + prompts * input * seconds(cost.tp)
        + running * seconds(cost.td)
        + tokens * seconds(cost.tk)
}

/// Requests that run at once on one server: `max_num_seqs`, or fewer where the KV cache holds fewer.
fn seats(vllm: &VllmSettings, input: f64, output: f64) -> Option<f64> {
    const BLOCK_SIZE: u32 = 16;
    let block = f64::from(vllm.block_size.map_or(BLOCK_SIZE, Count::value));
    let in_cache = vllm.num_gpu_blocks.map(|blocks| f64::from(blocks.value()) * block / (input + output / 2.0));
    let seqs = vllm.max_num_seqs.map(|seqs| f64::from(seqs.value()));
    seqs.into_iter().chain(in_cache).reduce(f64::min).map(|seats| seats.max(1.0))
}

/// Mean prompt and answer, tokens, over the classes by their share of the load (by weight where that is unknown).
fn mean_lengths(classes: &[ClassSettings]) -> Option<(f64, f64)> {
    let rates: Option<Vec<f64>> = classes.iter().map(|class| class.arrival.as_ref().and_then(mean_rate)).collect();
    let shares = rates.unwrap_or_else(|| classes.iter().map(|class| class.weight.value()).collect());
    let total: f64 = shares.iter().sum();
    let mut mean = (0.0, 0.0);
    for (class, share) in classes.iter().zip(&shares).filter(|(_, share)| **share > 0.0) {
        if class.lengths.is_some() {
            return None;
        }
        let length = |dist: &Option<crate::dist::TokenDist>| dist.as_ref().map_or(1.0, Dist::mean).max(1.0);
        mean.0 += share / total * length(&class.input);
        mean.1 += share / total * length(&class.output).min(f64::from(class.max_tokens.value()));
    }
    (total > 0.0).then_some(mean)
}

/// Requests a second that all classes offer together, each class's with its path; `None` where any of them is not a
/// stated rate.
#[must_use]
pub fn offered_rps(variant: &Variant) -> Option<Vec<f64>> {
    let sharing: f64 = variant.classes.iter().filter(|class| class.arrival.is_none()).map(|class| class.weight.value()).sum();
    let shared = variant.arrival.as_ref().map(mean_rate);
    let rate = |class: &ClassSettings| match &class.arrival {
        Some(own) => mean_rate(own),
        None => shared.flatten().map(|rate| rate * class.weight.value() / sharing),
    };
    variant.classes.iter().map(rate).collect()
}

/// The stated rate (without its changes over time), or the mean of an on/off process.
fn mean_rate(arrival: &ArrivalSettings) -> Option<f64> {
    if let ArrivalSettings::OnOff { on_rate, off_rate, mean_on, mean_off } = arrival {
        let (on, off) = (mean_on.as_secs_f64(), mean_off.as_secs_f64());
        return Some((on_rate.value() * on + off_rate.value() * off) / (on + off));
    }
    rate_of(arrival)?.rate.map(Positive::value)
}

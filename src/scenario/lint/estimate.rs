//! What a variant's upstream can do, by arithmetic: the seam between the lints and the upstream models.

use crate::dist::Dist;
use crate::scenario::Variant;
use crate::units::Positive;
use crate::upstream::{Picos, UpstreamSettings, VllmModel, VllmSettings};
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
        UpstreamSettings::TokenApi(_) => None,
    }
}

/// What the estimate needs of a vLLM server, times in seconds.
struct Figures {
    cost: [f64; 5],
    host_step: f64,
    host_token: f64,
    max_num_seqs: f64,
    kv_tokens: f64,
    replicas: f64,
    speed: f64,
}

/// The server's figures, preset and all.
fn figures(vllm: &VllmSettings) -> Option<Figures> {
    let model = VllmModel::resolve(vllm).ok()?;
    let seconds = |picos: u64| Picos(picos).as_secs_f64();
    let (cost, host) = (model.cost, model.host);
    Some(Figures {
        cost: [cost.t0, cost.t0p, cost.tp, cost.td, cost.tk].map(seconds),
        host_step: seconds(host.step),
        host_token: seconds(host.token),
        max_num_seqs: f64::from(model.max_num_seqs),
        kv_tokens: f64::from(model.usable_blocks()) * f64::from(model.block_size),
        replicas: f64::from(model.replicas),
        speed: model.speed,
    })
}

/// n requests of I prompt and O answer tokens always running, as many as seats and KV cache hold: a request takes O steps.
fn vllm_estimate(vllm: &VllmSettings, classes: &[ClassSettings], limit: Option<u32>) -> Option<ServiceEstimate> {
    let (input, output) = mean_lengths(classes)?;
    let server = figures(vllm)?;
    let seats = server.max_num_seqs.min(server.kv_tokens / (input + output / 2.0));
    let running = seats.min(limit.map_or(f64::INFINITY, |limit| f64::from(limit) / server.replicas)).max(1.0);
    let mean_s = output * server.interval_s(running, input, output) / server.speed;
    let parallel = limit.map_or(f64::INFINITY, f64::from).min(running * server.replicas);
    (mean_s > 0.0).then(|| ServiceEstimate { parallel, mean_s, capacity_rps: parallel / mean_s, exact: false })
}

impl Figures {
    /// From step to step: the host forms one, then step and the last one's tokens go side by side. Each step decodes n
    /// sequences, carries n/O prompts, and attends to I + O/2 tokens of each:
    /// `t0 + min(1, n/O) t0p + n I/O tp + n td + n (I + O/2) tk`.
    fn interval_s(&self, running: f64, input: f64, output: f64) -> f64 {
        let [t0, t0p, tp, td, tk] = self.cost;
        let prompts = running / output;
        let step = t0 + prompts.min(1.0) * t0p + prompts * input * tp + running * (td + (input + output / 2.0) * tk);
        self.host_step + step.max(running * self.host_token)
    }
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
    arrival.rate()?.rate.map(Positive::value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn vllm(more: &str) -> Variant {
        let text = format!(
            "schema = 1\narrival = {{ process = 'poisson', rate = 5 }}\n{more}\n[upstream]\nkind = 'vllm'\nmax_num_seqs = 10\n\
             num_gpu_blocks = 1000\ncost = {{ t0 = '10ms', t0p = '20ms', tp = '100us', td = '1ms', tk = '10us' }}\n\
             [[class]]\nname = 'a'\ninput = {{ dist = 'fixed', value = 200 }}\noutput = {{ dist = 'fixed', value = 100 }}\n"
        );
        Scenario::parse("a.toml", &text, &[]).unwrap().variants.remove(0)
    }

    #[test]
    fn a_vllm_server_is_estimated_by_its_mean_step() {
        // 10 running: 10 + 0.1 * 20 + 0.1 * 200 * 0.1 + 10 * 1 + 10 * 250 * 0.01 ms = 49 ms a step, 100 steps a request.
        let estimate = service_estimate(&vllm(""), None).unwrap();
        assert!((estimate.mean_s - 4.9).abs() < 1e-9 && (estimate.capacity_rps - 10.0 / 4.9).abs() < 1e-9, "{estimate:?}");
        // 2 running: 10 + 0.02 * 20 + 0.02 * 200 * 0.1 + 2 + 2 * 250 * 0.01 ms = 17.8 ms.
        let estimate = service_estimate(&vllm("policy.concurrency.max_concurrent_requests = 2"), Some(2)).unwrap();
        assert!((estimate.mean_s - 1.78).abs() < 1e-9 && (estimate.parallel - 2.0).abs() < 1e-12, "{estimate:?}");
    }

    #[test]
    fn rates_are_shared_by_weight() {
        let class = "[[class]]\nname = 'NAME'\nweight = WEIGHT\n";
        let classes = class.replace("NAME", "a").replace("WEIGHT", "1") + &class.replace("NAME", "b").replace("WEIGHT", "3");
        let text = format!(
            "schema = 1\narrival = {{ process = 'on_off', on_rate = 6, off_rate = 2, mean_on = '1s', mean_off = '3s' }}\n\
             upstream = {{ kind = 'station', servers = 1, service = {{ dist = 'fixed', value = '1s' }} }}\n{classes}"
        );
        let scenario = Scenario::parse("a.toml", &text, &[]).unwrap();
        assert_eq!(offered_rps(&scenario.variants[0]), Some(vec![0.75, 2.25]));
    }
}

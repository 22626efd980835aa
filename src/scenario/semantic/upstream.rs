//! The upstream.

use super::Report;
use super::class::dist;
use crate::scenario::variant::Variant;
use crate::upstream::{StationSettings, UpstreamSettings, VllmSettings};

pub(super) fn check(variant: &Variant, report: &mut Report<'_>) {
    match &variant.upstream {
        UpstreamSettings::Station(station) => check_station(station, report),
        UpstreamSettings::Vllm(vllm) => check_vllm(vllm, report),
    }
}

fn check_station(station: &StationSettings, report: &mut Report<'_>) {
    dist("upstream.service", Some(&station.service), report);
    if let Some(places) = station.places
        && places < station.servers
    {
        let (places, servers) = (places.value(), station.servers.value());
        let message = format!("`places` {places} is below `servers` {servers}: some servers could never be used");
        report.error("upstream.places", message, format!("places count the servers too: write at least {servers}"));
    }
}

fn check_vllm(vllm: &VllmSettings, report: &mut Report<'_>) {
    if vllm.preset.is_none() {
        let missing: Vec<&str> = [("cost", vllm.cost.is_none()), ("num_gpu_blocks", vllm.num_gpu_blocks.is_none())]
            .iter()
            .filter_map(|(key, missing)| missing.then_some(*key))
            .collect();
        if !missing.is_empty() {
            let message = format!("a vLLM server without `preset` needs `{}`", missing.join("` and `"));
            report.error("upstream", message, "name a `preset`, or state the step cost and the KV blocks of your server");
        }
    }
    if let (Some(tokens), Some(seqs)) = (vllm.max_num_batched_tokens, vllm.max_num_seqs)
        && tokens < seqs
    {
        let message = format!("`max_num_batched_tokens` {} is below `max_num_seqs` {}", tokens.value(), seqs.value());
        let help = "every running sequence needs a token of each step: vLLM refuses to start like this";
        report.error("upstream.max_num_batched_tokens", message, help);
    }
}

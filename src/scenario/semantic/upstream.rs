//! The upstream.

use super::class::dist;
use super::{Report, token_api};
use crate::scenario::variant::Variant;
use crate::upstream::{ModelError, StationSettings, UpstreamSettings, VllmModel, VllmSettings};

pub(super) fn check(variant: &Variant, report: &mut Report<'_>) {
    match &variant.upstream {
        UpstreamSettings::Station(station) => check_station(station, report),
        UpstreamSettings::Vllm(vllm) => check_vllm(vllm, report),
        UpstreamSettings::TokenApi(api) => token_api::check(api, variant, report),
    }
}

fn check_station(station: &StationSettings, report: &mut Report<'_>) {
    dist("upstream.service", Some(&station.service), report);
    report.limit("upstream.servers", "servers", station.servers.value().into());
    if let Some(places) = station.places
        && places < station.servers
    {
        let (places, servers) = (places.value(), station.servers.value());
        let message = format!("`places` {places} is below `servers` {servers}: some servers could never be used");
        report.error("upstream.places", message, format!("places count the servers too: write at least {servers}"));
    }
}

fn check_vllm(vllm: &VllmSettings, report: &mut Report<'_>) {
    let wrong = match VllmModel::resolve(vllm) {
        Ok(model) => {
            let seats = u64::from(model.replicas) * u64::from(model.max_num_seqs);
            return report.limit("upstream.replicas", "places of all replicas", seats);
        }
        Err(wrong) => wrong,
    };
    let (path, help) = match &wrong {
        ModelError::UnknownPreset { .. } => ("upstream.preset", "or leave it out and state `cost` and `num_gpu_blocks`"),
        ModelError::Missing(_) => ("upstream", "name a `preset`, or state the step cost and the KV blocks of your server"),
        ModelError::BatchTooSmall { .. } => (
            "upstream.max_num_batched_tokens",
            "every running sequence needs a token of each step: vLLM refuses to start like this",
        ),
        ModelError::TooFewBlocks | ModelError::TooManyTokens => {
            ("upstream.num_gpu_blocks", "vLLM's log says `num_gpu_blocks` at start")
        }
        ModelError::BlockTooLarge(_) => ("upstream.block_size", "vLLM's default is 16"),
        ModelError::NoTime => ("upstream.cost.t0", "write a time above 0"),
        ModelError::TooLong { .. } => {
            ("upstream.cost", "check the units of the costs, or lower `max_num_seqs` and `max_model_len`")
        }
        ModelError::NoDataSheet => ("upstream.gpu_memory_utilization", "take it away, or set `num_gpu_blocks`"),
        ModelError::NoMemory(_) => ("upstream.gpu_memory_utilization", "raise it, or set `num_gpu_blocks`"),
    };
    report.error(path, wrong.to_string(), help);
}

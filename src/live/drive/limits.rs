//! What a vLLM server tells of its own size: its KV cache, and what a step may hold.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;
use tokio::time::timeout;

use super::probe::get;
use super::way::Way;

/// Longest wait for an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Where vLLM tells its whole configuration, if it was started for developers (`VLLM_SERVER_DEV_MODE=1`).
const INFO: &str = "/server_info";
const METRICS: &str = "/metrics";

/// A figure, and where the server tells it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it is.
    pub value: u32,
    /// The path that was asked.
    pub from: &'static str,
}

/// What a server tells of its size, under the names of vLLM's own flags; `None` where it does not.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Blocks of its KV cache.
    pub num_gpu_blocks: Option<Told>,
    /// Tokens in a block.
    pub block_size: Option<Told>,
    /// Sequences in a step.
    pub max_num_seqs: Option<Told>,
    /// Tokens in a step.
    pub max_num_batched_tokens: Option<Told>,
    /// Prompt and answer together, tokens.
    pub max_model_len: Option<Told>,
}

/// Asks the server that `way` leads to.
pub async fn read_limits(way: &Way) -> Limits {
    let info = text(way, "/server_info?config_format=json").await.map_or(Limits::default(), |text| of_info(&text));
    let metrics = text(way, METRICS).await.map_or(Limits::default(), |text| of_metrics(&text));
    Limits {
        num_gpu_blocks: metrics.num_gpu_blocks.or(info.num_gpu_blocks),
        block_size: metrics.block_size.or(info.block_size),
        ..info
    }
}

async fn text(way: &Way, path: &str) -> Option<String> {
    let (status, body) = timeout(WITHIN, get(way, path)).await.ok()?.ok()?;
    (status == StatusCode::OK).then(|| String::from_utf8_lossy(&body).into_owned())
}

/// The labels of `vllm:cache_config_info`; of several engines the first one's.
fn of_metrics(text: &str) -> Limits {
    let line = text.lines().find(|line| line.starts_with("vllm:cache_config_info{")).unwrap_or_default();
    let label = |name: &str| {
        let (before, after) = line.split_once(&format!("{name}=\""))?;
        // Not the end of a longer name.
        let value = before.ends_with(['{', ',']).then(|| after.split('"').next())??;
        Some(Told { value: value.parse().ok().filter(|value| *value > 0)?, from: METRICS })
    };
    Limits { num_gpu_blocks: label("num_gpu_blocks"), block_size: label("block_size"), ..Limits::default() }
}

fn of_info(text: &str) -> Limits {
    let Ok(info) = serde_json::from_str::<Value>(text) else { return Limits::default() };
    let told = |name: &str| {
        let value = find(&info, name)?;
        Some(Told { value, from: INFO })
    };
    Limits {
        num_gpu_blocks: told("num_gpu_blocks"),
        block_size: told("block_size"),
        max_num_seqs: told("max_num_seqs"),
        max_num_batched_tokens: told("max_num_batched_tokens"),
        max_model_len: told("max_model_len"),
    }
}

/// The first whole number of this name, however deep: versions differ in where it stands.
fn find(value: &Value, name: &str) -> Option<u32> {
    match value {
        Value::Object(members) => {
            let here = members.get(name).and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
            here.filter(|value| *value > 0).or_else(|| members.values().find_map(|member| find(member, name)))
        }
        Value::Array(all) => all.iter().find_map(|one| find(one, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_where_they_are_told() {
        let line = "vllm:cache_config_info{block_size=\"128\",cache_dtype=\"auto\",engine=\"0\",hash_block_size=\"7\",num_gpu_blocks=\"2048\",\
                    num_gpu_blocks_override=\"None\"} 1.0\n";
        let told = of_metrics(&format!("# TYPE vllm:cache_config_info gauge\n{line}"));
        let value = |told: Option<Told>| told.map(|told| told.value);
        assert_eq!((value(told.num_gpu_blocks), value(told.block_size), told.max_num_seqs), (Some(2048), Some(128), None));
        assert_eq!(of_metrics("vllm:cache_config_info{hash_block_size=\"7\",num_gpu_blocks=\"None\"} 1\n"), Limits::default());
        let info = r#"{"vllm_config": {"a": [1, {"scheduler_config": {"max_num_seqs": 16, "max_num_batched_tokens": 1024}}], "cache_config": {"num_gpu_blocks": null}}}"#;
        let told = of_info(info);
        assert_eq!((value(told.max_num_seqs), value(told.max_num_batched_tokens)), (Some(16), Some(1024)));
        assert_eq!((told.num_gpu_blocks, of_info("<html>")), (None, Limits::default()));
    }
}

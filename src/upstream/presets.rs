//! Named servers, each from published figures or from a measured run.
//!
//! A *roofline* preset is the physical floor of its costs: every factor at the peak of the data sheet, no overhead, and an
//! efficiency of 1. A real server is slower; calibration against a log or a running server says by how much.

use super::model::{Cost, Host, ModelError, VllmModel};
use super::{Picos, Routing};

/// vLLM's default block size.
pub(super) const BLOCK_SIZE: u32 = 16;

/// Share of the GPU's memory that vLLM takes where nothing is said.
pub(super) const GPU_MEMORY_UTILIZATION: f64 = 0.9;

/// Memory for activations, CUDA graphs and the CUDA context, bytes: an allowance of ours, not a measurement. Where there is
/// a server, its log says `num_gpu_blocks`.
pub const RESERVE_BYTES: f64 = 2e9;

/// A language model's card.
#[derive(Clone, Debug, PartialEq)]
pub struct Llm {
    /// Parameters.
    pub parameters: f64,
    /// Layers.
    pub layers: u32,
    /// Key-value heads.
    pub kv_heads: u32,
    /// Dimension of a head.
    pub head_dim: u32,
    /// Bytes of a weight and of a KV element.
    pub dtype_bytes: u32,
    /// Longest context, tokens.
    pub max_model_len: u32,
}

impl Llm {
    /// Bytes of the weights.
    #[must_use]
    pub fn weight_bytes(&self) -> f64 {
        self.parameters * f64::from(self.dtype_bytes)
    }

    /// Bytes of keys and values of one token.
    #[must_use]
    pub fn kv_bytes(&self) -> f64 {
        2.0 * f64::from(self.layers) * f64::from(self.kv_heads) * f64::from(self.head_dim) * f64::from(self.dtype_bytes)
    }
}

/// A GPU's data sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpu {
    /// Peak dense BF16 FLOP/s.
    pub flops: f64,
    /// Memory bandwidth, bytes/s.
    pub bandwidth: f64,
    /// Memory, bytes.
    pub memory: f64,
    /// vLLM's default `max_num_seqs` on it, for the API server.
    pub max_num_seqs: u32,
    /// vLLM's default `max_num_batched_tokens` on it, for the API server.
    pub max_num_batched_tokens: u32,
}

/// Llama 3.1 8B. Its `config.json`: 32 layers, 8 key-value heads of dimension 128 (hidden size 4096 over 32 heads), bfloat16,
/// 131,072 positions. Parameters, counted from there (vocabulary 128,256, intermediate size 14,336, untied embeddings): 8,030,261,248.
pub const LLAMA_3_1_8B: Llm =
    Llm { parameters: 8_030_261_248.0, layers: 32, kv_heads: 8, head_dim: 128, dtype_bytes: 2, max_model_len: 131_072 };

/// NVIDIA H100 SXM5 80 GB. Data sheet: BF16 1,979 TFLOPS with sparsity, so 989.5 dense; 3.35 TB/s; 80 GB. vLLM's defaults for GPUs
/// of at least 70 GiB other than the A100 (`get_batch_defaults` in `vllm/engine/arg_utils.py`).
pub const H100: Gpu =
    Gpu { flops: 989.5e12, bandwidth: 3.35e12, memory: 80e9, max_num_seqs: 1024, max_num_batched_tokens: 8192 };

/// NVIDIA A100 SXM4 80 GB. Data sheet: BF16 312 TFLOPS dense; 2,039 GB/s; 80 GB. vLLM's defaults for it (the same place).
pub const A100: Gpu = Gpu { flops: 312e12, bandwidth: 2.039e12, memory: 80e9, max_num_seqs: 256, max_num_batched_tokens: 2048 };

/// A named server.
#[derive(Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Where its figures come from.
    pub source: &'static str,
    build: fn() -> VllmModel,
}

/// All presets.
pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "llama-3.1-8b-h100",
        source: "roofline (physical floor) of Llama 3.1 8B's config.json on NVIDIA's H100 SXM data sheet, vLLM's defaults for it",
        build: || on_gpu(&LLAMA_3_1_8B, &H100),
    },
    Preset {
        name: "llama-3.1-8b-a100",
        source: "roofline (physical floor) of Llama 3.1 8B's config.json on NVIDIA's A100 80 GB SXM data sheet, vLLM's defaults for it",
        build: || on_gpu(&LLAMA_3_1_8B, &A100),
    },
    Preset {
        name: "cpu-16m",
        source: "fitted to measured closed-loop runs of vLLM 0.32.0 on a 2-core CPU with a model of 16 M parameters",
        build: cpu_16m,
    },
];

/// The preset of that name.
pub(super) fn find(name: &str) -> Result<VllmModel, ModelError> {
    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) {
        return Ok((preset.build)());
    }
    let likeness = |preset: &Preset| strsim::jaro_winkler(name, preset.name);
    let nearest = PRESETS.iter().filter(|preset| likeness(preset) > 0.7).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let known = PRESETS.each_ref().map(|preset| format!("`{}`", preset.name)).join(", ");
    Err(ModelError::UnknownPreset { name: name.to_owned(), nearest: nearest.map(|preset| preset.name), known })
}

/// The floor of the step costs: every step reads the weights once; every token, of a prompt or an answer, takes two
/// operations for each parameter; attention reads the keys and values of each token attended to.
#[must_use]
pub fn roofline(llm: &Llm, gpu: &Gpu) -> Cost {
    let token = picos(2.0 * llm.parameters / gpu.flops);
    Cost {
        t0: picos(llm.weight_bytes() / gpu.bandwidth),
        t0p: 0,
        tp: token,
        td: token,
        tk: picos(llm.kv_bytes() / gpu.bandwidth),
    }
}

fn picos(secs: f64) -> u64 {
    Picos::from_secs_f64(secs).map_or(Picos::MAX.0, |picos| picos.0)
}

/// KV blocks that fit beside the weights and [`RESERVE_BYTES`] into `utilization` of the memory.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates: too little is 0
pub fn kv_blocks(llm: &Llm, gpu: &Gpu, utilization: f64, block_size: u32) -> u32 {
    let bytes = gpu.memory * utilization - llm.weight_bytes() - RESERVE_BYTES;
    (bytes / (llm.kv_bytes() * f64::from(block_size))) as u32
}

fn on_gpu(llm: &Llm, gpu: &Gpu) -> VllmModel {
    VllmModel {
        cost: roofline(llm, gpu),
        host: Host::default(),
        max_num_seqs: gpu.max_num_seqs,
        max_num_batched_tokens: gpu.max_num_batched_tokens,
        max_model_len: llm.max_model_len,
        num_gpu_blocks: kv_blocks(llm, gpu, GPU_MEMORY_UTILIZATION, BLOCK_SIZE),
        block_size: BLOCK_SIZE,
        enable_prefix_caching: true,
        max_num_queued_reqs: None,
        max_num_queued_tokens: None,
        speed: 1.0,
        speed_sigma: 0.0,
        replicas: 1,
        routing: Routing::RoundRobin,
        hardware: Some((llm.clone(), gpu.clone())),
    }
}

/// Step costs: non-negative least squares on the closed-loop steps (a sequence attends to what the log's KV use says). The
/// host: 3.5 ms is what passed between steps in the closed-loop mixes at full batch (run cap16 3.4, run ctx16 3.6 ms); the way in
/// and out is what is left of the time to first token of one short request at a time (run d1: 29.5 ms, less a step of 20.7 ms
/// and the scheduler's job before and after it). The runs do not tell in from out, or work from delay, on that way.
fn cpu_16m() -> VllmModel {
    VllmModel {
        cost: Cost { t0: 13_900_000_000, t0p: 1_280_000_000, tp: 168_000_000, td: 113_000_000, tk: 656_238 },
        host: Host { step: 3_500_000_000, delay_in: 1_500_000_000, delay_out: 500_000_000, ..Host::default() },
        max_num_seqs: 16,
        max_num_batched_tokens: 1024,
        max_model_len: 2048,
        num_gpu_blocks: 262_144 / BLOCK_SIZE,
        block_size: BLOCK_SIZE,
        enable_prefix_caching: false,
        max_num_queued_reqs: None,
        max_num_queued_tokens: None,
        speed: 1.0,
        speed_sigma: 0.0,
        replicas: 1,
        routing: Routing::RoundRobin,
        hardware: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Count;
    use crate::upstream::{CostSettings, VllmSettings};

    fn preset(name: &str) -> VllmSettings {
        VllmSettings { preset: Some(name.into()), ..VllmSettings::default() }
    }

    #[test]
    fn every_preset_resolves_and_beats_no_physics() {
        for known in &PRESETS {
            let model = VllmModel::resolve(&preset(known.name)).expect("a preset is complete");
            assert_eq!(model.floor_violations(), [], "{}", known.name);
        }
    }

    /// By hand: 16.06 GB at 3.35 TB/s, 16.06 GFLOP at 989.5 TFLOP/s, 131,072 bytes at 3.35 TB/s, (72 - 16.06 - 2) GB in blocks of 2 MiB.
    #[test]
    fn the_h100_preset_is_its_roofline() {
        let model = VllmModel::resolve(&preset("llama-3.1-8b-h100")).expect("a preset is complete");
        assert_eq!(model.cost, Cost { t0: 4_794_185_820, t0p: 0, tp: 16_230_947, td: 16_230_947, tk: 39_126 });
        assert_eq!(model.num_gpu_blocks, 25_720);
        assert_eq!((model.max_num_seqs, model.max_num_batched_tokens), (1024, 8192));
    }

    #[test]
    fn a_cost_below_the_floor_is_reported() {
        let cost = CostSettings { tp: Picos::from_secs_f64(1e-6), ..CostSettings::default() };
        let model =
            VllmModel::resolve(&VllmSettings { cost: Some(cost), ..preset("llama-3.1-8b-a100") }).expect("it is complete");
        let found = model.floor_violations();
        assert_eq!(found.iter().map(|violation| violation.cost).collect::<Vec<_>>(), ["tp"]);
        assert!(found[0].is_s < found[0].floor_s);
        // The preset is the floor itself, so that any greater speed is below it.
        let faster = VllmModel { speed: 1.1, ..VllmModel::resolve(&preset("llama-3.1-8b-a100")).expect("it is complete") };
        assert_eq!(faster.floor_violations().len(), 4);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = VllmModel::resolve(&preset("llama-3.1-8b-h200")).unwrap_err().to_string();
        assert!(error.contains("did you mean `llama-3.1-8b-h100`") && error.contains("`cpu-16m`"), "{error}");
        assert_eq!(VllmModel::resolve(&VllmSettings::default()), Err(ModelError::Missing("num_gpu_blocks")));
        let small = VllmSettings { max_num_batched_tokens: Count::new(8), ..preset("cpu-16m") };
        assert_eq!(VllmModel::resolve(&small), Err(ModelError::BatchTooSmall { tokens: 8, seqs: 16 }));
        let one = VllmSettings { num_gpu_blocks: Count::new(1), ..preset("cpu-16m") };
        assert_eq!(VllmModel::resolve(&one), Err(ModelError::TooFewBlocks));
        let share = crate::units::Fraction::new(0.2);
        let full = VllmSettings { gpu_memory_utilization: share, ..preset("llama-3.1-8b-h100") };
        assert_eq!(VllmModel::resolve(&full), Err(ModelError::NoMemory(0.2)));
        let none = VllmSettings { gpu_memory_utilization: share, ..preset("cpu-16m") };
        assert_eq!(VllmModel::resolve(&none), Err(ModelError::NoDataSheet));
        let cost = CostSettings { tk: Picos::from_secs_f64(1.0), ..CostSettings::default() };
        let long = VllmSettings { cost: Some(cost), ..preset("cpu-16m") };
        assert!(matches!(VllmModel::resolve(&long), Err(ModelError::TooLong { .. })));
    }
}

//! A vLLM server's numbers, complete: a preset and what the scenario changes of it.

use super::presets::{self, Gpu, Llm};
use super::{CostSettings, HostSettings, Picos, Routing, VllmSettings};

/// Cost of a step, picoseconds: `t0 + t0p*[any prefill] + tp*prefill_tokens + td*decoding_seqs + tk*kv_tokens_attended`, where
/// each scheduled sequence attends to all its tokens in the KV cache, those of the step included.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Every step; at least 1.
    pub t0: u64,
    /// A step with any prefill, on top.
    pub t0p: u64,
    /// Each prompt token computed.
    pub tp: u64,
    /// Each decoding sequence.
    pub td: u64,
    /// Each KV token attended to.
    pub tk: u64,
}

impl Cost {
    /// The cost of one step.
    #[must_use]
    pub const fn of(&self, prefill_tokens: u32, decoding: u32, kv_tokens: u64) -> u64 {
        let prefill = if prefill_tokens > 0 { self.t0p + self.tp * prefill_tokens as u64 } else { 0 };
        self.t0 + prefill + self.td * decoding as u64 + self.tk * kv_tokens
    }

    /// The costs of a server `speed` times as fast, to the picosecond.
    #[must_use]
    pub fn at_speed(&self, speed: f64) -> Self {
        let [t0, t0p, tp, td, tk] = [self.t0, self.t0p, self.tp, self.td, self.tk].map(|cost| divided(cost, speed));
        Self { t0: t0.max(1), t0p, tp, td, tk }
    }

    fn overlay(&mut self, over: &CostSettings) {
        set(&mut self.t0, over.t0);
        set(&mut self.t0p, over.t0p);
        set(&mut self.tp, over.tp);
        set(&mut self.td, over.td);
        set(&mut self.tk, over.tk);
    }
}

/// The host's work and the delays around it, picoseconds ([`HostSettings`] has the meaning of each).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Taking in a request.
    pub request: u64,
    /// Taking in a cancellation.
    pub cancel: u64,
    /// Before each step.
    pub step: u64,
    /// Each token out.
    pub token: u64,
    /// On the way in.
    pub delay_in: u64,
    /// On the way out.
    pub delay_out: u64,
}

impl Host {
    /// The costs of a server `speed` times as fast, to the picosecond.
    #[must_use]
    pub fn at_speed(&self, speed: f64) -> Self {
        let [request, cancel, step, token, delay_in, delay_out] =
            [self.request, self.cancel, self.step, self.token, self.delay_in, self.delay_out].map(|cost| divided(cost, speed));
        Self { request, cancel, step, token, delay_in, delay_out }
    }

    fn overlay(&mut self, over: &HostSettings) {
        set(&mut self.request, over.request);
        set(&mut self.cancel, over.cancel);
        set(&mut self.step, over.step);
        set(&mut self.token, over.token);
        set(&mut self.delay_in, over.delay_in);
        set(&mut self.delay_out, over.delay_out);
    }
}

fn set(cost: &mut u64, over: Option<Picos>) {
    if let Some(over) = over {
        *cost = over.0;
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // costs are below 2^53 ps; too slow a speed saturates at an hour
fn divided(cost: u64, speed: f64) -> u64 {
    (libm::round(cost as f64 / speed) as u64).min(Picos::MAX.0)
}

/// A complete vLLM server (or several alike).
#[derive(Clone, Debug, PartialEq)]
pub struct VllmModel {
    /// Step cost at speed 1.
    pub cost: Cost,
    /// Host at speed 1.
    pub host: Host,
    /// vLLM `--max-num-seqs`.
    pub max_num_seqs: u32,
    /// vLLM `--max-num-batched-tokens`, at least `max_num_seqs`.
    pub max_num_batched_tokens: u32,
    /// vLLM `--max-model-len`.
    pub max_model_len: u32,
    /// KV blocks, vLLM's null block included.
    pub num_gpu_blocks: u32,
    /// Tokens in a block.
    pub block_size: u32,
    /// Automatic prefix caching.
    pub enable_prefix_caching: bool,
    /// vLLM `--max-num-queued-reqs`; `None` = no bound.
    pub max_num_queued_reqs: Option<u32>,
    /// vLLM `--max-num-queued-tokens`; `None` = no bound.
    pub max_num_queued_tokens: Option<u32>,
    /// Speed against the costs above.
    pub speed: f64,
    /// Standard deviation of the logarithm of a run's speed.
    pub speed_sigma: f64,
    /// Servers alike behind one router.
    pub replicas: u32,
    /// How the router chooses.
    pub routing: Routing,
    /// What is served on what, where both are known: the physical floor of the costs.
    pub hardware: Option<(Llm, Gpu)>,
}

/// Why settings make no server.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// No preset of that name.
    #[error("there is no preset `{name}`; there are {known}{}", nearest.map_or(String::new(), |near| format!("; did you mean `{near}`?")))]
    UnknownPreset {
        /// The name.
        name: String,
        /// The one that looks most like it.
        nearest: Option<&'static str>,
        /// All of them.
        known: String,
    },
    /// Something is needed that no preset gives.
    #[error("`{0}` is required where there is no preset")]
    Missing(&'static str),
    /// vLLM would not start.
    #[error("`max_num_batched_tokens` ({tokens}) must not be below `max_num_seqs` ({seqs})")]
    BatchTooSmall {
        /// `max_num_batched_tokens`.
        tokens: u32,
        /// `max_num_seqs`.
        seqs: u32,
    },
    /// One block is vLLM's null block, so that at least two are needed.
    #[error("`num_gpu_blocks` must be at least 2: one block is vLLM's null block")]
    TooFewBlocks,
    /// Block sizes go up to [`VllmModel::BLOCK_SIZE_MAX`].
    #[error("`block_size` must be at most {max}, not {0}", max = VllmModel::BLOCK_SIZE_MAX)]
    BlockTooLarge(u32),
    /// The KV cache would hold more tokens than can be counted.
    #[error("`num_gpu_blocks` x `block_size` must be below 2^31 tokens")]
    TooManyTokens,
    /// A step must take some time.
    #[error("`cost.t0` must be above zero: a step takes time")]
    NoTime,
    /// A cost with its largest factor is above an hour.
    #[error("a full step takes {step_s:.0} s, and its tokens {out_s:.0} s on the host: more than an hour is not simulated")]
    TooLong {
        /// The longest step, seconds.
        step_s: f64,
        /// The host's work for its tokens, seconds.
        out_s: f64,
    },
    /// `gpu_memory_utilization` has something to work on only where the KV blocks come from a data sheet.
    #[error("`gpu_memory_utilization` has no effect here: the KV blocks of this server do not come from a GPU's data sheet")]
    NoDataSheet,
    /// The weights leave no room.
    #[error("at `gpu_memory_utilization` = {0} the weights leave no room for a KV cache")]
    NoMemory(f64),
}

/// A cost below what the hardware allows.
#[derive(Clone, Debug, PartialEq)]
pub struct FloorViolation {
    /// Which cost: `t0`, `tp`, `td` or `tk`.
    pub cost: &'static str,
    /// What it is, seconds.
    pub is_s: f64,
    /// What it cannot be below, seconds.
    pub floor_s: f64,
}

impl VllmModel {
    /// Largest block size.
    pub const BLOCK_SIZE_MAX: u32 = 1024;

    /// The preset and what the settings change of it, checked.
    ///
    /// # Errors
    /// What is missing, unknown or contradictory.
    pub fn resolve(settings: &VllmSettings) -> Result<Self, ModelError> {
        let mut model = match &settings.preset {
            Some(name) => presets::find(name)?,
            None => Self::bare(settings)?,
        };
        if let Some(cost) = &settings.cost {
            model.cost.overlay(cost);
        }
        if let Some(host) = &settings.host {
            model.host.overlay(host);
        }
        model.resize(settings)?;
        model.checked()
    }

    /// Without a preset: costs and blocks must be given; the rest is what vLLM takes on a GPU that it does not know.
    fn bare(settings: &VllmSettings) -> Result<Self, ModelError> {
        let blocks = settings.num_gpu_blocks.ok_or(ModelError::Missing("num_gpu_blocks"))?.value();
        if settings.cost.is_none() {
            return Err(ModelError::Missing("cost"));
        }
        Ok(Self {
            cost: Cost::default(),
            host: Host::default(),
            max_num_seqs: 256,
            max_num_batched_tokens: 2048,
            max_model_len: u32::MAX,
            num_gpu_blocks: blocks,
            block_size: presets::BLOCK_SIZE,
            enable_prefix_caching: true,
            max_num_queued_reqs: None,
            max_num_queued_tokens: None,
            speed: 1.0,
            speed_sigma: 0.0,
            replicas: 1,
            routing: Routing::default(),
            hardware: None,
        })
    }

    fn resize(&mut self, settings: &VllmSettings) -> Result<(), ModelError> {
        self.block_size = settings.block_size.map_or(self.block_size, crate::units::Count::value);
        if let Some(share) = settings.gpu_memory_utilization {
            let (llm, gpu) = self.hardware.as_ref().ok_or(ModelError::NoDataSheet)?;
            self.num_gpu_blocks = presets::kv_blocks(llm, gpu, share.value(), self.block_size);
            if self.num_gpu_blocks < 2 {
                return Err(ModelError::NoMemory(share.value()));
            }
        } else if let (Some((llm, gpu)), Some(_)) = (&self.hardware, settings.block_size) {
            self.num_gpu_blocks = presets::kv_blocks(llm, gpu, presets::GPU_MEMORY_UTILIZATION, self.block_size);
        }
        for (field, over) in [
            (&mut self.num_gpu_blocks, settings.num_gpu_blocks),
            (&mut self.max_num_seqs, settings.max_num_seqs),
            (&mut self.max_num_batched_tokens, settings.max_num_batched_tokens),
            (&mut self.max_model_len, settings.max_model_len),
            (&mut self.replicas, settings.replicas),
        ] {
            *field = over.map_or(*field, crate::units::Count::value);
        }
        self.max_num_queued_reqs = settings.max_num_queued_reqs.map(crate::units::Count::value);
        self.max_num_queued_tokens = settings.max_num_queued_tokens.map(crate::units::Count::value);
        self.enable_prefix_caching = settings.enable_prefix_caching.unwrap_or(self.enable_prefix_caching);
        self.speed = settings.speed.map_or(self.speed, crate::units::Positive::value);
        self.speed_sigma = settings.speed_sigma.map_or(self.speed_sigma, crate::units::NonNegative::value);
        self.routing = settings.routing.unwrap_or(self.routing);
        Ok(())
    }

    fn checked(self) -> Result<Self, ModelError> {
        if self.max_num_batched_tokens < self.max_num_seqs {
            return Err(ModelError::BatchTooSmall { tokens: self.max_num_batched_tokens, seqs: self.max_num_seqs });
        }
        if self.num_gpu_blocks < 2 {
            return Err(ModelError::TooFewBlocks);
        }
        if self.block_size > Self::BLOCK_SIZE_MAX {
            return Err(ModelError::BlockTooLarge(self.block_size));
        }
        if u64::from(self.num_gpu_blocks) * u64::from(self.block_size) >= 1 << 31 {
            return Err(ModelError::TooManyTokens);
        }
        if self.cost.t0 == 0 {
            return Err(ModelError::NoTime);
        }
        let (cost, host) = (self.cost.at_speed(self.speed), self.host.at_speed(self.speed));
        // Sequences that share a prefix attend to its blocks each, so the bound is on sequences, not on blocks.
        let attended = u128::from(self.max_num_seqs) * u128::from(self.context());
        let step = u128::from(cost.t0)
            + u128::from(cost.t0p)
            + u128::from(cost.tp) * u128::from(self.max_num_batched_tokens)
            + u128::from(cost.td) * u128::from(self.max_num_seqs)
            + u128::from(cost.tk) * attended;
        let out = u128::from(host.token) * u128::from(self.max_num_seqs);
        if step.max(out) > u128::from(Picos::MAX.0) {
            return Err(ModelError::TooLong { step_s: step as f64 / 1e12, out_s: out as f64 / 1e12 });
        }
        Ok(self)
    }

    /// KV blocks that hold tokens: all but vLLM's null block.
    #[must_use]
    pub const fn usable_blocks(&self) -> u32 {
        self.num_gpu_blocks - 1
    }

    /// Most tokens of prompt and answer together: `max_model_len`, or what the KV cache holds where that is less (vLLM would
    /// refuse to start there).
    #[must_use]
    pub const fn context(&self) -> u32 {
        let held = self.usable_blocks() * self.block_size;
        if held < self.max_model_len { held } else { self.max_model_len }
    }

    /// Costs that beat physics: `t0` below reading the weights once, `tp` or `td` below `2 P / peak FLOP/s`, `tk` below reading a
    /// token's keys and values. Empty where the hardware is not known.
    #[must_use]
    pub fn floor_violations(&self) -> Vec<FloorViolation> {
        let Some((llm, gpu)) = &self.hardware else { return Vec::new() };
        let floor = presets::roofline(llm, gpu);
        let costs = self.cost.at_speed(self.speed);
        [("t0", costs.t0, floor.t0), ("tp", costs.tp, floor.tp), ("td", costs.td, floor.td), ("tk", costs.tk, floor.tk)]
            .into_iter()
            .filter(|(_, is, floor)| is < floor)
            .map(|(cost, is, floor)| FloorViolation { cost, is_s: is as f64 / 1e12, floor_s: floor as f64 / 1e12 })
            .collect()
    }
}

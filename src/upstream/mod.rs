//! Models of what the policies protect: vLLM servers at step level, a metered API behind proxies, and a plain service station.

mod any;
mod fleet;
mod io;
mod model;
mod presets;
mod proxy_pool;
mod settings;
mod station;
mod token_api;
mod vllm;

pub use any::UpstreamModel;
pub use fleet::Fleet;
pub use io::{Call, CallWork, EventKind, Gauges, Output, OutputKind, Setup, Totals, Upstream};
pub use model::{Cost, FloorViolation, Host, ModelError, VllmModel};
pub use presets::{A100, Gpu, H100, LLAMA_3_1_8B, Llm, PRESETS, Preset, RESERVE_BYTES, kv_blocks, roofline};
pub use proxy_pool::{
    Connection, Outages, PoolSettings, ProxyPlace, ProxyPool, ProxySettings, Quality, QualitySettings, TogetherSettings,
};
pub use settings::{
    CalibrationSettings, CostSettings, HostSettings, NotACost, Picos, Routing, StationSettings, UpstreamSettings, VllmSettings,
};
pub use station::Station;
pub use token_api::{ClassLatencySettings, LatencySettings, LimiterSettings, Limits, Meter, TokenApi, TokenApiSettings};
pub use vllm::Vllm;

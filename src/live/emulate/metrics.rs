//! What the emulated server counts, under vLLM's names and in vLLM's buckets (as a server of 0.32 exposes them).

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::latency::Latency;
use crate::request::Cause;
use crate::time::Span;
use crate::upstream::{Gauges, Totals, VllmModel};

const TTFT_S: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0,
    2560.0,
];
const TOKEN_S: [f64; 19] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
const REQUEST_S: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0,
    7680.0,
];
const STEP_TOKENS: [f64; 13] = [1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
const TOKENS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

type Label = [(&'static str, &'static str); 1];

/// The server's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    running: Gauge,
    waiting: Gauge,
    kv_use: Gauge<f64, AtomicU64>,
    prompt_tokens: Counter,
    generation_tokens: Counter,
    cached_tokens: Counter,
    preemptions: Counter,
    success: Family<Label, Counter>,
    rejections: Family<Label, Counter>,
    left: Counter,
    ttft: Histogram,
    gap: Histogram,
    per_token: Histogram,
    e2e: Histogram,
    queue: Histogram,
    inference: Histogram,
    prefill: Histogram,
    decode: Histogram,
    step_tokens: Histogram,
    prompts: Histogram,
    answers: Histogram,
    limits: Histogram,
    lag: Family<Label, Gauge<f64, AtomicU64>>,
    /// Which of the two limits a refusal for load is put down to.
    bound: &'static str,
}

/// A request that was served to its end.
#[derive(Copy, Clone, Debug)]
pub struct Finished {
    /// Prompt, tokens.
    pub input: u32,
    /// Answer, tokens.
    pub output: u32,
    /// Limit on it, tokens.
    pub max_tokens: u32,
    /// Whether it ran into the limit.
    pub length: bool,
    /// From arrival to the last token.
    pub e2e: Span,
    /// From the first step that it was in.
    pub inference: Span,
    /// From there to the first token.
    pub prefill: Span,
    /// From there to the last.
    pub decode: Span,
}

impl Metrics {
    /// Nothing counted yet, on a server of this model under this name.
    #[must_use]
    pub fn new(name: &str, model: &VllmModel) -> Self {
        let labels = [("engine", "0".to_owned()), ("model_name", name.to_owned())];
        let labels = labels.into_iter().map(|(key, value)| (Cow::from(key), Cow::from(value)));
        let mut registry = Registry::with_labels(labels);
        registry.register("vllm:cache_config_info", "Information of the LLMEngine CacheConfig", cache_config(model));
        let into = &mut registry;
        let lag = "How late tokens were handed out, against the model's own times";
        let left = "Requests whose clients left before the end; vLLM has no such count";
        Self {
            running: add(into, "vllm:num_requests_running", "Number of requests in model execution batches", Gauge::default()),
            waiting: add(into, "vllm:num_requests_waiting", "Number of requests waiting to be processed", Gauge::default()),
            kv_use: add(into, "vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage", Gauge::default()),
            prompt_tokens: add(into, "vllm:prompt_tokens", "Number of prefill tokens processed", Counter::default()),
            generation_tokens: add(into, "vllm:generation_tokens", "Number of generation tokens processed", Counter::default()),
            cached_tokens: add(into, "vllm:prompt_tokens_cached", "Number of cached prompt tokens", Counter::default()),
            preemptions: add(
                into,
                "vllm:num_preemptions",
                "Cumulative number of preemption from the engine",
                Counter::default(),
            ),
            success: add(into, "vllm:request_success", "Count of successfully processed requests", Family::default()),
            rejections: add(into, "vllm:admission_rejections", "Number of admission attempts rejected", Family::default()),
            left: add(into, "plimsoll_emulate_abandoned", left, Counter::default()),
            ttft: seconds(into, "vllm:time_to_first_token_seconds", "Time to first token", &TTFT_S),
            gap: seconds(into, "vllm:inter_token_latency_seconds", "Inter-token latency", &TOKEN_S),
            per_token: seconds(into, "vllm:request_time_per_output_token_seconds", "Time per output token", &TOKEN_S),
            e2e: seconds(into, "vllm:e2e_request_latency_seconds", "End-to-end request latency", &REQUEST_S),
            queue: seconds(into, "vllm:request_queue_time_seconds", "Time spent in WAITING phase", &REQUEST_S),
            inference: seconds(into, "vllm:request_inference_time_seconds", "Time spent in RUNNING phase", &REQUEST_S),
            prefill: seconds(into, "vllm:request_prefill_time_seconds", "Time spent in PREFILL phase", &REQUEST_S),
            decode: seconds(into, "vllm:request_decode_time_seconds", "Time spent in DECODE phase", &REQUEST_S),
            step_tokens: seconds(into, "vllm:iteration_tokens_total", "Number of tokens per engine step", &STEP_TOKENS),
            prompts: seconds(into, "vllm:request_prompt_tokens", "Number of prefill tokens", &TOKENS),
            answers: seconds(into, "vllm:request_generation_tokens", "Number of generation tokens", &TOKENS),
            limits: seconds(into, "vllm:request_params_max_tokens", "The max_tokens request parameter", &TOKENS),
            lag: add(into, "plimsoll_emulate_lag_seconds", lag, Family::default()),
            bound: if model.max_num_queued_reqs.is_some() { "max_num_queued_reqs" } else { "max_num_queued_tokens" },
            registry,
        }
    }

    /// A request was scheduled for the first time, so long after its arrival.
    pub fn began(&mut self, waited: Span) {
        self.queue.observe(waited.as_secs_f64());
    }

    /// A first token came out, so long after the arrival.
    pub fn first_token(&mut self, took: Span) {
        self.ttft.observe(took.as_secs_f64());
    }

    /// Another token, so long after the one before.
    pub fn gap(&mut self, gap: Span) {
        self.gap.observe(gap.as_secs_f64());
    }

    /// A request was served to its end.
    pub fn finished(&mut self, done: &Finished) {
        let reason = if done.length { "length" } else { "stop" };
        self.success.get_or_create(&[("finished_reason", reason)]).inc();
        self.e2e.observe(done.e2e.as_secs_f64());
        self.inference.observe(done.inference.as_secs_f64());
        self.prefill.observe(done.prefill.as_secs_f64());
        self.decode.observe(done.decode.as_secs_f64());
        if done.output > 1 {
            self.per_token.observe(done.decode.as_secs_f64() / f64::from(done.output - 1));
        }
        self.prompts.observe(f64::from(done.input));
        self.answers.observe(f64::from(done.output));
        self.limits.observe(f64::from(done.max_tokens));
    }

    /// A request was refused.
    pub fn refused(&mut self, cause: Cause) {
        if cause == Cause::Overloaded {
            self.rejections.get_or_create(&[("reason", self.bound)]).inc();
        }
    }

    /// A client has left before the end.
    pub fn left(&mut self) {
        self.left.inc();
    }

    /// The engine went on from `before` to `after`.
    pub fn step(&mut self, before: &Totals, after: &Totals) {
        let (prefill, decode) = (after.prefill_tokens - before.prefill_tokens, after.decode_tokens - before.decode_tokens);
        self.prompt_tokens.inc_by(prefill);
        self.generation_tokens.inc_by(decode);
        self.cached_tokens.inc_by(after.cached_tokens - before.cached_tokens);
        self.preemptions.inc_by(after.preemptions - before.preemptions);
        if after.steps > before.steps {
            self.step_tokens.observe((prefill + decode) as f64);
        }
    }

    /// Everything as text (`OpenMetrics`), with these gauges and this lag.
    #[must_use]
    pub fn exposition(&self, gauges: &Gauges, lag: &Latency) -> String {
        self.running.set(i64::from(gauges.running));
        self.waiting.set(i64::from(gauges.waiting));
        self.kv_use.set(gauges.kv_use);
        for (name, q) in [("0.5", 0.5), ("0.99", 0.99)] {
            self.lag.get_or_create(&[("quantile", name)]).set(lag.quantile_s(q).unwrap_or(0.0));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a text takes everything");
        text
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn seconds(registry: &mut Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    add(registry, name, help, Histogram::new(buckets.iter().copied()))
}

/// What a reader of a server's size finds in vLLM's own metric of this name.
fn cache_config(model: &VllmModel) -> Family<Vec<(&'static str, String)>, Gauge> {
    let caching = if model.enable_prefix_caching { "True" } else { "False" };
    let labels = vec![
        ("block_size", model.block_size.to_string()),
        ("num_gpu_blocks", model.num_gpu_blocks.to_string()),
        ("enable_prefix_caching", caching.to_owned()),
    ];
    let family = Family::<Vec<(&'static str, String)>, Gauge>::default();
    family.get_or_create(&labels).set(1);
    family
}

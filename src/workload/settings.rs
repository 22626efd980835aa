//! The `[arrival]` and `[[class]]` sections of a scenario: who sends what, when, and how long they wait.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::profile::{CountrySettings, ProxyModeWeights, VantageWeights};
use crate::dist::{SpanDist, TokenDist};
use crate::time::Span;
use crate::units::{Count, Fraction, NonNegative, Positive};

/// How requests arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "process", rename_all = "snake_case", deny_unknown_fields)]
pub enum ArrivalSettings {
    /// Evenly spaced.
    Constant(RateSettings),
    /// Poisson.
    Poisson(RateSettings),
    /// Gamma gaps.
    Gamma {
        /// Shape of the gaps: 1 is Poisson, below 1 burstier (as in vLLM's bench).
        burstiness: Positive,
        /// Rate and its changes.
        #[serde(flatten)]
        rate: RateSettings,
    },
    /// Weibull gaps.
    Weibull {
        /// Shape of the gaps: 1 is Poisson, below 1 burstier.
        shape: Positive,
        /// Rate and its changes.
        #[serde(flatten)]
        rate: RateSettings,
    },
    /// On/off (a two-state Markov-modulated Poisson process).
    OnOff {
        /// Requests a second while on.
        on_rate: NonNegative,
        /// Requests a second while off. Default 0.
        #[serde(default = "zero")]
        off_rate: NonNegative,
        /// Mean length of an on period.
        mean_on: Span,
        /// Mean length of an off period.
        mean_off: Span,
    },
    /// A fixed number of clients, each sending its next request a think time after the last one's end.
    ClosedLoop {
        /// Clients.
        clients: Count,
        /// Think time. Default none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        think: Option<SpanDist>,
    },
    /// A recorded list.
    Recorded {
        /// CSV with a header (`time,input_tokens,output_tokens,class`; time in seconds, class optional) or the load
        /// driver's own records (`.jsonl`, `.jsonl.zst`), beside the scenario file.
        file: String,
    },
}

impl ArrivalSettings {
    /// The rate of a process that states one.
    #[must_use]
    pub const fn rate(&self) -> Option<&RateSettings> {
        match self {
            Self::Constant(rate) | Self::Poisson(rate) | Self::Gamma { rate, .. } | Self::Weibull { rate, .. } => Some(rate),
            Self::OnOff { .. } | Self::ClosedLoop { .. } | Self::Recorded { .. } => None,
        }
    }
}

/// A mean rate and how it changes over time. Exactly one of `rate` and `load` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)] // its fields stand beside `process`, and a reference to a closed object would forbid that
pub struct RateSettings {
    /// Requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Positive>,
    /// Share of the scenario's measured capacity (load 1.0, see `run.load_of`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Positive>,
    /// Piecewise constant factors on the rate, each from `at` on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepSettings>,
    /// A sine on the rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sine: Option<SineSettings>,
    /// Spikes on the rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spikes: Vec<SpikeSettings>,
}

/// From `at` on, the rate is `factor` times the stated one.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSettings {
    /// From when on.
    pub at: Span,
    /// Times the stated rate.
    pub factor: NonNegative,
}

/// The rate times `1 + amplitude * sin(2 pi t / period)`.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SineSettings {
    /// Share of the rate by which it swings.
    pub amplitude: Fraction,
    /// One full swing.
    pub period: Span,
}

/// For `lasting` from `at` on, the rate is multiplied by `factor`.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpikeSettings {
    /// Begin.
    pub at: Span,
    /// Length.
    pub lasting: Span,
    /// Times the rate.
    pub factor: NonNegative,
}

/// A class of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassSettings {
    /// Its name in reports.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Share of the shared `[arrival]`, relative to the other classes'. Default 1.
    #[serde(default = "one")]
    pub weight: NonNegative,
    /// Arrivals of its own; without, the class shares the scenario's `[arrival]` by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<ArrivalSettings>,
    /// Prompt length, tokens. Default 1 (a plain station needs none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<TokenDist>,
    /// Answer length if nothing cuts it, tokens. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<TokenDist>,
    /// Joint lengths from a CSV with columns `input_tokens,output_tokens`, rows drawn alike; instead of `input` and `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<String>,
    /// The client's own limit on the answer, tokens. Default 16384.
    #[serde(default = "max_tokens")]
    pub max_tokens: Count,
    /// What counts as good. Default: any complete answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<SloSettings>,
    /// More is more urgent. Default 0.
    #[serde(default)]
    pub priority: u8,
    /// Error of the gateway's estimate of the prompt length: standard deviation of its logarithm. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_sigma: Option<NonNegative>,
    /// How long the client waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<ClientTimeoutSettings>,
    /// Whether and how the client tries again. Default: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySettings>,
    /// Waiting patience at a plain station: leaves if service has not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<SpanDist>,
    /// Shared beginnings of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PrefixSettings>,
    /// Tenants of this class, drawn alike. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Count>,
    /// Whether answers are streamed. Default true.
    #[serde(default = "yes")]
    pub streaming: bool,
    /// Share of requests that a metered API grounds in a search before it answers. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounded: Option<Fraction>,
    /// Weights of the vantage policies. Default: all `NONE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage_policy: Option<VantageWeights>,
    /// Where its proxies stand. Default: all US.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub country: Vec<CountrySettings>,
    /// Weights of the proxy modes. Default: all `rotating`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_mode: Option<ProxyModeWeights>,
    /// Tokens that a metered API really bills for an uncut call, over its estimate (estimated prompt and `max_tokens`): the
    /// estimator's error. Default: prompt and answer, whatever the estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_ratio: Option<TokenDist>,
    /// The same for grounded calls, whose search results are billed too: twenty times the estimate and more has been seen.
    /// Default: `usage_ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounded_usage_ratio: Option<TokenDist>,
}

/// A service level objective: all that is given must hold.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloSettings {
    /// Time to first token, from the intended first arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<Span>,
    /// Time per output token after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot: Option<Span>,
    /// End to end, from the intended first arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e: Option<Span>,
}

/// A client's patience for one attempt.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientTimeoutSettings {
    /// It leaves if no token has come by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Span>,
    /// It leaves if the answer is not complete by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Span>,
    /// Whether the client tells the gateway its deadline (the earlier of the two). Default false.
    #[serde(default)]
    pub announce: bool,
}

/// A client that tries again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// Attempts in all, the first included.
    pub max_attempts: Count,
    /// Longest wait before the second attempt; it doubles with each further one. The wait is uniform between 0 and that
    /// (full jitter: M. Brooker, "Exponential backoff and jitter", AWS, 2015). Default 500 ms.
    #[serde(default = "backoff_base")]
    pub backoff_base: Span,
    /// Bound on that doubling. Default 30 s.
    #[serde(default = "backoff_cap")]
    pub backoff_cap: Span,
    /// Whether the client waits at least as long as a refusal's Retry-After says. Default true.
    #[serde(default = "yes")]
    pub honour_retry_after: bool,
    /// After what the client tries again. Default: refusals, timeouts of either side, and failures.
    #[serde(default = "retry_on")]
    pub on: Vec<RetryOn>,
    /// Retry budget: tokens earned by first attempts or successes and spent by retries, over the whole class. Default: none, unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<RetryBudgetSettings>,
}

/// What a client tries again after.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// It was refused.
    Rejected,
    /// The gateway timed it out.
    TimedOut,
    /// It lost patience itself.
    GaveUp,
    /// The upstream failed.
    Failed,
}

/// What fills a retry budget.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EarnedBy {
    /// Each first attempt (Finagle).
    #[default]
    FirstAttempt,
    /// Each complete answer (gRPC): a server that answers nobody is retried by nobody.
    Success,
}

/// A token bucket for retries (as in Finagle and gRPC).
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryBudgetSettings {
    /// Tokens that each first attempt, or each success, earns: 0.1 allows one retry for ten requests.
    pub ratio: NonNegative,
    /// What earns them.
    #[serde(default)]
    pub earned_by: EarnedBy,
    /// Most tokens that can be saved up, and how many there are at first. Default 10.
    #[serde(default = "budget_burst")]
    pub burst: NonNegative,
}

/// Prompts with shared beginnings.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefixSettings {
    /// Different beginnings in this class, drawn alike.
    pub groups: Count,
    /// Length of each, tokens; a prompt that is shorter is all prefix.
    pub tokens: Count,
}

fn zero() -> NonNegative {
    NonNegative::new(0.0).expect("0 is not negative")
}

fn one() -> NonNegative {
    NonNegative::new(1.0).expect("1 is not negative")
}

fn max_tokens() -> Count {
    Count::new(16_384).expect("above 0")
}

fn backoff_base() -> Span {
    Span::from_millis(500)
}

fn backoff_cap() -> Span {
    Span::from_secs(30)
}

fn retry_on() -> Vec<RetryOn> {
    vec![RetryOn::Rejected, RetryOn::TimedOut, RetryOn::GaveUp, RetryOn::Failed]
}

fn budget_burst() -> NonNegative {
    NonNegative::new(10.0).expect("10 is not negative")
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each process lists all its fields itself and allows no other, so any validator reads the schema as serde does.
    #[test]
    fn the_schema_of_each_process_is_closed_and_complete() {
        let schema = serde_json::to_value(schemars::schema_for!(ArrivalSettings)).unwrap();
        let processes = schema["oneOf"].as_array().unwrap();
        assert_eq!(processes.len(), 7);
        for process in processes {
            assert_eq!(process["additionalProperties"], false, "{process}");
            assert!(process["properties"]["process"]["const"].is_string() && process.get("$ref").is_none(), "{process}");
        }
        assert!(processes[1]["properties"]["sine"].is_object() && processes[2]["properties"]["sine"].is_object());
    }

    #[test]
    fn unknown_keys_are_refused_in_every_process() {
        for fields in [
            "process = 'constant'\nrate = 1",
            "process = 'poisson'\nload = 1",
            "process = 'gamma'\nburstiness = 1\nrate = 1\nsine = { amplitude = 1, period = '5s' }",
            "process = 'weibull'\nshape = 1\nrate = 1\nsteps = [{ at = '5s', factor = 0 }]",
            "process = 'on_off'\non_rate = 1\nmean_on = '1s'\nmean_off = '1s'",
            "process = 'closed_loop'\nclients = 1",
            "process = 'recorded'\nfile = 'x.csv'",
        ] {
            let read = toml::from_str::<ArrivalSettings>(fields).unwrap();
            assert_eq!(toml::from_str::<ArrivalSettings>(&toml::to_string(&read).unwrap()).unwrap(), read);
            assert!(toml::from_str::<ArrivalSettings>(&format!("{fields}\nrat = 1")).is_err(), "{fields}");
        }
    }
}

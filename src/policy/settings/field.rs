//! Settings of what the field puts in the same places: adaptive concurrency limits, client throttling, a request rate
//! limit, a gate on the server's own signals, and graduated rejection by queue depth.
//!
//! Defaults are the published ones of the projects named. Many of them are for microservices, whose calls take
//! milliseconds: an LLM server's take seconds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mode, count, fraction};
use crate::time::Span;
use crate::units::{Count, Fraction, NonNegative, Positive};

/// A concurrency limit that adapts to what calls' times say. It starts at `max_concurrent_requests`, or at the nearest
/// number between its own bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "algorithm", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdaptiveLimit {
    /// Additive increase, multiplicative decrease (Netflix concurrency-limits, `AIMDLimit`): one more for each call that
    /// ends in time, a share less for each that does not.
    Aimd {
        /// Smallest limit. Default 20 (Netflix).
        #[serde(default = "netflix_min")]
        min: Count,
        /// Largest limit. Default 200 (Netflix).
        #[serde(default = "netflix_max")]
        max: Count,
        /// What a drop leaves of the limit. Default 0.9 (Netflix).
        #[serde(default = "backoff_ratio")]
        backoff_ratio: Fraction,
        /// A call that takes longer counts as dropped. Default 5 s (Netflix): too short for most LLM calls.
        #[serde(default = "aimd_timeout")]
        timeout: Span,
    },
    /// TCP Vegas (Netflix concurrency-limits, `VegasLimit`): keeps the estimated queue, `limit * (1 - shortest / actual time)`,
    /// between two bounds.
    Vegas {
        /// Largest limit. Default 1000 (Netflix).
        #[serde(default = "thousand")]
        max: Count,
        /// A shorter queue raises the limit. Default: 3 times the decimal digits of the limit after the first, at least 3
        /// (Netflix).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alpha: Option<Count>,
        /// A longer queue lowers the limit. Default: twice the default of `alpha` (Netflix).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beta: Option<Count>,
        /// Share of the new limit in its smoothed value. Default 1 (Netflix).
        #[serde(default = "one")]
        smoothing: Fraction,
        /// The shortest time is measured again after about so many times the limit of calls. Default 30 (Netflix).
        #[serde(default = "probe_multiplier")]
        probe_multiplier: Count,
    },
    /// Gradient between a long average of calls' times and the latest one (Netflix concurrency-limits, `Gradient2Limit`).
    Gradient2 {
        /// Smallest limit. Default 20 (Netflix).
        #[serde(default = "netflix_min")]
        min: Count,
        /// Largest limit. Default 200 (Netflix).
        #[serde(default = "netflix_max")]
        max: Count,
        /// Share of the new limit in its smoothed value. Default 0.2 (Netflix).
        #[serde(default = "gradient2_smoothing")]
        smoothing: Fraction,
        /// By how much the limit may grow while times are short. Default 4 (Netflix).
        #[serde(default = "queue_size")]
        queue_size: Count,
        /// Calls that the long average goes over. Default 600 (Netflix).
        #[serde(default = "long_window")]
        long_window: Count,
        /// How many times the long average a call may take before the limit goes down. Default 1.5 (Netflix).
        #[serde(default = "rtt_tolerance")]
        rtt_tolerance: Positive,
        /// Whether a dropped call lowers the limit as far as one call may, and stays out of the averages. Default false
        /// (Netflix): its time counts like any other.
        #[serde(default)]
        count_drops: bool,
    },
    /// Gradient between the shortest time, measured now and then at a low limit, and a window's times (Envoy's adaptive
    /// concurrency filter).
    EnvoyGradient {
        /// Smallest limit, and the limit while the shortest time is measured. Default 3 (Envoy).
        #[serde(default = "envoy_min")]
        min: Count,
        /// Largest limit. Default 1000 (Envoy).
        #[serde(default = "thousand")]
        max: Count,
        /// Length of a window, after which the limit is set. Default 100 ms (Envoy's example).
        #[serde(default = "update_interval")]
        update_interval: Span,
        /// How often the shortest time is measured. Default 60 s (Envoy's example).
        #[serde(default = "min_rtt_interval")]
        min_rtt_interval: Span,
        /// The shortest time, where it is known: it is not measured then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_rtt: Option<Span>,
        /// Calls that a measurement of the shortest time takes. Default 50 (Envoy).
        #[serde(default = "min_rtt_requests")]
        min_rtt_requests: Count,
        /// `min_rtt_interval` is longer by up to this share. Default 0.15 (Envoy).
        #[serde(default = "envoy_jitter")]
        jitter: Fraction,
        /// By which share of the shortest time calls may be slower. Default 0.25 (Envoy).
        #[serde(default = "envoy_buffer")]
        buffer: NonNegative,
        /// Which quantile of a window's times stands for them. Default 0.5 (Envoy).
        #[serde(default = "half")]
        quantile: Fraction,
    },
}

/// Throttling by the share of requests that the upstream accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Throttle {
    /// `max(0, (requests - k accepts) / (requests + 1))` (Beyer and others, "Site Reliability Engineering", 2016, ch. 21).
    Sre {
        /// Off, observe or enforce.
        #[serde(default)]
        mode: Mode,
        /// Requests to let through for each that is accepted. Default 2 (the book).
        #[serde(default = "sre_k")]
        k: Positive,
        /// Over which time both are counted, in whole seconds. Default 2 min (the book).
        #[serde(default = "sre_window")]
        window: Span,
        /// Whether requests that were refused here count as requests. Default true (the book).
        #[serde(default = "yes")]
        count_rejected: bool,
    },
    /// `((n - successes / threshold) / (n + 1)) ^ (1 / aggression)` (Envoy's admission control filter); what it refuses does
    /// not count.
    Envoy {
        /// Off, observe or enforce.
        #[serde(default)]
        mode: Mode,
        /// Success rate at or above which nothing is refused, above 0. Default 0.95 (Envoy).
        #[serde(default = "success_threshold")]
        threshold: Fraction,
        /// How steeply refusals rise below it, at least 1. Default 1: in proportion (Envoy).
        #[serde(default = "aggression")]
        aggression: Positive,
        /// Below so many requests a second nothing is refused. Default 0 (Envoy).
        #[serde(default = "no_rate")]
        rps_threshold: NonNegative,
        /// Largest probability of refusal. Default 0.8 (Envoy).
        #[serde(default = "max_rejection_probability")]
        max_rejection_probability: Fraction,
        /// Over which time results are counted, in whole seconds. Default 30 s (Envoy).
        #[serde(default = "envoy_window")]
        window: Span,
    },
}

/// The gateway's own limit on requests (generic cell rate algorithm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Off, observe or enforce.
    #[serde(default)]
    pub mode: Mode,
    /// Requests in each `per`.
    pub requests: Count,
    /// Default 60 s.
    #[serde(default = "minute")]
    pub per: Span,
    /// Requests that may come at once. Default: `requests` (governor).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Count>,
}

/// A gate on the server's own signals (Kubernetes Gateway API Inference Extension, saturation detector): refuses while
/// `max(waiting / waiting_max, kv_use / kv_use_max)` is at least 1, or its latest word is too old.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signals {
    /// Off, observe or enforce.
    pub mode: Mode,
    /// Requests waiting at the server that make it full. Default 5 (the extension).
    pub waiting_max: Count,
    /// Use of KV blocks that makes it full. Default 0.8 (the extension).
    pub kv_use_max: Positive,
    /// A server without word for longer than this counts as full. Default 200 ms (the extension).
    pub stale_after: Span,
    /// How often the driver asks the server. Default 50 ms (the extension).
    pub every: Span,
}

/// Graduated rejection by queue depth (failsafe-go): from `first` on more and more, from `last` on all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueGraduated {
    /// Requests waiting from which on attempts are refused at random.
    pub first: Count,
    /// Requests waiting from which on all are refused; at least `first`.
    pub last: Count,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            waiting_max: count(5),
            kv_use_max: positive(0.8),
            stale_after: Span::from_millis(200),
            every: Span::from_millis(50),
        }
    }
}

macro_rules! defaults {
    ($($name:ident: $kind:ty = $value:expr;)*) => {
        $(fn $name() -> $kind {
            $value
        })*
    };
}

defaults! {
    netflix_min: Count = count(20);
    netflix_max: Count = count(200);
    backoff_ratio: Fraction = fraction(0.9);
    aimd_timeout: Span = Span::from_secs(5);
    thousand: Count = count(1_000);
    one: Fraction = fraction(1.0);
    half: Fraction = fraction(0.5);
    probe_multiplier: Count = count(30);
    gradient2_smoothing: Fraction = fraction(0.2);
    queue_size: Count = count(4);
    long_window: Count = count(600);
    rtt_tolerance: Positive = positive(1.5);
    envoy_min: Count = count(3);
    update_interval: Span = Span::from_millis(100);
    min_rtt_interval: Span = Span::from_secs(60);
    min_rtt_requests: Count = count(50);
    envoy_jitter: Fraction = fraction(0.15);
    envoy_buffer: NonNegative = non_negative(0.25);
    sre_k: Positive = positive(2.0);
    sre_window: Span = Span::from_secs(120);
    yes: bool = true;
    success_threshold: Fraction = fraction(0.95);
    aggression: Positive = positive(1.0);
    no_rate: NonNegative = non_negative(0.0);
    max_rejection_probability: Fraction = fraction(0.8);
    envoy_window: Span = Span::from_secs(30);
    minute: Span = Span::from_secs(60);
}

fn positive(value: f64) -> Positive {
    Positive::new(value).expect("a constant of this file above 0")
}

fn non_negative(value: f64) -> NonNegative {
    NonNegative::new(value).expect("a constant of this file of at least 0")
}

#[cfg(test)]
mod tests {
    use crate::policy::Settings;

    /// Every section with nothing but what it must say, and one of its published defaults.
    const SECTIONS: [(&str, &str); 9] = [
        ("[concurrency]\nadaptive = { algorithm = 'aimd' }", "backoff_ratio = 0.9"),
        ("[concurrency.adaptive]\nalgorithm = 'vegas'", "probe_multiplier = 30"),
        ("[concurrency.adaptive]\nalgorithm = 'gradient2'", "rtt_tolerance = 1.5"),
        ("[concurrency.adaptive]\nalgorithm = 'envoy_gradient'", "update_interval = \"100ms\""),
        ("[throttle]\nrule = 'sre'", "count_rejected = true"),
        ("[throttle]\nrule = 'envoy'", "max_rejection_probability = 0.8"),
        ("[rate_limit]\nrequests = 60", "per = \"1m\""),
        ("[signals]", "stale_after = \"200ms\""),
        ("[queue]\ngraduated = { first = 10, last = 20 }", "last = 20"),
    ];

    #[test]
    fn every_section_reads_with_its_defaults_and_reads_back() {
        for (text, default) in SECTIONS {
            let settings: Settings = toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let written = toml::to_string(&settings).expect("settings can be written");
            assert!(written.contains(default), "{text}: {written}");
            assert_eq!(toml::from_str(&written), Ok(settings), "{written}");
            let (flags, lost) = toml::from_str::<Settings>(text).expect("as above").to_flags();
            let section = text.trim_start_matches('[').split([']', '.', '\n']).next().expect("a section");
            assert!(lost.iter().any(|what| what.is_in(section)), "{section}: {flags} {lost:?}");
        }
    }

    #[test]
    fn what_is_unknown_or_missing_is_an_error() {
        for text in [
            "[concurrency.adaptive]\nmin = 3",
            "[concurrency.adaptive]\nalgorithm = 'aimd'\nqueue_size = 4",
            "[throttle]\nk = 2",
            "[throttle]\nrule = 'sre'\naggression = 2",
            "[rate_limit]\nper = '1s'",
            "[rate_limit]\nrequests = 0",
            "[queue.graduated]\nfirst = 3",
            "[signals]\nwaiting_max = 0",
        ] {
            assert!(toml::from_str::<Settings>(text).is_err(), "{text} was taken");
        }
    }
}

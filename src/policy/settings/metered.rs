//! Settings of the policies in front of a metered API (seed 002): token reservations, heavy lane, proxy breaker,
//! timeouts by kind of call, and finalisation.
//!
//! Defaults are the corrected behaviour with the seed's numbers; [`Settings::seed_adapter`](super::Settings::seed_adapter)
//! is the seed's system as printed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mode, count, fraction};
use crate::request::Vantage;
use crate::time::Span;
use crate::units::{Count, Fraction, Positive};

/// Token reservation limiter (seed 002, section 1): tokens are taken out of the window's budget before a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools)] // independent choices of a user
pub struct Limiter {
    /// Off, observe or enforce.
    pub mode: Mode,
    /// The provider's limit, tokens a minute. Default 30000 (seed 002).
    pub tpm_limit: Count,
    /// Share of the limit that is left alone, below 1. Default 0.15 (seed 002): 25,500 tokens a window.
    pub headroom: Fraction,
    /// How the budget comes back.
    pub window: Window,
    /// What waiters do at a window's end (`lazy_fixed` and `calendar`).
    pub boundary: Boundary,
    /// With `boundary = "checked"`: the first of those who wait goes up to this long after the window's end, by its own draw,
    /// so that several gateways do not start at one instant; those behind it follow. Default: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// With `window = "gcra"`: tokens that may go at once. Default: a sixth of the budget (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Count>,
    /// Whether a call that does not fit is sent with a smaller `max_tokens`. Default true (seed 002).
    pub auto_trim: bool,
    /// Smallest `max_tokens` that trimming leaves. Default 500 (seed 002).
    pub min_output: Count,
    /// Whether the difference between reservation and usage goes back to the window that it was taken from. Default true;
    /// the seed never settles.
    pub settle: bool,
    /// From when on a reservation's part beyond the estimate counts.
    pub excess: Excess,
    /// What an attempt holds while it waits for budget.
    pub hold: HoldRule,
    /// First multipliers by class of call. Default: the seed's eight.
    pub priors: Vec<Prior>,
    /// Multiplier of a class without a prior. Default 1.5 (seed 002).
    pub unknown_prior: Positive,
    /// Whether a class without a prior learns. Default true; the seed's never does.
    pub unknown_learns: bool,
    /// Which of the sorted ratios is the 90th percentile.
    pub p90: P90,
    /// What a usage is divided by.
    pub ratio: Ratio,
    /// Ratios remembered for each class. Default 20 (seed 002).
    pub samples: Count,
    /// Ratios before the first change. Default 5 (seed 002).
    pub min_samples: Count,
    /// Whether answers that were cut teach the multiplier. Default false: they say how much was allowed, not how much was
    /// wanted.
    pub learn_from_cut: bool,
    /// Smallest multiplier. Default: unbounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiplier_min: Option<Positive>,
    /// Largest multiplier. Default: unbounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiplier_max: Option<Positive>,
    /// Ratios older than this are forgotten. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

/// How a token budget comes back.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Whole, at the first call more than 60 s after the last time (seed 002).
    #[default]
    LazyFixed,
    /// Whole, at each full minute.
    Calendar,
    /// Each reservation 60 s after it was made.
    SlidingLog,
    /// Evenly, up to a burst (generic cell rate algorithm).
    Gcra,
}

/// What waiters do at a window's end.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// Each restores the whole budget for itself and takes its share without looking again (seed 002).
    Seed,
    /// One reset; waiters are served in order of arrival against what is left.
    #[default]
    Checked,
}

/// From when on the part of a reservation that lies beyond the call's estimate counts against the window.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Excess {
    /// From the start of the call, like the estimate (seed 002): the window has forgotten it 60 s later, whether or not the
    /// call still runs.
    #[default]
    AtStart,
    /// It is held back while the call runs; what is used of it counts from the call's end, as a provider bills it. What a
    /// call that ends without usage has held counts whole.
    AtEnd,
}

/// What an attempt holds while it waits for a later resource.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldRule {
    /// Its slot or lane (seed 002).
    WhileWaiting,
    /// Nothing: slot and budget are taken together.
    #[default]
    AllOrNone,
}

/// The first multiplier of a class of calls.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// Whether the call is grounded.
    pub grounded: bool,
    /// Its vantage policy.
    pub vantage_policy: Vantage,
    /// Reservation over estimate.
    pub multiplier: Positive,
}

/// Which element of `n` sorted ratios is the 90th percentile.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum P90 {
    /// Number `int(0.9 n)`, counted from zero (seed 002).
    Seed,
    /// Number `ceil(0.9 n)`, counted from one.
    #[default]
    NearestRank,
}

/// What a usage is divided by to learn a multiplier.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ratio {
    /// The reservation over the multiplier as it is now (seed 002): wrong where it has moved since.
    Seed,
    /// The estimate: the multiplier at the time is kept with the reservation.
    #[default]
    Base,
    /// The reservation itself, as a naive port does: converges to the square root.
    Reservation,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            tpm_limit: count(30_000),
            headroom: fraction(0.15),
            window: Window::default(),
            boundary: Boundary::default(),
            jitter: None,
            burst: None,
            auto_trim: true,
            min_output: count(500),
            settle: true,
            excess: Excess::default(),
            hold: HoldRule::default(),
            priors: seed_priors(),
            unknown_prior: positive(1.5),
            unknown_learns: true,
            p90: P90::default(),
            ratio: Ratio::default(),
            samples: count(20),
            min_samples: count(5),
            learn_from_cut: false,
            multiplier_min: None,
            multiplier_max: None,
            max_age: None,
        }
    }
}

/// Heavy lane (seed 002, section 2): grounded calls with vantage `ALS_ONLY` or `ALS_PLUS_PROXY` start only into a window
/// that is nearly whole, and take no slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeavyLane {
    /// Off, observe or enforce.
    pub mode: Mode,
    /// Share of the window's budget that must be left. Default 0.8 (seed 002's code), where `min_remaining_tokens` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_remaining: Option<Fraction>,
    /// Tokens that must be left instead (seed 002's configuration: 24000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_remaining_tokens: Option<Count>,
    /// Whom a heavy call excludes while it runs.
    pub exclusive: Exclusive,
    /// Whether waiting in the lane refreshes the window.
    pub refresh: Refresh,
    /// Shortest time between two starts. Default: none (the seed configures 15 s and uses it nowhere).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stagger: Option<Span>,
    /// Whose starts are staggered.
    pub stagger_scope: StaggerScope,
    /// After this a heavy call that runs excludes nobody any more. Default 10 min (ours).
    pub lease: Span,
    /// A heavy attempt that has waited so long goes before all light ones: none starts until it has. Default 2 min (ours).
    pub heavy_max_wait: Span,
    /// A light attempt that has waited so long goes before all heavy ones. Default 1 min (ours).
    pub light_max_wait: Span,
}

/// Whom a running heavy call excludes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exclusive {
    /// Nobody: the seed's lock is released before the call.
    Seed,
    /// Other heavy calls.
    #[default]
    Heavy,
    /// Everybody.
    All,
}

/// Whether waiting in the lane refreshes the limiter's window.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// No, only a reservation does (seed 002): with heavy traffic alone the second job never starts.
    OnReserve,
    /// Yes.
    #[default]
    OnWait,
}

/// Whose starts are staggered.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaggerScope {
    /// Nobody's: `stagger` is stated and not used (seed 002, whose configuration has it and whose code does not).
    Nobody,
    /// Heavy calls.
    #[default]
    Heavy,
    /// All calls.
    All,
}

impl Default for HeavyLane {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            min_remaining: None,
            min_remaining_tokens: None,
            exclusive: Exclusive::default(),
            refresh: Refresh::default(),
            stagger: None,
            stagger_scope: StaggerScope::default(),
            lease: Span::from_secs(600),
            heavy_max_wait: Span::from_secs(120),
            light_max_wait: Span::from_secs(60),
        }
    }
}

/// Circuit breaker for each country and proxy mode (seed 002, section 3), and what becomes of calls while it is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Off, observe or enforce.
    pub mode: Mode,
    /// What opens it.
    pub trip: Trip,
    /// With `cumulative` and `consecutive`: errors that open it. Default 2 (seed 002).
    pub threshold: Count,
    /// With `rate`: share of failures in the window at or above which it opens. Default 0.5.
    pub failure_rate: Fraction,
    /// With `rate`: calls in the window, where `window_time` is absent. Default 100.
    pub window_calls: Count,
    /// With `rate`: length of the window instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_time: Option<Span>,
    /// With `rate`: calls in the window before anything is decided. Default 10.
    pub minimum_calls: Count,
    /// With `rate`: calls that take longer are slow, those that a timeout ended too. Default: none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_call: Option<Span>,
    /// With `rate`: share of slow calls at or above which it opens. Default 1.
    pub slow_rate: Fraction,
    /// How long it stays open. Default 600 s (seed 002).
    pub cooldown: Span,
    /// Each opening that follows a failed probe waits so many times longer than the one before. Default 1.
    pub cooldown_factor: Positive,
    /// Longest cooldown. Default 1 h (ours).
    pub cooldown_max: Span,
    /// A cooldown is longer by up to this share, at random. Default 0.
    pub jitter: Fraction,
    /// What happens after the cooldown.
    pub recovery: Recovery,
    /// With `recovery = "half_open"`: probes let through at once, all of whose results decide. Default 1.
    pub probes: Count,
    /// A probe whose result never comes is given up after this. Default 10 min (ours).
    pub probe_lease: Span,
    /// Whether an error that comes in while it is open starts the cooldown again and counts as an opening (seed 002).
    /// Default false.
    pub restart_on_late_error: bool,
    /// A key without any result for so long is forgotten. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_expiry: Option<Span>,
    /// Whether `PROXY_ONLY` may fall back to `ALS_ONLY` while it is open. Default false: it is refused.
    pub fallback: bool,
    /// Whether a 5xx of the API behind a proxy counts as the proxy's failure. Default false: it has brought an answer.
    pub count_5xx: bool,
    /// What becomes of the attempt whose error has opened it.
    pub redispatch: Redispatch,
}

/// What opens a breaker.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trip {
    /// So many errors in all; no success lowers the count (seed 002).
    Cumulative,
    /// So many errors in a row.
    Consecutive,
    /// A share of failures or slow calls in a window.
    #[default]
    Rate,
}

/// What happens when the cooldown is over.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// It closes by itself, its count at zero (seed 002).
    Close,
    /// Probes decide.
    #[default]
    HalfOpen,
}

/// What becomes of the attempt whose error has opened the breaker.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redispatch {
    /// Its error is passed on.
    Off,
    /// It goes through the stack again and keeps its slot meanwhile (seed 002): three of them can lock three slots for good.
    Seed,
    /// It goes through the stack again after giving its slot back.
    #[default]
    Stack,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            trip: Trip::default(),
            threshold: count(2),
            failure_rate: fraction(0.5),
            window_calls: count(100),
            window_time: None,
            minimum_calls: count(10),
            slow_call: None,
            slow_rate: fraction(1.0),
            cooldown: Span::from_secs(600),
            cooldown_factor: positive(1.0),
            cooldown_max: Span::from_secs(3_600),
            jitter: fraction(0.0),
            recovery: Recovery::default(),
            probes: count(1),
            probe_lease: Span::from_secs(600),
            restart_on_late_error: false,
            idle_expiry: None,
            fallback: false,
            count_5xx: false,
            redispatch: Redispatch::default(),
        }
    }
}

/// Timeouts by kind of call (seed 002, configuration), from when the call starts. Beside `timeout` the shorter one holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallTimeout {
    /// Off, observe or enforce.
    pub mode: Mode,
    /// Whose rule.
    pub timeouts: Timeouts,
    /// Grounded and direct. Default 480 s (seed 002).
    pub grounded_direct: Span,
    /// Grounded and through a proxy. Default 300 s (seed 002).
    pub grounded_proxy: Span,
    /// Not grounded. Default 120 s (seed 002).
    pub ungrounded: Span,
}

/// Whose rule picks a call's timeout.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timeouts {
    /// The three of the configuration.
    #[default]
    Env,
    /// `grounded_direct` for grounded calls, else `grounded_proxy` (seed 002's code, whose `proxy` mark is never set).
    Code,
}

impl Default for CallTimeout {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            timeouts: Timeouts::default(),
            grounded_direct: Span::from_secs(480),
            grounded_proxy: Span::from_secs(300),
            ungrounded: Span::from_secs(120),
        }
    }
}

/// Finalisation (seed 002, section 4): one more, short call when the SLA is about to be missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Finalise {
    /// Off, observe or enforce.
    pub mode: Mode,
    /// When it happens, and on whose budget.
    pub rule: FinaliseRule,
    /// Service level for the whole attempt, from its arrival. Default 480 s (seed 002).
    pub sla: Span,
    /// Longest time that the last call may take; with `rule = "before_sla"` it starts so long before the SLA. Default 30 s.
    pub timeout: Span,
    /// Its limit on the answer, tokens. Default 500 (seed 002).
    pub finalise_max_tokens: Count,
}

/// When an attempt is finalised.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinaliseRule {
    /// After a call timeout, if the SLA has passed by then: no new reservation, slot and old reservation held (seed 002).
    AfterTimeout,
    /// So early that the SLA can be met, with a reservation of its own.
    #[default]
    BeforeSla,
}

impl Default for Finalise {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            rule: FinaliseRule::default(),
            sla: Span::from_secs(480),
            timeout: Span::from_secs(30),
            finalise_max_tokens: count(500),
        }
    }
}

fn positive(value: f64) -> Positive {
    Positive::new(value).expect("a constant of this file above 0")
}

/// The seed's table of first multipliers.
fn seed_priors() -> Vec<Prior> {
    let table = [
        (true, Vantage::AlsOnly, 2.5),
        (true, Vantage::AlsPlusProxy, 2.5),
        (true, Vantage::ProxyOnly, 2.5),
        (true, Vantage::None, 2.0),
        (false, Vantage::AlsOnly, 1.2),
        (false, Vantage::AlsPlusProxy, 1.3),
        (false, Vantage::ProxyOnly, 1.3),
        (false, Vantage::None, 1.1),
    ];
    let prior = |(grounded, vantage_policy, multiplier)| Prior { grounded, vantage_policy, multiplier: positive(multiplier) };
    table.into_iter().map(prior).collect()
}

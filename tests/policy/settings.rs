//! Random settings for every engine, for the contract test.

use crate::support::Dice;
use plimsoll::policy::{
    At, Boundary, Breaker, CallTimeout, Codel, Concurrency, Excess, Exclusive, Finalise, FinaliseRule, Forget, Graduated,
    HeavyLane, Heed, HoldRule, Limiter, Mode, OnClientGone, OnError, OnTimeout, Order, Queue, QueueGraduated, RateLimit,
    Recovery, Redispatch, Refresh, Settings, Signals, StaggerScope, Throttle, Timeout, TimeoutFrom, Timeouts, Trip,
    UpstreamErrors, Window,
};
use plimsoll::time::Span;
use plimsoll::units::{Count, Fraction, Positive};

/// What stands in the stack under test.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Stack {
    Graduated,
    Queue,
    Slots,
    Timeout,
    /// The queue with the slots that make it fill.
    Congested,
    Whole,
    Seed,
    Limiter,
    Lane,
    Breaker,
    /// Everything in front of a metered API.
    Metered,
    SeedAdapter,
    /// The field's own gates.
    Field,
}

pub const STACKS: [Stack; 13] = [
    Stack::Graduated,
    Stack::Queue,
    Stack::Slots,
    Stack::Timeout,
    Stack::Congested,
    Stack::Whole,
    Stack::Seed,
    Stack::Limiter,
    Stack::Lane,
    Stack::Breaker,
    Stack::Metered,
    Stack::SeedAdapter,
    Stack::Field,
];

impl Stack {
    /// Whether calls may run without a slot, slots be held without a call, and one attempt have a second call.
    pub fn is_metered(self) -> bool {
        matches!(self, Self::Limiter | Self::Lane | Self::Breaker | Self::Metered | Self::SeedAdapter)
    }
}

pub fn settings(stack: Stack, dice: &mut Dice) -> Settings {
    let none = Settings::default();
    match stack {
        Stack::Graduated => Settings { graduated: Some(graduated(dice)), ..none },
        Stack::Queue => Settings { queue: Some(queue(dice)), ..none },
        Stack::Slots => Settings { concurrency: Some(slots(dice)), ..none },
        Stack::Timeout => Settings { timeout: Some(timeout(dice)), ..none },
        Stack::Congested => {
            let slots = Concurrency { mode: Mode::Enforce, ..slots(dice) };
            Settings { queue: Some(queue(dice)), concurrency: Some(slots), ..none }
        }
        Stack::Whole => whole(dice),
        Stack::Seed => {
            let mut seed = Settings::seed(count(dice, 6));
            seed.timeout.as_mut().expect("the seed has it").request_timeout = millis(dice, 40);
            seed.graduated.as_mut().expect("the seed has it").reset_interval = millis(dice, 200);
            seed
        }
        Stack::Limiter => Settings { limiter: Some(limiter(dice)), ..none },
        Stack::Lane => Settings { limiter: Some(limiter(dice)), lane: Some(lane(dice)), ..none },
        Stack::Breaker => Settings { breaker: Some(breaker(dice)), upstream_errors: Some(errors(dice)), ..none },
        Stack::Metered => metered(dice),
        Stack::Field => Settings {
            throttle: (dice.below(3) > 0).then(|| throttle(dice)),
            rate_limit: (dice.below(2) > 0).then(|| rate_limit(dice)),
            signals: (dice.below(2) > 0).then(|| Signals { mode: mode(dice), ..Signals::default() }),
            queue: Some(queue(dice)),
            concurrency: Some(slots(dice)),
            ..none
        },
        Stack::SeedAdapter => {
            let mut seed = Settings::seed_adapter();
            seed.breaker.as_mut().expect("the seed has it").cooldown = millis(dice, 300);
            seed.finalise.as_mut().expect("the seed has it").sla = millis(dice, 60);
            let timeouts = seed.call_timeout.as_mut().expect("the seed has it");
            (timeouts.grounded_direct, timeouts.grounded_proxy) = (millis(dice, 80), millis(dice, 80));
            seed.limiter.as_mut().expect("the seed has it").tpm_limit = count(dice, 4_000);
            seed
        }
    }
}

fn whole(dice: &mut Dice) -> Settings {
    Settings {
        graduated: (dice.below(4) > 0).then(|| graduated(dice)),
        queue: (dice.below(4) > 0).then(|| queue(dice)),
        concurrency: (dice.below(8) > 0).then(|| slots(dice)),
        timeout: (dice.below(4) > 0).then(|| timeout(dice)),
        ..Settings::default()
    }
}

fn metered(dice: &mut Dice) -> Settings {
    Settings {
        limiter: (dice.below(4) > 0).then(|| limiter(dice)),
        lane: (dice.below(4) > 0).then(|| lane(dice)),
        breaker: (dice.below(4) > 0).then(|| breaker(dice)),
        call_timeout: (dice.below(2) > 0).then(|| call_timeout(dice)),
        finalise: (dice.below(2) > 0).then(|| finalise(dice)),
        upstream_errors: (dice.below(2) > 0).then(|| errors(dice)),
        ..whole(dice)
    }
}

fn mode(dice: &mut Dice) -> Mode {
    [Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Observe, Mode::Off][dice.below(5)]
}

fn count(dice: &mut Dice, below: usize) -> Count {
    Count::new(u32::try_from(dice.below(below)).expect("small") + 1).expect("above 0")
}

fn fraction(dice: &mut Dice) -> Fraction {
    Fraction::new([0.0, 0.3, 0.5, 0.7, 1.0][dice.below(5)]).expect("in range")
}

pub fn millis(dice: &mut Dice, below: usize) -> Span {
    Span::from_millis(dice.below(below) as u64)
}

fn graduated(dice: &mut Dice) -> Graduated {
    Graduated {
        mode: mode(dice),
        max_abandoned: count(dice, 6),
        vllm_rejection_threshold: fraction(dice),
        at: [At::Arrival, At::Dispatch][dice.below(2)],
        forget: [Forget::Never, Forget::Reset, Forget::Decay, Forget::Gauge][dice.below(4)],
        reset_interval: millis(dice, 100),
        half_life: millis(dice, 50),
        lease: millis(dice, 80),
    }
}

fn queue(dice: &mut Dice) -> Queue {
    Queue {
        mode: mode(dice),
        max_queue_size: count(dice, 10),
        queue_rejection_threshold: fraction(dice),
        max_queue_tokens: (dice.below(3) == 0).then(|| count(dice, 400)),
        order: [Order::Fifo, Order::Lifo, Order::AdaptiveLifo, Order::WeightedFair][dice.below(4)],
        adaptive_lifo_share: fraction(dice),
        weights: [1.0, 0.5, 7.0].iter().filter_map(|weight| Positive::new(*weight)).take(dice.below(4)).collect(),
        by_priority: dice.below(2) == 0,
        codel: (dice.below(2) == 0).then(|| Codel {
            target: (dice.below(2) == 0).then(|| millis(dice, 10)),
            interval: (dice.below(2) == 0).then(|| millis(dice, 30)),
        }),
        deadline_aware: dice.below(2) == 0,
        graduated: (dice.below(3) == 0).then(|| QueueGraduated { first: count(dice, 2), last: count(dice, 6) }),
    }
}

fn slots(dice: &mut Dice) -> Concurrency {
    let adaptive = match dice.below(8) {
        0 => Some("algorithm = 'aimd'\nmin = 1\nmax = 5\ntimeout = '10ms'"),
        1 => Some("algorithm = 'vegas'\nmax = 5"),
        2 => Some("algorithm = 'gradient2'\nmin = 1\nmax = 5"),
        3 => Some("algorithm = 'envoy_gradient'"),
        _ => None,
    };
    let adaptive = adaptive.map(|text| toml::from_str(text).expect("well formed"));
    Concurrency { mode: mode(dice), max_concurrent_requests: count(dice, 4), adaptive }
}

fn timeout(dice: &mut Dice) -> Timeout {
    Timeout {
        mode: mode(dice),
        request_timeout: millis(dice, 40),
        timeout_from: [TimeoutFrom::Dispatch, TimeoutFrom::Arrival][dice.below(2)],
        on_timeout: [OnTimeout::Cancel, OnTimeout::Abandon][dice.below(2)],
        on_client_gone: [OnClientGone::Cancel, OnClientGone::RunOn][dice.below(2)],
    }
}

/// Windows of about a dozen calls. They last a minute, so few of them pass in one test.
fn limiter(dice: &mut Dice) -> Limiter {
    Limiter {
        mode: mode(dice),
        tpm_limit: count(dice, 4_000),
        headroom: Fraction::new([0.0, 0.15, 0.5][dice.below(3)]).expect("in range"),
        window: [Window::LazyFixed, Window::Calendar, Window::SlidingLog, Window::Gcra][dice.below(4)],
        boundary: [Boundary::Seed, Boundary::Checked][dice.below(2)],
        jitter: (dice.below(3) == 0).then(|| millis(dice, 5_000)),
        auto_trim: dice.below(2) == 0,
        min_output: count(dice, 30),
        settle: dice.below(2) == 0,
        excess: [Excess::AtStart, Excess::AtEnd][dice.below(2)],
        hold: [HoldRule::WhileWaiting, HoldRule::AllOrNone][dice.below(2)],
        min_samples: count(dice, 3),
        ..Limiter::default()
    }
}

fn lane(dice: &mut Dice) -> HeavyLane {
    HeavyLane {
        mode: mode(dice),
        min_remaining: (dice.below(2) == 0).then(|| fraction(dice)),
        exclusive: [Exclusive::Seed, Exclusive::Heavy, Exclusive::All][dice.below(3)],
        refresh: [Refresh::OnReserve, Refresh::OnWait][dice.below(2)],
        stagger: (dice.below(2) == 0).then(|| millis(dice, 20)),
        stagger_scope: [StaggerScope::Heavy, StaggerScope::All][dice.below(2)],
        lease: millis(dice, 100),
        heavy_max_wait: millis(dice, 100),
        light_max_wait: millis(dice, 100),
        ..HeavyLane::default()
    }
}

fn breaker(dice: &mut Dice) -> Breaker {
    Breaker {
        mode: mode(dice),
        trip: [Trip::Cumulative, Trip::Consecutive, Trip::Rate][dice.below(3)],
        threshold: count(dice, 3),
        window_calls: count(dice, 8),
        minimum_calls: count(dice, 3),
        cooldown: millis(dice, 100),
        jitter: fraction(dice),
        recovery: [Recovery::Close, Recovery::HalfOpen][dice.below(2)],
        probes: count(dice, 3),
        probe_lease: millis(dice, 60),
        restart_on_late_error: dice.below(2) == 0,
        fallback: dice.below(2) == 0,
        count_5xx: dice.below(2) == 0,
        slow_call: (dice.below(2) == 0).then(|| millis(dice, 40)),
        redispatch: [Redispatch::Off, Redispatch::Seed, Redispatch::Stack][dice.below(3)],
        ..Breaker::default()
    }
}

fn call_timeout(dice: &mut Dice) -> CallTimeout {
    CallTimeout {
        mode: mode(dice),
        timeouts: [Timeouts::Env, Timeouts::Code][dice.below(2)],
        grounded_direct: millis(dice, 60),
        grounded_proxy: millis(dice, 60),
        ungrounded: millis(dice, 60),
    }
}

fn finalise(dice: &mut Dice) -> Finalise {
    Finalise {
        mode: mode(dice),
        rule: [FinaliseRule::AfterTimeout, FinaliseRule::BeforeSla][dice.below(2)],
        sla: millis(dice, 60),
        timeout: millis(dice, 20),
        finalise_max_tokens: count(dice, 60),
    }
}

fn errors(dice: &mut Dice) -> UpstreamErrors {
    let one = |dice: &mut Dice| [OnError::PassOn, OnError::Wait, OnError::Redispatch][dice.below(3)];
    let rate_headers = [Heed::Never, Heed::Refusals, Heed::Always][dice.below(3)];
    UpstreamErrors { on_429: one(dice), on_5xx: one(dice), rate_headers }
}

fn throttle(dice: &mut Dice) -> Throttle {
    let rule = ["rule = 'sre'", "rule = 'envoy'\nrps_threshold = 0"][dice.below(2)];
    let mode = ["enforce", "enforce", "observe", "off"][dice.below(4)];
    toml::from_str(&format!("mode = '{mode}'\n{rule}")).expect("well formed")
}

fn rate_limit(dice: &mut Dice) -> RateLimit {
    let mode = ["enforce", "enforce", "observe", "off"][dice.below(4)];
    let rate = 20 + dice.below(400);
    toml::from_str(&format!("mode = '{mode}'\nrequests = {rate}\nper = '1s'\nburst = 3")).expect("well formed")
}
